/* Inputs in registries; see input_registry.h. */
#include "build/input_registry.h"

#include <stdio.h>
#include <string.h>

#include "build/remote.h"
#include "build/remote_tree.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/map.h"
#include "util/mem.h"
#include "util/str.h"

enum { TAG_MAX = DIGEST_TEXT_MAX + 16 };

static void input_tag(const struct digest *d, char out[TAG_MAX])
{
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(d, hex);
	snprintf(out, TAG_MAX, "input-%s", hex);
}

struct blob_list {
	struct VEC_OF(struct registry_descriptor) items;
};

static void blob_list_cleanup(struct blob_list *l)
{
	vec_free(&l->items);
}

/* Adds the file to `ret` if the registry has it under its tag. */
static int look_for(struct registry *r, const struct digest *d, struct blob_list *ret,
		    struct err *e)
{
	AUTO(registry_document) doc = REGISTRY_DOCUMENT_INIT;
	AUTO(manifest) m = {0};
	char tag[TAG_MAX];
	bool found = false;
	input_tag(d, tag);
	if (registry_get_manifest(r, tag, &doc, &found, e) < 0)
		return -1;
	if (!found)
		return 0;
	if (manifest_parse(buf_text(&doc.text), doc.text.len, tag, &m, e) < 0)
		return -1;
	for (size_t i = 0; i < m.layers.len; i++) {
		if (!digest_eq(&m.layers.items[i].digest, d))
			continue;
		const struct registry_descriptor blob = {.media_type = OCI_LAYER_TAR_TYPE,
							 .digest = *d,
							 .size = m.layers.items[i].size};
		vec_push(&ret->items, blob);
		return 0;
	}
	return err_set(e, ERR_MISMATCH, "registry/other-input",
		       "what '%s' has under the tag '%s' is another file", registry_name(r),
		       tag);
}

static int bring_from(struct build_context *c, const char *url, const struct pin *pins,
		      size_t len, struct err *e)
{
	AUTO(reference) where = {0};
	AUTO(blob_list) blobs = {0};
	struct registry *r __attribute__((cleanup(registry_close_cleanup))) = NULL;
	for (size_t i = 0; i < len; i++) {
		if (pins[i].hash.alg != DIGEST_SHA256 || store_has(&c->store, &pins[i].hash))
			continue;
		if (!r && remote_open(c, url, false, &where, &r, e) < 0)
			return -1;
		if (look_for(r, &pins[i].hash, &blobs, e) < 0)
			return -1;
	}
	if (blobs.items.len == 0)
		return 0;
	return registry_fetch_blobs(r, blobs.items.items, blobs.items.len, &c->store, e);
}

int input_registry_bring(struct build_context *c, const struct pin *pins, size_t len,
			 struct err *e)
{
	for (size_t i = 0; c->sources && i < c->sources->inputs.len; i++) {
		const char *url = c->sources->inputs.items[i];
		struct err why = ERR_INIT;
		if (bring_from(c, url, pins, len, &why) == 0)
			continue;
		if (why.code == ERR_INTERRUPTED) {
			*e = why;
			return -1;
		}
		log_warn("inputs '%s' are not used: %s", url, why.message);
	}
	return 0;
}

/* One push to one registry. */
struct pushing {
	struct build_context *c;
	struct registry *r;
	struct map done; /* digests as texts */
	struct input_push_report *report;
};

static void pushing_cleanup(struct pushing *p)
{
	registry_close(p->r);
	map_cleanup(&p->done);
}

static bool is_first(struct pushing *p, const struct digest *d)
{
	char text[DIGEST_TEXT_MAX];
	digest_format(d, text);
	return map_add(&p->done, text, p);
}

static int is_tagged(struct pushing *p, const char *tag, bool *ret, struct err *e)
{
	AUTO(registry_document) doc = REGISTRY_DOCUMENT_INIT;
	*ret = false;
	return registry_get_manifest(p->r, tag, &doc, ret, e);
}

/* The document that keeps a file in the registry; an artifact as registries knew them before
 * `artifactType`: its kind is the media type of an empty config. */
