/*
 * Landlock rulesets: which files a process of a role can name, as a lock of its own beside
 * mounts and seccomp. Without Landlock in the kernel nothing is restricted here and nothing
 * fails; the other locks hold without it, and `stacker check` tells.
 */
#ifndef SANDBOX_LANDLOCK_INTERNAL_H
#define SANDBOX_LANDLOCK_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "sandbox/policy.h"
#include "util/err.h"

/* Everything that Landlock knows is denied from here on, for good, except reading below `paths`
 * (those that exist). Sets no no_new_privs: the caller has. */
int landlock_reader(const char *const *paths, size_t paths_len, struct err *e) WARN_UNUSED;
/* For a worker in its root: the rights of its role below "/", no socket, device or program. */
int landlock_worker(enum policy_role role, struct err *e) WARN_UNUSED;

#endif
