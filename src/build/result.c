/* The cache: one canonical JSON document a recipe, believed only if its blobs are still there.
 */
#include "build/result.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/annotation.h"
#include "recipe/canon.h"
#include "util/atomic_file.h"
#include "util/json_read.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

#define CACHE_SCHEMA STACKER_BASE_URI "cache-entry/v1"

void image_result_cleanup(struct image_result *r)
{
	for (size_t i = 0; i < r->layers.len; i++) {
		descriptor_cleanup(&r->layers.items[i].blob);
		descriptor_cleanup(&r->layers.items[i].origin);
		free(r->layers.items[i].created_by);
	}
	vec_free(&r->layers);
	map_cleanup(&r->inherit_annotations);
	descriptor_cleanup(&r->config);
	descriptor_cleanup(&r->manifest);
}

void result_chain_id(const struct digest *parent, const struct digest *diff_id,
		     struct digest *ret)
{
	if (!parent) {
		*ret = *diff_id;
		return;
	}
	char a[DIGEST_TEXT_MAX];
	char b[DIGEST_TEXT_MAX];
	digest_format(parent, a);
	digest_format(diff_id, b);
	char text[2 * DIGEST_TEXT_MAX + 1];
	int len = snprintf(text, sizeof(text), "%s %s", a, b);
	digest_bytes(DIGEST_SHA256, text, (size_t)len, ret);
}

int result_put_config(const struct build_context *c, const struct image_config *config,
		      struct image_result *r, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_CONFIG_BYTES);
	image_config_write(config, &text);
	if (buf_check(&text, "image config", e) < 0)
		return -1;
	r->config.media_type = mem_strdup(OCI_CONFIG_TYPE);
	r->config.size = text.len;
	return store_put(&c->store, text.data, text.len, &r->config.digest, e);
}

int result_put_manifest(const struct build_context *c, struct image_result *r, struct err *e)
{
	AUTO_FREE struct descriptor *layers = mem_zalloc(r->layers.len + 1, sizeof(*layers));
	AUTO(buf) text = BUF_INIT(LIMIT_MANIFEST_BYTES);
	for (size_t i = 0; i < r->layers.len; i++)
		layers[i] = r->layers.items[i].blob;
	const struct manifest manifest = {
		.config = r->config,
		.layers = {.items = layers, .len = r->layers.len},
		.annotations = r->inherit_annotations,
	};
	manifest_write(&manifest, &text);
	if (buf_check(&text, "image manifest", e) < 0)
		return -1;
	r->manifest.media_type = mem_strdup(OCI_MANIFEST_TYPE);
	r->manifest.size = text.len;
	return store_put(&c->store, text.data, text.len, &r->manifest.digest, e);
}

void cache_log_name(const struct digest *recipe, char out[DIGEST_TEXT_MAX + 8])
{
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(recipe, hex);
	snprintf(out, DIGEST_TEXT_MAX + 8, "%s.log", hex);
}

static void entry_name(const struct digest *recipe, char out[DIGEST_TEXT_MAX + 8])
{
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(recipe, hex);
	snprintf(out, DIGEST_TEXT_MAX + 8, "%s.json", hex);
}

static json_t *digest_json(const struct digest *d)
{
	char text[DIGEST_TEXT_MAX];
	digest_format(d, text);
	return json_string(text);
}

static json_t *descriptor_json(const struct descriptor *d)
{
	json_t *item = json_pack("{s:s, s:o, s:I}", "mediaType", d->media_type, "digest",
				 digest_json(&d->digest), "size", (json_int_t)d->size);
	if (d->verity_root)
		json_object_set_new(item, "verity_root", json_string(d->verity_root));
	return item;
}

static json_t *layers_json(const struct result_layer_vec *layers)
{
	json_t *list = json_array();
	for (size_t i = 0; i < layers->len; i++) {
		const struct result_layer *l = &layers->items[i];
		json_t *item = json_pack("{s:o, s:o}", "blob", descriptor_json(&l->blob),
					 "diff_id", digest_json(&l->diff_id));
		if (l->origin.media_type)
			json_object_set_new(item, "origin", descriptor_json(&l->origin));
		if (l->created_by)
			json_object_set_new(item, "created_by", json_string(l->created_by));
		json_array_append_new(list, item);
	}
	return list;
}

