/*
 * The forms in which an image's layers are published. Every image is made of tar layers; those
 * of type squashfs and erofs are conversions of it, layer by layer (docs/layer-types.md).
 */
#ifndef BUILD_LAYER_TYPE_H
#define BUILD_LAYER_TYPE_H

#include <stdbool.h>
#include <stddef.h>

#include "image/manifest.h"

enum layer_type { LAYER_TYPE_TAR, LAYER_TYPE_SQUASHFS, LAYER_TYPE_EROFS };
enum { LAYER_TYPES = 3 };

/* What --layer-type and --no-verity say; in order, without repeats. */
struct layer_types {
	enum layer_type items[LAYER_TYPES];
	size_t len;		     /* 0: tar alone */
	bool no_verity[LAYER_TYPES]; /* by type */
};

const char *layer_type_name(enum layer_type type); /* "squashfs" */
/* Adds those named, all with or all without dm-verity. ERR_USAGE "build/layer-type" with the names that exist. */
int layer_types_add(struct layer_types *types, const struct strvec *names, bool no_verity,
		    struct err *e) WARN_UNUSED;
/* "NAME", or "NAME-squashfs"; the caller frees. */
char *layer_type_tag(const char *image, enum layer_type type);
/* Whether a layer of this media type is of that type already. */
bool layer_type_has(enum layer_type type, const char *media_type);

#endif
