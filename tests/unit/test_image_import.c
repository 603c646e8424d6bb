/* Imports: the destination table, what attributes arrive, and what of the root stays as it was.
 */
#include "image_scratch.h"

#include "image/import.h"

#define EPOCH INT64_C(1000000000)

struct blobs {
	struct scratch s;
	int blobs_fd;
	struct digest hello, tool;
};

static void put_blob(struct blobs *x, const char *text, struct digest *ret)
{
	char hex[DIGEST_TEXT_MAX];
	digest_bytes(DIGEST_SHA256, text, strlen(text), ret);
	digest_format_hex(ret, hex);
	AUTO_FREE char *path = mem_printf("sha256/%s", hex);
	at_write(x->blobs_fd, path, text);
}

static void blobs_open(struct blobs *x)
{
	scratch_open(&x->s);
	at_mkdir(x->s.top_fd, "blobs", 0755);
	at_mkdir(x->s.top_fd, "blobs/sha256", 0755);
	x->blobs_fd = at_dir(x->s.top_fd, "blobs");
	put_blob(x, "hello\n", &x->hello);
	put_blob(x, "tool\n", &x->tool);
}

static void blobs_close(struct blobs *x)
{
	close(x->blobs_fd);
	scratch_close(&x->s);
}

static struct import_options options_of(const struct blobs *x, const char *dest)
{
	return (struct import_options){.name = "base",
				       .dest = dest,
				       .mode = -1,
				       .uid = -1,
				       .gid = -1,
				       .epoch_s = EPOCH,
				       .blobs_fd = x->blobs_fd};
}

static int import_hello(struct blobs *x, const struct import_options *options, struct err *e)
{
	const struct import_entry entry = {"", IMPORT_FILE, 0640, x->hello, NULL};
	return import_entries(&entry, 1, options, x->s.root_fd, e);
}

static int import_tree(struct blobs *x, const struct import_options *options, struct err *e)
{
	const struct import_entry entries[] = {
		{"", IMPORT_DIR, 0750, {0}, NULL},
		{"f", IMPORT_FILE, 04755, x->tool, NULL},
		{"l", IMPORT_SYMLINK, 0777, {0}, "/broken"},
		{"sub", IMPORT_DIR, 0700, {0}, NULL},
		{"sub/g", IMPORT_FILE, 0600, x->hello, NULL},
	};
	return import_entries(entries, ARRAY_LEN(entries), options, x->s.root_fd, e);
}

static void expect_imported(int result, const struct err *e)
{
	if (result < 0)
		fail_msg("[%s] %s", e->id, e->message);
}

static void test_destinations_of_a_file(void **state)
{
	(void)state;
	NEED_ROOT();
	static const char *const rows[][2] = {
		{"/a/", "a/base"},
		{"/c/b", "c/b"},
		{"/", "base"},
		{"//d//./e", "d/e"},
	};
	struct blobs x;
	blobs_open(&x);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		const struct import_options options = options_of(&x, rows[i][0]);
		expect_imported(import_hello(&x, &options, &e), &e);
		expect_text(x.s.root_fd, rows[i][1], "hello\n");
		expect_mode(x.s.root_fd, rows[i][1], 0640, 0, 0);
		expect_mtime(x.s.root_fd, rows[i][1], EPOCH);
	}
	expect_mode(x.s.root_fd, "a", 0755, 0, 0);
	expect_mtime(x.s.root_fd, "a", EPOCH);
	blobs_close(&x);
}

