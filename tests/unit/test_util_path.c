/* Opening, making, reading and copying below a directory fd, and the lexical helpers. */
#include "util_test.h"

#include <fcntl.h>
#include <sys/mman.h>

static void test_beneath_stays_beneath(void **state)
{
	static const char *const out[] = {"..", "../x", "/etc", "d/../../x"};
	struct scratch *s = *state;
	int fd = -1;

	assert_int_equal(mkdirat(s->fd, "d", 0755), 0);
	put_file(s->fd, "d/f", "x");
	for (size_t i = 0; i < ARRAY_LEN(out); i++) {
		struct err e = ERR_INIT;

		assert_int_equal(path_open_beneath(s->fd, out[i], O_RDONLY, 0, &fd, &e), -1);
		assert_int_equal(e.saved_errno, EXDEV);
	}
	assert_int_equal(fd, -1);
	assert_int_equal(path_open_beneath(s->fd, "d/../d/f", O_RDONLY, 0, &fd, NULL), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

static void test_beneath_follows_no_symlink(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	int fd = -1;

	assert_int_equal(mkdirat(s->fd, "d", 0755), 0);
	put_file(s->fd, "d/f", "x");
	assert_int_equal(symlinkat("d", s->fd, "l"), 0);
	assert_int_equal(symlinkat("d/f", s->fd, "lf"), 0);
	assert_int_equal(path_open_beneath(s->fd, "l/f", O_RDONLY, 0, &fd, &e), -1);
	assert_int_equal(e.saved_errno, ELOOP);
	assert_int_equal(path_open_beneath(s->fd, "lf", O_RDONLY, 0, &fd, &e), -1);
	assert_int_equal(e.saved_errno, ELOOP);
	/* Creating through one is refused as well. */
	assert_int_equal(path_open_beneath(s->fd, "l/new", O_WRONLY | O_CREAT, 0644, &fd, &e),
			 -1);
	assert_false(name_exists(s->fd, "d/new"));
}

static void test_beneath_makes_files(void **state)
{
	struct scratch *s = *state;
	mode_t old = umask(0);
	int fd = -1;

	assert_int_equal(
		path_open_beneath(s->fd, "f", O_WRONLY | O_CREAT | O_EXCL, 0640, &fd, NULL), 0);
	umask(old);
	close(fd);
	expect_mode(s->fd, "f", 0640);
	assert_int_equal(path_open_beneath(s->fd, ".", O_TMPFILE | O_RDWR, 0600, &fd, NULL), 0);
	close(fd);
	/* A mode that will not be used is not an error. */
	assert_int_equal(path_open_beneath(s->fd, "f", O_RDONLY, 0644, &fd, NULL), 0);
	close(fd);
}

static void test_in_root_resolves_inside(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	int fd = -1;

	assert_int_equal(mkdirat(s->fd, "etc", 0755), 0);
	put_file(s->fd, "etc/name", "inside");
	assert_int_equal(symlinkat("/etc/name", s->fd, "abs"), 0);
	assert_int_equal(symlinkat("../../../../etc/name", s->fd, "rel"), 0);
	assert_int_equal(symlinkat("/proc/self/root", s->fd, "magic"), 0);
	static const char *const paths[] = {"abs", "rel", "/etc/name", "../../etc/name"};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		AUTO(buf) b = BUF_INIT(100);

		assert_int_equal(path_open_in_root(s->fd, paths[i], O_RDONLY, 0, &fd, &e), 0);
		assert_int_equal(path_read_fd(fd, paths[i], &b, &e), 0);
		assert_string_equal(buf_text(&b), "inside");
		close(fd);
	}
	assert_int_equal(path_open_in_root(s->fd, "magic", O_PATH, 0, &fd, &e), -1);
	assert_int_equal(e.saved_errno, ENOENT);
}

static void test_make_dir_makes_parents(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	mode_t old = umask(022);
	int fd = -1;

	assert_int_equal(path_make_dir(s->fd, "a//b/./c/", 0750, &fd, &e), 0);
	put_file(fd, "f", "x");
	close(fd);
	umask(old);
	expect_mode(s->fd, "a", 0750);
	expect_mode(s->fd, "a/b/c", 0750);
	expect_file(s->fd, "a/b/c/f", "x");
	AUTO_FREE char *absolute = path_join(s->path, "a/d");
	assert_int_equal(path_make_dir(s->fd, absolute, 0755, &fd, &e), 0);
	close(fd);
	assert_true(name_exists(s->fd, "a/d"));
	assert_int_equal(path_make_dir(s->fd, "a/d", 0755, &fd, &e), 0); /* again */
	close(fd);
	assert_int_equal(path_make_dir(s->fd, "/", 0755, &fd, &e), 0);
	close(fd);
	assert_int_equal(path_make_dir(s->fd, "a/b/c/f/g", 0755, &fd, &e), -1);
	assert_int_equal(e.saved_errno, ENOTDIR);
	assert_non_null(strstr(e.message, "'a/b/c/f/g'"));
}

static void test_private_dir(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	int fd = -1;

	assert_int_equal(path_make_private_dir(s->fd, "p/.stacker", &fd, &e), 0);
	close(fd);
	expect_mode(s->fd, "p/.stacker", 0700);
	assert_int_equal(fchmodat(s->fd, "p/.stacker", 0755, 0), 0);
	assert_int_equal(path_make_private_dir(s->fd, "p/.stacker/", &fd, &e), 0);
	close(fd);
	static const mode_t bad[] = {0720, 0702, 01777};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(fchmodat(s->fd, "p/.stacker", bad[i], 0), 0);
		e = (struct err)ERR_INIT;
		assert_int_equal(path_make_private_dir(s->fd, "p/.stacker", &fd, &e), -1);
		expect_err(&e, ERR_POLICY, "store/unsafe-dir");
	}
}

