/* The parts of a stackerfile's reading, for those who read on after an error. */
#ifndef RECIPE_STACKERFILE_INTERNAL_H
#define RECIPE_STACKERFILE_INTERNAL_H

#include "recipe/stackerfile.h"

#define RECIPE_IMAGE_INIT                                                                      \
	{                                                                                      \
		.environment = MAP_INIT(free), .build_env = MAP_INIT(free),                    \
		.labels = MAP_INIT(free), .annotations = MAP_INIT(free),                       \
	}

void recipe_image_cleanup(struct recipe_image *image);
/* Leaves the image without a base and imports, so that it needs no other image. */
void recipe_image_forget_needs(struct recipe_image *image);

/* The tree after substitution, with the positions before it. */
int stackerfile_read_yaml(const struct stackerfile_source *source, struct yaml_document *ret,
			  struct err *e) WARN_UNUSED;
/* What stands under the top-level key `config`. May fill `s` in part on failure. */
int stackerfile_read_config(const struct node *config, struct stackerfile *s,
			    struct err *e) WARN_UNUSED;
/* What stands under an image's name. `image` is RECIPE_IMAGE_INIT, and filled in part on
 * failure. */
int stackerfile_read_image(const struct node *key, const struct node *value,
			   const char *default_arch, struct recipe_image *image,
			   struct err *e) WARN_UNUSED;

#endif
