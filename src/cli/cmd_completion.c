/* stacker completion, and stacker manual: texts for other programs, made from the tables. */
#include "cli/command.h"
#include "cli/completion.h"
#include "cli/manual.h"
#include "util/str.h"

enum { TEXT_BYTES = 1024 * 1024 };

static const struct opt no_options[] = {{0}};

/* Prints the text for the one argument; `add` is false if there is none for it. */
static int print_for(const struct command *self, int argc, char **argv,
		     bool (*add)(const char *what, struct buf *out), const char *complaint)
{
	AUTO(buf) out = BUF_INIT(TEXT_BYTES);
	struct command_args args;
	struct err e = ERR_INIT;
	int status = command_options(self, argc, argv, NULL, &args);
	if (status >= 0)
		return status;
	if (args.len != 1)
		return command_usage_error(self, "%s", complaint);
	if (!add(args.items[0], &out))
		return command_usage_error(self, "nothing for '%s'; %s", args.items[0],
					   complaint);
	return command_print_buf(&out, &e) < 0 ? command_failed(&e) : EXIT_OK;
}

static bool add_completion(const char *shell, struct buf *out)
{
	if (str_same(shell, "bash"))
		completion_bash(out);
	else if (str_same(shell, "zsh"))
		completion_zsh(out);
	return out->len > 0;
}

static int run_completion(const struct cli *cli, const struct command *self, int argc,
			  char **argv)
{
	(void)cli;
	return print_for(self, argc, argv, add_completion, "say for which shell: bash or zsh");
}

static bool add_page(const char *name, struct buf *out)
{
	for (size_t i = 0; i < commands_len; i++)
		if (str_same(commands[i]->name, name))
			manual_page(commands[i], out);
	return out->len > 0;
}

static int run_manual(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	(void)cli;
	return print_for(self, argc, argv, add_page, "say the page of which command");
}

const struct command command_completion = {
	.name = "completion",
	.summary = "Prints what makes a shell complete stacker's commands and options.",
	.options = no_options,
	.args = "bash|zsh",
	.help = "For the current shell: eval \"$(stacker completion bash)\". 'make install' puts both\n"
		"where the shells look for them. Exit status: 0 printed, 1 failed, 2 wrong usage.\n",
	.run = run_completion,
};

const struct command command_manual = {
	.name = "manual",
	.summary = "Prints the manual page of a command, in scdoc's language.",
	.options = no_options,
	.args = "COMMAND",
	.help = "Made from what --help says: stacker manual build | scdoc > stacker-build.1.\n"
		"Exit status: 0 printed, 1 failed, 2 wrong usage.\n",
	.run = run_manual,
};