/* As an object, so that whoever looks for digests finds those of what the image is made from. */
static int add_recipe(json_t *entry, const char *canonical, struct err *e)
{
	AUTO(json_doc) recipe = {0};
	if (json_read(canonical, strlen(canonical), LIMIT_JSON_CANON_BYTES, "recipe", &recipe,
		      e) < 0)
		return -1;
	json_object_set(entry, "canonical", recipe.root);
	return 0;
}

int cache_save_with_recipe(const struct build_context *c, const struct image_result *r,
			   const char *canonical, struct err *e)
{
	json_t *annotations = json_object();
	for (size_t i = 0; i < r->inherit_annotations.len; i++) {
		const struct map_entry *entry = &r->inherit_annotations.entries[i];
		json_object_set_new(annotations, entry->key, json_string(entry->value));
	}
	AUTO(json_doc)
	doc = {.root = json_pack("{s:s, s:o, s:b, s:o, s:o}", "schema", CACHE_SCHEMA, "recipe",
				 digest_json(&r->recipe), "build_only", (int)r->build_only,
				 "layers", layers_json(&r->layers), "inherit_annotations",
				 annotations)};
	if (r->inherit_config.alg != DIGEST_NONE)
		json_object_set_new(doc.root, "inherit_config",
				    digest_json(&r->inherit_config));
	if (!r->build_only) {
		json_object_set_new(doc.root, "config", descriptor_json(&r->config));
		json_object_set_new(doc.root, "manifest", descriptor_json(&r->manifest));
	}
	if (canonical && add_recipe(doc.root, canonical, e) < 0)
		return -1;
	AUTO(buf) text = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	json_write(doc.root, &text);
	char name[DIGEST_TEXT_MAX + 8];
	entry_name(&r->recipe, name);
	if (buf_check(&text, "cache entry", e) < 0)
		return -1;
	return atomic_file_write(c->cache_fd, name, 0644, text.data, text.len, e);
}

int cache_save(const struct build_context *c, const struct image_result *r, struct err *e)
{
	return cache_save_with_recipe(c, r, NULL, e);
}

int cache_load_recipe(const struct build_context *c, const struct digest *recipe,
		      struct buf *ret, struct err *e)
{
	char name[DIGEST_TEXT_MAX + 8];
	struct stat st;
	struct digest found;
	AUTO(buf) text = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	AUTO(json_doc) doc = {0};
	json_t *canonical;
	entry_name(recipe, name);
	if (fstatat(c->cache_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot stat '%s'", name);
	if (path_read_file(c->cache_fd, name, &text, e) < 0 ||
	    json_read(buf_text(&text), text.len, LIMIT_JSON_CANON_BYTES, name, &doc, e) < 0 ||
	    json_opt_object(doc.root, "canonical", name, &canonical, e) < 0)
		return -1;
	if (!canonical)
		return 0;
	json_write(canonical, ret);
	digest_bytes(DIGEST_SHA256, buf_text(ret), ret->len, &found);
	if (!digest_eq(&found, recipe)) {
		log_warn("the recipe in '%s' of the cache is another one", name);
		buf_clear(ret);
	}
	return 0;
}

static int parse_digest(const json_t *object, const char *key, const char *what,
			struct digest *ret, struct err *e)
{
	const char *text;
	if (json_get_text(object, key, what, &text, e) < 0)
		return -1;
	return digest_parse(text, ret, e);
}

static int parse_descriptor(const json_t *object, const char *key, const char *what,
			    struct descriptor *ret, struct err *e)
{
	json_t *item;
	const char *media_type, *verity_root;
	if (json_get_object(object, key, what, &item, e) < 0 ||
	    json_get_text(item, "mediaType", what, &media_type, e) < 0 ||
	    parse_digest(item, "digest", what, &ret->digest, e) < 0 ||
	    json_get_u64(item, "size", what, &ret->size, e) < 0 ||
	    json_opt_text(item, "verity_root", what, &verity_root, e) < 0)
		return -1;
	ret->verity_root = verity_root ? mem_strdup(verity_root) : NULL;
	ret->media_type = mem_strdup(media_type);
	return 0;
}

static int parse_layers(const json_t *list, const char *what, struct image_result *ret,
			struct err *e)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		const char *created_by;
		vec_push(&ret->layers, (struct result_layer){0});
		struct result_layer *layer = &ret->layers.items[i];
		if (parse_descriptor(item, "blob", what, &layer->blob, e) < 0 ||
		    parse_digest(item, "diff_id", what, &layer->diff_id, e) < 0 ||
		    json_opt_text(item, "created_by", what, &created_by, e) < 0 ||
		    (json_object_get(item, "origin") &&
		     parse_descriptor(item, "origin", what, &layer->origin, e) < 0))
			return -1;
		if (created_by)
			layer->created_by = mem_strdup(created_by);
		result_chain_id(i ? &ret->layers.items[i - 1].chain_id : NULL, &layer->diff_id,
				&layer->chain_id);
	}
	return 0;
}

