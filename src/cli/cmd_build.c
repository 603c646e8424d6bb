/* stacker build and recursive-build */
#include <stdio.h>

#include "build/build.h"
#include "build/evidence.h"
#include "build/shell.h"
#include "cli/bundle_use.h"
#include "cli/command.h"
#include "cli/evidence.h"
#include "cli/plan_args.h"
#include "recipe/words.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/vec.h"

struct build_command {
	struct build_options options;
	struct plan_args args;
	struct strvec names;
	struct strvec layer_types;
	bool no_verity;
	bool json;
	bool evidence;
	bool order_only;
	const char *bundle;
	const char *on_failure; /* --on-run-failure */
	bool shell_fail;
	struct strvec failure_words;
	struct shell_command failure_shell;
	struct err shell_failed; /* the first failure to write what it printed */
	const struct build_context *context;
	json_t *results; /* with --json */
	struct buf out;
	struct err failed; /* the first evidence that could not be read */
};

static void build_command_cleanup(struct build_command *b)
{
	strvec_cleanup(&b->names);
	strvec_cleanup(&b->layer_types);
	strvec_cleanup(&b->failure_words);
	plan_args_cleanup(&b->args);
	json_decref(b->results);
	buf_cleanup(&b->out);
}

static json_t *load_evidence(struct build_command *b, const struct digest *recipe)
{
	struct err e = ERR_INIT;
	json_t *record = NULL;
	if (evidence_load(b->context, recipe, &record, &e) < 0 && b->failed.code == ERR_NONE)
		b->failed = e;
	return record;
}

static void show_evidence(struct build_command *b, const struct digest *recipe)
{
	json_t *record = load_evidence(b, recipe);
	if (record)
		evidence_show(record);
	json_decref(record);
}

/* As soon as a step has ended, since it may have ended the build. */
static void step_done(void *ctx, const struct digest *recipe)
{
	struct build_command *b = ctx;
	if (b->evidence)
		show_evidence(b, recipe);
}

static void report_json(struct build_command *b, const struct build_done *d, const char *recipe,
			const char *manifest)
{
	json_t *item =
		json_pack("{s:s, s:s, s:b, s:b}", "name", d->name, "recipe", recipe, "cached",
			  (int)d->cached, "build_only", (int)d->result->build_only);
	if (manifest)
		json_object_set_new(item, "manifest", json_string(manifest));
	json_t *record = b->evidence ? load_evidence(b, &d->result->recipe) : NULL;
	if (record)
		json_object_set_new(item, "evidence", record);
	json_array_append_new(b->results, item);
}

static void report(void *ctx, const struct build_done *d)
{
	struct build_command *b = ctx;
	char recipe[DIGEST_TEXT_MAX];
	char manifest[DIGEST_TEXT_MAX];
	digest_format(&d->result->recipe, recipe);
	if (!d->result->build_only)
		digest_format(&d->result->manifest.digest, manifest);
	if (d->cached)
		log_note("found cached layer %s", d->name);
	if (d->cached && b->evidence && !b->json)
		show_evidence(b, &d->result->recipe);
	log_note("filesystem %s built successfully", d->name);
	if (b->json)
		report_json(b, d, recipe, d->result->build_only ? NULL : manifest);
	else if (!d->result->build_only)
		buf_addf(&b->out, "%s %s\n", d->name, manifest);
}

