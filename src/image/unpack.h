/*
 * Untrusted archives onto a directory tree, the dangerous half of the unpacker. Runs inside a
 * worker (sandbox/worker.h): mapped ids, no network, no exec, nothing of the host in reach; and
 * holds against every UN row of reference/security.md 2b on its own: component-wise O_NOFOLLOW
 * walk, "..": refused, limits counted in one place, libarchive only as a reader.
 */
#ifndef IMAGE_UNPACK_H
#define IMAGE_UNPACK_H

#include <locale.h>
#include <stdint.h>

#include "image/beneath.h"
#include "util/digest.h"

enum layer_compression { LAYER_TAR, LAYER_GZIP, LAYER_ZSTD };

struct unpack_limits {
	uint64_t max_bytes; /* decompressed, also all file content */
	uint64_t max_entries;
};
extern const struct unpack_limits unpack_default_limits;

/* A layer and its tree; file descriptors are borrowed. */
struct unpack_layer {
	int blob_fd; /* -1, in a stack: the tree is there already */
	enum layer_compression compression;
	struct digest
		diff_id; /* of the decompressed stream; of the blob, checked by the caller */
	int root_fd;	 /* the tree: an empty directory */
};

/* An image layer into an empty directory in overlay form: whiteouts become char 0:0 devices,
 * opaque directories get user.overlay.opaque=y. Parents that the layer does not mention take
 * mode, owner, mtime and xattrs from the same directory of the layers beneath, since overlayfs
 * shows the topmost directory's; where there is none they are made 0755 root:root with mtime
 * UNPACK_PARENT_MTIME_S. Errors: ERR_INPUT "unpack/...", ERR_MISMATCH "unpack/diff-id". */
#define UNPACK_PARENT_MTIME_S INT64_C(315532800)
int unpack_layer(const struct unpack_layer *layer, const struct beneath *beneath,
		 const struct unpack_limits *limits, struct err *e) WARN_UNUSED;

/* All layers of an image, lowest first, in up to `threads` threads (each with one more that
 * decompresses); those without a blob are only what others lie upon. The trees are the same as
 * one by one, and so is the error: that of the lowest layer that has one. Memory is that of the
 * largest layer and a LIMIT_UNPACK_SHARE of it for each other thread. */
enum { UNPACK_THREADS_MAX = 8 };
int unpack_stack(const struct unpack_layer *layers, size_t len,
		 const struct unpack_limits *limits, unsigned threads,
		 struct err *e) WARN_UNUSED;

/* The same tree from a tar stream that has it in overlay form already, as readers of file system
 * images write it: character devices 0:0, user.overlay.opaque. Other devices and overlay
 * attributes are refused as in a layer. `what` is the archive, for errors. */
int unpack_overlay_tar(int tar_fd, const char *what, const struct beneath *beneath,
		       const struct unpack_limits *limits, int root_fd,
		       struct err *e) WARN_UNUSED;

/* An archive that an import or `from: tar` names, onto the merged view `root_fd` (an overlay
 * mount: changes land in its upper). Format by content, not by name: tar plain or in gz, xz,
 * zst, bz2; zip; .deb (its data member). Directories over symlinks to directories keep the link
 * (merged-usr), resolved inside the root. */
struct unpack_archive_options {
	const char *name; /* for errors and for choosing nothing */
	/* A UTF-8 locale, for the names in zip files. Its tables are files of the host, which a
	 * worker no longer sees: opened before by unpack_charset_open. 0: opened here. */
	locale_t charset;
	const char *dest; /* absolute directory in the root, made if absent */
	bool whiteouts;	  /* apply .wh. entries (from: tar) */
	int64_t uid, gid; /* for every entry, or -1: as in the archive */
	int32_t mode;	  /* for every regular file, or -1 */
	int64_t epoch_s;  /* mtimes are clamped to it */
};
int unpack_charset_open(locale_t *ret, struct err *e) WARN_UNUSED; /* freed by freelocale */
int unpack_archive(int blob_fd, const struct unpack_archive_options *options,
		   const struct unpack_limits *limits, int root_fd, struct err *e) WARN_UNUSED;

#endif
