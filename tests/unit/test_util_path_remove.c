/* Removing hostile trees: too deep, without permissions, full of links, mounted on, changing.
 */
#include "util_test.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

static void test_files_links_and_absence(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;

	assert_int_equal(path_remove_tree(s->fd, "absent", &e), 0);
	put_file(s->fd, "f", "x");
	assert_int_equal(path_remove_tree(s->fd, "f", &e), 0);
	assert_false(name_exists(s->fd, "f"));
	assert_int_equal(mkdirat(s->fd, "victim", 0755), 0);
	put_file(s->fd, "victim/f", "kept");
	assert_int_equal(symlinkat("victim", s->fd, "link"), 0);
	assert_int_equal(path_remove_tree(s->fd, "link", &e), 0);
	assert_false(name_exists(s->fd, "link"));
	expect_file(s->fd, "victim/f", "kept");
}

static void test_tree_with_links_to_elsewhere(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	char name[32];

	assert_int_equal(mkdirat(s->fd, "victim", 0755), 0);
	put_file(s->fd, "victim/f", "kept");
	assert_int_equal(mkdirat(s->fd, "t", 0755), 0);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "t/d%u", i);
		assert_int_equal(mkdirat(s->fd, name, 0755), 0);
		snprintf(name, sizeof(name), "t/d%u/file", i);
		put_file(s->fd, name, "x");
		snprintf(name, sizeof(name), "t/d%u/link", i);
		assert_int_equal(symlinkat("../../victim", s->fd, name), 0);
	}
	assert_int_equal(mkfifoat(s->fd, "t/fifo", 0600), 0);
	assert_int_equal(path_remove_tree(s->fd, "t", &e), 0);
	assert_false(name_exists(s->fd, "t"));
	expect_file(s->fd, "victim/f", "kept");
}

/* Deeper than fds or PATH_MAX allow; each level also holds a file and a sibling. */
static void test_depth_needs_few_fds(void **state)
{
	enum { DEPTH = 3000 };
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	struct rlimit old, few = {.rlim_cur = 100, .rlim_max = 100};
	int at = dup(s->fd);

	for (unsigned i = 0; i < DEPTH; i++) {
		const char *name = i == 0 ? "t" : "dir-with-a-longer-name";

		assert_int_equal(mkdirat(at, name, 0755), 0);
		int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(at);
		at = next;
		if (i % 100 == 0) {
			put_file(at, "file", "x");
			assert_int_equal(mkdirat(at, "sibling", 0755), 0);
			put_file(at, "sibling/file", "x");
		}
	}
	close(at);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	int removed = path_remove_tree(s->fd, "t", &e);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(removed, 0);
	assert_false(name_exists(s->fd, "t"));
}

/* In a child without root's override of permissions; 0 is success. */
static int remove_as_ordinary_user(int dir_fd, const char *name)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		struct err e = ERR_INIT;

		if (geteuid() == 0 && (fchown(dir_fd, 65534, 65534) < 0 || setgid(65534) < 0 ||
				       setuid(65534) < 0))
			_exit(2);
		if (mkdirat(dir_fd, name, 0700) < 0 || openat(dir_fd, ".", O_RDONLY) < 0)
			_exit(3);
		int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY);
		if (mkdirat(fd, "a", 0700) < 0 || mkdirat(fd, "a/b", 0700) < 0 ||
		    mkdirat(fd, "a/b/c", 0700) < 0)
			_exit(4);
		put_file(fd, "a/b/f", "x");
		put_file(fd, "a/b/c/f", "x");
		if (fchmodat(fd, "a/b/c", 0, 0) < 0 || fchmodat(fd, "a/b", 0500, 0) < 0 ||
		    fchmodat(fd, "a", 0, 0) < 0)
			_exit(5);
		_exit(path_remove_tree(dir_fd, name, &e) < 0 || name_exists(dir_fd, name));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_directories_without_permissions(void **state)
{
	struct scratch *s = *state;

	assert_int_equal(remove_as_ordinary_user(s->fd, "t"), 0);
}

/* In a mount namespace of its own; the file system mounted on t/m must survive. */
static int remove_with_mount(struct scratch *s, unsigned long flags)
{
	AUTO_FREE char *target = path_join(s->path, "t/m");
	AUTO_FREE char *source = path_join(s->path, "victim");
	struct err e = ERR_INIT;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 77;
	if (mount(source, target, flags ? NULL : "tmpfs", flags, NULL) < 0)
		return 2;
	put_file(s->fd, "t/m/inside", "kept");
	if (path_remove_tree(s->fd, "t", &e) == 0)
		return 3;
	return name_exists(s->fd, "t/m/inside") && e.saved_errno == EBUSY ? 0 : 4;
}

static void expect_mount_kept(struct scratch *s, unsigned long flags)
{
	int status = -1;

	assert_int_equal(mkdirat(s->fd, "t", 0755), 0);
	assert_int_equal(mkdirat(s->fd, "t/m", 0755), 0);
	assert_int_equal(mkdirat(s->fd, "victim", 0755), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(remove_with_mount(s, flags));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("skipped: mounting needs privileges\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_other_file_system_is_not_entered(void **state)
{
	expect_mount_kept(*state, 0);
}

/* The same file system on both sides: comparing st_dev would not notice. */
static void test_bind_mount_is_not_entered(void **state)
{
	expect_mount_kept(*state, MS_BIND);
}

static _Noreturn void keep_swapping(int dir_fd)
{
	for (;;) {
		/* t/a is in turn a directory and a link to the victim. */
		mkdirat(dir_fd, "t", 0755);
		mkdirat(dir_fd, "t/a", 0755);
		mkdirat(dir_fd, "t/a/f", 0755);
		if (symlinkat("../victim", dir_fd, "t/l") == 0 || errno == EEXIST)
			renameat2(dir_fd, "t/a", dir_fd, "t/l", RENAME_EXCHANGE);
	}
}

static void test_swapped_links_lead_nowhere(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;

	assert_int_equal(mkdirat(s->fd, "victim", 0755), 0);
	assert_int_equal(mkdirat(s->fd, "victim/f", 0755), 0);
	put_file(s->fd, "victim/g", "kept");
	pid_t pid = fork();
	if (pid == 0)
		keep_swapping(s->fd);
	/* It may fail while somebody fights it, but it must end, and only within the tree. */
	for (unsigned i = 0; i < 3000; i++) {
		if (path_remove_tree(s->fd, "t", &e) < 0)
			assert_true(e.saved_errno != 0);
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(name_exists(s->fd, "victim/f"));
	expect_file(s->fd, "victim/g", "kept");
	assert_int_equal(path_remove_tree(s->fd, "t", &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_files_links_and_absence),
		scratch_test(test_tree_with_links_to_elsewhere),
		scratch_test(test_depth_needs_few_fds),
		scratch_test(test_directories_without_permissions),
		scratch_test(test_other_file_system_is_not_entered),
		scratch_test(test_bind_mount_is_not_entered),
		scratch_test(test_swapped_links_lead_nowhere),
	};

	return cmocka_run_group_tests_name("util/path_remove", tests, NULL, NULL);
}
