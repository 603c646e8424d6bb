/* stacker policy show */
#include "build/policy_show.h"
#include "cli/command.h"
#include "util/limits.h"
#include "util/str.h"

static int show(bool json, struct err *e)
{
	AUTO(buf) out = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	if ((json ? policy_show_json(&out, e) : policy_show_text(&out, e)) < 0)
		return -1;
	return command_print(buf_text(&out), out.len, e);
}

struct policy_command {
	bool json;
};

static const struct opt options[] = {
	{"json", 0, OPT_FLAG, offsetof(struct policy_command, json), NULL,
	 "print it as one JSON object"},
	{0},
};

static int run_policy(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	struct policy_command p = {0};
	struct command_args args;
	int status = command_options(self, argc, argv, &p, &args);
	(void)cli;
	if (status >= 0)
		return status;
	if (args.len == 0)
		return command_usage_error(self, "say what to do: 'stacker policy show'");
	if (!str_same(args.items[0], "show"))
		return command_usage_error(self, "unknown subcommand '%s'", args.items[0]);
	if (args.len > 1)
		return command_usage_error(self, "unexpected argument '%s'", args.items[1]);
	struct err e = ERR_INIT;
	return show(p.json, &e) < 0 ? command_failed(&e) : EXIT_OK;
}

const struct command command_policy = {
	.name = "policy",
	.summary = "Shows what a step and every other process may do, and why.",
	.options = options,
	.args = "show",
	.help = "The policy is built in: the system calls of each kind of process with errno and\n"
		"argument checks, the capabilities, what is hidden of /proc, and the limits of a\n"
		"step; each with its reason. Its digest is part of every recipe digest, so that an\n"
		"image tells under which policy it was made. Exit status: 0 shown, 1 failed, 2\n"
		"wrong usage.\n",
	.run = run_policy,
};
