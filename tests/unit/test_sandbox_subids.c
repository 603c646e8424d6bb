/* Ranges of subordinate ids: which one a user gets, and what else stays as it was. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "sandbox/subids.h"
#include "util/mem.h"
#include "util/path.h"

static char dir[64];
static int etc_fd;

static int start(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "%s/stacker-test-XXXXXX", P_tmpdir);
	assert_non_null(mkdtemp(dir));
	etc_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return etc_fd < 0;
}

static int end(void **state)
{
	(void)state;
	(void)unlinkat(etc_fd, "subuid", 0);
	(void)unlinkat(etc_fd, "subuid.lock", 0);
	close(etc_fd);
	return rmdir(dir);
}

static void write_text(const char *name, const char *text, mode_t mode)
{
	struct err e = ERR_INIT;
	AUTO_CLOSE int fd = openat(etc_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(path_write_all(fd, text, strlen(text), name, &e), 0);
}

static void expect_file(const char *text)
{
	struct err e = ERR_INIT;
	AUTO(buf) b = BUF_INIT(4096);
	assert_int_equal(path_read_file(etc_fd, "subuid", &b, &e), 0);
	assert_string_equal(buf_text(&b), text);
	/* The lock is gone with whoever held it. */
	assert_int_equal(faccessat(etc_fd, "subuid.lock", F_OK, 0), -1);
}

static void expect_range(const char *user, uint32_t uid, uint32_t first, bool added)
{
	struct err e = ERR_INIT;
	struct subids_range got;
	if (subids_ensure(etc_fd, "subuid", user, uid, &got, &e) < 0)
		fail_msg("%s", e.message);
	assert_int_equal(got.first, first);
	assert_int_equal(got.added, added);
}

static void expect_error(const char *user, const char *id)
{
	struct err e = ERR_INIT;
	struct subids_range got;
	assert_int_equal(subids_ensure(etc_fd, "subuid", user, 1000, &got, &e), -1);
	assert_string_equal(e.id, id);
}

static void test_makes_the_file(void **state)
{
	(void)state;
	struct stat st;
	expect_range("ann", 1000, 100000, true);
	expect_file("ann:100000:65536\n");
	assert_int_equal(fstatat(etc_fd, "subuid", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
}

static void test_adds_behind_all_others_and_only_once(void **state)
{
	(void)state;
	struct stat st;
	write_text("subuid", "# kept\nbob:300000:65536\nold:165536:10", 0600);
	expect_range("ann", 1000, 365536, true);
	expect_file("# kept\nbob:300000:65536\nold:165536:10\nann:365536:65536\n");
	expect_range("ann", 1000, 365536, false);
	expect_file("# kept\nbob:300000:65536\nold:165536:10\nann:365536:65536\n");
	assert_int_equal(fstatat(etc_fd, "subuid", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_finds_a_range_by_number_or_name(void **state)
{
	(void)state;
	write_text("subuid", "1000:500000:65536\nbob:600000:65535\n", 0644);
	expect_range("ann", 1000, 500000, false);
	expect_range("bob", 1001, 600000, false);
	expect_file("1000:500000:65536\nbob:600000:65535\n");
}

static void test_a_range_too_small_is_none(void **state)
{
	(void)state;
	write_text("subuid", "ann:500000:65534\n", 0644);
	expect_range("ann", 1000, 565534, true);
	expect_file("ann:500000:65534\nann:565534:65536\n");
}

static void test_refuses_names_that_cannot_stand_there(void **state)
{
	(void)state;
	char longest[258];
	memset(longest, 'a', sizeof(longest) - 1);
	longest[257] = '\0';
	expect_error("", "setup/user");
	expect_error("a:b", "setup/user");
	expect_error("a b", "setup/user");
	expect_error("a\n", "setup/user");
	expect_error("#a", "setup/user");
	expect_error("-a", "setup/user");
	expect_error(longest, "setup/user");
	expect_range(longest + 1, 1000, 100000, true);
}

static void test_waits_for_nobody(void **state)
{
	(void)state;
	write_text("subuid.lock", "1", 0600);
	expect_error("ann", "setup/locked");
	assert_int_equal(faccessat(etc_fd, "subuid", F_OK, 0), -1);
	assert_int_equal(faccessat(etc_fd, "subuid.lock", F_OK, 0), 0);
}

static void test_the_last_range(void **state)
{
	(void)state;
	write_text("subuid", "bob:4294836223:65536\n", 0644);
	expect_range("ann", 1000, 4294901759u, true);
	expect_error("eve", "setup/no-range");
	expect_file("bob:4294836223:65536\nann:4294901759:65536\n");
}

static void test_a_broken_file_stays(void **state)
{
	(void)state;
	write_text("subuid", "no range\n", 0644);
	expect_error("ann", "sandbox/subid-file");
	expect_file("no range\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_makes_the_file, start, end),
		cmocka_unit_test_setup_teardown(test_adds_behind_all_others_and_only_once,
						start, end),
		cmocka_unit_test_setup_teardown(test_finds_a_range_by_number_or_name, start,
						end),
		cmocka_unit_test_setup_teardown(test_a_range_too_small_is_none, start, end),
		cmocka_unit_test_setup_teardown(test_refuses_names_that_cannot_stand_there,
						start, end),
		cmocka_unit_test_setup_teardown(test_waits_for_nobody, start, end),
		cmocka_unit_test_setup_teardown(test_the_last_range, start, end),
		cmocka_unit_test_setup_teardown(test_a_broken_file_stays, start, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
