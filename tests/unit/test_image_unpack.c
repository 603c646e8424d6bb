/*
 * Layers into trees: what is written and where, and the rows of the attack catalogue (UN) about
 * names, links, whiteouts and attributes. The stream itself: test_image_unpack_stream.c.
 */
#include "image_layers.h"

static void test_writes_all_types_with_their_attributes(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	vec_add(b,
		(struct vec_entry){"etc/", '5', .mode = 0700, .uid = 7, .gid = 8, .mtime = 99});
	vec_add(b, (struct vec_entry){"etc/f", '0', .mode = 04755, .uid = 1000, .gid = 65535,
				      .mtime = 5, .data = "hello"});
	vec_add(b, (struct vec_entry){"etc/l", '2', .uid = 3, .gid = 4, .mtime = 6,
				      .link = "/nowhere"});
	HARD_("etc/h", "./etc/f");
	vec_add(b, (struct vec_entry){"etc/p", '6', .mode = 0622, .uid = 1, .mtime = 7});
	vec_add(b, (struct vec_entry){"etc/seven", '7', .data = "contiguous"});
	FILE_("etc/empty", NULL);
	expect_unpacked(&s, b);
	expect_mode(s.root_fd, "etc", 0700, 7, 8);
	expect_mtime(s.root_fd, "etc", 99);
	expect_text(s.root_fd, "etc/f", "hello");
	expect_mode(s.root_fd, "etc/f", 04755, 1000, 65535);
	expect_mtime(s.root_fd, "etc/f", 5);
	expect_link(s.root_fd, "etc/l", "/nowhere");
	expect_mode(s.root_fd, "etc/l", 0777, 3, 4);
	expect_mtime(s.root_fd, "etc/l", 6);
	assert_int_equal(at_stat(s.root_fd, "etc/h").st_ino,
			 at_stat(s.root_fd, "etc/f").st_ino);
	assert_true(S_ISFIFO(at_stat(s.root_fd, "etc/p").st_mode));
	expect_mode(s.root_fd, "etc/p", 0622, 1, 0);
	expect_text(s.root_fd, "etc/seven", "contiguous");
	expect_text(s.root_fd, "etc/empty", "");
	scratch_close(&s);
}

static void test_umask_and_setgid_parents_change_nothing(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	vec_add(b, (struct vec_entry){"d", '5', .mode = 02777, .gid = 42});
	vec_add(b, (struct vec_entry){"d/f", '0', .mode = 0666});
	DIR_("d/sub");
	mode_t before = umask(0077);
	expect_unpacked(&s, b);
	umask(before);
	expect_mode(s.root_fd, "d", 02777, 0, 42);
	expect_mode(s.root_fd, "d/f", 0666, 0, 0);
	expect_mode(s.root_fd, "d/sub", 0755, 0, 0);
	scratch_close(&s);
}

static void test_un01_absolute_names_are_stripped(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	FILE_("/e", "1");
	FILE_("//a/./b//c", "2");
	expect_unpacked(&s, b);
	expect_text(s.root_fd, "e", "1");
	expect_text(s.root_fd, "a/b/c", "2");
	expect_mode(s.root_fd, "a/b", 0755, 0, 0);
	expect_mtime(s.root_fd, "a", UNPACK_PARENT_MTIME_S);
	scratch_close(&s);
}

BAD(dotdot_file, "unpack/dotdot", FILE_("../e", "x"))
BAD(dotdot_inside, "unpack/dotdot", FILE_("a/../../e", "x"))
BAD(dotdot_alone, "unpack/dotdot", DIR_(".."))
BAD(dotdot_slashes, "unpack/dotdot", FILE_("./..//e", "x"))
BAD(dotdot_absolute, "unpack/dotdot", FILE_("/../e", "x"))
BAD(dotdot_hardlink, "unpack/dotdot", FILE_("f", "x"); HARD_("h", "a/../f"))
BAD(no_name, "unpack/name", FILE_("", "x"))
BAD(file_with_slash, "unpack/name", FILE_("f/", "x"))

static void test_un01_dotdot_is_refused(void **state)
{
	(void)state;
	static const struct bad rows[] = {
		ROW(dotdot_file),    ROW(dotdot_inside),   ROW(dotdot_alone),
		ROW(dotdot_slashes), ROW(dotdot_absolute), ROW(dotdot_hardlink),
		ROW(no_name),	     ROW(file_with_slash),
	};
	expect_bad(rows, ARRAY_LEN(rows));
}