static int parse_annotations(const json_t *object, const char *what, struct image_result *ret,
			     struct err *e)
{
	json_t *annotations;
	if (json_get_object(object, "inherit_annotations", what, &annotations, e) < 0)
		return -1;
	ret->inherit_annotations.free_value = free;
	void *iter = json_object_iter(annotations);
	for (; iter; iter = json_object_iter_next(annotations, iter)) {
		const char *key = json_object_iter_key(iter);
		const char *value;
		if (json_get_text(annotations, key, what, &value, e) < 0)
			return -1;
		map_set_text(&ret->inherit_annotations, key, value);
	}
	return 0;
}

static int parse_entry(const struct buf *text, const char *what, const struct digest *recipe,
		       struct image_result *ret, struct err *e)
{
	AUTO(json_doc) doc = {0};
	const char *schema;
	const char *inherit;
	json_t *layers;
	if (json_read(buf_text(text), text->len, LIMIT_JSON_CANON_BYTES, what, &doc, e) < 0 ||
	    json_get_text(doc.root, "schema", what, &schema, e) < 0 ||
	    parse_digest(doc.root, "recipe", what, &ret->recipe, e) < 0 ||
	    json_get_array(doc.root, "layers", what, &layers, e) < 0 ||
	    json_opt_text(doc.root, "inherit_config", what, &inherit, e) < 0)
		return -1;
	if (!str_same(schema, CACHE_SCHEMA) || !digest_eq(&ret->recipe, recipe))
		return err_set(e, ERR_INPUT, "cache/foreign", "'%s' is not what its name says",
			       what);
	ret->build_only = json_is_true(json_object_get(doc.root, "build_only"));
	if (inherit && digest_parse(inherit, &ret->inherit_config, e) < 0)
		return -1;
	if (!ret->build_only &&
	    (parse_descriptor(doc.root, "config", what, &ret->config, e) < 0 ||
	     parse_descriptor(doc.root, "manifest", what, &ret->manifest, e) < 0))
		return -1;
	if (parse_layers(layers, what, ret, e) < 0)
		return -1;
	return parse_annotations(doc.root, what, ret, e);
}

static bool is_present(const struct build_context *c, const struct digest *d,
		       struct digest_set *present)
{
	if (present && digest_set_has(present, d))
		return true;
	if (!store_has(&c->store, d))
		return false;
	if (present)
		digest_set_add(present, d);
	return true;
}

static bool blobs_present(const struct build_context *c, const struct image_result *r,
			  struct digest_set *present)
{
	for (size_t i = 0; i < r->layers.len; i++)
		if (!is_present(c, &r->layers.items[i].blob.digest, present) ||
		    (r->layers.items[i].origin.media_type &&
		     !is_present(c, &r->layers.items[i].origin.digest, present)))
			return false;
	if (r->inherit_config.alg != DIGEST_NONE && !store_has(&c->store, &r->inherit_config))
		return false;
	return r->build_only || (store_has(&c->store, &r->config.digest) &&
				 store_has(&c->store, &r->manifest.digest));
}

static int err_foreign(const char *what, const char *why, struct err *e)
{
	return err_set(e, ERR_INPUT, "cache/foreign", "%s %s", what, why);
}

/* The manifest says itself which recipe it is of, and is named by its hash: an entry that was
 * led to another image's, or to other layers, contradicts it (SEC ST04). */