static void test_private_dir_refuses_a_way_that_is_open_to_all(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	int fd = -1;

	assert_int_equal(mkdirat(s->fd, "open", 0755), 0);
	assert_int_equal(mkdirat(s->fd, "open/mine", 0755), 0);
	assert_int_equal(symlinkat("open/mine", s->fd, "way"), 0);
	assert_int_equal(path_make_private_dir(s->fd, "way/.stacker", &fd, &e), 0);
	close(fd);
	assert_int_equal(fchmodat(s->fd, "open", 0777, 0), 0);
	static const char *const paths[] = {"open/.stacker", "open/mine/.stacker",
					    "way/.stacker"};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		e = (struct err)ERR_INIT;
		assert_int_equal(path_make_private_dir(s->fd, paths[i], &fd, &e), -1);
		expect_err(&e, ERR_POLICY, "store/unsafe-dir");
		assert_non_null(strstr(e.message, "everyone"));
	}
	assert_int_equal(fchmodat(s->fd, "open", 01777, 0), 0); /* as /tmp is */
	assert_int_equal(path_make_private_dir(s->fd, "open/mine/.stacker", &fd, &e), 0);
	close(fd);
}

static void test_private_dir_refuses_links_and_files(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	int fd = -1;

	assert_int_equal(mkdirat(s->fd, "real", 0700), 0);
	assert_int_equal(symlinkat("real", s->fd, "link"), 0);
	put_file(s->fd, "file", "x");
	assert_int_equal(path_make_private_dir(s->fd, "link", &fd, &e), -1);
	expect_err(&e, ERR_POLICY, "store/unsafe-dir");
	assert_int_equal(path_make_private_dir(s->fd, "link/", &fd, &e), -1);
	expect_err(&e, ERR_POLICY, "store/unsafe-dir");
	assert_int_equal(path_make_private_dir(s->fd, "file", &fd, &e), -1);
	expect_err(&e, ERR_SYSTEM, "system/call");
}

static void test_private_dir_refuses_another_owner(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	int fd = -1;

	if (geteuid() != 0) {
		print_message("skipped: giving a directory away needs root\n");
		skip();
	}
	assert_int_equal(mkdirat(s->fd, "theirs", 0700), 0);
	assert_int_equal(fchownat(s->fd, "theirs", 12345, 12345, 0), 0);
	assert_int_equal(path_make_private_dir(s->fd, "theirs", &fd, &e), -1);
	expect_err(&e, ERR_POLICY, "store/unsafe-dir");
	assert_non_null(strstr(e.message, "another user"));
}

static void test_read_at_the_edge_of_the_maximum(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	AUTO(buf) fits = BUF_INIT(5);
	AUTO(buf) small = BUF_INIT(4);

	put_file(s->fd, "f", "12345");
	assert_int_equal(path_read_file(s->fd, "f", &fits, &e), 0);
	assert_string_equal(buf_text(&fits), "12345");
	assert_int_equal(path_read_file(s->fd, "f", &small, &e), -1);
	expect_err(&e, ERR_INPUT, "input/too-big");
}

static void test_read_refuses_what_is_no_file(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	AUTO(buf) b = BUF_INIT(100);

	assert_int_equal(mkfifoat(s->fd, "fifo", 0600), 0);
	alarm(10); /* opening a FIFO must not wait for a writer */
	assert_int_equal(path_read_file(s->fd, "fifo", &b, &e), -1);
	alarm(0);
	expect_err(&e, ERR_INPUT, "input/not-regular");
	assert_int_equal(path_read_file(s->fd, ".", &b, &e), -1);
	expect_err(&e, ERR_INPUT, "input/not-regular");
	assert_int_equal(path_read_file(s->fd, "absent", &b, &e), -1);
	assert_int_equal(e.saved_errno, ENOENT);
}

static void test_write_all_reports_the_name(void **state)
{
	struct err e = ERR_INIT;
	AUTO_CLOSE int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_true(full >= 0);
	assert_int_equal(path_write_all(full, "x", 1, "layer.tar", &e), -1);
	assert_int_equal(e.saved_errno, ENOSPC);
	assert_non_null(strstr(e.message, "'layer.tar'"));
	assert_int_equal(path_write_all(full, NULL, 0, "layer.tar", &e), 0);
}

