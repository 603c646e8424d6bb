/*
 * Taking what an error is about out of a stackerfile's tree, so that it can be read again.
 * Internal to the module.
 */
#ifndef RECIPE_LINT_TREE_H
#define RECIPE_LINT_TREE_H

#include "recipe/node.h"

bool lint_is_at(const struct node *n, const struct err *e);
/* Takes what the error is about out of a map of directives, or as much around it as has to go
 * with it. False if there is nothing to take. */
bool lint_take_out(struct node *map, const struct err *e);

#endif
