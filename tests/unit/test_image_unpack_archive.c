/*
 * Archives onto a root file system: formats, merged-usr, what is replaced and what is kept, and
 * the attacks of the catalogue that go by way of an import.
 */
#include "image_scratch.h"

#include "util/limits.h"
#include "util/proc.h"

#define EPOCH INT64_C(1000000000)

static int unpack_fd(struct scratch *s, int fd, struct unpack_archive_options options,
		     struct err *e)
{
	options.name = options.name ? options.name : "x.tar";
	options.dest = options.dest ? options.dest : "/";
	options.epoch_s = EPOCH;
	return unpack_archive(fd, &options, &unpack_default_limits, s->root_fd, e);
}

/* uid, gid and mode as the archive says. */
#define AS_IS .uid = -1, .gid = -1, .mode = -1
#define OPTIONS(...) ((struct unpack_archive_options){AS_IS, __VA_ARGS__})

static int unpack_buf(struct scratch *s, const struct buf *b,
		      struct unpack_archive_options options, struct err *e)
{
	AUTO_CLOSE int fd = vec_fd(b->data, b->len);
	return unpack_fd(s, fd, options, e);
}

static void expect_unpacked(struct scratch *s, const struct buf *b,
			    struct unpack_archive_options options)
{
	struct err e = ERR_INIT;
	if (unpack_buf(s, b, options, &e) < 0)
		fail_msg("[%s] %s", e.id, e.message);
}

static void expect_refused(struct scratch *s, const struct buf *b,
			   struct unpack_archive_options options, const char *id)
{
	struct err e = ERR_INIT;
	expect_id(unpack_buf(s, b, options, &e), &e, id);
}

/* Runs a tool in the scratch directory; its output becomes `name` there. */
static int tool_output(struct scratch *s, const char *command, const char *name)
{
	struct err e = ERR_INIT;
	AUTO_FREE char *script =
		mem_printf("cd %s && { %s; } >tool.log 2>&1", s->path, command);
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	if (proc_run(argv, &e) < 0)
		return -1;
	return openat(s->top_fd, name, O_RDONLY | O_CLOEXEC);
}

#define NEED_TOOL(path)                                                                        \
	do {                                                                                   \
		if (access((path), X_OK) != 0) {                                               \
			print_message("skipped: %s is not installed\n", (path));               \
			skip();                                                                \
		}                                                                              \
	} while (0)

static void small_tar(struct buf *b)
{
	DIR_("d/");
	FILE_("d/f", "hello");
	LINK_("d/l", "f");
	vec_end(b);
}

static void expect_small(struct scratch *s)
{
	expect_text(s->root_fd, "d/f", "hello");
	expect_link(s->root_fd, "d/l", "f");
}

static void test_each_coding_of_tar(void **state)
{
	(void)state;
	NEED_ROOT();
	static const char *const tools[] = {"/usr/bin/gzip", "/usr/bin/xz", "/usr/bin/zstd",
					    "/usr/bin/bzip2", "/usr/bin/cat"};
	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		struct scratch s;
		struct err e = ERR_INIT;
		AUTO(buf) tar = VECTOR_BUF;
		if (access(tools[i], X_OK) != 0) {
			print_message("%s is not installed\n", tools[i]);
			continue;
		}
		scratch_open(&s);
		small_tar(&tar);
		AUTO_CLOSE int in =
			openat(s.top_fd, "in", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_int_equal(path_write_all(in, tar.data, tar.len, "in", &e), 0);
		AUTO_FREE char *command = mem_printf("%s <in >out", tools[i]);
		AUTO_CLOSE int fd = tool_output(&s, command, "out");
		assert_true(fd >= 0);
		if (unpack_fd(&s, fd, OPTIONS(.name = tools[i]), &e) < 0)
			fail_msg("[%s] %s", e.id, e.message);
		expect_small(&s);

		struct stat st;
		assert_int_equal(fstat(fd, &st), 0);
		bool is_plain = i == ARRAY_LEN(tools) - 1;
		/* The same with rubbish behind it, then cut short. */
		AUTO_CLOSE int tail =
			tool_output(&s, "cp out tail && echo rubbish >>tail", "tail");
		expect_id(unpack_fd(&s, tail, OPTIONS(.name = tools[i]), &e), &e,
			  is_plain ? "unpack/after-end" : "unpack/trailing-bytes");
		AUTO_FREE char *cut = mem_printf("head -c %ld out >cut", (long)st.st_size - 5);
		AUTO_CLOSE int short_fd = tool_output(&s, cut, "cut");
		struct err cut_e = ERR_INIT;
		assert_int_equal(unpack_fd(&s, short_fd, OPTIONS(.name = tools[i]), &cut_e),
				 -1);
		assert_int_equal(cut_e.code, ERR_INPUT);
		mem_close_cleanup(&in);
		mem_close_cleanup(&fd);
		mem_close_cleanup(&tail);
		mem_close_cleanup(&short_fd);
		scratch_close(&s);
	}
}