/* A file with a hole, larger than one chunk of the copy by hand. */
static int make_source(int fd)
{
	char block[4096];

	memset(block, 'x', sizeof(block));
	assert_int_equal(pwrite(fd, block, sizeof(block), 0), sizeof(block));
	assert_int_equal(pwrite(fd, block, sizeof(block), 700000), sizeof(block));
	assert_true(lseek(fd, 10, SEEK_SET) == 10); /* the offset must not matter */
	return fd;
}

static void expect_same_content(int a, int b)
{
	AUTO(buf) left = BUF_INIT(1 << 20);
	AUTO(buf) right = BUF_INIT(1 << 20);

	assert_int_equal(lseek(a, 0, SEEK_SET), 0);
	assert_int_equal(lseek(b, 0, SEEK_SET), 0);
	assert_int_equal(path_read_fd(a, "a", &left, NULL), 0);
	assert_int_equal(path_read_fd(b, "b", &right, NULL), 0);
	assert_int_equal(left.len, 704096);
	assert_int_equal(left.len, right.len);
	assert_memory_equal(left.data, right.data, left.len);
}

static void test_copy_within_and_across_file_systems(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	AUTO_CLOSE int from = openat(s->fd, "from", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	AUTO_CLOSE int to = openat(s->fd, "to", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	AUTO_CLOSE int memory = memfd_create("to", MFD_CLOEXEC);

	make_source(from);
	assert_int_equal(path_copy_fd(from, to, "from", &e), 0);
	expect_same_content(from, to);
	assert_int_equal(path_copy_fd(from, memory, "from", &e), 0);
	expect_same_content(from, memory);
}

static void test_copy_of_files_that_claim_to_be_empty(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	AUTO_CLOSE int from = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int to = openat(s->fd, "to", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	AUTO_CLOSE int empty = openat(s->fd, "empty", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;

	assert_int_equal(path_copy_fd(from, to, "cmdline", &e), 0);
	assert_int_equal(fstat(to, &st), 0);
	assert_true(st.st_size > 0);
	assert_int_equal(ftruncate(to, 0), 0);
	assert_int_equal(path_copy_fd(empty, to, "empty", &e), 0);
	assert_int_equal(fstat(to, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(path_copy_fd(s->fd, to, "dir", &e), -1);
	expect_err(&e, ERR_SYSTEM, "system/call");
}

static void test_lexical_helpers(void **state)
{
	static const struct {
		const char *path, *clean, *base;
	} rows[] = {
		{"/a//b/./c/", "/a/b/c", "c"},
		{"", ".", ""},
		{".", ".", "."},
		{"./", ".", "."},
		{"/", "/", ""},
		{"//", "/", ""},
		{"/.", "/", "."},
		{"a/../b", "a/../b", "b"},
		{"../", "..", ".."},
		{"./a", "a", "a"},
		{"...", "...", "..."},
		{"a/.b/.", "a/.b", "."},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FREE char *clean = path_clean(rows[i].path);
		AUTO_FREE char *base = path_base(rows[i].path);

		assert_string_equal(clean, rows[i].clean);
		assert_string_equal(base, rows[i].base);
	}
}

static void test_join_and_dotdot(void **state)
{
	AUTO_FREE char *plain = path_join("a", "b");
	AUTO_FREE char *slash = path_join("a/", "b");
	AUTO_FREE char *absolute = path_join("a", "/b");
	AUTO_FREE char *empty = path_join("", "b");

	(void)state;
	assert_string_equal(plain, "a/b");
	assert_string_equal(slash, "a/b");
	assert_string_equal(absolute, "/b");
	assert_string_equal(empty, "b");
	assert_true(path_has_dotdot(".."));
	assert_true(path_has_dotdot("a/.."));
	assert_true(path_has_dotdot("/..//b"));
	assert_false(path_has_dotdot("a..b/...,/.x"));
	assert_false(path_has_dotdot(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_beneath_stays_beneath),
		scratch_test(test_beneath_follows_no_symlink),
		scratch_test(test_beneath_makes_files),
		scratch_test(test_in_root_resolves_inside),
		scratch_test(test_make_dir_makes_parents),
		scratch_test(test_private_dir),
		scratch_test(test_private_dir_refuses_a_way_that_is_open_to_all),
		scratch_test(test_private_dir_refuses_links_and_files),
		scratch_test(test_private_dir_refuses_another_owner),
		scratch_test(test_read_at_the_edge_of_the_maximum),
		scratch_test(test_read_refuses_what_is_no_file),
		cmocka_unit_test(test_write_all_reports_the_name),
		scratch_test(test_copy_within_and_across_file_systems),
		scratch_test(test_copy_of_files_that_claim_to_be_empty),
		cmocka_unit_test(test_lexical_helpers),
		cmocka_unit_test(test_join_and_dotdot),
	};

	return cmocka_run_group_tests_name("util/path", tests, NULL, NULL);
}
