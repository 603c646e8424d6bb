/*
 * Confines the calling process for good, for a role that runs outside a sandbox of its own: the
 * fetcher. Landlock where the kernel has it (reading the resolver's files and nothing else,
 * writing nothing), the role's seccomp list always, no_new_privs, not dumpable.
 */
#ifndef SANDBOX_CONFINE_H
#define SANDBOX_CONFINE_H

#include "sandbox/policy.h"
#include "util/err.h"

int sandbox_confine_fetcher(const struct sandbox_policy *policy, struct err *e) WARN_UNUSED;

#endif
