/*
 * A document counts as an image manifest only if it says so and looks like one: the same bytes
 * must not be an index to another reader (CVE-2021-41190). Members that could name other
 * sources of content, `urls` and `data`, are ignored; content is what the digest says.
 */
#include "image/manifest.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "image/oci_json.h"
#include "util/json_read.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/str.h"

#define MANIFEST_INIT                                                                          \
	{                                                                                      \
		.annotations = MAP_INIT(free)                                                  \
	}

const char *media_type_oci(const char *media_type)
{
	static const struct {
		const char *docker, *oci;
	} types[] = {
		{"application/vnd.docker.distribution.manifest.v2+json", OCI_MANIFEST_TYPE},
		{"application/vnd.docker.distribution.manifest.list.v2+json", OCI_INDEX_TYPE},
		{"application/vnd.docker.container.image.v1+json", OCI_CONFIG_TYPE},
		{"application/vnd.docker.image.rootfs.diff.tar", OCI_LAYER_TAR_TYPE},
		{"application/vnd.docker.image.rootfs.diff.tar.gzip", OCI_LAYER_GZIP_TYPE},
		{"application/vnd.docker.image.rootfs.diff.tar.zstd", OCI_LAYER_ZSTD_TYPE},
	};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(media_type, types[i].docker) == 0)
			return types[i].oci;
	return media_type;
}

int media_type_of_document(const char *text, size_t len, const char *what, char **ret,
			   struct err *e)
{
	AUTO(json_doc) doc = {0};
	const char *type;
	if (json_read(text, len, LIMIT_INDEX_BYTES, what, &doc, e) < 0 ||
	    json_opt_text(doc.root, "mediaType", what, &type, e) < 0)
		return -1;
	if (!type)
		type = json_object_get(doc.root, "manifests") ? OCI_INDEX_TYPE
							      : OCI_MANIFEST_TYPE;
	*ret = mem_strdup(type);
	return 0;
}

static int check_kind(const json_t *root, const char *what, struct err *e)
{
	const char *type = NULL;
	uint64_t version = 0;
	if (json_object_get(root, "layers") && json_object_get(root, "manifests")) {
		return err_set(e, ERR_INPUT, "image/manifest-confusion",
			       "'%s' is a manifest and an index at once", what);
	}
	if (json_get_u64(root, "schemaVersion", what, &version, e) < 0 ||
	    json_opt_text(root, "mediaType", what, &type, e) < 0)
		return -1;
	if (version != 2) {
		return err_set(e, ERR_INPUT, "image/schema-version",
			       "schemaVersion of '%s' is %" PRIu64 ", not 2", what, version);
	}
	/* image-spec 1.1 leaves mediaType out where older writers do (umoci among them); without
	 * "manifests" the document can be nothing else. */
	if (!type || strcmp(media_type_oci(type), OCI_MANIFEST_TYPE) == 0)
		return 0;
	err_set(e, ERR_INPUT, "image/media-type", "mediaType of '%s' is '%s', not '%s'", what,
		type, OCI_MANIFEST_TYPE);
	return err_hint(e, "convert the image: skopeo copy --format oci");
}

static int parse_layers(const json_t *root, const char *what, struct descriptor_vec *ret,
			struct err *e)
{
	json_t *layers = NULL;
	if (json_get_array(root, "layers", what, &layers, e) < 0)
		return -1;
	size_t len = json_array_size(layers);
	if (len > LIMIT_LAYERS) {
		return err_set(e, ERR_INPUT, "image/too-many-layers",
			       "'%s' has %zu layers, over %d", what, len, LIMIT_LAYERS);
	}
	for (size_t i = 0; i < len; i++) {
		struct descriptor d;
		if (descriptor_from_json(json_array_get(layers, i), what, &d, e) < 0)
			return -1;
		vec_push(ret, d);
	}
	return 0;
}

