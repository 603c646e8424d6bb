/* The files of a layout below blobs/, and opening without surprises. Internal to the module. */
#ifndef IMAGE_LAYOUT_BLOB_H
#define IMAGE_LAYOUT_BLOB_H

#include <stdbool.h>

#include "image/layout.h"

/* Opens a regular file for reading, following no link; *ret_exists false if there is none.
 * ERR_INPUT "layout/not-regular": a link, fifo or whatever else stands in its place. */
int layout_file_open(int dir_fd, const char *path, const char *shown, int *ret_fd,
		     bool *ret_exists, struct err *e) WARN_UNUSED;
/* Makes blobs/sha256 and removes what a killed writer left there. */
int layout_blobs_prepare(const struct layout *l, struct err *e) WARN_UNUSED;

#endif
