/*
 * SHA-256 and SHA-512 by OpenSSL, and the three spellings of a digest. libcrypto failing to
 * give either hash means a broken installation, for which there is no sensible continuation.
 */
#include "util/digest.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "util/limits.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/str.h"

static const struct {
	const char *name;
	size_t len;
} algorithms[] = {
	[DIGEST_NONE] = {"none", 0},
	[DIGEST_SHA256] = {"sha256", 32},
	[DIGEST_SHA512] = {"sha512", 64},
};

static const EVP_MD *message_digest(enum digest_alg alg)
{
	switch (alg) {
	case DIGEST_SHA256:
		return EVP_sha256();
	case DIGEST_SHA512:
		return EVP_sha512();
	case DIGEST_NONE:
		break;
	}
	err_bug("digest without an algorithm", __FILE__, __LINE__);
}

size_t digest_len(enum digest_alg alg)
{
	BUG_IF((size_t)alg >= ARRAY_LEN(algorithms));
	return algorithms[alg].len;
}

const char *digest_alg_name(enum digest_alg alg)
{
	BUG_IF((size_t)alg >= ARRAY_LEN(algorithms));
	return algorithms[alg].name;
}

/* 0 to 63, or -1; '=' is not a digit here. */
static int base64_value(char digit)
{
	if (digit >= 'A' && digit <= 'Z')
		return digit - 'A';
	if (digit >= 'a' && digit <= 'z')
		return digit - 'a' + 26;
	if (digit >= '0' && digit <= '9')
		return digit - '0' + 52;
	if (digit == '+')
		return 62;
	return digit == '/' ? 63 : -1;
}

/* Exactly `ret_len` bytes in their one canonical spelling (RFC 4648 sections 3.2 and 3.5). */
static bool base64_decode(const char *text, size_t len, uint8_t *ret, size_t ret_len)
{
	size_t padding = (3 - ret_len % 3) % 3;
	size_t out = 0;
	uint32_t window = 0;

	if (len != (ret_len + 2) / 3 * 4)
		return false;
	for (size_t i = 0; i < len; i++) {
		int value = base64_value(text[i]);

		if (i >= len - padding) {
			if (text[i] != '=')
				return false;
			value = 0;
		}
		if (value < 0)
			return false;
		window = window << 6 | (uint32_t)value;
		if (i % 4 != 3)
			continue;
		for (int shift = 16; shift >= 0; shift -= 8) {
			uint8_t byte = (uint8_t)(window >> shift);

			if (out < ret_len)
				ret[out++] = byte;
			else if (byte != 0)
				return false; /* bits beyond the data: a second spelling */
		}
		window = 0;
	}
	return true;
}

static int malformed(const char *text, struct err *e)
{
	err_set(e, ERR_INPUT, "digest/malformed", "digest '%s' is not valid", text);
	return err_hint(e, "write 64 hexadecimal digits (SHA-256), or sha256:HEX, sha512:HEX, "
			   "sha256-BASE64 or sha512-BASE64");
}

int digest_parse(const char *text, struct digest *ret, struct err *e)
{
	struct digest d = {.alg = DIGEST_SHA256};
	const char *hex = text + strlen("sha256:");

	if (!str_has_prefix(text, "sha256:") || strpbrk(hex, "ABCDEF") ||
	    !num_parse_hex(hex, strlen(hex), d.bytes, digest_len(d.alg))) {
		err_set(e, ERR_INPUT, "digest/malformed", "digest '%s' is not valid", text);
		return err_hint(e, "expected 'sha256:' and 64 lower-case hexadecimal digits");
	}
	*ret = d;
	return 0;
}

/* A name as people write algorithms, before a ':' or '-': "md5", "sha1", "blake3", "sha3-256".
 */
