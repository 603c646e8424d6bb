/* The names in a directory, in byte order, so that readdir's order reaches nothing. */
#ifndef IMAGE_DIR_NAMES_H
#define IMAGE_DIR_NAMES_H

#include "util/err.h"
#include "util/vec.h"

/* Appends to `ret`, without "." and ".."; `dir_fd` keeps its offset. `path` is for errors. */
int dir_names(int dir_fd, const char *path, struct strvec *ret, struct err *e) WARN_UNUSED;

#endif