static void test_destinations_of_a_directory(void **state)
{
	(void)state;
	NEED_ROOT();
	static const struct {
		const char *dest;
		bool contents;
		const char *at, *absent;
	} rows[] = {
		{"/a", false, "a", "a/base"}, {"/b/", false, "b/base", "b/base/base"}, /* U27 */
		{"/c", true, "c", "c/base"},  {"/d/", true, "d", "d/base"},
		{"/", false, "base", "f"},    {"/", true, ".", "nothing"},
	};
	struct blobs x;
	blobs_open(&x);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		struct import_options options = options_of(&x, rows[i].dest);
		options.contents = rows[i].contents;
		expect_imported(import_tree(&x, &options, &e), &e);
		AUTO_CLOSE int at = at_dir(x.s.root_fd, rows[i].at);
		expect_text(at, "f", "tool\n");
		expect_mode(at, "f", 04755, 0, 0); /* U35 */
		expect_mode(at, "sub", 0700, 0, 0);
		expect_mtime(at, "sub", EPOCH);
		expect_text(at, "sub/g", "hello\n");
		expect_link(at, "l", "/broken");
		expect_absent(x.s.root_fd, rows[i].absent);
		mem_close_cleanup(&at);
	}
	expect_mode(x.s.root_fd, "a", 0750, 0, 0);
	expect_mode(x.s.root_fd, ".", 0755, 0, 0);
	blobs_close(&x);
}

static void test_mode_is_for_files_and_owner_for_all(void **state)
{
	(void)state;
	NEED_ROOT();
	struct blobs x;
	struct err e = ERR_INIT;
	blobs_open(&x);
	struct import_options options = options_of(&x, "/p/a");
	options.mode = 06711;
	options.uid = 7;
	options.gid = 8;
	expect_imported(import_tree(&x, &options, &e), &e);
	expect_mode(x.s.root_fd, "p", 0755, 0, 0); /* a parent, not the import */
	expect_mode(x.s.root_fd, "p/a", 0750, 7, 8);
	expect_mode(x.s.root_fd, "p/a/f", 06711, 7, 8);
	expect_mode(x.s.root_fd, "p/a/sub", 0700, 7, 8);
	expect_mode(x.s.root_fd, "p/a/l", 0777, 7, 8);
	blobs_close(&x);
}

static void test_existing_directories_keep_their_attributes(void **state)
{
	(void)state;
	NEED_ROOT();
	struct blobs x;
	struct err e = ERR_INIT;
	blobs_open(&x);
	at_mkdir(x.s.root_fd, "tmp", 01777);
	at_mkdir(x.s.root_fd, "tmp/sub", 0711);
	AUTO_CLOSE int sub = at_dir(x.s.root_fd, "tmp/sub");
	assert_int_equal(futimens(sub, (struct timespec[2]){{5, 6}, {5, 6}}), 0);
	at_write(x.s.root_fd, "tmp/f", "old");
	assert_int_equal(linkat(x.s.root_fd, "tmp/f", x.s.root_fd, "twin", 0), 0);
	struct import_options options = options_of(&x, "/tmp");
	expect_imported(import_tree(&x, &options, &e), &e);
	expect_mode(x.s.root_fd, "tmp", 01777, 0, 0); /* U9 */
	expect_mode(x.s.root_fd, "tmp/sub", 0711, 0, 0);
	assert_int_equal(at_stat(x.s.root_fd, "tmp/sub").st_mtim.tv_sec, 5);
	assert_int_equal(at_stat(x.s.root_fd, "tmp/sub").st_mtim.tv_nsec, 6);
	expect_text(x.s.root_fd, "tmp/f", "tool\n");
	expect_text(x.s.root_fd, "twin", "old");
	mem_close_cleanup(&sub);
	blobs_close(&x);
}

static void test_links_in_the_destination_stay_inside(void **state)
{
	(void)state;
	NEED_ROOT();
	struct blobs x;
	struct err e = ERR_INIT;
	blobs_open(&x);
	at_mkdir(x.s.root_fd, "usr", 0755);
	at_mkdir(x.s.root_fd, "usr/lib", 0755);
	assert_int_equal(symlinkat("usr/lib", x.s.root_fd, "lib"), 0);
	AUTO_FREE char *canary = mem_printf("%s/canary/file", x.s.path);
	assert_int_equal(symlinkat(canary, x.s.root_fd, "usr/lib/base"), 0);
	struct import_options options = options_of(&x, "/lib/");
	expect_imported(import_hello(&x, &options, &e), &e); /* replaces the link at its end */
	expect_text(x.s.root_fd, "usr/lib/base", "hello\n");
	expect_link(x.s.root_fd, "lib", "usr/lib"); /* U10 */
	options = options_of(&x, "/lib");
	options.contents = true;
	expect_imported(import_tree(&x, &options, &e), &e);
	expect_text(x.s.root_fd, "usr/lib/sub/g", "hello\n");
	expect_link(x.s.root_fd, "lib", "usr/lib");
	AUTO_FREE char *dir = mem_printf("%s/canary", x.s.path);
	assert_int_equal(symlinkat(dir, x.s.root_fd, "out"), 0);
	options = options_of(&x, "/out/dir/");
	expect_id(import_hello(&x, &options, &e), &e, "import/conflict");
	blobs_close(&x);
}

