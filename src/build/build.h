/*
 * The build command's work: plan, look into the cache, fetch every pin that will be needed,
 * build what is missing in dependency order, put the wanted images into the output layout.
 */
#ifndef BUILD_BUILD_H
#define BUILD_BUILD_H

#include "build/layer_type.h"
#include "build/plan.h"
#include "build/result.h"

struct build_options {
	struct plan_options plan;
	struct layer_types layer_types;
	bool no_cache;	       /* build everything that is needed again */
	bool trust_cache;      /* take images from the registries under `cache` (sources.h) */
	bool cache_only;       /* "build/not-cached" instead of building */
	const char *env_epoch; /* SOURCE_DATE_EPOCH of the environment or NULL: warned about
				  if the recipe's differs, never used */
};

/* Called after each wanted image is in the layout, in build order, and once for each of its
 * layer types. */
struct build_done {
	const char *name; /* its tag */
	const struct image_result *result;
	bool cached;
};

int build_run(struct build_context *c, const struct build_options *options,
	      void (*done)(void *ctx, const struct build_done *d), void *ctx,
	      struct err *e) WARN_UNUSED;

#endif
