/*
 * Two entries that could both be meant are an error, never a first or last match: which one a
 * reader takes would be an attacker's choice (SEC PF13, PF16).
 */
#include "image/layout_index.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "image/layout.h"
#include "image/oci_json.h"
#include "util/buf.h"
#include "util/limits.h"
#include "util/map.h"
#include "util/mem.h"
#include "util/str.h"

/* What an error may list; the message is cut at its own size anyway. */
enum { LISTED_BYTES_MAX = 64 * 1024 };

static int check_kind(const json_t *root, const char *what, const char **ret_media_type,
		      struct err *e)
{
	uint64_t version = 0;
	if (json_object_get(root, "layers") && json_object_get(root, "manifests")) {
		return err_set(e, ERR_INPUT, "image/manifest-confusion",
			       "'%s' is a manifest and an index at once", what);
	}
	if (json_get_u64(root, "schemaVersion", what, &version, e) < 0 ||
	    json_opt_text(root, "mediaType", what, ret_media_type, e) < 0)
		return -1;
	if (version != 2) {
		return err_set(e, ERR_INPUT, "image/schema-version",
			       "schemaVersion of '%s' is %" PRIu64 ", not 2", what, version);
	}
	if (*ret_media_type && strcmp(media_type_oci(*ret_media_type), OCI_INDEX_TYPE) != 0) {
		return err_set(e, ERR_INPUT, "image/media-type",
			       "mediaType of '%s' is '%s', not '%s'", what, *ret_media_type,
			       OCI_INDEX_TYPE);
	}
	return 0;
}

static int parse_entry(const json_t *value, const char *what, struct index_entry *ret,
		       struct err *e)
{
	json_t *platform = NULL, *annotations = NULL;
	const char *artifact = NULL;
	struct index_entry x = {0};
	if (!json_is_object(value)) {
		return err_set(e, ERR_INPUT, "image/descriptor",
			       "a descriptor in '%s' is not an object", what);
	}
	if (json_opt_object(value, "platform", what, &platform, e) < 0 ||
	    json_opt_object(value, "annotations", what, &annotations, e) < 0 ||
	    json_opt_text(value, "artifactType", what, &artifact, e) < 0)
		return -1;
	if (platform && (json_get_text(platform, "os", what, &x.os, e) < 0 ||
			 json_get_text(platform, "architecture", what, &x.arch, e) < 0 ||
			 json_opt_text(platform, "variant", what, &x.variant, e) < 0))
		return -1;
	if (annotations && json_opt_text(annotations, OCI_REF_NAME, what, &x.ref_name, e) < 0)
		return -1;
	x.is_artifact = artifact != NULL;
	if (descriptor_from_json(value, what, &x.descriptor, e) < 0)
		return -1;
	*ret = x;
	return 0;
}

static int parse_entries(const json_t *root, const char *what, struct layout_index *ret,
			 struct err *e)
{
	json_t *manifests = NULL;
	if (json_get_array(root, "manifests", what, &manifests, e) < 0)
		return -1;
	size_t len = json_array_size(manifests);
	if (len > LIMIT_INDEX_ENTRIES) {
		return err_set(e, ERR_INPUT, "layout/too-many-entries",
			       "'%s' has %zu entries, over %d", what, len, LIMIT_INDEX_ENTRIES);
	}
	for (size_t i = 0; i < len; i++) {
		struct index_entry x;
		if (parse_entry(json_array_get(manifests, i), what, &x, e) < 0)
			return -1;
		vec_push(ret, x);
	}
	return 0;
}

static int no_such_tag(const struct layout_index *x, const char *tag, const char *what,
		       struct err *e)
{
	AUTO(buf) tags = BUF_INIT(LISTED_BYTES_MAX);
	for (size_t i = 0; i < x->len; i++) {
		if (x->items[i].ref_name)
			buf_addf(&tags, "%s'%s'", tags.len > 0 ? ", " : "",
				 x->items[i].ref_name);
	}
	err_set(e, ERR_INPUT, "layout/no-such-tag", "no tag '%s' in '%s'", tag, what);
	if (tags.len == 0)
		return err_hint(e, "there are no tags in it");
	return err_hint(e, "tags in it: %s", buf_text(&tags));
}

static int no_such_platform(const struct layout_index *x, const char *os, const char *arch,
			    const char *what, struct err *e)
{
	AUTO(buf) found = BUF_INIT(LISTED_BYTES_MAX);
	for (size_t i = 0; i < x->len; i++) {
		if (x->items[i].os)
			buf_addf(&found, "%s%s/%s", found.len > 0 ? ", " : "", x->items[i].os,
				 x->items[i].arch);
	}
	err_set(e, ERR_INPUT, "layout/no-such-platform", "no image for %s/%s in '%s'",
		os ? os : "any", arch ? arch : "any", what);
	return found.len > 0 ? err_hint(e, "platforms in it: %s", buf_text(&found)) : -1;
}

static bool is_image(const struct index_entry *x)
{
	return !x->is_artifact;
}

static bool names_platform(const struct index_entry *x, const char *os, const char *arch)
{
	return x->os && index_entry_suits(x, os, arch);
}

static bool has_variant(const struct index_entry *x, const char *variant)
{
	return !variant || !x->variant || str_same(x->variant, variant);
}

static json_t *entry_to_json(const char *tag, const struct descriptor *d, const char *os,
			     const char *arch)
{
	json_t *annotations = json_object();
	json_put_text(annotations, OCI_REF_NAME, tag);
	json_t *entry = descriptor_to_json(d);
	json_put(entry, "annotations", annotations);
	if (!os)
		return entry;
	json_t *platform = json_object();
	json_put_text(platform, "architecture", arch);
	json_put_text(platform, "os", os);
	json_put(entry, "platform", platform);
	return entry;
}

