/*
 * The encoder by itself: header fields at the edges of what they hold, pax records, digests.
 * The golden digests were computed by tests/lib/format1_check.py, which also lists what GNU tar
 * and Python read out of such archives; see vectors/format-1 for whole trees.
 */
#include "image_test.h"

#include <sys/mman.h>

#include "image/tar_write.h"
#include "util/limits.h"
#include "util/num.h"

struct written {
	int fd;
	struct compressor *out;
	struct tar_writer w;
};

static struct compressor *open_plain(int fd)
{
	const struct compress_options options = {.fd = fd, .form = LAYER_TAR};
	struct compressor *out = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(compressor_open(&options, &out, &e), 0);
	return out;
}

static struct written start(void)
{
	struct written t = {.fd = memfd_create("tar", MFD_CLOEXEC)};

	assert_true(t.fd >= 0);
	t.out = open_plain(t.fd);
	tar_writer_init(&t.w, t.out);
	return t;
}

static void finish(struct written *t, struct digest *ret, struct buf *bytes)
{
	struct err e = ERR_INIT;
	struct digest again;
	uint64_t len = 0;

	assert_int_equal(tar_writer_finish(&t->w, ret, &e), 0);
	assert_int_equal(digest_fd(DIGEST_SHA256, t->fd, "tar", &again, &len, &e), 0);
	assert_true(digest_eq(ret, &again));
	assert_int_equal(len, t->w.size_bytes);
	assert_int_equal(lseek(t->fd, 0, SEEK_SET), 0);
	assert_int_equal(path_read_fd(t->fd, "tar", bytes, &e), 0);
	tar_writer_cleanup(&t->w);
	compressor_close(&t->out);
	close(t->fd);
}

/* One entry, as its archive's bytes. */
static void write_one(const struct tar_entry *entry, struct buf *bytes)
{
	struct written t = start();
	struct err e = ERR_INIT;
	struct digest d;

	assert_int_equal(tar_writer_entry(&t.w, entry, &e), 0);
	finish(&t, &d, bytes);
}

static void expect_field(const struct buf *tar, size_t block, size_t offset, const char *wanted,
			 size_t len)
{
	assert_true(tar->len >= (block + 1) * 512);
	assert_memory_equal(tar->data + block * 512 + offset, wanted, len);
}

