/*
 * Pins put into the text of a stackerfile: the hash beside each URL that has none, the digest
 * behind each image tag. Everything else, comments and layout included, stays as it is.
 */
#ifndef RECIPE_PIN_WRITE_H
#define RECIPE_PIN_WRITE_H

#include "recipe/lockfile.h"

/* `out` gets the whole new text, *ret_written the number of pins put in. What the lock has no
 * pin for stays as it is. ERR_RECIPE "lock/cannot-write", at its place: a URL that does not
 * stand in the text as it is meant (escapes, substitution). */
int pin_write(const char *text, size_t len, const char *file, const struct lockfile *lock,
	      struct buf *out, size_t *ret_written, struct err *e) WARN_UNUSED;

#endif
