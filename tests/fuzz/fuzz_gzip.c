/*
 * gzip framing. What is accepted is accepted by zlib, member by member, to the last byte and
 * with the same output; and neither without its last byte nor with one more.
 */
#include <zlib.h>

#include "fuzz_blob.h"
#include "util/limits.h"

enum { OUT_MAX = 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_output(const uint8_t *data, size_t size, const struct buf *out)
{
	AUTO_FREE unsigned char *plain = mem_alloc(OUT_MAX + 1);
	AUTO_FREE unsigned char *in = mem_alloc(size);
	z_stream z = {0};
	memcpy(in, data, size);
	BUG_IF(inflateInit2(&z, 15 + 16) != Z_OK);
	z.next_in = in;
	z.avail_in = (unsigned)size;
	z.next_out = plain;
	z.avail_out = OUT_MAX + 1;
	while (z.avail_in > 0) {
		BUG_IF(inflate(&z, Z_FINISH) != Z_STREAM_END);
		BUG_IF(z.avail_in > 0 && inflateReset(&z) != Z_OK);
	}
	size_t len = (size_t)(OUT_MAX + 1 - z.avail_out);
	inflateEnd(&z);
	BUG_IF(len != out->len || (len > 0 && memcmp(plain, out->data, len) != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf) out = BUF_INIT(OUT_MAX);
	AUTO(buf) ignored = BUF_INIT(2 * OUT_MAX);
	if (size == 0 || !fuzz_decode(data, size, BYTE_GZIP, OUT_MAX, &out))
		return 0;
	check_output(data, size, &out);
	AUTO_FREE uint8_t *longer = mem_zalloc(size + 1, 1);
	memcpy(longer, data, size);
	BUG_IF(fuzz_decode(longer, size + 1, BYTE_GZIP, OUT_MAX, &ignored));
	BUG_IF(fuzz_decode(data, size - 1, BYTE_GZIP, OUT_MAX, &ignored));
	return 0;
}
