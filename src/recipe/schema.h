/*
 * Which directives there are: one table for every place of a stackerfile where a map with fixed
 * keys stands. A key that the table lacks is an error, and so is one that it marks as coming
 * later or as never coming because it would let unpinned bytes into a build: nothing that the
 * user wrote is ever ignored.
 */
#ifndef RECIPE_SCHEMA_H
#define RECIPE_SCHEMA_H

#include "recipe/node.h"
#include "recipe/stackerfile.h"

enum schema_scope {
	SCHEMA_CONFIG,	/* under the top-level key `config` */
	SCHEMA_LIMITS,	/* under `limits` there */
	SCHEMA_IMAGE,	/* under an image's name */
	SCHEMA_FROM,	/* under `from` */
	SCHEMA_OVERLAY, /* a map in `overlay_dirs` */
	SCHEMA_IMPORT,	/* a map in `imports` */
	SCHEMA_LOCK,	/* stacker.lock */
	SCHEMA_PIN,	/* a map in `pins` there */
};

/* Checks the keys of `map` (which must be a mapping, else "recipe/wrong-type"): known, working,
 * and of the right shape. A null value counts as absent and passes. Errors, at the key:
 * "recipe/unknown-directive", "recipe/not-hermetic"; at the value:
 * "recipe/wrong-type". */
int schema_check(enum schema_scope scope, const struct node *map, struct err *e) WARN_UNUSED;
/* Checks an image's map and reads every directive into `image`, in the order of the table. */
int schema_read_image(const struct node *map, struct recipe_image *image,
		      struct err *e) WARN_UNUSED;
/* The value of `key`, or NULL if it is absent or null. */
const struct node *schema_get(const struct node *map, const char *key);

#endif
