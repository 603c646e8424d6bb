/*
 * For the tests of reading images: a tar builder that can write wrong headers, compressors, and
 * a scratch directory with a canary tree beside the target, compared before and after.
 */
#ifndef TESTS_IMAGE_SCRATCH_H
#define TESTS_IMAGE_SCRATCH_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#include "image/tree.h"
#include "image/unpack.h"
#include "util/buf.h"
#include "util/digest.h"
#include "util/err.h"
#include "util/mem.h"
#include "util/path.h"

#define VECTOR_BUF BUF_INIT(256 * 1024 * 1024)
#define UNUSED __attribute__((unused))

enum { BLOCK = 512 };

struct vec_entry {
	const char *name;
	char type; /* 0: '0' */
	unsigned mode, uid, gid;
	long long mtime;
	const char *link, *prefix;
	const char *data;
	size_t data_len;   /* 0: strlen(data) */
	const char *magic; /* 8 bytes; NULL: ustar */
};

static inline void vec_octal(unsigned char *field, size_t len, unsigned long long value)
{
	char digits[32];
	int n = snprintf(digits, sizeof(digits), "%0*llo", (int)len - 1, value);
	memcpy(field, digits + n - ((int)len - 1), len);
}

static inline void vec_seal(unsigned char *block)
{
	unsigned sum = 0;
	memset(block + 148, ' ', 8);
	for (int i = 0; i < BLOCK; i++)
		sum += block[i];
	vec_octal(block + 148, 7, sum);
	block[155] = ' ';
}

static inline void vec_header(unsigned char *block, const struct vec_entry *x, size_t size)
{
	memset(block, 0, BLOCK);
	memcpy(block, x->name, strnlen(x->name, 100));
	vec_octal(block + 100, 8, x->mode ? x->mode : 0644);
	vec_octal(block + 108, 8, x->uid);
	vec_octal(block + 116, 8, x->gid);
	vec_octal(block + 124, 12, size);
	vec_octal(block + 136, 12, (unsigned long long)x->mtime);
	block[156] = x->type ? (unsigned char)x->type : '0';
	if (x->link)
		memcpy(block + 157, x->link, strnlen(x->link, 100));
	memcpy(block + 257, x->magic ? x->magic : "ustar\00000", 8);
	if (x->prefix)
		memcpy(block + 345, x->prefix, strnlen(x->prefix, 155));
	vec_seal(block);
}

static inline void vec_data(struct buf *b, const char *data, size_t len)
{
	static const char zeros[BLOCK];
	if (len > 0)
		buf_add(b, data, len);
	if (len % BLOCK)
		buf_add(b, zeros, BLOCK - len % BLOCK);
}

static inline void vec_add(struct buf *b, struct vec_entry x)
{
	unsigned char block[BLOCK];
	size_t len = x.data_len ? x.data_len : x.data ? strlen(x.data) : 0;
	vec_header(block, &x, len);
	buf_add(b, block, BLOCK);
	vec_data(b, x.data, len);
}

#define FILE_(n, d) vec_add(b, (struct vec_entry){.name = (n), .data = (d)})
#define TYPE_(n, t) vec_add(b, (struct vec_entry){.name = (n), .type = (t)})
#define DIR_(n) vec_add(b, (struct vec_entry){.name = (n), .type = '5', .mode = 0755})
#define LINK_(n, to) vec_add(b, (struct vec_entry){.name = (n), .type = '2', .link = (to)})
#define HARD_(n, to) vec_add(b, (struct vec_entry){.name = (n), .type = '1', .link = (to)})

static inline void vec_pax_record(struct buf *b, const char *key, const void *value, size_t len)
{
	size_t body = strlen(key) + len + 3, total = body + 1;
	char digits[24];
	while ((size_t)snprintf(digits, sizeof(digits), "%zu", total) + body != total)
		total = (size_t)snprintf(digits, sizeof(digits), "%zu", total) + body;
	buf_addf(b, "%zu %s=", total, key);
	buf_add(b, value, len);
	buf_add_byte(b, '\n');
}

static inline void vec_pax(struct buf *b, char type, const char *key, const void *value,
			   size_t len)
{
	AUTO(buf) records = VECTOR_BUF;
	vec_pax_record(&records, key, value, len);
	vec_add(b, (struct vec_entry){.name = "pax",
				      .type = type,
				      .data = records.data,
				      .data_len = records.len});
}
#define PAX_(key, text) vec_pax(b, 'x', (key), (text), strlen(text))

static inline void vec_end(struct buf *b)
{
	static const char zeros[2 * BLOCK];
	buf_add(b, zeros, sizeof(zeros));
}

static inline int vec_fd(const void *bytes, size_t len)
{
	int fd = memfd_create("vector", MFD_CLOEXEC);
	assert_true(fd >= 0);
	struct err e = ERR_INIT;
	assert_int_equal(path_write_all(fd, bytes, len, "vector", &e), 0);
	return fd;
}

static inline void vec_gzip(struct buf *to, const void *bytes, size_t len)
{
	z_stream z = {0};
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	size_t max = deflateBound(&z, len);
	AUTO_FREE unsigned char *out = mem_alloc(max);
	AUTO_FREE unsigned char *in = mem_alloc(len + 1);
	memcpy(in, bytes, len);
	z.next_in = in;
	z.avail_in = (unsigned)len;
	z.next_out = out;
	z.avail_out = (unsigned)max;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	buf_add(to, out, max - z.avail_out);
	deflateEnd(&z);
}

static inline void vec_zstd(struct buf *to, const void *bytes, size_t len)
{
	size_t max = ZSTD_compressBound(len);
	AUTO_FREE char *out = mem_alloc(max);
	size_t n = ZSTD_compress(out, max, bytes, len, 3);
	assert_false(ZSTD_isError(n));
	buf_add(to, out, n);
}

