/* erofs images as mkfs.erofs makes them (the seeds of fuzz_erofs), and damaged ones. */
#include "image_test.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "image/erofs.h"
#include "image/erofs_tar.h"
#include "image/layer.h"
#include "image/tree.h"
#include "image/unpack.h"
#include "util/path.h"

#define SEEDS "tests/fuzz/corpus/fuzz_erofs/"

/* A copy in memory, to be changed. */
static int open_seed(const char *name)
{
	struct err e = ERR_INIT;
	AUTO_FREE char *path = path_join(SEEDS, name);
	AUTO_CLOSE int from = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	int fd = memfd_create("image", MFD_CLOEXEC);
	assert_true(from >= 0 && fd >= 0);
	assert_int_equal(path_copy_fd(from, fd, name, &e), 0);
	return fd;
}

static int list(void *ctx, const struct erofs *fs, const char *path,
		const struct erofs_inode *inode, struct err *e)
{
	AUTO(file_xattrs) xattrs = {0};
	if (erofs_xattrs_read(fs, inode, &xattrs, e) < 0)
		return -1;
	buf_addf(ctx, "%o %s %u", inode->mode, path[0] ? path : ".", inode->nlink);
	for (size_t i = 0; i < xattrs.len; i++)
		buf_addf(ctx, " %s=%.*s", xattrs.items[i].name, (int)xattrs.items[i].value_len,
			 (const char *)xattrs.items[i].value);
	buf_add_c(ctx, "\n");
	return 0;
}

static int list_image(int fd, struct buf *out, struct err *e)
{
	struct erofs fs;
	const struct erofs_visitor v = {.visit = list, .ctx = out};
	*e = (struct err)ERR_INIT;
	return erofs_open(fd, &fs, e) < 0 ? -1 : erofs_walk(&fs, &v, e);
}

static void test_everything_is_seen(void **state)
{
	(void)state;
	static const char *const names[] = {"plain", "lz4"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct err e;
		AUTO(buf) out = BUF_INIT(64 * 1024);
		AUTO_CLOSE int fd = open_seed(names[i]);
		assert_int_equal(list_image(fd, &out, &e), 0);
		assert_string_equal(buf_text(&out), "40755 . 3\n"
						    "100644 a 2 user.aa=2 user.zz=1\n"
						    "100644 big 1\n"
						    "40755 d 2 user.overlay.opaque=y\n"
						    "100644 d/b 2 user.aa=2 user.zz=1\n"
						    "120777 l 1\n"
						    "10644 p 1\n"
						    "20644 w 1\n");
	}
}

static void test_shared_attributes(void **state)
{
	(void)state;
	struct err e;
	AUTO(buf) out = BUF_INIT(64 * 1024);
	AUTO_CLOSE int fd = open_seed("shared-xattrs");
	assert_int_equal(list_image(fd, &out, &e), 0);
	for (int i = 1; i <= 4; i++) {
		AUTO_FREE char *line = mem_printf("s%d 1 user.same=x\n", i);
		assert_non_null(strstr(buf_text(&out), line));
	}
}

/* The stream, unpacked, is the tree in overlay form: hard links, whiteouts, opacity. */
static void test_as_tar(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	char dir[] = "/tmp/stacker-erofs-XXXXXX";
	assert_non_null(mkdtemp(dir));
	AUTO_CLOSE int root = open_dir(AT_FDCWD, dir);
	AUTO_CLOSE int image = open_seed("plain");
	AUTO_CLOSE int tar = memfd_create("tar", MFD_CLOEXEC);
	AUTO(tree) tree = {0};
	assert_int_equal(erofs_to_tar(image, root, tar, &e), 0);
	int unpacked = unpack_overlay_tar(tar, "image", &(struct beneath){0},
					  &unpack_default_limits, root, &e);
	if (unpacked < 0)
		print_message("%s\n", e.message);
	assert_int_equal(unpacked, 0);
	assert_int_equal(tree_read_dir(root, &tree, &e), 0);
	static const struct {
		const char *path;
		char type;
	} wanted[] = {{"a", 'f'}, {"big", 'f'}, {"d", 'd'}, {"d/b", 'h'},
		      {"l", 'l'}, {"p", 'p'},	{"w", 'c'}};
	assert_int_equal(tree.len, ARRAY_LEN(wanted));
	for (size_t i = 0; i < tree.len; i++) {
		assert_string_equal(tree.items[i].path, wanted[i].path);
		assert_int_equal(tree.items[i].type, wanted[i].type);
	}
	assert_int_equal(tree.items[6].rdev, 0);
	assert_int_equal(tree.items[1].size, 3492);
	/* And packed again in that form, nothing is lost, and the root is there. */
	AUTO_CLOSE int again = memfd_create("again", MFD_CLOEXEC);
	struct layer_packed packed;
	const struct layer_pack_options options = {.upper_fd = root,
						   .lower_fd = -1,
						   .epoch_s = INT64_MAX,
						   .overlay_form = true,
						   .out_fd = again};
	assert_int_equal(layer_pack(&options, &packed, &e), 0);
	assert_int_equal(packed.entries, tree.len + 1);
	AUTO(buf) bytes = BUF_INIT(TAR_BYTES_MAX);
	assert_int_equal(lseek(again, 0, SEEK_SET), 0);
	assert_int_equal(path_read_fd(again, "again", &bytes, &e), 0);
	assert_non_null(
		memmem(bytes.data, bytes.len, "SCHILY.xattr.user.overlay.opaque=y\n", 35));
	AUTO_CLOSE int parent = open_dir(AT_FDCWD, "/tmp");
	assert_int_equal(path_remove_tree(parent, dir + strlen("/tmp/"), &e), 0);
}

