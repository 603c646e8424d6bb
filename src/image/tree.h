/*
 * A file tree as a list, to compare two of them: from a directory or from a layer's tar stream.
 * Entries are in byte order of path. Used by verify; nothing here reaches an image.
 */
#ifndef IMAGE_TREE_H
#define IMAGE_TREE_H

#include <stdint.h>

#include "image/unpack.h"
#include "util/buf.h"
#include "util/digest.h"
#include "util/vec.h"

struct tree_entry {
	char *path; /* relative, no trailing slash; whiteouts as the layer names them */
	char type;  /* 'f' file, 'd' directory, 'l' symlink, 'h' hard link, 'c' 'b' 'p' */
	uint32_t mode;
	uint64_t uid, gid;
	int64_t mtime_s;
	uint64_t size;
	char *target; /* links, else NULL */
	uint64_t rdev;
	struct digest digest; /* files: sha256 */
	struct digest xattrs; /* over sorted name/value pairs; alg NONE if there are none */
};
struct tree VEC_OF(struct tree_entry);
void tree_cleanup(struct tree *t);

/* Every entry of a layer blob, as the strict reader of unpack sees it, and the digest of its
 * decompressed bytes. */
int tree_read_layer(int blob_fd, enum layer_compression compression, struct tree *ret,
		    struct digest *ret_diff_id, struct err *e) WARN_UNUSED;
/* Every entry below a directory (run it inside a worker: ids are as seen). */
int tree_read_dir(int dir_fd, struct tree *ret, struct err *e) WARN_UNUSED;
/* To pass a list out of a worker. */
void tree_serialise(const struct tree *t, struct buf *out);
int tree_parse(const char *bytes, size_t len, struct tree *ret, struct err *e) WARN_UNUSED;

/* The first bytes of some regular files of a layer: each buffer takes as much as its maximum
 * allows, and stays empty if the layer has no such file. */
struct tree_samples {
	const char *const *paths;
	struct buf *contents; /* one a path */
	size_t len;
};
int tree_sample_layer(int blob_fd, enum layer_compression compression,
		      const struct tree_samples *samples, struct err *e) WARN_UNUSED;

/* Reports every difference in path order; `field` is "added" (only in b), "removed" (only in a),
 * "type", "mode", "uid", "gid", "mtime", "size", "content", "target", "xattrs", "rdev". */
struct tree_difference {
	const char *path;
	const char *field;
	const struct tree_entry *a, *b; /* NULL where absent */
};
void tree_compare(const struct tree *a, const struct tree *b,
		  void (*report)(void *ctx, const struct tree_difference *d), void *ctx);

#endif
