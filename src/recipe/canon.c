/*
 * The recipe's document, built member by member and written canonically. What is unset is left
 * out, so that a directive added later changes no old recipe's digest. A struct field that can
 * change an image's bytes and is not here is a bug; tests/unit/test_recipe_canon.c lists them.
 */
#include "recipe/canon.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "util/json_write.h"
#include "util/mem.h"
#include "util/str.h"

/* The document as its cleanup wants it. */
struct json_value {
	json_t *json;
};

static void json_value_cleanup(struct json_value *v)
{
	json_decref(v->json);
}

/* Takes `value`. Texts came through a UTF-8 check, so only a lack of memory could fail. */
static void set(json_t *object, const char *key, json_t *value)
{
	BUG_IF(!value || json_object_set_new(object, key, value) != 0);
}

static void set_text(json_t *object, const char *key, const char *text)
{
	if (text)
		set(object, key, json_string(text));
}

static void set_integer(json_t *object, const char *key, int64_t number)
{
	set(object, key, json_integer(number));
}

static void set_digest(json_t *object, const char *key, const struct digest *digest)
{
	char text[DIGEST_TEXT_MAX];

	BUG_IF(digest->alg == DIGEST_NONE); /* the caller left something unresolved */
	digest_format(digest, text);
	set_text(object, key, text);
}

static void set_map(json_t *object, const char *key, const struct map *map)
{
	if (map->len == 0)
		return;
	json_t *members = json_object();

	set(object, key, members);
	for (size_t i = 0; i < map->len; i++)
		set_text(members, map->entries[i].key, map->entries[i].value);
}

static void set_texts(json_t *object, const char *key, char *const *texts, size_t len)
{
	json_t *items = json_array();

	set(object, key, items);
	for (size_t i = 0; i < len; i++)
		BUG_IF(json_array_append_new(items, json_string(texts[i])) != 0);
}

/* An empty command is not the same as none: it takes the base's away. */
static void set_command(json_t *object, const char *key, const struct strvec *words, bool has)
{
	if (has)
		set_texts(object, key, words->items, words->len);
}

/* Volumes are a set: neither order nor repetition reaches the image. */
static void set_volumes(json_t *object, const struct strvec *volumes)
{
	if (volumes->len == 0)
		return;
	AUTO_FREE char **sorted = mem_realloc_array(NULL, volumes->len, sizeof(*sorted));
	size_t unique = 0;

	memcpy(sorted, volumes->items, volumes->len * sizeof(*sorted));
	qsort(sorted, volumes->len, sizeof(*sorted), str_compare_ptr);
	for (size_t i = 0; i < volumes->len; i++) {
		if (unique == 0 || !str_same(sorted[unique - 1], sorted[i]))
			sorted[unique++] = sorted[i];
	}
	set_texts(object, "volumes", sorted, unique);
}

static const char *source_kind_name(enum source_kind kind)
{
	switch (kind) {
	case SOURCE_LOCAL:
		return "local";
	case SOURCE_URL:
		return "url";
	case SOURCE_STACKER:
		return "stacker";
	}
	err_bug("unknown source kind", __FILE__, __LINE__);
}

/* The path counts only inside another image; on this machine it does not. */
static void set_source(json_t *object, const struct recipe_source *source,
		       const struct digest *digest)
{
	set_text(object, "kind", source_kind_name(source->kind));
	set_digest(object, "digest", digest);
	if (source->kind == SOURCE_STACKER)
		set_text(object, "path", source->path);
}

static json_t *from_json(const struct recipe_image *image, const struct digest *base)
{
	json_t *from = json_object();

	switch (image->from) {
	case FROM_SCRATCH:
		set_text(from, "type", "scratch");
		return from;
	case FROM_TAR:
		set_text(from, "type", "tar");
		set_source(from, &image->from_source, base);
		return from;
	case FROM_OCI:
		set_text(from, "type", "oci");
		set_digest(from, "digest", base);
		return from;
	case FROM_DOCKER:
		set_text(from, "type", "docker");
		set_digest(from, "digest", base);
		set_text(from, "variant", image->from_variant);
		return from;
	case FROM_BUILT:
		set_text(from, "type", "built");
		set_digest(from, "digest", base);
		return from;
	}
	err_bug("unknown from type", __FILE__, __LINE__);
}