static int put_artifact(struct pushing *p, const struct registry_descriptor *blob,
			const struct registry_descriptor *config, const char *tag,
			struct err *e)
{
	AUTO_FREE char *type = mem_strdup("application/octet-stream");
	AUTO_FREE char *config_type = mem_strdup(INPUT_ARTIFACT_TYPE);
	struct descriptor layer = {
		.media_type = type, .digest = blob->digest, .size = blob->size};
	const struct manifest m = {
		.config = {.media_type = config_type,
			   .digest = config->digest,
			   .size = config->size},
		.layers = {.items = &layer, .len = 1},
		.annotations = MAP_INIT(NULL),
	};
	AUTO(registry_document) doc = REGISTRY_DOCUMENT_INIT;
	manifest_write(&m, &doc.text);
	doc.media_type = mem_strdup(OCI_MANIFEST_TYPE);
	digest_bytes(DIGEST_SHA256, doc.text.data, doc.text.len, &doc.digest);
	return registry_put_manifest(p->r, tag, &doc, e);
}

static int push_file(struct pushing *p, const struct recipe_source *s, struct err *e)
{
	struct registry_push_report report;
	struct registry_descriptor blobs[2] = {{.media_type = "application/octet-stream"},
					       {.media_type = INPUT_ARTIFACT_TYPE, .size = 2}};
	char tag[TAG_MAX];
	bool is_there;
	if (s->kind != SOURCE_URL || s->hash.alg != DIGEST_SHA256 || !is_first(p, &s->hash))
		return 0;
	input_tag(&s->hash, tag);
	if (is_tagged(p, tag, &is_there, e) < 0)
		return -1;
	if (is_there) {
		p->report->present++;
		return 0;
	}
	blobs[0].digest = s->hash;
	if (!store_blob_stat(&p->c->store, &s->hash, &blobs[0].size))
		return err_set(e, ERR_INPUT, "store/absent", "'%s' is not in the store",
			       s->text);
	if (store_put(&p->c->store, "{}", 2, &blobs[1].digest, e) < 0 ||
	    registry_push_blobs(p->r, blobs, ARRAY_LEN(blobs), &p->c->store, NULL, &report, e) <
		    0)
		return -1;
	p->report->pushed++;
	return put_artifact(p, &blobs[0], &blobs[1], tag, e);
}

static int push_base(struct pushing *p, const struct plan_image *image, struct err *e)
{
	AUTO(descriptor) top = {0};
	AUTO(descriptor) one = {0};
	const struct recipe_image *r = image->recipe;
	const struct remote_platform platform = {r->os, r->arch, r->from_variant};
	struct registry_push_report report;
	char tag[TAG_MAX];
	bool is_there;
	if (r->from != FROM_DOCKER || !is_first(p, &image->base))
		return 0;
	input_tag(&image->base, tag);
	if (is_tagged(p, tag, &is_there, e) < 0)
		return -1;
	if (is_there) {
		p->report->present++;
		return 0;
	}
	if (remote_describe(&p->c->store, &image->base, &top, e) < 0 ||
	    remote_find_image(&p->c->store, &top, &platform, &one, e) < 0)
		return -1;
	if (!digest_eq(&one.digest, &top.digest)) {
		log_warn("base '%s' is pinned by an index, of which only one image is here: it "
			 "is not pushed",
			 r->from_url);
		return 0;
	}
	const char *const tags[] = {tag};
	const struct remote_push push = {
		.from = &p->c->store, .tags = tags, .tags_len = ARRAY_LEN(tags)};
	p->report->pushed++;
	return remote_push(p->r, &top, &push, &report, e);
}

static int push_all(struct build_context *c, const struct plan *plan, const char *url,
		    struct input_push_report *report, struct err *e)
{
	AUTO(reference) where = {0};
	AUTO(pushing) p = {.c = c, .done = MAP_INIT(NULL), .report = report};
	if (remote_open(c, url, false, &where, &p.r, e) < 0)
		return -1;
	for (size_t i = 0; i < plan->len; i++) {
		const struct recipe_image *r = plan->images[i].recipe;
		if (!plan->images[i].needed)
			continue;
		if (push_base(&p, &plan->images[i], e) < 0 ||
		    (r->from == FROM_TAR && push_file(&p, &r->from_source, e) < 0))
			return err_locate(e, &r->pos);
		for (size_t j = 0; j < r->imports.len; j++)
			if (push_file(&p, &r->imports.items[j].source, e) < 0)
				return err_locate(e, &r->imports.items[j].source.pos);
	}
	return 0;
}

int input_registry_push(struct build_context *c, const struct plan *p,
			struct input_push_report *ret, struct err *e)
{
	*ret = (struct input_push_report){0};
	for (size_t i = 0; c->sources && i < c->sources->inputs.len; i++)
		if (push_all(c, p, c->sources->inputs.items[i], ret, e) < 0)
			return -1;
	return 0;
}
