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
		.keep_fds = &w->keep_fd,
		.keep_fds_len = w->keep_fd >= 0,
		.role = w->role,
		.prepare = w->prepare,
		.run = w->run,
		.ctx = w->ctx,
	};
	return sandbox_worker_run(&worker, reply, e);
}

struct unpack_job {
	const struct result_layer *layer;
	struct strvec lowers; /* trees beneath, topmost first */
	const char *work;
	const char *tree;
	int blob_fd;
};

static int unpack_into(const struct unpack_job *job, int lower_fd, int work_fd, struct err *e)
{
	AUTO_CLOSE int tree = -1;
	if (path_make_dir(work_fd, "tree", 0755, &tree, e) < 0)
		return -1;
	enum layer_compression compression;
	if (layer_compression_of(job->layer->blob.media_type, &compression, e) < 0)
		return -1;
	return unpack_layer(job->blob_fd, compression, &job->layer->diff_id, lower_fd,
			    &unpack_default_limits, tree, e);
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

static int unpack_prepare(void *ctx, struct err *e)
{
	const struct unpack_job *job = ctx;
	return roots_mount_lowers(&job->lowers, e);
}

static int unpack_work(void *ctx, struct buf *reply, struct err *e)
{
	(void)reply;
	const struct unpack_job *job = ctx;
	AUTO_CLOSE int roots = -1;
	AUTO_CLOSE int work = -1;
	AUTO_CLOSE int lower = -1;
	if (path_open_dir(AT_FDCWD, "/roots", &roots, e) < 0 ||
	    path_make_dir(roots, job->work, 0700, &work, e) < 0 ||
	    roots_open_lowers(&job->lowers, &lower, e) < 0)
		return -1;
	if (unpack_into(job, lower, work, e) < 0)
		return -1;
	/* The name must never stand for a tree whose files a power cut could still empty. */
	if (syncfs(work) < 0)
		return err_sys(e, "cannot flush the unpacked layer");
	if (renameat(work, "tree", roots, job->tree) < 0 && errno != EEXIST &&
	    errno != ENOTEMPTY)
		return err_sys(e, "cannot name the unpacked layer '%s'", job->tree);
	return path_remove_tree(roots, job->work, e);
}

static int unpack_one(struct build_context *c, const struct result_layer_vec *layers, size_t i,
		      const char *tree, struct err *e)
{
	const struct result_layer *layer = &layers->items[i];
	AUTO_CLOSE int blob = -1;
	if (store_blob_open_checked(&c->store, &layer->blob.digest, &blob, NULL, e) < 0)
		return -1;
	char work[ROOTS_NAME_MAX];
	roots_work_name(c, work);
	struct result_layer_vec beneath = {.items = layers->items, .len = i};
	AUTO(strvec) lowers = {0};
	roots_lower_names(&beneath, &lowers);
	struct unpack_job job = {
		.layer = layer, .lowers = lowers, .work = work, .tree = tree, .blob_fd = blob};
	const struct roots_worker worker = {.c = c,
					    .role = POLICY_UNPACKER,
					    .prepare = unpack_prepare,
					    .run = unpack_work,
					    .ctx = &job,
					    .keep_fd = blob};
	log_debug("unpacking layer %s", tree);
	return roots_worker_run(&worker, NULL, e);
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

/* A tree only says that some blob unpacks to this diff_id. Whether this one does is another
 * matter, and this one is what is handed on. */
static int ensure_one(struct build_context *c, const struct result_layer_vec *layers, size_t i,
		      struct err *e)
{
	char tree[ROOTS_NAME_MAX], proof[PROOF_NAME_MAX];
	bool proof_needed = false;
	struct stat st;
	roots_tree_name(&layers->items[i].chain_id, tree);
	if (proof_name(&layers->items[i], proof, &proof_needed, e) < 0)
		return -1;
	bool is_there = fstatat(c->roots_fd, tree, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!is_there && errno != ENOENT)
		return err_sys(e, "cannot stat '%s/%s'", c->dirs.roots, tree);
	if (is_there &&
	    (!proof_needed || fstatat(c->cache_fd, proof, &st, AT_SYMLINK_NOFOLLOW) == 0))
		return 0;
	if (unpack_one(c, layers, i, tree, e) < 0)
		return -1;
	if (!proof_needed)
		return 0;
	AUTO_CLOSE int fd =
		openat(c->cache_fd, proof, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(e, "cannot make '%s/cache/%s'", c->dirs.state, proof) : 0;
}

int roots_ensure(struct build_context *c, const struct result_layer_vec *layers, struct err *e)
{
	if (layers->len > LIMIT_LAYERS - 2) /* upper and skeleton count too */
		return err_set(e, ERR_INPUT, "build/too-many-layers",
			       "image has %zu layers, the kernel's limit is %d", layers->len,
			       LIMIT_LAYERS - 2);
	for (size_t i = 0; i < layers->len; i++)
		if (ensure_one(c, layers, i, e) < 0)
			return -1;
	return 0;
}
