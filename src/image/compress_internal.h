/* What a form of compression has to offer to compress.c. */
#ifndef IMAGE_COMPRESS_INTERNAL_H
#define IMAGE_COMPRESS_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

struct segment_coder {
	size_t segment_bytes;
	size_t bound_bytes; /* of an encoded segment */
	/* What one thread needs. */
	void *(*open)(void);
	void (*close)(void *state);
	/* 1 to segment_bytes, into bound_bytes; gives the length. Depends on the bytes alone. */
	size_t (*encode)(void *state, const uint8_t *in, size_t len, uint8_t *out);
};

extern const struct segment_coder segment_coder_gzip, segment_coder_zstd;

#endif
