/* Builds one image of a plan whose needed images are built already. */
#ifndef BUILD_IMAGE_H
#define BUILD_IMAGE_H

#include "build/plan.h"
#include "build/result.h"

/* `results` is indexed like the plan; those that `index` needs are filled in. The step's output
 * is kept in the cache directory also when the step fails. */
int image_build(struct build_context *c, const struct plan *p, size_t index,
		const struct image_result *results, struct image_result *ret,
		struct err *e) WARN_UNUSED;

#endif
