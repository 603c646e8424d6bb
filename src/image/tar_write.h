/*
 * The format-1 tar encoder: entries and their content in, one tar stream and its sha256 out.
 * The bytes are a contract, docs/format-1.md, and depend on nothing but what is passed here; no
 * field is invented, sorted or clamped on the way. Entries come in the order in which they are
 * to be.
 */
#ifndef IMAGE_TAR_WRITE_H
#define IMAGE_TAR_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "image/compress.h"
#include "util/digest.h"
#include "util/err.h"

/* The values are the typeflags of the format. */
enum tar_type {
	TAR_FILE = '0',
	TAR_HARDLINK = '1',
	TAR_SYMLINK = '2',
	TAR_CHAR = '3',
	TAR_BLOCK = '4',
	TAR_DIR = '5',
	TAR_FIFO = '6',
};

struct tar_xattr {
	const char *name; /* as the kernel names it: "user.x" */
	const void *value;
	size_t value_len;
};

/* Everything is borrowed. */
struct tar_entry {
	enum tar_type type;
	const char *path;   /* relative, without leading or trailing slash */
	const char *target; /* HARDLINK: a path written before; SYMLINK: its text; else NULL */
	uint32_t mode;	    /* only the bits 07777 are written */
	uint64_t uid, gid;
	int64_t mtime_s;
	uint64_t size;			/* FILE; 0 for all others */
	uint32_t dev_major, dev_minor;	/* CHAR and BLOCK; 0 for all others */
	const struct tar_xattr *xattrs; /* in byte order of name, names unique */
	size_t xattrs_len;
};

struct tar_writer {
	struct compressor *out; /* borrowed */
	struct digest_stream hash;
	unsigned char *pending;
	size_t pending_len;
	uint64_t size_bytes;   /* of the stream so far, pending bytes included */
	uint64_t content_left; /* what the entry being written still lacks */
	size_t padding;	       /* follows the content of the entry being written */
};

void tar_writer_init(struct tar_writer *w, struct compressor *out);
void tar_writer_cleanup(struct tar_writer *w); /* accepts a zeroed object */

/* Writes the header. A FILE's `size` bytes of content must follow before the next entry.
 * ERR_INPUT "layer/xattr-name": a name that a pax record cannot hold ("=");
 * "layer/xattrs-too-big": the record block is over LIMIT_PAX_BYTES. */
int tar_writer_entry(struct tar_writer *w, const struct tar_entry *entry,
		     struct err *e) WARN_UNUSED;
/* The next part of the content; more than was announced is a BUG. */
int tar_writer_content(struct tar_writer *w, const void *bytes, size_t len,
		       struct err *e) WARN_UNUSED;
/* Ends the archive and gives the sha256 of the whole stream; its length is w->size_bytes. The
 * caller finishes `out`. */
int tar_writer_finish(struct tar_writer *w, struct digest *ret, struct err *e) WARN_UNUSED;

#endif
