/*
 * From stackerfiles to a plan: each wanted image and all it needs, with evaluated recipe and
 * recipe digest, computed from the text, the pins and the user's own files alone. Nothing is
 * downloaded and no cache is asked.
 */
#ifndef BUILD_PLAN_H
#define BUILD_PLAN_H

#include "build/context.h"
#include "build/project.h"
#include "recipe/canon.h"

struct plan_image {
	const struct recipe_image *recipe; /* borrowed from its stackerfile */
	const struct project_file *file; /* the stackerfile it is of; borrowed from the plan */
	const struct sandbox_limits
		*limits;	/* of its step: its stackerfile's, else the policy's */
	bool needed;		/* wanted, or needed by one that is */
	bool wanted;		/* to appear in the output */
	struct digest digest;	/* of the recipe; valid if needed */
	char *canonical;	/* the recipe's bytes, NUL-terminated */
	struct digest base;	/* see recipe_resolution.base */
	struct digest *imports; /* one an import */
	size_t *needs;		/* indices of images, ascending, without repeats */
	size_t needs_len;
};

struct plan_name {
	const char *text; /* borrowed */
	size_t index;
};

struct plan {
	struct project project;
	struct sandbox_limits *limits; /* one a stackerfile */
	struct plan_image *images;     /* in build order, those of one file together */
	size_t len;
	struct plan_name *names; /* of the images, sorted; for plan_index() */
	char *annotations_namespace;
};
#define PLAN_INIT                                                                              \
	{                                                                                      \
		.len = 0                                                                       \
	}
void plan_cleanup(struct plan *p);

/* What is to be planned. Texts are borrowed for the call. */
struct plan_options {
	const char *const *files; /* stackerfiles; their prerequisites are found */
	size_t files_len;
	const char *const *names; /* the wanted images; none: all, also of prerequisites */
	size_t names_len;
	const char *annotations_namespace;	      /* NULL: ANNOTATION_NAMESPACE */
	const struct substitution_vec *substitutions; /* for all stackerfiles; or NULL */
};

/* Local files go into the context's store, unless it was opened for plans only.
 * Errors: those of project_read(); an unknown name is ERR_USAGE "build/no-such-image" with the
 * names that exist. */
int plan_make(struct build_context *c, const struct plan_options *options, struct plan *ret,
	      struct err *e) WARN_UNUSED;
/* The digest of a needed image's recipe with other layers than tar. */
int plan_layers_digest(const struct build_context *c, const struct plan *p, size_t index,
		       const struct recipe_layers *layers, struct digest *ret,
		       struct err *e) WARN_UNUSED;
size_t plan_index(const struct plan *p, const char *name); /* p->len if there is none */
/* Indices of the images that `image` is made from, itself included, in build order. */
struct plan_closure VEC_OF(size_t);
void plan_closure_of(const struct plan *p, size_t image, struct plan_closure *ret);

#endif
