/*
 * The supervisor's end of a watched filter: the kernel stops a refused call until we have
 * answered, and we answer what the plain filter would have said, having written it down.
 */
#ifndef SANDBOX_NOTIFY_INTERNAL_H
#define SANDBOX_NOTIFY_INTERNAL_H

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>

#include "sandbox/evidence.h"
#include "sandbox/seccomp_internal.h"

/* Sizes are the kernel's, which may be newer than our headers. */
struct notify {
	int fd; /* -1: nothing is watched */
	size_t request_size, answer_size;
	void *request, *answer;
};
#define NOTIFY_INIT                                                                            \
	{                                                                                      \
		.fd = -1                                                                       \
	}
void notify_cleanup(struct notify *n);

/* True if this kernel can tell a supervisor of calls. */
bool notify_supported(void);
/* Takes `fd`, which the filter's loading gave. */
void notify_start(struct notify *n, int fd);
/* Answers what is waiting, a bounded number; to be called when the fd is readable. Closes the
 * fd when nobody is left who could ask. */
void notify_answer(struct notify *n, const struct seccomp_program *plain,
		   struct sandbox_evidence *ev);

/* Between notify.c and notify_exec.c. */
/* False if the caller is gone and its number perhaps another's: what was read of it is void. */
bool notify_is_valid(const struct notify *n, const struct seccomp_notif *request);
bool notify_is_exec(int number);
void notify_record_exec(const struct notify *n, const struct seccomp_notif *request,
			struct sandbox_evidence *ev);

#endif
