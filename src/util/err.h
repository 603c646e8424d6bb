/*
 * The one error type. A struct err lives on the caller's stack, owns no heap memory, is filled
 * once where the failure is found and reported once by cli. Fallible functions return 0 or -1
 * and take `struct err *e` last; on -1 it is filled, on 0 untouched. NULL for it is allowed where
 * only the fact of failure matters.
 *
 * Wording: lower case, problem first, subject in single quotes, no full stop; the remedy goes
 * into the hint. The id ("recipe/unknown-directive") is stable and documented in docs/errors/.
 */
#ifndef UTIL_ERR_H
#define UTIL_ERR_H

#include <stdbool.h>
#include <stdint.h>

enum err_code {
	ERR_NONE = 0,
	ERR_USAGE,	 /* the command line is wrong */
	ERR_RECIPE,	 /* the stackerfile is wrong */
	ERR_INPUT,	 /* a pinned or local input cannot be had, or is malformed */
	ERR_POLICY,	 /* refused by a rule of ours */
	ERR_SANDBOX,	 /* isolation cannot be had, or the step failed in it */
	ERR_SYSTEM,	 /* the operating system refused a call */
	ERR_MISMATCH,	 /* bytes do not hash to what was promised */
	ERR_BUG,	 /* should not happen */
	ERR_INTERRUPTED, /* SIGINT or SIGTERM */
};

enum {
	ERR_ID_MAX = 64,
	ERR_MESSAGE_MAX = 1024,
	ERR_HINT_MAX = 512,
	ERR_FILE_MAX = 256,
	ERR_SNIPPET_MAX = 512
};

/* A place in a file of the user's; line and column count from 1, 0 means "none". */
struct pos {
	const char *file; /* borrowed, lives as long as what the position describes */
	uint32_t line;
	uint32_t column;
};

struct err {
	enum err_code code;
	int saved_errno; /* 0 unless a system call failed */
	uint32_t line;	 /* position in the user's file; 0 if none */
	uint32_t column;
	uint32_t raised_line; /* where in our source, shown with --debug */
	const char *raised_file;
	char id[ERR_ID_MAX];
	char file[ERR_FILE_MAX];
	char message[ERR_MESSAGE_MAX];
	char hint[ERR_HINT_MAX];
	char snippet[ERR_SNIPPET_MAX]; /* lines to paste, shown below the hint */
};

#define ERR_INIT                                                                               \
	{                                                                                      \
		.code = ERR_NONE                                                               \
	}

#define WARN_UNUSED __attribute__((warn_unused_result))

/* Each returns -1, so that failing is one line: `return err_set(e, ERR_INPUT, "input/x", ...)`. */
#define err_set(e, code, id, ...)                                                              \
	ERR_FAIL_(err_set_((e), (code), (id), __FILE__, __LINE__, __VA_ARGS__))
/* A failed system call: appends strerror(errno) to the message; id "system/call". */
#define err_sys(e, ...) ERR_FAIL_(err_sys_((e), __FILE__, __LINE__, __VA_ARGS__))
/* An error in the user's file at `pos`; code ERR_RECIPE. */
#define err_at(e, pos, id, ...)                                                                \
	ERR_FAIL_(err_at_((e), (pos), (id), __FILE__, __LINE__, __VA_ARGS__))
/* The -1 is spelled out here so that the compiler, too, knows that out parameters stay unset. */
#define ERR_FAIL_(call)                                                                        \
	__extension__({                                                                        \
		(void)(call);                                                                  \
		-1;                                                                            \
	})

int err_set_(struct err *e, enum err_code code, const char *id, const char *file, int line,
	     const char *fmt, ...) __attribute__((format(printf, 6, 7)));
int err_sys_(struct err *e, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int err_at_(struct err *e, const struct pos *pos, const char *id, const char *file, int line,
	    const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* Adds or replaces the remedy of a filled error. */
int err_hint(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds or replaces lines that the user can paste; shown one below the other, indented. */
int err_snippet(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prefixes the message of a filled error with "context: ". */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Gives a filled error a position if it has none. */
int err_locate(struct err *e, const struct pos *pos);
/* Replaces code and id of a filled error, keeping the text. */
int err_recode(struct err *e, enum err_code code, const char *id);

/* A broken invariant: says where, then aborts, in every build type. */
#define BUG_IF(cond)                                                                           \
	do {                                                                                   \
		if (__builtin_expect(!!(cond), 0))                                             \
			err_bug(#cond, __FILE__, __LINE__);                                    \
	} while (0)
_Noreturn void err_bug(const char *what, const char *file, int line);

#endif
