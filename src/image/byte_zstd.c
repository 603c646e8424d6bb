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

/* A frame begins here, or the input ends. */
static int zstd_frame_begin(struct byte_source *s, struct err *e)
{
	if (byte_input_fill(s, 4, e) < 0)
		return -1;
	size_t len = byte_input_len(s);
	if (len == 0)
		return s->frames > 0 ? 0 : byte_error_truncated(s, e);
	const uint8_t *p = byte_input_ptr(s);
	uint32_t magic = 0;
	for (size_t i = 0; i < 4 && len >= 4; i++)
		magic |= (uint32_t)p[i] << (8 * i);
	if (magic != ZSTD_FRAME_MAGIC && (magic & ~UINT32_C(15)) != ZSTD_SKIPPABLE_MAGIC)
		return s->frames > 0 ? byte_error_trailing(s, e)
				     : byte_error_corrupt(s, "not zstd", e);
	s->in_frame = true;
	return 0;
}

static int zstd_decode(struct byte_source *s, size_t *ret_len, struct err *e)
{
	ZSTD_outBuffer out = {s->out, BYTE_CHUNK_BYTES, 0};
	while (out.pos == 0) {
		if (!s->in_frame) {
			if (zstd_frame_begin(s, e) < 0)
				return -1;
			if (!s->in_frame)
				break;
		}
		if (byte_input_fill(s, 1, e) < 0)
			return -1;
		ZSTD_inBuffer in = {byte_input_ptr(s), byte_input_len(s), 0};
		size_t r = ZSTD_decompressStream(s->state, &out, &in);
		s->in.pos += in.pos;
		if (ZSTD_isError(r))
			return byte_error_corrupt(s, ZSTD_getErrorName(r), e);
		if (r == 0) {
			s->in_frame = false;
			s->frames++;
		} else if (in.size == 0 && out.pos == 0) {
			return byte_error_truncated(s, e);
		}
	}
	*ret_len = out.pos;
	return 0;
}

static void zstd_close(struct byte_source *s)
{
	ZSTD_freeDCtx(s->state);
	s->state = NULL;
}

const struct byte_coder byte_coder_zstd = {zstd_open, zstd_decode, zstd_close};
