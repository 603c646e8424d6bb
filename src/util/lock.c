/* The pid in the file is for the message only; flock alone decides, and dies with its holder.
 */
#include "util/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/num.h"

static uint64_t lock_holder(int fd)
{
	char text[24];
	ssize_t len = pread(fd, text, sizeof(text), 0);
	uint64_t pid = 0;
	if (len > 0)
		(void)num_parse_u64(text, (size_t)len, UINT32_MAX, &pid);
	return pid;
}

static int lock(int fd, int operation, const char *shown, struct err *e)
{
	if (flock(fd, operation | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return err_sys(e, "cannot lock '%s'", shown);
	err_set(e, ERR_SYSTEM, "system/locked",
		"couldn't acquire lock on '%s': lock owned by pid %ju", shown,
		(uintmax_t)lock_holder(fd));
	return err_hint(e, "wait for that stacker to end, or use another directory");
}

static int acquire(int dir_fd, const char *name, int operation, const char *shown, int *ret_fd,
		   struct err *e)
{
	AUTO_CLOSE int fd =
		openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, "cannot open lock file '%s/%s'", shown, name);
	if (lock(fd, operation, shown, e) < 0)
		return -1;
	char pid[24];
	int len = snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)len, 0) != len)
		return err_sys(e, "cannot write lock file '%s/%s'", shown, name);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int lock_acquire(int dir_fd, const char *name, const char *shown, int *ret_fd, struct err *e)
{
	return acquire(dir_fd, name, LOCK_EX, shown, ret_fd, e);
}

int lock_acquire_shared(int dir_fd, const char *name, const char *shown, int *ret_fd,
			struct err *e)
{
	return acquire(dir_fd, name, LOCK_SH, shown, ret_fd, e);
}

int lock_make_exclusive(int fd, const char *shown, struct err *e)
{
	return lock(fd, LOCK_EX, shown, e);
}
