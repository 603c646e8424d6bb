/*
 * Canonical JSON out (RFC 8785 restricted as in reference/audit.md section 7): members sorted by
 * UTF-16 code units, no white space, integers only, the shortest escapes. Documents are built
 * with jansson's constructors; the bytes are ours, so they do not depend on its version.
 */
#ifndef UTIL_JSON_WRITE_H
#define UTIL_JSON_WRITE_H

#include <jansson.h>

#include "util/buf.h"

/* The general writer: any key, null allowed; a real number or an integer over 2^53-1 is a BUG. */
void json_write(const json_t *value, struct buf *out);
/* The recipe profile on top: keys [A-Za-z0-9._/:@+-]+, no null, depth <= 64; ERR_INPUT
 * "json/profile" naming the key. */
int json_write_profile(const json_t *value, struct buf *out, struct err *e) WARN_UNUSED;

#endif
