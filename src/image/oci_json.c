/* Reading is strict about types and silent about members that this program does not use. */
#include "image/oci_json.h"

#include <stdlib.h>
#include <string.h>

#include "util/json_read.h"
#include "util/mem.h"
#include "util/num.h"

static int not_text(const char *what, const char *key, struct err *e)
{
	return err_set(e, ERR_INPUT, "image/not-text", "a value of '%s' in '%s' is not text",
		       key, what);
}

void json_put(json_t *object, const char *key, json_t *value)
{
	int failed = json_object_set_new(object, key, value);
	BUG_IF(failed);
}

void json_put_text(json_t *object, const char *key, const char *text)
{
	if (text)
		json_put(object, key, json_string(text));
}

/* Also under the name that it had before there was erofs. Who mounts the layer checks it; here
 * it is only handed on, if it can be one. */
static char *verity_root_of(const json_t *descriptor)
{
	static const char *const keys[] = {OCI_VERITY_ANNOTATION,
					   "io.stackeroci.stacker.squashfs_verity_root_hash"};
	const json_t *annotations = json_object_get(descriptor, "annotations");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *text = json_string_value(json_object_get(annotations, keys[i]));
		uint8_t bytes[32];
		if (text && num_parse_hex(text, strlen(text), bytes, sizeof(bytes)))
			return mem_strdup(text);
	}
	return NULL;
}

int descriptor_from_json(const json_t *value, const char *what, struct descriptor *ret,
			 struct err *e)
{
	if (!json_is_object(value)) {
		return err_set(e, ERR_INPUT, "image/descriptor",
			       "a descriptor in '%s' is not an object", what);
	}
	const char *media_type = NULL, *digest = NULL;
	struct descriptor d = {0};
	if (json_get_text(value, "mediaType", what, &media_type, e) < 0 ||
	    json_get_text(value, "digest", what, &digest, e) < 0 ||
	    json_get_u64(value, "size", what, &d.size, e) < 0)
		return -1;
	if (digest_parse(digest, &d.digest, e) < 0)
		return err_wrap(e, "'%s'", what);
	d.verity_root = verity_root_of(value);
	d.media_type = mem_strdup(media_type_oci(media_type));
	*ret = d;
	return 0;
}

json_t *descriptor_to_json(const struct descriptor *d)
{
	char digest[DIGEST_TEXT_MAX];
	digest_format(&d->digest, digest);
	json_t *object = json_object();
	json_put_text(object, "mediaType", d->media_type);
	json_put_text(object, "digest", digest);
	json_put(object, "size", json_integer((json_int_t)d->size));
	if (d->verity_root) {
		json_t *annotations = json_object();
		json_put_text(annotations, OCI_VERITY_ANNOTATION, d->verity_root);
		json_put(object, "annotations", annotations);
	}
	return object;
}

int text_map_from_json(json_t *object, const char *what, struct map *ret, struct err *e)
{
	const char *key;
	json_t *value;
	ret->free_value = free;
	json_object_foreach(object, key, value)
	{
		if (!json_is_string(value))
			return not_text(what, key, e);
		map_set_text(ret, key, json_string_value(value));
	}
	return 0;
}

json_t *text_map_to_json(const struct map *m)
{
	json_t *object = json_object();
	for (size_t i = 0; i < m->len; i++)
		json_put_text(object, m->entries[i].key, m->entries[i].value);
	return object;
}

int text_list_from_json(const json_t *array, const char *what, struct strvec *ret,
			struct err *e)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *value = json_array_get(array, i);
		if (!json_is_string(value))
			return not_text(what, "list", e);
		strvec_push(ret, json_string_value(value));
	}
	return 0;
}

json_t *text_list_to_json(const struct strvec *v)
{
	json_t *array = json_array();
	for (size_t i = 0; i < v->len; i++) {
		int failed = json_array_append_new(array, json_string(v->items[i]));
		BUG_IF(failed);
	}
	return array;
}
