/* The compiled filter answers as its rules read; and the fetcher's confinement holds. */
#include "sandbox_fixture.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "sandbox/confine.h"
#include "sandbox/seccomp.h"

enum { TESTED = SYS_getpriority }; /* takes any arguments and harms nothing */

#define ALLOW(call)                                                                            \
	{                                                                                      \
		.name = (char *)(uintptr_t)(call), .number = -1                                \
	}

/* What a process needs to free memory, also with the sanitizers, and to end. */
static void add_end(struct sandbox_policy *p)
{
	struct policy_rule end[] = {ALLOW("exit_group"), ALLOW("mmap"), ALLOW("munmap"),
				    ALLOW("madvise"), ALLOW("sigaltstack")};
	for (size_t i = 0; i < ARRAY_LEN(end); i++)
		vec_push(&p->seccomp[POLICY_STEP], end[i]);
}

/* Loads `rules` and what freeing and ending need; the errno of getpriority(a, b), 0 for
 * success.
 */
static int answer(const struct policy_rule *rules, size_t len, uint64_t a, uint64_t b)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		struct sandbox_policy p = {0};
		add_end(&p);
		for (size_t i = 0; i < len; i++)
			vec_push(&p.seccomp[POLICY_STEP], rules[i]);
		if (sandbox_seccomp_load(&p, POLICY_STEP, &err) < 0)
			_exit(255);
		errno = 0;
		syscall(TESTED, a, b);
		_exit(errno);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#define RULE(errno_value, ...)                                                                 \
	{                                                                                      \
		.name = (char *)(uintptr_t) "getpriority", .number = -1,                       \
		.errno_ = (errno_value), .args = {__VA_ARGS__},                                \
		.args_len =                                                                    \
			sizeof((struct policy_arg[]){__VA_ARGS__}) / sizeof(struct policy_arg) \
	}

static void test_default(void **state)
{
	(void)state;
	assert_int_equal(answer(NULL, 0, 0, 0), ENOSYS);
	const struct policy_rule all = ALLOW("getpriority");
	assert_int_equal(answer(&all, 1, 0, 0), 0);
	const struct policy_rule number = {.number = TESTED};
	assert_int_equal(answer(&number, 1, 0, 0), 0);
	const struct policy_rule refuse = {.number = TESTED, .errno_ = EXDEV};
	assert_int_equal(answer(&refuse, 1, 0, 0), EXDEV);
}

/* getpriority(which = 0, who = 0) succeeds; which = 9 is EINVAL from the kernel itself. */
static void test_first_match_decides(void **state)
{
	(void)state;
	const struct policy_rule rules[] = {
		RULE(0, {0, 0xffffffff, 0, false}),
		RULE(EXDEV, {0, 0xffffffff, 9, false}),
		{.name = (char *)(uintptr_t) "getpriority", .number = -1, .errno_ = EDOM},
	};
	assert_int_equal(answer(rules, 3, 0, 0), 0);
	assert_int_equal(answer(rules, 3, UINT64_C(0x700000000), 0), 0);
	assert_int_equal(answer(rules, 3, 9, 0), EXDEV);
	assert_int_equal(answer(rules, 3, UINT64_C(0x100000009), 0), EXDEV);
	assert_int_equal(answer(rules, 3, 1, 0), EDOM);
	assert_int_equal(answer(rules, 2, 1, 0), ENOSYS);
}

static void test_high_half(void **state)
{
	(void)state;
	const struct policy_rule equal[] = {
		RULE(EXDEV, {1, UINT64_MAX, UINT64_C(0x500000003), false})};
	assert_int_equal(answer(equal, 1, 0, UINT64_C(0x500000003)), EXDEV);
	assert_int_equal(answer(equal, 1, 0, UINT64_C(0x600000003)), ENOSYS);
	assert_int_equal(answer(equal, 1, 0, UINT64_C(0x500000004)), ENOSYS);
	const struct policy_rule high[] = {
		RULE(EXDEV, {1, UINT64_C(0xf) << 32, UINT64_C(5) << 32, false})};
	assert_int_equal(answer(high, 1, 0, UINT64_C(0x5ffffffff)), EXDEV);
	assert_int_equal(answer(high, 1, 0, 0), ENOSYS);
}

