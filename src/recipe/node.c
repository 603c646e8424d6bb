/* The node tree: looking things up in it and freeing it. Depth is bounded by whoever builds it.
 */
#include "recipe/node.h"

#include <stdlib.h>
#include <string.h>

#include "util/str.h"

void node_free(struct node *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->len; i++) {
		node_free(n->items[i]);
		if (n->keys)
			node_free(n->keys[i]);
	}
	free(n->items);
	free(n->keys);
	free(n->text);
	free(n);
}

const struct node *node_get(const struct node *n, const char *key)
{
	BUG_IF(n->kind != NODE_MAPPING);
	for (size_t i = 0; i < n->len; i++) {
		if (str_same(n->keys[i]->text, key))
			return n->items[i];
	}
	return NULL;
}

bool node_is_null(const struct node *n)
{
	if (n->kind != NODE_SCALAR || n->quoted)
		return false;
	return n->text[0] == '\0' || str_same(n->text, "~") || str_same(n->text, "null");
}

const char *node_kind_name(enum node_kind kind)
{
	switch (kind) {
	case NODE_SCALAR:
		return "a scalar";
	case NODE_SEQUENCE:
		return "a list";
	case NODE_MAPPING:
		return "a map";
	}
	err_bug("unknown node kind", __FILE__, __LINE__);
}
