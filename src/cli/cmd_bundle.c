/* stacker bundle: everything that a build and its verification need, in one file. */
#include "build/bundle.h"
#include "cli/command.h"
#include "cli/plan_args.h"
#include "util/mem.h"

struct bundle_command {
	struct plan_args args;
	struct strvec names;
	const char *output;
};

static void bundle_command_cleanup(struct bundle_command *b)
{
	plan_args_cleanup(&b->args);
	strvec_cleanup(&b->names);
}

static const struct opt options[] = {
	PLAN_ARGS_FILE_OPTION(struct bundle_command, args),
	{"output", 'o', OPT_TEXT, offsetof(struct bundle_command, output), "FILE",
	 "the archive to write"},
	{"image", 'A', OPT_TEXTS, offsetof(struct bundle_command, names), "IMAGE",
	 "only this image and what it needs; may be repeated"},
	PLAN_ARGS_OPTIONS(struct bundle_command, args),
	{0},
};

static void report(void *ctx, const struct build_done *d)
{
	(void)ctx;
	log_note("filesystem %s built successfully", d->name);
}

static int make(const struct cli *cli, const struct bundle_command *b,
		struct build_options *build, struct err *e)
{
	AUTO(build_context) c = BUILD_CONTEXT_INIT;
	if (layer_types_add(&build->layer_types, &(struct strvec){0}, false, e) < 0 ||
	    command_context_open(cli, &c, e) < 0 || build_run(&c, build, report, NULL, e) < 0 ||
	    bundle_write(&c, &build->plan, b->output, e) < 0)
		return -1;
	log_note("wrote bundle '%s'", b->output);
	return 0;
}

static int run_bundle(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	AUTO(bundle_command) b = {.args = PLAN_ARGS_INIT};
	struct build_options build = {.env_epoch = cli->env_epoch};
	struct err e = ERR_INIT;
	int status = command_options(self, argc, argv, &b, NULL);
	if (status >= 0)
		return status;
	if (!b.output)
		return command_usage_error(self, "say where to write it: '-o FILE'");
	if (plan_args_read(cli, &b.args, &build.plan, &e) < 0)
		return command_failed(&e);
	build.plan.names = (const char *const *)b.names.items;
	build.plan.names_len = b.names.len;
	return make(cli, &b, &build, &e) < 0 ? command_failed(&e) : EXIT_OK;
}

const struct command command_bundle = {
	.name = "bundle",
	.summary = "Writes images with all that it takes to build and verify them.",
	.options = options,
	.help = "Builds what is not in the cache, then writes one tar archive of an OCI layout: the\n"
		"images, their stackerfiles and locks, your own files that they import, inputs and\n"
		"base images. 'stacker build --bundle FILE' and 'stacker verify --bundle FILE' need\n"
		"nothing else, and no network. Sources must be named relative to the stackerfile.\n"
		"Exit status: 0 written, 1 failed, 2 wrong usage.\n",
	.run = run_bundle,
};
