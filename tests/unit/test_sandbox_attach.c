/* Commands that a person runs to look around: their input, from a pipe or a terminal, and which
 * program it is. */
#include "sandbox_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static struct sandbox_spec command_spec(const char *const *argv, const char *const *programs)
{
	fixture_renew(&fx);
	struct sandbox_spec spec = fixture_spec(&fx, NULL);
	spec.argv = argv;
	spec.programs = programs;
	spec.attached = true;
	return spec;
}

/* Runs `call` with standard input from a pipe that holds `text` and has ended. */
#define WITH_INPUT(text, call)                                                                 \
	do {                                                                                   \
		int ends_[2], saved_ = fcntl(0, F_DUPFD_CLOEXEC, 10);                          \
		assert_true(saved_ >= 0);                                                      \
		assert_int_equal(pipe2(ends_, O_CLOEXEC), 0);                                  \
		assert_int_equal(write(ends_[1], (text), strlen(text)), strlen(text));         \
		close(ends_[1]);                                                               \
		assert_int_equal(dup2(ends_[0], 0), 0);                                        \
		close(ends_[0]);                                                               \
		call;                                                                          \
		assert_int_equal(dup2(saved_, 0), 0);                                          \
		close(saved_);                                                                 \
	} while (0)

static void test_a_command_reads_the_callers_input(void **state)
{
	(void)state;
	static const char *const argv[] = {"cat", NULL}, *const programs[] = {"/bin/cat", NULL};
	struct sandbox_result result;
	struct sandbox_spec spec = command_spec(argv, programs);
	WITH_INPUT("one\ntwo\n", expect_ok(sandbox_run(&spec, &result, &err)));
	assert_int_equal(result.exit_code, 0);
	assert_string_equal(buf_text(&fx.output), "one\ntwo\n");
}

static void test_a_command_need_not_read_it(void **state)
{
	(void)state;
	static const char *const argv[] = {"sh", "-c", "exec <&-; sleep 0.2; echo done", NULL},
				 *const programs[] = {"/bin/sh", NULL};
	struct sandbox_result result;
	struct sandbox_spec spec = command_spec(argv, programs);
	AUTO_FREE char *text = mem_zalloc(60001, 1);
	memset(text, 'x', 60000);
	WITH_INPUT(text, expect_ok(sandbox_run(&spec, &result, &err)));
	assert_string_equal(buf_text(&fx.output), "done\n");
}

static void test_the_first_program_that_exists_runs(void **state)
{
	(void)state;
	static const char *const argv[] = {"named", "-c", "echo $0; exit 3", NULL},
				 *const programs[] = {"/none/sh", "/etc/issue", "/bin/sh",
						      NULL};
	struct sandbox_result result;
	struct sandbox_spec spec = command_spec(argv, programs);
	WITH_INPUT("", expect_ok(sandbox_run(&spec, &result, &err)));
	assert_int_equal(result.exit_code, 3);
	assert_string_equal(buf_text(&fx.output), "named\n");
}

static void test_a_command_that_is_not_there(void **state)
{
	(void)state;
	static const char *const argv[] = {"none", NULL},
				 *const missing[] = {"/bin/none", "/none", NULL},
				 *const closed[] = {"/etc/issue", "/none", NULL};
	struct sandbox_result result;
	struct sandbox_spec spec = command_spec(argv, missing);
	WITH_INPUT("", expect_err(sandbox_run(&spec, &result, &err), "sandbox/exec"));
	assert_string_equal(err.message, "step of 'test': cannot execute 'none' in the image: "
					 "No such file or directory");
	assert_string_not_equal(err.hint, "");
	spec = command_spec(argv, closed);
	WITH_INPUT("", expect_err(sandbox_run(&spec, &result, &err), "sandbox/exec"));
	assert_string_equal(
		err.message,
		"step of 'test': cannot execute 'none' in the image: Permission denied");
}

/* A terminal as standard input and output; its other side. */
static int take_terminal(void)
{
	const struct winsize size = {.ws_row = 33, .ws_col = 77};
	int unlock = 0;
	int ours = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (ours < 0 || ioctl(ours, TIOCSPTLCK, &unlock) < 0 ||
	    ioctl(ours, TIOCSWINSZ, &size) < 0)
		return -1;
	int theirs = ioctl(ours, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (theirs < 0 || dup2(theirs, 0) < 0 || dup2(theirs, 1) < 0)
		return -1;
	return ours;
}

/* Types what a person would, once the terminal passes everything on. */
static void type(int ours)
{
	static const char typed[] = "typed\n\004";
	const struct timespec pause = {.tv_nsec = 1000000};
	struct termios now;
	alarm(30);
	while (tcgetattr(0, &now) == 0 && (now.c_lflag & ICANON) != 0)
		nanosleep(&pause, NULL);
	_exit(write(ours, typed, sizeof(typed) - 1) == (ssize_t)sizeof(typed) - 1 ? 0 : 1);
}

/* In a child: 0 if the step saw a terminal, read a line and the end of its input. */
static int run_on_terminal(const struct sandbox_spec *spec)
{
	struct sandbox_result result;
	struct err e = ERR_INIT;
	struct termios before, after;
	alarm(30);
	int ours = take_terminal();
	if (ours < 0 || tcgetattr(0, &before) < 0)
		return 10;
	pid_t typist = fork();
	if (typist == 0)
		type(ours);
	if (typist < 0 || sandbox_run(spec, &result, &e) < 0)
		return 11;
	if (result.exit_code != 0)
		return 20 + result.exit_code;
	if (waitpid(typist, NULL, 0) != typist || tcgetattr(0, &after) < 0)
		return 12;
	if (after.c_lflag != before.c_lflag)
		return 13;
	/* What the terminal echoes stands between. */
	return strstr(buf_text(&fx.output), "33 77\r\n") &&
			       strstr(buf_text(&fx.output), "read typed\r\n")
		       ? 0
		       : 14;
}

static void test_a_terminal_of_its_own(void **state)
{
	(void)state;
	static const char *const argv[] =
		{"sh", "-c",
		 "[ -t 0 ] && [ -t 1 ] || exit 1; stty size; read -r x; echo \"read $x\";"
		 "cat >/dev/null; : </dev/tty",
		 NULL},
				 *const programs[] = {"/bin/sh", NULL};
	struct sandbox_spec spec = command_spec(argv, programs);
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(run_on_terminal(&spec));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_command_reads_the_callers_input),
		cmocka_unit_test(test_a_command_need_not_read_it),
		cmocka_unit_test(test_the_first_program_that_exists_runs),
		cmocka_unit_test(test_a_command_that_is_not_there),
		cmocka_unit_test(test_a_terminal_of_its_own),
	};
	int failed = cmocka_run_group_tests(tests, fixture_setup_shell, fixture_teardown);
	return (failed != 0) | (again_as_user() != 0);
}
