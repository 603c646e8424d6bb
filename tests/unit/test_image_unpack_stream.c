/*
 * Layers as streams: the rows of the attack catalogue (UN) about tar headers, compression,
 * ends, sizes, limits and digests.
 */
#include "image_layers.h"

#include "image/tar_read.h"
#include "util/limits.h"

static void raw_size(struct buf *b, const char *name, char type, const void *field, size_t len)
{
	unsigned char block[BLOCK];
	vec_header(block, &(struct vec_entry){.name = name, .type = type}, 0);
	memset(block + 124, 0, 12);
	memcpy(block + 124, field, len);
	vec_seal(block);
	buf_add(b, block, BLOCK);
}

BAD(pax_size_differs, "unpack/tar-header", PAX_("size", "3"); FILE_("f", "four"))
BAD(pax_size_twice, "unpack/tar-header", AUTO(buf) r = VECTOR_BUF;
    vec_pax_record(&r, "size", "3", 1); vec_pax_record(&r, "size", "4", 1);
    vec_add(b, (struct vec_entry){"p", 'x', .data = r.data, .data_len = r.len});
    FILE_("f", "four"))
BAD(pax_size_negative, "unpack/tar-header", PAX_("size", "-1"); FILE_("f", ""))

static void test_un11_pax_size_wins_or_agrees(void **state)
{
	(void)state;
	static const struct bad rows[] = {ROW(pax_size_differs), ROW(pax_size_twice),
					  ROW(pax_size_negative)};
	expect_bad(rows, ARRAY_LEN(rows));
	struct scratch s;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	PAX_("size", "5");
	raw_size(b, "f", '0', "00000000000", 11);
	vec_data(b, "inner", 5); /* with ustar's size the next header would be this */
	FILE_("g", "x");
	expect_unpacked(&s, b);
	expect_text(s.root_fd, "f", "inner");
	scratch_close(&s);
}

BAD(two_long_names, "unpack/tar-header",
    vec_add(b, (struct vec_entry){"././@LongLink", 'L', .data = "L", .data_len = 2});
    PAX_("path", "P"); FILE_("h", "x"))
BAD(nul_in_pax, "unpack/tar-header", vec_pax(b, 'x', "path", "a\0b", 3); FILE_("c", "x"))
BAD(global_path, "unpack/pax-keyword", vec_pax(b, 'g', "path", "G", 1); FILE_("c", "x"))
BAD(global_size, "unpack/pax-keyword", vec_pax(b, 'g', "size", "1", 1); FILE_("c", "x"))
BAD(prefix_gnu, "unpack/tar-header",
    vec_add(b, (struct vec_entry){"a", .prefix = "pre", .magic = "ustar  \0"}))
BAD(prefix_v7, "unpack/tar-header",
    vec_add(b, (struct vec_entry){"a", .prefix = "pre", .magic = "\0\0\0\0\0\0\0\0"}))
BAD(hard_with_data, "unpack/tar-header", FILE_("f", "x");
    vec_add(b, (struct vec_entry){"h", '1', .link = "f", .data = "abc"}))
BAD(link_with_size, "unpack/tar-header",
    vec_add(b, (struct vec_entry){"s", '2', .link = "x", .data = "abc"}))
BAD(dir_with_data, "unpack/tar-header", vec_add(b, (struct vec_entry){"d", '5', .data = "abc"}))
BAD(magic_unknown, "unpack/tar-header",
    vec_add(b, (struct vec_entry){"d", .magic = "ustar\00012"}))
BAD(pax_sparse, "unpack/sparse", PAX_("GNU.sparse.major", "1"); FILE_("f", "x"))
BAD(pax_unknown, "unpack/pax-keyword", PAX_("pathx", "y"); FILE_("f", "x"))
BAD(pax_acl, "unpack/pax-keyword", PAX_("SCHILY.acl.access", "user::rwx"); FILE_("f", "x"))
BAD(pax_two_headers, "unpack/tar-header", PAX_("comment", "y"); PAX_("path", "q");
    FILE_("f", "x"))
BAD(pax_no_entry, "unpack/tar-header", FILE_("f", "x"); PAX_("path", "y"))
BAD(pax_bad_length, "unpack/tar-header",
    vec_add(b, (struct vec_entry){"p", 'x', .data = "11 path=abc\n"});
    FILE_("f", "x"))