static void test_one_level_of_compression(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	AUTO(buf) tar = VECTOR_BUF;
	AUTO(buf) once = VECTOR_BUF;
	AUTO(buf) twice = VECTOR_BUF;
	scratch_open(&s);
	small_tar(&tar);
	vec_gzip(&once, tar.data, tar.len);
	vec_gzip(&twice, once.data, once.len);
	expect_unpacked(&s, &once, OPTIONS(.dest = "/"));
	expect_refused(&s, &twice, OPTIONS(.dest = "/"), "unpack/truncated");
	AUTO(buf) text = VECTOR_BUF;
	buf_add_c(&text, "#!/bin/sh\necho no archive\n");
	expect_refused(&s, &text, OPTIONS(.dest = "/"), "unpack/format");
	AUTO(buf) nothing = VECTOR_BUF;
	buf_add(&nothing, "", 0);
	expect_refused(&s, &nothing, OPTIONS(.dest = "/"), "unpack/format");
	scratch_close(&s);
}

static void test_debian_package(void **state)
{
	(void)state;
	NEED_ROOT();
	NEED_TOOL("/usr/bin/dpkg-deb");
	static const char *const codings[] = {"gzip", "xz", "none"};
	for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
		struct scratch s;
		struct err e = ERR_INIT;
		scratch_open(&s);
		at_mkdir(s.root_fd, "usr", 0755);
		at_mkdir(s.root_fd, "usr/lib", 0755);
		assert_int_equal(symlinkat("usr/lib", s.root_fd, "lib"), 0);
		AUTO_FREE char *command =
			mem_printf("mkdir -p p/DEBIAN p/lib/x p/usr/bin && printf 'Package: "
				   "p\\nVersion: 1\\n"
				   "Architecture: all\\nMaintainer: x "
				   "<x@example.org>\\nDescription: x\\n' "
				   ">p/DEBIAN/control && echo so >p/lib/x/lib.so && echo bin "
				   ">p/usr/bin/b && "
				   "ln p/usr/bin/b p/usr/bin/c && chmod 4755 p/usr/bin/b && "
				   "dpkg-deb -Z%s --root-owner-group -b p p.deb",
				   codings[i]);
		AUTO_CLOSE int fd = tool_output(&s, command, "p.deb");
		assert_true(fd >= 0);
		if (unpack_fd(&s, fd, OPTIONS(.name = "p.deb"), &e) < 0)
			fail_msg("[%s] %s", e.id, e.message);
		expect_link(s.root_fd, "lib", "usr/lib");
		expect_text(s.root_fd, "usr/lib/x/lib.so", "so\n");
		expect_mode(s.root_fd, "usr/bin/b", 04755, 0, 0);
		assert_int_equal(at_stat(s.root_fd, "usr/bin/b").st_nlink, 2);
		expect_absent(s.root_fd, "DEBIAN");
		mem_close_cleanup(&fd);
		scratch_close(&s);
	}
}

static void ar_member(struct buf *b, const char *name, const void *data, size_t len)
{
	buf_addf(b, "%-16s%-12d%-6d%-6d%-8s%-10zu`\n", name, 0, 0, 0, "100644", len);
	buf_add(b, data, len);
	if (len % 2)
		buf_add_byte(b, '\n');
}

static void test_debian_package_is_strict(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	AUTO(buf) tar = VECTOR_BUF;
	small_tar(&tar);
	scratch_open(&s);
	{
		AUTO(buf) deb = VECTOR_BUF; /* a good one first */
		buf_add_c(&deb, "!<arch>\n");
		ar_member(&deb, "debian-binary", "2.0\n", 4);
		ar_member(&deb, "_private/", "odd", 3);
		ar_member(&deb, "control.tar", "", 0);
		ar_member(&deb, "data.tar", tar.data, tar.len);
		expect_unpacked(&s, &deb, OPTIONS(.dest = "/"));
		expect_small(&s);
		deb.len -= 1;
		expect_refused(&s, &deb, OPTIONS(.dest = "/"), "unpack/deb");
	}
	static const char *const orders[][3] = {
		{"control.tar", "data.tar", NULL},	      /* no version */
		{"debian-binary", "data.tar", "control.tar"}, /* wrong order */
		{"debian-binary", "control.tar", "other"},    /* no data, a stranger */
		{"debian-binary", "control.tar", NULL},	      /* no data */
	};
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		AUTO(buf) deb = VECTOR_BUF;
		buf_add_c(&deb, "!<arch>\n");
		for (size_t j = 0; j < 3 && orders[i][j]; j++)
			ar_member(&deb, orders[i][j], "2.0\n", 4);
		expect_refused(&s, &deb, OPTIONS(.dest = "/"), "unpack/deb");
	}
	AUTO(buf) version = VECTOR_BUF;
	buf_add_c(&version, "!<arch>\n");
	ar_member(&version, "debian-binary", "3.0\n", 4);
	expect_refused(&s, &version, OPTIONS(.dest = "/"), "unpack/deb");
	scratch_close(&s);
}

