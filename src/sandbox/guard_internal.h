/*
 * A second filter of a step's system calls, independent of the policy: what no step may ever
 * reach, whatever the list says. See docs/sandbox.md, "System calls".
 */
#ifndef SANDBOX_GUARD_INTERNAL_H
#define SANDBOX_GUARD_INTERNAL_H

#include "sandbox/seccomp_internal.h"
#include "util/err.h"

/* Its code is borrowed: neither to be changed nor freed. */
struct seccomp_program guard_program(void);

/* For pid 1 and all that it forks; for good. No malloc. */
int guard_install(struct err *e) WARN_UNUSED;

#endif