/* What both commands have in common. */
/* clang-format off */
#define SHARED_OPTIONS                                                                         \
	{"image", 'A', OPT_TEXTS, offsetof(struct build_command, names), "IMAGE",              \
	 "build only this image and what it needs; may be repeated"},                          \
	{"layer-type", 0, OPT_TEXTS, offsetof(struct build_command, layer_types),              \
	 "tar|squashfs|erofs",                                                                 \
	 "what the layers are published as; may be repeated, in the order of the tags: NAME "  \
	 "for tar (default), NAME-squashfs, NAME-erofs"},                                      \
	{"no-verity", 0, OPT_FLAG, offsetof(struct build_command, no_verity), NULL,            \
	 "leave out the dm-verity tree of squashfs and erofs layers"},                         \
	{"no-squashfs-verity", 0, OPT_FLAG, offsetof(struct build_command, no_verity), NULL,   \
	 "the older name of --no-verity"},                                                     \
	{"hermetic", 0, OPT_ACCEPTED, 0, NULL,                                                 \
	 "says what is always so: pinned inputs, no network in steps"},                        \
	{"require-hash", 0, OPT_ACCEPTED, 0, NULL,                                             \
	 "says what is always so: what comes from elsewhere has a hash"},                      \
	{"no-cache", 0, OPT_FLAG, offsetof(struct build_command, options.no_cache), NULL,      \
	 "build again what is in the cache"},                                                  \
	{"on-run-failure", 0, OPT_TEXT, offsetof(struct build_command, on_failure), "COMMAND", \
	 "run this in what a failed step left, without network, with standard input and the "  \
	 "terminal"},                                                                          \
	{"shell-fail", 0, OPT_FLAG, offsetof(struct build_command, shell_fail), NULL,          \
	 "the same with /bin/sh"},                                                             \
	{"trust-cache", 0, OPT_FLAG, offsetof(struct build_command, options.trust_cache), NULL, \
	 "take finished images from the registries that conf.yaml lists under 'cache', whoever " \
	 "built them"}, \
	{"cache-only", 0, OPT_FLAG, offsetof(struct build_command, options.cache_only), NULL, \
	 "fail instead of building what no cache has"}, \
	{"evidence", 0, OPT_FLAG, offsetof(struct build_command, evidence), NULL,              \
	 "show what each step tried that it could not do, the limits it reached and what "     \
	 "isolated it; with --json, also in the results"},                                     \
	{"order-only", 0, OPT_FLAG, offsetof(struct build_command, order_only), NULL,          \
	 "print the stackerfiles in the order in which they would be built, and build none"},  \
	PLAN_ARGS_OPTIONS(struct build_command, args),                                         \
	{"json", 0, OPT_FLAG, offsetof(struct build_command, json), NULL,                      \
	 "print the results as JSON"},                                                         \
	{0}
/* clang-format on */

static const struct opt single_options[] = {
	PLAN_ARGS_FILE_OPTION(struct build_command, args),
	BUNDLE_USE_OPTION(struct build_command, bundle),
	SHARED_OPTIONS,
};

static const struct opt recursive_options[] = {
	PLAN_ARGS_SEARCH_OPTIONS(struct build_command, args),
	SHARED_OPTIONS,
};

/* Exit code, or -1 to go on. */
static int prepare_failure_shell(const struct cli *cli, const struct command *self,
				 struct build_command *b)
{
	struct err e = ERR_INIT;
	if (b->shell_fail && b->on_failure)
		return command_usage_error(self, "--shell-fail excludes --on-run-failure");
	if (!b->shell_fail && !b->on_failure)
		return -1;
	if (words_split(b->shell_fail ? "/bin/sh" : b->on_failure, &b->failure_words, &e) < 0)
		return command_usage_error(self, "--on-run-failure: %s", e.message);
	if (b->failure_words.len == 0)
		return command_usage_error(self, "--on-run-failure needs a command");
	b->failure_shell = (struct shell_command){
		.words = (const char *const *)b->failure_words.items,
		.words_len = b->failure_words.len,
		.term = cli->env_term,
		.output = command_shell_output,
		.ctx = &b->shell_failed,
	};
	return -1;
}

static int print_results(struct build_command *b, struct err *e)
{
	if (b->json) {
		json_write(b->results, &b->out);
		buf_add_byte(&b->out, '\n');
	}
	if (buf_check(&b->out, "report", e) < 0)
		return -1;
	return command_print(buf_text(&b->out), b->out.len, e);
}