static json_t *import_json(const struct recipe_import *import, const struct digest *digest)
{
	json_t *object = json_object();

	set_source(object, &import->source, digest);
	if (import->source.contents)
		set(object, "contents", json_true());
	else
		set_text(object, "name", import->source.name);
	set_text(object, "dest", import->dest);
	if (import->unpack)
		set(object, "unpack", json_true());
	if (import->mode != RECIPE_ID_UNSET)
		set_integer(object, "mode", import->mode);
	if (import->uid != RECIPE_ID_UNSET)
		set_integer(object, "uid", import->uid);
	if (import->gid != RECIPE_ID_UNSET)
		set_integer(object, "gid", import->gid);
	return object;
}

static void set_imports(json_t *object, const struct recipe_image *image,
			const struct digest *digests)
{
	if (image->imports.len == 0)
		return;
	json_t *imports = json_array();

	set(object, "imports", imports);
	for (size_t i = 0; i < image->imports.len; i++) {
		json_t *import = import_json(&image->imports.items[i], &digests[i]);

		BUG_IF(json_array_append_new(imports, import) != 0);
	}
}

/* Written out or not, gzip is gzip. */
static void set_compression(json_t *object, const struct recipe_image *image,
			    const struct recipe_resolution *resolution)
{
	switch (image->compression) {
	case COMPRESSION_GZIP:
		return;
	case COMPRESSION_NONE:
		set_text(object, "compression", "none");
		return;
	case COMPRESSION_ZSTD:
		BUG_IF(!resolution->zstd_version);
		set_text(object, "compression", "zstd");
		set_text(object, "zstd_version", resolution->zstd_version);
		return;
	}
	err_bug("unknown compression", __FILE__, __LINE__);
}

static void set_layers(json_t *object, const struct recipe_layers *layers)
{
	if (!layers)
		return;
	json_t *members = json_object();

	set(object, "layers", members);
	set_text(members, "type", layers->type);
	set_text(members, "tool", layers->tool);
	set(members, "verity", json_boolean(!layers->no_verity));
}

int recipe_canon(const struct recipe_image *image, const struct recipe_resolution *resolution,
		 struct buf *out, struct err *e)
{
	AUTO(json_value) recipe = {json_object()};
	json_t *o = recipe.json;

	BUG_IF(resolution->imports_len != image->imports.len);
	set_text(o, "schema", STACKER_BASE_URI "recipe/v1");
	set_integer(o, "format", RECIPE_FORMAT);
	set_digest(o, "policy", &resolution->policy);
	set_integer(o, "source_date_epoch", resolution->source_date_epoch);
	set_text(o, "name", image->name); /* steps and the history see it */
	set_text(o, "os", image->os);
	set_text(o, "arch", image->arch);
	set(o, "build_only", json_boolean(image->build_only));
	set(o, "from", from_json(image, &resolution->base));
	set_imports(o, image, resolution->imports);
	if (image->legacy_import)
		set(o, "legacy_import", json_true()); /* steps see where the files are */
	set_text(o, "run", image->run);
	set_text(o, "generate_labels", image->generate_labels);
	set_map(o, "build_env", &image->build_env);
	set_map(o, "environment", &image->environment);
	set_map(o, "labels", &image->labels);
	set_map(o, "annotations", &image->annotations);
	set_text(o, "annotations_namespace", resolution->annotations_namespace);
	set_command(o, "cmd", &image->cmd, image->has_cmd);
	set_command(o, "entrypoint", &image->entrypoint, image->has_entrypoint);
	set_command(o, "full_command", &image->full_command, image->has_full_command);
	set_volumes(o, &image->volumes);
	set_text(o, "working_dir", image->working_dir);
	set_text(o, "runtime_user", image->runtime_user);
	set_compression(o, image, resolution);
	if (image->keeps_volatile)
		set_text(o, "normalize", "none");
	set_layers(o, resolution->layers);
	if (json_write_profile(o, out, e) != 0)
		return err_wrap(e, "recipe of image '%s'", image->name);
	return 0;
}
