/*
 * Content digests. Only sha256 and sha512 exist here; anything else is refused by name, since a
 * weaker or unknown algorithm must never be mistaken for a check.
 */
#ifndef UTIL_DIGEST_H
#define UTIL_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

enum digest_alg { DIGEST_NONE = 0, DIGEST_SHA256, DIGEST_SHA512 };
enum { DIGEST_BYTES_MAX = 64, DIGEST_TEXT_MAX = 7 + 128 + 1 };

struct digest {
	enum digest_alg alg;
	uint8_t bytes[DIGEST_BYTES_MAX]; /* unused tail is zero */
};

size_t digest_len(enum digest_alg alg);		  /* in bytes; NONE: 0 */
const char *digest_alg_name(enum digest_alg alg); /* "sha256" */

/* OCI form "sha256:<64 lower-case hex>"; ERR_INPUT "digest/malformed" otherwise. */
int digest_parse(const char *text, struct digest *ret, struct err *e) WARN_UNUSED;
/* What a stackerfile may say: bare 64 hex of either case (sha256), "sha256:HEX", "sha512:HEX",
 * or SRI "sha256-BASE64" / "sha512-BASE64" (padded, one canonical encoding). */
int digest_parse_pin(const char *text, struct digest *ret, struct err *e) WARN_UNUSED;
void digest_format(const struct digest *d, char out[DIGEST_TEXT_MAX]); /* "sha256:hex" */
void digest_format_hex(const struct digest *d, char out[DIGEST_TEXT_MAX]);
bool digest_eq(const struct digest *a, const struct digest *b);

/* Streaming. One object, reusable after final. */
struct digest_stream {
	void *ctx; /* EVP_MD_CTX */
	enum digest_alg alg;
};
void digest_stream_init(struct digest_stream *s, enum digest_alg alg);
void digest_stream_add(struct digest_stream *s, const void *bytes, size_t len);
void digest_stream_final(struct digest_stream *s, struct digest *ret);
void digest_stream_cleanup(struct digest_stream *s);

void digest_bytes(enum digest_alg alg, const void *bytes, size_t len, struct digest *ret);
/* From offset 0 to the end, by pread; also gives the length if `ret_len` is not NULL. */
int digest_fd(enum digest_alg alg, int fd, const char *name, struct digest *ret,
	      uint64_t *ret_len, struct err *e) WARN_UNUSED;

#endif
