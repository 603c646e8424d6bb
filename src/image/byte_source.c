/*
 * The common half of every decompressor: reading the range, counting and hashing the output.
 * The limits on output are enforced here alone, so that no coder can forget them.
 */
#include "image/byte_source.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "image/byte_ahead.h"
#include "image/byte_coder.h"
#include "util/limits.h"
#include "util/mem.h"

int byte_error_truncated(const struct byte_source *s, struct err *e)
{
	return err_set(e, ERR_INPUT, "unpack/truncated", "'%s' ends too early", s->what);
}

int byte_error_corrupt(const struct byte_source *s, const char *why, struct err *e)
{
	return err_set(e, ERR_INPUT, "unpack/corrupt", "'%s' cannot be decompressed: %s",
		       s->what, why);
}

int byte_error_trailing(const struct byte_source *s, struct err *e)
{
	return err_set(e, ERR_INPUT, "unpack/trailing-bytes",
		       "'%s' has bytes after the end of its compressed data", s->what);
}

int byte_input_fill(struct byte_source *s, size_t min, struct err *e)
{
	struct byte_input *in = &s->in;
	if (in->len - in->pos >= min)
		return 0;
	memmove(in->bytes, in->bytes + in->pos, in->len - in->pos);
	in->len -= in->pos;
	in->pos = 0;
	while (in->len < min && in->offset < in->end) {
		size_t room = BYTE_CHUNK_BYTES - in->len;
		if (room > in->end - in->offset)
			room = (size_t)(in->end - in->offset);
		ssize_t n = pread(in->fd, in->bytes + in->len, room, (off_t)in->offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "cannot read '%s'", s->what);
		if (n == 0)
			return byte_error_truncated(s, e);
		in->len += (size_t)n;
		in->offset += (uint64_t)n;
	}
	return 0;
}

uint64_t byte_source_output_limit(uint64_t max_bytes, uint64_t in_bytes)
{
	uint64_t by_ratio = in_bytes > UINT64_MAX / LIMIT_UNPACK_RATIO
				    ? UINT64_MAX
				    : in_bytes * LIMIT_UNPACK_RATIO;
	if (max_bytes < LIMIT_UNPACK_RATIO_FREE_BYTES)
		return max_bytes;
	return by_ratio < max_bytes - LIMIT_UNPACK_RATIO_FREE_BYTES
		       ? by_ratio + LIMIT_UNPACK_RATIO_FREE_BYTES
		       : max_bytes;
}

static int plain_open(struct byte_source *s, struct err *e)
{
	(void)s;
	(void)e;
	return 0;
}

static int plain_decode(struct byte_source *s, size_t *ret_len, struct err *e)
{
	if (byte_input_fill(s, 1, e) < 0)
		return -1;
	size_t len = byte_input_len(s);
	if (len > 0)
		memcpy(s->out, byte_input_ptr(s), len);
	s->in.pos += len;
	*ret_len = len;
	return 0;
}

static void plain_close(struct byte_source *s)
{
	(void)s;
}

static const struct byte_coder byte_coder_plain = {plain_open, plain_decode, plain_close, NULL};

static const struct byte_coder *coder_of(enum byte_coding coding)
{
	switch (coding) {
	case BYTE_PLAIN:
		return &byte_coder_plain;
	case BYTE_GZIP:
		return &byte_coder_gzip;
	case BYTE_ZSTD:
		return &byte_coder_zstd;
	case BYTE_XZ:
		return &byte_coder_xz;
	case BYTE_BZIP2:
		return &byte_coder_bzip2;
	}
	BUG_IF(true);
}

int byte_source_open(struct byte_source *s, const struct byte_source_options *options,
		     struct err *e)
{
	*s = (struct byte_source){
		.what = options->what,
		.coder = coder_of(options->coding),
		.coding = options->coding,
		.in = {.fd = options->fd,
		       .begin = options->offset,
		       .offset = options->offset,
		       .end = options->offset + options->len,
		       .bytes = mem_alloc(BYTE_CHUNK_BYTES)},
		.out = mem_alloc(BYTE_CHUNK_BYTES),
		.max_out_bytes = byte_source_output_limit(options->max_bytes, options->len),
	};
	BUG_IF(s->in.end < s->in.offset);
	if (options->hash != DIGEST_NONE)
		digest_stream_init(&s->hash, options->hash);
	if (s->coder->open(s, e) < 0)
		return -1;
	if (options->ahead && s->coding != BYTE_PLAIN && options->len >= BYTE_AHEAD_LEAST_BYTES)
		s->ahead = byte_ahead_start(s);
	return 0;
}

int byte_source_reopen(const struct byte_source *from, struct byte_source *ret, struct err *e)
{
	const struct byte_source_options options = {.fd = from->in.fd,
						    .offset = from->in.begin,
						    .len = from->in.end - from->in.begin,
						    .coding = from->coding,
						    .max_bytes = from->max_out_bytes,
						    .what = from->what};
	return byte_source_open(ret, &options, e);
}

int byte_source_decode(struct byte_source *s, const uint8_t **ret, size_t *ret_len,
		       struct err *e)
{
	size_t len = 0;
	if (!s->ended && s->coder->decode(s, &len, e) < 0)
		return -1;
	if (len == 0)
		s->ended = true;
	/* By what was read so far: a bomb goes off at its beginning. */
	uint64_t allowed =
		byte_source_output_limit(s->max_out_bytes, s->in.offset - s->in.begin);
	if (len > allowed - s->out_bytes)
		return err_set(e, ERR_INPUT, "unpack/too-big",
			       "'%s' decompresses to more than %llu bytes", s->what,
			       (unsigned long long)allowed);
	s->out_bytes += len;
	*ret = s->out;
	*ret_len = len;
	return 0;
}

int byte_source_next(struct byte_source *s, const uint8_t **ret, size_t *ret_len, struct err *e)
{
	if ((s->ahead ? byte_ahead_next(s->ahead, ret, ret_len, e)
		      : byte_source_decode(s, ret, ret_len, e)) < 0)
		return -1;
	/* Here and not by the thread, which has the more to do already. */
	if (s->hash.alg != DIGEST_NONE && *ret_len > 0)
		digest_stream_add(&s->hash, *ret, *ret_len);
	return 0;
}

void byte_source_digest(struct byte_source *s, struct digest *ret)
{
	BUG_IF(!s->ended || s->hash.alg == DIGEST_NONE);
	digest_stream_final(&s->hash, ret);
}

void byte_source_cleanup(struct byte_source *s)
{
	byte_ahead_stop(&s->ahead);
	if (s->coder)
		s->coder->close(s);
	digest_stream_cleanup(&s->hash);
	mem_free_cleanup(&s->in.bytes);
	mem_free_cleanup(&s->out);
	s->coder = NULL;
}
