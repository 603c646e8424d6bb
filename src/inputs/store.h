/*
 * The content store: an OCI layout's blobs/<alg>/<hex>. A blob is there whole and right, or not
 * there: written to an unnamed file, fsynced, re-hashed, linked into place. Blobs are 0444 in
 * directories 0755 beneath the 0700 state directory, so that a worker that is handed the
 * directory can read them whatever ids it is mapped to. Any number of processes may share it.
 * Only sha256 and sha512 names exist. A blob pinned by sha512 is also linked by its sha256.
 */
#ifndef INPUTS_STORE_H
#define INPUTS_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/digest.h"

struct store {
	int root_fd;  /* DIR/store */
	int blobs_fd; /* DIR/store/blobs */
};
#define STORE_INIT                                                                             \
	{                                                                                      \
		.root_fd = -1, .blobs_fd = -1                                                  \
	}
void store_cleanup(struct store *s);

/* Opens or creates store/ below the state directory `state_fd` (also writes oci-layout). */
int store_open(int state_fd, struct store *ret, struct err *e) WARN_UNUSED;
bool store_has(const struct store *s, const struct digest *d);
/* As store_has; gives the length found, which like the content is not verified yet. */
bool store_blob_stat(const struct store *s, const struct digest *d, uint64_t *ret_len);
/* Opens read-only; absent is ERR_INPUT "store/absent". Nothing is verified yet. */
int store_blob_open(const struct store *s, const struct digest *d, int *ret_fd,
		    struct err *e) WARN_UNUSED;
/* Opens and hashes all of it; wrong bytes are ERR_MISMATCH "store/damaged" naming the blob. */
int store_blob_open_checked(const struct store *s, const struct digest *d, int *ret_fd,
			    uint64_t *ret_len, struct err *e) WARN_UNUSED;
/* Reads a small blob whole, checked; over b->max_bytes is an error. */
int store_blob_read(const struct store *s, const struct digest *d, struct buf *b,
		    struct err *e) WARN_UNUSED;
/* An unnamed writable file in the store's file system. */
int store_stage_open(const struct store *s, int *ret_fd, struct err *e) WARN_UNUSED;
/* Hashes the staged file (sha256 and, if `expected` is sha512, that too), compares with
 * `expected` (NULL: none) and `expected_len` (-1: none), then links it into place; a damaged
 * blob under that name is replaced. `fd` may be read-only and stays the caller's; nobody may
 * hold it for writing any more. ERR_MISMATCH "store/wrong-hash", "store/wrong-size". */
int store_stage_commit(const struct store *s, int fd, const struct digest *expected,
		       int64_t expected_len, struct digest *ret_sha256, uint64_t *ret_len,
		       struct err *e) WARN_UNUSED;
struct store_staged {
	int fd;		      /* borrowed */
	struct digest digest; /* sha256 */
	uint64_t len;
};
/* As store_stage_commit for many small files, with one wait for the disk instead of two for
 * each. On ERR_MISMATCH *ret_failed is the file that differs; those before it are in the store.
 */
int store_stage_commit_all(const struct store *s, const struct store_staged *files,
			   size_t files_len, size_t *ret_failed, struct err *e) WARN_UNUSED;
int store_put(const struct store *s, const void *bytes, size_t len, struct digest *ret,
	      struct err *e) WARN_UNUSED;
/* Brings a blob from another store unless it is there; hashed on the way. `len` -1: unknown. */
int store_blob_copy(const struct store *from, const struct store *to, const struct digest *d,
		    int64_t len, struct err *e) WARN_UNUSED;
/* Removes a blob found damaged, so that it is fetched or built again. */
int store_blob_discard(const struct store *s, const struct digest *d,
		       struct err *e) WARN_UNUSED;

#endif
