/* Locks: one holder or many, never waiting, and who holds it is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/lock.h"
#include "util/mem.h"
#include "util/path.h"

static int dir_fd = -1;

static int make_dir(void **state)
{
	static char path[] = "/tmp/stacker-lock-XXXXXX";
	(void)state;
	if (!mkdtemp(path))
		return -1;
	dir_fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = path;
	return dir_fd < 0 ? -1 : 0;
}

static int remove_dir(void **state)
{
	struct err e = ERR_INIT;
	const char *path = *state;
	AUTO_CLOSE int parent = openat(AT_FDCWD, "/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(dir_fd);
	return path_remove_tree(parent, strrchr(path, '/') + 1, &e);
}

static void names_the_holder(void **state)
{
	AUTO_CLOSE int first = -1;
	int second = -1;
	struct err e = ERR_INIT;
	char wanted[128];
	(void)state;
	assert_int_equal(lock_acquire(dir_fd, ".lock", "here", &first, &e), 0);
	assert_int_equal(lock_acquire(dir_fd, ".lock", "here", &second, &e), -1);
	snprintf(wanted, sizeof(wanted),
		 "couldn't acquire lock on 'here': lock owned by pid %d", (int)getpid());
	assert_string_equal(e.message, wanted);
	assert_string_equal(e.id, "system/locked");
	assert_int_equal(second, -1);
}

static void is_shared_by_many_or_held_by_one(void **state)
{
	AUTO_CLOSE int a = -1;
	AUTO_CLOSE int b = -1;
	int c = -1;
	struct err e = ERR_INIT;
	(void)state;
	assert_int_equal(lock_acquire_shared(dir_fd, "s", "here", &a, &e), 0);
	assert_int_equal(lock_acquire_shared(dir_fd, "s", "here", &b, &e), 0);
	assert_int_equal(lock_acquire(dir_fd, "s", "here", &c, &e), -1);
	assert_int_equal(lock_make_exclusive(a, "here", &e), -1);
	mem_close_cleanup(&b);
	b = -1;
	assert_int_equal(lock_make_exclusive(a, "here", &e), 0);
	assert_int_equal(lock_acquire_shared(dir_fd, "s", "here", &c, &e), -1);
	mem_close_cleanup(&a);
	a = -1;
	assert_int_equal(lock_acquire(dir_fd, "s", "here", &a, &e), 0);
}

static void follows_no_link(void **state)
{
	int fd = -1;
	struct err e = ERR_INIT;
	(void)state;
	assert_int_equal(symlinkat("elsewhere", dir_fd, "link"), 0);
	assert_int_equal(lock_acquire_shared(dir_fd, "link", "here", &fd, &e), -1);
	assert_int_equal(faccessat(dir_fd, "elsewhere", F_OK, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_the_holder),
		cmocka_unit_test(is_shared_by_many_or_held_by_one),
		cmocka_unit_test(follows_no_link),
	};
	return cmocka_run_group_tests_name("util/lock", tests, make_dir, remove_dir);
}
