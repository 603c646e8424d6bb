/*
 * The annotations by which stacker says of a manifest what it was made from, behind a namespace
 * that --annotations-namespace sets. Upstream's three (stacker_version, git_version,
 * stacker_yaml) are not written: they would make an image depend on who builds it and where,
 * and carry the stackerfile's text with all that was substituted into it (U31).
 */
#ifndef BUILD_ANNOTATION_H
#define BUILD_ANNOTATION_H

#include <stdbool.h>

#include "recipe/stackerfile.h"
#include "util/map.h"

#define ANNOTATION_NAMESPACE "io.stackeroci" /* upstream's default */

/* ERR_USAGE "build/bad-namespace" unless letters, digits, '.', '-' and '_', at most 128. */
int annotation_namespace_check(const char *name, struct err *e) WARN_UNUSED;
/* ERR_RECIPE "recipe/reserved-annotation" if the image sets one that builders write. */
int annotation_check(const struct recipe_image *r, struct err *e) WARN_UNUSED;
/* Adds what may be inherited: what a builder, this or upstream's, said of its own work is not
 * true of another image. */
void annotation_inherit(const struct map *from, struct map *ret);
/* Adds the recipe's digest and the format. */
void annotation_add(const char *name_space, const struct digest *recipe, struct map *ret);
/* The recipe that a manifest's annotations claim, in whatever namespace; NULL if none or two. */
const char *annotation_recipe(const struct map *annotations);

#endif
