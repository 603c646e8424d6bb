/* The lock file: written one way, read strictly, compared pin by pin. */
#include "recipe_fixture.h"

#include "recipe/lockfile.h"
#include "util/buf.h"
#include "util/limits.h"

#define HEAD                                                                                   \
	"# Made by 'stacker lock' from the stackerfile beside it; commit both.\n"              \
	"version: 1\n"                                                                         \
	"source_date_epoch: 1700000000\n"
#define PIN(url)                                                                               \
	"  - url: " url "\n"                                                                   \
	"    hash: sha256:" HEX64 "\n"                                                         \
	"    size: 7\n"                                                                        \
	"    locked: 2026-01-31T12:00:00Z\n"

static struct lockfile expect_lock(const char *text)
{
	struct lockfile l = {0};
	struct err e = ERR_INIT;
	if (lockfile_parse(text, strlen(text), "f.lock", &l, &e) != 0)
		fail_msg("refused: %u:%u %s [%s]\n%s", e.line, e.column, e.message, e.id, text);
	return l;
}

static void test_round_trip(void **state)
{
	(void)state;
	static const char *const texts[] = {
		HEAD "pins: []\n",
		HEAD "pins:\n" PIN("docker://r.example:5000/a/b:12") PIN("http://h/%41?x#'y'"),
		HEAD "pins:\n" PIN("'http://h/a:'") PIN("http://h/b"),
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO(lockfile) l = expect_lock(texts[i]);
		AUTO(buf) out = BUF_INIT(4096);
		lockfile_write(&l, &out);
		assert_string_equal(buf_text(&out), texts[i]);
	}
}

static void test_find_and_set(void **state)
{
	(void)state;
	static char b_url[] = "http://h/b";
	static char a_url[] = "http://h/a";
	AUTO(lockfile) l = expect_lock(HEAD "pins:\n" PIN("http://h/b") PIN("http://h/c"));
	assert_null(lockfile_find(&l, "http://h/"));
	assert_null(lockfile_find(&l, "http://h/d"));
	assert_int_equal(lockfile_find(&l, "http://h/c")->pos.line, 9);

	struct lockfile_pin pin = {.url = b_url, .size = 8};
	lockfile_set(&l, &pin);
	pin.url = a_url;
	lockfile_set(&l, &pin);
	assert_int_equal(l.pins.len, 3);
	assert_string_equal(l.pins.items[0].url, "http://h/a");
	assert_int_equal(lockfile_find(&l, "http://h/b")->size, 8);
	assert_int_equal(lockfile_find(&l, "http://h/c")->size, 7);
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *id;
		unsigned line;
	} cases[] = {
		{"", "lock/malformed", 1},
		{"[]", "recipe/wrong-type", 1},
		{"version: 2\nsource_date_epoch: 0\npins: []\n", "lock/malformed", 1},
		{"source_date_epoch: 0\npins: []\n", "lock/malformed", 1},
		{"version: 1\npins: []\n", "lock/malformed", 1},
		{"version: 1\nsource_date_epoch: 0\n", "lock/malformed", 1},
		{"version: 1\nsource_date_epoch: 253402300800\npins: []\n",
		 "recipe/out-of-range", 2},
		{"version: 1\nsource_date_epoch: 0\npins: []\nmore: 1\n",
		 "recipe/unknown-directive", 4},
		{HEAD "pins:\n" PIN("http://h/b") PIN("http://h/a"), "lock/malformed", 9},
		{HEAD "pins:\n" PIN("http://h/a") PIN("http://h/a"), "lock/malformed", 9},
		{HEAD "pins:\n" PIN("'http://h/a b'"), "lock/malformed", 5},
		{HEAD "pins:\n  - url: http://h\n    hash: " HEX64
		      "\n    size: 1\n    locked: 2026-01-31T12:00:00Z\n",
		 "lock/malformed", 6},
		{HEAD "pins:\n  - url: http://h\n    hash: sha256:" HEX64
		      "\n    size: -1\n    locked: 2026-01-31T12:00:00Z\n",
		 "recipe/not-an-integer", 7},
		{HEAD "pins:\n  - url: http://h\n    hash: sha256:" HEX64
		      "\n    size: 1\n    locked: yesterday\n",
		 "lock/malformed", 8},
		{HEAD "pins:\n  - url: http://h\n    size: 1\n    locked: "
		      "2026-01-31T12:00:00Z\n",
		 "lock/malformed", 5},
		{HEAD "<<<<<<< ours\npins: []\n", "yaml/syntax", 5},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct lockfile l = {0};
		struct err e = ERR_INIT;
		if (lockfile_parse(cases[i].text, strlen(cases[i].text), "f.lock", &l, &e) == 0)
			fail_msg("accepted:\n%s", cases[i].text);
		if (strcmp(e.id, cases[i].id) != 0 || e.line != cases[i].line)
			fail_msg("got %u %s [%s] for:\n%s", e.line, e.message, e.id,
				 cases[i].text);
		assert_string_equal(e.file, "f.lock");
		assert_null(l.pins.items);
	}
}

static void note(void *ctx, const struct lockfile_difference *d)
{
	static const char signs[] = {
		[LOCKFILE_ADDED] = '+', [LOCKFILE_REMOVED] = '-', [LOCKFILE_CHANGED] = '~'};
	const struct lockfile_pin *p = d->after ? d->after : d->before;
	assert_int_equal(d->change == LOCKFILE_ADDED, !d->before);
	assert_int_equal(d->change == LOCKFILE_REMOVED, !d->after);
	buf_addf(ctx, "%c%s ", signs[d->change], p->url + strlen("http://h/"));
}

static void test_compare(void **state)
{
	(void)state;
	AUTO(lockfile)
	before = expect_lock(HEAD "pins:\n" PIN("http://h/a") PIN("http://h/c")
				     PIN("http://h/d") PIN("http://h/e"));
	AUTO(lockfile)
	after = expect_lock(HEAD "pins:\n" PIN("http://h/b") PIN("http://h/c") PIN("http://h/d")
				    PIN("http://h/f"));
	after.pins.items[1].size = 8;
	after.pins.items[2].locked_s = 0; /* no difference */
	AUTO(buf) out = BUF_INIT(256);
	lockfile_compare(&before, &after, note, &out);
	assert_string_equal(buf_text(&out), "-a +b ~c -e +f ");
	buf_clear(&out);
	lockfile_compare(&after, &after, note, &out);
	assert_string_equal(buf_text(&out), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_find_and_set),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_compare),
	};
	return cmocka_run_group_tests_name("recipe/lockfile", tests, NULL, NULL);
}