static void test_zip(void **state)
{
	(void)state;
	NEED_ROOT();
	NEED_TOOL("/usr/bin/python3");
	struct scratch s;
	struct err e = ERR_INIT;
	scratch_open(&s);
	AUTO_CLOSE int fd =
		tool_output(&s,
			    "/usr/bin/python3 -c '\n"
			    "import zipfile\n"
			    "z = zipfile.ZipFile(\"z.zip\", \"w\", zipfile.ZIP_DEFLATED)\n"
			    "def add(name, data, mode, system=3):\n"
			    "    i = zipfile.ZipInfo(name, (2022, 7, 7, 7, 7, 8))\n"
			    "    i.create_system = system\n"
			    "    i.external_attr = mode << 16\n"
			    "    i.compress_type = zipfile.ZIP_DEFLATED\n"
			    "    z.writestr(i, data)\n"
			    "add(\"d/\", \"\", 0o40775)\n"
			    "add(\"d/run\", \"x\" * 100000, 0o100755)\n"
			    "add(\"d/l\", \"run\", 0o120777)\n"
			    "add(\"dos\", \"dos\", 0, 0)\n"
			    "add(\"n\\u00e4me\", \"utf\", 0o100666)\n"
			    "z.close()\n"
			    "b = bytearray(open(\"z.zip\", \"rb\").read())\n"
			    "i = b.find(b\"d/run\") + 20\n"
			    "b[i] ^= 1\n"
			    "open(\"bad.zip\", \"wb\").write(b)\n"
			    "z = zipfile.ZipFile(\"evil.zip\", \"w\")\n"
			    "add(\"../evil\", \"x\", 0o100644)\n"
			    "z.close()\n'",
			    "z.zip");
	assert_true(fd >= 0);
	if (unpack_fd(&s, fd, OPTIONS(.name = "z.zip"), &e) < 0)
		fail_msg("[%s] %s", e.id, e.message);
	expect_mode(s.root_fd, "d", 0755, 0, 0);
	expect_mode(s.root_fd, "d/run", 0755, 0, 0);
	assert_int_equal(at_stat(s.root_fd, "d/run").st_size, 100000);
	expect_link(s.root_fd, "d/l", "run");
	expect_mode(s.root_fd, "dos", 0644, 0, 0);
	expect_text(s.root_fd, "n\xc3\xa4me", "utf");
	expect_mode(s.root_fd, "n\xc3\xa4me", 0644, 0, 0);
	expect_mtime(s.root_fd, "d/run", EPOCH);
	AUTO_CLOSE int bad = openat(s.top_fd, "bad.zip", O_RDONLY | O_CLOEXEC);
	expect_id(unpack_fd(&s, bad, OPTIONS(.name = "bad.zip"), &e), &e, "unpack/zip");
	AUTO_CLOSE int evil = openat(s.top_fd, "evil.zip", O_RDONLY | O_CLOEXEC);
	expect_id(unpack_fd(&s, evil, OPTIONS(.name = "evil.zip"), &e), &e, "unpack/dotdot");
	const struct unpack_archive_options options = OPTIONS(.name = "z.zip", .dest = "/");
	const struct unpack_limits tight = {100000, 100};
	expect_id(unpack_archive(fd, &options, &tight, s.root_fd, &e), &e, "unpack/too-big");
	mem_close_cleanup(&fd);
	mem_close_cleanup(&bad);
	mem_close_cleanup(&evil);
	scratch_close(&s);
}

