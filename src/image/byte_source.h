/*
 * Bytes out of a blob: a range of a file, plain or through one decompressor, given out in
 * chunks while they are counted and hashed. The coding is chosen by the caller (a media type,
 * or magic bytes that were looked at once), never guessed here, and there is exactly one level
 * of it.
 *
 * Strict where usual readers are lax: a gzip member's CRC and length are checked, every byte
 * must belong to a member or frame, and a stream that stops early is an error, not an end.
 */
#ifndef IMAGE_BYTE_SOURCE_H
#define IMAGE_BYTE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/digest.h"

enum byte_coding { BYTE_PLAIN, BYTE_GZIP, BYTE_ZSTD, BYTE_XZ, BYTE_BZIP2 };

/* The compressed side. Read with pread, so that the fd's offset is nobody's business. */
struct byte_input {
	int fd; /* borrowed */
	uint64_t begin, offset, end;
	uint8_t *bytes;
	size_t pos, len; /* what is unread in `bytes` */
};

struct byte_coder;
struct byte_ahead;

struct byte_source {
	const char *what; /* for errors; borrowed */
	enum byte_coding coding;
	const struct byte_coder *coder;
	void *state; /* the coder's */
	struct byte_input in;
	uint8_t *out;
	uint64_t out_bytes, max_out_bytes;
	uint64_t frames; /* members or frames read completely */
	bool in_frame, ended;
	struct byte_ahead *ahead; /* decodes in a thread; then all above is the thread's */
	struct digest_stream hash;
};

struct byte_source_options {
	int fd;
	uint64_t offset, len; /* the range; must lie inside the file */
	enum byte_coding coding;
	uint64_t max_bytes;   /* of output */
	enum digest_alg hash; /* over the output, or DIGEST_NONE */
	const char *what;
	/* Long compressed input is decoded in a thread, ahead of byte_source_next. */
	bool ahead;
};

int byte_source_open(struct byte_source *s, const struct byte_source_options *options,
		     struct err *e) WARN_UNUSED;
/* The same bytes once more from their beginning, beside `from` and not hashed. */
int byte_source_reopen(const struct byte_source *from, struct byte_source *ret,
		       struct err *e) WARN_UNUSED;
/* The next chunk, valid until the next call; *ret_len 0 once the end was reached and checked.
 * ERR_INPUT "unpack/truncated", "unpack/corrupt", "unpack/trailing-bytes", "unpack/too-big". */
int byte_source_next(struct byte_source *s, const uint8_t **ret, size_t *ret_len,
		     struct err *e) WARN_UNUSED;
/* Of all output; once, after the end. */
void byte_source_digest(struct byte_source *s, struct digest *ret);
void byte_source_cleanup(struct byte_source *s);

/* `max_bytes`, lowered to what an input of `in_bytes` may honestly expand to (SEC UN19). */
uint64_t byte_source_output_limit(uint64_t max_bytes, uint64_t in_bytes);

#endif
