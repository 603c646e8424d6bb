/* Programs of the machine as tools: what they get, what they print, what they cannot do. */
#include "sandbox_fixture.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "sandbox/tool.h"

static struct sandbox_tool tool_of(const char *const *argv)
{
	static const char *const env[] = {"LC_ALL=C", NULL};
	return (struct sandbox_tool){.idmap = &fx.ids,
				     .policy = &fx.policy,
				     .program = argv[0],
				     .package = "a-package",
				     .argv = argv,
				     .env = env,
				     .in_fd = -1,
				     .out_fd = -1,
				     .memory_bytes = GIB,
				     .file_bytes = MIB,
				     .time_limit_ms = 20000};
}

static int run(const struct sandbox_tool *t, struct buf *output)
{
	err = (struct err)ERR_INIT;
	return sandbox_tool_run(t, output, &err);
}

/* A shell script as the tool. */
static int run_script(const char *script, struct buf *output)
{
	const char *const argv[] = {"bash", "-c", script, NULL};
	const struct sandbox_tool t = tool_of(argv);
	return run(&t, output);
}

static void test_output_and_environment(void **state)
{
	(void)state;
	AUTO(buf) output = BUF_INIT(MIB);
	const char *const argv[] = {"env", "-0", NULL};
	const struct sandbox_tool t = tool_of(argv);
	expect_ok(run(&t, &output));
	assert_int_equal(output.len, sizeof("LC_ALL=C"));
	assert_string_equal(buf_text(&output), "LC_ALL=C");
}

static void test_missing_program_names_package(void **state)
{
	(void)state;
	const char *const argv[] = {"no-such-program-1", NULL};
	const struct sandbox_tool t = tool_of(argv);
	expect_err(run(&t, NULL), "sandbox/tool-missing");
	assert_string_equal(err.hint, "install the package a-package");
}

static void test_failure_says_last_words(void **state)
{
	(void)state;
	expect_err(run_script("echo one; printf 'tw\\x1bo\\n' >&2; exit 3", NULL),
		   "sandbox/tool-failed");
	assert_string_equal(err.message, "'bash' failed with exit code 3: one;tw?o");
	expect_err(run_script("kill -SEGV $$", NULL), "sandbox/tool-failed");
	expect_err(run_script("ulimit -s 100; f() { f; }; f", NULL), "sandbox/tool-failed");
	assert_non_null(strstr(err.message, "signal 11"));
}

static void test_streams(void **state)
{
	(void)state;
	char got[8] = {0};
	const char *const argv[] = {"tr", "a-z", "A-Z", NULL};
	struct sandbox_tool t = tool_of(argv);
	AUTO_CLOSE int in = memfd_create("in", MFD_CLOEXEC);
	AUTO_CLOSE int out = memfd_create("out", MFD_CLOEXEC);
	assert_int_equal(pwrite(in, "hello", 5, 0), 5);
	t.in_fd = in;
	t.out_fd = out;
	expect_ok(run(&t, NULL));
	assert_int_equal(pread(out, got, sizeof(got), 0), 5);
	assert_string_equal(got, "HELLO");
}

/* Nothing of the machine but its programs; no process of it, no network, no device. */
static void test_reach(void **state)
{
	(void)state;
	AUTO(buf) output = BUF_INIT(MIB);
	expect_ok(run_script(
		"cd /; for f in *; do [ -L $f ] || echo -n \"$f \"; done; echo $$ $UID",
		&output));
	assert_non_null(strstr(buf_text(&output), "usr"));
	assert_non_null(strstr(buf_text(&output), " 0\n"));
	assert_null(strstr(buf_text(&output), "etc"));
	assert_null(strstr(buf_text(&output), "proc"));
	assert_null(strstr(buf_text(&output), "dev"));
	expect_err(run_script("echo > /usr/x", NULL), "sandbox/tool-failed");
	expect_err(run_script("echo > /x", NULL), "sandbox/tool-failed");
	expect_err(run_script("exec 3<>/dev/tcp/127.0.0.1/22", NULL), "sandbox/tool-failed");
	expect_err(run_script("unshare -r true", NULL), "sandbox/tool-failed");
	expect_err(run_script("mount -t tmpfs none /usr", NULL), "sandbox/tool-failed");
}

static void test_output_directory(void **state)
{
	(void)state;
	const char *const argv[] = {"bash", "-c", "echo made >/out/file", NULL};
	struct sandbox_tool t = tool_of(argv);
	AUTO_CLOSE int fd = -1;
	fixture_dir(&fx, "out");
	fd = openat(fx.roots_fd, "out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct sandbox_bind bind = {.fd = fd, .name = "out"};
	t.binds = &bind;
	t.binds_len = 1;
	expect_ok(run(&t, NULL));
	assert_int_equal(faccessat(fd, "file", F_OK, 0), 0);
	const struct sandbox_bind read_only = {.fd = fd, .name = "out", .read_only = true};
	t.binds = &read_only;
	expect_err(run(&t, NULL), "sandbox/tool-failed");
}

static void test_limits(void **state)
{
	(void)state;
	/* What is printed without end is cut, not collected. */
	AUTO(buf) output = BUF_INIT(SANDBOX_TOOL_OUTPUT_BYTES);
	expect_ok(run_script("i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done",
			     &output));
	assert_true(output.len > 0 && output.len <= SANDBOX_TOOL_OUTPUT_BYTES);

	const char *const sleeper[] = {"sleep", "60", NULL};
	struct sandbox_tool t = tool_of(sleeper);
	t.time_limit_ms = 1000;
	uint64_t start_ms = clock_monotonic_ms();
	expect_err(run(&t, NULL), "sandbox/worker-time");
	assert_string_equal(err.message, "the tool took longer than 1 seconds");
	assert_true(clock_monotonic_ms() - start_ms < 10000);

	const char *const hog[] = {"dd", "bs=200000000", "count=1", NULL};
	t = tool_of(hog);
	t.memory_bytes = 100 * MIB;
	expect_err(run(&t, NULL), "sandbox/tool-failed");
	t.memory_bytes = GIB;
	expect_ok(run(&t, NULL));

	const char *const writer[] = {"head", "-c", "1048577", "/usr/bin/bash", NULL};
	AUTO_CLOSE int out = memfd_create("out", MFD_CLOEXEC);
	t = tool_of(writer);
	t.out_fd = out;
	expect_err(run(&t, NULL), "sandbox/tool-failed");
	t.file_bytes = MIB + 1;
	assert_int_equal(lseek(out, 0, SEEK_SET), 0);
	expect_ok(run(&t, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output_and_environment),
		cmocka_unit_test(test_missing_program_names_package),
		cmocka_unit_test(test_failure_says_last_words),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_reach),
		cmocka_unit_test(test_output_directory),
		cmocka_unit_test(test_limits),
	};
	int failed = cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
	return (failed != 0) | (again_as_user() != 0);
}
