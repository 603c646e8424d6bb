/*
 * The canonical recipe of one image (DESIGN.md "Recipe digest"): canonical JSON, no default
 * left open, no URL, no path of the machine. The caller resolves what the text alone cannot
 * tell.
 */
#ifndef RECIPE_CANON_H
#define RECIPE_CANON_H

#include "recipe/stackerfile.h"
#include "util/buf.h"

#define RECIPE_FORMAT 1
#define STACKER_BASE_URI "https://stacker-hermetic.invalid/" /* DESIGN.md, Decisions */

/* What an image's layers are converted to, if not tar (docs/layer-types.md). */
struct recipe_layers {
	const char *type; /* "squashfs" */
	const char *tool; /* that makes them, with its version: it decides about bytes */
	bool no_verity;
};

struct recipe_resolution {
	/* Base: BUILT and stacker:// tar: recipe digest of that image; OCI: manifest digest;
	 * TAR: content hash (URL) or tree digest (local); alg NONE for scratch. */
	struct digest base;
	const struct digest
		*imports; /* one an import: content hash, tree digest, recipe digest */
	size_t imports_len;
	struct digest policy; /* of policy/, as embedded */
	int64_t source_date_epoch;
	const char *zstd_version;	    /* of the library, which decides zstd's bytes */
	const char *annotations_namespace;  /* NULL: the default */
	const struct recipe_layers *layers; /* NULL: tar */
};

/* Writes the recipe's bytes; its digest is sha256 over them. */
int recipe_canon(const struct recipe_image *image, const struct recipe_resolution *resolution,
		 struct buf *out, struct err *e) WARN_UNUSED;

#endif
