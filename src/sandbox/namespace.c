/*
 * User, mount, pid, net, ipc, uts and cgroup namespaces in one clone3, the last once more in
 * the child. Parent and child talk over a socket pair: "ready" from the child, then the parent
 * writes the id maps, then "go".
 *
 * For an ordinary user a third process does both, the clone and the maps. It enters the outer user
 * namespace, makes the sandbox a child of our own (CLONE_PARENT), so that we hold it and it dies
 * with us, and ends.
 */
#include "sandbox/namespace_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/idmap_internal.h"
#include "sandbox/outer_internal.h"
#include "util/mem.h"

/* All at once, that of the network too: that no ids are mapped at its making decides who owns
 * /proc/self/net in it. */
#define NAMESPACES                                                                             \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS |            \
	 CLONE_NEWIPC | CLONE_NEWCGROUP)

#define OOM_SCORE "1000" /* the highest: always allowed, whatever the caller's is */

int namespace_refused(struct err *e)
{
	int saved = errno;
	err_sys(e, "cannot create the namespaces of a sandbox");
	if (saved == EMFILE || saved == ENFILE || saved == ENOMEM)
		return -1; /* of the machine, and no switch helps */
	err_recode(e, ERR_SANDBOX, "sandbox/namespaces");
	if (saved == EAGAIN)
		return err_hint(e, "this user runs too many processes already");
	if (saved == ENOSPC || saved == EUSERS)
		return err_hint(
			e, "raise the limits in /proc/sys/user/ (max_user_namespaces ...); "
			   "user namespaces nest 33 deep at most");
	return err_hint(
		e, "user namespaces are switched off; see /proc/sys/user/max_user_namespaces, "
		   "/proc/sys/kernel/unprivileged_userns_clone and "
		   "/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
}

/*
 * The kernel fixes the process limit of a user namespace at its creation, to the creator's soft
 * RLIMIT_NPROC, and to none if the creator's real id is the host's root. Set later, the limit
 * would count each of the 65536 ids alone and stop no fork bomb that changes its id. So for the
 * clone, and only for it, the soft limit is lowered and root's real id is the sandbox's. We
 * have no threads that would notice.
 */
static long clone_limited(struct clone_args *args, const struct namespace_spec *spec)
{
	struct rlimit old, lowered;
	bool is_root = getuid() == 0;
	if (spec->nproc == 0 || getrlimit(RLIMIT_NPROC, &old) < 0)
		return syscall(SYS_clone3, args, sizeof(*args));
	lowered = old;
	if (old.rlim_cur > spec->nproc)
		lowered.rlim_cur = spec->nproc;
	if (setrlimit(RLIMIT_NPROC, &lowered) < 0 ||
	    (is_root && setresuid(spec->idmap->uid_first, -1u, -1u) < 0))
		return -1;
	long pid = syscall(SYS_clone3, args, sizeof(*args));
	int saved = errno;
	if (pid != 0)
		BUG_IF(setrlimit(RLIMIT_NPROC, &old) < 0 ||
		       (is_root && setresuid(0, -1u, -1u) < 0));
	errno = saved;
	return pid;
}

/* Into the control group, if there is one. `parent` is CLONE_PARENT or 0. *ret_pid is the child,
 * 0 in it, also if an error follows its start. */
static int clone_grouped(const struct namespace_spec *spec, uint64_t parent, pid_t *ret_pid,
			 struct err *e)
{
	/* A child of our parent's gets our own exit signal, and may be given none. */
	struct clone_args args = {
		.flags = NAMESPACES | CLONE_CLEAR_SIGHAND | parent,
		.exit_signal = parent ? 0 : SIGCHLD,
	};
	int fd = spec->cgroup ? cgroup_clone_fd(spec->cgroup) : -1;
	if (fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)fd;
	}
	int r = spec->cgroup ? cgroup_enter(spec->cgroup, e) : 0;
	if (r == 0) {
		*ret_pid = (pid_t)clone_limited(&args, spec);
		if (*ret_pid == 0)
			return 0;
		r = *ret_pid < 0 ? namespace_refused(e) : 0;
	}
	if (spec->cgroup && cgroup_leave(spec->cgroup, r < 0 ? NULL : e) < 0)
		r = -1;
	return r;
}

