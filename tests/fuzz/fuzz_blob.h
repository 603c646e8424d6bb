/* Blobs in memory and well-formed tar headers, for targets that fuzz what lies between them. */
#ifndef TESTS_FUZZ_BLOB_H
#define TESTS_FUZZ_BLOB_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "image/byte_source.h"
#include "util/buf.h"
#include "util/mem.h"
#include "util/path.h"

static inline int fuzz_memory_fd(const void *bytes, size_t len)
{
	struct err e = ERR_INIT;
	int fd = memfd_create("input", MFD_CLOEXEC);
	BUG_IF(fd < 0 || path_write_all(fd, bytes, len, "input", &e) < 0);
	return fd;
}

static inline void fuzz_tar_header(struct buf *b, const char *name, char type, size_t size)
{
	char block[512] = {0};
	unsigned sum = 0;
	snprintf(block, 100, "%s", name);
	memcpy(block + 100, "0000644", 7);
	memcpy(block + 108, "0000000", 7);
	memcpy(block + 116, "0000000", 7);
	snprintf(block + 124, 12, "%011zo", size);
	memcpy(block + 136, "00000000000", 11);
	memset(block + 148, ' ', 8);
	block[156] = type;
	if (type == '2')
		memcpy(block + 157, "target", 6);
	memcpy(block + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(block); i++)
		sum += (unsigned char)block[i];
	snprintf(block + 148, 7, "%06o", sum);
	buf_add(b, block, sizeof(block));
}

static inline void fuzz_tar_data(struct buf *b, const void *bytes, size_t len)
{
	static const char zeros[512];
	if (len > 0)
		buf_add(b, bytes, len);
	if (len % sizeof(zeros))
		buf_add(b, zeros, sizeof(zeros) - len % sizeof(zeros));
}

static inline void fuzz_tar_end(struct buf *b)
{
	static const char zeros[1024];
	buf_add(b, zeros, sizeof(zeros));
}

/* All that comes out, into `out`; false if it is refused. */
static inline bool fuzz_decode(const void *bytes, size_t len, enum byte_coding coding,
			       uint64_t max_bytes, struct buf *out)
{
	struct err e = ERR_INIT;
	AUTO(byte_source) source = {.what = NULL};
	AUTO_CLOSE int fd = fuzz_memory_fd(bytes, len);
	const struct byte_source_options options = {.fd = fd,
						    .len = len,
						    .coding = coding,
						    .max_bytes = max_bytes,
						    .what = "input"};
	if (byte_source_open(&source, &options, &e) < 0)
		return false;
	for (;;) {
		const uint8_t *chunk = NULL;
		size_t n = 0;
		if (byte_source_next(&source, &chunk, &n, &e) < 0) {
			BUG_IF(e.code != ERR_INPUT);
			return false;
		}
		if (n == 0)
			return true;
		buf_add(out, chunk, n);
	}
}

#endif
