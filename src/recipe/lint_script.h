/* The warnings about a `run` script. Internal to the module. */
#ifndef RECIPE_LINT_SCRIPT_H
#define RECIPE_LINT_SCRIPT_H

#include "recipe/lint.h"
#include "recipe/node.h"

/* `source` is the whole file that `run`'s positions count in. */
void lint_script(const struct node *run, const char *source, size_t source_len,
		 struct lint_report *r);

#endif
