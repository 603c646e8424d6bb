/*
 * Compares one image in two OCI layouts by the ladder index entry, manifest, config, layers by
 * diff_id, then files. The layers' bytes are foreign: they are read in a worker.
 */
#ifndef VERIFY_COMPARE_H
#define VERIFY_COMPARE_H

#include <stdbool.h>

#include "build/context.h"
#include "image/layout.h"
#include "util/vec.h"

/* One difference. Kinds: "added", "removed", "meta", "content", "config", "damaged". */
struct finding {
	char *path; /* in the image; for "config" the field, for "damaged" the blob or tree */
	long layer; /* counted from 0, or -1 */
	const char *kind;
	char *field;		/* "mode", "mtime", "content" ...; or NULL */
	const char *cause;	/* of reference/audit.md 5.2, "unexplained" if none fits */
	const char *confidence; /* "certain", "likely", "unknown" */
	char *evidence;		/* "A value vs B value" */
};
struct finding_vec VEC_OF(struct finding);
void findings_cleanup(struct finding_vec *v);
void finding_add(struct finding_vec *v, const char *path, long layer, const char *kind,
		 const char *field, const char *evidence);

struct layer_comparison {
	bool diff_id_equal;
	bool blob_equal;
	size_t findings; /* files that differ in it */
	char *step;	 /* what made it, as the config's history says; or NULL */
};
struct layer_comparison_vec VEC_OF(struct layer_comparison);

struct comparison {
	bool index_equal;    /* the index entry: type, digest, size, platform */
	bool manifest_equal; /* byte for byte */
	bool config_equal;
	bool damaged;	    /* a blob of either side does not hash to its name */
	struct digest a, b; /* manifest digests */
	struct layer_comparison_vec layers;
	struct finding_vec findings;
};
void comparison_cleanup(struct comparison *c);

/* One side: a layout and the image's tag in it. */
struct compare_side {
	const struct layout *layout;
	const char *tag;
	const char *os, *arch;
};

/* Fails only if a side cannot be read at all; damage and difference are results. */
int compare_images(const struct build_context *c, const struct compare_side *a,
		   const struct compare_side *b, struct comparison *ret,
		   struct err *e) WARN_UNUSED;

/* All layers have equal diff_ids and the configs are equal: the same content. */
bool comparison_content_equal(const struct comparison *c);
bool comparison_equal(const struct comparison *c);

#endif