struct scratch {
	char path[64];
	int top_fd, root_fd, fds_before;
	char *canary_before;
	size_t canary_len;
};

static inline int count_fds(void)
{
	int n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static inline int at_dir(int dir_fd, const char *path)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static inline void at_write(int dir_fd, const char *path, const char *text)
{
	struct err e = ERR_INIT;
	AUTO_CLOSE int fd =
		openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(path_write_all(fd, text, strlen(text), path, &e), 0);
}

static inline void at_mkdir(int dir_fd, const char *path, mode_t mode)
{
	assert_int_equal(mkdirat(dir_fd, path, 0700), 0);
	assert_int_equal(fchmodat(dir_fd, path, mode, 0), 0);
}

static inline char *canary_list(const struct scratch *s, size_t *ret_len)
{
	struct err e = ERR_INIT;
	AUTO(buf) b = VECTOR_BUF;
	AUTO(tree) t = {0};
	AUTO_CLOSE int fd = at_dir(s->top_fd, "canary");
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(tree_read_dir(fd, &t, &e), 0);
	tree_serialise(&t, &b);
	buf_addf(&b, "%o %ld", st.st_mode, (long)st.st_mtime);
	*ret_len = b.len;
	return buf_take(&b);
}

static inline void scratch_open(struct scratch *s)
{
	*s = (struct scratch){.fds_before = count_fds()};
	snprintf(s->path, sizeof(s->path), "%s/stacker-test-XXXXXX", P_tmpdir);
	assert_non_null(mkdtemp(s->path));
	s->top_fd = at_dir(AT_FDCWD, s->path);
	at_mkdir(s->top_fd, "root", 0755);
	s->root_fd = at_dir(s->top_fd, "root");
	at_mkdir(s->top_fd, "canary", 0755);
	at_mkdir(s->top_fd, "canary/dir", 0750);
	at_write(s->top_fd, "canary/file", "alive\n");
	at_write(s->top_fd, "canary/dir/file", "alive\n");
	assert_int_equal(symlinkat("file", s->top_fd, "canary/link"), 0);
	s->canary_before = canary_list(s, &s->canary_len);
}

static inline void scratch_reset_root(struct scratch *s)
{
	struct err e = ERR_INIT;
	close(s->root_fd);
	assert_int_equal(path_remove_tree(s->top_fd, "root", &e), 0);
	at_mkdir(s->top_fd, "root", 0755);
	s->root_fd = at_dir(s->top_fd, "root");
}

/* The canary must be as it was, and no fd may be left over. */
static inline void scratch_close(struct scratch *s)
{
	size_t len = 0;
	AUTO_FREE char *after = canary_list(s, &len);
	assert_int_equal(len, s->canary_len);
	assert_memory_equal(after, s->canary_before, len);
	mem_free_cleanup(&s->canary_before);
	struct err e = ERR_INIT;
	close(s->root_fd);
	close(s->top_fd);
	AUTO_CLOSE int tmp_fd = at_dir(AT_FDCWD, P_tmpdir);
	assert_int_equal(path_remove_tree(tmp_fd, s->path + sizeof(P_tmpdir), &e), 0);
	mem_close_cleanup(&tmp_fd);
	assert_int_equal(count_fds(), s->fds_before);
}

/* Files of other owners can only be made by root. */
#define NEED_ROOT()                                                                            \
	do {                                                                                   \
		if (geteuid() != 0) {                                                          \
			print_message("skipped: unpacking sets owners, which needs root\n");   \
			skip();                                                                \
		}                                                                              \
	} while (0)

static inline struct stat at_stat(int dir_fd, const char *path)
{
	struct stat st;
	if (fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		fail_msg("'%s' is not there", path);
	return st;
}

static inline void expect_absent(int dir_fd, const char *path)
{
	struct stat st;
	assert_int_equal(fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW), -1);
}

static inline void expect_text(int dir_fd, const char *path, const char *text)
{
	struct err e = ERR_INIT;
	AUTO(buf) b = VECTOR_BUF;
	if (path_read_file(dir_fd, path, &b, &e) < 0)
		fail_msg("%s", e.message);
	assert_string_equal(buf_text(&b), text);
}

static inline void expect_link(int dir_fd, const char *path, const char *target)
{
	char text[256];
	ssize_t n = readlinkat(dir_fd, path, text, sizeof(text) - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	assert_string_equal(text, target);
}

static inline void expect_mode(int dir_fd, const char *path, unsigned mode, unsigned uid,
			       unsigned gid)
{
	struct stat st = at_stat(dir_fd, path);
	assert_int_equal(st.st_mode & 07777, mode);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, gid);
}

static inline void expect_mtime(int dir_fd, const char *path, long long mtime_s)
{
	struct stat st = at_stat(dir_fd, path);
	assert_int_equal(st.st_mtim.tv_sec, mtime_s);
	assert_int_equal(st.st_mtim.tv_nsec, 0);
}

static inline void expect_whiteout(int dir_fd, const char *path)
{
	struct stat st = at_stat(dir_fd, path);
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(st.st_rdev, 0);
}

static inline bool is_opaque(int dir_fd, const char *path)
{
	char value[8];
	AUTO_CLOSE int fd = at_dir(dir_fd, path);
	return fgetxattr(fd, "user.overlay.opaque", value, sizeof(value)) == 1 &&
	       value[0] == 'y';
}

static inline void expect_id(int result, const struct err *e, const char *id)
{
	if (result == 0)
		fail_msg("accepted, expected [%s]", id);
	if (strcmp(e->id, id) != 0)
		fail_msg("[%s] %s, expected [%s]", e->id, e->message, id);
}

#endif
