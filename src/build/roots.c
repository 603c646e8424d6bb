/* Layer trees: naming, unpacking on demand, and the common shape of the workers that do it. */
#include "build/roots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/unpack.h"
#include "sandbox/worker.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/proc.h"

void roots_tree_name(const struct digest *chain_id, char out[ROOTS_NAME_MAX])
{
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(chain_id, hex);
	int len = snprintf(out, ROOTS_NAME_MAX, "sha256_%s", hex);
	BUG_IF(len < 0 || len >= ROOTS_NAME_MAX);
}

void roots_lower_names(const struct result_layer_vec *layers, struct strvec *ret)
{
	for (size_t i = layers->len; i-- > 0;) {
		char name[ROOTS_NAME_MAX];
		roots_tree_name(&layers->items[i].chain_id, name);
		strvec_push(ret, name);
	}
}

void roots_work_name(struct build_context *c, char out[ROOTS_NAME_MAX])
{
	int len = snprintf(out, ROOTS_NAME_MAX, ".work/%u", c->next_work++);
	BUG_IF(len < 0 || len >= ROOTS_NAME_MAX);
}

int roots_worker_run(const struct roots_worker *w, struct buf *reply, struct err *e)
{
	const struct build_context *c = w->c;
	bool packs = w->role == POLICY_PACKER;
	const struct sandbox_bind binds[] = {
		{.fd = c->roots_fd, .name = "roots", .read_only = packs},
		{.fd = c->store.blobs_fd, .name = "blobs", .read_only = true},
	};
	struct sandbox_worker worker = {
		.idmap = &c->idmap,
		.policy = &c->policy,
		.binds = binds,
		.binds_len = packs ? 1 : ARRAY_LEN(binds),
		.keep_fds = w->keep_fds,
		.keep_fds_len = w->keep_fds_len,
		.role = w->role,
		.prepare = w->prepare,
		.run = w->run,
		.ctx = w->ctx,
	};
	return sandbox_worker_run(&worker, reply, e);
}

/* Layers that one worker unpacks, by their numbers in the image. */
enum { BATCH_MAX = 32 };
struct unpack_batch {
	struct build_context *c;
	const struct result_layer_vec *layers;
	size_t numbers[BATCH_MAX];
	int blob_fds[BATCH_MAX];
	size_t len;
	unsigned threads;
	char work[ROOTS_NAME_MAX];
};

static void unpack_batch_cleanup(struct unpack_batch *b)
{
	for (size_t i = 0; i < b->len; i++)
		close(b->blob_fds[i]);
}

/* In the worker: what the layers up to the last one of the batch are, lowest first. */
struct layer_stack {
	struct unpack_layer *items;
	size_t len;
};

static void layer_stack_cleanup(struct layer_stack *s)
{
	for (size_t i = 0; i < s->len; i++)
		close(s->items[i].root_fd);
	mem_free_cleanup(&s->items);
}

int roots_mount_lowers(const struct strvec *lowers, struct err *e)
{
	if (lowers->len == 0)
		return 0;
	const struct sandbox_overlay view = {
		.base = "/roots",
		.lowers = (const char *const *)lowers->items,
		.lowers_len = lowers->len,
		.target = "/lower",
	};
	return sandbox_overlay_mount(&view, e);
}

int roots_open_lowers(const struct strvec *lowers, int *ret_fd, struct err *e)
{
	return lowers->len > 0 ? path_open_dir(AT_FDCWD, "/lower", ret_fd, e) : 0;
}

/* The directory in the batch's own that becomes the tree of a layer. */
static void new_name(size_t number, char out[ROOTS_NAME_MAX])
{
	snprintf(out, ROOTS_NAME_MAX, "%zu", number);
}

static int open_stack(const struct unpack_batch *b, int roots_fd, int work_fd,
		      struct layer_stack *s, struct err *e)
{
	size_t next = 0, len = b->numbers[b->len - 1] + 1;
	s->items = mem_zalloc(len, sizeof(*s->items));
	for (; s->len < len; s->len++) {
		const struct result_layer *layer = &b->layers->items[s->len];
		struct unpack_layer *item = &s->items[s->len];
		char name[ROOTS_NAME_MAX];
		*item = (struct unpack_layer){.blob_fd = -1, .diff_id = layer->diff_id};
		if (s->len != b->numbers[next]) {
			roots_tree_name(&layer->chain_id, name);
			if (path_open_beneath(roots_fd, name, O_RDONLY | O_DIRECTORY, 0,
					      &item->root_fd, e) < 0)
				return -1;
			continue;
		}
		new_name(s->len, name);
		item->blob_fd = b->blob_fds[next++];
		if (layer_compression_of(layer->blob.media_type, &item->compression, e) < 0 ||
		    path_make_dir(work_fd, name, 0755, &item->root_fd, e) < 0)
			return -1;
	}
	return 0;
}

/* Lowest first, so that what lies beneath a tree is there when it is. */
static int name_trees(const struct unpack_batch *b, int roots_fd, int work_fd, struct err *e)
{
	/* The name must never stand for a tree whose files a power cut could still empty. */
	if (syncfs(work_fd) < 0)
		return err_sys(e, "cannot flush the unpacked layers");
	for (size_t i = 0; i < b->len; i++) {
		char from[ROOTS_NAME_MAX], tree[ROOTS_NAME_MAX];
		new_name(b->numbers[i], from);
		roots_tree_name(&b->layers->items[b->numbers[i]].chain_id, tree);
		if (renameat(work_fd, from, roots_fd, tree) < 0 && errno != EEXIST &&
		    errno != ENOTEMPTY)
			return err_sys(e, "cannot name the unpacked layer '%s'", tree);
	}
	return 0;
}

