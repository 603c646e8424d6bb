/* What the commands share: help, errors, exit codes, results, progress. */
#include "cli/command.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/globals.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/path.h"

enum { HELP_BYTES = 64 * 1024 };

enum { USAGE_WIDTH = 80, USAGE_INDENT = 8 };

/* One "[-f FILE]" after the other, none of them broken. */
static void add_wrapped(struct buf *out, const char *text, size_t column)
{
	while (*text) {
		const char *end = strstr(text, " [");
		size_t len = end ? (size_t)(end - text) : strlen(text);
		if (column + 1 + len > USAGE_WIDTH) {
			buf_addf(out, "\n%*s", USAGE_INDENT - 1, "");
			column = USAGE_INDENT - 1;
		}
		buf_addf(out, " %.*s", (int)len, text);
		column += 1 + len;
		text += len + (end != NULL);
	}
}

static void add_usage(const struct command *c, struct buf *out)
{
	AUTO(buf) options = BUF_INIT(HELP_BYTES);
	opt_usage(c->options, &options);
	if (c->args)
		buf_addf(&options, "%s%s", options.len > 0 ? " " : "", c->args);
	buf_addf(out, "usage: stacker %s", c->name);
	add_wrapped(out, buf_text(&options), out->len);
	buf_add_c(out, "\n\n");
}

void command_help_text(const struct command *c, struct buf *out)
{
	add_usage(c, out);
	buf_addf(out, "%s\n\n", c->summary);
	opt_help(c->options, out);
	if (c->options->name)
		buf_add_byte(out, '\n');
	buf_add_c(out, c->help);
}

int command_help(const struct command *c)
{
	AUTO(buf) out = BUF_INIT(HELP_BYTES);
	struct err e = ERR_INIT;
	command_help_text(c, &out);
	return command_print_buf(&out, &e) < 0 ? command_failed(&e) : EXIT_OK;
}

int command_options(const struct command *self, int argc, char **argv, void *target,
		    struct command_args *ret)
{
	struct err e = ERR_INIT;
	int first = 0;
	switch (opt_parse(self->options, self->stop_at_argument, argc, argv, target, &first,
			  &e)) {
	case OPT_HELP:
		return command_help(self);
	case OPT_WRONG:
		if (first > 0 && opt_find(globals_options, argv[first]))
			err_hint(&e, "it stands before the command: stacker %s ... %s",
				 argv[first], self->name);
		else if (!e.hint[0])
			err_hint(&e, "see 'stacker %s --help'", self->name);
		return command_failed(&e);
	case OPT_GO_ON:
		break;
	}
	if (!self->args && first < argc)
		return command_usage_error(self, "unexpected argument '%s'", argv[first]);
	if (ret)
		*ret = (struct command_args){(const char *const *)argv + first,
					     (size_t)(argc - first)};
	return -1;
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

int command_print_buf(const struct buf *b, struct err *e)
{
	if (buf_check(b, "result", e) < 0)
		return -1;
	return command_print(buf_text(b), b->len, e);
}

/* One line that changes on a terminal; with --progress, lines elsewhere. */
static void show_line(const struct cli *cli, const char *line)
{
	if (cli->terminal)
		log_status(line);
	else if (cli->progress)
		log_note("%s", line);
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
	} else {
		show_line(cli, line);
	}
}

static void show_transfer(void *ctx, const struct registry_progress *p)
{
	const struct cli *cli = ctx;
	char bytes[32];
	char expected[32];
	char line[128];
	num_format_size(p->bytes, bytes);
	num_format_size(p->bytes_expected, expected);
	snprintf(line, sizeof(line), "transferring blobs: %zu of %zu, %s of %s", p->done,
		 p->total, bytes, expected);
	if (p->done < p->total)
		show_line(cli, line);
	else
		log_status(NULL);
}

/* The user's own environment goes to credential helpers; nothing else looks into it. */
static void set_network(const struct cli *cli, struct build_context *c)
{
	union {
		const struct cli *in;
		void *out;
	} ctx = {.in = cli}; /* the progress functions take it back as const */
	c->fetch.progress = show_fetch;
	c->fetch.ctx = ctx.out;
	c->fetch.ca_file = cli->ca_file;
	c->registry.progress = show_transfer;
	c->registry.ctx = ctx.out;
	c->registry.ca_file = cli->ca_file;
	c->registry.token_hosts = cli->token_hosts;
	c->registry.environment = (const char *const *)environ;
}

int command_context_open(const struct cli *cli, struct build_context *ret, struct err *e)
{
	if (build_context_open(&cli->dirs, ret, e) < 0)
		return -1;
	set_network(cli, ret);
	ret->sources = cli->sources;
	ret->quiet_steps = cli->quiet;
	ret->tell_copies = cli->progress;
	return 0;
}

int command_store_open(const struct cli *cli, struct build_context *ret, struct err *e)
{
	if (build_context_open_store(&cli->dirs, ret, e) < 0)
		return -1;
	set_network(cli, ret);
	return 0;
}
