/* Listing files of foreign layers and of cached trees, in workers. */
#ifndef VERIFY_LISTER_H
#define VERIFY_LISTER_H

#include "build/context.h"
#include "image/tree.h"
#include "verify/compare.h"

/* Reads a layer blob; also gives the digest of its decompressed bytes. */
int lister_read_layer(const struct build_context *c, int blob_fd,
		      enum layer_compression compression, struct tree *ret,
		      struct digest *ret_diff_id, struct err *e) WARN_UNUSED;

/* Two blobs of one layer, and how each is compressed. */
struct lister_pair {
	int fds[2];
	enum layer_compression compressions[2];
};

/* Looks into the files that `findings`, from `first` on, say differ in content, and replaces
 * the causes that it can tell (verify/cause.h). What cannot be read stays unexplained. */
void lister_explain(const struct build_context *c, const struct lister_pair *pair,
		    struct finding_vec *findings, size_t first);

/* Compares the trees that two roots directories have in common, adding a "damaged" finding for
 * each path of `cached` that is not as in `fresh`. */
int lister_compare_roots(const struct build_context *c, int cached_fd, int fresh_fd,
			 struct finding_vec *ret, struct err *e) WARN_UNUSED;

#endif
