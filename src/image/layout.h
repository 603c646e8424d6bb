/*
 * An OCI image layout directory: oci-layout, index.json, blobs/. Read strictly; written so that
 * index.json changes atomically, after every blob it names is there; other tags are kept as the
 * bytes they were in order. flock on .lock guards writers.
 */
#ifndef IMAGE_LAYOUT_H
#define IMAGE_LAYOUT_H

#include <stdbool.h>

#include "image/manifest.h"
#include "util/digest_set.h"

#define OCI_REF_NAME "org.opencontainers.image.ref.name"

struct layout {
	int dir_fd;
	int lock_fd; /* -1: opened for reading */
	char *name;  /* as the user wrote it, for errors */
};
#define LAYOUT_INIT                                                                            \
	{                                                                                      \
		.dir_fd = -1, .lock_fd = -1                                                    \
	}
void layout_cleanup(struct layout *l);

/* For reading; must exist and be a layout (ERR_INPUT "layout/..."). */
int layout_open(int dir_fd, const char *path, struct layout *ret, struct err *e) WARN_UNUSED;
/* For writing: created if absent, locked (ERR_SYSTEM "layout/locked": "couldn't acquire lock on
 * PATH: lock owned by pid N"), leftovers of a killed writer removed. */
int layout_open_writable(int dir_fd, const char *path, struct layout *ret,
			 struct err *e) WARN_UNUSED;

/* `ref` is a tag or "sha256:...". Follows nested indexes to the manifest for os/arch; absent is
 * ERR_INPUT "layout/no-such-tag" with the tags that exist. */
int layout_resolve(const struct layout *l, const char *ref, const char *os, const char *arch,
		   struct descriptor *ret, struct err *e) WARN_UNUSED;
/* The names of all entries that have one, in order. */
int layout_tags(const struct layout *l, struct strvec *ret, struct err *e) WARN_UNUSED;
/* What a tag or digest of index.json is, be it an index; ERR_INPUT "layout/no-such-tag". A digest
 * that no entry has is looked for among the blobs. */
int layout_find(const struct layout *l, const char *ref, struct descriptor *ret,
		struct err *e) WARN_UNUSED;
/* Every entry of index.json. */
int layout_entries(const struct layout *l, struct descriptor_vec *ret,
		   struct err *e) WARN_UNUSED;
/* Adds a manifest without a tag, such as a referrer. */
int layout_add_untagged(struct layout *l, const struct descriptor *d, const char *artifact_type,
			struct err *e) WARN_UNUSED;
/* A blob's fd, size checked against `expected_size` (-1: any); not hashed. */
int layout_blob_open(const struct layout *l, const struct digest *d, int64_t expected_size,
		     int *ret_fd, struct err *e) WARN_UNUSED;
/* Reads and hashes; wrong bytes are ERR_MISMATCH "layout/damaged". */
int layout_blob_read(const struct layout *l, const struct digest *d, struct buf *b,
		     struct err *e) WARN_UNUSED;
bool layout_has_blob(const struct layout *l, const struct digest *d, uint64_t size);
/* Copies from an fd (reflink where possible), checked by hash, atomically. */
int layout_put_blob_fd(struct layout *l, int from_fd, const struct digest *d,
		       struct err *e) WARN_UNUSED;
/* Replaces the entry of `tag` (old one removed, new one appended), or does nothing if it is
 * already exactly that (*ret_changed). The platform of the entry is os/arch; os NULL: none. */
int layout_set_tag(struct layout *l, const char *tag, const struct descriptor *d,
		   const char *os, const char *arch, bool *ret_changed,
		   struct err *e) WARN_UNUSED;
/* The same for several at once: index.json is read once, and has all of them or none. */
struct layout_tag {
	const char *name;
	const struct descriptor *descriptor;
	const char *os, *arch;
};
int layout_set_tags(struct layout *l, const struct layout_tag *tags, size_t len,
		    bool *ret_changed, struct err *e) WARN_UNUSED;
/* Removes blobs that no entry of index.json reaches. `known` (may be NULL) are blobs that the
 * caller knows to be reached: if there are no others, no document is read. */
int layout_collect(struct layout *l, const struct digest_set *known, struct err *e) WARN_UNUSED;

#endif
