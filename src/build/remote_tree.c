/*
 * Depth and breadth are bounded by the readers' limits; a document that names itself, or one
 * twice, is read once.
 */
#include "build/remote_tree.h"

#include <stdlib.h>

#include "image/layout_index.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

struct walk {
	struct registry *r; /* or NULL */
	const struct store *store;
	const struct remote_platform *platform;
	struct remote_tree *tree;
};

void remote_tree_cleanup(struct remote_tree *t)
{
	for (size_t i = 0; i < t->documents.len; i++)
		descriptor_cleanup(&t->documents.items[i]);
	for (size_t i = 0; i < t->blobs.len; i++)
		descriptor_cleanup(&t->blobs.items[i]);
	vec_free(&t->documents);
	vec_free(&t->blobs);
	map_cleanup(&t->seen);
}

int remote_keep(const struct store *store, const struct registry_document *d, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	if (store_stage_open(store, &fd, e) < 0 ||
	    path_write_all(fd, d->text.data, d->text.len, "staged manifest", e) < 0)
		return -1;
	return store_stage_commit(store, fd, &d->digest, (int64_t)d->text.len, NULL, NULL, e);
}

int remote_load(const struct store *store, const struct descriptor *d,
		struct registry_document *ret, struct err *e)
{
	AUTO(registry_document) doc = REGISTRY_DOCUMENT_INIT;
	char text[DIGEST_TEXT_MAX];
	digest_format(&d->digest, text);
	if (store_blob_read(store, &d->digest, &doc.text, e) < 0)
		return -1;
	if (doc.text.len != d->size)
		return err_set(e, ERR_MISMATCH, "store/damaged",
			       "document '%s' has another length than what names it says",
			       text);
	/* Descriptors are read with OCI's names for Docker's types. */
	if (media_type_of_document(buf_text(&doc.text), doc.text.len, text, &doc.media_type,
				   e) < 0)
		return -1;
	doc.digest = d->digest;
	*ret = doc;
	doc = (struct registry_document)REGISTRY_DOCUMENT_INIT;
	return 0;
}

struct registry_descriptor *remote_blobs(const struct descriptor_vec *blobs)
{
	struct registry_descriptor *list = mem_zalloc(blobs->len + 1, sizeof(*list));
	for (size_t i = 0; i < blobs->len; i++)
		list[i] = (struct registry_descriptor){blobs->items[i].media_type,
						       blobs->items[i].digest,
						       blobs->items[i].size};
	return list;
}

/* False if it was there. */
static bool add(struct remote_tree *t, struct descriptor_vec *to, const struct descriptor *d)
{
	char text[DIGEST_TEXT_MAX];
	digest_format(&d->digest, text);
	if (!map_add(&t->seen, text, t))
		return false;
	vec_push(to, ((struct descriptor){.media_type = mem_strdup(d->media_type),
					  .digest = d->digest,
					  .size = d->size}));
	return true;
}

static int err_other(const struct walk *w, const struct descriptor *d,
		     const struct registry_document *doc, struct err *e)
{
	char text[DIGEST_TEXT_MAX];
	digest_format(&d->digest, text);
	return err_set(e, ERR_MISMATCH, "registry/descriptor",
		       "'%s %s' is a '%s' of %zu bytes, what names it says '%.100s' of %llu",
		       w->r ? registry_name(w->r) : "", text, doc->media_type, doc->text.len,
		       d->media_type, (unsigned long long)d->size);
}

static int load(const struct walk *w, const struct descriptor *d, struct registry_document *ret,
		struct err *e)
{
	char ref[DIGEST_TEXT_MAX];
	if (!w->r || store_has(w->store, &d->digest))
		return remote_load(w->store, d, ret, e);
	digest_format(&d->digest, ref);
	if (registry_get_manifest(w->r, ref, ret, NULL, e) < 0)
		return -1;
	if (!str_same(media_type_oci(ret->media_type), media_type_oci(d->media_type)) ||
	    ret->text.len != d->size)
		return err_other(w, d, ret, e);
	return remote_keep(w->store, ret, e);
}

static int read_manifest(const struct walk *w, const struct registry_document *doc,
			 const char *what, struct err *e)
{
	AUTO(manifest) m = {0};
	if (manifest_parse(buf_text(&doc->text), doc->text.len, what, &m, e) < 0)
		return -1;
	add(w->tree, &w->tree->blobs, &m.config);
	for (size_t i = 0; i < m.layers.len; i++)
		add(w->tree, &w->tree->blobs, &m.layers.items[i]);
	return 0;
}

static int walk_document(const struct walk *w, const struct descriptor *d, unsigned depth,
			 struct err *e);

static int walk_index(const struct walk *w, const struct registry_document *doc,
		      const char *what, unsigned depth, struct err *e)
{
	const struct remote_platform *p = w->platform;
	AUTO(layout_index) x = {0};
	const struct index_entry *one = NULL;
	if (depth > LIMIT_INDEX_DEPTH)
		return err_set(e, ERR_INPUT, "layout/index-too-deep",
			       "indexes of '%s' are nested over %d deep", what,
			       LIMIT_INDEX_DEPTH);
	if (layout_index_parse(buf_text(&doc->text), doc->text.len, what, &x, e) < 0)
		return -1;
	if (p && layout_index_find_variant(&x, p->os, p->arch, p->variant, what, &one, e) < 0)
		return -1;
	if (one)
		return walk_document(w, &one->descriptor, depth + 1, e);
	for (size_t i = 0; i < x.len; i++)
		if (walk_document(w, &x.items[i].descriptor, depth + 1, e) < 0)
			return -1;
	return 0;
}

static int walk_document(const struct walk *w, const struct descriptor *d, unsigned depth,
			 struct err *e)
{
	AUTO(registry_document) doc = REGISTRY_DOCUMENT_INIT;
	char what[DIGEST_TEXT_MAX];
	digest_format(&d->digest, what);
	if (map_has(&w->tree->seen, what))
		return 0;
	if (load(w, d, &doc, e) < 0)
		return -1;
	if (str_same(media_type_oci(d->media_type), OCI_INDEX_TYPE)
		    ? walk_index(w, &doc, what, depth, e) < 0
		    : read_manifest(w, &doc, what, e) < 0)
		return -1;
	add(w->tree, &w->tree->documents, d);
	return 0;
}

int remote_tree_read(struct registry *r, const struct store *store,
		     const struct descriptor *top, const struct remote_platform *platform,
		     struct remote_tree *ret, struct err *e)
{
	AUTO(remote_tree) tree = REMOTE_TREE_INIT;
	const struct walk w = {.r = r, .store = store, .platform = platform, .tree = &tree};
	if (walk_document(&w, top, 0, e) < 0)
		return -1;
	*ret = tree;
	tree = (struct remote_tree)REMOTE_TREE_INIT;
	return 0;
}
