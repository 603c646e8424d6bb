/*
 * Strict JSON in, by jansson: RFC 8259 with an object or array at the top, no duplicate or (but
 * for the keys of labels, annotations and the like) case-colliding keys, no NUL, integers only
 * (|n| <= 2^53-1), depth and size bounded before anything is allocated. Values are borrowed
 * from the document; getters name the key and `what` in their errors (ERR_INPUT "json/...").
 */
#ifndef UTIL_JSON_READ_H
#define UTIL_JSON_READ_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct json_doc {
	json_t *root;
};
void json_doc_cleanup(struct json_doc *doc);

int json_read(const char *text, size_t len, size_t max_bytes, const char *what,
	      struct json_doc *ret, struct err *e) WARN_UNUSED;

/* As json_read, for documents of our own that may hold more than LIMIT_JSON_NODES values. */
int json_read_large(const char *text, size_t len, size_t max_bytes, size_t max_values,
		    const char *what, struct json_doc *ret, struct err *e) WARN_UNUSED;

/* Required members. */
int json_get_text(const json_t *object, const char *key, const char *what, const char **ret,
		  struct err *e) WARN_UNUSED;
int json_get_u64(const json_t *object, const char *key, const char *what, uint64_t *ret,
		 struct err *e) WARN_UNUSED;
int json_get_object(const json_t *object, const char *key, const char *what, json_t **ret,
		    struct err *e) WARN_UNUSED;
int json_get_array(const json_t *object, const char *key, const char *what, json_t **ret,
		   struct err *e) WARN_UNUSED;
/* Optional members: 0 with *ret = NULL if absent or null; a wrong type is still an error. */
int json_opt_text(const json_t *object, const char *key, const char *what, const char **ret,
		  struct err *e) WARN_UNUSED;
int json_opt_object(const json_t *object, const char *key, const char *what, json_t **ret,
		    struct err *e) WARN_UNUSED;
int json_opt_array(const json_t *object, const char *key, const char *what, json_t **ret,
		   struct err *e) WARN_UNUSED;

#endif
