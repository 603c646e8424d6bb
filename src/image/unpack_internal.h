/*
 * Unpacking one layer in two parts: what its blob alone decides, which layers of one image may
 * do side by side, and what depends on the layers beneath, in the order of the layers.
 */
#ifndef IMAGE_UNPACK_INTERNAL_H
#define IMAGE_UNPACK_INTERNAL_H

#include <stdbool.h>

#include "image/beneath.h"
#include "image/layer_read.h"
#include "image/place.h"
#include "image/unpack.h"
#include "util/vec.h"

/* Called once, before a layer takes more than its share of memory. False: nobody wants the layer
 * any more, which is then no error of its own. */
struct unpack_turn {
	bool (*wait)(const struct unpack_turn *turn);
};

/* Never copied, since the reader points into itself. */
struct unpacking {
	const struct unpack_turn *turn; /* NULL: there are no others */
	struct layer_reader reader;
	struct place place;
	struct strvec removed, opaque;
	bool has_root, root_is_opaque;
	char *what; /* the layer, for errors */
};
#define UNPACKING_INIT(t)                                                                      \
	{                                                                                      \
		.turn = (t), .place = {.parent_fd = -1 }                                       \
	}
void unpacking_cleanup(struct unpacking *u);

/* All entries; the digest is checked. The tree of `layer` is in use until unpack_end. */
int unpack_begin(struct unpacking *u, const struct unpack_layer *layer,
		 const struct unpack_limits *limits, struct err *e) WARN_UNUSED;
/* Whiteouts, directories that the layer does not mention, times. */
int unpack_end(struct unpacking *u, const struct beneath *beneath, struct err *e) WARN_UNUSED;

#endif
