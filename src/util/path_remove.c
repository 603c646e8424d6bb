/*
 * Removing a tree that something hostile may have made and may still be changing. Every step
 * starts from a held fd; entering a directory goes through openat2, so that neither a symlink
 * nor a mount (a bind mount of the same file system included) is crossed. Depth is on the heap,
 * and only the innermost directories stay open: a step can nest far deeper than fds or stack
 * allow.
 */
#include "util/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

#include "util/mem.h"
#include "util/vec.h"

enum {
	OPEN_LEVELS = 64, /* directories held open at a time */
	PASSES_MAX = 16,  /* over one directory that something keeps filling */
};

struct level {
	char *name; /* in the level above */
	DIR *dir;   /* NULL while its fd is given up */
	dev_t dev;
	ino_t ino;
	unsigned passes;
};

struct levels VEC_OF(struct level);

static void level_close(struct level *l)
{
	if (l->dir)
		closedir(l->dir);
	l->dir = NULL;
}

static void levels_cleanup(struct levels *v)
{
	for (size_t i = 0; i < v->len; i++) {
		level_close(&v->items[i]);
		mem_free_cleanup(&v->items[i].name);
	}
	vec_free(v);
}

static int open_child(int dir_fd, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	long fd;

	do {
		fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
	} while (fd < 0 && errno == EINTR);
	if (fd >= 0 || errno != EACCES)
		return (int)fd;
	/* Directories without permissions are common in images; their owner may open them up.
	 */
	if (fchmodat(dir_fd, name, 0700, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	return (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
}

/* Enters `name` below `dir_fd` as the innermost level. */
static int enter(struct levels *v, int dir_fd, const char *name)
{
	AUTO_CLOSE int fd = open_child(dir_fd, name);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	/* Entries can only be removed from a directory with write and search permission. */
	if ((st.st_mode & 0700) != 0700 && st.st_uid == geteuid() && fchmod(fd, 0700) < 0)
		return -1;
	DIR *dir = fdopendir(fd);
	if (!dir)
		return -1;
	TAKE_FD(fd);
	struct level l = {mem_strdup(name), dir, st.st_dev, st.st_ino, 0};
	vec_push(v, l);
	if (v->len > OPEN_LEVELS)
		level_close(&v->items[v->len - 1 - OPEN_LEVELS]);
	return 0;
}

/* Opens a level again whose fd was given up, from the one below it. */
static int reopen_parent(struct level *parent, const struct level *child)
{
	AUTO_CLOSE int fd = openat(dirfd(child->dir), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	/* Somebody moved the child: what lies above it now is not ours to empty. */
	if (st.st_dev != parent->dev || st.st_ino != parent->ino) {
		errno = ESTALE;
		return -1;
	}
	parent->dir = fdopendir(fd);
	if (!parent->dir)
		return -1;
	TAKE_FD(fd);
	return 0;
}

/* 0: removed or gone. 1: a directory that is not empty. */
static int unlink_entry(int dir_fd, const char *name)
{
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return -1;
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return errno == ENOTEMPTY || errno == EEXIST ? 1 : -1;
}

/* Removes entries of `l` until all are gone (0) or one has to be entered first (1). */
static int empty(struct level *l, const char **ret_name)
{
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(l->dir);

		if (!entry)
			return errno != 0 ? -1 : 0;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		*ret_name = entry->d_name;
		int left = unlink_entry(dirfd(l->dir), entry->d_name);
		if (left != 0)
			return left;
	}
}

/* The innermost level has been read to its end: removes it from the one above. */
static int leave(struct levels *v, int top_fd)
{
	struct level *l = &v->items[v->len - 1];
	struct level *parent = v->len > 1 ? l - 1 : NULL;

	if (parent && !parent->dir && reopen_parent(parent, l) < 0)
		return -1;
	if (unlinkat(parent ? dirfd(parent->dir) : top_fd, l->name, AT_REMOVEDIR) < 0 &&
	    errno != ENOENT) {
		/* Entries added or skipped while we read it: once more, but not for ever. */
		if ((errno != ENOTEMPTY && errno != EEXIST) || ++l->passes >= PASSES_MAX)
			return -1;
		rewinddir(l->dir);
		return 0;
	}
	level_close(l);
	mem_free_cleanup(&l->name);
	v->len--;
	return 0;
}

int path_remove_tree(int dir_fd, const char *name, struct err *e)
{
	AUTO(levels) v = {0};
	int left = unlink_entry(dir_fd, name);

	if (left == 0)
		return 0;
	if (left < 0 || enter(&v, dir_fd, name) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot remove '%s'", name);
	while (v.len > 0) {
		struct level *l = &v.items[v.len - 1];
		const char *child = NULL;

		left = empty(l, &child);
		/* ENOENT and ENOTDIR: it was swapped since; the next pass sees what is there
		 * now. */
		if (left > 0 && enter(&v, dirfd(l->dir), child) < 0 && errno != ENOENT &&
		    errno != ENOTDIR && errno != ELOOP)
			left = -1;
		if (left == 0)
			left = leave(&v, dir_fd);
		if (left < 0)
			return err_sys(e, "cannot remove '%s/%s'", name,
				       child ? child : l->name);
	}
	return 0;
}
