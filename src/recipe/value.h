/*
 * Typed reading of nodes. Each reader names the directive (`what`) in its error, takes only
 * what is written exactly, and leaves `ret` alone on failure unless said otherwise.
 */
#ifndef RECIPE_VALUE_H
#define RECIPE_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "recipe/node.h"
#include "util/map.h"
#include "util/vec.h"

/* "recipe/wrong-type": `what` must be `expected`, not what `n` is. Returns -1. */
int value_wrong_type(const struct node *n, const char *what, const char *expected,
		     struct err *e);
/* A list item or map value that is a scalar with a text; null is an error, except that an empty
 * map value counts as "". */
int value_text(const struct node *n, const char *what, const char **ret,
	       struct err *e) WARN_UNUSED;
/* Exactly `true` or `false`, unquoted. */
int value_bool(const struct node *n, const char *what, bool *ret, struct err *e) WARN_UNUSED;
/* An unquoted decimal integer in 0..max. */
int value_integer(const struct node *n, const char *what, uint64_t max, int64_t *ret,
		  struct err *e) WARN_UNUSED;
/* A list of texts, appended to `ret`. */
int value_texts(const struct node *n, const char *what, struct strvec *ret,
		struct err *e) WARN_UNUSED;
/* Whether the recipe's JSON profile takes it as a key. */
bool value_key_fits(const char *key);
/* A map of texts whose keys fit the recipe's JSON profile: [A-Za-z0-9._/:@+-]+. `ret` is a
 * MAP_INIT(free) map and may be filled in part on failure. */
int value_text_map(const struct node *n, const char *what, struct map *ret,
		   struct err *e) WARN_UNUSED;

/* "recipe/bad-path" unless the text is a path of at most LIMIT_PATH_BYTES without control
 * characters. */
int value_path(const struct node *n, const char *what, struct err *e) WARN_UNUSED;
/* As value_path, and absolute without "..": "'dest' cannot be relative". */
int value_absolute_path(const struct node *n, const char *what, struct err *e) WARN_UNUSED;

#endif
