/* A layer blob as a stream of tar entries, decompressed as its media type says and hashed. */
#ifndef IMAGE_LAYER_READ_H
#define IMAGE_LAYER_READ_H

#include "image/byte_source.h"
#include "image/entry.h"
#include "image/tar_read.h"
#include "image/unpack.h"

struct layer_reader {
	struct entry_gate gate;
	struct byte_source source; /* its digest is the diff_id, once `tar` has ended */
	struct tar_reader tar;	   /* points into the two above: never copy this struct */
};

/* `r` is cleaned up by the caller in every case. */
int layer_reader_open(struct layer_reader *r, int blob_fd, enum layer_compression compression,
		      enum digest_alg alg, const struct unpack_limits *limits, const char *what,
		      struct err *e) WARN_UNUSED;
void layer_reader_cleanup(struct layer_reader *r);

#endif
