/* The policy files as embedded at build time, parsed into what the sandbox enforces. */
#ifndef BUILD_POLICY_H
#define BUILD_POLICY_H

#include "image/volatile.h"
#include "sandbox/policy.h"
#include "util/digest.h"

/* The digest covers the files' bytes and names in a fixed order; it enters every recipe digest.
 */
int policy_load(struct sandbox_policy *ret, struct digest *ret_digest,
		struct err *e) WARN_UNUSED;

/* policy/volatile.yaml, for the packer. */
int policy_load_volatile(struct volatile_list *ret, struct err *e) WARN_UNUSED;

/* The embedded files, in the order of the digest. */
enum { POLICY_FILES = 5 };
struct policy_text {
	const char *name; /* "policy/seccomp.yaml" */
	const char *bytes;
	size_t len;
};
struct policy_text policy_text(size_t index);

#endif
