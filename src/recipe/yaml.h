/*
 * Strict YAML: libyaml's events into a node tree. Refused with position: duplicate keys,
 * tags, merge keys, directives, several documents, non-scalar keys, depth over
 * LIMIT_YAML_DEPTH, files over LIMIT_STACKERFILE_BYTES, invalid UTF-8, control characters;
 * unless asked for, anchors and aliases.
 */
#ifndef RECIPE_YAML_H
#define RECIPE_YAML_H

#include <stddef.h>

#include "recipe/node.h"
#include "recipe/substitute.h"

struct yaml_document {
	char *file; /* owned; positions borrow it */
	struct node *root;
};
void yaml_document_cleanup(struct yaml_document *d);

struct yaml_source {
	const char *text;
	size_t len;
	const char *file; /* the name that errors show */
	const struct text_place
		*places; /* of each character; NULL: where it stands in `text` */
	size_t places_len;
	/* An alias becomes a copy of what its anchor marks, with the positions of that. Bounded by
	 * LIMIT_YAML_ANCHORS, _ALIASED_NODES and _ALIASED_BYTES. */
	bool aliases;
};
int yaml_parse_source(const struct yaml_source *source, struct yaml_document *ret,
		      struct err *e) WARN_UNUSED;
/* Without aliases. `file` is the name errors show. ERR_RECIPE "yaml/...". An empty document has a NULL root. */
int yaml_parse(const char *text, size_t len, const char *file, struct yaml_document *ret,
	       struct err *e) WARN_UNUSED;

#endif
