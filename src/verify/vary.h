/*
 * What the second rebuild changes about its surroundings, so that a result that depends on them
 * shows: host name, umask, locale, time zone, CPU set (and, by the caller, every path). Applied
 * to the calling process, which is a child made for one rebuild.
 */
#ifndef VERIFY_VARY_H
#define VERIFY_VARY_H

#include <stdbool.h>
#include <sys/types.h>

#include "sandbox/idmap.h"
#include "util/err.h"

struct vary {
	const char *hostname; /* NULL: as it is */
	mode_t umask;
	const char *locale; /* LC_ALL */
	const char *timezone;
	bool one_cpu; /* the last of the CPUs we may use */
};

extern const struct vary vary_none;
extern const struct vary vary_all;

/* A host name of its own needs a UTS namespace, and an ordinary user needs a user namespace for
 * that, whose ids only a process outside can map. So `ask_map` is called between the two: it
 * must return once `sandbox_idmap_write_identity` was done for this process by its parent. */
int vary_apply(const struct vary *v, int (*ask_map)(void *ctx, struct err *e), void *ctx,
	       struct err *e) WARN_UNUSED;

#endif
