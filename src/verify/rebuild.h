/*
 * One rebuild of one image in a fresh root: a child process with its own state directory, roots
 * and output layout, no cached result, inputs taken from the caller's store (every byte hashed)
 * or fetched again by their pins.
 */
#ifndef VERIFY_REBUILD_H
#define VERIFY_REBUILD_H

#include "build/layer_type.h"
#include "build/plan.h"
#include "verify/vary.h"

struct rebuild {
	const struct build_context *c;	 /* the caller's: its store seeds the rebuild */
	const struct plan_options *plan; /* the caller's; but for the names */
	const struct vary *vary;
	char *state, *roots, *oci; /* owned; of this rebuild */
};
void rebuild_cleanup(struct rebuild *r);

/* Names the directories below the caller's state directory; `variant` differs between the two
 * rebuilds in length and depth, so that a path that leaks shows. */
void rebuild_init(struct rebuild *r, const struct build_context *c,
		  const struct plan_options *plan, const char *variant,
		  const struct vary *vary);
/* Builds the image; the child's error comes back as it was raised there. */
int rebuild_run(const struct rebuild *r, const char *image, const struct layer_types *types,
		struct err *e) WARN_UNUSED;
/* Removes what rebuilds of this state directory left, finished or killed. */
int rebuild_clear(const struct build_context *c, struct err *e) WARN_UNUSED;

#endif
