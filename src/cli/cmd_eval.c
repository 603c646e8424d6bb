/* stacker eval */
#include <jansson.h>

#include "build/plan.h"
#include "cli/plan_args.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/mem.h"

struct eval_command {
	struct plan_args args;
	bool json;
	struct buf out;
};

static void eval_command_cleanup(struct eval_command *v)
{
	plan_args_cleanup(&v->args);
	buf_cleanup(&v->out);
}

static const struct opt options[] = {
	PLAN_ARGS_FILE_OPTION(struct eval_command, args),
	PLAN_ARGS_OPTIONS(struct eval_command, args),
	{"json", 0, OPT_FLAG, offsetof(struct eval_command, json), NULL,
	 "print the results as JSON"},
	{0},
};

static void show_json(struct eval_command *v, const struct plan *p,
		      const struct plan_image *image, const char *digest)
{
	json_t *needs = json_array();
	for (size_t i = 0; i < image->needs_len; i++)
		json_array_append_new(needs,
				      json_string(p->images[image->needs[i]].recipe->name));
	json_t *head = json_pack("{s:s, s:s, s:b, s:s, s:i, s:o}", "name", image->recipe->name,
				 "digest", digest, "build_only", (int)image->recipe->build_only,
				 "file", image->file->path, "line",
				 (int)image->recipe->pos.line, "needs", needs);
	AUTO(buf) text = BUF_INIT(MIB);
	json_write(head, &text);
	json_decref(head);
	BUG_IF(text.len < 2 || text.overflowed);
	/* The recipe is JSON already, and its name comes last; as it is, it can be hashed again. */
	buf_add_c(&v->out, v->out.len > 0 ? "," : "[");
	buf_add(&v->out, text.data, text.len - 1);
	buf_addf(&v->out, ",\"recipe\":");
	buf_add_c(&v->out, image->canonical);
	buf_add_byte(&v->out, '}');
}

static void show(struct eval_command *v, const struct plan *p)
{
	for (size_t i = 0; i < p->len; i++) {
		const struct plan_image *image = &p->images[i];
		char digest[DIGEST_TEXT_MAX];
		if (!image->wanted)
			continue;
		digest_format(&image->digest, digest);
		if (v->json) {
			show_json(v, p, image, digest);
			continue;
		}
		buf_addf(&v->out, "%s %s\n", image->recipe->name, digest);
		buf_add_c(&v->out, image->canonical);
		buf_add_byte(&v->out, '\n');
	}
	if (v->json)
		buf_add_c(&v->out, v->out.len > 0 ? "]\n" : "[]\n");
}

static int run_eval(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	AUTO(eval_command)
	v = {.args = PLAN_ARGS_INIT, .out = BUF_INIT(256 * MIB)};
	struct command_args names;
	int status = command_options(self, argc, argv, &v, &names);
	if (status >= 0)
		return status;
	struct err e = ERR_INIT;
	struct plan_options plan_options;
	AUTO(build_context) c = BUILD_CONTEXT_INIT;
	AUTO(plan) p = PLAN_INIT;
	if (plan_args_read(cli, &v.args, &plan_options, &e) < 0)
		return command_failed(&e);
	plan_options.names = names.items;
	plan_options.names_len = names.len;
	if (build_context_open_for_plan(&c, &e) < 0 || plan_make(&c, &plan_options, &p, &e) < 0)
		return command_failed(&e);
	show(&v, &p);
	return command_print_buf(&v.out, &e) < 0 ? command_failed(&e) : EXIT_OK;
}

const struct command command_eval = {
	.name = "eval",
	.summary = "Prints the recipes that a stackerfile comes to, and their digests.",
	.options = options,
	.args = "[IMAGE]...",
	.help = "For every image (or each IMAGE named) one line with its name and recipe digest, and\n"
		"one with the canonical recipe, whose sha256, without the line's end, is that digest.\n"
		"Local files are hashed; nothing is downloaded, and no store is needed or made.\n"
		"Exit status: 0 done, 1 failed, 2 wrong usage.\n",
	.run = run_eval,
};
