/*
 * Paths below a directory fd. Every open in this program starts from an fd that we hold and, for
 * paths that anyone else controls, goes through openat2 so that no symlink leads out.
 * All fds are O_CLOEXEC. `dir_fd` is borrowed everywhere.
 */
#ifndef UTIL_PATH_H
#define UTIL_PATH_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "util/buf.h"
#include "util/err.h"

/* Opens `path` below `dir_fd` following no symlink at all (RESOLVE_BENEATH|NO_SYMLINKS). */
int path_open_beneath(int dir_fd, const char *path, int flags, mode_t mode, int *ret_fd,
		      struct err *e) WARN_UNUSED;
/* Opens as if `dir_fd` were "/": symlinks are followed inside it (RESOLVE_IN_ROOT|NO_MAGICLINKS). */
int path_open_in_root(int dir_fd, const char *path, int flags, mode_t mode, int *ret_fd,
		      struct err *e) WARN_UNUSED;
/* A directory the user named (absolute or relative to `dir_fd`); ordinary lookup. */
int path_open_dir(int dir_fd, const char *path, int *ret_fd, struct err *e) WARN_UNUSED;
/* Makes the directory `path` (and parents) as `mode`, ordinary lookup, and opens it. */
int path_make_dir(int dir_fd, const char *path, mode_t mode, int *ret_fd,
		  struct err *e) WARN_UNUSED;
/* Opens a private state directory, made 0700 if absent; refuses a symlink, another owner, or one
 * that group or others can write (ERR_POLICY "store/unsafe-dir"). */
int path_make_private_dir(int dir_fd, const char *path, int *ret_fd, struct err *e) WARN_UNUSED;
/* Removes `name` (relative) and everything below it, however deep, never following a link nor
 * crossing a mount. Absent: 0. */
int path_remove_tree(int dir_fd, const char *name, struct err *e) WARN_UNUSED;
/* Reads a whole regular file; over `b->max_bytes` is ERR_INPUT "input/too-big". */
int path_read_file(int dir_fd, const char *path, struct buf *b, struct err *e) WARN_UNUSED;
/* Reads from the current offset of `fd` to the end; `name` is for errors. */
int path_read_fd(int fd, const char *name, struct buf *b, struct err *e) WARN_UNUSED;
/* Writes all of it; `name` is for errors. */
int path_write_all(int fd, const void *bytes, size_t len, const char *name,
		   struct err *e) WARN_UNUSED;
/* Copies `len` bytes at `*from_offset` semantics of copy_file_range, reflink where possible,
 * from offset 0 to the end of `from`. */
int path_copy_fd(int from, int to, const char *name, struct err *e) WARN_UNUSED;

/* Lexical: "/a//b/./c/" -> "/a/b/c"; ".." is kept. The caller frees. */
char *path_clean(const char *path);
/* Last component without trailing slashes; "" for "/" and "". Borrowed slice copied out; free it. */
char *path_base(const char *path);
char *path_join(const char *dir, const char *path); /* absolute `path` wins; caller frees */
/* True if any component is "..". */
bool path_has_dotdot(const char *path);

#endif
