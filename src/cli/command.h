/*
 * One command, one file, one const record. What every command works with is in struct cli,
 * filled from the options before the command's name.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>

#include "build/context.h"
#include "util/log.h"

/* Exit codes of every command but verify; verify has its own (verify/verify.h). */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

struct cli {
	struct build_dirs dirs; /* owned texts */
	bool terminal;		/* stderr is one: progress lines */
	bool quiet;
	const char *env_epoch; /* SOURCE_DATE_EPOCH, or NULL */
};

struct command {
	const char *name;
	const char *summary; /* one line for the list of commands */
	const char *help;    /* everything after the usage line */
	const char *usage;
	int (*run)(const struct cli *cli, const struct command *self, int argc, char **argv);
};

extern const struct command command_build;
extern const struct command command_verify;
extern const struct command command_check;
extern const struct command command_clean;
extern const struct command command_policy;

/* Prints usage and help to stdout; EXIT_OK. */
int command_help(const struct command *c);
/* Reports a usage error with a pointer to --help; EXIT_USAGE. */
int command_usage_error(const struct command *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Reports `e` and gives the exit code that belongs to it. */
int command_failed(const struct err *e);
/* Writes a result to stdout and checks that all of it arrived. */
int command_print(const char *text, size_t len, struct err *e) WARN_UNUSED;
/* Opens the context of a command, with progress of downloads if there is a terminal. */
int command_context_open(const struct cli *cli, struct build_context *ret,
			 struct err *e) WARN_UNUSED;

#endif
