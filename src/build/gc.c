/* Mark and sweep over the state directory and the roots; see gc.h. */
#include "build/gc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/last.h"
#include "build/result.h"
#include "build/roots.h"
#include "image/dir_names.h"
#include "image/layout.h"
#include "util/json_read.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/map.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

enum { SHA256_HEX = 64, NAME_MAX_BYTES = DIGEST_TEXT_MAX + 32 };

struct gc {
	struct build_context *c;
	const struct gc_options *options;
	struct map reached; /* "sha256:..."; grows while it is walked */
	struct map trees;   /* names below roots/ */
};

static void gc_cleanup(struct gc *g)
{
	map_cleanup(&g->reached);
	map_cleanup(&g->trees);
}

static void reach(struct gc *g, const char *text)
{
	struct digest d;
	struct err ignored = ERR_INIT;
	if (digest_parse(text, &d, &ignored) == 0)
		(void)map_add(&g->reached, text, NULL);
}

static void reach_digest(struct gc *g, const struct digest *d)
{
	char text[DIGEST_TEXT_MAX];
	digest_format(d, text);
	(void)map_add(&g->reached, text, NULL);
}

/* Every text at any place. Depth is bounded by json_read. */
static void reach_all(struct gc *g, const json_t *value)
{
	if (json_is_string(value))
		reach(g, json_string_value(value));
	for (size_t i = 0; i < json_array_size(value); i++)
		reach_all(g, json_array_get(value, i));
	/* Only read, but jansson's iterator takes a mutable object. */
	json_t *object = (json_t *)(uintptr_t)value;
	for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at))
		reach_all(g, json_object_iter_value(at));
}

/* A file of the user's may be no JSON although it begins so, and names nothing then. */
static int reach_document(struct gc *g, int fd, const char *what, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_TREE_BYTES);
	AUTO(json_doc) doc = {0};
	struct err why = ERR_INIT;
	if (path_read_fd(fd, what, &text, e) < 0)
		return -1;
	if (json_read_large(buf_text(&text), text.len, LIMIT_TREE_BYTES, LIMIT_TREE_VALUES,
			    what, &doc, &why) < 0)
		log_debug("'%s' names nothing: %s", what, why.message);
	else
		reach_all(g, doc.root);
	return 0;
}

static bool is_document(int fd)
{
	struct stat st;
	char first = 0;
	return fstat(fd, &st) == 0 && (uint64_t)st.st_size <= LIMIT_TREE_BYTES &&
	       pread(fd, &first, 1, 0) == 1 && first == '{';
}

