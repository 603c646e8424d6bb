/* Copying out of an image: a worker reads it as root of its ids sees it, the caller's process
 * writes what came back as files of the caller. */
#ifndef BUILD_GRAB_H
#define BUILD_GRAB_H

#include "build/result.h"

/* The trees of `layers` are in place. What `path` names, links followed inside the image, appears
 * in the working directory under the last component of `path`, or nothing does. A directory must
 * not be there yet. ERR_INPUT "grab/bad-path", "grab/not-there", "grab/not-a-file",
 * "grab/exists". */
int grab_path(struct build_context *c, const struct result_layer_vec *layers, const char *path,
	      struct err *e) WARN_UNUSED;

#endif
