/* Layers are never sniffed: bytes that are not what the media type says are an error (SEC
 * UN21). */
#include "image/layer_read.h"

#include <sys/stat.h>

static enum byte_coding coding_of(enum layer_compression compression)
{
	switch (compression) {
	case LAYER_TAR:
		return BYTE_PLAIN;
	case LAYER_GZIP:
		return BYTE_GZIP;
	case LAYER_ZSTD:
		return BYTE_ZSTD;
	}
	BUG_IF(true);
}

int layer_reader_open(struct layer_reader *r, int blob_fd, enum layer_compression compression,
		      enum digest_alg alg, const struct unpack_limits *limits, const char *what,
		      struct err *e)
{
	*r = (struct layer_reader){.gate = {.what = what, .limits = *limits}};
	struct stat st;
	if (fstat(blob_fd, &st) < 0)
		return err_sys(e, "cannot examine %s", what);
	const struct byte_source_options options = {.fd = blob_fd,
						    .len = (uint64_t)st.st_size,
						    .coding = coding_of(compression),
						    .max_bytes = limits->max_bytes,
						    .hash = alg,
						    .ahead = true,
						    .what = what};
	/* So that a header which promises a bomb is enough to refuse it. */
	r->gate.limits.max_bytes = byte_source_output_limit(limits->max_bytes, options.len);
	if (byte_source_open(&r->source, &options, e) < 0)
		return -1;
	tar_reader_init(&r->tar, &r->source, &r->gate);
	return 0;
}

void layer_reader_cleanup(struct layer_reader *r)
{
	byte_source_cleanup(&r->source);
}