static int check_manifest(const struct build_context *c, const struct image_result *r,
			  struct err *e)
{
	static const char what[] = "the manifest that it names";
	AUTO(buf) text = BUF_INIT(LIMIT_MANIFEST_BYTES);
	AUTO(manifest) m = {0};
	char recipe[DIGEST_TEXT_MAX];
	if (store_blob_read(&c->store, &r->manifest.digest, &text, e) < 0 ||
	    manifest_parse(buf_text(&text), text.len, what, &m, e) < 0)
		return -1;
	digest_format(&r->recipe, recipe);
	const char *claimed = annotation_recipe(&m.annotations);
	if (!claimed || !str_same(claimed, recipe))
		return err_foreign(what, "is of another recipe", e);
	if (!digest_eq(&m.config.digest, &r->config.digest) || m.layers.len != r->layers.len)
		return err_foreign(what, "holds something else", e);
	for (size_t i = 0; i < m.layers.len; i++)
		if (!digest_eq(&m.layers.items[i].digest, &r->layers.items[i].blob.digest))
			return err_foreign(what, "holds other layers", e);
	return 0;
}

int cache_load_seen(const struct build_context *c, const struct digest *recipe,
		    struct digest_set *present, struct image_result *ret, bool *ret_hit,
		    struct err *e)
{
	char name[DIGEST_TEXT_MAX + 8];
	entry_name(recipe, name);
	*ret_hit = false;
	struct stat st;
	if (fstatat(c->cache_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return 0;
		return err_sys(e, "cannot stat cache entry '%s'", name);
	}
	AUTO(buf) text = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	AUTO(image_result) found = {0};
	struct err why = ERR_INIT;
	if (path_read_file(c->cache_fd, name, &text, &why) < 0 ||
	    parse_entry(&text, name, recipe, &found, &why) < 0) {
		/* Not silent, not fatal: the image is built again and the entry replaced. */
		log_warn("cache entry '%s' is unusable, building again: %s", name, why.message);
		return 0;
	}
	if (!blobs_present(c, &found, present)) {
		log_debug("cache entry '%s' names blobs that the store lacks", name);
		return 0;
	}
	if (!found.build_only && check_manifest(c, &found, &why) < 0) {
		log_warn("cache entry '%s' is unusable, building again: %s", name, why.message);
		return 0;
	}
	*ret = found;
	found = (struct image_result){0};
	*ret_hit = true;
	return 0;
}

int cache_load(const struct build_context *c, const struct digest *recipe,
	       struct image_result *ret, bool *ret_hit, struct err *e)
{
	return cache_load_seen(c, recipe, NULL, ret, ret_hit, e);
}

static void blob_name(const struct digest *key, char out[DIGEST_TEXT_MAX + 8])
{
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(key, hex);
	snprintf(out, DIGEST_TEXT_MAX + 8, "%s.blob", hex);
}

int cache_load_blob(const struct build_context *c, const struct digest *key,
		    struct descriptor *ret, bool *ret_hit, struct err *e)
{
	char name[DIGEST_TEXT_MAX + 8];
	AUTO(buf) text = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	AUTO(json_doc) doc = {0};
	AUTO(descriptor) d = {0};
	struct err why = ERR_INIT;
	struct stat st;
	blob_name(key, name);
	*ret_hit = false;
	if (fstatat(c->cache_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot stat cache entry '%s'", name);
	if (path_read_file(c->cache_fd, name, &text, &why) < 0 ||
	    json_read(buf_text(&text), text.len, LIMIT_JSON_CANON_BYTES, name, &doc, &why) <
		    0 ||
	    parse_descriptor(doc.root, "blob", name, &d, &why) < 0) {
		log_warn("cache entry '%s' is unusable, building again: %s", name, why.message);
		return 0;
	}
	uint64_t len = 0;
	if (!store_blob_stat(&c->store, &d.digest, &len) || len != d.size)
		return 0;
	*ret = d;
	d = (struct descriptor){0};
	*ret_hit = true;
	return 0;
}

int cache_save_blob(const struct build_context *c, const struct digest *key,
		    const struct descriptor *d, struct err *e)
{
	char name[DIGEST_TEXT_MAX + 8];
	AUTO(json_doc) doc = {.root = json_pack("{s:o}", "blob", descriptor_json(d))};
	AUTO(buf) text = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	blob_name(key, name);
	json_write(doc.root, &text);
	if (buf_check(&text, "cache entry", e) < 0)
		return -1;
	return atomic_file_write(c->cache_fd, name, 0644, text.data, text.len, e);
}
