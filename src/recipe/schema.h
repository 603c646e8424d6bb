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

/* What a scalar, or an item of a list or a map, holds. */
enum schema_value {
	SCHEMA_TEXT,
	SCHEMA_FLAG,
	SCHEMA_NUMBER,
	SCHEMA_OCTAL,
	SCHEMA_TEXT_OR_MAP, /* items of a list: texts, or maps of the inner scope */
	SCHEMA_ANYTHING,
};

/* What the table says of one directive, for what describes the format to others. */
struct schema_entry {
	enum schema_scope scope;
	const char *name;
	bool may_be_scalar, may_be_list, may_be_map;
	bool refused; /* always, unless it is empty */
	enum schema_value value;
	bool has_inner; /* the map, or the maps in the list, are of a scope of their own */
	enum schema_scope inner;
	const char *about;
};
/* NULL: of another file than a stackerfile. */
const char *schema_scope_name(enum schema_scope scope);
size_t schema_entries(void);
struct schema_entry schema_entry(size_t index);

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