BAD(link_then_file, "unpack/link-in-path", LINK_("s", "../canary"); FILE_("s/new", "x"))
BAD(link_then_dir, "unpack/link-in-path", LINK_("s", "../canary"); DIR_("s/dir/new"))
BAD(link_then_link, "unpack/link-in-path", LINK_("s", "../canary"); LINK_("s/l", "x"))
BAD(link_then_hardlink, "unpack/link-in-path", LINK_("s", "../canary"); FILE_("f", "x");
    HARD_("s/h", "f"))
BAD(link_to_own_dir, "unpack/link-in-path", DIR_("d"); LINK_("s", "d"); FILE_("s/f", "x"))
BAD(link_target_hard, "unpack/hardlink", LINK_("s", "../canary"); HARD_("h", "s/file"))
BAD(link_as_hard, "unpack/hardlink", LINK_("s", "../canary/file"); HARD_("h", "s"))
BAD(link_becomes_file, "unpack/type-flip", LINK_("s", "../canary/file"); FILE_("s", "x"))
BAD(link_becomes_dir, "unpack/type-flip", LINK_("s", "../canary/dir"); DIR_("s"))
BAD(file_in_path, "unpack/link-in-path", FILE_("f", "x"); FILE_("f/g", "x"))

static void test_un02_nothing_is_written_through_links(void **state)
{
	(void)state;
	static const struct bad rows[] = {
		ROW(link_then_file),	 ROW(link_then_dir),	 ROW(link_then_link),
		ROW(link_then_hardlink), ROW(link_to_own_dir),	 ROW(link_target_hard),
		ROW(link_as_hard),	 ROW(link_becomes_file), ROW(link_becomes_dir),
		ROW(file_in_path),
	};
	expect_bad(rows, ARRAY_LEN(rows));
}

BAD(hard_outside, "unpack/hardlink", HARD_("h", "/etc/hostname"))
BAD(hard_later, "unpack/hardlink", HARD_("h", "f"); FILE_("f", "x"))
BAD(hard_dir, "unpack/hardlink", DIR_("d"); HARD_("h", "d"))
BAD(hard_self, "unpack/hardlink", FILE_("f", "x"); HARD_("f", "f"))
BAD(hard_root, "unpack/hardlink", HARD_("h", "/"))
BAD(hard_fifo, "unpack/hardlink", TYPE_("p", '6'); HARD_("h", "p"))
BAD(hard_nothing, "unpack/link", HARD_("h", NULL))

static void test_un03_hard_links_stay_inside(void **state)
{
	(void)state;
	static const struct bad rows[] = {ROW(hard_outside), ROW(hard_later), ROW(hard_dir),
					  ROW(hard_self),    ROW(hard_root),  ROW(hard_fifo),
					  ROW(hard_nothing)};
	expect_bad(rows, ARRAY_LEN(rows));
}

BAD(root_link, "unpack/name", LINK_("./", "../canary"))
BAD(root_link_dot, "unpack/root", LINK_(".", "../canary"))
BAD(root_link_slash, "unpack/root", LINK_("/", "../canary"))
BAD(root_file, "unpack/root", FILE_(".", "x"))

static void test_un04_root_is_only_a_directory(void **state)
{
	(void)state;
	static const struct bad rows[] = {ROW(root_link), ROW(root_link_dot),
					  ROW(root_link_slash), ROW(root_file)};
	expect_bad(rows, ARRAY_LEN(rows));
	struct scratch s;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	vec_add(b, (struct vec_entry){"./", '5', .mode = 0711, .uid = 5, .mtime = 50});
	FILE_("f", "x");
	expect_unpacked(&s, b);
	expect_mode(s.root_fd, ".", 0711, 5, 0);
	expect_mtime(s.root_fd, ".", 50);
	scratch_close(&s);
}

static void test_un05_attributes_do_not_follow_links(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	vec_add(b, (struct vec_entry){"s", '2', .mode = 04777, .uid = 9, .gid = 9, .mtime = 1,
				      .link = "../canary/file"});
	vec_add(b, (struct vec_entry){"d", '2', .mode = 0777, .uid = 9, .mtime = 1,
				      .link = "../canary/dir"});
	expect_unpacked(&s, b); /* scratch_close compares the canary */
	expect_mode(s.root_fd, "s", 0777, 9, 9);
	scratch_close(&s);
}

