/*
 * What building one recipe gave: its layers, and for an image that is not build_only its config
 * and manifest. Kept as cache/<recipe digest>.json; every blob it names is in the store.
 */
#ifndef BUILD_RESULT_H
#define BUILD_RESULT_H

#include "build/context.h"
#include "image/config.h"
#include "image/manifest.h"
#include "util/digest_set.h"

struct result_layer {
	struct descriptor blob;
	struct digest diff_id;
	struct digest chain_id; /* of this layer and all beneath; names its tree in roots/ */
	char *created_by;	/* for the history entry */
	/* The base's file system image that this tar was made from; no media type: none. */
	struct descriptor origin;
};
struct result_layer_vec VEC_OF(struct result_layer);

struct image_result {
	struct digest recipe;
	bool build_only;
	struct result_layer_vec layers; /* base first */
	/* The config and annotations that an image built on this one inherits (U3: those of the
	 * nearest ancestor that is not build_only); alg NONE: an empty image. */
	struct digest inherit_config;
	struct map inherit_annotations;
	struct descriptor config;   /* not build_only */
	struct descriptor manifest; /* not build_only */
};
void image_result_cleanup(struct image_result *r);

/* ChainID of the OCI image spec, "Layer ChainID"; `parent` NULL for the first layer. */
void result_chain_id(const struct digest *parent, const struct digest *diff_id,
		     struct digest *ret);

/* Store the config, and then the manifest of config, layers and annotations, and describe them in
 * `r`. "input/too-big" if a document would be over its limit. */
int result_put_config(const struct build_context *c, const struct image_config *config,
		      struct image_result *r, struct err *e) WARN_UNUSED;
int result_put_manifest(const struct build_context *c, struct image_result *r,
			struct err *e) WARN_UNUSED;

/* *ret_hit is false if there is no entry, or one whose blobs are gone or damaged in size (then
 * with a debug message that says why). */
int cache_load(const struct build_context *c, const struct digest *recipe,
	       struct image_result *ret, bool *ret_hit, struct err *e) WARN_UNUSED;
/* The same, for many: `present` remembers blobs that were found in the store, so that layers which
 * images share are looked for once. */
int cache_load_seen(const struct build_context *c, const struct digest *recipe,
		    struct digest_set *present, struct image_result *ret, bool *ret_hit,
		    struct err *e) WARN_UNUSED;
int cache_save(const struct build_context *c, const struct image_result *r,
	       struct err *e) WARN_UNUSED;
/* The same with the recipe's bytes in it: what a later recipe is compared with. */
int cache_save_with_recipe(const struct build_context *c, const struct image_result *r,
			   const char *canonical, struct err *e) WARN_UNUSED;
/* *ret is left empty if there is none, or another one than the digest says. */
int cache_load_recipe(const struct build_context *c, const struct digest *recipe,
		      struct buf *ret, struct err *e) WARN_UNUSED;
/* Likewise a single blob, under what it was made from, as cache/<key>.blob. */
int cache_load_blob(const struct build_context *c, const struct digest *key,
		    struct descriptor *ret, bool *ret_hit, struct err *e) WARN_UNUSED;
int cache_save_blob(const struct build_context *c, const struct digest *key,
		    const struct descriptor *d, struct err *e) WARN_UNUSED;
/* "<recipe hex>.log" in the cache directory. */
void cache_log_name(const struct digest *recipe, char out[DIGEST_TEXT_MAX + 8]);

#endif
