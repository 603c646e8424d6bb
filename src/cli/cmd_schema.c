/* stacker schema */
#include "cli/command.h"
#include "recipe/schema_json.h"
#include "util/limits.h"
#include "util/mem.h"

static const struct opt options[] = {
	{0},
};

static int run_schema(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	(void)cli;
	int status = command_options(self, argc, argv, NULL, NULL);
	if (status >= 0)
		return status;
	AUTO(buf) out = BUF_INIT(MIB);
	struct err e = ERR_INIT;
	schema_json(&out);
	return command_print_buf(&out, &e) < 0 ? command_failed(&e) : EXIT_OK;
}

const struct command command_schema = {
	.name = "schema",
	.summary = "Prints a JSON Schema of the stackerfile, for editors.",
	.options = options,
	.help = "It is made from the table that the parser goes by. Every stackerfile that is\n"
		"accepted fits it; unknown directives and values of a wrong kind do not.\n"
		"Exit status: 0 printed, 1 failed, 2 wrong usage.\n",
	.run = run_schema,
};
