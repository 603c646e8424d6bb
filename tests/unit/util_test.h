/*
 * What the unit tests of util share: cmocka with its prerequisites, a scratch directory per
 * test that is gone afterwards, and the check that a test leaves no fd behind.
 */
#ifndef UTIL_TEST_H
#define UTIL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/err.h"
#include "util/mem.h"
#include "util/path.h"

struct scratch {
	char path[64];
	int fd;
	size_t fds_before;
};

static inline size_t count_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static inline int scratch_setup(void **state)
{
	struct scratch *s = mem_zalloc(1, sizeof(*s));

	s->fds_before = count_open_fds();
	snprintf(s->path, sizeof(s->path), "%s/stacker-unit-XXXXXX", P_tmpdir);
	assert_non_null(mkdtemp(s->path));
	s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(s->fd >= 0);
	*state = s;
	return 0;
}

static inline int scratch_teardown(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	AUTO_FREE char *name = path_base(s->path);

	close(s->fd);
	assert_int_equal(count_open_fds(), s->fds_before);
	AUTO_CLOSE int parent = open(P_tmpdir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(path_remove_tree(parent, name, &e), 0);
	free(s);
	return 0;
}

#define scratch_test(fn) cmocka_unit_test_setup_teardown(fn, scratch_setup, scratch_teardown)

static inline void put_file(int dir_fd, const char *name, const char *text)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(close(fd), 0);
}

static inline void expect_file(int dir_fd, const char *name, const char *text)
{
	AUTO(buf) b = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	assert_int_equal(path_read_file(dir_fd, name, &b, &e), 0);
	assert_int_equal(b.len, strlen(text));
	assert_string_equal(buf_text(&b), text);
}

static inline void expect_mode(int dir_fd, const char *name, mode_t mode)
{
	struct stat st;

	assert_int_equal(fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode & 07777, mode);
}

static inline bool name_exists(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline void expect_err(const struct err *e, enum err_code code, const char *id)
{
	assert_string_equal(e->id, id);
	assert_int_equal(e->code, code);
	assert_true(strlen(e->message) > 0);
}

/* Runs `statement` in a child and expects it to end in abort(). */
#define expect_bug(statement)                                                                  \
	do {                                                                                   \
		pid_t pid_ = fork();                                                           \
		int status_ = 0;                                                               \
		if (pid_ == 0) {                                                               \
			close(STDERR_FILENO);                                                  \
			signal(SIGABRT, SIG_DFL);                                              \
			statement;                                                             \
			_exit(0);                                                              \
		}                                                                              \
		assert_int_equal(waitpid(pid_, &status_, 0), pid_);                            \
		assert_true(WIFSIGNALED(status_));                                             \
		assert_int_equal(WTERMSIG(status_), SIGABRT);                                  \
	} while (0)

#endif