static void test_compressed_needs_extracted_files(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	AUTO_CLOSE int image = open_seed("lz4");
	AUTO_CLOSE int tar = memfd_create("tar", MFD_CLOEXEC);
	AUTO_CLOSE int nothing = open_dir(AT_FDCWD, "tests/fuzz/corpus/fuzz_erofs");
	assert_int_equal(erofs_to_tar(image, nothing, tar, &e), -1);
	assert_string_equal(e.id, "image/erofs");
}

/* Any order of the attributes gives one image, which is what sorting makes of it. */
static void test_sorting(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct digest digests[3];
	uint8_t image[8192];
	AUTO_CLOSE int fd = open_seed("plain");
	assert_int_equal(erofs_sort_xattrs(fd, &e), 0);
	assert_int_equal(digest_fd(DIGEST_SHA256, fd, "image", &digests[0], NULL, &e), 0);
	assert_int_equal(erofs_sort_xattrs(fd, &e), 0);
	assert_int_equal(digest_fd(DIGEST_SHA256, fd, "image", &digests[1], NULL, &e), 0);
	/* "aa" and "zz", 8 bytes each with head and value, change places. */
	assert_int_equal(pread(fd, image, sizeof(image), 0), sizeof(image));
	static const char pair[] = "\x02\x01\x01\x00"
				   "aa2\x00\x02\x01\x01\x00"
				   "zz1";
	uint8_t *at = memmem(image, sizeof(image), pair, 15);
	assert_non_null(at);
	uint8_t first[8];
	memcpy(first, at, 8);
	memcpy(at, at + 8, 8);
	memcpy(at + 8, first, 8);
	assert_int_equal(pwrite(fd, image, sizeof(image), 0), sizeof(image));
	assert_int_equal(erofs_sort_xattrs(fd, &e), 0);
	assert_int_equal(digest_fd(DIGEST_SHA256, fd, "image", &digests[2], NULL, &e), 0);
	assert_true(digest_eq(&digests[0], &digests[1]));
	assert_true(digest_eq(&digests[0], &digests[2]));
}

/* The checksum is renewed rightly: over an image whose attributes were in order, it is the one
 * that mkfs.erofs has written. */
static void test_checksum(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	uint8_t before[4], after[4];
	AUTO_CLOSE int fd = open_seed("empty");
	assert_int_equal(pread(fd, before, 4, 1028), 4);
	assert_int_equal(pwrite(fd, "xxxx", 4, 1028), 4);
	assert_int_equal(erofs_sort_xattrs(fd, &e), 0);
	assert_int_equal(pread(fd, after, 4, 1028), 4);
	assert_memory_equal(before, after, 4);
}

static void expect_refused(int fd, const char *what)
{
	struct err e;
	AUTO(buf) out = BUF_INIT(64 * 1024);
	assert_int_equal(list_image(fd, &out, &e), -1);
	assert_string_equal(e.id, "image/erofs");
	if (!strstr(e.message, what))
		fail_msg("'%s' lacks '%s'", e.message, what);
}

static void test_damage_is_refused(void **state)
{
	(void)state;
	static const struct {
		off_t at; /* in the image */
		const char *bytes;
		size_t len;
		const char *what;
	} damages[] = {
		{1024, "x", 1, "no superblock"},
		{1024 + 12, "\x08", 1, "block size"},
		{1024 + 12, "\x11", 1, "block size"},
		{1024 + 80, "\x04", 1, "features"},
		{1024 + 81, "\x01", 1, "features"},
		{1024 + 14, "\xff\xff", 2, "beyond its end"},
		{1024 + 40, "\xff\xff\xff\x7f", 4, "beyond its end"},
	};
	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		AUTO_CLOSE int fd = open_seed("plain");
		assert_int_equal(pwrite(fd, damages[i].bytes, damages[i].len, damages[i].at),
				 (ssize_t)damages[i].len);
		expect_refused(fd, damages[i].what);
	}
	AUTO_CLOSE int fd = open_seed("plain");
	assert_int_equal(ftruncate(fd, 1100), 0);
	expect_refused(fd, "beyond its end");
}

/* A directory that is its own child would be walked for ever. */
static void test_loops_are_refused(void **state)
{
	(void)state;
	uint8_t image[8192], root_nid[8] = {0};
	AUTO_CLOSE int fd = open_seed("plain");
	assert_int_equal(pread(fd, image, sizeof(image), 0), sizeof(image));
	memcpy(root_nid, image + 1024 + 14, 2);
	/* The entries of the root: "." is the first, of nid root; "d" comes as the fifth. */
	uint8_t *names = memmem(image, sizeof(image), "...abigdlpw", 11);
	assert_non_null(names);
	size_t count = 0;
	uint8_t *entries = NULL;
	for (count = 1; count < 32; count++) {
		entries = names - count * 12;
		if (entries[8] == count * 12 && entries[9] == 0)
			break;
	}
	assert_int_equal(count, 8);
	memcpy(entries + 4 * 12, root_nid, 8);
	assert_int_equal(pwrite(fd, image, sizeof(image), 0), sizeof(image));
	expect_refused(fd, "stands in two places");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_is_seen),
		cmocka_unit_test(test_shared_attributes),
		cmocka_unit_test(test_as_tar),
		cmocka_unit_test(test_compressed_needs_extracted_files),
		cmocka_unit_test(test_sorting),
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_damage_is_refused),
		cmocka_unit_test(test_loops_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
