/* Images by recipe digest; see remote_cache.h. */
#include "build/remote_cache.h"

#include <stdio.h>
#include <stdlib.h>

#include "build/annotation.h"
#include "build/remote.h"
#include "build/remote_tree.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

enum { TAG_MAX = DIGEST_TEXT_MAX + 16 };

static void recipe_tag(const struct digest *recipe, char out[TAG_MAX])
{
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(recipe, hex);
	snprintf(out, TAG_MAX, "recipe-%s", hex);
}

void remote_caches_open(const struct build_context *c, struct remote_caches *ret)
{
	size_t len = c->sources ? c->sources->caches.len : 0;
	*ret = (struct remote_caches){.c = c,
				      .open = mem_zalloc(len + 1, sizeof(*ret->open)),
				      .is_dead = mem_zalloc(len + 1, sizeof(*ret->is_dead)),
				      .len = len};
}

void remote_caches_cleanup(struct remote_caches *r)
{
	for (size_t i = 0; i < r->len; i++)
		registry_close(r->open[i]);
	free(r->open);
	free(r->is_dead);
}

static const char *url_of(const struct remote_caches *r, size_t index)
{
	return r->c->sources->caches.items[index].url;
}

static struct registry *connect(struct remote_caches *r, size_t index, struct err *e)
{
	AUTO(reference) where = {0};
	if (!r->open[index] &&
	    remote_open(r->c, url_of(r, index), false, &where, &r->open[index], e) < 0)
		return NULL;
	return r->open[index];
}

/* An interruption ends the build; anything else that is wrong with a cache only costs time. */
static int give_up(struct remote_caches *r, size_t index, const struct err *why, struct err *e)
{
	if (why->code == ERR_INTERRUPTED) {
		*e = *why;
		return -1;
	}
	log_warn("cache '%s' is not used: %s", url_of(r, index), why->message);
	r->is_dead[index] = true;
	return 0;
}

/* The manifest under the recipe's tag; *ret_found says whether there is one. */
static int get_tagged(struct remote_caches *r, size_t index, const struct digest *recipe,
		      struct registry_document *ret, bool *ret_found, struct err *e)
{
	char tag[TAG_MAX];
	struct registry *registry = connect(r, index, e);
	recipe_tag(recipe, tag);
	*ret_found = false;
	return registry ? registry_get_manifest(registry, tag, ret, ret_found, e) : -1;
}

int remote_cache_find(struct remote_caches *r, const struct digest *recipe,
		      const char **ret_url, struct err *e)
{
	*ret_url = NULL;
	for (size_t i = 0; i < r->len && !*ret_url; i++) {
		AUTO(registry_document) doc = REGISTRY_DOCUMENT_INIT;
		struct err why = ERR_INIT;
		bool found = false;
		if (r->is_dead[i])
			continue;
		if (get_tagged(r, i, recipe, &doc, &found, &why) < 0 &&
		    give_up(r, i, &why, e) < 0)
			return -1;
		if (found)
			*ret_url = url_of(r, i);
	}
	return 0;
}

/* The image that the manifest describes, all of whose blobs are in the store. */
static int describe(const struct build_context *c, const struct registry_document *doc,
		    const struct manifest *m, const struct digest *recipe,
		    struct image_result *ret, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_CONFIG_BYTES);
	AUTO(image_config) config = {0};
	if (store_blob_read(&c->store, &m->config.digest, &text, e) < 0 ||
	    image_config_parse(buf_text(&text), text.len, "its config", &config, e) < 0 ||
	    image_config_check(&config, m, e) < 0)
		return -1;
	*ret = (struct image_result){
		.recipe = *recipe,
		.inherit_annotations = MAP_INIT(free),
		.config = descriptor_copy(&m->config),
		.manifest = {.media_type = mem_strdup(doc->media_type),
			     .digest = doc->digest,
			     .size = doc->text.len},
	};
	for (size_t i = 0; i < m->layers.len; i++) {
		const struct descriptor *d = &m->layers.items[i];
		struct result_layer layer = {.blob = {.media_type = mem_strdup(d->media_type),
						      .digest = d->digest,
						      .size = d->size},
					     .diff_id = config.diff_ids.items[i]};
		result_chain_id(i ? &ret->layers.items[i - 1].chain_id : NULL, &layer.diff_id,
				&layer.chain_id);
		vec_push(&ret->layers, layer);
	}
	for (size_t i = 0; i < m->annotations.len; i++)
		map_set_text(&ret->inherit_annotations, m->annotations.entries[i].key,
			     m->annotations.entries[i].value);
	return 0;
}

