/* What the commands share: help, errors, exit codes, results, progress. */
#include "cli/command.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "util/num.h"
#include "util/path.h"

int command_help(const struct command *c)
{
	printf("usage: stacker %s %s\n\n%s\n\n%s", c->name, c->usage, c->summary, c->help);
	return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}

int command_usage_error(const struct command *c, const char *fmt, ...)
{
	char text[ERR_MESSAGE_MAX];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	struct err e = ERR_INIT;
	err_set(&e, ERR_USAGE, "cli/usage", "%s", text);
	err_hint(&e, "see 'stacker %s --help'", c->name);
	log_err(&e);
	return EXIT_USAGE;
}

int command_failed(const struct err *e)
{
	log_err(e);
	if (e->code == ERR_USAGE)
		return EXIT_USAGE;
	return e->code == ERR_INTERRUPTED ? EXIT_INTERRUPTED : EXIT_FAILED;
}

int command_print(const char *text, size_t len, struct err *e)
{
	return path_write_all(STDOUT_FILENO, text, len, "standard output", e);
}

static void show_fetch(void *ctx, const struct fetch_progress *p)
{
	const struct cli *cli = ctx;
	char bytes[32];
	char expected[32];
	num_format_size(p->bytes, bytes);
	num_format_size(p->bytes_expected, expected);
	char line[128];
	if (p->bytes_expected)
		snprintf(line, sizeof(line), "fetching inputs: %zu of %zu, %s of %s", p->done,
			 p->total, bytes, expected);
	else
		snprintf(line, sizeof(line), "fetching inputs: %zu of %zu, %s", p->done,
			 p->total, bytes);
	if (p->done == p->total) {
		log_status(NULL);
		log_note("fetched %zu inputs, %s", p->total, bytes);
	} else if (cli->terminal) {
		log_status(line);
	}
}

int command_context_open(const struct cli *cli, struct build_context *ret, struct err *e)
{
	if (build_context_open(&cli->dirs, ret, e) < 0)
		return -1;
	union {
		const struct cli *in;
		void *out;
	} ctx = {.in = cli}; /* show_fetch takes it back as const */
	ret->fetch.progress = show_fetch;
	ret->fetch.ctx = ctx.out;
	ret->quiet_steps = cli->quiet;
	return 0;
}
