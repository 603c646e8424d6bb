/*
 * A base image by digest: what the store has of it is hashed again before it is used, what it
 * lacks comes from a seed store or the registry. A damaged blob is brought anew.
 */
#include "build/remote.h"

#include <stdlib.h>

#include "build/remote_tree.h"
#include "util/log.h"
#include "util/mem.h"

/* Whether all of it is in the store, with the right lengths. Absence is no error. */
static bool is_whole(const struct store *store, const struct remote_base *base,
		     struct remote_tree *ret)
{
	AUTO(descriptor) top = {0};
	struct err ignored = ERR_INIT;
	uint64_t len;
	if (remote_describe(store, &base->digest, &top, &ignored) < 0 ||
	    remote_tree_read(NULL, store, &top, &base->platform, ret, &ignored) < 0)
		return false;
	for (size_t i = 0; i < ret->blobs.len; i++)
		if (!store_blob_stat(store, &ret->blobs.items[i].digest, &len) ||
		    len != ret->blobs.items[i].size)
			return false;
	return true;
}

/* Discards what holds other bytes than its name says, so that it is missed. */
static int discard_damaged(const struct store *store, const struct descriptor_vec *list,
			   bool *ret_any, struct err *e)
{
	for (size_t i = 0; i < list->len; i++) {
		AUTO_CLOSE int fd = -1;
		struct err why = ERR_INIT;
		if (store_blob_open_checked(store, &list->items[i].digest, &fd, NULL, &why) ==
		    0)
			continue;
		if (why.code != ERR_MISMATCH) {
			*e = why;
			return -1;
		}
		log_warn("%s; it is brought anew", why.message);
		*ret_any = true;
		if (store_blob_discard(store, &list->items[i].digest, e) < 0)
			return -1;
	}
	return 0;
}

static int check_present(struct build_context *c, const struct remote_base *base,
			 bool *ret_whole, struct err *e)
{
	AUTO(remote_tree) tree = REMOTE_TREE_INIT;
	bool damaged = false;
	*ret_whole = is_whole(&c->store, base, &tree);
	if (!*ret_whole)
		return 0;
	if (discard_damaged(&c->store, &tree.blobs, &damaged, e) < 0)
		return -1;
	*ret_whole = !damaged;
	return 0;
}

static int copy_all(const struct store *from, const struct store *to,
		    const struct descriptor_vec *list, struct err *e)
{
	for (size_t i = 0; i < list->len; i++) {
		const struct descriptor *d = &list->items[i];
		if (store_blob_copy(from, to, &d->digest, (int64_t)d->size, e) < 0)
			return -1;
	}
	return 0;
}

static int take_from_seed(struct build_context *c, const struct remote_base *base,
			  bool *ret_whole, struct err *e)
{
	AUTO(remote_tree) tree = REMOTE_TREE_INIT;
	if (!c->seed || !is_whole(c->seed, base, &tree))
		return 0;
	*ret_whole = true;
	return copy_all(c->seed, &c->store, &tree.blobs, e) < 0
		       ? -1
		       : copy_all(c->seed, &c->store, &tree.documents, e);
}

static int pull(struct build_context *c, const struct remote_base *base, struct err *e)
{
	AUTO(reference) where = {0};
	AUTO(descriptor) top = {0};
	struct registry *r = NULL;
	char ref[DIGEST_TEXT_MAX];
	digest_format(&base->digest, ref);
	if (remote_open(c, base->url, base->insecure, &where, &r, e) < 0)
		return -1;
	log_note("loading %s@%s", base->url, ref);
	int result = remote_pull(r, ref, &base->platform, &c->store, &top, e);
	registry_close(r);
	return result;
}

int remote_bring_base(struct build_context *c, const struct remote_base *base, struct err *e)
{
	bool whole = false;
	if (check_present(c, base, &whole, e) < 0 ||
	    (!whole && take_from_seed(c, base, &whole, e) < 0))
		return -1;
	return whole ? 0 : pull(c, base, e);
}
