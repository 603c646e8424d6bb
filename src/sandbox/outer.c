/* A namespace lives as long as a file of it is open: a short-lived process makes it. */
#include "sandbox/outer_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/idmap_internal.h"
#include "sandbox/namespace_internal.h"
#include "util/mem.h"
#include "util/proc.h"

struct sandbox_outer {
	int fd; /* -1: not made yet */
};

struct sandbox_outer *outer_new(void)
{
	struct sandbox_outer *outer = mem_zalloc(1, sizeof(*outer));
	outer->fd = -1;
	return outer;
}

void outer_free(struct sandbox_outer *outer)
{
	if (outer == NULL)
		return;
	mem_close_cleanup(&outer->fd);
	free(outer);
}

/* Makes the namespace, says what came of it, and stays until that is mapped and opened.
 * Dumpable, because /proc/PID belongs to root otherwise. */
static _Noreturn void hold_namespace(int channel)
{
	char byte;
	int failed = 0;
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || unshare(CLONE_NEWUSER) < 0)
		failed = errno;
	if (send(channel, &failed, sizeof(failed), MSG_NOSIGNAL) == (ssize_t)sizeof(failed))
		(void)!TEMP_FAILURE_RETRY(recv(channel, &byte, 1, 0));
	_exit(0);
}

static int open_namespace(pid_t pid, int *ret_fd, struct err *e)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err_sys(e, "cannot open the user namespace '%s'", path);
		return err_recode(e, ERR_SANDBOX, "sandbox/namespaces");
	}
	*ret_fd = fd;
	return 0;
}

static int make(const struct sandbox_idmap *m, int *ret_fd, struct err *e)
{
	AUTO(proc) child = PROC_INIT;
	int ends[2], failed;
	bool is_child = false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(e, "cannot create a socket pair");
	AUTO_CLOSE int ours = ends[0];
	AUTO_CLOSE int theirs = ends[1];
	if (proc_fork(&child, &is_child, e) < 0)
		return namespace_refused(e);
	if (is_child) {
		close(ours);
		hold_namespace(theirs);
	}
	close(TAKE_FD(theirs));
	if (TEMP_FAILURE_RETRY(recv(ours, &failed, sizeof(failed), 0)) != sizeof(failed))
		return err_set(e, ERR_SANDBOX, "sandbox/namespaces",
			       "a process died before it made a user namespace");
	errno = failed;
	if (failed != 0)
		return namespace_refused(e);
	if (idmap_write_outer(m, child.pid, e) < 0)
		return -1;
	return open_namespace(child.pid, ret_fd, e);
}

int outer_open(const struct sandbox_idmap *m, int *ret_fd, struct err *e)
{
	if (m->outer && m->outer->fd < 0 && make(m, &m->outer->fd, e) < 0)
		return -1;
	*ret_fd = m->outer ? m->outer->fd : -1;
	return 0;
}