static void test_empty_archive_is_two_zero_blocks(void **state)
{
	struct written t = start();
	struct digest d;
	AUTO(buf) bytes = BUF_INIT(TAR_BYTES_MAX);

	(void)state;
	finish(&t, &d, &bytes);
	assert_int_equal(bytes.len, 1024);
	expect_digest(&d, "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
}

static void test_header_fields(void **state)
{
	const struct tar_entry entry = {.type = TAR_DIR,
					.path = "usr/bin",
					.mode = S_IFDIR | 01755,
					.uid = 8,
					.gid = 2097151,
					.mtime_s = 8589934591};
	AUTO(buf) bytes = BUF_INIT(TAR_BYTES_MAX);

	(void)state;
	write_one(&entry, &bytes);
	assert_int_equal(bytes.len, 512 + 1024);
	expect_field(&bytes, 0, 0, "usr/bin/\0\0", 10);
	expect_field(&bytes, 0, 100, "0001755\0", 8);
	expect_field(&bytes, 0, 108, "0000010\0", 8);
	expect_field(&bytes, 0, 116, "7777777\0", 8);
	expect_field(&bytes, 0, 124, "00000000000\0", 12);
	expect_field(&bytes, 0, 136, "77777777777\0", 12);
	expect_field(&bytes, 0, 154, "\0 5\0", 4);
	expect_field(&bytes, 0, 257, "ustar\00000\0", 9);
	expect_field(&bytes, 0, 329, "0000000\0000000000\0\0", 17);
}

static void test_numbers_beyond_their_field_go_to_pax(void **state)
{
	const struct tar_entry entry = {.type = TAR_DIR,
					.path = "d",
					.uid = 2097152,
					.gid = UINT32_MAX,
					.mtime_s = 8589934592};
	const char records[] = "18 gid=4294967295\n20 mtime=8589934592\n15 uid=2097152\n";
	AUTO(buf) bytes = BUF_INIT(TAR_BYTES_MAX);

	(void)state;
	write_one(&entry, &bytes);
	expect_field(&bytes, 0, 0, "PaxHeader\0", 10);
	expect_field(&bytes, 0, 100, "0000644\0", 8);
	expect_field(&bytes, 0, 156, "x", 1);
	expect_field(&bytes, 1, 0, records, sizeof(records));
	expect_field(&bytes, 2, 108, "0000000\0", 8);
	expect_field(&bytes, 2, 116, "0000000\0", 8);
	expect_field(&bytes, 2, 136, "00000000000\0", 12);
}

static void test_negative_time(void **state)
{
	const struct tar_entry entry = {.type = TAR_FIFO, .path = "f", .mtime_s = INT64_MIN};
	AUTO(buf) bytes = BUF_INIT(TAR_BYTES_MAX);

	(void)state;
	write_one(&entry, &bytes);
	expect_field(&bytes, 1, 0, "30 mtime=-9223372036854775808\n\0", 31);
}

/* Only the header: nobody writes 8 GiB in a unit test. */
static void test_size_edge(void **state)
{
	const uint64_t sizes[] = {8589934591, 8589934592};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct tar_entry entry = {.type = TAR_FILE, .path = "f", .size = sizes[i]};
		struct written t = start();
		struct err e = ERR_INIT;

		assert_int_equal(tar_writer_entry(&t.w, &entry, &e), 0);
		assert_int_equal(t.w.size_bytes, i == 0 ? 512 : 3 * 512);
		assert_int_equal(t.w.content_left, sizes[i]);
		if (i == 1)
			assert_memory_equal(t.w.pending + 512, "19 size=8589934592\n\0", 20);
		tar_writer_cleanup(&t.w);
		compressor_close(&t.out);
		close(t.fd);
	}
}

static char *repeat(const char *text, size_t times)
{
	AUTO(buf) b = BUF_INIT(1 << 20);

	for (size_t i = 0; i < times; i++)
		buf_add_c(&b, text);
	return buf_take(&b);
}

/* Where a path of `dirs` one-letter directories and a last name of `len` bytes ends up. */
static bool uses_pax(const char *path, enum tar_type type)
{
	struct tar_entry entry = {.type = type, .path = path};
	AUTO(buf) bytes = BUF_INIT(TAR_BYTES_MAX);

	write_one(&entry, &bytes);
	return bytes.data[156] == 'x';
}

static void test_name_edges(void **state)
{
	AUTO_FREE char *n99 = repeat("n", 99);
	AUTO_FREE char *n100 = repeat("n", 100);
	AUTO_FREE char *p155 = repeat("abcd/", 31); /* ends in the slash */
	AUTO_FREE char *fits = mem_printf("%s%s", p155, n100);
	AUTO_FREE char *name_too_long = mem_printf("%s%sn", p155, n100);
	AUTO_FREE char *dir_fits = mem_printf("%s%s", p155, n99);
	AUTO_FREE char *prefix_edge = mem_printf("%.154s/%s", fits, n100);

	(void)state;
	assert_false(uses_pax(n100, TAR_FILE));
	assert_true(uses_pax(n100, TAR_DIR)); /* the slash is the 101st byte, and no split */
	assert_false(uses_pax(n99, TAR_DIR));
	assert_false(uses_pax(fits, TAR_FILE));
	assert_true(uses_pax(name_too_long, TAR_FILE));
	assert_false(uses_pax(dir_fits, TAR_DIR));
	assert_true(uses_pax(fits, TAR_DIR));
	assert_false(uses_pax(prefix_edge, TAR_FILE));
}

