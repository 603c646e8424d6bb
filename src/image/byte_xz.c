/*
 * xz by liblzma itself: libarchive lets a header claim a dictionary of 4 GiB, which costs as
 * much memory. Any number of streams, as in a concatenation; no padding between or after them,
 * and no .lzma files.
 */
#include <lzma.h>
#include <string.h>

#include "image/byte_coder.h"
#include "util/limits.h"
#include "util/mem.h"

static int xz_open(struct byte_source *s, struct err *e)
{
	lzma_stream *z = mem_zalloc(1, sizeof(*z));
	s->state = z;
	*z = (lzma_stream)LZMA_STREAM_INIT;
	(void)e;
	return 0;
}

/* A stream begins here, or the input ends. */
static int xz_stream_begin(struct byte_source *s, struct err *e)
{
	static const uint8_t magic[] = {0xfd, '7', 'z', 'X', 'Z', 0};
	if (byte_input_fill(s, sizeof(magic), e) < 0)
		return -1;
	size_t len = byte_input_len(s);
	if (len == 0)
		return s->frames > 0 ? 0 : byte_error_truncated(s, e);
	if (len < sizeof(magic) || memcmp(byte_input_ptr(s), magic, sizeof(magic)) != 0)
		return s->frames > 0 ? byte_error_trailing(s, e)
				     : byte_error_corrupt(s, "not xz", e);
	/* Starts over a decoder that is there; the memory it needs is checked before it is
	 * taken.
	 */
	if (lzma_stream_decoder(s->state, LIMIT_XZ_MEMORY_BYTES, 0) != LZMA_OK)
		return err_set(e, ERR_SYSTEM, "unpack/decoder", "cannot set up xz for '%s'",
			       s->what);
	s->in_frame = true;
	return 0;
}

static int xz_error(struct byte_source *s, lzma_ret r, struct err *e)
{
	if (r == LZMA_MEMLIMIT_ERROR)
		return err_set(e, ERR_INPUT, "unpack/too-big",
			       "'%s' needs more than %llu bytes of memory to be decompressed",
			       s->what, (unsigned long long)LIMIT_XZ_MEMORY_BYTES);
	return byte_error_corrupt(s, "bad xz data", e);
}

static int xz_decode(struct byte_source *s, size_t *ret_len, struct err *e)
{
	lzma_stream *z = s->state;
	z->next_out = s->out;
	z->avail_out = BYTE_CHUNK_BYTES;
	while (z->avail_out == BYTE_CHUNK_BYTES) {
		if (!s->in_frame) {
			if (xz_stream_begin(s, e) < 0)
				return -1;
			if (!s->in_frame)
				break;
		}
		if (byte_input_fill(s, 1, e) < 0)
			return -1;
		if (byte_input_len(s) == 0)
			return byte_error_truncated(s, e);
		z->next_in = s->in.bytes + s->in.pos;
		z->avail_in = byte_input_len(s);
		lzma_ret r = lzma_code(z, LZMA_RUN);
		s->in.pos = s->in.len - z->avail_in;
		if (r == LZMA_STREAM_END) {
			s->in_frame = false;
			s->frames++;
		} else if (r != LZMA_OK) {
			return xz_error(s, r, e);
		}
	}
	*ret_len = BYTE_CHUNK_BYTES - z->avail_out;
	return 0;
}

static void xz_close(struct byte_source *s)
{
	if (s->state)
		lzma_end(s->state);
	mem_free_cleanup(&s->state);
}

const struct byte_coder byte_coder_xz = {xz_open, xz_decode, xz_close};
