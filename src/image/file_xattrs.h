/*
 * Extended attributes of an open file as a layer keeps them: sorted by name, only those that
 * entry_xattr_rule() keeps, file capabilities in the form that does not name a user namespace.
 * So root and rootless builds, and any two hosts, see the same list.
 */
#ifndef IMAGE_FILE_XATTRS_H
#define IMAGE_FILE_XATTRS_H

#include <stdbool.h>

#include "image/tar_write.h"
#include "util/err.h"
#include "util/vec.h"

struct file_xattrs {
	struct tar_xattr *items; /* names and values are owned */
	size_t len, cap;
	bool is_whiteout; /* carries overlay.whiteout, of an unprivileged overlay (user.) or not
			   */
	bool is_opaque;	  /* overlay.opaque is "y" */
};
void file_xattrs_cleanup(struct file_xattrs *x);

/* `fd` is a regular file or a directory, open for reading; Linux allows user.* on no other
 * type, so layers carry attributes of no other. `path` is for errors. ERR_INPUT
 * "layer/overlay-feature": the entry depends on redirect_dir or metacopy, its content is
 * elsewhere. */
int file_xattrs_read(int fd, const char *path, struct file_xattrs *ret,
		     struct err *e) WARN_UNUSED;
bool file_xattrs_equal(const struct file_xattrs *a, const struct file_xattrs *b);

#endif
