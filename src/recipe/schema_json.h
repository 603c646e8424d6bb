/* The table of directives as a JSON Schema (2020-12), for editors. */
#ifndef RECIPE_SCHEMA_JSON_H
#define RECIPE_SCHEMA_JSON_H

#include "util/buf.h"

/* Whatever the parser accepts fits the schema, and a key that the parser does not know does not;
 * what values may say exactly is for the parser alone. */
void schema_json(struct buf *out);

#endif