static void test_negated(void **state)
{
	(void)state;
	const struct policy_rule whole[] = {
		RULE(EXDEV, {1, UINT64_MAX, UINT64_C(0x500000003), true})};
	assert_int_equal(answer(whole, 1, 0, UINT64_C(0x500000003)), ENOSYS);
	assert_int_equal(answer(whole, 1, 0, UINT64_C(0x600000003)), EXDEV);
	assert_int_equal(answer(whole, 1, 0, UINT64_C(0x500000004)), EXDEV);
	const struct policy_rule two[] = {RULE(EXDEV, {0, 0xff, 1, true}, {1, 0xff, 2, true})};
	assert_int_equal(answer(two, 1, 0, 0), EXDEV);
	assert_int_equal(answer(two, 1, 1, 0), ENOSYS);
	assert_int_equal(answer(two, 1, 0, 2), ENOSYS);
	const struct policy_rule mixed[] = {
		RULE(EXDEV, {0, UINT64_MAX, 1, true}, {1, 0xff, 2, false})};
	assert_int_equal(answer(mixed, 1, 0, 2), EXDEV);
	assert_int_equal(answer(mixed, 1, UINT64_C(1) << 40, 2), EXDEV);
	assert_int_equal(answer(mixed, 1, 1, 2), ENOSYS);
	assert_int_equal(answer(mixed, 1, 0, 3), ENOSYS);
}

static void expect_refused(struct policy_rule rule)
{
	struct sandbox_policy p = {0};
	vec_push(&p.seccomp[POLICY_STEP], rule);
	expect_err(sandbox_seccomp_load(&p, POLICY_STEP, &err), "sandbox/policy");
	vec_free(&p.seccomp[POLICY_STEP]);
}

static void test_refused(void **state)
{
	(void)state;
	struct sandbox_policy empty = {0};
	expect_err(sandbox_seccomp_load(&empty, POLICY_STEP, &err), "sandbox/policy");
	expect_refused((struct policy_rule)ALLOW("opennat"));
	assert_non_null(strstr(err.message, "'opennat'"));
	/* A name of another architecture is known and skipped; alone, it leaves nothing. */
	expect_refused((struct policy_rule)ALLOW("sync_file_range2"));
	assert_non_null(strstr(err.message, "empty"));
	expect_refused((struct policy_rule)RULE(0, {0, 0x0f, 0x10, false}));
	expect_refused((struct policy_rule)RULE(0, {0, 0, 0, false}));
	expect_refused((struct policy_rule)RULE(0, {6, 1, 1, false}));
}

/* More calls than a conditional jump spans, each with its own answer. */
static void test_many_calls(void **state)
{
	(void)state;
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		struct sandbox_policy p = {0};
		add_end(&p);
		for (int n = 1000; n < 1700; n++) {
			struct policy_rule r = {.number = n, .errno_ = n};
			vec_push(&p.seccomp[POLICY_STEP], r);
		}
		if (sandbox_seccomp_load(&p, POLICY_STEP, &err) < 0)
			_exit(255);
		int wrong = 0;
		for (int n = 1000; n < 1700; n++)
			wrong += syscall(n) != -1 || errno != n;
		wrong += syscall(1700) != -1 || errno != ENOSYS;
		wrong += syscall(999) != -1 || errno != ENOSYS;
		_exit(wrong != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int confined_wrongs(const struct sandbox_policy *policy, int dir_fd)
{
	char *const argv[] = {(char *)(uintptr_t) "/bin/true", NULL};
	bool landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
	if (sandbox_confine_fetcher(policy, &err) < 0)
		return 100;
	int wrong = 0;
	wrong += openat(AT_FDCWD, "/etc/resolv.conf", O_RDONLY) < 0 && errno != ENOENT;
	wrong += landlock && openat(AT_FDCWD, "/etc/passwd", O_RDONLY) >= 0;
	wrong += openat(AT_FDCWD, "/etc/resolv.conf", O_WRONLY) >= 0 || errno != EACCES;
	wrong += openat(dir_fd, "new", O_CREAT | O_WRONLY, 0600) >= 0;
	wrong += openat(dir_fd, ".", O_TMPFILE | O_RDWR, 0600) >= 0;
	wrong += unlinkat(dir_fd, "x", 0) == 0 || errno != ENOSYS;
	wrong += execve(argv[0], argv, argv + 1) == 0 || errno != ENOSYS;
	wrong += syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0 || errno != ENOSYS;
	wrong += syscall(SYS_ptrace, 0, 0, 0, 0) >= 0 || errno != ENOSYS;
	wrong += socket(AF_PACKET, SOCK_RAW, 0) >= 0 || errno != EAFNOSUPPORT;
	wrong += socket(AF_INET, SOCK_STREAM, 0) < 0;
	wrong += prctl(PR_GET_DUMPABLE) == 1; /* ENOSYS: it may not even ask */
	return wrong;
}

static void test_fetcher(void **state)
{
	(void)state;
	struct sandbox_policy policy;
	int status;
	fixture_policy(&policy);
	AUTO_CLOSE int dir = openat(AT_FDCWD, "/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t pid = fork();
	if (pid == 0)
		_exit(confined_wrongs(&policy, dir));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	sandbox_policy_cleanup(&policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default),	  cmocka_unit_test(test_first_match_decides),
		cmocka_unit_test(test_high_half), cmocka_unit_test(test_negated),
		cmocka_unit_test(test_refused),	  cmocka_unit_test(test_many_calls),
		cmocka_unit_test(test_fetcher),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	return (failed != 0) | (again_as_user() != 0);
}
