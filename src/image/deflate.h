/*
 * Our own DEFLATE encoder (RFC 1951), one level. Its output is part of format 1 and depends on
 * the input bytes alone (docs/format-1.md, section 5): not on threads, CPU, byte order, memory
 * or a library's version.
 *
 * A stream is cut into segments of DEFLATE_SEGMENT_BYTES, the last one shorter. Each is encoded
 * on its own, to a whole number of bytes, and none refers to its neighbours: so any number of
 * threads may encode them, an encoder each, and the bytes are the same.
 */
#ifndef IMAGE_DEFLATE_H
#define IMAGE_DEFLATE_H

#include <stddef.h>
#include <stdint.h>

enum {
	DEFLATE_SEGMENT_BYTES = 512 * 1024,
	/* What a segment becomes at most: stored, in blocks of no fewer than 2 KiB. */
	DEFLATE_BOUND_BYTES = DEFLATE_SEGMENT_BYTES + DEFLATE_SEGMENT_BYTES / 256 + 64,
	/* What a segment shrinks by at most. DEFLATE itself reaches 1032, where readers that
	 * look out for bombs, ours among them (LIMIT_UNPACK_RATIO), refuse to go. */
	DEFLATE_RATIO_MAX = 400,
};

/* What ends a stream behind its last segment: an empty block that says it is the last. */
extern const uint8_t deflate_end[2];

/* Tables of less than 1 MiB, for one thread at a time; what was encoded before leaves no trace.
 */
struct deflate_encoder;
struct deflate_encoder *deflate_encoder_new(void); /* freed by free() */

/* Encodes 1 to DEFLATE_SEGMENT_BYTES bytes and gives the length of what they became. `out` has
 * room for DEFLATE_BOUND_BYTES. */
size_t deflate_segment(struct deflate_encoder *d, const uint8_t *in, size_t len, uint8_t *out);

#endif
