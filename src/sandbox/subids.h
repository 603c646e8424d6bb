/*
 * Giving a user the subordinate ids that a sandbox needs: a range in /etc/subuid and one in
 * /etc/subgid, as usermod would, under the lock that it takes as well.
 */
#ifndef SANDBOX_SUBIDS_H
#define SANDBOX_SUBIDS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct subids_range {
	uint32_t first;
	bool added; /* else it was there */
};

/* `etc_fd` is /etc; `file` "subuid" or "subgid"; `user` owns the range, or `uid` does. A file
 * that is absent is made. It changes as a whole or not at all. ERR_INPUT "setup/user" for a name
 * that cannot stand there, ERR_SYSTEM "setup/locked", "setup/no-range" if there are none left,
 * ERR_SANDBOX "sandbox/subid-file". */
int subids_ensure(int etc_fd, const char *file, const char *user, uint32_t uid,
		  struct subids_range *ret, struct err *e) WARN_UNUSED;

#endif
