/*
 * What was last built of each stackerfile: image names and the recipes they had. By it a built
 * image is found without evaluating its stackerfile again, a miss can be explained, and gc knows
 * what is still in use. One file a stackerfile, "DIR/last/<sha256 of its path>.json"; of no
 * weight for what is built.
 */
#ifndef BUILD_LAST_H
#define BUILD_LAST_H

#include "build/form.h"
#include "build/plan.h"
#include "build/result.h"

struct last_image {
	char *name;
	struct digest recipe;
	struct digest
		forms[LAYER_TYPES]; /* recipes of those that are not tar; alg NONE: none */
};
struct last_builds {
	char *file; /* absolute path of the stackerfile */
	struct last_image *items;
	size_t len, cap; /* in build order */
};
struct last_builds_vec VEC_OF(struct last_builds);
void last_builds_cleanup(struct last_builds *b);
void last_builds_vec_cleanup(struct last_builds_vec *v);

/* `file` is absolute (project_absolute()). Nothing recorded, or nothing readable: empty. */
int last_load(const struct build_context *c, const char *file, struct last_builds *ret,
	      struct err *e) WARN_UNUSED;
const struct last_image *last_find(const struct last_builds *b, const char *name);
/* Every record there is, in order of their names; what cannot be read is left out, with a
 * warning. */
int last_load_all(const struct build_context *c, struct last_builds_vec *ret,
		  struct err *e) WARN_UNUSED;
/* Records the images of `p` that are `known` (indexed like the plan) to be in the cache, with
 * those of their `forms` that are, and forgets images that their stackerfiles no longer have. */
int last_save(const struct build_context *c, const struct plan *p, const bool *known,
	      const struct forms *forms, struct err *e) WARN_UNUSED;
int last_forget(const struct build_context *c, const char *file, struct err *e) WARN_UNUSED;

/* An image as it was last built, with its trees in place. `file` is the stackerfile, which need
 * not exist; `name` NULL: its first one. If that file has no such image, one of another file of
 * that name will do, unless there are several. ERR_USAGE "build/not-built" with the names that
 * there are. */
int last_open_image(struct build_context *c, const char *file, const char *name,
		    struct image_result *ret, char **ret_name, struct err *e) WARN_UNUSED;

#endif
