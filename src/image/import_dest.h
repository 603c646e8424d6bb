/* What import.c and import_root.c share: where an import goes, and how its errors are named. */
#ifndef IMAGE_IMPORT_DEST_H
#define IMAGE_IMPORT_DEST_H

#include <stdbool.h>

#include "image/import.h"
#include "image/place.h"
#include "util/err.h"

/* Applies the destination table: the path, clean and relative to the root, at which the top of
 * the import is put; "" for the root itself. */
int import_dest_path(const struct import_options *options, bool is_dir, int root_fd, char **ret,
		     struct err *e) WARN_UNUSED;
/* `dest` with `path` below it. */
char *import_dest_join(const char *dest, const char *path);
/* A directory of the import. What exists already keeps its attributes. */
int import_place_dir(struct place *p, const char *path, const struct place_attrs *attrs,
		     struct err *e) WARN_UNUSED;
/* The writer's refusals are about archives; to the user this is an import. */
int import_recode(struct err *e);

#endif