BAD(device_char, "unpack/device", TYPE_("c", '3'))
BAD(device_block, "unpack/device", TYPE_("c", '4'))
BAD(type_sparse, "unpack/sparse", TYPE_("c", 'S'))
BAD(type_volume, "unpack/entry-type", TYPE_("c", 'V'))
BAD(type_unknown, "unpack/entry-type", TYPE_("c", '\x7f'))

static void test_un06_un20_devices_and_sparse_are_refused(void **state)
{
	(void)state;
	static const struct bad rows[] = {ROW(device_char), ROW(device_block), ROW(type_sparse),
					  ROW(type_volume), ROW(type_unknown)};
	expect_bad(rows, ARRAY_LEN(rows));
}

static void test_un07_capabilities_and_user_xattrs_are_kept(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	static const unsigned char cap[20] = {0, 0, 0, 2, 0, 4};
	unsigned char got[64];
	scratch_open(&s);
	AUTO(buf) records = VECTOR_BUF;
	vec_pax_record(&records, "SCHILY.xattr.security.capability", cap, sizeof(cap));
	vec_pax_record(&records, "SCHILY.xattr.user.a", "x\0y", 3);
	vec_pax_record(&records, "SCHILY.xattr.security.selinux", "host", 4);
	vec_pax_record(&records, "SCHILY.xattr.com.apple.quarantine", "q", 1);
	vec_add(b,
		(struct vec_entry){"pax", 'x', .data = records.data, .data_len = records.len});
	vec_add(b, (struct vec_entry){"ping", '0', .mode = 0755, .uid = 1, .data = "elf"});
	expect_unpacked(&s, b);
	AUTO_CLOSE int fd = openat(s.root_fd, "ping", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fgetxattr(fd, "security.capability", got, sizeof(got)), sizeof(cap));
	assert_memory_equal(got, cap, sizeof(cap));
	assert_int_equal(fgetxattr(fd, "user.a", got, sizeof(got)), 3);
	assert_int_equal(fgetxattr(fd, "security.selinux", got, sizeof(got)), -1);
	mem_close_cleanup(&fd);
	scratch_close(&s);
}

BAD(whiteout_dotdot, "unpack/whiteout", FILE_(".wh...", NULL))
BAD(whiteout_dot, "unpack/whiteout", FILE_(".wh..", NULL))
BAD(whiteout_bare, "unpack/whiteout", FILE_(".wh.", NULL))
BAD(whiteout_as_dir, "unpack/whiteout", FILE_(".wh./x", NULL))
BAD(whiteout_parent, "unpack/whiteout", FILE_("d/.wh.e/x", NULL))
BAD(whiteout_nested, "unpack/whiteout", FILE_("d/.wh...", NULL))
BAD(whiteout_plnk, "unpack/whiteout", FILE_(".wh..wh.plnk", NULL))
BAD(whiteout_dir, "unpack/whiteout", DIR_(".wh.f"))
BAD(whiteout_link, "unpack/whiteout", LINK_(".wh.f", "x"))
BAD(whiteout_data, "unpack/whiteout", FILE_(".wh.f", "data"))
BAD(whiteout_through, "unpack/link-in-path", LINK_("s", "../canary"); FILE_("s/.wh.file", NULL))
BAD(opaque_through, "unpack/link-in-path", LINK_("s", "../canary");
    FILE_("s/.wh..wh..opq", NULL))

static void test_un08_whiteouts_are_strict(void **state)
{
	(void)state;
	static const struct bad rows[] = {
		ROW(whiteout_dotdot), ROW(whiteout_dot),     ROW(whiteout_bare),
		ROW(whiteout_as_dir), ROW(whiteout_parent),  ROW(whiteout_nested),
		ROW(whiteout_plnk),   ROW(whiteout_dir),     ROW(whiteout_link),
		ROW(whiteout_data),   ROW(whiteout_through), ROW(opaque_through),
	};
	expect_bad(rows, ARRAY_LEN(rows));
}

