/*
 * Between a person and a command in the sandbox. The caller's own terminal never gets in: the
 * command has a pseudo terminal as its controlling one, and bytes are carried to and fro, so that
 * it can neither type for the caller nor change his terminal's settings.
 */
#ifndef SANDBOX_ATTACH_INTERNAL_H
#define SANDBOX_ATTACH_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

#include "util/err.h"

struct attach {
	int from_fd; /* the caller's standard input; -1 once it has ended */
	int to_fd;   /* the supervisor's end: of a pseudo terminal or of a pipe */
	int step_fd; /* the command's standard input; closed in the supervisor once it runs */
	bool terminal;
	bool raw; /* `saved` is to be restored */
	struct termios saved;
	char pending[4096];
	size_t from, len; /* of what is pending */
};
#define ATTACH_INIT                                                                            \
	{                                                                                      \
		.from_fd = -1, .to_fd = -1, .step_fd = -1                                      \
	}
void attach_cleanup(struct attach *a);

/* Opens what carries input from `from_fd` (borrowed), and fills output[0], which reads what the
 * command writes, and output[1], which it writes to. */
int attach_open(struct attach *a, int from_fd, int output[2], struct err *e) WARN_UNUSED;
/* Once the command runs: input is carried character by character from now on. */
int attach_begin(struct attach *a, struct err *e) WARN_UNUSED;
/* What to wait for: input while nothing is pending, else room for it; -1: nothing. */
int attach_wait_input(const struct attach *a);
int attach_wait_room(const struct attach *a);
/* Carries what can be carried without waiting; `readable`: there is input. */
void attach_carry(struct attach *a, bool readable);

/* In the command, as the leader of its session, with standard input in place. */
int attach_control(struct err *e) WARN_UNUSED;

#endif
