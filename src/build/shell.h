/*
 * A command that a person runs to look around: on a throw-away copy of a built image, or of what
 * a failed step left behind. The same sandbox as a step's, but with the caller's input; nothing
 * of what it changes is kept.
 */
#ifndef BUILD_SHELL_H
#define BUILD_SHELL_H

#include "build/context.h"
#include "util/vec.h"

struct shell_command {
	const char *const *words; /* at least one */
	size_t words_len;
	const char *term; /* the caller's TERM, for a terminal of its own; or NULL */
	void (*output)(void *ctx, const char *bytes, size_t len);
	void *ctx;
};

struct shell_place {
	const char *label;	     /* the image */
	const struct strvec *lowers; /* trees, topmost first */
	const char *imports;	     /* below roots/, shown at /stacker/imports; or NULL */
	bool imports_beside;	     /* as in sandbox/run.h */
	const struct map *env;	     /* beyond what every command finds; may replace that */
};

/* *ret_exit_code is the command's; 128 + signal if it was killed. ERR_SANDBOX "sandbox/exec" if
 * there is no such command in the image. */
int shell_run(struct build_context *c, const struct shell_place *place,
	      const struct shell_command *command, int *ret_exit_code,
	      struct err *e) WARN_UNUSED;

#endif
