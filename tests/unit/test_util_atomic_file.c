/*
 * Whole files or none, also when any of the calls on the way fails: this program defines fsync,
 * linkat, renameat and write itself, so that it can make the Nth of them fail.
 */
#include "util_test.h"

#include <sys/syscall.h>

#include "util/atomic_file.h"

enum call { CALL_WRITE, CALL_FSYNC, CALL_LINKAT, CALL_RENAMEAT };

static struct {
	enum call call;
	int countdown; /* 1: the next one fails; 0: none */
	int error;
} fault;

static int fault_hits(enum call call)
{
	if (fault.countdown == 0 || fault.call != call || --fault.countdown > 0)
		return 0;
	errno = fault.error;
	return 1;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	return fault_hits(CALL_WRITE) ? -1 : syscall(SYS_write, fd, bytes, len);
}

int fsync(int fd)
{
	return fault_hits(CALL_FSYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	if (fault_hits(CALL_LINKAT))
		return -1;
	return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	if (fault_hits(CALL_RENAMEAT))
		return -1;
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

static size_t count_entries(const struct scratch *s)
{
	DIR *dir = opendir(s->path);
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static void test_appears_and_is_replaced(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;

	assert_int_equal(atomic_file_write(s->fd, "f", 0644, "one", 3, &e), 0);
	expect_file(s->fd, "f", "one");
	AUTO_CLOSE int old = openat(s->fd, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(atomic_file_write(s->fd, "f", 0644, "", 0, &e), 0);
	expect_file(s->fd, "f", "");
	/* Who had it open still reads the old content. */
	AUTO(buf) b = BUF_INIT(10);
	assert_int_equal(path_read_fd(old, "f", &b, &e), 0);
	assert_string_equal(buf_text(&b), "one");
	assert_int_equal(count_entries(s), 1);
}

static void test_mode_is_independent_of_umask(void **state)
{
	static const mode_t modes[] = {0644, 0600, 0777, 0444, 0};
	struct scratch *s = *state;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		mode_t old = umask(i % 2 ? 0 : 0077);
		int failed = atomic_file_write(s->fd, "f", modes[i], "x", 1, &e);

		umask(old);
		assert_int_equal(failed, 0);
		expect_mode(s->fd, "f", modes[i]);
	}
}

static void test_nothing_appears_before_the_commit(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	int fd = -1;

	assert_int_equal(atomic_file_open(s->fd, 0640, &fd, &e), 0);
	assert_int_equal(path_write_all(fd, "streamed", 8, "f", &e), 0);
	assert_int_equal(count_entries(s), 0);
	assert_int_equal(atomic_file_commit(s->fd, "f", fd, &e), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC); /* still ours */
	close(fd);
	expect_file(s->fd, "f", "streamed");
	expect_mode(s->fd, "f", 0640);
	assert_int_equal(count_entries(s), 1);
}

static void test_leftover_of_a_killed_writer(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;

	put_file(s->fd, ".f.new", "of a killed writer");
	put_file(s->fd, "f", "old");
	assert_int_equal(atomic_file_write(s->fd, "f", 0644, "new", 3, &e), 0);
	expect_file(s->fd, "f", "new");
	assert_false(name_exists(s->fd, ".f.new"));
	put_file(s->fd, ".f.new", "again");
	assert_int_equal(atomic_file_recover(s->fd, "f", &e), 0);
	assert_int_equal(atomic_file_recover(s->fd, "f", &e), 0);
	assert_int_equal(count_entries(s), 1);
	expect_file(s->fd, "f", "new");
}

/* A link in the way of the staged name is removed, not written through. */
static void test_planted_link_is_not_followed(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;

	put_file(s->fd, "victim", "kept");
	assert_int_equal(symlinkat("victim", s->fd, ".f.new"), 0);
	assert_int_equal(symlinkat("victim", s->fd, "f"), 0);
	assert_int_equal(atomic_file_write(s->fd, "f", 0644, "new", 3, &e), 0);
	expect_file(s->fd, "victim", "kept");
	expect_file(s->fd, "f", "new");
	struct stat st;
	assert_int_equal(fstatat(s->fd, "f", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void expect_old_kept(struct scratch *s, enum call call, int nth, int error)
{
	struct err e = ERR_INIT;

	fault.call = call;
	fault.error = error;
	fault.countdown = nth;
	int failed = atomic_file_write(s->fd, "f", 0644, "new", 3, &e);
	assert_int_equal(fault.countdown, 0); /* it was reached */
	assert_int_equal(failed, -1);
	expect_err(&e, ERR_SYSTEM, "system/call");
	assert_int_equal(e.saved_errno, error);
	assert_int_equal(count_entries(s), 1);
}

static void test_failing_calls_leave_the_old_file(void **state)
{
	struct scratch *s = *state;

	put_file(s->fd, "f", "old");
	expect_old_kept(s, CALL_WRITE, 1, ENOSPC);
	expect_old_kept(s, CALL_FSYNC, 1, EIO);
	expect_old_kept(s, CALL_LINKAT, 1, ENOSPC);
	expect_old_kept(s, CALL_RENAMEAT, 1, EIO);
	expect_file(s->fd, "f", "old");
	/* Renamed, but not known to be on disk: an error, with either whole file. */
	expect_old_kept(s, CALL_FSYNC, 2, EIO);
	expect_file(s->fd, "f", "new");
}

static void test_interrupted_write_goes_on(void **state)
{
	struct scratch *s = *state;

	fault.call = CALL_WRITE;
	fault.error = EINTR;
	fault.countdown = 1;
	assert_int_equal(atomic_file_write(s->fd, "f", 0644, "new", 3, NULL), 0);
	assert_int_equal(fault.countdown, 0);
	expect_file(s->fd, "f", "new");
}

static void test_concurrent_writers(void **state)
{
	enum { WRITERS = 4, ROUNDS = 50 };
	struct scratch *s = *state;
	pid_t pids[WRITERS];
	char text[1000];

	for (size_t i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		if (pids[i] != 0)
			continue;
		memset(text, (int)('a' + i), sizeof(text));
		for (unsigned n = 0; n < ROUNDS; n++) {
			if (atomic_file_write(s->fd, "f", 0644, text, sizeof(text), NULL) < 0)
				_exit(1);
		}
		_exit(0);
	}
	for (size_t i = 0; i < WRITERS; i++) {
		int status = -1;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	AUTO(buf) b = BUF_INIT(2000);
	assert_int_equal(path_read_file(s->fd, "f", &b, NULL), 0);
	assert_int_equal(b.len, sizeof(text));
	for (size_t i = 0; i < b.len; i++)
		assert_int_equal(b.data[i], b.data[0]);
	assert_int_equal(count_entries(s), 1);
}

static void test_name_taken_by_a_directory(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;

	assert_int_equal(mkdirat(s->fd, "f", 0755), 0);
	assert_int_equal(atomic_file_write(s->fd, "f", 0644, "x", 1, &e), -1);
	assert_int_equal(e.saved_errno, EISDIR);
	assert_int_equal(count_entries(s), 1);
	expect_bug(assert_int_equal(atomic_file_write(s->fd, "a/b", 0644, "x", 1, &e), 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_appears_and_is_replaced),
		scratch_test(test_mode_is_independent_of_umask),
		scratch_test(test_nothing_appears_before_the_commit),
		scratch_test(test_leftover_of_a_killed_writer),
		scratch_test(test_planted_link_is_not_followed),
		scratch_test(test_failing_calls_leave_the_old_file),
		scratch_test(test_interrupted_write_goes_on),
		scratch_test(test_concurrent_writers),
		scratch_test(test_name_taken_by_a_directory),
	};

	return cmocka_run_group_tests_name("util/atomic_file", tests, NULL, NULL);
}
