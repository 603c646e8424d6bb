/*
 * Writes untrusted entries into a directory tree. Everything goes by directory fd: a name is
 * split into its parent, which the kernel resolves below the root (openat2), and one component,
 * which is created exclusively and never followed. Attributes are set through the fd of what
 * was just made; times of directories at the very end, on directories opened anew the same way.
 *
 * Two ways of reaching a parent. A layer's tree (`follow` false): no symlink at all, so an
 * entry below a link of the same layer is refused (SEC UN02). A root file system (`follow`
 * true): links are followed as if the root were "/", so that /lib -> usr/lib works and nothing
 * leads out.
 */
#ifndef IMAGE_PLACE_H
#define IMAGE_PLACE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "image/beneath.h"
#include "image/file_xattrs.h"
#include "util/map.h"
#include "util/vec.h"

struct place_attrs {
	uint32_t mode;
	uint64_t uid, gid;
	int64_t mtime_s;		  /* what is set; clamping is the caller's */
	const struct file_xattrs *xattrs; /* or NULL */
};

/* A directory of which something is to be set at the end. */
struct place_dir {
	const char *path; /* a key of `dir_index` */
	enum {
		PLACE_DIR_FOUND,   /* `mtime` is what it had before we wrote into it */
		PLACE_DIR_IMPLIED, /* no entry describes it: attributes and time as beneath */
		PLACE_DIR_GIVEN,   /* `mtime` is from its entry */
	} kind;
	struct timespec mtime;
};
struct place_dirs VEC_OF(struct place_dir);

struct place_options {
	const char *what; /* the archive, for errors */
	int root_fd;	  /* borrowed */
	bool follow;
	int64_t parent_mtime_s; /* of unmentioned parents that nothing else says anything of */
};

struct place {
	struct place_options options;
	struct map seen;      /* path -> kind of what this archive put there */
	struct map parents;   /* directories that something was put into, at any depth */
	struct map dir_index; /* path -> index in `dirs`, plus 1 */
	struct place_dirs dirs;
	uint64_t parent_bytes; /* of the names in `parents` */
	char *parent_path;     /* the directory that was last written into, kept open */
	int parent_fd;
};

void place_init(struct place *p, const struct place_options *options);
void place_cleanup(struct place *p);

/* Paths are clean and relative to the root (image/entry.h). Missing parents are made. Errors:
 * ERR_INPUT "unpack/link-in-path", "unpack/type-flip", "unpack/directory-in-the-way",
 * "unpack/hardlink", "unpack/xattr". */

enum place_existing { PLACE_KEEP_ATTRS, PLACE_SET_ATTRS };
/* An existing directory stays, its attributes as `existing` says; so does, where links are
 * followed, a link to a directory, with its attributes, also one that this archive has put
 * there: archives of merged /usr have both. */
int place_dir(struct place *p, const char *path, const struct place_attrs *attrs,
	      enum place_existing existing, struct err *e) WARN_UNUSED;
/* A new empty file, open for reading and writing; what was there is unlinked, never opened. */
int place_file_begin(struct place *p, const char *path, int *ret_fd, struct err *e) WARN_UNUSED;
/* Sets attributes and closes *fd, checked. */
int place_file_end(struct place *p, const char *path, const struct place_attrs *attrs, int *fd,
		   struct err *e) WARN_UNUSED;
int place_symlink(struct place *p, const char *path, const char *target,
		  const struct place_attrs *attrs, struct err *e) WARN_UNUSED;
/* `target` must be a regular file that this archive has put there. */
int place_hardlink(struct place *p, const char *path, const char *target,
		   struct err *e) WARN_UNUSED;
int place_fifo(struct place *p, const char *path, const struct place_attrs *attrs,
	       struct err *e) WARN_UNUSED;

/* Overlay form, for layers: hides `path` of the layers beneath. If this layer has a directory
 * of that name it becomes opaque, anything else hides it by being there. After all entries. */
int place_whiteout(struct place *p, const char *path, struct err *e) WARN_UNUSED;
int place_opaque(struct place *p, const char *path, struct err *e) WARN_UNUSED;
/* Directly, for root file systems: removes what is at `path` (or below it, if `below`), except
 * what this archive put there (SEC UN09). */
int place_remove_lower(struct place *p, const char *path, bool below,
		       struct err *e) WARN_UNUSED;

/* No entry gives the root's own attributes. */
void place_default_root(struct place *p);
int place_root(struct place *p, const struct place_attrs *attrs, struct err *e) WARN_UNUSED;
/* Sets the times of directories, and the attributes of those that no entry describes: as in
 * `beneath`, or 0755 root:root. Nothing may be written afterwards. */
int place_finish(struct place *p, const struct beneath *beneath, struct err *e) WARN_UNUSED;

#endif
