/*
 * Everything that a manifest or index names, found by reading the documents: from a store, and
 * those that it lacks from a registry, into that store. Internal to the module.
 */
#ifndef BUILD_REMOTE_TREE_H
#define BUILD_REMOTE_TREE_H

#include "build/remote.h"
#include "util/map.h"

struct remote_tree {
	struct descriptor_vec documents; /* what a document names comes before it */
	struct descriptor_vec blobs;	 /* configs and layers */
	struct map seen;
};
#define REMOTE_TREE_INIT                                                                       \
	{                                                                                      \
		.seen = MAP_INIT(NULL)                                                         \
	}
void remote_tree_cleanup(struct remote_tree *t);

/* `r` NULL: everything must be in the store. */
int remote_tree_read(struct registry *r, const struct store *store,
		     const struct descriptor *top, const struct remote_platform *platform,
		     struct remote_tree *ret, struct err *e) WARN_UNUSED;

/* Into the store, under the digest's own algorithm. */
int remote_keep(const struct store *store, const struct registry_document *d,
		struct err *e) WARN_UNUSED;
/* A document out of the store, hash-checked. */
int remote_load(const struct store *store, const struct descriptor *d,
		struct registry_document *ret, struct err *e) WARN_UNUSED;
/* As the client of registries has them; the caller frees the array. */
struct registry_descriptor *remote_blobs(const struct descriptor_vec *blobs);

/* Pushes the documents of a tree whose blobs the registry has: the last, which names the others,
 * under every tag, or under its digest if there is none. */
int remote_push_documents(struct registry *r, const struct store *from,
			  const struct remote_tree *tree, const char *const *tags,
			  size_t tags_len, struct err *e) WARN_UNUSED;

#endif
