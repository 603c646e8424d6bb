/*
 * Children: that they end when we do, are reaped, and that nothing of ours reaches a helper.
 * Each test forks what it needs; interruption, which blocks signals for good, is tried in a
 * child.
 */
#include "util_test.h"

#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>

#include "util/clock.h"
#include "util/proc.h"

#define SH "/bin/sh"

static void nap_ms(long ms)
{
	struct timespec nap = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&nap, NULL);
}

static void expect_no_children(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void test_exit_status_comes_back(void **state)
{
	AUTO(proc) p = PROC_INIT;
	struct err e = ERR_INIT;
	struct proc_status status;
	bool is_child, ended = false;

	(void)state;
	assert_int_equal(proc_fork(&p, &is_child, &e), 0);
	if (is_child)
		_exit(7);
	assert_true(p.pid > 0 && p.pidfd >= 0);
	assert_int_equal(proc_wait(&p, -1, &ended, &status, &e), 0);
	assert_true(ended);
	assert_true(status.exited);
	assert_int_equal(status.code, 7);
	assert_int_equal(p.pidfd, -1);
	expect_no_children();
}

static void test_signal_comes_back(void **state)
{
	AUTO(proc) p = PROC_INIT;
	struct proc_status status;
	bool is_child, ended = false;

	(void)state;
	assert_int_equal(proc_fork(&p, &is_child, NULL), 0);
	if (is_child) {
		raise(SIGKILL);
		_exit(0);
	}
	assert_int_equal(proc_wait(&p, 10000, &ended, &status, NULL), 0);
	assert_true(ended);
	assert_false(status.exited);
	assert_int_equal(status.code, SIGKILL);
}

static void test_timeout_leaves_the_child_running(void **state)
{
	struct proc_status status;
	bool is_child, ended = true;
	uint64_t start = clock_monotonic_ms();

	(void)state;
	{
		AUTO(proc) p = PROC_INIT;

		assert_int_equal(proc_fork(&p, &is_child, NULL), 0);
		if (is_child) {
			nap_ms(60000);
			_exit(0);
		}
		assert_int_equal(proc_wait(&p, 0, &ended, &status, NULL), 0);
		assert_false(ended);
		assert_int_equal(proc_wait(&p, 50, &ended, &status, NULL), 0);
		assert_false(ended);
		assert_int_equal(kill(p.pid, 0), 0);
	}
	/* The cleanup killed and reaped it. */
	expect_no_children();
	uint64_t took = clock_monotonic_ms() - start;
	assert_true(took >= 50 && took < 30000);
}

/* A parent that is killed takes its child along; the pipe's end shows when both are gone. */
static void test_child_dies_with_its_parent(void **state)
{
	int fds[2];
	char byte;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t parent = fork();
	if (parent == 0) {
		struct proc p = PROC_INIT;
		bool is_child = false;

		close(fds[0]);
		if (proc_fork(&p, &is_child, NULL) < 0)
			_exit(1);
		if (is_child && write(fds[1], "c", 1) != 1)
			_exit(1);
		nap_ms(60000);
		_exit(0);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	assert_int_equal(kill(parent, SIGKILL), 0);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	struct pollfd gone = {.fd = fds[0], .events = POLLIN};
	assert_int_equal(poll(&gone, 1, 10000), 1);
	assert_int_equal(read(fds[0], &byte, 1), 0);
	close(fds[0]);
}

static void test_run_succeeds_silently(void **state)
{
	static const char *const argv[] = {SH, "-c", "exit 0", NULL};
	struct err e = ERR_INIT;
	size_t fds = count_open_fds();

	(void)state;
	assert_int_equal(proc_run(argv, &e), 0);
	assert_int_equal(e.code, ERR_NONE);
	assert_int_equal(count_open_fds(), fds);
	expect_no_children();
}

static void test_run_reports_status_and_output(void **state)
{
	static const char *const fails[] = {SH, "-c", "echo out; echo err >&2; exit 3", NULL};
	static const char *const quiet[] = {SH, "-c", "exit 1", NULL};
	static const char *const killed[] = {SH, "-c", "kill -9 $$", NULL};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(proc_run(fails, &e), -1);
	expect_err(&e, ERR_SYSTEM, "system/helper");
	assert_string_equal(e.message, "'/bin/sh' failed with status 3: out\nerr");
	assert_int_equal(proc_run(quiet, &e), -1);
	assert_string_equal(e.message, "'/bin/sh' failed with status 1");
	assert_int_equal(proc_run(killed, &e), -1);
	assert_string_equal(e.message, "'/bin/sh' was killed by signal 9");
	expect_no_children();
}

static void test_run_passes_nothing_on(void **state)
{
	/* Only what the shell itself sets may be in its environment; stdin is at its end. */
	static const char script[] =
		"read x && exit 9; "
		"[ -z \"$STACKER_SECRET$HOME$PATH_INFO$LANG\" ] || exit 8; "
		"[ \"$(readlink /proc/self/fd/0)\" = /dev/null ] || exit 6; "
		"for fd in 3 4 5 6 7 8 9; do [ ! -e /proc/self/fd/$fd ] || exit 5; done; "
		"exit 4";
	static const char *const argv[] = {SH, "-c", script, NULL};
	struct err e = ERR_INIT;
	AUTO_CLOSE int secret = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_true(secret >= 0);
	assert_int_equal(setenv("STACKER_SECRET", "x", 1), 0);
	assert_int_equal(proc_run(argv, &e), -1);
	assert_non_null(strstr(e.message, "status 4"));
}

static void test_run_of_what_cannot_be_run(void **state)
{
	static const char *const absent[] = {"/nonexistent/helper", NULL};
	static const char *const relative[] = {"sh", NULL};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(proc_run(absent, &e), -1);
	expect_err(&e, ERR_SYSTEM, "system/call");
	assert_int_equal(e.saved_errno, ENOENT);
	assert_non_null(strstr(e.message, "'/nonexistent/helper'"));
	expect_bug(assert_int_equal(proc_run(relative, &e), 0));
}

static void test_run_survives_floods_and_daemons(void **state)
{
	static const char *const flood[] = {SH, "-c",
					    "i=0; while [ $i -lt 3000 ]; do echo "
					    "01234567890123456789012345678901234567890123456789"
					    "01234567890123456789; i=$((i+1)); done; exit 2",
					    NULL};
	static const char *const daemon[] = {SH, "-c", "sleep 30 & exit 2", NULL};
	struct err e = ERR_INIT;
	uint64_t start = clock_monotonic_ms();

	(void)state;
	assert_int_equal(proc_run(flood, &e), -1);
	assert_non_null(strstr(e.message, "status 2"));
	/* What it leaves behind holds the pipe open; waiting for that would take 30 s. */
	assert_int_equal(proc_run(daemon, &e), -1);
	assert_string_equal(e.message, "'/bin/sh' failed with status 2");
	assert_true(clock_monotonic_ms() - start < 20000);
}

/* Runs in a child: 0 is success, else the number of the step that failed. */
static int interruption_scenario(int signal_number)
{
	struct proc p = PROC_INIT;
	struct err e = ERR_INIT;
	struct proc_status status;
	bool is_child = false, ended = false;

	if (proc_interrupted(&e) || e.code != ERR_NONE)
		return 1;
	int fd = proc_interrupt_fd();
	if (fd < 0 || proc_interrupt_fd() != fd || proc_interrupted(NULL))
		return 2;
	if (proc_fork(&p, &is_child, &e) < 0)
		return 3;
	if (is_child) {
		nap_ms(50);
		kill(getppid(), signal_number);
		nap_ms(60000);
		_exit(0);
	}
	if (proc_wait(&p, -1, &ended, &status, &e) == 0 || e.code != ERR_INTERRUPTED)
		return 4;
	/* Seen by everybody from now on, not just by the first who looks. */
	if (!proc_interrupted(NULL) || !proc_interrupted(&e))
		return 5;
	static const char *const argv[] = {SH, "-c", "sleep 60", NULL};
	if (proc_run(argv, &e) == 0 || e.code != ERR_INTERRUPTED)
		return 6;
	proc_cleanup(&p);
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : 7;
}

static void expect_interruption(int signal_number)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(20);
		_exit(interruption_scenario(signal_number));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_interruption_ends_waits(void **state)
{
	(void)state;
	expect_interruption(SIGINT);
	expect_interruption(SIGTERM);
}

/* Helpers start with an empty signal mask, though ours blocks SIGTERM by then. */
static void test_helpers_can_be_interrupted(void **state)
{
	static const char *const argv[] = {SH, "-c", "kill -TERM $$; exit 0", NULL};
	int status = -1;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct err e = ERR_INIT;

		proc_interrupt_fd();
		_exit(proc_run(argv, &e) < 0 && strstr(e.message, "signal 15") ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A Ctrl-C reaches them too, and may end them before we have looked. */
static void test_helper_dies_of_our_interruption(void **state)
{
	static const char *const argv[] = {SH, "-c", "kill -INT $PPID; kill -INT $$; exit 0",
					   NULL};
	int status = -1;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct err e = ERR_INIT;

		signal(SIGINT, SIG_DFL); /* a shell's background job has it ignored */
		proc_interrupt_fd();
		_exit(proc_run(argv, &e) < 0 && e.code == ERR_INTERRUPTED ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_cleanup_of_nothing(void **state)
{
	struct proc none = PROC_INIT;
	struct proc zeroed = {0};

	(void)state;
	proc_cleanup(&none);
	proc_cleanup(&zeroed);
	assert_int_not_equal(fcntl(STDIN_FILENO, F_GETFD), -1);
}

static void test_cpus_are_those_that_we_may_use(void **state)
{
	(void)state;
	cpu_set_t before, one;
	int first = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	assert_int_equal(proc_cpus(), CPU_COUNT(&before));
	while (!CPU_ISSET(first, &before))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	unsigned cpus = proc_cpus();
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	assert_int_equal(cpus, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_status_comes_back),
		cmocka_unit_test(test_signal_comes_back),
		cmocka_unit_test(test_timeout_leaves_the_child_running),
		cmocka_unit_test(test_child_dies_with_its_parent),
		cmocka_unit_test(test_run_succeeds_silently),
		cmocka_unit_test(test_run_reports_status_and_output),
		cmocka_unit_test(test_run_passes_nothing_on),
		cmocka_unit_test(test_run_of_what_cannot_be_run),
		cmocka_unit_test(test_run_survives_floods_and_daemons),
		cmocka_unit_test(test_interruption_ends_waits),
		cmocka_unit_test(test_helpers_can_be_interrupted),
		cmocka_unit_test(test_helper_dies_of_our_interruption),
		cmocka_unit_test(test_cleanup_of_nothing),
		cmocka_unit_test(test_cpus_are_those_that_we_may_use),
	};

	return cmocka_run_group_tests_name("util/proc", tests, NULL, NULL);
}