static void test_prefix_ends_at_the_first_slash_that_does(void **state)
{
	AUTO_FREE char *tail = repeat("t", 96);
	AUTO_FREE char *path = mem_printf("aaa/bbb/c/%s", tail);
	struct tar_entry entry = {.type = TAR_FILE, .path = path};
	AUTO(buf) bytes = BUF_INIT(TAR_BYTES_MAX);

	(void)state;
	write_one(&entry, &bytes);
	expect_field(&bytes, 0, 0, "c/ttt", 5);
	expect_field(&bytes, 0, 345, "aaa/bbb\0", 8);
}

static void test_names_beyond_ascii(void **state)
{
	struct tar_entry entry = {.type = TAR_SYMLINK, .path = "\xc3\xa4", .target = "\xff"};
	const char records[] = "21 hdrcharset=BINARY\n14 linkpath=\xff\n11 path=\xc3\xa4\n";
	AUTO(buf) bytes = BUF_INIT(TAR_BYTES_MAX);

	(void)state;
	write_one(&entry, &bytes);
	expect_field(&bytes, 1, 0, records, sizeof(records));
	expect_field(&bytes, 2, 0, "__\0", 3);
	expect_field(&bytes, 2, 157, "_\0", 2);
}

static void test_record_length_counts_its_own_digits(void **state)
{
	AUTO_FREE char *value = repeat("v", 4096);
	struct tar_xattr x = {.name = "user.a", .value = value};
	const struct tar_entry entry = {
		.type = TAR_FIFO, .path = "f", .xattrs = &x, .xattrs_len = 1};

	(void)state;
	for (x.value_len = 0; x.value_len < 1200; x.value_len++) {
		AUTO(buf) bytes = BUF_INIT(TAR_BYTES_MAX);
		char size[12] = {0};

		write_one(&entry, &bytes);
		const char *record = bytes.data + 512;
		size_t digits = strspn(record, "0123456789");
		uint64_t len = 0;
		assert_true(num_parse_u64(record, digits, 10000, &len));
		assert_int_equal(record[len - 1], '\n');
		assert_int_equal(len, digits + strlen(" SCHILY.xattr.user.a=\n") + x.value_len);
		snprintf(size, sizeof(size), "%011o", (unsigned)len);
		expect_field(&bytes, 0, 124, size, sizeof(size));
	}
}

static void test_xattr_with_equals_is_refused(void **state)
{
	const struct tar_xattr x = {.name = "user.a=b", .value = "v", .value_len = 1};
	const struct tar_entry entry = {
		.type = TAR_DIR, .path = "d", .xattrs = &x, .xattrs_len = 1};
	struct written t = start();
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(tar_writer_entry(&t.w, &entry, &e), -1);
	expect_err(&e, ERR_INPUT, "layer/xattr-name");
	assert_int_equal(t.w.size_bytes, 0);
	tar_writer_cleanup(&t.w);
	compressor_close(&t.out);
	close(t.fd);
}

static void test_pax_limit(void **state)
{
	AUTO_FREE char *value = mem_zalloc(LIMIT_PAX_BYTES, 1);
	const size_t overhead = strlen("1048576 SCHILY.xattr.user.a=\n");
	struct tar_xattr x = {.name = "user.a", .value = value};
	const struct tar_entry entry = {
		.type = TAR_DIR, .path = "d", .xattrs = &x, .xattrs_len = 1};

	(void)state;
	for (size_t over = 0; over < 2; over++) {
		struct written t = start();
		struct err e = ERR_INIT;

		x.value_len = LIMIT_PAX_BYTES - overhead + over;
		assert_int_equal(tar_writer_entry(&t.w, &entry, &e), over ? -1 : 0);
		if (over)
			expect_err(&e, ERR_INPUT, "layer/xattrs-too-big");
		tar_writer_cleanup(&t.w);
		compressor_close(&t.out);
		close(t.fd);
	}
}

