/* What cannot be isolated is refused with the reason and a remedy, never run anyway (SEC SB56).
 */
#include "sandbox_fixture.h"

#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "sandbox/meter_internal.h"

static int work(int (*prepare)(void *, struct err *))
{
	struct sandbox_bind bind = {fx.roots_fd, "rw", false, false};
	struct sandbox_worker w = {.idmap = &fx.ids,
				   .policy = &fx.policy,
				   .binds = &bind,
				   .binds_len = 1,
				   .role = POLICY_UNPACKER,
				   .prepare = prepare,
				   .run = fixture_do_nothing};
	err = (struct err)ERR_INIT;
	return sandbox_worker_run(&w, NULL, &err);
}

/* Runs `scenario` in a child that becomes `uid`, if it can; 0: as expected. */
static void expect_in_child(int (*scenario)(void), uid_t uid)
{
	int status = -1;
	pid_t pid = fork();
	if (pid == 0) {
		bool is_other = geteuid() != 0 ||
				(setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 &&
				 setresuid(uid, uid, uid) == 0);
		_exit(is_other ? scenario() : 99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int without_subids(void)
{
	struct sandbox_idmap map;
	if (sandbox_idmap_find(&map, &err) == 0 || strcmp(err.id, "sandbox/no-subids") != 0)
		return 1;
	return strstr(err.hint, "usermod") || strstr(err.hint, "/etc/subuid") ? 0 : 2;
}

static void test_user_without_subordinate_ids(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return; /* only root can become a user that nobody made; it did, or will */
	expect_in_child(without_subids, 54321);
}

/* Root is not held by it; the one who is, is told. */
static int without_processes(void)
{
	const struct rlimit none = {0, 0};
	if (setrlimit(RLIMIT_NPROC, &none) < 0)
		return 98;
	if (work(NULL) == 0 || strcmp(err.id, "sandbox/namespaces") != 0)
		return 1;
	return strstr(err.hint, "too many processes") ? 0 : 2;
}

static void test_user_with_too_many_processes(void **state)
{
	(void)state;
	expect_in_child(without_processes, 54321);
}

static int refuse_setns(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int r = filter ? seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(setns), 0)
		       : -1;
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

/* newuidmap cannot raise itself once there are no new privileges, but was needed for the first
 * sandbox only. */
static int without_setns(void)
{
	if (work(NULL) < 0)
		return 1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || work(NULL) < 0)
		return 2;
	if (refuse_setns() < 0)
		return 98;
	if (work(NULL) == 0 || strcmp(err.id, "sandbox/namespaces") != 0)
		return 3;
	return strstr(err.hint, "setns") ? 0 : 4;
}

static void test_user_without_setns(void **state)
{
	(void)state;
	if (geteuid() != 0) /* root's sandboxes are in no outer namespace */
		expect_in_child(without_setns, geteuid());
}

static int mount_what_is_missing(void *ctx, struct err *e)
{
	static const char *const lowers[] = {"no-such-layer", "base"};
	(void)ctx;
	const struct sandbox_overlay o = {
		.base = "rw", .lowers = lowers, .lowers_len = 2, .target = "view"};
	return sandbox_overlay_mount(&o, e);
}

static void test_overlay_of_what_is_missing(void **state)
{
	(void)state;
	assert_int_equal(work(mount_what_is_missing), -1);
	assert_int_not_equal(err.code, ERR_NONE);
	assert_int_not_equal(err.code, ERR_BUG);
}

/* With less of /proc hidden than usual, masks are what hides: files as empty, directories too.
 */
static void test_masks_of_proc(void **state)
{
	(void)state;
	/* A step sees nothing of process 1 in any case, but it sees what is mounted. */
	static const char script[] =
		"#!/bin/sh\nn=0\n"
		"while read -r line; do case $line in\n"
		"*' /proc/1/environ '*|*' /proc/1/net '*) n=$((n + 1)) ;;\n"
		"esac; done </proc/self/mountinfo\nexit $n\n";
	struct strvec before = fx.policy.proc_masked;
	fx.policy.proc_masked = (struct strvec){0};
	strvec_push(&fx.policy.proc_masked, "1/environ");
	strvec_push(&fx.policy.proc_masked, "1/net");
	strvec_push(&fx.policy.proc_masked, "no-such-file");
	int code = fixture_step(&fx, script);
	strvec_cleanup(&fx.policy.proc_masked);
	fx.policy.proc_masked = before;
	assert_int_equal(code, 2);
}

/* Not exact: other processes have memory files as well. */
static void test_memory_files_are_counted(void **state)
{
	(void)state;
	AUTO_CLOSE int proc = openat(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int file = memfd_create("counted", MFD_CLOEXEC);
	AUTO_CLOSE int twice = dup(file);
	AUTO(buf) b = BUF_INIT(64 * MIB);
	assert_true(proc >= 0 && twice >= 0);
	for (size_t i = 0; i < 64 * KIB; i++)
		buf_add(&b, "0123456789abcdef", 16);
	for (int i = 0; i < 32; i++)
		expect_ok(path_write_all(file, b.data, b.len, "memfd", &err));
	assert_true(memfd_bytes(proc) >= 32 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_without_subordinate_ids),
		cmocka_unit_test(test_user_with_too_many_processes),
		cmocka_unit_test(test_user_without_setns),
		cmocka_unit_test(test_overlay_of_what_is_missing),
		cmocka_unit_test(test_masks_of_proc),
		cmocka_unit_test(test_memory_files_are_counted),
	};
	int failed = cmocka_run_group_tests(tests, fixture_setup_shell, fixture_teardown);
	return (failed != 0) | (again_as_user() != 0);
}
