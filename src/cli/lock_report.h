/* Two locks beside each other, for people and for machines. */
#ifndef CLI_LOCK_REPORT_H
#define CLI_LOCK_REPORT_H

#include <jansson.h>

#include "recipe/lockfile.h"

/* A line a difference: "+", "-" or "~", the URL, the hashes; none if there is none. */
void lock_report_text(const struct lockfile *before, const struct lockfile *after,
		      struct buf *out);
/* {"changes": [{"change", "url", "before"?, "after"?}], "source_date_epoch": {...}?}; the caller's. */
json_t *lock_report_json(const struct lockfile *before, const struct lockfile *after);

#endif
