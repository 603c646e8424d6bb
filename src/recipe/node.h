/*
 * A parsed YAML document as a tree of nodes with positions. Scalars keep their text exactly as
 * written (divergence U22: `3.10` stays "3.10"); only the schema decides what a text means.
 * One tree, one owner: node_free frees it all.
 */
#ifndef RECIPE_NODE_H
#define RECIPE_NODE_H

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

enum node_kind { NODE_SCALAR, NODE_SEQUENCE, NODE_MAPPING };

struct node {
	enum node_kind kind;
	struct pos pos; /* pos.file is borrowed from the yaml_document that owns the tree */
	bool quoted;	/* scalar: was written in quotes or as a block, so never null or bool */
	char *text;	/* scalar: NUL-terminated; NULs inside are refused */
	struct node **items; /* sequence: elements; mapping: values, in file order */
	struct node **keys;  /* mapping: scalar keys, in file order; else NULL */
	size_t len;
};

void node_free(struct node *n);
/* The value of `key`, or NULL. `n` must be a mapping. */
const struct node *node_get(const struct node *n, const char *key);
/* An unquoted empty, `~` or `null` scalar. */
bool node_is_null(const struct node *n);
const char *node_kind_name(enum node_kind kind); /* "a scalar", "a list", "a map" */

#endif
