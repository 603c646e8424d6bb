/*
 * The forms of the wanted images that are not tar: each a conversion of the tar image, with a
 * recipe digest, a config and a manifest of its own. A form is a function of the tar image and of
 * the tool; the steps of an image run once, however many forms are asked for, and not at all if
 * all forms are cached.
 */
#ifndef BUILD_FORM_H
#define BUILD_FORM_H

#include "build/layer_type.h"
#include "build/plan.h"
#include "build/result.h"

struct form {
	struct digest recipe;
	struct image_result result;
	bool have; /* `result` is filled in */
	bool cached;
};

struct forms {
	struct build_context *c;
	const struct plan *plan;
	struct layer_types types; /* tar if none was asked for */
	char *tools[LAYER_TYPES]; /* NULL for tar */
	struct form *items;	  /* types.len for each image of the plan */
};
void forms_cleanup(struct forms *f);

/* Asks the tools for their versions and computes the recipe digests. */
int forms_open(struct forms *ret, struct build_context *c, const struct plan *plan,
	       const struct layer_types *types, struct err *e) WARN_UNUSED;
int forms_look_up(struct forms *f, bool no_cache, struct err *e) WARN_UNUSED;
/* Whether this wanted image is to be had as tar: for itself, or to make a form that is missing. */
bool forms_need_tar(const struct forms *f, size_t image);
/* Makes all that are missing; `results` has the tar images, indexed like the plan. */
int forms_make(struct forms *f, const struct image_result *results, struct err *e) WARN_UNUSED;
/* NULL for tar. */
const struct form *form_of(const struct forms *f, size_t image, enum layer_type type);

#endif
