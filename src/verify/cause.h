/*
 * Why the content of a file differs between two builds, as far as its bytes tell: a hint from
 * the categories of reference/audit.md 5.2, never an excuse.
 */
#ifndef VERIFY_CAUSE_H
#define VERIFY_CAUSE_H

#include "util/buf.h"

enum cause {
	CAUSE_UNEXPLAINED,
	CAUSE_ORDERING,	 /* the same lines in another order */
	CAUSE_TIMESTAMP, /* only numbers differ, and what holds them looks like a date or clock
			  */
	CAUSE_NUMBER,	 /* only numbers differ: a pid, a counter, a size */
	CAUSE_RANDOM,	 /* only long runs of letters and digits differ: an id, a key, a hash */
	CAUSES,
};

/* `a` and `b` may be the beginnings of larger files. */
enum cause cause_of_content(const struct buf *a, const struct buf *b);
/* "unexplained", "ordering", "timestamp", "number", "random" */
const char *cause_name(enum cause cause);

#endif
