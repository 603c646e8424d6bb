/*
 * Layer trees in roots/ and the workers that touch them. A tree is named by the chain id of its
 * layer, because directories that a layer does not mention take their attributes from the
 * layers beneath; it always comes from unpacking the layer's blob, so that a cached build and a
 * fresh one see the same files. Trees are immutable once renamed into place.
 */
#ifndef BUILD_ROOTS_H
#define BUILD_ROOTS_H

#include "build/result.h"
#include "sandbox/policy.h"

enum { ROOTS_NAME_MAX = 80 };

/* "sha256_<hex of the chain id>". */
void roots_tree_name(const struct digest *chain_id, char out[ROOTS_NAME_MAX]);
/* Names of the trees of `layers`, topmost first, as overlay wants them; freed with strvec. */
void roots_lower_names(const struct result_layer_vec *layers, struct strvec *ret);
/* Unpacks every layer that has no tree yet, several at a time. */
int roots_ensure(struct build_context *c, const struct result_layer_vec *layers,
		 struct err *e) WARN_UNUSED;
/* A new number for a directory ".work/N" of this run; the worker that uses it creates it. */
void roots_work_name(struct build_context *c, char out[ROOTS_NAME_MAX]);

/* The binds a worker of build/ gets: the trees at /roots, the store's blobs at /blobs. A packer
 * only reads, and only trees. */
struct roots_worker {
	const struct build_context *c;
	enum policy_role role;
	int (*prepare)(void *ctx, struct err *e); /* as in sandbox/worker.h; may be NULL */
	int (*run)(void *ctx, struct buf *reply, struct err *e);
	void *ctx;
	const int *keep_fds; /* stay open in the worker */
	size_t keep_fds_len;
};
/* In `prepare` and then in `run`: the union of the trees `lowers` as a read-only view. Without
 * lowers there is none, and *ret_fd is left as it is. */
int roots_mount_lowers(const struct strvec *lowers, struct err *e) WARN_UNUSED;
int roots_open_lowers(const struct strvec *lowers, int *ret_fd, struct err *e) WARN_UNUSED;
int roots_worker_run(const struct roots_worker *w, struct buf *reply,
		     struct err *e) WARN_UNUSED;

#endif
