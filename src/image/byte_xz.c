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

static const uint8_t xz_magic[] = {0xfd, '7', 'z', 'X', 'Z', 0};

static bool xz_is_magic(const uint8_t *magic)
{
	return memcmp(magic, xz_magic, sizeof(xz_magic)) == 0;
}

/* Starts over a decoder that is there; the memory it needs is checked before it is taken. */
static int xz_begin(struct byte_source *s, struct err *e)
{
	if (lzma_stream_decoder(s->state, LIMIT_XZ_MEMORY_BYTES, 0) != LZMA_OK)
		return err_set(e, ERR_SYSTEM, "unpack/decoder", "cannot set up xz for '%s'",
			       s->what);
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

static int xz_step(struct byte_source *s, size_t *ret_len, bool *ret_frame_ended, struct err *e)
{
	lzma_stream *z = s->state;
	if (byte_input_len(s) == 0)
		return byte_error_truncated(s, e);
	z->next_in = byte_input_ptr(s);
	z->avail_in = byte_input_len(s);
	z->next_out = s->out;
	z->avail_out = BYTE_CHUNK_BYTES;
	lzma_ret r = lzma_code(z, LZMA_RUN);
	if (r != LZMA_OK && r != LZMA_STREAM_END)
		return xz_error(s, r, e);
	s->in.pos = s->in.len - z->avail_in;
	*ret_len = BYTE_CHUNK_BYTES - z->avail_out;
	*ret_frame_ended = r == LZMA_STREAM_END;
	return 0;
}

static void xz_close(struct byte_source *s)
{
	if (s->state)
		lzma_end(s->state);
	mem_free_cleanup(&s->state);
}

static const struct byte_frames xz_frames = {sizeof(xz_magic), xz_is_magic, "not xz", xz_begin,
					     xz_step};
const struct byte_coder byte_coder_xz = {xz_open, byte_frames_decode, xz_close, &xz_frames};
