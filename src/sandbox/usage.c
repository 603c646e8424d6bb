/*
 * Counts what a layer in the making holds, in memory that does not grow with it. A directory
 * tree may be deeper than file descriptors reach; below LIMIT_TREE_DEPTH, where no layer may go
 * anyway, it is not followed: the packer refuses it by name.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "sandbox/limits.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/str.h"

enum { STAT_BLOCK_BYTES = 512 };

struct count {
	const struct sandbox_limits *limits;
	struct sandbox_usage usage;
	dev_t dev;
	enum sandbox_limit exceeded;
};

static void add(struct count *c, const struct stat *st)
{
	uint64_t links = !S_ISDIR(st->st_mode) && st->st_nlink > 1 ? st->st_nlink : 1;
	c->usage.bytes += (uint64_t)st->st_blocks * STAT_BLOCK_BYTES / links;
	c->usage.files++;
	if (c->limits->disk_bytes > 0 && c->usage.bytes > c->limits->disk_bytes)
		c->exceeded = SANDBOX_LIMIT_DISK;
	else if (c->limits->files > 0 && c->usage.files > c->limits->files)
		c->exceeded = SANDBOX_LIMIT_FILES;
}

static int count_dir(struct count *c, int fd, unsigned depth, struct err *e);

static int enter(struct count *c, int dir_fd, const char *name, unsigned depth, struct err *e)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return 0; /* the step runs on while we count */
	if (fd < 0)
		return err_sys(e, "cannot open a directory of the layer");
	return count_dir(c, fd, depth, e);
}

static int count_entry(struct count *c, int dir_fd, const char *name, unsigned depth,
		       struct err *e)
{
	struct stat st;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot stat a file of the layer");
	add(c, &st);
	if (!S_ISDIR(st.st_mode) || st.st_dev != c->dev || depth == LIMIT_TREE_DEPTH)
		return 0;
	return enter(c, dir_fd, name, depth + 1, e);
}

/* Takes `fd`. */
static int count_dir(struct count *c, int fd, unsigned depth, struct err *e)
{
	int r = 0;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		err_sys(e, "cannot read a directory of the layer");
		close(fd);
		return -1;
	}
	for (const struct dirent *entry;
	     r == 0 && c->exceeded == SANDBOX_LIMIT_NONE && (entry = readdir(dir));)
		if (!str_same(entry->d_name, ".") && !str_same(entry->d_name, ".."))
			r = count_entry(c, fd, entry->d_name, depth, e);
	closedir(dir);
	return r;
}

int sandbox_usage_count(int dir_fd, const struct sandbox_limits *limits,
			struct sandbox_usage *ret, enum sandbox_limit *ret_exceeded,
			struct err *e)
{
	struct count c = {.limits = limits};
	struct stat st;
	if (fstat(dir_fd, &st) < 0)
		return err_sys(e, "cannot stat the layer");
	c.dev = st.st_dev;
	if (enter(&c, dir_fd, ".", 1, e) < 0)
		return -1;
	*ret = c.usage;
	*ret_exceeded = c.exceeded;
	return 0;
}
