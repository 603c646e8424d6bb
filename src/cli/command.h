/*
 * One command, one file, one const record with a table of its options. What every command works
 * with is in struct cli, filled from the options before the command's name.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>

#include "build/context.h"
#include "cli/opt.h"
#include "util/log.h"

/* Exit codes of every command but verify; verify has its own (verify/verify.h). */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

struct cli {
	struct build_dirs dirs;		     /* owned texts */
	const struct build_sources *sources; /* of conf.yaml */
	bool terminal;			     /* stderr is one: progress lines */
	bool progress; /* progress also where stderr is no terminal, as lines */
	bool quiet;
	const char *ca_file;			     /* or NULL */
	const char *const *token_hosts;		     /* NULL-terminated */
	const char *env_epoch;			     /* SOURCE_DATE_EPOCH, or NULL */
	const char *env_term;			     /* TERM, or NULL */
	const char *sudo_user, *sudo_uid, *sudo_gid; /* who called sudo, or NULL */
};

struct command {
	const char *name;
	const char *summary;	   /* one line for the list of commands */
	const struct opt *options; /* never NULL */
	const char *args;      /* what follows the options in the usage line; NULL: nothing */
	bool stop_at_argument; /* options end at the first argument: the rest is a command */
	const char *help;      /* paragraphs below the list of options */
	int (*run)(const struct cli *cli, const struct command *self, int argc, char **argv);
};

extern const struct command command_build;
extern const struct command command_recursive_build;
extern const struct command command_verify;
extern const struct command command_eval;
extern const struct command command_schema;
extern const struct command command_check;
extern const struct command command_clean;
extern const struct command command_exec, command_chroot;
extern const struct command command_publish;
extern const struct command command_completion, command_manual;
extern const struct command command_unpriv_setup;
extern const struct command command_gc;
extern const struct command command_grab;
extern const struct command command_explain_miss;
extern const struct command command_policy;
extern const struct command command_inspect;
extern const struct command command_lock;
extern const struct command command_copy;
extern const struct command command_fetch;
extern const struct command command_bundle;
extern const struct command command_lint;
extern const struct command command_convert;

/* All of them, in the order of --help (commands.c). */
extern const struct command *const commands[];
extern const size_t commands_len;

/* Commands from `first` on, until another group begins, stand below `title` in --help. */
struct command_group {
	const struct command *first;
	const char *title;
};
extern const struct command_group command_groups[];
extern const size_t command_groups_len;

struct command_args {
	const char *const *items;
	size_t len;
};
/* Fills `target` as the command's table says. -1: go on; else the exit code to end with, since
 * help was asked for or the command line is wrong. Arguments of a command that takes none are
 * such a mistake. `ret` may be NULL then. */
int command_options(const struct command *self, int argc, char **argv, void *target,
		    struct command_args *ret);

/* The text of --help. */
void command_help_text(const struct command *c, struct buf *out);
/* Prints it to stdout; EXIT_OK. */
int command_help(const struct command *c);
/* Reports a usage error with a pointer to --help; EXIT_USAGE. */
int command_usage_error(const struct command *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Reports `e` and gives the exit code that belongs to it. */
int command_failed(const struct err *e);
/* Writes a result to stdout and checks that all of it arrived. */
int command_print(const char *text, size_t len, struct err *e) WARN_UNUSED;
/* Likewise, after buf_check(). */
int command_print_buf(const struct buf *b, struct err *e) WARN_UNUSED;
/* For a shell_command's output: to stdout; `ctx` is a struct err that keeps the first failure. */
void command_shell_output(void *ctx, const char *bytes, size_t len);
/* Opens the context of a command, with progress of downloads if there is a terminal. */
int command_context_open(const struct cli *cli, struct build_context *ret,
			 struct err *e) WARN_UNUSED;
/* Likewise the store alone, for what only moves images. */
int command_store_open(const struct cli *cli, struct build_context *ret,
		       struct err *e) WARN_UNUSED;

#endif
