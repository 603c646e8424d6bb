/* Each rule for volatile files, on what it is for and on what only looks like it. */
#include "image_test.h"

#include "image/volatile.h"

enum { EPOCH_S = 1000000000, DAY = 11574 };

struct trial {
	enum volatile_rule rule;
	const char *bytes;
	size_t len;
	const char *expected; /* NULL: left as it is */
	size_t expected_len;
};
#define AS_IS(rule, text)                                                                      \
	{                                                                                      \
		rule, text, sizeof(text) - 1, NULL, 0                                          \
	}
#define GIVES(rule, text, then)                                                                \
	{                                                                                      \
		rule, text, sizeof(text) - 1, then, sizeof(then) - 1                           \
	}

static int make_file(struct scratch *s, const void *bytes, size_t len)
{
	(void)unlinkat(s->fd, "f", 0);
	int fd = openat(s->fd, "f", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	return fd;
}

static void apply(int fd, const struct volatile_list *list, int64_t epoch_s,
		  struct volatile_content *ret)
{
	const struct volatile_options options = {.files = list, .epoch_s = epoch_s};
	struct err e = ERR_INIT;
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(volatile_content_read(&options, "dir/f", fd, &st, ret, &e), 0);
}

static void try_rule(struct scratch *s, const struct trial *t)
{
	AUTO(volatile_list) list = {0};
	AUTO(volatile_content) c = VOLATILE_CONTENT_INIT;
	AUTO_CLOSE int fd = make_file(s, t->bytes, t->len);
	volatile_list_add(&list, "dir/*", t->rule, t->rule == VOLATILE_SET ? "fixed\n" : NULL);
	apply(fd, &list, EPOCH_S, &c);
	assert_int_equal(c.file != NULL, t->expected != NULL);
	assert_int_equal(volatile_content_size(&c, t->len),
			 t->expected ? t->expected_len : t->len);
	if (!t->expected)
		return;
	/* Equality is what the packer asks for; it must tell both ways. */
	AUTO_CLOSE int other = openat(s->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(write(other, t->expected, t->expected_len), t->expected_len);
	struct volatile_pair pair = {"f", fd, other, t->len, t->expected_len};
	struct err e = ERR_INIT;
	bool equal = false;
	assert_int_equal(volatile_content_equals(&c, &pair, &equal, &e), 0);
	assert_true(equal);
	if (t->expected_len == 0)
		return;
	assert_int_equal(pwrite(other, "\xee", 1, (off_t)t->expected_len - 1), 1);
	assert_int_equal(volatile_content_equals(&c, &pair, &equal, &e), 0);
	assert_false(equal);
}

#define PYC(flags, time) "\xa7\x0d\r\n" flags "\0\0\0" time "\x07\0\0\0body"
#define GZ(flags, time)                                                                        \
	"\x1f\x8b\x08" flags time "\0\x03"                                                     \
	"rest"
#define LATER "\x01\xca\x9a\x3b" /* EPOCH_S + 1 */
#define EPOCH "\x00\xca\x9a\x3b"
#define EARLIER "\xff\xc9\x9a\x3b"

static const struct trial trials[] = {
	GIVES(VOLATILE_REMOVE, "x", ""),
	GIVES(VOLATILE_TRUNCATE, "log\n", ""),
	AS_IS(VOLATILE_TRUNCATE, ""),
	GIVES(VOLATILE_SET, "0123456789", "fixed\n"),
	GIVES(VOLATILE_SET, "", "fixed\n"),
	GIVES(VOLATILE_PYTHON, PYC("\0", LATER), PYC("\0", EPOCH)),
	AS_IS(VOLATILE_PYTHON, PYC("\0", EPOCH)),
	AS_IS(VOLATILE_PYTHON, PYC("\0", EARLIER)),
	AS_IS(VOLATILE_PYTHON, PYC("\1", LATER)), /* by hash, not by time */
	AS_IS(VOLATILE_PYTHON, "\xa7\x0d\r\n\0\0\0\0" LATER "\x07\0\0"),
	AS_IS(VOLATILE_PYTHON, "#!/usr/bin/python3\nprint()\n"),
	AS_IS(VOLATILE_PYTHON, ""),
	GIVES(VOLATILE_GZIP, GZ("\0", LATER), GZ("\0", EPOCH)),
	GIVES(VOLATILE_GZIP, GZ("\x08", "\xff\xff\xff\xff"), GZ("\x08", EPOCH)),
	AS_IS(VOLATILE_GZIP, GZ("\0", "\0\0\0\0")),
	AS_IS(VOLATILE_GZIP, GZ("\x02", LATER)), /* a checksum covers it */
	AS_IS(VOLATILE_GZIP, "\x1f\x8b\x08\0" LATER "\0"),
	AS_IS(VOLATILE_GZIP, "text only"),
	GIVES(VOLATILE_SHADOW, "root:*:11575:0:99999:7:::\n", "root:*:11574:0:99999:7:::\n"),
	GIVES(VOLATILE_SHADOW,
	      "a:*:11573:0:9:7:::\nb:!:20000::::::", "a:*:11573:0:9:7:::\nb:!:11574::::::"),
	AS_IS(VOLATILE_SHADOW, "root:*:11574:0:99999:7:::\n"),
	AS_IS(VOLATILE_SHADOW, "root:*::0:99999:7:::\n"),
	AS_IS(VOLATILE_SHADOW, "root:*:9999999999999:0::::\nroot:*:-1:\nroot\n:\n::\n\n"),
	AS_IS(VOLATILE_SHADOW, "root:*:20000\n"),
	AS_IS(VOLATILE_SHADOW, ""),
};

static void test_rules(void **state)
{
	assert_int_equal(EPOCH_S / 86400, DAY);
	for (size_t i = 0; i < ARRAY_LEN(trials); i++) {
		print_message("%zu %s\n", i, volatile_rule_name(trials[i].rule));
		try_rule(*state, &trials[i]);
	}
}

/* An epoch that the field cannot hold changes nothing rather than something wrong. */
static void test_epochs_out_of_range(void **state)
{
	AUTO(volatile_list) list = {0};
	AUTO(volatile_content) c = VOLATILE_CONTENT_INIT;
	static const char bytes[] = GZ("\0", LATER);
	AUTO_CLOSE int fd = make_file(*state, bytes, sizeof(bytes) - 1);
	volatile_list_add(&list, "**", VOLATILE_GZIP, NULL);
	apply(fd, &list, -1, &c);
	assert_null(c.file);
	buf_clear(&c.head);
	apply(fd, &list, INT64_C(1) << 32, &c);
	assert_null(c.file);
}

static void test_only_plain_files_with_one_name(void **state)
{
	struct scratch *s = *state;
	AUTO(volatile_list) list = {0};
	AUTO(volatile_content) c = VOLATILE_CONTENT_INIT;
	AUTO_CLOSE int fd = make_file(s, "x", 1);
	volatile_list_add(&list, "**", VOLATILE_REMOVE, NULL);
	assert_int_equal(linkat(s->fd, "f", s->fd, "second", 0), 0);
	apply(fd, &list, EPOCH_S, &c);
	assert_null(c.file);
	AUTO_CLOSE int dir = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	apply(dir, &list, EPOCH_S, &c);
	assert_null(c.file);
}

/* Larger than what is read into memory: left alone, not cut. */
static void test_huge_shadow(void **state)
{
	AUTO(volatile_list) list = {0};
	AUTO(volatile_content) c = VOLATILE_CONTENT_INIT;
	AUTO_CLOSE int fd = make_file(*state, "a:*:20000:", 10);
	volatile_list_add(&list, "**", VOLATILE_SHADOW, NULL);
	assert_int_equal(ftruncate(fd, VOLATILE_HEAD_BYTES + 1), 0);
	apply(fd, &list, EPOCH_S, &c);
	assert_null(c.file);
	assert_int_equal(ftruncate(fd, VOLATILE_HEAD_BYTES), 0);
	apply(fd, &list, EPOCH_S, &c);
	assert_non_null(c.file);
	assert_int_equal(c.head.len, VOLATILE_HEAD_BYTES);
}

static void test_patterns(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *path;
		bool matches;
	} all[] = {
		{"etc/shadow", "etc/shadow", true},
		{"etc/shadow", "etc/shadow-", false},
		{"etc/shadow", "etc/shado", false},
		{"etc/shadow", "x/etc/shadow", false},
		{"var/log/**", "var/log/dpkg.log", true},
		{"var/log/**", "var/log/apt/term.log", true},
		{"var/log/**", "var/logs", false},
		{"var/cache/apt/*.bin", "var/cache/apt/pkgcache.bin", true},
		{"var/cache/apt/*.bin", "var/cache/apt/x/pkgcache.bin", false},
		{"var/cache/apt/*.bin", "var/cache/apt/.bin", true},
		{"var/cache/apt/*.bin", "var/cache/apt/a.bin.bin", true},
		{"**/__pycache__/*.pyc", "usr/lib/__pycache__/a.cpython-311.pyc", true},
		{"**/__pycache__/*.pyc", "a/__pycache__/b/__pycache__/c.pyc", true},
		{"**/__pycache__/*.pyc", "a/__pycache__/b/c.pyc", false},
		{"usr/share/man/**.gz", "usr/share/man/de/man1/ls.1.gz", true},
		{"usr/share/man/**.gz", "usr/share/man/a.gz/b", false},
		{"a*b*c", "axxbxxbxc", true},
		{"a*b*c", "axxb/c", false},
		{"*a/b*", "aa/bc", true},
		{"*", "", true},
		{"**", "a/b", true},
		{"", "", true},
		{"", "a", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		print_message("'%s' '%s'\n", all[i].pattern, all[i].path);
		assert_int_equal(volatile_match(all[i].pattern, all[i].path), all[i].matches);
	}
}

static void test_first_match_decides(void **state)
{
	(void)state;
	AUTO(volatile_list) list = {0};
	volatile_list_add(&list, "var/log/journal/**", VOLATILE_REMOVE, NULL);
	volatile_list_add(&list, "var/log/**", VOLATILE_TRUNCATE, NULL);
	assert_int_equal(volatile_list_find(&list, "var/log/journal/x")->rule, VOLATILE_REMOVE);
	assert_int_equal(volatile_list_find(&list, "var/log/x")->rule, VOLATILE_TRUNCATE);
	assert_null(volatile_list_find(&list, "var/x"));
	assert_null(volatile_list_find(NULL, "var/log/x"));
	enum volatile_rule rule;
	assert_true(volatile_rule_parse("shadow-days", &rule));
	assert_int_equal(rule, VOLATILE_SHADOW);
	assert_false(volatile_rule_parse("shadow", &rule));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_rules),
		scratch_test(test_epochs_out_of_range),
		scratch_test(test_only_plain_files_with_one_name),
		scratch_test(test_huge_shadow),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_first_match_decides),
	};
	return cmocka_run_group_tests_name("volatile files", tests, NULL, NULL);
}
