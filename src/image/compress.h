/*
 * A tar stream into a layer's blob: plain, gzip by our own encoder (image/deflate.h), or zstd
 * by libzstd. What comes in is cut into segments that threads compress on their own; they are
 * written in order. The bytes are the same for any number of threads, none among them. Memory
 * does not depend on what comes in: two buffers a segment, two segments a thread and one more.
 */
#ifndef IMAGE_COMPRESS_H
#define IMAGE_COMPRESS_H

#include <stdint.h>

#include "image/unpack.h"
#include "util/err.h"

/* More would wait for the one thread that reads and hashes; together they take 50 MiB. */
enum { COMPRESS_THREADS_MAX = 16 };

struct compress_options {
	int fd; /* borrowed; written from its current offset on */
	enum layer_compression form;
	unsigned threads; /* at most; they start when there is work for two. 0: the caller's */
};

struct compressor;
/* Writes what stands before the data. Only whoever opened it may use it. */
int compressor_open(const struct compress_options *options, struct compressor **ret,
		    struct err *e) WARN_UNUSED;
void compressor_close(struct compressor **c); /* for cleanup; ends the threads. NULL is fine */

int compressor_add(struct compressor *c, const void *bytes, size_t len,
		   struct err *e) WARN_UNUSED;
/* Writes what is left and gives the length of all that was written. Then only close. */
int compressor_finish(struct compressor *c, uint64_t *ret_len, struct err *e) WARN_UNUSED;

/* libzstd's, which decides what zstd layers are made of. */
const char *compress_zstd_version(void);

#endif