static int unpack_work(void *ctx, struct buf *reply, struct err *e)
{
	(void)reply;
	const struct unpack_batch *b = ctx;
	AUTO_CLOSE int roots = -1;
	AUTO_CLOSE int work = -1;
	AUTO(layer_stack) stack = {0};
	if (path_open_dir(AT_FDCWD, "/roots", &roots, e) < 0 ||
	    path_make_dir(roots, b->work, 0700, &work, e) < 0 ||
	    open_stack(b, roots, work, &stack, e) < 0 ||
	    unpack_stack(stack.items, stack.len, &unpack_default_limits, b->threads, e) < 0 ||
	    name_trees(b, roots, work, e) < 0)
		return -1;
	return path_remove_tree(roots, b->work, e);
}

enum { PROOF_NAME_MAX = 2 * DIGEST_TEXT_MAX + 8 };

/* The name of the file in cache/ that says that this blob, read as its media type says, unpacks
 * to its diff_id. *ret_needed false: a plain tar of that hash is its own proof. */
static int proof_name(const struct result_layer *layer, char out[PROOF_NAME_MAX],
		      bool *ret_needed, struct err *e)
{
	char blob[DIGEST_TEXT_MAX], diff_id[DIGEST_TEXT_MAX];
	enum layer_compression compression;
	if (layer_compression_of(layer->blob.media_type, &compression, e) < 0)
		return -1;
	digest_format_hex(&layer->blob.digest, blob);
	digest_format_hex(&layer->diff_id, diff_id);
	int len = snprintf(out, PROOF_NAME_MAX, "%s-%s.%d", blob, diff_id, (int)compression);
	BUG_IF(len < 0 || len >= PROOF_NAME_MAX);
	*ret_needed =
		compression != LAYER_TAR || !digest_eq(&layer->blob.digest, &layer->diff_id);
	return 0;
}

static int make_proof(const struct build_context *c, const struct result_layer *layer,
		      struct err *e)
{
	char proof[PROOF_NAME_MAX];
	bool needed = false;
	if (proof_name(layer, proof, &needed, e) < 0)
		return -1;
	if (!needed)
		return 0;
	AUTO_CLOSE int fd =
		openat(c->cache_fd, proof, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(e, "cannot make '%s/cache/%s'", c->dirs.state, proof) : 0;
}

/* A tree only says that some blob unpacks to this diff_id. Whether this one does is another
 * matter, and this one is what is handed on. */
static int is_ready(const struct build_context *c, const struct result_layer *layer, bool *ret,
		    struct err *e)
{
	char tree[ROOTS_NAME_MAX], proof[PROOF_NAME_MAX];
	bool proof_needed = false;
	struct stat st;
	roots_tree_name(&layer->chain_id, tree);
	if (proof_name(layer, proof, &proof_needed, e) < 0)
		return -1;
	*ret = fstatat(c->roots_fd, tree, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!*ret)
		return errno == ENOENT ? 0
				       : err_sys(e, "cannot stat '%s/%s'", c->dirs.roots, tree);
	*ret = !proof_needed || fstatat(c->cache_fd, proof, &st, AT_SYMLINK_NOFOLLOW) == 0;
	return 0;
}

/* The next layers, from *from on, that are not ready. */
static int open_batch(struct unpack_batch *b, size_t *from, struct err *e)
{
	for (; *from < b->layers->len && b->len < BATCH_MAX; ++*from) {
		const struct result_layer *layer = &b->layers->items[*from];
		char tree[ROOTS_NAME_MAX];
		bool ready = false;
		if (is_ready(b->c, layer, &ready, e) < 0)
			return -1;
		if (ready)
			continue;
		if (store_blob_open_checked(&b->c->store, &layer->blob.digest,
					    &b->blob_fds[b->len], NULL, e) < 0)
			return -1;
		b->numbers[b->len++] = *from;
		roots_tree_name(&layer->chain_id, tree);
		log_debug("unpacking layer %s", tree);
	}
	return 0;
}

static int ensure_batch(struct build_context *c, const struct result_layer_vec *layers,
			size_t *from, struct err *e)
{
	AUTO(unpack_batch) b = {.c = c, .layers = layers, .threads = proc_cpus()};
	if (open_batch(&b, from, e) < 0)
		return -1;
	if (b.len == 0)
		return 0;
	roots_work_name(c, b.work);
	const struct roots_worker worker = {.c = c,
					    .role = POLICY_UNPACKER,
					    .run = unpack_work,
					    .ctx = &b,
					    .keep_fds = b.blob_fds,
					    .keep_fds_len = b.len};
	if (roots_worker_run(&worker, NULL, e) < 0)
		return -1;
	for (size_t i = 0; i < b.len; i++)
		if (make_proof(c, &layers->items[b.numbers[i]], e) < 0)
			return -1;
	return 0;
}

int roots_ensure(struct build_context *c, const struct result_layer_vec *layers, struct err *e)
{
	if (layers->len > LIMIT_LAYERS - 2) /* upper and skeleton count too */
		return err_set(e, ERR_INPUT, "build/too-many-layers",
			       "image has %zu layers, the kernel's limit is %d", layers->len,
			       LIMIT_LAYERS - 2);
	for (size_t from = 0; from < layers->len;)
		if (ensure_batch(c, layers, &from, e) < 0)
			return -1;
	return 0;
}
