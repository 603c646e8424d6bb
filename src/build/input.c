/* From the plan's sources to blobs that hash to what the recipes say. */
#include "build/input.h"

#include <fcntl.h>

#include "build/input_registry.h"
#include "build/remote.h"
#include "inputs/local.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/path.h"

struct pin_vec VEC_OF(struct pin);

struct url_lists VEC_OF(struct strvec);

struct bringing {
	struct build_context *c;
	struct pin_vec pins;
	struct url_lists urls; /* of each pin, mirrors first */
};

static void bringing_cleanup(struct bringing *b)
{
	vec_free(&b->pins);
	for (size_t i = 0; i < b->urls.len; i++)
		strvec_cleanup(&b->urls.items[i]);
	vec_free(&b->urls);
}

/* *ret_dropped: the store had it with wrong bytes, and has it no longer. */
static int drop_if_damaged(struct build_context *c, const struct digest *d, bool *ret_dropped,
			   struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct err why = ERR_INIT;
	*ret_dropped = false;
	if (!store_has(&c->store, d) ||
	    store_blob_open_checked(&c->store, d, &fd, NULL, &why) == 0)
		return 0;
	if (why.code != ERR_MISMATCH) {
		*e = why;
		return -1;
	}
	log_warn("%s; it is brought anew", why.message);
	*ret_dropped = true;
	return store_blob_discard(&c->store, d, e);
}

/* Copies a pinned blob from the seed store, if that has it; its bytes are checked twice. */
static int seed_pin(struct build_context *c, const struct pin *pin, struct err *e)
{
	if (!c->seed || store_has(&c->store, &pin->hash) || !store_has(c->seed, &pin->hash))
		return 0;
	AUTO_CLOSE int in = -1;
	AUTO_CLOSE int out = -1;
	struct digest ignored;
	uint64_t len;
	if (store_blob_open_checked(c->seed, &pin->hash, &in, &len, e) < 0 ||
	    store_stage_open(&c->store, &out, e) < 0 ||
	    path_copy_fd(in, out, "stored input", e) < 0)
		return err_locate(e, &pin->pos);
	return store_stage_commit(&c->store, out, &pin->hash, pin->size, &ignored, &len, e);
}

static int add_pin(struct bringing *b, const struct recipe_source *s, struct err *e)
{
	bool dropped;
	struct strvec urls = {0};
	for (size_t i = 0; i < s->urls.len; i++)
		sources_expand(b->c->sources, s->urls.items[i], &urls);
	vec_push(&b->urls, urls);
	const struct pin pin = {.urls = (const char *const *)urls.items,
				.urls_len = urls.len,
				.hash = s->hash,
				.size = s->size,
				.pos = s->pos};
	if (drop_if_damaged(b->c, &pin.hash, &dropped, e) < 0 || seed_pin(b->c, &pin, e) < 0)
		return -1;
	vec_push(&b->pins, pin);
	return 0;
}

/* The snapshot was made from these very files a moment ago, so making it again mends it. */
static int mend_local(struct bringing *b, const struct recipe_source *s,
		      const struct digest *tree_digest, int dir_fd, struct err *e)
{
	AUTO(local_tree) tree = {0};
	bool any = false;
	struct digest again;
	if (local_tree_load(&b->c->store, tree_digest, &tree, e) < 0)
		return -1;
	for (size_t i = 0; i < tree.len; i++) {
		bool dropped = false;
		if (tree.items[i].type == LOCAL_FILE &&
		    drop_if_damaged(b->c, &tree.items[i].digest, &dropped, e) < 0)
			return -1;
		any = any || dropped;
	}
	if (!any)
		return 0;
	if (local_snapshot(&b->c->store, dir_fd, s->path, s->contents, &s->hash, &again, e) < 0)
		return err_locate(e, &s->pos);
	if (digest_eq(&again, tree_digest))
		return 0;
	err_set(e, ERR_INPUT, "import/changed", "'%s' changed while the build began", s->text);
	return err_locate(e, &s->pos);
}

/* Local paths start from `dir_fd`. */
static int add_source(struct bringing *b, const struct recipe_source *s,
		      const struct digest *digest, int dir_fd, struct err *e)
{
	switch (s->kind) {
	case SOURCE_URL:
		return add_pin(b, s, e);
	case SOURCE_LOCAL:
		return mend_local(b, s, digest, dir_fd, e);
	case SOURCE_STACKER: /* built, not brought */
		return 0;
	}
	BUG_IF(true);
}

/* From the registries with inputs, from mirrors, from where the stackerfile says. */
static int bring_registry_base(struct build_context *c, const struct plan_image *image,
			       struct err *e)
{
	const struct recipe_image *r = image->recipe;
	AUTO(strvec) urls = {0};
	for (size_t i = 0; c->sources && i < c->sources->inputs.len; i++)
		strvec_push(&urls, c->sources->inputs.items[i]);
	sources_expand(c->sources, r->from_url, &urls);
	for (size_t i = 0; i < urls.len; i++) {
		bool is_last = i + 1 == urls.len;
		const struct remote_base base = {
			.url = urls.items[i],
			.digest = image->base,
			.platform = {r->os, r->arch, r->from_variant},
			.insecure = is_last && r->from_insecure,
		};
		if (remote_bring_base(c, &base, e) == 0)
			return 0;
		if (is_last || e->code == ERR_INTERRUPTED)
			return err_locate(e, &r->from_pos);
		log_note("%s; trying '%s'", e->message, urls.items[i + 1]);
	}
	BUG_IF(true);
}

int input_bring_all(struct build_context *c, const struct plan *p, const bool *todo,
		    struct err *e)
{
	AUTO(bringing) b = {.c = c};
	for (size_t i = 0; i < p->len; i++) {
		const struct plan_image *image = &p->images[i];
		const struct recipe_image *r = image->recipe;
		if (!todo[i])
			continue;
		if (r->from == FROM_DOCKER && bring_registry_base(c, image, e) < 0)
			return -1;
		if (r->from == FROM_TAR &&
		    add_source(&b, &r->from_source, &image->base, AT_FDCWD, e) < 0)
			return -1;
		for (size_t j = 0; j < r->imports.len; j++)
			if (add_source(&b, &r->imports.items[j].source, &image->imports[j],
				       image->file->dir_fd, e) < 0)
				return -1;
	}
	if (input_registry_bring(c, b.pins.items, b.pins.len, e) < 0)
		return -1;
	return fetch_pins(&c->store, b.pins.items, b.pins.len, &c->fetch, e);
}
