/*
 * Where bytes may be had beside the URLs of the recipe, as conf.yaml says: mirrors, registries
 * with inputs, registries with finished images. Nothing of it can change what an image is, since
 * whatever comes from there is checked against the same hash.
 */
#ifndef BUILD_SOURCES_H
#define BUILD_SOURCES_H

#include <stdbool.h>

#include "util/vec.h"

/* URLs that begin with `prefix` are had, too, with each of `targets` in its place. Both end in
 * '/', so that a host name is never matched in part. */
struct source_mirror {
	char *prefix;
	struct strvec targets;
};
struct source_mirrors VEC_OF(struct source_mirror);

/* A repository in a registry with images by recipe digest. */
struct source_cache {
	char *url; /* docker://HOST/REPOSITORY */
	bool is_writable;
};
struct source_caches VEC_OF(struct source_cache);

struct build_sources {
	struct source_mirrors mirrors; /* in the order they are tried */
	struct strvec inputs; /* docker://HOST/REPOSITORY, asked by hash before any URL */
	struct source_caches caches; /* in the order they are asked */
};
void build_sources_cleanup(struct build_sources *s);

/* Appends to `ret` what to try for `url`: its mirrors in order, then itself. `s` may be NULL. */
void sources_expand(const struct build_sources *s, const char *url, struct strvec *ret);

#endif
