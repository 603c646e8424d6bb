/* What explain.c and explain_import.c share. */
#ifndef BUILD_EXPLAIN_INTERNAL_H
#define BUILD_EXPLAIN_INTERNAL_H

#include <jansson.h>

#include "build/explain.h"

struct comparison {
	const struct build_context *context;
	const struct plan *plan;
	const struct plan_image *image;
	struct explanation *ret;
};

/* Adds one; valid until the next. */
struct explain_change *explain_add(struct comparison *x, enum explain_kind kind,
				   const char *field, struct pos pos);
/* For people; NULL for NULL. The caller frees. */
char *explain_value(const json_t *value);

/* explain_import.c */
/* Also if neither has it. */
bool explain_member_same(const json_t *a, const json_t *b, const char *key);
void explain_imports(struct comparison *x, const json_t *before, const json_t *after);
/* The files in which the local inputs of two sources differ, as far as they are still known. */
void explain_files(const struct comparison *x, const json_t *before, const json_t *after,
		   struct explain_change *ret);

#endif
