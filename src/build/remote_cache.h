/*
 * Finished images in registries, found by what they are made of: the tag "recipe-<hex>" in a
 * repository that conf.yaml lists under `cache`. Nothing is believed because it was found: the
 * manifest must name the recipe itself, and every blob is what its digest says. Whether what
 * somebody else built from that recipe is accepted at all is the caller's to decide.
 */
#ifndef BUILD_REMOTE_CACHE_H
#define BUILD_REMOTE_CACHE_H

#include "build/result.h"
#include "inputs/registry.h"

/* The registries in use; each is connected to when it is first asked. */
struct remote_caches {
	const struct build_context *c;
	struct registry **open; /* indexed like c->sources->caches; NULL: not yet */
	bool *is_dead;		/* cannot be reached: warned about once, then left alone */
	size_t len;
};
void remote_caches_open(const struct build_context *c, struct remote_caches *ret);
void remote_caches_cleanup(struct remote_caches *r);

/* Whether one of them has the image of `recipe`; nothing of it is brought. The name is borrowed
 * from the configuration, NULL if none has. */
int remote_cache_find(struct remote_caches *r, const struct digest *recipe,
		      const char **ret_url, struct err *e) WARN_UNUSED;
/* Brings the image into the store and the local cache. *ret_hit false: none has it, or those
 * that have it cannot be reached or hold something else, which is warned about. */
int remote_cache_load(struct remote_caches *r, const struct digest *recipe,
		      struct image_result *ret, bool *ret_hit, struct err *e) WARN_UNUSED;
/* Pushes an image that is not build_only to each cache that is writable and lacks it. */
int remote_cache_save(struct remote_caches *r, const struct image_result *image,
		      struct err *e) WARN_UNUSED;

#endif