/* Parts of any size give the same bytes: below, at and over the writer's own buffer. */
static void test_content_in_parts(void **state)
{
	const size_t size = 1000001;
	const size_t parts[] = {1000001, 262144, 262143, 262145, 65536, 511, 997};
	AUTO_FREE char *content = mem_alloc(size);
	struct digest first = {0};

	(void)state;
	for (size_t i = 0; i < size; i++)
		content[i] = (char)(i * 31);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const struct tar_entry entry = {.type = TAR_FILE, .path = "f", .size = size};
		struct written t = start();
		struct err e = ERR_INIT;
		struct digest d;
		AUTO(buf) bytes = BUF_INIT(TAR_BYTES_MAX);

		assert_int_equal(tar_writer_entry(&t.w, &entry, &e), 0);
		for (size_t at = 0; at < size; at += parts[i]) {
			size_t len = size - at < parts[i] ? size - at : parts[i];
			assert_int_equal(tar_writer_content(&t.w, content + at, len, &e), 0);
		}
		finish(&t, &d, &bytes);
		assert_memory_equal(bytes.data + 512, content, size);
		if (i == 0)
			first = d;
		assert_true(digest_eq(&first, &d));
	}
}

static void test_misuse_is_a_bug(void **state)
{
	const struct tar_entry file = {.type = TAR_FILE, .path = "f", .size = 3};
	const struct tar_entry slash = {.type = TAR_DIR, .path = "d/"};
	const struct tar_entry absolute = {.type = TAR_DIR, .path = "/d"};
	const struct tar_entry lonely = {.type = TAR_SYMLINK, .path = "l"};
	struct written t = start();
	struct err e = ERR_INIT;
	struct digest d;

	(void)state;
	expect_bug((void)!tar_writer_entry(&t.w, &slash, &e));
	expect_bug((void)!tar_writer_entry(&t.w, &absolute, &e));
	expect_bug((void)!tar_writer_entry(&t.w, &lonely, &e));
	assert_int_equal(tar_writer_entry(&t.w, &file, &e), 0);
	expect_bug((void)!tar_writer_content(&t.w, "1234", 4, &e));
	expect_bug((void)!tar_writer_finish(&t.w, &d, &e));
	expect_bug((void)!tar_writer_entry(&t.w, &file, &e));
	tar_writer_cleanup(&t.w);
	compressor_close(&t.out);
	close(t.fd);
}

static void test_full_disk_is_reported(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	AUTO(tar_writer) w = {0};
	struct err e = ERR_INIT;
	struct digest d;

	(void)state;
	assert_true(fd >= 0);
	struct compressor *out = open_plain(fd);
	tar_writer_init(&w, out);
	assert_int_equal(tar_writer_finish(&w, &d, &e), -1);
	expect_err(&e, ERR_SYSTEM, "system/call");
	assert_int_equal(e.saved_errno, ENOSPC);
	compressor_close(&out);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_archive_is_two_zero_blocks),
		cmocka_unit_test(test_header_fields),
		cmocka_unit_test(test_numbers_beyond_their_field_go_to_pax),
		cmocka_unit_test(test_negative_time),
		cmocka_unit_test(test_size_edge),
		cmocka_unit_test(test_name_edges),
		cmocka_unit_test(test_prefix_ends_at_the_first_slash_that_does),
		cmocka_unit_test(test_names_beyond_ascii),
		cmocka_unit_test(test_record_length_counts_its_own_digits),
		cmocka_unit_test(test_xattr_with_equals_is_refused),
		cmocka_unit_test(test_pax_limit),
		cmocka_unit_test(test_content_in_parts),
		cmocka_unit_test(test_misuse_is_a_bug),
		cmocka_unit_test(test_full_disk_is_reported),
	};
	return cmocka_run_group_tests_name("image tar_write", tests, NULL, NULL);
}
