/* Sandboxes of one run are strangers to each other, whatever they have in common; and one that
 * cannot be started leaves nothing behind. */
#include "sandbox_fixture.h"

#include <dirent.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "sandbox/namespace_internal.h"
#include "sandbox/outer_internal.h"

/* With ids found anew: the namespace for them is yet to be made. */
static int work_afresh(void)
{
	AUTO(sandbox_idmap) ids = {0};
	struct sandbox_bind bind = {fx.roots_fd, "rw", false, false};
	struct sandbox_worker w = {.idmap = &ids,
				   .policy = &fx.policy,
				   .binds = &bind,
				   .binds_len = 1,
				   .role = POLICY_UNPACKER,
				   .run = fixture_do_nothing};
	err = (struct err)ERR_INIT;
	return sandbox_idmap_find(&ids, &err) < 0 ? -1 : sandbox_worker_run(&w, NULL, &err);
}

static int open_of(pid_t pid, const char *what, int flags)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	return openat(AT_FDCWD, path, flags | O_CLOEXEC);
}

/* A sandbox that waits, without the shields of a step: it can be read as far as that goes. */
static void start_neighbour(struct proc *ret, int *ret_channel)
{
	const struct namespace_spec spec = {.idmap = &fx.ids};
	bool is_child = false;
	char byte;
	expect_ok(namespace_spawn(&spec, ret, &is_child, ret_channel, &err));
	if (is_child)
		_exit((int)recv(*ret_channel, &byte, 1, 0));
}

/* What a step would try that got out of its root and knew its neighbour: as root of its own
 * namespaces, before the host's /proc is out of sight, and without any filter. 0, or the number of
 * the attempt that succeeded. */
static int attack(const struct proc *neighbour, pid_t supervisor, int user_fd, int mount_fd,
		  int outer_fd)
{
	int own = openat(AT_FDCWD, "/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	const bool attempts[] = {
		own < 0,
		ioctl(own, NS_GET_PARENT) >= 0,
		outer_fd >= 0 && setns(outer_fd, CLONE_NEWUSER) == 0,
		setns(user_fd, CLONE_NEWUSER) == 0,
		setns(mount_fd, CLONE_NEWNS) == 0,
		setns(neighbour->pidfd, CLONE_NEWUSER) == 0,
		open_of(neighbour->pid, "mem", O_RDWR) >= 0,
		open_of(neighbour->pid, "ns/user", O_RDONLY) >= 0,
		open_of(neighbour->pid, "root", O_PATH) >= 0,
		open_of(neighbour->pid, "fd/0", O_PATH) >= 0,
		open_of(supervisor, "mem", O_RDONLY) >= 0,
		syscall(SYS_pidfd_getfd, neighbour->pidfd, 0, 0) >= 0,
		syscall(SYS_pidfd_send_signal, neighbour->pidfd, SIGKILL, NULL, 0) == 0,
	};
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++)
		if (attempts[i])
			return (int)i + 1;
	return 0;
}

static void test_neighbours(void **state)
{
	(void)state;
	const struct namespace_spec spec = {.idmap = &fx.ids};
	AUTO(proc) neighbour = PROC_INIT;
	AUTO(proc) attacker = PROC_INIT;
	struct proc_status status;
	AUTO_CLOSE int line = -1;
	AUTO_CLOSE int attacker_line = -1;
	bool is_child = false, ended = true;
	pid_t supervisor = getpid();
	int outer_fd;
	start_neighbour(&neighbour, &line);
	expect_ok(outer_open(&fx.ids, &outer_fd, &err));
	assert_int_equal(outer_fd < 0, geteuid() == 0);
	/* Which shows that these can be opened at all. */
	AUTO_CLOSE int user_fd = open_of(neighbour.pid, "ns/user", O_RDONLY);
	AUTO_CLOSE int mount_fd = open_of(neighbour.pid, "ns/mnt", O_RDONLY);
	assert_true(user_fd >= 0 && mount_fd >= 0);
	expect_ok(namespace_spawn(&spec, &attacker, &is_child, &attacker_line, &err));
	if (is_child)
		_exit(namespace_become_root(attacker_line, &err) < 0
			      ? 99
			      : attack(&neighbour, supervisor, user_fd, mount_fd, outer_fd));
	expect_ok(proc_wait(&attacker, -1, &ended, &status, &err));
	assert_true(status.exited);
	assert_int_equal(status.code, 0);
	expect_ok(proc_wait(&neighbour, 0, &ended, &status, &err));
	assert_false(ended);
}

static size_t open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Whichever file is the first that cannot be had. */
static void test_out_of_files(void **state)
{
	(void)state;
	struct rlimit old;
	(void)proc_interrupt_fd(); /* stays open */
	size_t before = open_files(), refusals = 0;
	int r = -1;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (rlim_t few = 3; r < 0 && few < 200; few++) {
		const struct rlimit limit = {few, old.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		r = work_afresh();
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_int_equal(open_files(), before);
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
		refusals += r < 0;
		if (r < 0 && (!strstr(err.message, strerror(EMFILE)) ||
			      strstr(err.hint, "switched off")))
			fail_msg("with %d files: %s [%s] (hint: %s)", (int)few, err.message,
				 err.id, err.hint);
	}
	assert_int_equal(r, 0);
	assert_true(refusals > 5);
}

static bool is_told_of_depth(void)
{
	return work_afresh() < 0 && strcmp(err.id, "sandbox/namespaces") == 0 &&
	       strstr(err.hint, "nest 33 deep") != NULL;
}

/*
 * Nests user namespaces as deep as they go, each with the same ids, then tries from each on the
 * way back: there is room for none, then for the namespace with the ids alone, then for both.
 * Returns how many fit below the caller, or above 100 if something went wrong.
 */
static int room_below(void)
{
	int line[2], status = 0;
	char byte = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line) < 0)
		return 101;
	pid_t pid = fork();
	if (pid == 0) {
		close(line[0]);
		if (unshare(CLONE_NEWUSER) < 0)
			_exit(errno == ENOSPC || errno == EUSERS ? 0 : 102);
		if (send(line[1], &byte, 1, MSG_NOSIGNAL) != 1 ||
		    recv(line[1], &byte, 1, 0) != 1)
			_exit(103);
		int room = room_below();
		_exit(room > 100 ? room : room + 1);
	}
	close(line[1]);
	bool fits = recv(line[0], &byte, 1, 0) == 1;
	if (fits && (sandbox_idmap_write_identity(&fx.ids, pid, &err) < 0 ||
		     send(line[0], &byte, 1, MSG_NOSIGNAL) != 1))
		kill(pid, SIGKILL);
	close(line[0]);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 104;
	int room = WEXITSTATUS(status);
	if (room < 2 && !is_told_of_depth())
		return 105;
	if (room == 2 && work_afresh() < 0)
		return 106;
	return room;
}

static void test_nested_too_deep(void **state)
{
	(void)state;
	if (geteuid() != 0) /* root's sandboxes are in no outer namespace */
		assert_in_range(room_below(), 3, 33);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_out_of_files),
		cmocka_unit_test(test_nested_too_deep),
	};
	int failed = cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
	return (failed != 0) | (again_as_user() != 0);
}