static bool json_has_tag(const json_t *entry, const char *tag)
{
	const json_t *annotations = json_object_get(entry, "annotations");
	return str_same(json_string_value(json_object_get(annotations, OCI_REF_NAME)), tag);
}

void layout_index_cleanup(struct layout_index *x)
{
	for (size_t i = 0; i < x->len; i++)
		descriptor_cleanup(&x->items[i].descriptor);
	vec_free(x);
	json_doc_cleanup(&x->doc);
}

int layout_index_parse(const char *text, size_t len, const char *what, struct layout_index *ret,
		       struct err *e)
{
	AUTO(layout_index) x = {0};
	if (json_read(text, len, LIMIT_INDEX_BYTES, what, &x.doc, e) < 0 ||
	    check_kind(x.doc.root, what, &x.media_type, e) < 0 ||
	    parse_entries(x.doc.root, what, &x, e) < 0)
		return -1;
	*ret = x;
	x = (struct layout_index){0};
	return 0;
}

int layout_index_find_tag(const struct layout_index *x, const char *tag, const char *what,
			  const struct index_entry **ret, struct err *e)
{
	const struct index_entry *found = NULL;
	for (size_t i = 0; i < x->len; i++) {
		if (!str_same(x->items[i].ref_name, tag))
			continue;
		if (found) {
			err_set(e, ERR_INPUT, "layout/ambiguous-tag",
				"'%s' has several entries for tag '%s'", what, tag);
			return err_hint(e, "name the image by its digest");
		}
		found = &x->items[i];
	}
	if (!found)
		return no_such_tag(x, tag, what, e);
	*ret = found;
	return 0;
}

const struct index_entry *layout_index_find_digest(const struct layout_index *x,
						   const struct digest *d)
{
	for (size_t i = 0; i < x->len; i++) {
		if (digest_eq(&x->items[i].descriptor.digest, d))
			return &x->items[i];
	}
	return NULL;
}

bool index_entry_suits(const struct index_entry *entry, const char *os, const char *arch)
{
	return (!entry->os || !os || strcmp(entry->os, os) == 0) &&
	       (!entry->arch || !arch || strcmp(entry->arch, arch) == 0);
}

int layout_index_find_variant(const struct layout_index *x, const char *os, const char *arch,
			      const char *variant, const char *what,
			      const struct index_entry **ret, struct err *e)
{
	const struct index_entry *named = NULL, *unnamed = NULL;
	size_t named_len = 0, unnamed_len = 0;
	for (size_t i = 0; i < x->len; i++) {
		const struct index_entry *entry = &x->items[i];
		if (is_image(entry) && names_platform(entry, os, arch) &&
		    has_variant(entry, variant)) {
			named = entry;
			named_len++;
		} else if (is_image(entry) && !entry->os) {
			unnamed = entry;
			unnamed_len++;
		}
	}
	size_t len = named ? named_len : unnamed_len;
	if (len == 0)
		return no_such_platform(x, os, arch, what, e);
	if (len > 1) {
		err_set(e, ERR_INPUT, "layout/ambiguous-platform",
			"'%s' has %zu images for %s/%s", what, len, os ? os : "any",
			arch ? arch : "any");
		return err_hint(e, "name the image by its digest, or the variant");
	}
	*ret = named ? named : unnamed;
	return 0;
}

int layout_index_find_platform(const struct layout_index *x, const char *os, const char *arch,
			       const char *what, const struct index_entry **ret, struct err *e)
{
	return layout_index_find_variant(x, os, arch, NULL, what, ret, e);
}

bool layout_index_add(struct layout_index *x, const struct descriptor *d,
		      const char *artifact_type)
{
	if (layout_index_find_digest(x, &d->digest))
		return false;
	json_t *entry = descriptor_to_json(d);
	json_put_text(entry, "artifactType", artifact_type);
	json_array_append_new(json_object_get(x->doc.root, "manifests"), entry);
	return true;
}

/* The entries by tag, so that hundreds of them need not be sought one by one: the only one of its
 * tag, or NULL if there are several. */
static void map_tags(const struct layout_index *x, struct map *ret)
{
	const json_t *manifests = json_object_get(x->doc.root, "manifests");
	for (size_t i = 0; i < x->len; i++) {
		json_t *entry = json_array_get(manifests, i);
		if (x->items[i].ref_name && !map_add(ret, x->items[i].ref_name, entry))
			map_set(ret, x->items[i].ref_name, NULL);
	}
}

bool layout_index_set_tags(struct layout_index *x, const struct layout_tag *tags, size_t len)
{
	json_t *manifests = json_object_get(x->doc.root, "manifests");
	AUTO(map) by_tag = MAP_INIT(NULL);
	bool changed = false;
	map_tags(x, &by_tag);
	for (size_t k = 0; k < len; k++) {
		const struct layout_tag *tag = &tags[k];
		json_t *entry = entry_to_json(tag->name, tag->descriptor, tag->os, tag->arch);
		const json_t *old = map_get(&by_tag, tag->name);
		if (old && json_equal(old, entry)) {
			json_decref(entry);
			continue;
		}
		bool is_there = map_has(&by_tag, tag->name);
		for (size_t i = is_there ? json_array_size(manifests) : 0; i-- > 0;) {
			if (json_has_tag(json_array_get(manifests, i), tag->name))
				json_array_remove(manifests, i);
		}
		json_array_append_new(manifests, entry);
		map_set(&by_tag, tag->name, entry);
		changed = true;
	}
	return changed;
}
