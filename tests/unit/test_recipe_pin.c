/* Hashes of the stackerfile and of locks: which counts, and when they contradict each other. */
#include "recipe_fixture.h"

#include "recipe/pin.h"

#define OTHER64 "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

struct fixture {
	struct lockfile own, fallback;
	struct map used;
};

static void fixture_cleanup(struct fixture *f)
{
	lockfile_cleanup(&f->own);
	lockfile_cleanup(&f->fallback);
	map_cleanup(&f->used);
}

static void add_pin(struct lockfile *lock, const char *url, const char *hex)
{
	struct err e = ERR_INIT;
	struct lockfile_pin pin = {.url = mem_strdup(url), .size = 7};
	assert_int_equal(digest_parse_pin(hex, &pin.hash, &e), 0);
	lockfile_set(lock, &pin);
	free(pin.url);
}

static struct stackerfile read_imports(const char *imports)
{
	struct stackerfile s = {0};
	struct err e = ERR_INIT;
	AUTO_FREE char *text =
		mem_printf("a:\n  from: {type: tar, url: http://h/base, hash: " HEX64
			   "}\n  imports: [%s]\n",
			   imports);
	const struct stackerfile_source source = {
		.text = text, .len = strlen(text), .file = "f.yaml", .default_arch = "amd64"};

	if (stackerfile_read(&source, &s, &e) != 0)
		fail_msg("%s\n%s", e.message, text);
	return s;
}

static void expect_settled(struct fixture *f, const char *imports, const char *first_hex)
{
	AUTO(stackerfile) s = read_imports(imports);
	const struct pin_locks locks = {&f->own, &f->fallback, &f->used};
	struct err e = ERR_INIT;
	struct digest wanted;
	pin_add_used(&s, &f->used);
	if (pin_settle_all(&s, &locks, &e) != 0)
		fail_msg("%s [%s]\n%s", e.message, e.id, imports);
	assert_int_equal(digest_parse_pin(first_hex, &wanted, &e), 0);
	assert_true(digest_eq(&wanted, &s.images.items[0].imports.items[0].source.hash));
}

static void expect_contradiction(struct fixture *f, const char *imports, const char *id,
				 const char *part)
{
	AUTO(stackerfile) s = read_imports(imports);
	const struct pin_locks locks = {&f->own, &f->fallback, &f->used};
	struct err e = ERR_INIT;
	pin_add_used(&s, &f->used);
	assert_int_equal(pin_settle_all(&s, &locks, &e), -1);
	if (strcmp(e.id, id) != 0 || !strstr(e.message, part))
		fail_msg("got '%s' [%s], expected '%s' [%s]", e.message, e.id, part, id);
	assert_string_equal(e.file, "f.yaml");
	assert_int_equal(e.line, 3);
	assert_true(strlen(e.hint) > 0);
}

static void test_which_lock_counts(void **state)
{
	(void)state;
	AUTO(fixture) f = {.used = MAP_INIT(NULL)};
	add_pin(&f.own, "http://h/x", HEX64);
	add_pin(&f.fallback, "http://h/x", OTHER64);
	add_pin(&f.fallback, "http://h/y", OTHER64);
	expect_settled(&f, "http://h/x", HEX64);
	expect_settled(&f, "http://h/y", OTHER64);
	expect_contradiction(&f, "http://h/x, http://h/z", "recipe/unpinned",
			     "'http://h/z' has no hash");
}

static void test_size_comes_with_the_pin(void **state)
{
	(void)state;
	AUTO(fixture) f = {.used = MAP_INIT(NULL)};
	add_pin(&f.own, "http://h/x", HEX64);
	AUTO(stackerfile) s = read_imports("http://h/x");
	const struct pin_locks locks = {.own = &f.own, .used = &f.used};
	pin_add_used(&s, &f.used);
	struct err e = ERR_INIT;
	assert_int_equal(pin_settle_all(&s, &locks, &e), 0);
	assert_int_equal(s.images.items[0].imports.items[0].source.size, 7);
}

static void test_one_of_two_changed(void **state)
{
	(void)state;
	AUTO(fixture) f = {.used = MAP_INIT(NULL)};
	add_pin(&f.own, "http://h/v1", OTHER64);
	/* Agreement. */
	expect_settled(&f, "{path: http://h/v1, hash: " OTHER64 "}", OTHER64);
	/* The URL stayed, the hash did not. */
	expect_contradiction(&f, "{path: http://h/v1, hash: " HEX64 "}", "lock/hash-changed",
			     "(line 0)");
	/* The same hash at a second URL, the first still in use. */
	expect_settled(&f,
		       "{path: http://h/v2, hash: " OTHER64
		       "}, {path: http://h/v1, hash: " OTHER64 "}",
		       OTHER64);
	/* The hash stayed, the URL did not. */
	map_cleanup(&f.used);
	f.used = (struct map)MAP_INIT(NULL);
	expect_contradiction(&f, "{path: http://h/v2, hash: " OTHER64 "}", "lock/url-changed",
			     "'http://h/v2' is new");
}

static void test_sites(void **state)
{
	(void)state;
	AUTO(stackerfile) s = read_imports("local, http://h/x, {path: http://h/y, dest: /y}");
	static const char *const wanted[] = {"http://h/base", "http://h/x", "http://h/y"};
	struct pin_site site;
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		assert_true(pin_site(&s.images.items[0], i, &site));
		assert_string_equal(site.url, wanted[i]);
		assert_int_equal(site.pos.line, i ? 3 : 2);
	}
	assert_false(pin_site(&s.images.items[0], ARRAY_LEN(wanted), &site));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which_lock_counts),
		cmocka_unit_test(test_size_comes_with_the_pin),
		cmocka_unit_test(test_one_of_two_changed),
		cmocka_unit_test(test_sites),
	};
	return cmocka_run_group_tests_name("recipe/pin", tests, NULL, NULL);
}
