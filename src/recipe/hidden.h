/*
 * Directives that would let in what no recipe can name: refused, with the hermetic way as lines
 * to paste, made from what the user wrote. Internal to the module.
 */
#ifndef RECIPE_HIDDEN_H
#define RECIPE_HIDDEN_H

#include "recipe/node.h"

/* Fill `e` with "recipe/not-hermetic" at `key`, and return -1. */
typedef int hidden_refuse(const struct node *key, const struct node *value, struct err *e);
hidden_refuse hidden_binds;
hidden_refuse hidden_passthrough;

#endif