static size_t algorithm_prefix_len(const char *text)
{
	size_t len = strspn(
		text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.");

	if (len == 0 || (text[len] != ':' && text[len] != '-'))
		return 0;
	return len;
}

int digest_parse_pin(const char *text, struct digest *ret, struct err *e)
{
	struct digest d = {.alg = DIGEST_SHA256};
	size_t prefix = algorithm_prefix_len(text);
	struct str name = {text, prefix};

	if (prefix == 0) {
		if (!num_parse_hex(text, strlen(text), d.bytes, digest_len(d.alg)))
			return malformed(text, e);
		*ret = d;
		return 0;
	}
	if (str_eq_c(name, "sha512")) {
		d.alg = DIGEST_SHA512;
	} else if (!str_eq_c(name, "sha256")) {
		err_set(e, ERR_INPUT, "digest/algorithm",
			"digest '%s' uses the algorithm '%.*s', which is not supported", text,
			(int)prefix, text);
		return err_hint(e, "pin the content with sha256 or sha512");
	}
	const char *value = text + prefix + 1;
	bool ok = text[prefix] == ':'
			  ? num_parse_hex(value, strlen(value), d.bytes, digest_len(d.alg))
			  : base64_decode(value, strlen(value), d.bytes, digest_len(d.alg));

	if (!ok)
		return malformed(text, e);
	*ret = d;
	return 0;
}

void digest_format(const struct digest *d, char out[DIGEST_TEXT_MAX])
{
	const char *name = digest_alg_name(d->alg);
	size_t name_len = strlen(name);

	memcpy(out, name, name_len);
	out[name_len] = ':';
	num_format_hex(d->bytes, digest_len(d->alg), out + name_len + 1);
}

void digest_format_hex(const struct digest *d, char out[DIGEST_TEXT_MAX])
{
	num_format_hex(d->bytes, digest_len(d->alg), out);
}

bool digest_eq(const struct digest *a, const struct digest *b)
{
	/* Two digests of nothing are not a match: an unset pin must never verify. */
	return a->alg != DIGEST_NONE && a->alg == b->alg &&
	       memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

void digest_stream_init(struct digest_stream *s, enum digest_alg alg)
{
	s->alg = alg;
	s->ctx = EVP_MD_CTX_new();
	BUG_IF(!s->ctx);
	BUG_IF(EVP_DigestInit_ex(s->ctx, message_digest(alg), NULL) != 1);
}

void digest_stream_add(struct digest_stream *s, const void *bytes, size_t len)
{
	BUG_IF(EVP_DigestUpdate(s->ctx, bytes, len) != 1);
}

void digest_stream_final(struct digest_stream *s, struct digest *ret)
{
	*ret = (struct digest){.alg = s->alg};
	BUG_IF(EVP_DigestFinal_ex(s->ctx, ret->bytes, NULL) != 1);
	BUG_IF(EVP_DigestInit_ex(s->ctx, message_digest(s->alg), NULL) != 1);
}

void digest_stream_cleanup(struct digest_stream *s)
{
	EVP_MD_CTX_free(s->ctx);
	s->ctx = NULL;
}

void digest_bytes(enum digest_alg alg, const void *bytes, size_t len, struct digest *ret)
{
	AUTO(digest_stream) s = {0};

	digest_stream_init(&s, alg);
	digest_stream_add(&s, bytes, len);
	digest_stream_final(&s, ret);
}

int digest_fd(enum digest_alg alg, int fd, const char *name, struct digest *ret,
	      uint64_t *ret_len, struct err *e)
{
	enum { CHUNK = 256 * 1024 };
	AUTO_FREE char *chunk = mem_alloc(CHUNK);
	AUTO(digest_stream) s = {0};
	off_t at = 0;

	digest_stream_init(&s, alg);
	for (;;) {
		ssize_t got = pread(fd, chunk, CHUNK, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "cannot read '%s'", name);
		if (got == 0)
			break;
		digest_stream_add(&s, chunk, (size_t)got);
		at += got;
	}
	digest_stream_final(&s, ret);
	if (ret_len)
		*ret_len = (uint64_t)at;
	return 0;
}