static void test_un09_whiteouts_affect_only_lower_layers(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	FILE_("gone/.wh.f", NULL); /* in an unmentioned directory */
	FILE_("kept", "mine");
	FILE_(".wh.kept", NULL); /* after the file of the same layer */
	FILE_(".wh.late", NULL);
	FILE_("late", "mine"); /* before it */
	FILE_(".wh.dir", NULL);
	DIR_("dir");
	FILE_("dir/f", "new");
	DIR_("o");
	FILE_("o/f", "mine");
	FILE_("o/.wh..wh..opq", NULL); /* last */
	FILE_(".wh.both", NULL);
	FILE_("both/.wh.x", NULL);
	FILE_(".wh.twice", NULL);
	FILE_(".wh.twice", NULL);
	expect_unpacked(&s, b);
	expect_whiteout(s.root_fd, "gone/f");
	expect_text(s.root_fd, "kept", "mine");
	expect_text(s.root_fd, "late", "mine");
	expect_text(s.root_fd, "dir/f", "new");
	assert_true(is_opaque(s.root_fd, "dir"));
	expect_text(s.root_fd, "o/f", "mine");
	assert_true(is_opaque(s.root_fd, "o"));
	assert_true(is_opaque(s.root_fd, "both"));
	assert_false(is_opaque(s.root_fd, "gone"));
	expect_whiteout(s.root_fd, "twice");
	expect_absent(s.root_fd, ".wh.kept");
	scratch_close(&s);
}

static void test_un09_opaque_root_hides_each_name_beneath(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	struct err e = ERR_INIT;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	at_mkdir(s.top_fd, "lower", 0755);
	at_write(s.top_fd, "lower/a", "old");
	at_mkdir(s.top_fd, "lower/d", 0755);
	AUTO_CLOSE int lower_fd = at_dir(s.top_fd, "lower");
	FILE_("d/f", "new");
	FILE_(".wh..wh..opq", NULL);
	vec_end(b);
	assert_int_equal(unpack_plain(&s, b, lower_fd, &e), 0);
	expect_whiteout(s.root_fd, "a");
	assert_true(is_opaque(s.root_fd, "d"));
	expect_text(s.root_fd, "d/f", "new");
	mem_close_cleanup(&lower_fd);
	scratch_close(&s);
}

static void test_unmentioned_parents_look_as_beneath(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	struct err e = ERR_INIT;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	at_mkdir(s.top_fd, "lower", 0751);
	at_mkdir(s.top_fd, "lower/tmp", 01777);
	at_mkdir(s.top_fd, "lower/tmp/x", 0700);
	assert_int_equal(fchownat(s.top_fd, "lower/tmp/x", 12, 13, 0), 0);
	assert_int_equal(symlinkat("tmp", s.top_fd, "lower/link"), 0);
	AUTO_CLOSE int x_fd = at_dir(s.top_fd, "lower/tmp/x");
	assert_int_equal(fsetxattr(x_fd, "user.k", "v", 1, 0), 0);
	assert_int_equal(futimens(x_fd, (struct timespec[2]){{77, 0}, {77, 0}}), 0);
	AUTO_CLOSE int lower_fd = at_dir(s.top_fd, "lower");
	FILE_("tmp/x/y/f", "new");
	FILE_("link/f", "new");
	vec_end(b);
	assert_int_equal(unpack_plain(&s, b, lower_fd, &e), 0);
	expect_mode(s.root_fd, ".", 0751, 0, 0);
	expect_mode(s.root_fd, "tmp", 01777, 0, 0);
	expect_mode(s.root_fd, "tmp/x", 0700, 12, 13);
	expect_mtime(s.root_fd, "tmp/x", 77);
	expect_mode(s.root_fd, "tmp/x/y", 0755, 0, 0);
	assert_true(S_ISDIR(at_stat(s.root_fd, "link").st_mode));
	AUTO_CLOSE int new_fd = at_dir(s.root_fd, "tmp/x");
	char got[4];
	assert_int_equal(fgetxattr(new_fd, "user.k", got, sizeof(got)), 1);
	mem_close_cleanup(&new_fd);
	mem_close_cleanup(&x_fd);
	mem_close_cleanup(&lower_fd);
	scratch_close(&s);
}

BAD(xattr_opaque, "unpack/xattr", PAX_("SCHILY.xattr.user.overlay.opaque", "y"); DIR_("d"))
BAD(xattr_whiteout, "unpack/xattr", PAX_("SCHILY.xattr.user.overlay.whiteout", "y");
    FILE_("f", NULL))