BAD(pax_long_length, "unpack/tar-header",
    vec_add(b, (struct vec_entry){"p", 'x', .data = "9999 path=a\n"});
    FILE_("f", "x"))
BAD(pax_no_newline, "unpack/tar-header",
    vec_add(b, (struct vec_entry){"p", 'x', .data = "11 path=abc"});
    FILE_("f", "x"))
BAD(pax_no_key, "unpack/tar-header",
    vec_add(b, (struct vec_entry){"p", 'x', .data = "6 =ab\n"});
    FILE_("f", "x"))
BAD(pax_zero_length, "unpack/tar-header",
    vec_add(b, (struct vec_entry){"p", 'x', .data = "0 path=abc\n"});
    FILE_("f", "x"))

static void test_un12_what_readers_disagree_about_is_refused(void **state)
{
	(void)state;
	static const struct bad rows[] = {
		ROW(two_long_names), ROW(nul_in_pax),	   ROW(global_path),
		ROW(global_size),    ROW(prefix_gnu),	   ROW(prefix_v7),
		ROW(hard_with_data), ROW(link_with_size),  ROW(dir_with_data),
		ROW(magic_unknown),  ROW(pax_sparse),	   ROW(pax_unknown),
		ROW(pax_acl),	     ROW(pax_two_headers), ROW(pax_no_entry),
		ROW(pax_bad_length), ROW(pax_long_length), ROW(pax_no_newline),
		ROW(pax_no_key),     ROW(pax_zero_length),
	};
	expect_bad(rows, ARRAY_LEN(rows));
}

static void test_long_names_of_both_kinds_are_read(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	char name[201], link[151];
	memset(name, 'n', 200);
	memset(link, 't', 150);
	name[200] = link[150] = '\0';
	scratch_open(&s);
	vec_pax(b, 'g', "comment", "0123456789abcdef", 16); /* as git archive writes */
	vec_add(b, (struct vec_entry){"././@LongLink", 'K', .data = link, .data_len = 151,
				      .magic = "ustar  \0"});
	vec_add(b, (struct vec_entry){"././@LongLink", 'L', .data = name, .data_len = 201,
				      .magic = "ustar  \0"});
	vec_add(b, (struct vec_entry){"cut", '2', .link = "cut", .magic = "ustar  \0"});
	PAX_("path", "n\xc3\xa4m\xff");
	FILE_("other", "x");
	vec_add(b, (struct vec_entry){"name", .prefix = "pre/fix", .data = "p"});
	vec_add(b, (struct vec_entry){"v7", .magic = "\0\0\0\0\0\0\0\0", .data = "old"});
	expect_unpacked(&s, b);
	expect_link(s.root_fd, name, link);
	expect_text(s.root_fd, "n\xc3\xa4m\xff", "x");
	expect_text(s.root_fd, "pre/fix/name", "p");
	expect_text(s.root_fd, "v7", "old");
	scratch_close(&s);
}

BAD(after_end, "unpack/after-end", FILE_("f", "x"); vec_end(b); FILE_("g", "y"))
BAD(lone_zero, "unpack/tar-header", static const char z[BLOCK]; FILE_("f", "x");
    buf_add(b, z, BLOCK); FILE_("g", "y"))
BAD(no_end, "unpack/truncated", FILE_("f", "x"))
BAD(half_end, "unpack/truncated", static const char z[BLOCK]; FILE_("f", "x");
    buf_add(b, z, BLOCK))
BAD(empty, "unpack/truncated", buf_add(b, "", 0))

static void expect_zero_tail(size_t len, const char *id)
{
	struct scratch s;
	struct err e = ERR_INIT;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	AUTO_FREE char *zeros = mem_zalloc(1, len);
	scratch_open(&s);
	FILE_("f", "x");
	vec_end(b);
	buf_add(b, zeros, len);
	int result = unpack_plain(&s, b, -1, &e);
	if (id)
		expect_id(result, &e, id);
	else
		assert_int_equal(result, 0);
	scratch_close(&s);
}

