/* stacker fetch: what a build needs, brought beforehand. */
#include "build/input.h"
#include "build/input_registry.h"
#include "cli/command.h"
#include "cli/plan_args.h"
#include "util/mem.h"

struct fetch_command {
	struct plan_args args;
	struct strvec names;
	bool push;
};

static void fetch_command_cleanup(struct fetch_command *f)
{
	plan_args_cleanup(&f->args);
	strvec_cleanup(&f->names);
}

static const struct opt options[] = {
	PLAN_ARGS_FILE_OPTION(struct fetch_command, args),
	{"image", 'A', OPT_TEXTS, offsetof(struct fetch_command, names), "IMAGE",
	 "only for this image and all that it needs; may be given several times"},
	{"push", 0, OPT_FLAG, offsetof(struct fetch_command, push), NULL,
	 "also push it to the registries that conf.yaml lists under 'inputs'"},
	PLAN_ARGS_OPTIONS(struct fetch_command, args),
	{0},
};

static int push(struct build_context *c, const struct plan *plan, struct err *e)
{
	struct input_push_report report;
	if (input_registry_push(c, plan, &report, e) < 0)
		return -1;
	log_note("pushed %zu inputs; %zu were there", report.pushed, report.present);
	return 0;
}

static int fetch(const struct cli *cli, const struct fetch_command *f,
		 const struct plan_options *plan_options, struct err *e)
{
	AUTO(build_context) c = BUILD_CONTEXT_INIT;
	AUTO(plan) plan = PLAN_INIT;
	if (f->push && cli->sources->inputs.len == 0) {
		err_set(e, ERR_USAGE, "cli/no-inputs",
			"there is no registry to push inputs to");
		return err_hint(e, "list one in conf.yaml: 'inputs: docker://HOST/REPOSITORY'");
	}
	if (command_context_open(cli, &c, e) < 0 || plan_make(&c, plan_options, &plan, e) < 0)
		return -1;
	AUTO_FREE bool *needed = mem_zalloc(plan.len + 1, sizeof(*needed));
	for (size_t i = 0; i < plan.len; i++)
		needed[i] = plan.images[i].needed;
	if (input_bring_all(&c, &plan, needed, e) < 0)
		return -1;
	log_note("everything that a build needs is in the store");
	return f->push ? push(&c, &plan, e) : 0;
}

static int run_fetch(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	AUTO(fetch_command) f = {.args = PLAN_ARGS_INIT};
	struct err e = ERR_INIT;
	int status = command_options(self, argc, argv, &f, NULL);
	if (status >= 0)
		return status;
	struct plan_options plan_options;
	if (plan_args_read(cli, &f.args, &plan_options, &e) < 0)
		return command_failed(&e);
	plan_options.names = (const char *const *)f.names.items;
	plan_options.names_len = f.names.len;
	return fetch(cli, &f, &plan_options, &e) < 0 ? command_failed(&e) : EXIT_OK;
}

const struct command command_fetch = {
	.name = "fetch",
	.summary = "Brings everything that a build needs into the store.",
	.options = options,
	.help = "After it, the build needs no network: neither for what is in the cache now nor for\n"
		"what is not. Every input is checked against its pin, as in a build. With --push,\n"
		"others who list the same registry get the inputs from there, whatever became of the\n"
		"URLs. Exit status: 0 all is there, 1 failed, 2 wrong usage.\n",
	.run = run_fetch,
};