BAD(xattr_redirect, "unpack/xattr", PAX_("SCHILY.xattr.user.overlay.redirect", "/x"); DIR_("d"))
BAD(xattr_metacopy, "unpack/xattr", PAX_("SCHILY.xattr.user.overlay.metacopy", "");
    FILE_("f", ""))
BAD(xattr_trusted, "unpack/xattr", PAX_("SCHILY.xattr.trusted.overlay.opaque", "y"); DIR_("d"))
BAD(xattr_ima, "unpack/xattr", PAX_("SCHILY.xattr.security.ima", "y"); FILE_("f", ""))
BAD(xattr_on_link, "unpack/xattr", PAX_("SCHILY.xattr.user.x", "y"); LINK_("f", "x"))

static void test_un10_overlay_xattrs_are_refused(void **state)
{
	(void)state;
	static const struct bad rows[] = {ROW(xattr_opaque),   ROW(xattr_whiteout),
					  ROW(xattr_redirect), ROW(xattr_metacopy),
					  ROW(xattr_trusted),  ROW(xattr_ima),
					  ROW(xattr_on_link)};
	expect_bad(rows, ARRAY_LEN(rows));
}

BAD(flip_file_dir, "unpack/type-flip", FILE_("x", "1"); DIR_("x"))
BAD(flip_dir_link, "unpack/type-flip", DIR_("x"); LINK_("x", "y"))
BAD(flip_dir_file, "unpack/type-flip", DIR_("x"); FILE_("x", "1"))
BAD(flip_parent_file, "unpack/type-flip", FILE_("x/y", "1"); FILE_("x", "1"))
BAD(flip_link_fifo, "unpack/type-flip", LINK_("x", "y"); TYPE_("x", '6'))

static void test_un23_duplicates(void **state)
{
	(void)state;
	static const struct bad rows[] = {ROW(flip_file_dir), ROW(flip_dir_link),
					  ROW(flip_dir_file), ROW(flip_parent_file),
					  ROW(flip_link_fifo)};
	expect_bad(rows, ARRAY_LEN(rows));
	struct scratch s;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	FILE_("f", "first");
	HARD_("h", "f");
	FILE_("f", "second"); /* must not write into h */
	FILE_("F", "case");
	LINK_("l", "a");
	LINK_("l", "b");
	vec_add(b, (struct vec_entry){"d", '5', .mode = 0700, .uid = 1});
	FILE_("d/f", "x");
	vec_add(b, (struct vec_entry){"d", '5', .mode = 0711, .uid = 2});
	FILE_("\xc3\xa9", "nfc");
	FILE_("e\xcc\x81", "nfd");
	expect_unpacked(&s, b);
	expect_text(s.root_fd, "f", "second");
	expect_text(s.root_fd, "h", "first");
	expect_text(s.root_fd, "F", "case");
	expect_link(s.root_fd, "l", "b");
	expect_mode(s.root_fd, "d", 0711, 2, 0);
	expect_text(s.root_fd, "d/f", "x");
	expect_text(s.root_fd, "\xc3\xa9", "nfc");
	expect_text(s.root_fd, "e\xcc\x81", "nfd");
	scratch_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writes_all_types_with_their_attributes),
		cmocka_unit_test(test_umask_and_setgid_parents_change_nothing),
		cmocka_unit_test(test_un01_absolute_names_are_stripped),
		cmocka_unit_test(test_un01_dotdot_is_refused),
		cmocka_unit_test(test_un02_nothing_is_written_through_links),
		cmocka_unit_test(test_un03_hard_links_stay_inside),
		cmocka_unit_test(test_un04_root_is_only_a_directory),
		cmocka_unit_test(test_un05_attributes_do_not_follow_links),
		cmocka_unit_test(test_un06_un20_devices_and_sparse_are_refused),
		cmocka_unit_test(test_un07_capabilities_and_user_xattrs_are_kept),
		cmocka_unit_test(test_un08_whiteouts_are_strict),
		cmocka_unit_test(test_un09_whiteouts_affect_only_lower_layers),
		cmocka_unit_test(test_un09_opaque_root_hides_each_name_beneath),
		cmocka_unit_test(test_unmentioned_parents_look_as_beneath),
		cmocka_unit_test(test_un10_overlay_xattrs_are_refused),
		cmocka_unit_test(test_un23_duplicates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
