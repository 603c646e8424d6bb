/*
 * Filling the output layout: blobs as images come, then all their tags at once, so that the layout
 * never names what is not there, and hundreds of images cost one reading of its index.
 */
#ifndef BUILD_OUTPUT_H
#define BUILD_OUTPUT_H

#include "build/result.h"
#include "image/layout.h"
#include "recipe/stackerfile.h"
#include "util/vec.h"

struct output_tags VEC_OF(struct layout_tag);

struct output {
	const struct build_context *c;
	struct layout layout;
	struct digest_set placed; /* blobs known to be in it */
	struct output_tags tags;  /* to be set; borrowed texts */
};
#define OUTPUT_INIT                                                                            \
	{                                                                                      \
		.layout = LAYOUT_INIT                                                          \
	}
void output_cleanup(struct output *o);

int output_open(const struct build_context *c, struct output *ret, struct err *e) WARN_UNUSED;
/* Copies the image's blobs. `tag`, `image` and `result` are borrowed until output_commit(). */
int output_put(struct output *o, const char *tag, const struct recipe_image *image,
	       const struct image_result *result, struct err *e) WARN_UNUSED;
/* Sets the tags and removes what nothing names any more. */
int output_commit(struct output *o, struct err *e) WARN_UNUSED;

#endif