/* What the process between tells: the sandbox's number, -1 if there is none, and its error. */
struct start {
	pid_t pid;
	struct err err;
};
_Static_assert(sizeof(struct start) <= PIPE_BUF, "a start must be one atomic write");

static int enter_outer(int outer_fd, struct err *e)
{
	/* The sandbox takes it over, whose /proc/PID/uid_map belongs to root otherwise. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		return err_sys(e, "cannot prepare a sandbox process");
	if (setns(outer_fd, CLONE_NEWUSER) == 0)
		return 0;
	err_sys(e, "cannot enter the user namespace of this run");
	err_recode(e, ERR_SANDBOX, "sandbox/namespaces");
	return err_hint(e, "in a container, allow setns in its seccomp profile");
}

/* The process between. Returns in the sandbox. */
static void start_between(const struct namespace_spec *spec, int outer_fd, int report_fd)
{
	struct start s = {.pid = -1, .err = ERR_INIT};
	int r = enter_outer(outer_fd, &s.err);
	if (r == 0)
		r = clone_grouped(spec, CLONE_PARENT, &s.pid, &s.err);
	if (s.pid == 0)
		return;
	if (r == 0)
		r = idmap_write(spec->idmap, s.pid, &s.err);
	ssize_t n = TEMP_FAILURE_RETRY(write(report_fd, &s, sizeof(s)));
	_exit(r < 0 || n != (ssize_t)sizeof(s));
}

/* As clone_grouped(). `*ours` is our end of the line to the sandbox. */
static int clone_between(const struct namespace_spec *spec, int outer_fd, int *ours,
			 struct proc *between, pid_t *ret_pid, struct err *e)
{
	struct start s;
	int ends[2];
	bool is_between = false;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "cannot create a pipe");
	AUTO_CLOSE int report = ends[0];
	AUTO_CLOSE int theirs = ends[1];
	if (proc_fork(between, &is_between, e) < 0)
		return namespace_refused(e);
	if (is_between) {
		/* By its closing the sandbox knows of our end: nobody else may hold it. */
		close(TAKE_FD(*ours));
		start_between(spec, outer_fd, theirs);
		*ret_pid = 0;
		return 0;
	}
	close(TAKE_FD(theirs));
	/* If it was killed between starting and telling, the sandbox ends with the line to us. */
	if (TEMP_FAILURE_RETRY(read(report, &s, sizeof(s))) != (ssize_t)sizeof(s))
		return err_set(e, ERR_SANDBOX, "sandbox/namespaces",
			       "a sandbox process died before it started");
	*ret_pid = s.pid;
	if (s.err.code == ERR_NONE)
		return 0;
	*e = s.err;
	return -1;
}

static bool tell(int channel)
{
	char byte = 0;
	return send(channel, &byte, 1, MSG_NOSIGNAL) == 1;
}

static bool listen_for(int channel)
{
	char byte;
	return TEMP_FAILURE_RETRY(recv(channel, &byte, 1, 0)) == 1;
}

/* When memory runs out the machine keeps its services and loses the build. A fixed value, since
 * a step can read it. */
static int prefer_for_oom(struct err *e)
{
	AUTO_CLOSE int fd = openat(AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, OOM_SCORE, sizeof(OOM_SCORE) - 1) < 0)
		return err_sys(e, "cannot set the oom score of a sandbox");
	return 0;
}

