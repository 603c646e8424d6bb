/*
 * Mounting by file descriptor. A mount is made detached, filled, attached to a directory that
 * was checked and is held open: no path that a hostile tree controls is looked up twice.
 */
#ifndef SANDBOX_MOUNT_INTERNAL_H
#define SANDBOX_MOUNT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/types.h>

#include "util/err.h"

/* One of the caller's directories, carried over into another mount namespace. */
struct mount_source {
	int tree_fd; /* detached copy of the mount; -1: to be made in the child */
	char *path;
	dev_t dev;
	ino_t ino;
};
#define MOUNT_SOURCE_INIT                                                                      \
	{                                                                                      \
		.tree_fd = -1                                                                  \
	}
void mount_source_cleanup(struct mount_source *s);

/* In the parent. */
int mount_source_prepare(int dir_fd, struct mount_source *ret, struct err *e) WARN_UNUSED;
/* In the child, while it still has the ids of the parent. */
int mount_source_open(struct mount_source *s, struct err *e) WARN_UNUSED;

struct mount_option {
	const char *key;
	const char *value; /* NULL: a flag */
};
/* A detached mount of `type`; `attributes` are MOUNT_ATTR_*. */
int mount_create(const char *type, const struct mount_option *options, size_t options_len,
		 uint64_t attributes, int *ret_fd, struct err *e) WARN_UNUSED;
/* An empty tmpfs for so many bytes, and for so many files as they have pages. */
int mount_tmpfs(uint64_t size_bytes, const char *mode, uint64_t attributes, int *ret_fd,
		struct err *e) WARN_UNUSED;
/* Puts a detached mount onto what `target_fd` holds; `name` is for errors. */
int mount_attach(int mount_fd, int target_fd, const char *name, struct err *e) WARN_UNUSED;
/* Adds attributes to a mount and all below it, for good as far as the step is concerned. */
int mount_restrict(int mount_fd, uint64_t attributes, const char *name,
		   struct err *e) WARN_UNUSED;
/* A tmpfs attached where every host has a directory; becomes the working directory. */
int mount_scratch(uint64_t size_bytes, struct err *e) WARN_UNUSED;
/* Makes the working directory, a mount, the root, and forgets the old one with all below it. */
int mount_switch_root(struct err *e) WARN_UNUSED;

/*
 * An overlay by short names: the option string must fit one page, and it shows in mountinfo. A
 * directory of symbolic links "0", "1" ... is made for the time of the mount, in the working
 * directory; the kernel resolves them once.
 */
struct mount_overlay {
	const char *prefix; /* put before each name below, as seen from beside the links */
	const char *const *lowers; /* topmost first */
	size_t lowers_len;
	const char *bottom; /* full link target of one more lower below all, or NULL */
	const char *upper;  /* NULL: read-only */
	const char *work;
	const char *target; /* as seen from beside the links */
	bool is_volatile;   /* no syncing: a crash loses the upper directory anyway */
};
int mount_overlay(const struct mount_overlay *o, struct err *e) WARN_UNUSED;

#endif