static void test_zip_encrypted_is_refused(void **state)
{
	(void)state;
	NEED_ROOT();
	NEED_TOOL("/usr/bin/zip");
	struct scratch s;
	struct err e = ERR_INIT;
	scratch_open(&s);
	AUTO_CLOSE int fd =
		tool_output(&s, "echo secret >f && /usr/bin/zip -q -P pw e.zip f", "e.zip");
	assert_true(fd >= 0);
	expect_id(unpack_fd(&s, fd, OPTIONS(.name = "e.zip"), &e), &e, "unpack/encrypted");
	mem_close_cleanup(&fd);
	scratch_close(&s);
}

static void test_links_of_the_root_are_followed_inside_it(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	at_mkdir(s.root_fd, "usr", 0755);
	at_mkdir(s.root_fd, "usr/lib", 0711);
	assert_int_equal(symlinkat("/usr/lib", s.root_fd, "lib"), 0);
	assert_int_equal(symlinkat("../../../../canary", s.root_fd, "up"), 0);
	AUTO_FREE char *canary = mem_printf("%s/canary", s.path);
	assert_int_equal(symlinkat(canary, s.root_fd, "abs"), 0);
	vec_add(b, (struct vec_entry){"lib/", '5', .mode = 0700, .uid = 9});
	FILE_("lib/f", "1");
	vec_end(b);
	expect_unpacked(&s, b, OPTIONS(.dest = "/"));
	expect_link(s.root_fd, "lib", "/usr/lib");
	expect_text(s.root_fd, "usr/lib/f", "1");
	expect_mode(s.root_fd, "usr/lib", 0711, 0, 0); /* reached by a link: left alone */
	b->len = 0;
	FILE_("up/new", "1"); /* leads to /canary inside, which is not there */
	vec_end(b);
	expect_refused(&s, b, OPTIONS(.dest = "/"), "unpack/link-in-path");
	b->len = 0;
	FILE_("abs/file", "dead");
	vec_end(b);
	expect_refused(&s, b, OPTIONS(.dest = "/"), "unpack/link-in-path");
	b->len = 0;
	LINK_("planted", "../../../../usr");
	FILE_("planted/in", "1"); /* by its own link, still inside */
	vec_end(b);
	expect_unpacked(&s, b, OPTIONS(.dest = "/"));
	expect_text(s.root_fd, "usr/in", "1");
	scratch_close(&s);
}

static void test_files_replace_and_never_write_through(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	at_write(s.root_fd, "old", "old");
	assert_int_equal(linkat(s.root_fd, "old", s.root_fd, "twin", 0), 0);
	assert_int_equal(symlinkat("../canary/file", s.root_fd, "link"), 0);
	assert_int_equal(symlinkat("nowhere", s.root_fd, "dangling"), 0);
	at_mkdir(s.root_fd, "dir", 0750);
	FILE_("old", "new");
	FILE_("link", "new");
	DIR_("dangling/");
	vec_add(b, (struct vec_entry){"dir/", '5', .mode = 0777, .uid = 4, .mtime = 7});
	vec_end(b);
	expect_unpacked(&s, b, OPTIONS(.dest = "/"));
	expect_text(s.root_fd, "old", "new");
	expect_text(s.root_fd, "twin", "old");
	assert_true(S_ISREG(at_stat(s.root_fd, "link").st_mode));
	assert_true(S_ISDIR(at_stat(s.root_fd, "dangling").st_mode));
	expect_mode(s.root_fd, "dir", 0777, 4, 0);
	expect_mtime(s.root_fd, "dir", 7);
	b->len = 0;
	FILE_("dir", "file over directory");
	vec_end(b);
	expect_refused(&s, b, OPTIONS(.dest = "/"), "unpack/directory-in-the-way");
	b->len = 0;
	HARD_("h", "twin"); /* of the root, not of this archive */
	vec_end(b);
	expect_refused(&s, b, OPTIONS(.dest = "/"), "unpack/hardlink");
	b->len = 0;
	TYPE_("null", '3');
	vec_end(b);
	expect_refused(&s, b, OPTIONS(.dest = "/"), "unpack/device");
	scratch_close(&s);
}

