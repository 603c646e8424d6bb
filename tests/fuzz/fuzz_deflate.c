/*
 * The DEFLATE encoder: whatever goes in comes out again, by zlib and by libdeflate; within the
 * promised length and ratio; and an encoder that was used before gives the same bytes.
 */
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "image/deflate.h"
#include "util/err.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says how often the others are repeated, and whether each time a little other:
 * fuzzers write short inputs, and the window and the blocks are long. */
static uint8_t *expand(const uint8_t *data, size_t size, size_t *ret_len)
{
	size_t part = size - 1, times = (size_t)1 << (data[0] & 15);
	unsigned change = data[0] >> 4;
	if (times > DEFLATE_SEGMENT_BYTES / part)
		times = DEFLATE_SEGMENT_BYTES / part;
	uint8_t *out = mem_alloc(part * times);
	for (size_t i = 0; i < times; i++) {
		memcpy(out + i * part, data + 1, part);
		if (change > 0)
			out[i * part + (i * change) % part] ^= (uint8_t)(i * 0x9d);
	}
	*ret_len = part * times;
	return out;
}

static void check_zlib(const uint8_t *bytes, size_t len, const uint8_t *want, size_t want_len)
{
	AUTO_FREE uint8_t *in = mem_alloc(len);
	AUTO_FREE uint8_t *out = mem_alloc(want_len + 1);
	z_stream z = {0};
	memcpy(in, bytes, len);
	BUG_IF(inflateInit2(&z, -15) != Z_OK);
	z.next_in = in;
	z.avail_in = (unsigned)len;
	z.next_out = out;
	z.avail_out = (unsigned)want_len + 1;
	BUG_IF(inflate(&z, Z_FINISH) != Z_STREAM_END || z.avail_in > 0);
	BUG_IF(z.total_out != want_len || memcmp(out, want, want_len) != 0);
	(void)inflateEnd(&z);
}

static void check_libdeflate(const uint8_t *bytes, size_t len, const uint8_t *want,
			     size_t want_len)
{
	AUTO_FREE uint8_t *out = mem_alloc(want_len + 1);
	struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
	size_t got = 0;
	BUG_IF(d == NULL || libdeflate_deflate_decompress(d, bytes, len, out, want_len + 1,
							  &got) != LIBDEFLATE_SUCCESS);
	BUG_IF(got != want_len || memcmp(out, want, want_len) != 0);
	libdeflate_free_decompressor(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > DEFLATE_SEGMENT_BYTES)
		return 0;
	size_t len = 0;
	AUTO_FREE uint8_t *in = expand(data, size, &len);
	AUTO_FREE uint8_t *out = mem_alloc(DEFLATE_BOUND_BYTES + sizeof(deflate_end));
	AUTO_FREE uint8_t *again = mem_alloc(DEFLATE_BOUND_BYTES);
	AUTO_FREE struct deflate_encoder *d = deflate_encoder_new();
	size_t out_len = deflate_segment(d, in, len, out);
	BUG_IF(out_len > DEFLATE_BOUND_BYTES || out_len * DEFLATE_RATIO_MAX < len);
	BUG_IF(deflate_segment(d, in, len, again) != out_len || memcmp(out, again, out_len));
	memcpy(out + out_len, deflate_end, sizeof(deflate_end));
	out_len += sizeof(deflate_end);
	check_zlib(out, out_len, in, len);
	check_libdeflate(out, out_len, in, len);
	return 0;
}
