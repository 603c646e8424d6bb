/*
 * An OCI index as bytes: parsed strictly, searched, changed. Knows nothing of files; layout.c
 * reads and writes them. Internal to the module.
 */
#ifndef IMAGE_LAYOUT_INDEX_H
#define IMAGE_LAYOUT_INDEX_H

#include <stdbool.h>
#include <stddef.h>

#include "image/layout.h"
#include "util/json_read.h"
#include "util/vec.h"

/* Texts are borrowed from the document; NULL where absent. */
struct index_entry {
	struct descriptor descriptor; /* owned */
	const char *ref_name;
	const char *os, *arch, *variant;
	bool is_artifact; /* has an artifactType: an attestation or the like, no image */
};

struct layout_index {
	struct index_entry *items;
	size_t len, cap;
	const char *media_type;
	struct json_doc doc; /* as received, unknown members included */
};
void layout_index_cleanup(struct layout_index *x);

/* ERR_INPUT "layout/index", "layout/too-many-entries", "image/manifest-confusion", ... */
int layout_index_parse(const char *text, size_t len, const char *what, struct layout_index *ret,
		       struct err *e) WARN_UNUSED;
/* The entry of a tag. ERR_INPUT "layout/no-such-tag" listing those that exist, or
 * "layout/ambiguous-tag". The result is borrowed from the index. */
int layout_index_find_tag(const struct layout_index *x, const char *tag, const char *what,
			  const struct index_entry **ret, struct err *e) WARN_UNUSED;
/* NULL if no entry has that digest. */
const struct index_entry *layout_index_find_digest(const struct layout_index *x,
						   const struct digest *d);
/* The image for os/arch (NULL: any): of entries that name that platform the only one, else of
 * those that name none. ERR_INPUT "layout/no-such-platform" or "layout/ambiguous-platform". */
int layout_index_find_platform(const struct layout_index *x, const char *os, const char *arch,
			       const char *what, const struct index_entry **ret,
			       struct err *e) WARN_UNUSED;
/* As above for a variant of the architecture, too (NULL: any). */
int layout_index_find_variant(const struct layout_index *x, const char *os, const char *arch,
			      const char *variant, const char *what,
			      const struct index_entry **ret, struct err *e) WARN_UNUSED;
/* Whether the entry says nothing that contradicts os/arch. */
bool index_entry_suits(const struct index_entry *entry, const char *os, const char *arch);

/* Replaces the entries of each tag in the document by a last one, but for those that are just so
 * already; false if all are. `items` are not brought up to date. Without an os an entry names no
 * platform. */
bool layout_index_set_tags(struct layout_index *x, const struct layout_tag *tags, size_t len);

/* Adds an entry without a tag; false if one of that digest is there. */
bool layout_index_add(struct layout_index *x, const struct descriptor *d,
		      const char *artifact_type);

#endif