static int reach_entry(struct gc *g, const char *hex, struct err *e)
{
	char name[NAME_MAX_BYTES];
	snprintf(name, sizeof(name), "%s.json", hex);
	AUTO_CLOSE int fd = openat(g->c->cache_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot open 'cache/%s'", name);
	return reach_document(g, fd, name, e);
}

/* What the name stands for: a blob, a recipe, or both. */
static int follow(struct gc *g, const char *text, struct err *e)
{
	struct digest d;
	char hex[DIGEST_TEXT_MAX];
	AUTO_CLOSE int fd = -1;
	if (digest_parse(text, &d, e) < 0)
		return -1;
	digest_format_hex(&d, hex);
	if (reach_entry(g, hex, e) < 0)
		return -1;
	if (!store_has(&g->c->store, &d))
		return 0;
	if (store_blob_open(&g->c->store, &d, &fd, e) < 0)
		return -1;
	return is_document(fd) ? reach_document(g, fd, text, e) : 0;
}

static void reach_image(struct gc *g, const struct last_image *image)
{
	reach_digest(g, &image->recipe);
	for (size_t i = 0; i < LAYER_TYPES; i++)
		if (image->forms[i].alg != DIGEST_NONE)
			reach_digest(g, &image->forms[i]);
}

/* A stackerfile that is gone will not be built again. */
static int reach_records(struct gc *g, struct err *e)
{
	AUTO(last_builds_vec) all = {0};
	if (last_load_all(g->c, &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.len; i++) {
		const struct last_builds *b = &all.items[i];
		if (faccessat(AT_FDCWD, b->file, F_OK, 0) == 0 || errno != ENOENT) {
			for (size_t j = 0; j < b->len; j++)
				reach_image(g, &b->items[j]);
			continue;
		}
		const struct gc_removed removed = {.kind = GC_RECORD, .path = b->file};
		g->options->removed(g->options->ctx, &removed);
		if (!g->options->dry_run && last_forget(g->c, b->file, e) < 0)
			return -1;
	}
	return 0;
}

static int reach_layout(struct gc *g, struct err *e)
{
	AUTO(layout) layout = LAYOUT_INIT;
	AUTO(strvec) tags = {0};
	if (faccessat(AT_FDCWD, g->c->dirs.oci, F_OK, 0) < 0 && errno == ENOENT)
		return 0;
	if (layout_open(AT_FDCWD, g->c->dirs.oci, &layout, e) < 0 ||
	    layout_tags(&layout, &tags, e) < 0)
		return -1;
	for (size_t i = 0; i < tags.len; i++) {
		AUTO(descriptor) d = {0};
		AUTO(buf) text = BUF_INIT(LIMIT_MANIFEST_BYTES);
		AUTO(json_doc) doc = {0};
		struct err why = ERR_INIT;
		if (layout_resolve(&layout, tags.items[i], NULL, NULL, &d, &why) < 0) {
			/* Images of several platforms and the like are not made here. */
			if (why.code == ERR_INPUT)
				continue;
			*e = why;
			return -1;
		}
		if (layout_blob_read(&layout, &d.digest, &text, e) < 0 ||
		    json_read(buf_text(&text), text.len, LIMIT_MANIFEST_BYTES, tags.items[i],
			      &doc, e) < 0)
			return -1;
		reach_digest(g, &d.digest);
		reach_all(g, doc.root); /* its annotations name the recipe */
	}
	return 0;
}

/* The trees of a result that is still whole; others are unpacked anew when they are needed. */
static int keep_trees(struct gc *g, const char *text, struct err *e)
{
	struct digest d;
	AUTO(image_result) result = {0};
	bool hit = false;
	if (digest_parse(text, &d, e) < 0)
		return -1;
	if (d.alg != DIGEST_SHA256)
		return 0;
	if (cache_load(g->c, &d, &result, &hit, e) < 0)
		return -1;
	for (size_t i = 0; hit && i < result.layers.len; i++) {
		char name[ROOTS_NAME_MAX];
		roots_tree_name(&result.layers.items[i].chain_id, name);
		(void)map_add(&g->trees, name, NULL);
	}
	return 0;
}

static int mark(struct gc *g, struct err *e)
{
	if (reach_records(g, e) < 0 || reach_layout(g, e) < 0)
		return -1;
	/* Keys are copied, so that growth does not move what is being read. */
	for (size_t i = 0; i < g->reached.len; i++) {
		AUTO_FREE char *text = mem_strdup(g->reached.entries[i].key);
		if (follow(g, text, e) < 0 || keep_trees(g, text, e) < 0)
			return -1;
	}
	return 0;
}

static int remove_file(struct gc *g, enum gc_kind kind, int dir, const char *where,
		       const char *name, struct err *e)
{
	struct stat st;
	AUTO_FREE char *path = mem_printf("%s/%s", where, name);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "cannot stat '%s'", path);
	const struct gc_removed removed = {
		.kind = kind, .path = path, .bytes = (uint64_t)st.st_size};
	g->options->removed(g->options->ctx, &removed);
	if (g->options->dry_run)
		return 0;
	return unlinkat(dir, name, 0) < 0 ? err_sys(e, "cannot remove '%s'", path) : 0;
}

/* A name that begins with the hex of a digest that nothing reached. */
static bool is_unreached(const struct gc *g, const char *alg, const char *name, size_t hex_len)
{
	struct digest d;
	struct err ignored = ERR_INIT;
	AUTO_FREE char *text = mem_printf("%s:%.*s", alg, (int)hex_len, name);
	return strnlen(name, hex_len) == hex_len && digest_parse(text, &d, &ignored) == 0 &&
	       !map_has(&g->reached, text);
}

static int sweep_blobs(struct gc *g, enum digest_alg alg, struct err *e)
{
	const char *name = digest_alg_name(alg);
	AUTO_FREE char *where = mem_printf("store/blobs/%s", name);
	AUTO(strvec) names = {0};
	AUTO_CLOSE int dir =
		openat(g->c->store.blobs_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot open '%s'", where);
	if (dir_names(dir, where, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++)
		if (strlen(names.items[i]) == 2 * digest_len(alg) &&
		    is_unreached(g, name, names.items[i], 2 * digest_len(alg)) &&
		    remove_file(g, GC_BLOB, dir, where, names.items[i], e) < 0)
			return -1;
	return 0;
}

/* Each file of the cache begins with the hex of what it is about. */
static int sweep_cache(struct gc *g, struct err *e)
{
	AUTO(strvec) names = {0};
	if (dir_names(g->c->cache_fd, "cache", &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++)
		if (is_unreached(g, "sha256", names.items[i], SHA256_HEX) &&
		    remove_file(g, GC_ENTRY, g->c->cache_fd, "cache", names.items[i], e) < 0)
			return -1;
	return 0;
}

static int list_roots(void *ctx, struct buf *reply, struct err *e)
{
	(void)ctx;
	AUTO_CLOSE int roots = -1;
	AUTO(strvec) names = {0};
	if (path_open_dir(AT_FDCWD, "/roots", &roots, e) < 0 ||
	    dir_names(roots, "roots", &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++)
		buf_add(reply, names.items[i], strlen(names.items[i]) + 1);
	return 0;
}

static int remove_tree(struct gc *g, const char *name, struct err *e)
{
	const struct gc_removed removed = {.kind = GC_TREE, .path = name};
	g->options->removed(g->options->ctx, &removed);
	return g->options->dry_run ? 0 : build_remove_hostile(g->c, g->c->roots_fd, name, e);
}

/* The directory belongs to the sandbox's ids, hence the worker. */
static int sweep_trees(struct gc *g, struct err *e)
{
	AUTO(buf) reply = BUF_INIT(LIMIT_TREE_BYTES);
	const struct roots_worker worker = {
		.c = g->c, .role = POLICY_PACKER, .run = list_roots, .ctx = g};
	if (roots_worker_run(&worker, &reply, e) < 0)
		return -1;
	const char *at = buf_text(&reply), *end = at + reply.len;
	for (; at < end; at += strlen(at) + 1)
		if (str_has_prefix(at, "sha256_") && !strchr(at, '/') &&
		    !map_has(&g->trees, at) && remove_tree(g, at, e) < 0)
			return -1;
	return 0;
}

int gc_run(struct build_context *c, const struct gc_options *options, struct err *e)
{
	AUTO(gc)
	g = {.c = c, .options = options, .reached = MAP_INIT(NULL), .trees = MAP_INIT(NULL)};
	/* Entries before the blobs that they name, so that a kill leaves no entry without. */
	if (mark(&g, e) < 0 || sweep_cache(&g, e) < 0 || sweep_trees(&g, e) < 0 ||
	    sweep_blobs(&g, DIGEST_SHA256, e) < 0 || sweep_blobs(&g, DIGEST_SHA512, e) < 0)
		return -1;
	return 0;
}
