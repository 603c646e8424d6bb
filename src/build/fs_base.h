/*
 * Base layers that are file system images, made into tar layers: what else is built on them, and
 * what is published as tar, knows tar alone. The image itself is kept, to be published unchanged
 * where layers of its type are asked for.
 */
#ifndef BUILD_FS_BASE_H
#define BUILD_FS_BASE_H

#include "build/result.h"

/* `image`, in the store, lies on the layers `beneath`. The tar holds what it changes of what is
 * seen beneath; uncompressed, so its digest is its diff_id. ERR_INPUT "image/fs-layer" and those
 * of unpacking, if the image is damaged or holds what no layer may. */
int fs_base_convert(struct build_context *c, const struct descriptor *image,
		    const struct result_layer_vec *beneath, struct result_layer *ret,
		    struct err *e) WARN_UNUSED;

#endif
