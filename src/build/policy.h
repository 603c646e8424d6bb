/* The policy files as embedded at build time, parsed into what the sandbox enforces. */
#ifndef BUILD_POLICY_H
#define BUILD_POLICY_H

#include "sandbox/policy.h"
#include "util/digest.h"

/* The digest covers the files' bytes and names in a fixed order; it enters every recipe digest.
 */
int policy_load(struct sandbox_policy *ret, struct digest *ret_digest,
		struct err *e) WARN_UNUSED;

#endif
