/*
 * Opening, making, reading and copying files from a directory fd, and the lexical path helpers.
 * Removing trees is in path_remove.c.
 */
#include "util/path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/fs.h>
#include <linux/openat2.h>

#include "util/mem.h"
#include "util/str.h"

enum {
	COPY_CHUNK = 256 * 1024,
	/* openat2 gives EAGAIN while something is renamed along the way; an attacker who keeps
	 * renaming must not keep us here for ever. */
	OPEN_ATTEMPTS = 64,
};

static int open_resolved(int dir_fd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	/* Unlike openat, openat2 refuses a mode that it will not use. */
	bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
	struct open_how how = {
		.flags = (uint32_t)(flags | O_CLOEXEC),
		.mode = makes ? mode & 07777 : 0,
		.resolve = resolve,
	};
	long fd = -1;

	for (int i = 0; i < OPEN_ATTEMPTS && fd < 0; i++) {
		fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
		if (fd < 0 && errno != EINTR && errno != EAGAIN)
			break;
	}
	return (int)fd;
}

int path_open_beneath(int dir_fd, const char *path, int flags, mode_t mode, int *ret_fd,
		      struct err *e)
{
	int fd =
		open_resolved(dir_fd, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

	if (fd < 0)
		return err_sys(e, "cannot open '%s'", path);
	*ret_fd = fd;
	return 0;
}

int path_open_in_root(int dir_fd, const char *path, int flags, mode_t mode, int *ret_fd,
		      struct err *e)
{
	int fd = open_resolved(dir_fd, path, flags, mode,
			       RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

	if (fd < 0)
		return err_sys(e, "cannot open '%s'", path);
	*ret_fd = fd;
	return 0;
}

int path_open_dir(int dir_fd, const char *path, int *ret_fd, struct err *e)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "cannot open directory '%s'", path);
	*ret_fd = fd;
	return 0;
}

/* Opens the directory `name`, making it if absent; -1 with errno. */
static int open_or_make(int dir_fd, const char *name, int flags, mode_t mode)
{
	int fd = openat(dir_fd, name, flags | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	/* EEXIST: somebody else made it in between, which is as good. */
	if (mkdirat(dir_fd, name, mode) < 0 && errno != EEXIST)
		return -1;
	return openat(dir_fd, name, flags | O_DIRECTORY | O_CLOEXEC);
}

int path_make_dir(int dir_fd, const char *path, mode_t mode, int *ret_fd, struct err *e)
{
	AUTO_FREE char *clean = path_clean(path);
	AUTO_CLOSE int at = -1;
	char *name = clean;

	if (*name == '/') {
		at = openat(dir_fd, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (at < 0)
			return err_sys(e, "cannot open directory '/'");
		name++;
	}
	if (!*name)
		return path_open_dir(dir_fd, clean, ret_fd, e);
	while (name) {
		char *next = strchr(name, '/');

		if (next)
			*next++ = '\0';
		/* O_PATH on the way: a parent may be searchable without being readable. */
		int fd = open_or_make(at >= 0 ? at : dir_fd, name, next ? O_PATH : O_RDONLY,
				      mode);
		if (fd < 0)
			return err_sys(e, "cannot make directory '%s'", path);
		mem_close_cleanup(&at);
		at = fd;
		name = next;
	}
	*ret_fd = TAKE_FD(at);
	return 0;
}

static int refuse_dir(const char *path, const char *why, const char *hint, struct err *e)
{
	err_set(e, ERR_POLICY, "store/unsafe-dir", "directory '%s' %s", path, why);
	return err_hint(e, "%s", hint);
}

static int check_private(int fd, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot examine directory '%s'", path);
	if (st.st_uid != geteuid())
		return refuse_dir(path, "belongs to another user",
				  "choose a directory of your own", e);
	if (st.st_mode & 022)
		return refuse_dir(path, "can be written by others",
				  "remove write permission for group and others (chmod go-w)",
				  e);
	return 0;
}

/* Where everyone may rename what lies in a directory on the way, the path leads to where they
 * want. Walked up by "..", so that links in the path do not matter. */
static int check_way(int dir_fd, const char *path, struct err *e)
{
	AUTO_CLOSE int at = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
	struct stat here = {0}, above;

	if (at < 0 || fstat(at, &here) < 0)
		return err_sys(e, "cannot examine directory '%s'", path);
	for (;;) {
		int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (up < 0 && errno == EACCES)
			return 0; /* not ours to search, and so nobody's who is no better off */
		if (up < 0 || fstat(up, &above) < 0)
			return err_sys(e, "cannot examine the directories above '%s'", path);
		mem_close_cleanup(&at);
		at = up;
		if (above.st_dev == here.st_dev && above.st_ino == here.st_ino)
			return 0;
		if ((above.st_mode & (S_IWOTH | S_ISVTX)) == S_IWOTH)
			return refuse_dir(path,
					  "lies below one that everyone can write to and that "
					  "is not sticky",
					  "choose another place, or chmod o-w what is above",
					  e);
		here = above;
	}
}

int path_make_private_dir(int dir_fd, const char *path, int *ret_fd, struct err *e)
{
	AUTO_FREE char *parent = path_clean(path);
	AUTO_FREE char *name = path_base(parent);
	AUTO_CLOSE int parent_fd = -1;
	size_t parent_len = strlen(parent) - strlen(name);

	/* "name" lies in ".", "/name" in "/"; the root itself has no name. */
	parent[parent_len] = '\0';
	if (path_make_dir(dir_fd, parent, 0700, &parent_fd, e) < 0)
		return -1;
	AUTO_CLOSE int fd =
		open_or_make(parent_fd, *name ? name : ".", O_RDONLY | O_NOFOLLOW, 0700);
	if (fd < 0) {
		int saved = errno;
		struct stat st;

		if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISLNK(st.st_mode))
			return refuse_dir(path, "is a symbolic link",
					  "name the directory that the link points to", e);
		errno = saved;
		return err_sys(e, "cannot make directory '%s'", path);
	}
	if (check_private(fd, path, e) < 0 || check_way(fd, path, e) < 0)
		return -1;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int path_read_fd(int fd, const char *name, struct buf *b, struct err *e)
{
	AUTO_FREE char *chunk = mem_alloc(COPY_CHUNK);

	while (!b->overflowed) {
		ssize_t got = read(fd, chunk, COPY_CHUNK);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "cannot read '%s'", name);
		if (got == 0)
			break;
		buf_add(b, chunk, (size_t)got);
	}
	return buf_check(b, name, e);
}

int path_read_file(int dir_fd, const char *path, struct buf *b, struct err *e)
{
	/* Not blocking, since opening a FIFO would wait for a writer. */
	AUTO_CLOSE int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return err_sys(e, "cannot open '%s'", path);
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot examine '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INPUT, "input/not-regular", "'%s' is not a regular file",
			       path);
	return path_read_fd(fd, path, b, e);
}

