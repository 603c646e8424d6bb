/*
 * Child processes and interruption. A child is held by pidfd, so that neither waiting nor
 * killing can hit a stranger that got its number. SIGINT and SIGTERM stay blocked and pending
 * once proc_interrupt_fd() was called: the signalfd is polled and never read, so that every
 * waiter sees the interruption, not just the first. That fd is this file's only state.
 */
#include "util/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/mem.h"

enum { OUTPUT_MAX = 64 * 1024, EXIT_ORPHANED = 127 };

static int interrupt_fd = -1;

static int pidfd_open_cloexec(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool is_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int n;

	do {
		n = poll(&p, 1, 0);
	} while (n < 0 && errno == EINTR);
	return n > 0 && (p.revents & POLLIN);
}

/* Reaps the child; also after a poll on the pidfd this may block for a moment only. */
static int reap(struct proc *p, siginfo_t *info)
{
	int failed;

	do {
		failed = waitid(P_PIDFD, (id_t)p->pidfd, info, WEXITED);
	} while (failed < 0 && errno == EINTR);
	mem_close_cleanup(&p->pidfd);
	p->pid = -1;
	return failed;
}

void proc_cleanup(struct proc *p)
{
	siginfo_t info;
	int saved = errno;

	if (p->pid <= 0 || p->pidfd < 0)
		return; /* zeroed, or reaped already */
	syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
	reap(p, &info);
	errno = saved;
}

/* The number cannot be another's yet: nobody but us reaps the child. */
int proc_hold(struct proc *ret, pid_t pid, struct err *e)
{
	int pidfd = pidfd_open_cloexec(pid);

	if (pidfd < 0) {
		err_sys(e, "cannot make a process handle");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return -1;
	}
	*ret = (struct proc){.pid = pid, .pidfd = pidfd};
	return 0;
}

/* The child's part of the fork: from here on it dies with its parent. */
static void tie_to_parent(int parent_pidfd)
{
	/* The parent may have died before the prctl. getppid() cannot tell, since it is 0 for
	 * the first process of a new pid namespace; the parent's pidfd can. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || is_readable(parent_pidfd))
		_exit(EXIT_ORPHANED);
}

int proc_fork(struct proc *ret, bool *ret_is_child, struct err *e)
{
	AUTO_CLOSE int parent_pidfd = pidfd_open_cloexec(getpid());

	if (parent_pidfd < 0)
		return err_sys(e, "cannot make a process handle");
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(e, "cannot start a process");
	if (pid == 0) {
		tie_to_parent(parent_pidfd);
		*ret = (struct proc)PROC_INIT;
		*ret_is_child = true;
		return 0;
	}
	if (proc_hold(ret, pid, e) < 0)
		return -1;
	*ret_is_child = false;
	return 0;
}

/* 1: `fd` is ready, 0: `deadline_ms` (0: none) passed, -1: interrupted or failed. */
static int poll_until(int fd, uint64_t deadline_ms, struct err *e)
{
	for (;;) {
		struct pollfd fds[] = {
			{.fd = fd, .events = POLLIN},
			{.fd = interrupt_fd, .events = POLLIN}, /* -1 is ignored */
		};
		int wait_ms = -1;

		if (deadline_ms > 0) {
			uint64_t now = clock_monotonic_ms();
			uint64_t left = deadline_ms > now ? deadline_ms - now : 0;

			wait_ms = left > INT32_MAX ? INT32_MAX : (int)left;
		}
		int n = poll(fds, ARRAY_LEN(fds), wait_ms);
		if (n < 0 && errno != EINTR)
			return err_sys(e, "cannot wait");
		if (n > 0 && fds[0].revents)
			return 1;
		if (n > 0 && proc_interrupted(e))
			return -1;
		if (n == 0 && deadline_ms > 0 && clock_monotonic_ms() >= deadline_ms)
			return 0;
	}
}

int proc_wait(struct proc *p, int timeout_ms, bool *ret_ended, struct proc_status *ret,
	      struct err *e)
{
	uint64_t deadline_ms = timeout_ms < 0 ? 0 : clock_monotonic_ms() + (uint64_t)timeout_ms;
	siginfo_t info = {0};

	BUG_IF(p->pidfd < 0);
	int ready = poll_until(p->pidfd, deadline_ms, e);
	if (ready < 0)
		return -1;
	*ret_ended = ready > 0;
	if (!ready)
		return 0;
	if (reap(p, &info) < 0)
		return err_sys(e, "cannot wait for a process");
	*ret = (struct proc_status){.exited = info.si_code == CLD_EXITED,
				    .code = info.si_status};
	return 0;
}

/* Standard files, signals as after login (ignored ones would survive the exec). */
static int spawn(pid_t *ret_pid, const char *const *argv, int output_fd,
		 posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes)
{
	static char *const no_env[] = {NULL};
	char *const *args;
	sigset_t none, pipe_only;

	memcpy(&args, &argv, sizeof(args)); /* it promises not to write, but not in C */
	sigemptyset(&none);
	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	int error =
		posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(files, output_fd, STDOUT_FILENO);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(files, output_fd, STDERR_FILENO);
	if (error == 0)
		error = posix_spawnattr_setsigmask(attributes, &none);
	if (error == 0)
		error = posix_spawnattr_setsigdefault(attributes, &pipe_only);
	if (error == 0)
		error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK |
								     POSIX_SPAWN_SETSIGDEF);
	return error ? error : posix_spawn(ret_pid, argv[0], files, attributes, args, no_env);
}

