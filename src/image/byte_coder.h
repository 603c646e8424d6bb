/* What one decompressor has to offer to byte_source; internal to the image module. */
#ifndef IMAGE_BYTE_CODER_H
#define IMAGE_BYTE_CODER_H

#include "image/byte_source.h"

enum {
	BYTE_CHUNK_BYTES = 128 * 1024,
	BYTE_AHEAD_LEAST_BYTES = 256 * 1024, /* of input, to be worth a thread */
};

/* A format of frames (zstd), members (gzip) or streams (xz) that may follow one another. */
struct byte_frames {
	size_t magic_len;
	bool (*is_magic)(const uint8_t *magic); /* begins a frame */
	const char *otherwise; /* what the first frame is without: "not gzip" */
	/* Makes the decoder ready for another frame; may be NULL. */
	int (*begin)(struct byte_source *s, struct err *e);
	/* Decodes from s->in, which is empty only where the range ends, into s->out once. */
	int (*step)(struct byte_source *s, size_t *ret_len, bool *ret_frame_ended,
		    struct err *e);
};

struct byte_coder {
	int (*open)(struct byte_source *s, struct err *e);
	/* Fills s->out with 1..BYTE_CHUNK_BYTES bytes; *ret_len 0 at the checked end. */
	int (*decode)(struct byte_source *s, size_t *ret_len, struct err *e);
	void (*close)(struct byte_source *s);
	const struct byte_frames *frames; /* where `decode` is byte_frames_decode */
};

extern const struct byte_coder byte_coder_gzip, byte_coder_zstd, byte_coder_xz,
	byte_coder_bzip2;

int byte_frames_decode(struct byte_source *s, size_t *ret_len, struct err *e) WARN_UNUSED;

/* What byte_source_next does where there is no thread, and the thread where there is one. */
int byte_source_decode(struct byte_source *s, const uint8_t **ret, size_t *ret_len,
		       struct err *e) WARN_UNUSED;

/* Makes at least `min` unread bytes available in s->in if the range still holds as many. */
int byte_input_fill(struct byte_source *s, size_t min, struct err *e) WARN_UNUSED;
static inline const uint8_t *byte_input_ptr(const struct byte_source *s)
{
	return s->in.bytes + s->in.pos;
}
static inline size_t byte_input_len(const struct byte_source *s)
{
	return s->in.len - s->in.pos;
}

int byte_error_truncated(const struct byte_source *s, struct err *e);
int byte_error_corrupt(const struct byte_source *s, const char *why, struct err *e);
int byte_error_trailing(const struct byte_source *s, struct err *e);

#endif