int path_write_all(int fd, const void *bytes, size_t len, const char *name, struct err *e)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t put = write(fd, at, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put == 0)
			errno = EIO; /* would loop for ever */
		if (put <= 0)
			return err_sys(e, "cannot write '%s'", name);
		at += put;
		len -= (size_t)put;
	}
	return 0;
}

/* 1 when all was copied in the kernel, 0 if it has to be done by hand from `*at`, -1 on error.
 */
static int copy_in_kernel(int from, int to, off_t *at)
{
	off_t out = 0;

	if (ioctl(to, FICLONE, from) == 0)
		return 1;
	for (;;) {
		ssize_t got = copy_file_range(from, at, to, &out, (size_t)1 << 30, 0);

		if (got > 0 || (got < 0 && errno == EINTR))
			continue;
		/* No progress at all also happens on files of proc that claim to be empty. */
		if (got == 0)
			return *at > 0 ? 1 : 0;
		return errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EPERM ||
				       errno == EOPNOTSUPP
			       ? 0
			       : -1;
	}
}

static int pwrite_all(int fd, const char *bytes, size_t len, off_t at)
{
	while (len > 0) {
		ssize_t put = pwrite(fd, bytes, len, at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put == 0)
			errno = EIO;
		if (put <= 0)
			return -1;
		bytes += put;
		at += put;
		len -= (size_t)put;
	}
	return 0;
}

int path_copy_fd(int from, int to, const char *name, struct err *e)
{
	off_t at = 0;
	int done = copy_in_kernel(from, to, &at);

	if (done < 0)
		return err_sys(e, "cannot copy '%s'", name);
	if (done)
		return 0;
	AUTO_FREE char *chunk = mem_alloc(COPY_CHUNK);
	for (;;) {
		ssize_t got = pread(from, chunk, COPY_CHUNK, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "cannot read '%s'", name);
		if (got == 0)
			return 0;
		if (pwrite_all(to, chunk, (size_t)got, at) < 0)
			return err_sys(e, "cannot write '%s'", name);
		at += got;
	}
}

/* The next component from `*at`, which moves past it; empty at the end. */
static struct str next_component(const char **at)
{
	const char *start = *at + strspn(*at, "/");

	*at = start + strcspn(start, "/");
	return (struct str){start, (size_t)(*at - start)};
}

char *path_clean(const char *path)
{
	char *clean = mem_alloc(strlen(path) + sizeof("/."));
	size_t len = 0;

	if (*path == '/')
		clean[len++] = '/';
	for (;;) {
		struct str part = next_component(&path);

		if (part.len == 0)
			break;
		if (str_eq_c(part, "."))
			continue;
		if (len > 0 && clean[len - 1] != '/')
			clean[len++] = '/';
		memcpy(clean + len, part.ptr, part.len);
		len += part.len;
	}
	if (len == 0)
		clean[len++] = '.';
	clean[len] = '\0';
	return clean;
}

char *path_base(const char *path)
{
	size_t end = strlen(path);

	while (end > 0 && path[end - 1] == '/')
		end--;
	size_t start = end;
	while (start > 0 && path[start - 1] != '/')
		start--;
	return mem_strndup(path + start, end - start);
}

char *path_join(const char *dir, const char *path)
{
	if (*path == '/' || !*dir)
		return mem_strdup(path);
	return mem_printf("%s%s%s", dir, str_has_suffix(dir, "/") ? "" : "/", path);
}

bool path_has_dotdot(const char *path)
{
	for (;;) {
		struct str part = next_component(&path);

		if (part.len == 0)
			return false;
		if (str_eq_c(part, ".."))
			return true;
	}
}
