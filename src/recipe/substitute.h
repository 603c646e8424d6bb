/*
 * Substitution: the placeholders ${{KEY}} and ${{KEY:default}} of a stackerfile become text before
 * it is read as YAML (reference/stackerfile.md 1.2). What is put in is public: it becomes part of
 * recipes. Whatever it does to the text, positions stay those of the file that the user sees.
 */
#ifndef RECIPE_SUBSTITUTE_H
#define RECIPE_SUBSTITUTE_H

#include <stdint.h>

#include "util/buf.h"
#include "util/str.h"
#include "util/vec.h"

struct substitution {
	char *key;
	char *value;
};
struct substitution_vec VEC_OF(struct substitution);
void substitution_vec_cleanup(struct substitution_vec *v);

/* Appends "KEY=VALUE". ERR_USAGE "recipe/bad-substitution": without "=", a key that no
 * placeholder can hold, a value that may not stand in a stackerfile, or a key that was given
 * another value. */
int substitution_add(struct substitution_vec *v, const char *pair, struct err *e) WARN_UNUSED;
/* Appends a key of our own or of a file unless it was given already. The same errors. */
int substitution_add_default(struct substitution_vec *v, const char *key, const char *value,
			     struct err *e) WARN_UNUSED;
/* Appends what a YAML map of texts holds, but for keys given already. `file` is the name that
 * errors show. */
int substitution_add_file(struct substitution_vec *v, const char *text, size_t len,
			  const char *file, struct err *e) WARN_UNUSED;

/* A place in the user's file. */
struct text_place {
	uint32_t line;
	uint32_t column;
};

/* Where each character of a substituted text comes from: its own place, or that of the
 * placeholder. `items` is NULL if nothing was substituted. One more than characters. */
struct text_places {
	struct text_place *items;
	size_t len;
};
void text_places_cleanup(struct text_places *p);

/* Applies each substitution to the whole text in turn, then defaults. `text` is clean UTF-8
 * (recipe/yaml_text.h). ERR_RECIPE: "recipe/no-substitution" (no value for a key),
 * "recipe/shell-substitution" ($KEY or ${KEY} of a key that was given),
 * "recipe/bad-placeholder", "recipe/too-big". */
int substitute(const struct substitution_vec *v, struct str text, const char *file,
	       struct buf *ret_text, struct text_places *ret_places, struct err *e) WARN_UNUSED;

#endif
