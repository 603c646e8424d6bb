/* What the parts of lint share. */
#ifndef RECIPE_LINT_INTERNAL_H
#define RECIPE_LINT_INTERNAL_H

#include "recipe/lint.h"

/* What a finding is made from: texts are copied, NULL counts as "". */
struct lint_text {
	const char *id; /* whole */
	const char *message, *hint, *snippet;
};
void lint_add(struct lint_report *r, const struct pos *pos, enum lint_severity severity,
	      const struct lint_text *text);

#endif
