/*
 * Segments of a layer, encoded one by one: DEFLATE by our own encoder, or a zstd frame each.
 */
#include <string.h>
#include <zstd.h>

#include "image/compress.h"
#include "image/compress_internal.h"
#include "image/deflate.h"
#include "util/err.h"
#include "util/limits.h"
#include "util/mem.h"

enum {
	ZSTD_SEGMENT_BYTES = 1024 * 1024,
	ZSTD_LEVEL = 3, /* zstd's own default */
	/* A frame that is skipped: its magic, the length of the rest, the rest. */
	ZSTD_SKIPPED_HEAD_BYTES = 8,
	ZSTD_SLACK_BYTES = ZSTD_SEGMENT_BYTES / DEFLATE_RATIO_MAX + ZSTD_SKIPPED_HEAD_BYTES + 1,
};

_Static_assert(DEFLATE_RATIO_MAX < LIMIT_UNPACK_RATIO, "we unpack what we pack");

static void *gzip_open(void)
{
	return deflate_encoder_new();
}

static void gzip_close(void *state)
{
	mem_free_cleanup(&state);
}

static size_t gzip_encode(void *state, const uint8_t *in, size_t len, uint8_t *out)
{
	return deflate_segment(state, in, len, out);
}

const struct segment_coder segment_coder_gzip = {
	.segment_bytes = DEFLATE_SEGMENT_BYTES,
	.bound_bytes = DEFLATE_BOUND_BYTES,
	.open = gzip_open,
	.close = gzip_close,
	.encode = gzip_encode,
};

static void *zstd_open(void)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	BUG_IF(c == NULL); /* memory; see util/mem.h */
	BUG_IF(ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, ZSTD_LEVEL)) ||
	       ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1)));
	return c;
}

static void zstd_close(void *state)
{
	ZSTD_freeCCtx(state);
}

/* As in DEFLATE: a ratio that looks like a bomb's makes readers refuse the layer. */
static size_t zstd_pad(uint8_t *out, size_t have, size_t want)
{
	static const uint8_t magic[] = {0x50, 0x2a, 0x4d, 0x18};
	if (have >= want)
		return have;
	size_t rest = want - have > ZSTD_SKIPPED_HEAD_BYTES
			      ? want - have - ZSTD_SKIPPED_HEAD_BYTES
			      : 0;
	uint8_t *at = out + have;
	memcpy(at, magic, sizeof(magic));
	for (unsigned i = 0; i < 4; i++)
		at[4 + i] = (uint8_t)(rest >> (8 * i));
	memset(at + ZSTD_SKIPPED_HEAD_BYTES, 0, rest);
	return have + ZSTD_SKIPPED_HEAD_BYTES + rest;
}

static size_t zstd_encode(void *state, const uint8_t *in, size_t len, uint8_t *out)
{
	size_t out_len =
		ZSTD_compress2(state, out, ZSTD_COMPRESSBOUND(ZSTD_SEGMENT_BYTES), in, len);
	BUG_IF(ZSTD_isError(out_len)); /* there is room enough, so only memory is left */
	return zstd_pad(out, out_len, (len + DEFLATE_RATIO_MAX - 1) / DEFLATE_RATIO_MAX);
}

const struct segment_coder segment_coder_zstd = {
	.segment_bytes = ZSTD_SEGMENT_BYTES,
	.bound_bytes = ZSTD_COMPRESSBOUND(ZSTD_SEGMENT_BYTES) + ZSTD_SLACK_BYTES,
	.open = zstd_open,
	.close = zstd_close,
	.encode = zstd_encode,
};

const char *compress_zstd_version(void)
{
	return ZSTD_versionString();
}
