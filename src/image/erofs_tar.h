/*
 * An erofs image as a tar stream in overlay form (image/unpack.h, unpack_overlay_tar). Names,
 * attributes and plain data come from the image; compressed data from what fsck.erofs has
 * extracted of it, which knows neither extended attributes nor hard links. Runs inside a worker.
 */
#ifndef IMAGE_EROFS_TAR_H
#define IMAGE_EROFS_TAR_H

#include "util/err.h"

/* `files_fd`: the directory with the extracted files. `out_fd` receives the stream. ERR_INPUT
 * "image/erofs". */
int erofs_to_tar(int image_fd, int files_fd, int out_fd, struct err *e) WARN_UNUSED;

#endif