/* What needs no ids. Before anything is mounted: nothing may propagate back to the host. */
static int prepare_child(const struct namespace_spec *spec, struct err *e)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(e, "cannot make the mounts of a sandbox private");
	setsid();
	if (prefer_for_oom(e) < 0)
		return -1;
	/* The one of the clone has our parent's group as its root; in a new one it is our own,
	 * whose name does not show then. */
	if (spec->cgroup && unshare(CLONE_NEWCGROUP) < 0)
		return namespace_refused(e);
	return 0;
}

static int start_child(const struct namespace_spec *spec, int channel, struct err *e)
{
	/* The parent is outside our pid namespace, so that getppid() says 0 whether it lives or
	 * not: the channel tells. Dumpable, because /proc/PID/uid_map belongs to root otherwise
	 * and a parent that is not root could not write it; nothing hostile runs yet. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		return err_sys(e, "cannot prepare a sandbox process");
	if (!tell(channel))
		_exit(1);
	int r = prepare_child(spec, e);
	/* Also after a failure: the parent would take our end for one of its mapping. */
	if (!listen_for(channel))
		_exit(1);
	return r;
}

static int start_parent(const struct namespace_spec *spec, const struct proc *child,
			int channel, struct err *e)
{
	if (!listen_for(channel))
		return err_set(e, ERR_SANDBOX, "sandbox/namespaces",
			       "a sandbox process died before it started");
	if (spec->idmap->outer == NULL && idmap_write(spec->idmap, child->pid, e) < 0)
		return -1;
	if (!tell(channel))
		return err_set(e, ERR_SANDBOX, "sandbox/namespaces",
			       "a sandbox process died while its ids were mapped");
	return 0;
}

int namespace_spawn(const struct namespace_spec *spec, struct proc *ret, bool *ret_is_child,
		    int *ret_channel, struct err *e)
{
	int ends[2], outer_fd = -1;
	pid_t pid = -1;
	AUTO(proc) between = PROC_INIT;
	AUTO(proc) child = PROC_INIT;
	if (outer_open(spec->idmap, &outer_fd, e) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(e, "cannot create a socket pair");
	AUTO_CLOSE int ours = ends[0];
	AUTO_CLOSE int theirs = ends[1];
	int r = outer_fd < 0 ? clone_grouped(spec, 0, &pid, e)
			     : clone_between(spec, outer_fd, &ours, &between, &pid, e);
	*ret_is_child = pid == 0;
	if (pid == 0) {
		mem_close_cleanup(&ours);
		ours = -1;
		if (start_child(spec, theirs, e) < 0)
			return -1;
		*ret_channel = TAKE_FD(theirs);
		return 0;
	}
	close(TAKE_FD(theirs));
	if (pid > 0 && proc_hold(&child, pid, r < 0 ? NULL : e) < 0)
		return -1;
	if (r < 0 || start_parent(spec, &child, ours, e) < 0)
		return -1;
	*ret_channel = TAKE_FD(ours);
	*ret = child;
	child = (struct proc)PROC_INIT;
	return 0;
}

int namespace_become_root(int channel, struct err *e)
{
	char byte;
	if (setresgid(0, 0, 0) < 0 || setgroups(0, NULL) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(e, "cannot become root of the sandbox");
	/* A change of ids clears the death signal: armed again, then checked that it is not
	 * late. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(e, "cannot prepare a sandbox process");
	if (recv(channel, &byte, 1, MSG_DONTWAIT) == 0)
		_exit(1);
	umask(022);
	return 0;
}

static int loopback_up(struct err *e)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return err_sys(e, "cannot bring up the loopback of the sandbox");
	return 0;
}

int namespace_settle(struct err *e)
{
	static const char host[] = "stacker", domain[] = "(none)";
	if (sethostname(host, sizeof(host) - 1) < 0 ||
	    setdomainname(domain, sizeof(domain) - 1) < 0)
		return err_sys(e, "cannot set the host name of the sandbox");
	/* Possession of the caller's session keyring would cross the user namespace. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		return err_sys(e, "cannot leave the session keyring");
	return loopback_up(e);
}
