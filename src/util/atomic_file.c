/*
 * Whole files or none. The name ".NAME.new" exists only because linkat cannot replace: the file
 * is complete and on disk before it gets even that name.
 */
#include "util/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/path.h"

static char *staged_name(const char *name)
{
	BUG_IF(!*name || strchr(name, '/'));
	return mem_printf(".%s.new", name);
}

int atomic_file_open(int dir_fd, mode_t mode, int *ret_fd, struct err *e)
{
	AUTO_CLOSE int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		err_sys(e, "cannot make an unnamed file");
		return err_hint(
			e, "use a directory on a file system that supports O_TMPFILE, such "
			   "as ext4, xfs, btrfs, tmpfs");
	}
	if (fd < 0)
		return err_sys(e, "cannot make an unnamed file");
	/* Not by openat's mode, which the umask would reduce. */
	if (fchmod(fd, mode & 07777) < 0)
		return err_sys(e, "cannot set the mode of an unnamed file");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int link_unnamed(int dir_fd, int fd, const char *staged)
{
	char proc_path[64];

	/* By the fd itself where the kernel lets its opener (6.10), else by way of proc. */
	if (linkat(fd, "", dir_fd, staged, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOENT)
		return -1;
	snprintf(proc_path, sizeof(proc_path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, proc_path, dir_fd, staged, AT_SYMLINK_FOLLOW);
}

/*
 * Taken for the moment between linking and renaming, so that a staged name met by its holder is
 * a dead writer's. Without it the second writer of a name would remove the link of the first,
 * and the kernel does not link an unnamed file a second time.
 */
static int lock_dir(int dir_fd, int *ret_fd, struct err *e)
{
	AUTO_CLOSE int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int failed;

	if (fd < 0)
		return err_sys(e, "cannot open a directory to lock it");
	do {
		failed = flock(fd, LOCK_EX);
	} while (failed && errno == EINTR);
	if (failed)
		return err_sys(e, "cannot lock a directory");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int remove_staged(int dir_fd, const char *staged, struct err *e)
{
	if (unlinkat(dir_fd, staged, 0) < 0 && errno != ENOENT)
		return err_sys(e, "cannot remove '%s'", staged);
	return 0;
}

int atomic_file_commit(int dir_fd, const char *name, int fd, struct err *e)
{
	AUTO_FREE char *staged = staged_name(name);
	AUTO_CLOSE int lock_fd = -1;

	if (fsync(fd) < 0)
		return err_sys(e, "cannot flush '%s' to disk", name);
	if (lock_dir(dir_fd, &lock_fd, e) < 0 || remove_staged(dir_fd, staged, e) < 0)
		return -1;
	if (link_unnamed(dir_fd, fd, staged) < 0)
		return err_sys(e, "cannot link '%s'", staged);
	if (renameat(dir_fd, staged, dir_fd, name) < 0) {
		err_sys(e, "cannot rename '%s' to '%s'", staged, name);
		unlinkat(dir_fd, staged, 0);
		return -1;
	}
	if (fsync(dir_fd) < 0)
		return err_sys(e, "cannot flush the directory of '%s' to disk", name);
	return 0;
}

int atomic_file_write(int dir_fd, const char *name, mode_t mode, const void *bytes, size_t len,
		      struct err *e)
{
	AUTO_CLOSE int fd = -1;

	if (atomic_file_open(dir_fd, mode, &fd, e) < 0 ||
	    path_write_all(fd, bytes, len, name, e) < 0)
		return -1;
	return atomic_file_commit(dir_fd, name, fd, e);
}

int atomic_file_recover(int dir_fd, const char *name, struct err *e)
{
	AUTO_FREE char *staged = staged_name(name);
	AUTO_CLOSE int lock_fd = -1;

	if (lock_dir(dir_fd, &lock_fd, e) < 0)
		return -1;
	return remove_staged(dir_fd, staged, e);
}
