/* Limits at their edges: what is counted, what is said, and that control groups come and go. */
#include "sandbox_fixture.h"

#include <sys/file.h>

#include "sandbox/cgroup_internal.h"
#include "sandbox/limits.h"

static void expect_text(enum sandbox_limit limit, const struct sandbox_limits *limits,
			const char *wanted)
{
	char text[SANDBOX_LIMIT_TEXT_MAX];
	sandbox_limit_format(limit, limits, text);
	assert_string_equal(text, wanted);
}

static void test_words(void **state)
{
	(void)state;
	const struct sandbox_limits limits = {.memory_bytes = 2 * GIB,
					      .processes = 4096,
					      .disk_bytes = 1536 * KIB,
					      .files = 7,
					      .wall_ms = 90000,
					      .log_bytes = KIB + 1};
	expect_text(SANDBOX_LIMIT_MEMORY, &limits, "2 GiB");
	expect_text(SANDBOX_LIMIT_PROCESSES, &limits, "4096");
	expect_text(SANDBOX_LIMIT_DISK, &limits, "1536 KiB");
	expect_text(SANDBOX_LIMIT_FILES, &limits, "7");
	expect_text(SANDBOX_LIMIT_TIME, &limits, "90 s");
	expect_text(SANDBOX_LIMIT_LOG, &limits, "1025 bytes");
	const struct sandbox_limits times[] = {
		{.wall_ms = 21600000}, {.wall_ms = 120000}, {.wall_ms = 300}};
	expect_text(SANDBOX_LIMIT_TIME, &times[0], "6 h");
	expect_text(SANDBOX_LIMIT_TIME, &times[1], "2 m");
	expect_text(SANDBOX_LIMIT_TIME, &times[2], "300 ms");
	expect_err(sandbox_limit_reached(SANDBOX_LIMIT_MEMORY, "x", &limits, NULL, &err),
		   "sandbox/memory-limit");
	assert_string_equal(err.message,
			    "the step of 'x' ran out of memory (limit 2 GiB, raise with "
			    "'limits: {memory: ...}' under 'config')");
}

static enum sandbox_limit exceeded(const char *dir, uint64_t disk_bytes, uint64_t files)
{
	const struct sandbox_limits limits = {.disk_bytes = disk_bytes, .files = files};
	struct sandbox_usage usage;
	enum sandbox_limit limit;
	AUTO_CLOSE int fd = openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	expect_ok(sandbox_usage_count(fd, &limits, &usage, &limit, &err));
	return limit;
}

static void test_usage(void **state)
{
	(void)state;
	struct sandbox_usage usage;
	enum sandbox_limit limit;
	const struct sandbox_limits none = {0};
	AUTO_FREE char *dir = path_join(fx.dir, "roots/count");
	/* Two names of one file are two entries and the bytes of one; a link is not followed.
	 */
	shell("mkdir -p $1/d/e; head -c 40000 /dev/urandom > $1/d/f; ln $1/d/f $1/d/e/g;"
	      "ln -s / $1/link",
	      dir);
	fixture_own(&fx);
	AUTO_CLOSE int fd = openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	expect_ok(sandbox_usage_count(fd, &none, &usage, &limit, &err));
	assert_int_equal(usage.files, 5);
	assert_in_range(usage.bytes, 40000, 79999);
	assert_int_equal(limit, SANDBOX_LIMIT_NONE);
	assert_int_equal(exceeded(dir, usage.bytes, usage.files), SANDBOX_LIMIT_NONE);
	assert_int_equal(exceeded(dir, usage.bytes - 1, usage.files), SANDBOX_LIMIT_DISK);
	assert_int_equal(exceeded(dir, usage.bytes, usage.files - 1), SANDBOX_LIMIT_FILES);
}

/* A step that met a limit fails although it ended well. */
static void test_survivor(void **state)
{
	(void)state;
	const struct sandbox_limits limits = {.processes = 20};
	struct sandbox_result result;
	fixture_renew(&fx);
	struct sandbox_spec spec = fixture_spec(
		&fx, "#!/bin/sh\n(for i in $(seq 60); do sleep 1 & done; wait) || true\n"
		     "sleep 1\nexit 0\n");
	spec.limits = &limits;
	expect_err(sandbox_run(&spec, &result, &err), "sandbox/process-limit");
	assert_int_equal(result.evidence.limit, SANDBOX_LIMIT_PROCESSES);
}

static void test_memory(void **state)
{
	(void)state;
	const struct sandbox_limits small = {.memory_bytes = 32 * MIB};
	const struct sandbox_limits enough = {.memory_bytes = 256 * MIB};
	const char *script = "#!/bin/sh\nx=$(head -c 50000000 /dev/zero | tr '\\0' x); echo "
			     "${#x}\n";
	struct sandbox_result result;
	fixture_renew(&fx);
	struct sandbox_spec spec = fixture_spec(&fx, script);
	spec.limits = &small;
	expect_err(sandbox_run(&spec, &result, &err), "sandbox/memory-limit");
	assert_int_equal(result.evidence.limit, SANDBOX_LIMIT_MEMORY);
	fixture_renew(&fx);
	spec.limits = &enough;
	expect_ok(sandbox_run(&spec, &result, &err));
	assert_string_equal(buf_text(&fx.output), "50000000\n");
	assert_int_equal(result.evidence.limit, SANDBOX_LIMIT_NONE);
	assert_true(result.evidence.memory_peak_bytes > 0);
}

