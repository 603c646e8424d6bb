/*
 * Snapshots of the user's own files: every regular file becomes a blob, the tree a canonical
 * JSON document (schema STACKER_BASE_URI "tree/v1") whose sha256 is the tree digest: names,
 * types, modes, link targets and contents; no times, no owners. Files are opened once, beneath
 * the import's directory, following no link but the import's own path, and what is hashed is
 * what is kept (SEC ST01, ST02). Devices, fifos and sockets are refused.
 */
#ifndef INPUTS_LOCAL_H
#define INPUTS_LOCAL_H

#include "inputs/store.h"
#include "util/vec.h"

enum local_type { LOCAL_FILE, LOCAL_DIR, LOCAL_SYMLINK };

struct local_entry {
	char *path; /* relative to the tree, "" for its root; byte order */
	enum local_type type;
	uint32_t mode;	      /* & 07777 */
	struct digest digest; /* FILE: sha256 of the content */
	uint64_t size;	      /* FILE: bytes */
	char *target;	      /* SYMLINK */
};
struct local_tree VEC_OF(struct local_entry);
void local_tree_cleanup(struct local_tree *t);

/* `path` is looked up from `dir_fd` (the stackerfile's directory). With `contents` it must be a
 * directory. `expected` (alg NONE: none) is the pin of a single file: ERR_MISMATCH
 * "import/wrong-hash". Stores all blobs and the document; gives the tree digest. Without a store
 * (NULL) it only gives the digest. */
int local_snapshot(const struct store *store, int dir_fd, const char *path, bool contents,
		   const struct digest *expected, struct digest *ret_tree,
		   struct err *e) WARN_UNUSED;
/* Reads a tree document back (from the store, hash-checked). */
int local_tree_load(const struct store *store, const struct digest *tree,
		    struct local_tree *ret, struct err *e) WARN_UNUSED;
/* Stores the document of a tree whose files are in the store already; it must be complete and in
 * byte order of path. */
int local_tree_keep(const struct store *store, const struct local_tree *t,
		    struct digest *ret_tree, struct err *e) WARN_UNUSED;
/* Makes the files of a tree in `dir_fd`, an empty directory of the caller's that stands for the
 * tree's root. */
int local_tree_make(const struct store *store, const struct local_tree *t, int dir_fd,
		    struct err *e) WARN_UNUSED;

#endif
