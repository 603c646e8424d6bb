/*
 * zstd framing. What is accepted is accepted by libzstd in one call with the same output; and
 * neither without its last byte nor with one more.
 */
#include <zstd.h>

#include "fuzz_blob.h"
#include "util/limits.h"

enum { OUT_MAX = 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_output(const uint8_t *data, size_t size, const struct buf *out)
{
	AUTO_FREE char *plain = mem_alloc(OUT_MAX + 1);
	size_t len = ZSTD_decompress(plain, OUT_MAX + 1, data, size);
	BUG_IF(ZSTD_isError(len));
	BUG_IF(len != out->len || (len > 0 && memcmp(plain, out->data, len) != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf) out = BUF_INIT(OUT_MAX);
	AUTO(buf) ignored = BUF_INIT(2 * OUT_MAX);
	if (size == 0 || !fuzz_decode(data, size, BYTE_ZSTD, OUT_MAX, &out))
		return 0;
	check_output(data, size, &out);
	AUTO_FREE uint8_t *longer = mem_zalloc(size + 1, 1);
	memcpy(longer, data, size);
	BUG_IF(fuzz_decode(longer, size + 1, BYTE_ZSTD, OUT_MAX, &ignored));
	BUG_IF(fuzz_decode(data, size - 1, BYTE_ZSTD, OUT_MAX, &ignored));
	return 0;
}
