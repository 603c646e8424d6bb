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

/* Compares the trees that two roots directories have in common, adding a "damaged" finding for
 * each path of `cached` that is not as in `fresh`. */
int lister_compare_roots(const struct build_context *c, int cached_fd, int fresh_fd,
			 struct finding_vec *ret, struct err *e) WARN_UNUSED;

#endif
