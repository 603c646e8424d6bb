/* stacker policy show */
#include <getopt.h>

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

static int run_policy(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	bool json = false;
	bool is_show = argc > 1 && str_same(argv[1], "show");
	(void)cli;
	if (is_show) { /* options follow it */
		argc--;
		argv++;
	}
	for (int o; (o = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
		if (o == 'h')
			return command_help(self);
		if (o != 'j')
			return command_usage_error(self, "unknown option '%s'",
						   argv[optind - 1]);
		json = true;
	}
	if (optind < argc)
		return command_usage_error(
			self, "%s '%s'", is_show ? "unexpected argument" : "unknown subcommand",
			argv[optind]);
	if (!is_show)
		return command_usage_error(self, "say what to do: 'stacker policy show'");
	struct err e = ERR_INIT;
	return show(json, &e) < 0 ? command_failed(&e) : EXIT_OK;
}

const struct command command_policy = {
	.name = "policy",
	.summary = "Shows what a step and every other process may do, and why.",
	.usage = "show [--json]",
	.help = "      --json  print it as one JSON object\n"
		"\n"
		"The policy is built in: the system calls of each kind of process with errno and\n"
		"argument checks, the capabilities, what is hidden of /proc, and the limits of a\n"
		"step; each with its reason. Its digest is part of every recipe digest, so that an\n"
		"image tells under which policy it was made. Exit status: 0 shown, 1 failed, 2\n"
		"wrong usage.\n",
	.run = run_policy,
};