/* Not by fork, which would copy our page tables. An error number. */
static int spawn_helper(pid_t *ret_pid, const char *const *argv, int output_fd)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int error = posix_spawn_file_actions_init(&files);

	if (error)
		return error;
	error = posix_spawnattr_init(&attributes);
	if (error == 0) {
		error = spawn(ret_pid, argv, output_fd, &files, &attributes);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&files);
	return error;
}

/* Keeps the first 64 KiB and drops the rest, so that the child never blocks. */
static void keep_output(int fd, struct buf *output)
{
	char chunk[4096];
	ssize_t got;

	while ((got = read(fd, chunk, sizeof(chunk))) > 0 || (got < 0 && errno == EINTR)) {
		size_t room = output->max_bytes - output->len;

		if (got > 0)
			buf_add(output, chunk, (size_t)got < room ? (size_t)got : room);
	}
}

/*
 * Reads until the child ends. Not until the pipe does: something that the child left behind
 * could hold it open for ever.
 */
static int collect(struct proc *p, int fd, struct buf *output, struct proc_status *status,
		   struct err *e)
{
	bool ended = false;

	while (!ended) {
		struct pollfd fds[] = {
			{.fd = fd, .events = POLLIN},
			{.fd = p->pidfd, .events = POLLIN},
			{.fd = interrupt_fd, .events = POLLIN},
		};
		if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
			return err_sys(e, "cannot wait for a helper");
		keep_output(fd, output);
		if (fds[0].revents & POLLHUP)
			fd = -1;
		if (proc_wait(p, fd < 0 ? -1 : 0, &ended, status, e) < 0)
			return -1;
	}
	keep_output(fd, output);
	return 0;
}

static int report(const char *name, const struct proc_status *status, struct buf *output,
		  struct err *e)
{
	if (status->exited && status->code == 0)
		return 0;
	/* The terminal sends it to all of us: a helper that dies of it first did not fail. */
	if (proc_interrupted(e))
		return -1;
	while (output->len > 0 && strchr(" \n", output->data[output->len - 1]))
		output->data[--output->len] = '\0';
	return err_set(e, ERR_SYSTEM, "system/helper", "'%s' %s %d%s%s", name,
		       status->exited ? "failed with status" : "was killed by signal",
		       status->code, output->len > 0 ? ": " : "", buf_text(output));
}

int proc_run(const char *const *argv, struct err *e)
{
	AUTO(proc) p = PROC_INIT;
	AUTO(buf) output = BUF_INIT(OUTPUT_MAX);
	struct proc_status status;
	pid_t pid = -1;
	int out[2];

	BUG_IF(!argv[0] || argv[0][0] != '/');
	if (pipe2(out, O_CLOEXEC) < 0)
		return err_sys(e, "cannot make a pipe");
	AUTO_CLOSE int out_read = out[0];
	AUTO_CLOSE int out_write = out[1];
	if (fcntl(out_read, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, "cannot set up a pipe");
	errno = spawn_helper(&pid, argv, out_write);
	if (errno != 0)
		return err_sys(e, "cannot run '%s'", argv[0]);
	close(TAKE_FD(out_write));
	if (proc_hold(&p, pid, e) < 0 || collect(&p, out_read, &output, &status, e) < 0)
		return -1;
	return report(argv[0], &status, &output, e);
}

unsigned proc_cpus(void)
{
	cpu_set_t set;
	/* Fails where there are more than the set holds: then it is no matter how many. */
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return CPU_SETSIZE;
	return (unsigned)CPU_COUNT(&set);
}

int proc_interrupt_fd(void)
{
	sigset_t set;

	if (interrupt_fd >= 0)
		return interrupt_fd;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	BUG_IF(sigprocmask(SIG_BLOCK, &set, NULL) != 0);
	interrupt_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	BUG_IF(interrupt_fd < 0); /* called once, early: there are fds left */
	return interrupt_fd;
}

bool proc_interrupted(struct err *e)
{
	if (interrupt_fd < 0 || !is_readable(interrupt_fd))
		return false;
	err_set(e, ERR_INTERRUPTED, "system/interrupted", "interrupted");
	return true;
}
