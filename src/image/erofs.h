/*
 * The metadata of an erofs image: superblock, inodes, directories, extended attributes, and the
 * data of files that are stored as they are. Read strictly, since images come from strangers:
 * every offset is checked against the file, every number against a limit. Compressed data is
 * left to fsck.erofs. Format: Documentation/filesystems/erofs.rst of the kernel, "On-disk
 * details".
 */
#ifndef IMAGE_EROFS_H
#define IMAGE_EROFS_H

#include <stdbool.h>
#include <stdint.h>

#include "image/file_xattrs.h"
#include "util/vec.h"

struct erofs {
	int fd; /* borrowed */
	uint64_t size_bytes;
	unsigned block_bits;
	uint64_t root_nid;
	uint64_t meta_offset, xattr_offset;
	uint64_t build_time_s;
	uint32_t compat;
};

enum erofs_layout { EROFS_PLAIN, EROFS_INLINE, EROFS_COMPRESSED };

struct erofs_inode {
	uint64_t nid;
	uint32_t mode; /* type and permissions, as stat has them */
	uint64_t uid, gid, size;
	int64_t mtime_s;
	uint32_t nlink;
	uint32_t rdev; /* of devices, in the kernel's new encoding */
	enum erofs_layout layout;
	uint64_t data_offset;		  /* of what is not inline */
	uint64_t xattr_offset, xattr_len; /* of the inline area; len 0: none */
	uint64_t end_offset;		  /* where inline data begins */
};

struct erofs_dirent {
	char *name;
	uint64_t nid;
};
struct erofs_dirents VEC_OF(struct erofs_dirent);
void erofs_dirents_cleanup(struct erofs_dirents *d);

/* ERR_INPUT "image/erofs" for whatever is not as the format says, or of a kind not known here;
 * `what` of all messages is "erofs image". */
int erofs_open(int fd, struct erofs *ret, struct err *e) WARN_UNUSED;
int erofs_inode_read(const struct erofs *fs, uint64_t nid, struct erofs_inode *ret,
		     struct err *e) WARN_UNUSED;
/* A directory's entries but "." and "..", in byte order of name. */
int erofs_dir_read(const struct erofs *fs, const struct erofs_inode *dir,
		   struct erofs_dirents *ret, struct err *e) WARN_UNUSED;
/* All attributes, sorted by name, as they are: none is dropped or judged. */
int erofs_xattrs_read(const struct erofs *fs, const struct erofs_inode *inode,
		      struct file_xattrs *ret, struct err *e) WARN_UNUSED;
/* Part of the data of an inode that is not COMPRESSED. */
int erofs_data_read(const struct erofs *fs, const struct erofs_inode *inode, uint64_t offset,
		    void *to, size_t len, struct err *e) WARN_UNUSED;

/* Every entry of the tree, a directory before what is in it, the root first with path "".
 * Directories that are reached twice and trees over the limits of unpacking are refused. */
struct erofs_visitor {
	int (*visit)(void *ctx, const struct erofs *fs, const char *path,
		     const struct erofs_inode *inode, struct err *e);
	void *ctx;
};
int erofs_walk(const struct erofs *fs, const struct erofs_visitor *v,
	       struct err *e) WARN_UNUSED;

/* Puts the attributes of every inode of an image that mkfs.erofs has just made into order of
 * name: it leaves them in the order in which the file system beneath lists them, which differs
 * between file systems. `fd` is open for reading and writing. */
int erofs_sort_xattrs(int fd, struct err *e) WARN_UNUSED;

#endif
