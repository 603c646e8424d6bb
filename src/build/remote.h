/*
 * Whole images in registries: where the registry client (inputs/registry.h), which knows bytes
 * and digests, meets the readers of manifests and indexes (image/). What is brought lands in a
 * store, which may be the blobs directory of an OCI layout; nothing is ever re-serialised, so
 * that an image has the same digest wherever it is.
 */
#ifndef BUILD_REMOTE_H
#define BUILD_REMOTE_H

#include "build/context.h"
#include "image/manifest.h"
#include "inputs/registry.h"

/* Which image of an index; all NULL: every one. */
struct remote_platform {
	const char *os, *arch;
	const char *variant; /* NULL: any, if there is just one */
};

/* Opens the repository of "docker://HOST/REPOSITORY[:TAG][@DIGEST]" with the options of the
 * context (c->registry), `insecure` beside them. The caller calls registry_close() and
 * reference_cleanup(). */
int remote_open(const struct build_context *c, const char *url, bool insecure,
		struct reference *ret_where, struct registry **ret, struct err *e) WARN_UNUSED;

/* What a tag or digest stands for now. */
int remote_resolve(struct registry *r, const char *ref, struct descriptor *ret,
		   struct err *e) WARN_UNUSED;

/* Brings the manifest or index `ref` (tag or digest) and all that it names into `to`: of an
 * index only the image for `platform`, if that is given. *ret_top describes `ref` itself. */
int remote_pull(struct registry *r, const char *ref, const struct remote_platform *platform,
		const struct store *to, struct descriptor *ret_top, struct err *e) WARN_UNUSED;

/* What a document in the store is, by what it says itself. */
int remote_describe(const struct store *store, const struct digest *d, struct descriptor *ret,
		    struct err *e) WARN_UNUSED;

/* From what lies in `from` alone: the manifest that `top` stands for on a platform; `top`
 * itself, if it is one. ERR_INPUT "layout/no-such-platform", "store/absent", ... */
int remote_find_image(const struct store *from, const struct descriptor *top,
		      const struct remote_platform *platform, struct descriptor *ret,
		      struct err *e) WARN_UNUSED;

/* The base of `from: docker` in the store, whole: from `seed` if that has it (NULL: none), else
 * from the registry of `url`. */
struct remote_base {
	const char *url; /* docker://HOST/REPOSITORY... */
	struct digest digest;
	struct remote_platform platform;
	bool insecure;
};
int remote_bring_base(struct build_context *c, const struct remote_base *base,
		      struct err *e) WARN_UNUSED;

struct remote_push {
	const struct store *from;
	const char *const *tags; /* none: by digest alone */
	size_t tags_len;
	const char *mount_from; /* another repository of that registry, or NULL */
};
/* Pushes `top` and all that it names: blobs first, then manifests, then tags, so that a tag
 * never leads to something incomplete, whoever else pushes. */
int remote_push(struct registry *r, const struct descriptor *top,
		const struct remote_push *push, struct registry_push_report *ret,
		struct err *e) WARN_UNUSED;

#endif
