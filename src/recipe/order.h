/*
 * Build order: repeated passes over the file's order, an image being ready when every image it
 * stands on or imports from is done (reference/stackerfile.md 1.4).
 */
#ifndef RECIPE_ORDER_H
#define RECIPE_ORDER_H

#include "recipe/stackerfile.h"

/* Reorders `images`, whose names are unique. The keys of `elsewhere` (may be NULL) name images of
 * other files that are done. Errors, at the image: "recipe/unresolved" (an
 * image that does not exist is needed), "recipe/cycle"; both say "couldn't resolve some
 * dependencies". */
int order_images(struct recipe_image_vec *images, const struct map *elsewhere,
		 struct err *e) WARN_UNUSED;

#endif
