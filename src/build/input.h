/*
 * Makes every input of the images to be built present and right, before the first step runs:
 * what the store has is hashed again, what is damaged there is dropped and brought anew, what
 * is missing comes from the seed store or the network.
 */
#ifndef BUILD_INPUT_H
#define BUILD_INPUT_H

#include "build/plan.h"

/* `todo` is indexed like the plan. */
int input_bring_all(struct build_context *c, const struct plan *p, const bool *todo,
		    struct err *e) WARN_UNUSED;

#endif
