/*
 * From a stackerfile to a plan: each wanted image and all it needs, with evaluated recipe and
 * recipe digest, computed from the text, the pins and the user's own files alone. Nothing is
 * downloaded and no cache is asked.
 */
#ifndef BUILD_PLAN_H
#define BUILD_PLAN_H

#include "build/context.h"
#include "recipe/stackerfile.h"

struct plan_image {
	const struct recipe_image *recipe; /* borrowed from the plan's stackerfile */
	bool needed;			   /* wanted, or needed by one that is */
	bool wanted;			   /* to appear in the output */
	struct digest digest;		   /* of the recipe; valid if needed */
	char *canonical;		   /* the recipe's bytes, NUL-terminated */
	struct digest base;		   /* see recipe_resolution.base */
	struct digest *imports;		   /* one an import */
	size_t *needs;			   /* indices of images, ascending, without repeats */
	size_t needs_len;
};

struct plan {
	struct stackerfile file;
	int dir_fd;		   /* of the stackerfile: local imports start here */
	struct plan_image *images; /* in build order */
	size_t len;
	struct sandbox_limits limits; /* of every step: the stackerfile's, else the policy's */
};
#define PLAN_INIT                                                                              \
	{                                                                                      \
		.dir_fd = -1                                                                   \
	}
void plan_cleanup(struct plan *p);

/* `names` limits what is wanted; none: every image. An unknown name is
 * ERR_USAGE "build/no-such-image" with the names that exist. */
int plan_make(struct build_context *c, const char *path, const char *const *names,
	      size_t names_len, struct plan *ret, struct err *e) WARN_UNUSED;
size_t plan_index(const struct plan *p, const char *name); /* p->len if there is none */
/* Indices of the images that `image` is made from, itself included, in build order. */
struct plan_closure VEC_OF(size_t);
void plan_closure_of(const struct plan *p, size_t image, struct plan_closure *ret);

#endif