static void test_un13_the_end_is_the_end(void **state)
{
	(void)state;
	static const struct bad rows[] = {
		ROW(after_end),
		ROW(lone_zero),
		{"no_end", bad_no_end, "unpack/truncated", true},
		{"half_end", bad_half_end, "unpack/truncated", true},
		{"empty", bad_empty, "unpack/truncated", true},
	};
	expect_bad(rows, ARRAY_LEN(rows));
	expect_zero_tail(LIMIT_TRAILING_ZERO_BYTES, NULL);
	expect_zero_tail(LIMIT_TRAILING_ZERO_BYTES + 1, "unpack/after-end");
}

BAD(size_negative, "unpack/tar-header",
    raw_size(b, "f", '0', "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12))
BAD(size_huge, "unpack/tar-header", raw_size(b, "f", '0', "\x80\0\0\0\x80\0\0\0\0\0\0\0", 12))
BAD(size_eib, "unpack/too-big", raw_size(b, "f", '0', "\x80\0\0\0\x7f\0\0\0\0\0\0\0", 12))
BAD(size_base256_odd, "unpack/tar-header",
    raw_size(b, "f", '0', "\x81\0\0\0\0\0\0\0\0\0\0\0", 12))
BAD(size_garbage, "unpack/tar-header", raw_size(b, "f", '0', "12x", 3))
BAD(size_decimal, "unpack/tar-header", raw_size(b, "f", '0', "19", 2))
BAD(size_signed, "unpack/tar-header", raw_size(b, "f", '0', "-1", 2))
BAD(checksum, "unpack/tar-header", FILE_("f", "x"); b->data[0] = 'g')

static void test_un14_numbers_are_checked(void **state)
{
	(void)state;
	static const struct bad rows[] = {
		ROW(size_negative), ROW(size_huge),    ROW(size_eib),	 ROW(size_base256_odd),
		ROW(size_garbage),  ROW(size_decimal), ROW(size_signed), ROW(checksum)};
	expect_bad(rows, ARRAY_LEN(rows));
}

/* A small layer and what it hashes to. */
static void small_layer(struct buf *b, struct digest *ret)
{
	FILE_("f", "hello");
	DIR_("d");
	vec_end(b);
	digest_bytes(DIGEST_SHA256, b->data, b->len, ret);
}

static void expect_blob(const struct buf *blob, enum layer_compression c,
			const struct digest *diff_id, const char *id)
{
	struct scratch s;
	struct err e = ERR_INIT;
	scratch_open(&s);
	int result = unpack_bytes(&s, blob, c, diff_id, -1, &unpack_default_limits, &e);
	if (id)
		expect_id(result, &e, id);
	else if (result < 0)
		fail_msg("[%s] %s", e.id, e.message);
	else
		expect_text(s.root_fd, "f", "hello");
	scratch_close(&s);
}

static void test_un15_gzip_checksums_are_checked(void **state)
{
	(void)state;
	NEED_ROOT();
	AUTO(buf) tar = VECTOR_BUF;
	AUTO(buf) gz = VECTOR_BUF;
	struct digest d;
	small_layer(&tar, &d);
	vec_gzip(&gz, tar.data, tar.len);
	expect_blob(&gz, LAYER_GZIP, &d, NULL);
	for (size_t i = 1; i <= 8; i++) {
		gz.data[gz.len - i] ^= 1;
		expect_blob(&gz, LAYER_GZIP, &d, "unpack/corrupt");
		gz.data[gz.len - i] ^= 1;
	}
}

static void test_un16_every_byte_belongs_to_a_gzip_member(void **state)
{
	(void)state;
	NEED_ROOT();
	AUTO(buf) tar = VECTOR_BUF;
	AUTO(buf) gz = VECTOR_BUF;
	struct digest d;
	small_layer(&tar, &d);
	vec_gzip(&gz, tar.data, 700);
	vec_gzip(&gz, tar.data + 700, tar.len - 700);
	vec_gzip(&gz, "", 0);
	expect_blob(&gz, LAYER_GZIP, &d, NULL);
	buf_add(&gz, "\0", 1);
	expect_blob(&gz, LAYER_GZIP, &d, "unpack/trailing-bytes");
	gz.len -= 1;
	buf_add_c(&gz, "trailing text");
	expect_blob(&gz, LAYER_GZIP, &d, "unpack/trailing-bytes");
	gz.len -= strlen("trailing text");
	buf_add(&gz, "\x1f\x8b", 2);
	expect_blob(&gz, LAYER_GZIP, &d, "unpack/truncated");
}

static void expect_cuts(const struct buf *blob, enum layer_compression c,
			const struct digest *d, size_t step)
{
	struct scratch s;
	scratch_open(&s);
	for (size_t cut = 0; cut < blob->len; cut += step) {
		struct err e = ERR_INIT;
		struct buf part = {.data = blob->data, .len = cut};
		AUTO(buf) copy = VECTOR_BUF;
		buf_add(&copy, part.data, part.len);
		expect_id(unpack_bytes(&s, &copy, c, d, -1, &unpack_default_limits, &e), &e,
			  "unpack/truncated");
		scratch_reset_root(&s);
	}
	scratch_close(&s);
}

static void test_un17_truncation_is_seen_at_every_byte(void **state)
{
	(void)state;
	NEED_ROOT();
	AUTO(buf) tar = VECTOR_BUF;
	AUTO(buf) gz = VECTOR_BUF;
	AUTO(buf) zst = VECTOR_BUF;
	struct digest d;
	small_layer(&tar, &d);
	vec_gzip(&gz, tar.data, tar.len);
	vec_zstd(&zst, tar.data, tar.len);
	expect_cuts(&tar, LAYER_TAR, &d, 128);
	expect_cuts(&gz, LAYER_GZIP, &d, 3);
	/* Of fewer than four bytes it cannot be said that they are zstd. */
	struct err e = ERR_INIT;
	struct scratch s;
	scratch_open(&s);
	for (size_t cut = 4; cut < zst.len; cut++) {
		AUTO(buf) copy = VECTOR_BUF;
		buf_add(&copy, zst.data, cut);
		expect_id(
			unpack_bytes(&s, &copy, LAYER_ZSTD, &d, -1, &unpack_default_limits, &e),
			&e, "unpack/truncated");
		scratch_reset_root(&s);
	}
	scratch_close(&s);
}

static void test_un18_zstd_frames(void **state)
{
	(void)state;
	NEED_ROOT();
	AUTO(buf) tar = VECTOR_BUF;
	AUTO(buf) zst = VECTOR_BUF;
	struct digest d;
	small_layer(&tar, &d);
	buf_add(&zst, "\x5a\x2a\x4d\x18\3\0\0\0abc", 11); /* skippable */
	vec_zstd(&zst, tar.data, 700);
	buf_add(&zst, "\x50\x2a\x4d\x18\0\0\0\0", 8);
	vec_zstd(&zst, tar.data + 700, tar.len - 700);
	expect_blob(&zst, LAYER_ZSTD, &d, NULL);
	buf_add(&zst, "\0\0\0\0", 4);
	expect_blob(&zst, LAYER_ZSTD, &d, "unpack/trailing-bytes");
	/* Window of 2^28: over our limit of 2^27. */
	AUTO(buf) wide = VECTOR_BUF;
	buf_add(&wide, "\x28\xb5\x2f\xfd\x00\x90\x01\0\0", 9);
	expect_blob(&wide, LAYER_ZSTD, &d, "unpack/corrupt");
	/* A dictionary id of 1. */
	AUTO(buf) dict = VECTOR_BUF;
	buf_add(&dict, "\x28\xb5\x2f\xfd\x21\x01\x00\x01\0\0", 10);
	expect_blob(&dict, LAYER_ZSTD, &d, "unpack/corrupt");
	/* The magic of zstd 0.7. */
	AUTO(buf) old = VECTOR_BUF;
	buf_add(&old, "\x27\xb5\x2f\xfd\x00\x00\0\0\0", 9);
	expect_blob(&old, LAYER_ZSTD, &d, "unpack/corrupt");
}

static void expect_limited(const struct buf *blob, enum layer_compression c,
			   struct unpack_limits limits, const char *id)
{
	struct scratch s;
	struct err e = ERR_INIT;
	struct digest d;
	digest_bytes(DIGEST_SHA256, blob->data, blob->len, &d);
	scratch_open(&s);
	int result = unpack_bytes(&s, blob, c, &d, -1, &limits, &e);
	if (id)
		expect_id(result, &e, id);
	else if (result < 0)
		fail_msg("[%s] %s", e.id, e.message);
	scratch_close(&s);
}

static void test_un19_limits_at_their_edges(void **state)
{
	(void)state;
	NEED_ROOT();
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	FILE_("f", "1");
	FILE_("g", "2");
	vec_end(b);
	expect_limited(b, LAYER_TAR, (struct unpack_limits){b->len, 2}, NULL);
	expect_limited(b, LAYER_TAR, (struct unpack_limits){b->len - 1, 2}, "unpack/too-big");
	expect_limited(b, LAYER_TAR, (struct unpack_limits){b->len, 1},
		       "unpack/too-many-entries");

	AUTO(buf) zeros = VECTOR_BUF;
	AUTO(buf) bomb = VECTOR_BUF;
	AUTO_FREE char *data = mem_zalloc(32, 1024 * 1024);
	buf_add(&zeros, data, 32 * 1024 * 1024);
	vec_add(&zeros, (struct vec_entry){"f", .data = data, .data_len = 0});
	vec_zstd(&bomb, zeros.data, zeros.len); /* about 3 KiB */
	expect_limited(&bomb, LAYER_ZSTD, unpack_default_limits, "unpack/after-end");
	AUTO(buf) tar = VECTOR_BUF;
	AUTO(buf) bomb_file = VECTOR_BUF;
	/* 300 MiB from a few hundred bytes: its header is enough to refuse it. */
	raw_size(&tar, "f", '0', "02260000000", 11);
	vec_end(&tar);
	vec_zstd(&bomb_file, tar.data, tar.len);
	expect_limited(&bomb_file, LAYER_ZSTD, unpack_default_limits, "unpack/too-big");
}

/* Nothing tells before the last entry that there is one too many; hardly anything is written.
 */
static void test_un19_many_entries_are_counted_ahead(void **state)
{
	(void)state;
	NEED_ROOT();
	AUTO(buf) vector = VECTOR_BUF;
	AUTO(buf) zst = VECTOR_BUF;
	struct buf *b = &vector;
	struct scratch s;
	struct err e = ERR_INIT;
	struct digest d;
	const struct unpack_limits limits = {GIB, 2 * TAR_LOOK_AHEAD_CHEAP_ENTRIES};
	for (unsigned i = 0; i <= limits.max_entries; i++) {
		AUTO_FREE char *name = mem_printf("%u", i);
		FILE_(name, "");
	}
	vec_end(b);
	digest_bytes(DIGEST_SHA256, b->data, b->len, &d);
	vec_zstd(&zst, b->data, b->len);
	scratch_open(&s);
	expect_id(unpack_bytes(&s, &zst, LAYER_ZSTD, &d, -1, &limits, &e), &e,
		  "unpack/too-many-entries");
	expect_absent(s.root_fd, "4096");
	scratch_reset_root(&s);
	/* One fewer is fine, looked ahead or not. */
	b->len -= 3 * BLOCK;
	vec_end(b);
	digest_bytes(DIGEST_SHA256, b->data, b->len, &d);
	buf_clear(&zst);
	vec_zstd(&zst, b->data, b->len);
	e = (struct err)ERR_INIT;
	if (unpack_bytes(&s, &zst, LAYER_ZSTD, &d, -1, &limits, &e) < 0)
		fail_msg("[%s] %s", e.id, e.message);
	at_stat(s.root_fd, "8191");
	scratch_close(&s);
}

static char *deep(size_t components, size_t each)
{
	AUTO(buf) b = VECTOR_BUF;
	for (size_t i = 0; i < components; i++) {
		for (size_t j = 0; j < each; j++)
			buf_add_byte(&b, 'd');
		if (i + 1 < components)
			buf_add_byte(&b, '/');
	}
	return buf_take(&b);
}

/* Names of 4095 bytes in 16 directories each, which are names to be kept as well. */
static void test_un19_names_have_a_sum(void **state)
{
	(void)state;
	NEED_ROOT();
	AUTO(buf) vector = VECTOR_BUF;
	AUTO_FREE char *path = deep(16, 255);
	struct buf *b = &vector;
	struct scratch s;
	struct err e = ERR_INIT;
	for (unsigned i = 0; i < 1000; i++) {
		path[0] = (char)('a' + i % 26);
		path[1] = (char)('a' + i / 26 % 26);
		path[2] = (char)('a' + i / 26 / 26);
		PAX_("path", path);
		FILE_("f", "");
	}
	vec_end(b);
	scratch_open(&s);
	expect_id(unpack_plain(&s, b, -1, &e), &e, "unpack/too-many-entries");
	scratch_close(&s);
}

static void expect_name(const char *name, const char *id)
{
	struct scratch s;
	struct err e = ERR_INIT;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	PAX_("path", name);
	FILE_("f", "x");
	vec_end(b);
	int result = unpack_plain(&s, b, -1, &e);
	if (id)
		expect_id(result, &e, id);
	else if (result < 0)
		fail_msg("[%s] %s", e.id, e.message);
	scratch_close(&s);
}

static void test_un19_names_at_their_edges(void **state)
{
	(void)state;
	NEED_ROOT();
	AUTO_FREE char *component = deep(1, LIMIT_COMPONENT_BYTES);
	AUTO_FREE char *component_over = deep(1, LIMIT_COMPONENT_BYTES + 1);
	AUTO_FREE char *depth = deep(LIMIT_TREE_DEPTH, 1);
	AUTO_FREE char *depth_over = deep(LIMIT_TREE_DEPTH + 1, 1);
	AUTO_FREE char *path = deep(16, 255);	   /* 4095 bytes */
	AUTO_FREE char *path_over = deep(17, 241); /* 4113 bytes */
	expect_name(component, NULL);
	expect_name(component_over, "unpack/name");
	expect_name(depth, NULL);
	expect_name(depth_over, "unpack/name");
	expect_name(path, NULL);
	expect_name(path_over, "unpack/name");
}

static void test_un19_pax_headers_at_their_edge(void **state)
{
	(void)state;
	NEED_ROOT();
	for (size_t over = 0; over < 2; over++) {
		struct scratch s;
		struct err e = ERR_INIT;
		AUTO(buf) vector = VECTOR_BUF;
		struct buf *b = &vector;
		size_t value_len = LIMIT_PAX_BYTES - strlen("1048576 comment=\n") + over;
		AUTO_FREE char *value = mem_alloc(value_len);
		memset(value, 'c', value_len);
		scratch_open(&s);
		vec_pax(b, 'x', "comment", value, value_len);
		FILE_("f", "x");
		vec_end(b);
		int result = unpack_plain(&s, b, -1, &e);
		if (over)
			expect_id(result, &e, "unpack/pax-too-big");
		else
			assert_int_equal(result, 0);
		scratch_close(&s);
	}
}

static void test_un19_links_to_one_file_at_their_edge(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	struct err e = ERR_INIT;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	FILE_("f", "x");
	for (unsigned i = 1; i < LIMIT_HARDLINKS; i++) {
		char name[16];
		snprintf(name, sizeof(name), "d%u/%u", i / 1000, i);
		HARD_(name, "f");
	}
	AUTO(buf) over = VECTOR_BUF;
	buf_add(&over, b->data, b->len);
	expect_unpacked(&s, b);
	assert_int_equal(at_stat(s.root_fd, "f").st_nlink, LIMIT_HARDLINKS);
	scratch_reset_root(&s);
	vec_add(&over, (struct vec_entry){.name = "over", .type = '1', .link = "f"});
	vec_end(&over);
	expect_id(unpack_plain(&s, &over, -1, &e), &e, "unpack/hardlink");
	scratch_close(&s);
}

static void test_un21_other_formats_are_refused(void **state)
{
	(void)state;
	NEED_ROOT();
	static const struct {
		const char *bytes;
		size_t len;
	} files[] = {
		{"PK\3\4", 4},
		{"7z\xbc\xaf\x27\x1c", 6},
		{"Rar!\x1a\7\1\0", 8},
		{"070701", 6},
		{"#mtree\n", 7},
		{"BZh9", 4},
		{"\xfd"
		 "7zXZ\0",
		 6},
		{"!<arch>\n", 8},
	};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct digest d;
		AUTO(buf) b = VECTOR_BUF;
		char padding[2048];
		memset(padding, 'A', sizeof(padding));
		buf_add(&b, files[i].bytes, files[i].len);
		buf_add(&b, padding, sizeof(padding));
		digest_bytes(DIGEST_SHA256, b.data, b.len, &d);
		expect_blob(&b, LAYER_TAR, &d, "unpack/tar-header");
		expect_blob(&b, LAYER_GZIP, &d, "unpack/corrupt");
		expect_blob(&b, LAYER_ZSTD, &d, "unpack/corrupt");
	}
	/* Gzip in gzip, and gzip where the media type says plain. */
	AUTO(buf) tar = VECTOR_BUF;
	AUTO(buf) once = VECTOR_BUF;
	AUTO(buf) twice = VECTOR_BUF;
	struct digest d;
	small_layer(&tar, &d);
	vec_gzip(&once, tar.data, tar.len);
	vec_gzip(&twice, once.data, once.len);
	expect_blob(&twice, LAYER_GZIP, &d, "unpack/truncated");
	expect_blob(&once, LAYER_TAR, &d, "unpack/truncated");
}

static void test_un22_diff_id_must_match(void **state)
{
	(void)state;
	NEED_ROOT();
	AUTO(buf) tar = VECTOR_BUF;
	struct digest d;
	small_layer(&tar, &d);
	d.bytes[31] ^= 1;
	expect_blob(&tar, LAYER_TAR, &d, "unpack/diff-id");
	digest_bytes(DIGEST_SHA512, tar.data, tar.len, &d);
	expect_blob(&tar, LAYER_TAR, &d, NULL);
	buf_add(&tar, "\0", 1); /* a harmless tail is still part of the stream */
	expect_blob(&tar, LAYER_TAR, &d, "unpack/diff-id");
}

BAD(uid_over, "unpack/owner", vec_add(b, (struct vec_entry){"f", .uid = 65536}))
BAD(gid_over, "unpack/owner", PAX_("gid", "4294967295"); FILE_("f", ""))
BAD(uid_2_31, "unpack/owner", PAX_("uid", "2147483648"); FILE_("f", ""))
BAD(uid_negative, "unpack/tar-header", PAX_("uid", "-2"); FILE_("f", ""))
BAD(time_far, "unpack/time", PAX_("mtime", "253402300800"); FILE_("f", ""))
BAD(time_2_63, "unpack/tar-header", PAX_("mtime", "9223372036854775808"); FILE_("f", ""))
BAD(time_text, "unpack/tar-header", PAX_("mtime", "1.5s"); FILE_("f", ""))

static void test_un24_un25_ids_and_times_have_a_range(void **state)
{
	(void)state;
	static const struct bad rows[] = {ROW(uid_over),     ROW(gid_over), ROW(uid_2_31),
					  ROW(uid_negative), ROW(time_far), ROW(time_2_63),
					  ROW(time_text)};
	expect_bad(rows, ARRAY_LEN(rows));
	struct scratch s;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	PAX_("mtime", "-1.5");
	vec_add(b, (struct vec_entry){"old", .mode = 0177777, .uid = 65535, .gid = 65535});
	PAX_("mtime", "123.999999999");
	FILE_("new", "");
	expect_unpacked(&s, b);
	expect_mtime(s.root_fd, "old", 0);
	expect_mode(s.root_fd, "old", 07777, 65535, 65535);
	expect_mtime(s.root_fd, "new", 123);
	scratch_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_un11_pax_size_wins_or_agrees),
		cmocka_unit_test(test_un12_what_readers_disagree_about_is_refused),
		cmocka_unit_test(test_long_names_of_both_kinds_are_read),
		cmocka_unit_test(test_un13_the_end_is_the_end),
		cmocka_unit_test(test_un14_numbers_are_checked),
		cmocka_unit_test(test_un15_gzip_checksums_are_checked),
		cmocka_unit_test(test_un16_every_byte_belongs_to_a_gzip_member),
		cmocka_unit_test(test_un17_truncation_is_seen_at_every_byte),
		cmocka_unit_test(test_un18_zstd_frames),
		cmocka_unit_test(test_un19_limits_at_their_edges),
		cmocka_unit_test(test_un19_many_entries_are_counted_ahead),
		cmocka_unit_test(test_un19_names_have_a_sum),
		cmocka_unit_test(test_un19_names_at_their_edges),
		cmocka_unit_test(test_un19_pax_headers_at_their_edge),
		cmocka_unit_test(test_un19_links_to_one_file_at_their_edge),
		cmocka_unit_test(test_un21_other_formats_are_refused),
		cmocka_unit_test(test_un22_diff_id_must_match),
		cmocka_unit_test(test_un24_un25_ids_and_times_have_a_range),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
