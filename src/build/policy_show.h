/* The policy for a reader: what is enforced, why, and the digest by which recipes name it. */
#ifndef BUILD_POLICY_SHOW_H
#define BUILD_POLICY_SHOW_H

#include "util/buf.h"
#include "util/err.h"

/* A head of comments (digest, one line a role), then the embedded files as they are: as a whole
 * a stream of YAML documents. */
int policy_show_text(struct buf *out, struct err *e) WARN_UNUSED;
/* One JSON object, schema ".../sandbox-policy/v1": digest, and the content of each file by its
 * name
 * ("seccomp", "capabilities", "proc", "limits"). Unquoted decimal numbers are numbers. */
int policy_show_json(struct buf *out, struct err *e) WARN_UNUSED;

#endif
