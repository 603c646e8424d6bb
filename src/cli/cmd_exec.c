/* stacker exec, and chroot, its other name: a command in a throw-away copy of a built image. */
#include <unistd.h>

#include "build/last.h"
#include "build/roots.h"
#include "build/shell.h"
#include "cli/command.h"
#include "util/mem.h"
#include "util/path.h"

struct exec_command {
	const char *file;
};

static const struct opt options[] = {
	{"stacker-file", 'f', OPT_TEXT, offsetof(struct exec_command, file), "FILE",
	 "the stackerfile whose images are meant (default: stacker.yaml)"},
	{"substitute", 0, OPT_ACCEPTED, 0, "KEY=VALUE",
	 "accepted for the original's sake; the image is taken as it was last built"},
	{0},
};

void command_shell_output(void *ctx, const char *bytes, size_t len)
{
	struct err *failed = ctx;
	struct err e = ERR_INIT;
	if (command_print(bytes, len, &e) < 0 && failed->code == ERR_NONE)
		*failed = e;
}

/* *ret_code is the command's. */
static int run_in_image(const struct cli *cli, const struct exec_command *x,
			const struct command_args *args, int *ret_code, struct err *e)
{
	static const char *const shell[] = {"/bin/sh"};
	AUTO(build_context) c = BUILD_CONTEXT_INIT;
	AUTO(image_result) image = {0};
	AUTO(strvec) lowers = {0};
	AUTO_FREE char *name = NULL;
	struct err output_failed = ERR_INIT;
	if (command_context_open(cli, &c, e) < 0 ||
	    last_open_image(&c, x->file, args->len > 0 ? args->items[0] : NULL, &image, &name,
			    e) < 0)
		return -1;
	roots_lower_names(&image.layers, &lowers);
	const struct shell_place place = {.label = name, .lowers = &lowers};
	const struct shell_command command = {
		.words = args->len > 1 ? args->items + 1 : shell,
		.words_len = args->len > 1 ? args->len - 1 : 1,
		.term = cli->env_term,
		.output = command_shell_output,
		.ctx = &output_failed,
	};
	if (shell_run(&c, &place, &command, ret_code, e) < 0)
		return -1;
	if (output_failed.code == ERR_NONE)
		return 0;
	*e = output_failed;
	return -1;
}

static int run_exec(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	struct exec_command x = {.file = "stacker.yaml"};
	struct command_args args;
	int status = command_options(self, argc, argv, &x, &args);
	if (status >= 0)
		return status;
	struct err e = ERR_INIT;
	int code = 0;
	return run_in_image(cli, &x, &args, &code, &e) < 0 ? command_failed(&e) : code;
}

#define EXEC_HELP                                                                                  \
	"IMAGE is a built image, also one that is build_only; without it, the first of the\n"      \
	"stackerfile. COMMAND is /bin/sh unless given, and may have arguments. It runs as root\n"  \
	"of the sandbox of a step: without network, on a copy that is thrown away. It reads\n"     \
	"standard input; from a terminal, it gets a terminal of its own. What it writes goes to\n" \
	"standard output. Exit status: the command's; 1 if it could not be run, 2 wrong usage.\n"

const struct command command_exec = {
	.name = "exec",
	.summary = "Runs a command in a throw-away copy of a built image.",
	.options = options,
	.args = "[IMAGE [COMMAND [ARG]...]]",
	.stop_at_argument = true,
	.help = EXEC_HELP,
	.run = run_exec,
};

const struct command command_chroot = {
	.name = "chroot",
	.summary = "The original's name of exec.",
	.options = options,
	.args = "[IMAGE [COMMAND [ARG]...]]",
	.stop_at_argument = true,
	.help = EXEC_HELP,
	.run = run_exec,
};
