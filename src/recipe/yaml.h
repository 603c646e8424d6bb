/*
 * Strict YAML: libyaml's events into a node tree. Refused with position: duplicate keys,
 * anchors, aliases, tags, merge keys, directives, several documents, non-scalar keys, depth
 * over LIMIT_YAML_DEPTH, files over LIMIT_STACKERFILE_BYTES, invalid UTF-8, control characters.
 */
#ifndef RECIPE_YAML_H
#define RECIPE_YAML_H

#include <stddef.h>

#include "recipe/node.h"

struct yaml_document {
	char *file; /* owned; positions borrow it */
	struct node *root;
};
void yaml_document_cleanup(struct yaml_document *d);

/* `file` is the name errors show. ERR_RECIPE "yaml/...". An empty document has a NULL root. */
int yaml_parse(const char *text, size_t len, const char *file, struct yaml_document *ret,
	       struct err *e) WARN_UNUSED;

#endif
