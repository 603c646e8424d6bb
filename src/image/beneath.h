/*
 * What the layers beneath a tree show, read from their trees as overlayfs would merge them: a
 * directory has the attributes of the topmost tree that has it, until a whiteout, an opaque
 * directory or anything else that is no directory hides what is further down.
 */
#ifndef IMAGE_BENEATH_H
#define IMAGE_BENEATH_H

#include <stddef.h>

#include "util/err.h"
#include "util/vec.h"

struct beneath {
	const int *root_fds; /* borrowed; topmost first */
	size_t len;
};

/* The directory `path` (clean, relative; "": the root). *ret_fd -1: there is none. */
int beneath_open_dir(const struct beneath *b, const char *path, int *ret_fd,
		     struct err *e) WARN_UNUSED;
/* Appends the names in the merged root. */
int beneath_root_names(const struct beneath *b, struct strvec *ret, struct err *e) WARN_UNUSED;

#endif