static void test_refusals(void **state)
{
	(void)state;
	NEED_ROOT();
	struct blobs x;
	struct err e = ERR_INIT;
	blobs_open(&x);
	at_mkdir(x.s.root_fd, "bin", 0755);
	assert_int_equal(symlinkat("bin", x.s.root_fd, "sbin"), 0);
	at_write(x.s.root_fd, "file", "x");
	struct import_options options = options_of(&x, "/bin"); /* U28 */
	expect_id(import_hello(&x, &options, &e), &e, "import/dest-is-directory");
	assert_non_null(strstr(e.hint, "/bin/"));
	options = options_of(&x, "/sbin");
	expect_id(import_hello(&x, &options, &e), &e, "import/dest-is-directory");
	options = options_of(&x, "relative");
	expect_id(import_hello(&x, &options, &e), &e, "import/dest");
	options = options_of(&x, "/a/../b");
	expect_id(import_hello(&x, &options, &e), &e, "import/dest");
	options = options_of(&x, "/a/");
	options.name = "..";
	expect_id(import_hello(&x, &options, &e), &e, "import/dest");
	options = options_of(&x, "/file");
	expect_id(import_tree(&x, &options, &e), &e, "import/conflict");
	options = options_of(&x, "/file/x");
	expect_id(import_hello(&x, &options, &e), &e, "import/conflict");
	at_mkdir(x.s.root_fd, "d", 0755);
	at_mkdir(x.s.root_fd, "d/f", 0755);
	options = options_of(&x, "/d");
	expect_id(import_tree(&x, &options, &e), &e, "import/conflict");
	blobs_close(&x);
}

static void test_damaged_content_is_seen(void **state)
{
	(void)state;
	NEED_ROOT();
	struct blobs x;
	struct err e = ERR_INIT;
	char hex[DIGEST_TEXT_MAX];
	blobs_open(&x);
	digest_format_hex(&x.hello, hex);
	AUTO_FREE char *path = mem_printf("sha256/%s", hex);
	at_write(x.blobs_fd, path, "hellO\n");
	const struct import_options options = options_of(&x, "/f");
	expect_id(import_hello(&x, &options, &e), &e, "store/damaged");
	assert_int_equal(e.code, ERR_MISMATCH);
	blobs_close(&x);
}

