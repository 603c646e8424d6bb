/* stacker explain-miss: what changed since an image was built, down to field, line and file. */
#include <string.h>

#include "build/explain.h"
#include "build/remote_cache.h"
#include "cli/command.h"
#include "cli/plan_args.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/str.h"

enum { FILES_SHOWN = 20 };

struct explain_command {
	struct plan_args args;
	bool json;
	const struct project_file *last_file; /* whose record `last` is */
	struct last_builds last;
	json_t *results; /* with --json */
	struct buf out;
	struct remote_caches remote;
};

static void explain_command_cleanup(struct explain_command *c)
{
	plan_args_cleanup(&c->args);
	last_builds_cleanup(&c->last);
	json_decref(c->results);
	remote_caches_cleanup(&c->remote);
	buf_cleanup(&c->out);
}

static void add_printable(struct buf *out, const char *text)
{
	AUTO_FREE char *printable = str_printable(text, strlen(text));
	buf_add_c(out, printable);
}

static void add_files(struct buf *out, const struct explain_change *change)
{
	const struct explain_file_vec *files = &change->files;
	for (size_t i = 0; i < files->len && i < FILES_SHOWN; i++) {
		buf_addf(out, "    %-8s ", files->items[i].change);
		add_printable(out,
			      files->items[i].path[0] ? files->items[i].path : change->subject);
		buf_add_byte(out, '\n');
	}
	if (files->len > FILES_SHOWN)
		buf_addf(out, "    ... and %zu more; --json has all\n",
			 files->len - FILES_SHOWN);
}

/* "FILE:LINE:COLUMN: FIELD (SUBJECT): BEFORE -> AFTER" */
static void add_change(struct buf *out, const struct plan *p,
		       const struct explain_change *change)
{
	buf_add_c(out, "  ");
	if (change->pos.line > 0)
		buf_addf(out, "%s:%u:%u: ", change->pos.file, change->pos.line,
			 change->pos.column);
	buf_add_c(out, change->field);
	if (change->subject) {
		buf_add_c(out, " (");
		add_printable(out, change->subject);
		buf_add_c(out, ")");
	}
	if (change->image < p->len)
		buf_add_c(out, ": that image changed");
	else if (change->before && change->after)
		buf_addf(out, ": '%s' -> '%s'", change->before, change->after);
	else if (change->after)
		buf_addf(out, ": added '%s'", change->after);
	else if (change->before)
		buf_addf(out, ": removed '%s'", change->before);
	else
		buf_add_c(out, ": changed");
	buf_add_byte(out, '\n');
	add_files(out, change);
}

static void add_text(struct buf *out, const struct plan *p, const char *name,
		     const struct explanation *x)
{
	buf_addf(out, "%s: ", name);
	switch (x->state) {
	case EXPLAIN_CACHED:
		buf_add_c(out, "cached\n");
		return;
	case EXPLAIN_NEW:
		buf_add_c(out, "to be built: nothing is known of an earlier build\n");
		return;
	case EXPLAIN_GONE:
	case EXPLAIN_CHANGED:
		buf_add_c(out, "to be built again: cache miss because ");
		explain_reason(x, out);
		buf_add_byte(out, '\n');
	}
	for (size_t i = 0; i < x->changes.len; i++)
		add_change(out, p, &x->changes.items[i]);
}

static json_t *change_json(const struct plan *p, const struct explain_change *change)
{
	json_t *files = json_array();
	for (size_t i = 0; i < change->files.len; i++)
		json_array_append_new(files, json_pack("{s:s, s:s}", "path",
						       change->files.items[i].path, "change",
						       change->files.items[i].change));
	json_t *item = json_pack("{s:s, s:s*, s:s*, s:s*, s:o}", "field", change->field,
				 "subject", change->subject, "before", change->before, "after",
				 change->after, "files", files);
	if (change->pos.line > 0) {
		json_object_set_new(item, "file", json_string(change->pos.file));
		json_object_set_new(item, "line", json_integer(change->pos.line));
		json_object_set_new(item, "column", json_integer(change->pos.column));
	}
	if (change->image < p->len)
		json_object_set_new(item, "image",
				    json_string(p->images[change->image].recipe->name));
	return item;
}

static void add_json(json_t *results, const struct plan *p, const char *name,
		     const struct explanation *x)
{
	json_t *changes = json_array();
	for (size_t i = 0; i < x->changes.len; i++)
		json_array_append_new(changes, change_json(p, &x->changes.items[i]));
	json_array_append_new(results,
			      json_pack("{s:s, s:s, s:o}", "name", name, "state",
					explain_state_name(x->state), "changes", changes));
}