/* "N build PATH: requires: [PATH PATH]", as the original prints with --debug (U21). */
static int print_order(struct build_command *b, struct err *e)
{
	AUTO(project) p = {0};
	const struct project_options options = {.files = b->options.plan.files,
						.files_len = b->options.plan.files_len,
						.default_arch = build_machine_arch(),
						.substitutions = b->options.plan.substitutions,
						.leave_unpinned = true};
	if (project_read(&options, &p, e) < 0)
		return -1;
	for (size_t i = 0; i < p.files.len; i++) {
		const struct project_file *f = &p.files.items[i];
		buf_addf(&b->out, "%zu build %s: requires: [", i, f->absolute);
		for (size_t k = 0; k < f->needs.len; k++)
			buf_addf(&b->out, "%s%s", k ? " " : "",
				 p.files.items[f->needs.items[k].file].absolute);
		buf_add_c(&b->out, "]\n");
	}
	return command_print_buf(&b->out, e);
}

static int build(const struct cli *cli, struct build_command *b, struct err *e)
{
	AUTO(build_context) c = BUILD_CONTEXT_INIT;
	AUTO(bundle_use) use = {0};
	b->context = &c;
	if (b->bundle && bundle_use_prepare(cli, &b->args, &use, e) < 0)
		return -1;
	if (layer_types_add(&b->options.layer_types, &b->layer_types, b->no_verity, e) < 0 ||
	    command_context_open(b->bundle ? &use.cli : cli, &c, e) < 0 ||
	    (b->bundle && bundle_use_enter(&use, &c, b->bundle, &b->options.plan, e) < 0))
		return -1;
	c.step_done = step_done;
	c.step_done_ctx = b;
	c.on_failure = b->failure_words.len > 0 ? &b->failure_shell : NULL;
	if (build_run(&c, &b->options, report, b, e) < 0 || print_results(b, e) < 0)
		return -1;
	if (b->failed.code == ERR_NONE)
		return 0;
	*e = b->failed;
	return -1;
}

static int run(const struct cli *cli, const struct command *self, struct plan_args args,
	       int argc, char **argv)
{
	AUTO(build_command)
	b = {.options = {.env_epoch = cli->env_epoch},
	     .args = args,
	     .results = json_array(),
	     .out = BUF_INIT(LIMIT_JSON_CANON_BYTES)};
	int status = command_options(self, argc, argv, &b, NULL);
	if (status >= 0)
		return status;
	status = prepare_failure_shell(cli, self, &b);
	if (status >= 0)
		return status;
	struct err e = ERR_INIT;
	if (plan_args_read(cli, &b.args, &b.options.plan, &e) < 0)
		return command_failed(&e);
	b.options.plan.names = (const char *const *)b.names.items;
	b.options.plan.names_len = b.names.len;
	int rc = b.order_only ? print_order(&b, &e) : build(cli, &b, &e);
	return rc < 0 ? command_failed(&e) : EXIT_OK;
}

static int run_build(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	const struct plan_args args = PLAN_ARGS_INIT;
	return run(cli, self, args, argc, argv);
}

static int run_recursive(const struct cli *cli, const struct command *self, int argc,
			 char **argv)
{
	struct plan_args args = PLAN_ARGS_INIT;
	args.search_dir = ".";
	return run(cli, self, args, argc, argv);
}

const struct command command_build = {
	.name = "build",
	.summary = "Builds the images of a stackerfile into an OCI layout.",
	.options = single_options,
	.help = "Each image is named by the digest of its evaluated recipe; one that was built before\n"
		"is taken from the cache. Every pinned input is fetched and checked before the first\n"
		"step runs. On success, one line an image goes to standard output: its name and the\n"
		"digest of its manifest. Exit status: 0 built, 1 failed, 2 wrong usage.\n",
	.run = run_build,
};

const struct command command_recursive_build = {
	.name = "recursive-build",
	.summary = "Builds the images of all stackerfiles below a directory.",
	.options = recursive_options,
	.help = "Regular files below DIR whose absolute path matches REGEX, an extended regular\n"
		"expression, are built together with their prerequisites, as by build. Symbolic\n"
		"links are not followed, and stacker's own directories are not searched.\n"
		"Exit status: 0 built, 1 failed, 2 wrong usage.\n",
	.run = run_recursive,
};
