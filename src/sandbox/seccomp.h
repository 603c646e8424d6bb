/* Loads the seccomp list of one role onto the calling process (no_new_privs is set first). */
#ifndef SANDBOX_SECCOMP_H
#define SANDBOX_SECCOMP_H

#include "sandbox/policy.h"
#include "util/err.h"

int sandbox_seccomp_load(const struct sandbox_policy *policy, enum policy_role role,
			 struct err *e) WARN_UNUSED;

#endif