/* Of an image that is not here: which of the registries' caches has it. */
static int tell_remote(struct explain_command *x, const struct plan_image *image, struct err *e)
{
	const char *url = NULL;
	if (x->remote.len == 0 || image->recipe->build_only)
		return 0;
	if (remote_cache_find(&x->remote, &image->digest, &url, e) < 0)
		return -1;
	if (x->json)
		json_object_set_new(json_array_get(x->results, json_array_size(x->results) - 1),
				    "remote", url ? json_string(url) : json_null());
	else if (url)
		buf_addf(&x->out, "  '%s' has it; 'build --trust-cache' takes it\n", url);
	else
		buf_add_c(&x->out, "  no registry under 'cache' in conf.yaml has it\n");
	return 0;
}

/* Images of one file stand together, so that the record of the last one asked for is kept. */
static int load_record(const struct build_context *c, const struct project_file *file,
		       struct explain_command *x, struct err *e)
{
	if (x->last_file == file)
		return 0;
	last_builds_cleanup(&x->last);
	x->last_file = file;
	return last_load(c, file->absolute, &x->last, e);
}

static int explain_one(const struct build_context *c, const struct plan *p, size_t index,
		       struct explain_command *x, bool *todo, struct err *e)
{
	const struct plan_image *image = &p->images[index];
	AUTO(explanation) found = {0};
	if (load_record(c, image->file, x, e) < 0 ||
	    explain_image(c, p, index, &x->last, &found, e) < 0)
		return -1;
	for (size_t i = 0; i < found.changes.len; i++)
		if (found.changes.items[i].image < p->len)
			todo[found.changes.items[i].image] = true;
	if (x->json)
		add_json(x->results, p, image->recipe->name, &found);
	else
		add_text(&x->out, p, image->recipe->name, &found);
	return found.state == EXPLAIN_CACHED ? 0 : tell_remote(x, image, e);
}

/* From what was asked for down to where the change began: images come before what needs them, so
 * that one pass from the end meets all. */
static int explain(const struct cli *cli, struct explain_command *x,
		   const struct command_args *args, struct err *e)
{
	AUTO(build_context) c = BUILD_CONTEXT_INIT;
	AUTO(plan) p = PLAN_INIT;
	struct plan_options options;
	if (plan_args_read(cli, &x->args, &options, e) < 0)
		return -1;
	options.names = args->items;
	options.names_len = args->len;
	if (command_context_open(cli, &c, e) < 0 || plan_make(&c, &options, &p, e) < 0)
		return -1;
	remote_caches_open(&c, &x->remote);
	AUTO_FREE bool *todo = mem_zalloc(p.len + 1, sizeof(bool));
	for (size_t i = p.len; i-- > 0;)
		if ((todo[i] || p.images[i].wanted) && explain_one(&c, &p, i, x, todo, e) < 0)
			return -1;
	if (x->json) {
		json_write(x->results, &x->out);
		buf_add_byte(&x->out, '\n');
	}
	return command_print_buf(&x->out, e);
}

static const struct opt options[] = {
	PLAN_ARGS_FILE_OPTION(struct explain_command, args),
	PLAN_ARGS_OPTIONS(struct explain_command, args),
	{"json", 0, OPT_FLAG, offsetof(struct explain_command, json), NULL,
	 "print it as JSON: an array with an object an image"},
	{0},
};

static int run_explain(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	AUTO(explain_command)
	x = {.args = PLAN_ARGS_INIT,
	     .results = json_array(),
	     .out = BUF_INIT(LIMIT_JSON_CANON_BYTES)};
	struct command_args args;
	int status = command_options(self, argc, argv, &x, &args);
	if (status >= 0)
		return status;
	struct err e = ERR_INIT;
	return explain(cli, &x, &args, &e) < 0 ? command_failed(&e) : EXIT_OK;
}

const struct command command_explain_miss = {
	.name = "explain-miss",
	.summary = "Says what changed since an image was built.",
	.options = options,
	.args = "[IMAGE]...",
	.help = "For each IMAGE, or all of the stackerfile: whether the cache has it; if not, which\n"
		"member of its recipe differs from the last build, with the place in the stackerfile,\n"
		"the values before and after, and for files of one's own which of them were added,\n"
		"removed or changed. An image it is made from that changed is explained as well.\n"
		"Registries under 'cache' in conf.yaml are asked whether they have what is missing here.\n"
		"Nothing is built or downloaded. Exit status: 0 explained, 1 failed, 2 wrong usage.\n",
	.run = run_explain,
};