/* What was found under the recipe's tag must say itself that it was made from that recipe. */
static int check_claim(const struct manifest *m, const struct digest *recipe, struct err *e)
{
	char wanted[DIGEST_TEXT_MAX];
	const char *claimed = annotation_recipe(&m->annotations);
	digest_format(recipe, wanted);
	if (claimed && str_same(claimed, wanted))
		return 0;
	return err_set(e, ERR_MISMATCH, "cache/foreign",
		       "the image tagged for recipe '%s' says that it is of '%s'", wanted,
		       claimed ? claimed : "none");
}

static int bring(struct remote_caches *r, size_t index, const struct registry_document *doc,
		 const struct digest *recipe, struct image_result *ret, struct err *e)
{
	AUTO(manifest) m = {0};
	AUTO(remote_tree) tree = REMOTE_TREE_INIT;
	const struct descriptor top = {
		.media_type = doc->media_type, .digest = doc->digest, .size = doc->text.len};
	if (manifest_parse(buf_text(&doc->text), doc->text.len, "the cached manifest", &m, e) <
		    0 ||
	    check_claim(&m, recipe, e) < 0 || remote_keep(&r->c->store, doc, e) < 0 ||
	    remote_tree_read(NULL, &r->c->store, &top, NULL, &tree, e) < 0)
		return -1;
	AUTO_FREE struct registry_descriptor *blobs = remote_blobs(&tree.blobs);
	if (registry_fetch_blobs(r->open[index], blobs, tree.blobs.len, &r->c->store, e) < 0)
		return -1;
	return describe(r->c, doc, &m, recipe, ret, e);
}

int remote_cache_load(struct remote_caches *r, const struct digest *recipe,
		      struct image_result *ret, bool *ret_hit, struct err *e)
{
	*ret_hit = false;
	for (size_t i = 0; i < r->len; i++) {
		AUTO(registry_document) doc = REGISTRY_DOCUMENT_INIT;
		AUTO(image_result) found = {0};
		struct err why = ERR_INIT;
		bool is_there = false;
		if (r->is_dead[i])
			continue;
		if (get_tagged(r, i, recipe, &doc, &is_there, &why) < 0 ||
		    (is_there && bring(r, i, &doc, recipe, &found, &why) < 0)) {
			if (give_up(r, i, &why, e) < 0)
				return -1;
			continue;
		}
		if (!is_there)
			continue;
		if (cache_save(r->c, &found, e) < 0)
			return -1;
		*ret = found;
		found = (struct image_result){0};
		*ret_hit = true;
		return 0;
	}
	return 0;
}

static int save_to(struct remote_caches *r, size_t index, const struct image_result *image,
		   struct err *e)
{
	AUTO(registry_document) doc = REGISTRY_DOCUMENT_INIT;
	char tag[TAG_MAX];
	bool is_there = false;
	recipe_tag(&image->recipe, tag);
	if (get_tagged(r, index, &image->recipe, &doc, &is_there, e) < 0)
		return -1;
	if (is_there && !digest_eq(&doc.digest, &image->manifest.digest))
		log_warn("cache '%s' has another image for the recipe of %s; it is replaced",
			 url_of(r, index), tag);
	else if (is_there)
		return 0;
	const char *const tags[] = {tag};
	const struct remote_push push = {
		.from = &r->c->store, .tags = tags, .tags_len = ARRAY_LEN(tags)};
	struct registry_push_report report;
	return remote_push(r->open[index], &image->manifest, &push, &report, e);
}

int remote_cache_save(struct remote_caches *r, const struct image_result *image, struct err *e)
{
	for (size_t i = 0; i < r->len; i++) {
		struct err why = ERR_INIT;
		if (!r->c->sources->caches.items[i].is_writable || r->is_dead[i])
			continue;
		if (save_to(r, i, image, &why) < 0 && give_up(r, i, &why, e) < 0)
			return -1;
	}
	return 0;
}