static int parse_root(const json_t *root, const char *what, struct manifest *ret, struct err *e)
{
	json_t *config = NULL, *annotations = NULL;
	if (check_kind(root, what, e) < 0 ||
	    json_get_object(root, "config", what, &config, e) < 0 ||
	    json_opt_object(root, "annotations", what, &annotations, e) < 0 ||
	    descriptor_from_json(config, what, &ret->config, e) < 0 ||
	    parse_layers(root, what, &ret->layers, e) < 0)
		return -1;
	return text_map_from_json(annotations, what, &ret->annotations, e);
}

void descriptor_cleanup(struct descriptor *d)
{
	mem_free_cleanup(&d->media_type);
	mem_free_cleanup(&d->verity_root);
}

struct descriptor descriptor_copy(const struct descriptor *d)
{
	return (struct descriptor){
		.media_type = d->media_type ? mem_strdup(d->media_type) : NULL,
		.digest = d->digest,
		.size = d->size,
		.verity_root = d->verity_root ? mem_strdup(d->verity_root) : NULL};
}

void manifest_cleanup(struct manifest *m)
{
	descriptor_cleanup(&m->config);
	for (size_t i = 0; i < m->layers.len; i++)
		descriptor_cleanup(&m->layers.items[i]);
	vec_free(&m->layers);
	map_cleanup(&m->annotations);
}

int manifest_parse(const char *text, size_t len, const char *what, struct manifest *ret,
		   struct err *e)
{
	AUTO(json_doc) doc = {0};
	AUTO(manifest) m = {0};
	if (json_read(text, len, LIMIT_MANIFEST_BYTES, what, &doc, e) < 0 ||
	    parse_root(doc.root, what, &m, e) < 0)
		return -1;
	*ret = m;
	m = (struct manifest){0};
	return 0;
}

void manifest_write(const struct manifest *m, struct buf *out)
{
	json_t *layers = json_array();
	for (size_t i = 0; i < m->layers.len; i++)
		json_array_append_new(layers, descriptor_to_json(&m->layers.items[i]));
	json_t *root = json_object();
	json_put(root, "schemaVersion", json_integer(2));
	json_put_text(root, "mediaType", OCI_MANIFEST_TYPE);
	json_put(root, "config", descriptor_to_json(&m->config));
	json_put(root, "layers", layers);
	if (m->annotations.len > 0)
		json_put(root, "annotations", text_map_to_json(&m->annotations));
	json_write(root, out);
	json_decref(root);
}

/* By value of enum layer_compression. */
static const char *const layer_types[] = {
	[LAYER_TAR] = OCI_LAYER_TAR_TYPE,
	[LAYER_GZIP] = OCI_LAYER_GZIP_TYPE,
	[LAYER_ZSTD] = OCI_LAYER_ZSTD_TYPE,
};

const char *layer_media_type_of(enum layer_compression compression)
{
	BUG_IF(compression >= ARRAY_LEN(layer_types));
	return layer_types[compression];
}

enum layer_fs layer_fs_of(const char *media_type)
{
	static const struct {
		const char *base;
		const char *suffixes[6]; /* "": none */
		enum layer_fs fs;
	} types[] = {
		{OCI_LAYER_SQUASHFS_TYPE,
		 {"", "+zstd", "+gzip", "+xz", "+lz4"},
		 LAYER_FS_SQUASHFS},
		{OCI_LAYER_EROFS_TYPE, {"", "+lz4hc", "+lz4", "+zstd"}, LAYER_FS_EROFS},
	};
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (!str_has_prefix(media_type, types[i].base))
			continue;
		const char *suffix = media_type + strlen(types[i].base);
		for (size_t j = 0; types[i].suffixes[j]; j++)
			if (str_same(suffix, types[i].suffixes[j]))
				return types[i].fs;
	}
	return LAYER_FS_NONE;
}

int layer_compression_of(const char *media_type, enum layer_compression *ret, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(layer_types); i++) {
		if (str_same(media_type, layer_types[i])) {
			*ret = (enum layer_compression)i;
			return 0;
		}
	}
	err_set(e, ERR_INPUT, "image/layer-type", "layer type '%s' is not a tar layer",
		media_type);
	return err_hint(e, "convert the image: skopeo copy --format oci");
}
