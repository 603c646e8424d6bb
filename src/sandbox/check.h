/* `stacker check`: each thing the sandbox needs of kernel and machine, probed by doing it. */
#ifndef SANDBOX_CHECK_H
#define SANDBOX_CHECK_H

#include <stdbool.h>

#include "sandbox/policy.h"

struct sandbox_requirement {
	const char *id; /* "userns", "newuidmap", "overlay" ... */
	const char *title;
	bool required; /* else: stronger with it, reported only */
	bool ok;
	char detail[256]; /* what was found */
	char remedy[256]; /* empty if ok */
};

/* Calls `report` for each in a fixed order; returns the number of required ones that fail. */
unsigned sandbox_check(const struct sandbox_policy *policy, int roots_fd,
		       void (*report)(void *ctx, const struct sandbox_requirement *r),
		       void *ctx);

#endif