static void test_destination_and_its_attributes(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	at_mkdir(s.root_fd, "tmp", 01777);
	AUTO_CLOSE int tmp = at_dir(s.root_fd, "tmp");
	assert_int_equal(futimens(tmp, (struct timespec[2]){{5, 6}, {5, 6}}), 0);
	vec_add(b, (struct vec_entry){"./", '5', .mode = 0700, .uid = 9, .mtime = 8});
	vec_add(b, (struct vec_entry){"./a/b/f", .mtime = 2000000000, .data = "x"});
	vec_add(b, (struct vec_entry){"./l", '2', .mtime = 2000000000, .link = "x"});
	HARD_("./h", "./a/b/f");
	vec_end(b);
	expect_unpacked(&s, b, OPTIONS(.dest = "/tmp/"));
	expect_mode(s.root_fd, "tmp", 01777, 0, 0);
	assert_int_equal(at_stat(s.root_fd, "tmp").st_mtim.tv_sec, 5);
	assert_int_equal(at_stat(s.root_fd, "tmp").st_mtim.tv_nsec, 6);
	expect_mode(s.root_fd, "tmp/a", 0755, 0, 0);
	expect_mtime(s.root_fd, "tmp/a", EPOCH);
	expect_mtime(s.root_fd, "tmp/a/b/f", EPOCH); /* clamped */
	expect_mtime(s.root_fd, "tmp/l", EPOCH);
	assert_int_equal(at_stat(s.root_fd, "tmp/h").st_nlink, 2);
	expect_unpacked(&s, b, OPTIONS(.dest = "/opt/new"));
	expect_mode(s.root_fd, "opt", 0755, 0, 0);
	expect_mode(s.root_fd, "opt/new", 0700, 9,
		    0); /* made by us: the archive describes it */
	expect_mtime(s.root_fd, "opt/new", 8);
	expect_refused(&s, b, OPTIONS(.dest = "/opt/../.."), "unpack/dotdot");
	mem_close_cleanup(&tmp);
	scratch_close(&s);
}

static void test_given_owner_and_mode(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	vec_add(b, (struct vec_entry){"d/", '5', .mode = 0750, .uid = 70000});
	vec_add(b,
		(struct vec_entry){"d/f", .mode = 04755, .uid = 70000, .gid = 3, .data = "x"});
	LINK_("d/l", "f");
	vec_end(b);
	expect_refused(&s, b, OPTIONS(.dest = "/"), "unpack/owner");
	expect_unpacked(&s, b,
			((struct unpack_archive_options){.uid = 5, .gid = 6, .mode = 0640}));
	expect_mode(s.root_fd, "d", 0750, 5, 6);
	expect_mode(s.root_fd, "d/f", 0640, 5, 6);
	expect_mode(s.root_fd, "d/l", 0777, 5, 6);
	scratch_close(&s);
}

static void test_whiteouts_of_a_tar_base(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	scratch_open(&s);
	at_write(s.root_fd, "gone", "x");
	at_mkdir(s.root_fd, "dir", 0755);
	at_write(s.root_fd, "dir/lower", "x");
	at_mkdir(s.root_fd, "o", 0755);
	at_write(s.root_fd, "o/lower", "x");
	at_mkdir(s.root_fd, "o/sub", 0755);
	at_write(s.root_fd, "o/sub/lower", "x");
	FILE_(".wh.gone", NULL);
	FILE_(".wh.nothing", NULL);
	FILE_("no/.wh.where", NULL);
	FILE_(".wh.dir", NULL);
	FILE_("dir/upper", "u");
	FILE_("o/sub/upper", "u");
	FILE_("o/.wh..wh..opq", NULL); /* after what it must not remove */
	FILE_("o/late", "u");
	vec_end(b);
	expect_unpacked(&s, b, OPTIONS(.whiteouts = true));
	expect_absent(s.root_fd, "gone");
	expect_absent(s.root_fd, "no");
	expect_absent(s.root_fd, "dir/lower");
	expect_text(s.root_fd, "dir/upper", "u");
	expect_absent(s.root_fd, "o/lower");
	expect_absent(s.root_fd, "o/sub/lower");
	expect_text(s.root_fd, "o/sub/upper", "u");
	expect_text(s.root_fd, "o/late", "u");
	expect_refused(&s, b, OPTIONS(.whiteouts = false), "unpack/whiteout");
	b->len = 0;
	assert_int_equal(symlinkat("../canary", s.root_fd, "s"), 0);
	FILE_("s/.wh.file", NULL); /* resolves to nothing inside the root */
	vec_end(b);
	expect_unpacked(&s, b, OPTIONS(.whiteouts = true));
	scratch_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_coding_of_tar),
		cmocka_unit_test(test_one_level_of_compression),
		cmocka_unit_test(test_debian_package),
		cmocka_unit_test(test_debian_package_is_strict),
		cmocka_unit_test(test_zip),
		cmocka_unit_test(test_zip_encrypted_is_refused),
		cmocka_unit_test(test_links_of_the_root_are_followed_inside_it),
		cmocka_unit_test(test_files_replace_and_never_write_through),
		cmocka_unit_test(test_destination_and_its_attributes),
		cmocka_unit_test(test_given_owner_and_mode),
		cmocka_unit_test(test_whiteouts_of_a_tar_base),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
