/*
 * An archive that an import names, as a stream of entries. The format is told from the content:
 * tar, plain or in one level of gzip, xz, zstd or bzip2; zip; a Debian package, of which the
 * data member is read. Layers do not come through here: their coding is what the media type
 * says.
 */
#ifndef IMAGE_ARCHIVE_READ_H
#define IMAGE_ARCHIVE_READ_H

#include "image/byte_source.h"
#include "image/entry.h"
#include "image/tar_read.h"

struct zip_reader;

struct archive_reader {
	struct entry_gate gate;
	struct byte_source source;
	struct tar_reader tar;
	struct zip_reader *zip; /* NULL: it is a tar */
};

struct archive_reader_options {
	int fd; /* borrowed, must be a regular file */
	const char *what;
	const struct unpack_limits *limits;
	bool any_owner;
	locale_t charset; /* see unpack_archive_options */
};

/* `r` is cleaned up by the caller in every case. ERR_INPUT "unpack/format" for what is none. */
int archive_reader_open(struct archive_reader *r, const struct archive_reader_options *options,
			struct err *e) WARN_UNUSED;
/* See tar_reader_next. */
int archive_reader_next(struct archive_reader *r, struct entry *ret, bool *ret_end,
			struct err *e) WARN_UNUSED;
int archive_reader_data(struct archive_reader *r, const struct entry *entry,
			const uint8_t **ret, size_t *ret_len, struct err *e) WARN_UNUSED;
void archive_reader_cleanup(struct archive_reader *r);

/* A range of a file. */
struct byte_range {
	uint64_t offset, len;
};
/* Finds the data member of a Debian package (deb(5)). ERR_INPUT "unpack/deb". */
int deb_find_data(int fd, uint64_t size, const char *what, struct byte_range *ret,
		  struct err *e) WARN_UNUSED;

#endif
