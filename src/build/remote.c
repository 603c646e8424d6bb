/* Whole images: what a reference stands for, bringing it, finding one image in it, pushing. */
#include "build/remote.h"

#include <stdlib.h>

#include "build/remote_tree.h"
#include "image/layout_index.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/str.h"

int remote_open(const struct build_context *c, const char *url, bool insecure,
		struct reference *ret_where, struct registry **ret, struct err *e)
{
	AUTO(reference) where = {0};
	struct registry_options options = c->registry;
	options.insecure = insecure;
	if (reference_parse(url, &where, e) < 0 || registry_open(&where, &options, ret, e) < 0)
		return -1;
	*ret_where = where;
	where = (struct reference){0};
	return 0;
}

static void describe(const struct registry_document *doc, struct descriptor *ret)
{
	*ret = (struct descriptor){.media_type = mem_strdup(doc->media_type),
				   .digest = doc->digest,
				   .size = doc->text.len};
}

int remote_resolve(struct registry *r, const char *ref, struct descriptor *ret, struct err *e)
{
	AUTO(registry_document) doc = REGISTRY_DOCUMENT_INIT;
	if (registry_get_manifest(r, ref, &doc, NULL, e) < 0)
		return -1;
	describe(&doc, ret);
	return 0;
}

int remote_pull(struct registry *r, const char *ref, const struct remote_platform *platform,
		const struct store *to, struct descriptor *ret_top, struct err *e)
{
	AUTO(registry_document) doc = REGISTRY_DOCUMENT_INIT;
	AUTO(descriptor) top = {0};
	AUTO(remote_tree) tree = REMOTE_TREE_INIT;
	if (registry_get_manifest(r, ref, &doc, NULL, e) < 0 || remote_keep(to, &doc, e) < 0)
		return -1;
	describe(&doc, &top);
	if (remote_tree_read(r, to, &top, platform, &tree, e) < 0)
		return -1;
	AUTO_FREE struct registry_descriptor *blobs = remote_blobs(&tree.blobs);
	if (registry_fetch_blobs(r, blobs, tree.blobs.len, to, e) < 0)
		return -1;
	*ret_top = top;
	top = (struct descriptor){0};
	return 0;
}

int remote_describe(const struct store *store, const struct digest *d, struct descriptor *ret,
		    struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_MANIFEST_BYTES);
	char what[DIGEST_TEXT_MAX];
	char *type = NULL;
	digest_format(d, what);
	if (store_blob_read(store, d, &text, e) < 0 ||
	    media_type_of_document(buf_text(&text), text.len, what, &type, e) < 0)
		return -1;
	*ret = (struct descriptor){.media_type = type, .digest = *d, .size = text.len};
	return 0;
}

int remote_find_image(const struct store *from, const struct descriptor *top,
		      const struct remote_platform *platform, struct descriptor *ret,
		      struct err *e)
{
	AUTO(descriptor)
	at = {.media_type = mem_strdup(top->media_type),
	      .digest = top->digest,
	      .size = top->size};
	for (unsigned depth = 0; str_same(media_type_oci(at.media_type), OCI_INDEX_TYPE);
	     depth++) {
		AUTO(registry_document) doc = REGISTRY_DOCUMENT_INIT;
		AUTO(layout_index) x = {0};
		const struct index_entry *one = NULL;
		char what[DIGEST_TEXT_MAX];
		digest_format(&at.digest, what);
		if (depth > LIMIT_INDEX_DEPTH)
			return err_set(e, ERR_INPUT, "layout/index-too-deep",
				       "indexes of '%s' are nested over %d deep", what,
				       LIMIT_INDEX_DEPTH);
		if (remote_load(from, &at, &doc, e) < 0 ||
		    layout_index_parse(buf_text(&doc.text), doc.text.len, what, &x, e) < 0 ||
		    layout_index_find_variant(&x, platform->os, platform->arch,
					      platform->variant, what, &one, e) < 0)
			return -1;
		descriptor_cleanup(&at);
		at = (struct descriptor){.media_type = mem_strdup(one->descriptor.media_type),
					 .digest = one->descriptor.digest,
					 .size = one->descriptor.size};
	}
	*ret = at;
	at = (struct descriptor){0};
	return 0;
}

int remote_push_documents(struct registry *r, const struct store *from,
			  const struct remote_tree *tree, const char *const *tags,
			  size_t tags_len, struct err *e)
{
	for (size_t i = 0; i < tree->documents.len; i++) {
		AUTO(registry_document) doc = REGISTRY_DOCUMENT_INIT;
		bool is_top = i + 1 == tree->documents.len;
		if (remote_load(from, &tree->documents.items[i], &doc, e) < 0)
			return -1;
		if ((!is_top || tags_len == 0) && registry_put_manifest(r, NULL, &doc, e) < 0)
			return -1;
		for (size_t j = 0; is_top && j < tags_len; j++)
			if (registry_put_manifest(r, tags[j], &doc, e) < 0)
				return -1;
	}
	return 0;
}

int remote_push(struct registry *r, const struct descriptor *top,
		const struct remote_push *push, struct registry_push_report *ret, struct err *e)
{
	AUTO(remote_tree) tree = REMOTE_TREE_INIT;
	if (remote_tree_read(NULL, push->from, top, NULL, &tree, e) < 0)
		return -1;
	AUTO_FREE struct registry_descriptor *blobs = remote_blobs(&tree.blobs);
	if (registry_push_blobs(r, blobs, tree.blobs.len, push->from, push->mount_from, ret,
				e) < 0)
		return -1;
	return remote_push_documents(r, push->from, &tree, push->tags, push->tags_len, e);
}
