/*
 * zstd by libzstd: any number of frames, skippable ones among them, a bounded window, no
 * dictionary, and none of the formats from before zstd 1.0 that the library still knows.
 */
#include <zstd.h>

#include "image/byte_coder.h"
#include "util/limits.h"

#define ZSTD_FRAME_MAGIC UINT32_C(0xfd2fb528)
#define ZSTD_SKIPPABLE_MAGIC UINT32_C(0x184d2a50) /* and 15 more, by the lowest four bits */

static int zstd_open(struct byte_source *s, struct err *e)
{
	ZSTD_DCtx *d = ZSTD_createDCtx();
	if (d == NULL || ZSTD_isError(ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax,
							     LIMIT_ZSTD_WINDOW_LOG))) {
		ZSTD_freeDCtx(d);
		return err_set(e, ERR_SYSTEM, "unpack/decoder", "cannot set up zstd for '%s'",
			       s->what);
	}
	s->state = d;
	return 0;
}

static bool zstd_is_magic(const uint8_t *bytes)
{
	uint32_t magic = 0;
	for (size_t i = 0; i < 4; i++)
		magic |= (uint32_t)bytes[i] << (8 * i);
	return magic == ZSTD_FRAME_MAGIC || (magic & ~UINT32_C(15)) == ZSTD_SKIPPABLE_MAGIC;
}

static int zstd_step(struct byte_source *s, size_t *ret_len, bool *ret_frame_ended,
		     struct err *e)
{
	ZSTD_inBuffer in = {byte_input_ptr(s), byte_input_len(s), 0};
	ZSTD_outBuffer out = {s->out, BYTE_CHUNK_BYTES, 0};
	size_t r = ZSTD_decompressStream(s->state, &out, &in);
	if (ZSTD_isError(r))
		return byte_error_corrupt(s, ZSTD_getErrorName(r), e);
	/* Not before: it may have read everything and still hold some of the output. */
	if (r != 0 && in.size == 0 && out.pos == 0)
		return byte_error_truncated(s, e);
	s->in.pos += in.pos;
	*ret_len = out.pos;
	*ret_frame_ended = r == 0;
	return 0;
}

static void zstd_close(struct byte_source *s)
{
	ZSTD_freeDCtx(s->state);
	s->state = NULL;
}

static const struct byte_frames zstd_frames = {4, zstd_is_magic, "not zstd", NULL, zstd_step};
const struct byte_coder byte_coder_zstd = {zstd_open, byte_frames_decode, zstd_close,
					   &zstd_frames};
