/* Looking ahead, see image/tar_read.h. Internal to the module. */
#ifndef IMAGE_TAR_AHEAD_INTERNAL_H
#define IMAGE_TAR_AHEAD_INTERNAL_H

#include <stdbool.h>

#include "image/tar_read.h"

/* Many entries were read, or entries and names that took hardly any input. */
bool tar_ahead_is_time(const struct tar_reader *r);
/* Reads all of the archive from its beginning, for the limits' sake; once a reader. */
int tar_ahead_look(struct tar_reader *r, struct err *e) WARN_UNUSED;

#endif