/* Another image's root, with everything that a step can leave in it. */
static int make_other(struct blobs *x)
{
	at_mkdir(x->s.top_fd, "other", 0755);
	int fd = at_dir(x->s.top_fd, "other");
	at_mkdir(fd, "out", 0750);
	assert_int_equal(fchownat(fd, "out", 3, 4, 0), 0);
	at_write(fd, "out/prog", "elf\n");
	assert_int_equal(fchownat(fd, "out/prog", 5, 6, 0), 0);
	assert_int_equal(fchmodat(fd, "out/prog", 04711, 0), 0);
	AUTO_CLOSE int prog = openat(fd, "out/prog", O_WRONLY | O_CLOEXEC);
	assert_int_equal(fsetxattr(prog, "user.k", "v", 1, 0), 0);
	assert_int_equal(futimens(prog, (struct timespec[2]){{9, 9}, {9, 9}}), 0);
	assert_int_equal(linkat(fd, "out/prog", fd, "out/twin", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", fd, "out/link"), 0);
	assert_int_equal(mkfifoat(fd, "out/fifo", 0600), 0);
	assert_int_equal(mknodat(fd, "out/sock", S_IFSOCK | 0600, 0), 0);
	assert_int_equal(symlinkat("/out", fd, "by-link"), 0);
	return fd;
}

static void test_from_another_root(void **state)
{
	(void)state;
	NEED_ROOT();
	struct blobs x;
	struct err e = ERR_INIT;
	blobs_open(&x);
	AUTO_CLOSE int other = make_other(&x);
	struct import_options options = options_of(&x, "/opt/renamed"); /* U6 */
	options.name = "prog";
	expect_imported(import_from_root(other, "/out/prog", &options, x.s.root_fd, &e), &e);
	expect_mode(x.s.root_fd, "opt/renamed", 04711, 5, 6);
	expect_mtime(x.s.root_fd, "opt/renamed", 9);
	options = options_of(&x, "/d");
	options.name = "out";
	expect_imported(import_from_root(other, "/out", &options, x.s.root_fd, &e), &e);
	expect_mode(x.s.root_fd, "d", 0750, 3, 4);
	assert_int_equal(at_stat(x.s.root_fd, "d/prog").st_nlink, 2);
	assert_int_equal(at_stat(x.s.root_fd, "d/twin").st_ino,
			 at_stat(x.s.root_fd, "d/prog").st_ino);
	expect_link(x.s.root_fd, "d/link", "/etc/passwd");
	assert_true(S_ISFIFO(at_stat(x.s.root_fd, "d/fifo").st_mode));
	expect_absent(x.s.root_fd, "d/sock");
	AUTO_CLOSE int prog = openat(x.s.root_fd, "d/prog", O_RDONLY | O_CLOEXEC);
	char value[4];
	assert_int_equal(fgetxattr(prog, "user.k", value, sizeof(value)), 1);
	mem_close_cleanup(&prog);
	/* By way of a link, contents asked for; owner and mode given. */
	options = options_of(&x, "/c/");
	options.name = "by-link";
	options.contents = true;
	options.uid = 1;
	options.gid = 2;
	options.mode = 0600;
	expect_imported(import_from_root(other, "/by-link/", &options, x.s.root_fd, &e), &e);
	expect_mode(x.s.root_fd, "c/prog", 0600, 1, 2);
	/* The link itself. */
	options = options_of(&x, "/l");
	options.name = "by-link";
	expect_imported(import_from_root(other, "/by-link", &options, x.s.root_fd, &e), &e);
	expect_link(x.s.root_fd, "l", "/out");
	/* All of it. */
	options = options_of(&x, "/whole");
	options.name = "L";
	options.contents = true;
	expect_imported(import_from_root(other, "/", &options, x.s.root_fd, &e), &e);
	expect_text(x.s.root_fd, "whole/out/prog", "elf\n");
	mem_close_cleanup(&other);
	blobs_close(&x);
}

static void test_from_another_root_refusals(void **state)
{
	(void)state;
	NEED_ROOT();
	struct blobs x;
	struct err e = ERR_INIT;
	blobs_open(&x);
	AUTO_CLOSE int other = make_other(&x);
	struct import_options options = options_of(&x, "/d");
	AUTO_FREE char *canary = mem_printf("%s/canary", x.s.path);
	assert_int_equal(symlinkat(canary, other, "evil"), 0);
	expect_id(import_from_root(other, "/evil/file", &options, x.s.root_fd, &e), &e,
		  "import/source");
	expect_id(import_from_root(other, "/../canary/file", &options, x.s.root_fd, &e), &e,
		  "import/source");
	expect_id(import_from_root(other, "/out/missing", &options, x.s.root_fd, &e), &e,
		  "import/source");
	if (mknodat(other, "out/dev", S_IFCHR | 0600, 0x103) == 0)
		expect_id(import_from_root(other, "/out", &options, x.s.root_fd, &e), &e,
			  "import/device");
	else
		print_message("not tried: devices cannot be made in a user namespace\n");
	mem_close_cleanup(&other);
	blobs_close(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_destinations_of_a_file),
		cmocka_unit_test(test_destinations_of_a_directory),
		cmocka_unit_test(test_mode_is_for_files_and_owner_for_all),
		cmocka_unit_test(test_existing_directories_keep_their_attributes),
		cmocka_unit_test(test_links_in_the_destination_stay_inside),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_damaged_content_is_seen),
		cmocka_unit_test(test_from_another_root),
		cmocka_unit_test(test_from_another_root_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
