/* The JSON shapes that manifests, configurations and indexes share. Internal to the module. */
#ifndef IMAGE_OCI_JSON_H
#define IMAGE_OCI_JSON_H

#include <jansson.h>

#include "image/manifest.h"
#include "util/err.h"
#include "util/map.h"
#include "util/vec.h"

/* Errors are ERR_INPUT "image/descriptor", "json/..." or "digest/..."; `what` names the
 * document. `urls`, `data`, `platform` and annotations are not read. */
int descriptor_from_json(const json_t *value, const char *what, struct descriptor *ret,
			 struct err *e) WARN_UNUSED;
json_t *descriptor_to_json(const struct descriptor *d); /* a new reference */

/* Sets a member to text, or leaves it absent if `text` is NULL. Text that is not UTF-8 is a BUG:
 * it must have been refused where it came in. */
void json_put_text(json_t *object, const char *key, const char *text);
/* As above for a value of one's own, whose reference is taken. */
void json_put(json_t *object, const char *key, json_t *value);

/* A map of text to text, such as annotations and labels, into an empty one, which then
 * owns its values; NULL is an empty object. ERR_INPUT "image/not-text" for another value. */
int text_map_from_json(json_t *object, const char *what, struct map *ret,
		       struct err *e) WARN_UNUSED;
json_t *text_map_to_json(const struct map *m);
/* A list of texts; NULL is an empty one. */
int text_list_from_json(const json_t *array, const char *what, struct strvec *ret,
			struct err *e) WARN_UNUSED;
json_t *text_list_to_json(const struct strvec *v);

#endif