/* More than is free, whatever that is: the reserve of this file system is its twentieth. */
static void test_reserve(void **state)
{
	(void)state;
	struct sandbox_result result;
	AUTO_FREE char *dir = path_join(fx.dir, "roots/small");
	if (geteuid() != 0)
		return; /* mounting takes root; the rule is the same */
	shell("mkdir $1 && mount -t tmpfs -o size=20m tmpfs $1 && mkdir $1/upper $1/work"
	      " && chmod -R a+rwx $1 && head -c 20200000 /dev/zero > $1/full",
	      dir);
	AUTO_CLOSE int roots = openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct sandbox_spec spec = fixture_spec(&fx, "#!/bin/sh\nexit 0\n");
	spec.roots_fd = roots;
	int r = sandbox_run(&spec, &result, &err);
	shell("umount -l $1 && rmdir $1", dir);
	assert_int_equal(r, -1);
	assert_string_equal(err.id, "sandbox/disk-reserve");
}

/* A hierarchy whose files do not behave gives no group, no error, and leaves nothing. */
static void test_no_cgroup(void **state)
{
	(void)state;
	static const char *const memberships[] = {
		"0::/\n",     "0::/a\n4:memory:/\n8:pids:/\n", "", "garbage\n::\n:::\n",
		"0::/../x\n",
	};
	const struct sandbox_limits limits = {.memory_bytes = MIB, .processes = 5};
	AUTO_FREE char *dir = path_join(fx.dir, "roots/fake");
	shell("mkdir -p $1/a $1/memory $1/pids;"
	      "for d in $1 $1/a; do echo 'cpu memory pids' > $d/cgroup.controllers;"
	      " echo 'memory pids' > $d/cgroup.subtree_control; done",
	      dir);
	for (size_t i = 0; i < ARRAY_LEN(memberships); i++) {
		struct cgroup c;
		cgroup_create(&c, dir, memberships[i], &limits);
		assert_int_equal(c.memory.kind, EVIDENCE_CGROUP_NONE);
		assert_int_equal(cgroup_limits_pids(&c), EVIDENCE_CGROUP_NONE);
		assert_int_equal(cgroup_reached(&c), SANDBOX_LIMIT_NONE);
		cgroup_cleanup(&c);
	}
	shell("test -z \"$(find $1 -name 'stacker-step-*')\"", dir);
	fixture_own(&fx);
}

/* Not so in a container or a chroot that was given none. */
static bool groups_are_mounted(void)
{
	AUTO(buf) mounts = BUF_INIT(MIB);
	struct err e = ERR_INIT;
	assert_int_equal(path_read_file(AT_FDCWD, "/proc/self/mounts", &mounts, &e), 0);
	return strstr(buf_text(&mounts), " cgroup") != NULL;
}

static void test_left_groups(void **state)
{
	(void)state;
	const struct sandbox_limits limits = {.memory_bytes = 64 * MIB, .processes = 50};
	struct cgroup c;
	cgroup_create_here(&c, &limits);
	if (c.memory.kind == EVIDENCE_CGROUP_NONE) {
		assert_true(geteuid() != 0 || !groups_are_mounted());
		return; /* what an ordinary user gets where nothing is delegated */
	}
	int parent = c.memory.parent_fd;
	assert_int_equal(mkdirat(parent, "stacker-step-1-2-left", 0755), 0);
	assert_int_equal(mkdirat(parent, "stacker-step-1-2-used", 0755), 0);
	int used = openat(parent, "stacker-step-1-2-used", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(used, LOCK_EX), 0);
	struct cgroup other;
	cgroup_create_here(&other, &limits);
	assert_int_equal(faccessat(parent, "stacker-step-1-2-left", F_OK, 0), -1);
	assert_int_equal(faccessat(parent, "stacker-step-1-2-used", F_OK, 0), 0);
	assert_int_equal(faccessat(parent, c.memory.name, F_OK, 0), 0);
	close(used);
	assert_int_equal(unlinkat(parent, "stacker-step-1-2-used", AT_REMOVEDIR), 0);
	char name[CGROUP_NAME_MAX];
	snprintf(name, sizeof(name), "%s", other.memory.name);
	cgroup_cleanup(&other);
	assert_int_equal(faccessat(parent, name, F_OK, 0), -1);
	cgroup_cleanup(&c);
}

/* The group's name does not reach the step. */
static void test_cgroup_does_not_show(void **state)
{
	(void)state;
	fixture_step(&fx,
		     "#!/bin/sh\ngrep -v ':/$' /proc/self/cgroup; cat /proc/self/cpuset\n");
	assert_null(strstr(buf_text(&fx.output), "stacker"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),	    cmocka_unit_test(test_usage),
		cmocka_unit_test(test_survivor),    cmocka_unit_test(test_memory),
		cmocka_unit_test(test_reserve),	    cmocka_unit_test(test_no_cgroup),
		cmocka_unit_test(test_left_groups), cmocka_unit_test(test_cgroup_does_not_show),
	};
	int failed = cmocka_run_group_tests(tests, fixture_setup_shell, fixture_teardown);
	return (failed != 0) | (again_as_user() != 0);
}
