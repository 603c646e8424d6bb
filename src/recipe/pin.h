/*
 * What the sources of a stackerfile are pinned to: the hash beside a URL, or that of a lock. A
 * URL without either is an error, and so is a URL whose hash in the stackerfile and in the lock
 * went different ways, since then one of two things that belong together was changed alone.
 */
#ifndef RECIPE_PIN_H
#define RECIPE_PIN_H

#include "recipe/lockfile.h"
#include "recipe/stackerfile.h"

/* One URL of an image that needs a pin; the pointers lead into the image. */
struct pin_site {
	const char *url;
	struct digest *hash; /* alg NONE: not pinned yet */
	int64_t *size;	     /* -1: not known */
	struct pos pos;
};
/* The sites of an image in the order of the file; false past the last. */
bool pin_site(struct recipe_image *image, size_t index, struct pin_site *ret);

struct pin_locks {
	const struct lockfile *own;	 /* beside the stackerfile; or NULL */
	const struct lockfile *fallback; /* of the stackerfile that led to this one; or NULL */
	/* The keys are the URLs of everything that `own` and `fallback` may be about. */
	const struct map *used;
};
/* ERR_RECIPE, at the site: "recipe/unpinned", "lock/hash-changed", "lock/url-changed". */
int pin_settle(const struct pin_site *site, const struct pin_locks *locks,
	       struct err *e) WARN_UNUSED;
/* All sites of all images. */
int pin_settle_all(struct stackerfile *s, const struct pin_locks *locks,
		   struct err *e) WARN_UNUSED;
/* Adds the URLs of all sites to the keys of `used`. */
void pin_add_used(struct stackerfile *s, struct map *used);

#endif
