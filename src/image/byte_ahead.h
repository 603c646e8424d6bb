/*
 * Decompressing in a thread of its own, some chunks ahead of who uses them: a layer takes about
 * as long to decompress as to write. Internal to byte_source, whose rules stay the same: order,
 * limits, the digest, and an error where it belongs.
 */
#ifndef IMAGE_BYTE_AHEAD_H
#define IMAGE_BYTE_AHEAD_H

#include "image/byte_source.h"

struct byte_ahead;
/* From now on only the thread touches the source, until `stop`. NULL: the system gives no
 * thread. */
struct byte_ahead *byte_ahead_start(struct byte_source *s);
int byte_ahead_next(struct byte_ahead *a, const uint8_t **ret, size_t *ret_len,
		    struct err *e) WARN_UNUSED;
void byte_ahead_stop(struct byte_ahead **a); /* NULL is fine */

#endif
