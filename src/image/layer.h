/*
 * Packs an overlay's upper directory as a format-1 layer (DESIGN.md "Format 1"). Runs inside a
 * worker. The upper tree was written by a hostile step and is read as such: by dirfd, following
 * no link. The bytes depend on the trees and `epoch_s` alone.
 */
#ifndef IMAGE_LAYER_H
#define IMAGE_LAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "image/unpack.h"
#include "image/volatile.h"
#include "util/buf.h"
#include "util/digest.h"

struct layer_pack_options {
	int upper_fd;	 /* the overlay's upper directory itself, not the mount */
	int lower_fd;	 /* the lower layers merged, or -1 if there are none */
	int64_t epoch_s; /* mtimes above it are lowered to it */
	/* The whole tree as overlayfs keeps it, its root included: whiteouts are character devices
	 * 0:0, opaque directories have user.overlay.opaque. For makers of file system images;
	 * lower_fd is -1. Else as a layer says it: .wh. files. */
	bool overlay_form;
	const struct volatile_list *volatile_files; /* NULL: everything is packed as it is */
	/* Called for each file that is not as the step left it; or NULL. */
	void (*normalised)(void *ctx, const char *path, const struct volatile_file *file);
	void *normalised_ctx;
	int out_fd; /* receives the blob from offset 0 */
	enum layer_compression compression;
	unsigned threads; /* to compress with; the bytes are the same for any number */
};

struct layer_packed {
	struct digest diff_id; /* sha256 of the tar */
	uint64_t size;	       /* bytes of the tar */
	uint64_t blob_size;    /* bytes written: as many, or of them compressed */
	uint64_t entries;      /* 0: nothing changed, no layer is needed */
	uint64_t sockets_dropped;
};

/* Left out: paths whose type, content, mode, owner and xattrs equal the lower view's (a differing
 * mtime alone is no change), whiteouts of nothing, opacity over nothing, overlay xattrs.
 * A real file named ".wh.*" is ERR_INPUT "layer/reserved-name". */
int layer_pack(const struct layer_pack_options *options, struct layer_packed *ret,
	       struct err *e) WARN_UNUSED;

#endif
