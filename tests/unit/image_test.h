/* What the tests of image share: trees made from one line each, and looking into tar streams.
 */
#ifndef IMAGE_TEST_H
#define IMAGE_TEST_H

#include "util_test.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "util/buf.h"
#include "util/digest.h"

enum { TAR_BYTES_MAX = 64 << 20 };

static inline void make_dir(int dir_fd, const char *path)
{
	assert_int_equal(mkdirat(dir_fd, path, 0755), 0);
}

static inline void make_gone(int dir_fd, const char *path)
{
	assert_int_equal(mknodat(dir_fd, path, S_IFCHR, makedev(0, 0)), 0);
}

/* xattr calls know no directory fds; both paths of a test are short. */
static inline void put_xattr(int dir_fd, const char *path, const char *name, const void *value,
			     size_t len)
{
	AUTO_FREE char *full = mem_printf("/proc/self/fd/%d/%s", dir_fd, path);

	if (setxattr(full, name, value, len, 0) < 0 && errno == ENOTSUP) {
		print_message("no extended attributes on this file system\n");
		skip();
	}
	AUTO_FREE char *read_back = mem_alloc(len + 64);
	assert_true(getxattr(full, name, read_back, len + 64) >= 0);
}

static inline int open_dir(int dir_fd, const char *path)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static inline void expect_digest(const struct digest *d, const char *hex)
{
	char text[DIGEST_TEXT_MAX];

	digest_format_hex(d, text);
	assert_string_equal(text, hex);
}

/* "d etc\n- etc/motd\nh b=a\n...": typeflag and name of each entry of an archive, to compare
 * lists with. Reads what tar_write writes, and insists on its shape. */
static inline void list_tar(const struct buf *tar, struct buf *out)
{
	size_t at = 0;

	assert_int_equal(tar->len % 512, 0);
	while (at < tar->len && tar->data[at] != '\0') {
		const char *h = tar->data + at;
		char size_text[13] = {0};

		memcpy(size_text, h + 124, 11);
		size_t size = 0;
		for (const char *digit = size_text; *digit; digit++)
			size = size * 8 + (size_t)(*digit - '0');
		if (h[345])
			buf_addf(out, "%c %.155s/%.100s", h[156], h + 345, h);
		else
			buf_addf(out, "%c %.100s", h[156], h);
		if (h[157])
			buf_addf(out, "=%.100s", h + 157);
		buf_add_byte(out, '\n');
		at += 512 + (size + 511) / 512 * 512;
	}
	assert_int_equal(tar->len - at, 1024);
	for (; at < tar->len; at++)
		assert_int_equal(tar->data[at], 0);
}

#endif
