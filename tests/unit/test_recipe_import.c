/* The imports directive: shapes, defaults, and every refusal. */
#include "recipe_fixture.h"

#include "util/limits.h"

static void test_import_shapes(void **state)
{
	(void)state;
	AUTO(stackerfile) one = expect_image("  imports: x/y.txt");
	AUTO(stackerfile)
	s = expect_image("  imports:\n"
			 "  - ../d//e/\n"
			 "  - /abs/f\n"
			 "  - path: https://h/p/%41.tgz\n"
			 "    hash: " HEX64 "\n"
			 "    dest: /opt/\n"
			 "    unpack: true\n"
			 "    mode: 04755\n"
			 "    uid: 0\n"
			 "    gid: 65535\n"
			 "  - stacker://b/\n"
			 "  - path: stacker://b/bin/sh\n"
			 "    dest: /x\n"
			 "    unpack: false\n"
			 "    mode: 0o644\n"
			 "    hash: ~\n"
			 "b: {from: {type: scratch}}");
	const struct recipe_import *y = one.images.items[0].imports.items;
	const struct recipe_image *a = stackerfile_find(&s, "a");
	const struct recipe_import *i = a->imports.items;

	assert_int_equal(one.images.items[0].imports.len, 1);
	assert_string_equal(y->source.path, "x/y.txt");
	assert_string_equal(y->source.name, "y.txt");
	assert_null(y->dest);
	assert_true(y->mode == RECIPE_ID_UNSET && y->uid == RECIPE_ID_UNSET);
	assert_true(y->gid == RECIPE_ID_UNSET && !y->unpack && !y->source.contents);
	assert_int_equal(a->imports.len, 5);
	assert_string_equal(i[0].source.path, "../d/e");
	assert_string_equal(i[0].source.text, "../d//e/");
	assert_string_equal(i[0].source.name, "");
	assert_true(i[0].source.contents);
	assert_int_equal(i[0].source.pos.line, 4);
	assert_string_equal(i[1].source.path, "/abs/f");
	assert_int_equal(i[2].source.kind, SOURCE_URL);
	assert_string_equal(i[2].source.name, "A.tgz");
	assert_string_equal(i[2].dest, "/opt/");
	assert_true(i[2].unpack);
	assert_int_equal(i[2].mode, 04755);
	assert_int_equal(i[2].uid, 0);
	assert_int_equal(i[2].gid, 65535);
	assert_int_equal(i[3].source.kind, SOURCE_STACKER);
	assert_string_equal(i[3].source.path, "/");
	assert_true(i[3].source.contents);
	assert_string_equal(i[4].source.image, "b");
	assert_string_equal(i[4].source.path, "/bin/sh");
	assert_string_equal(i[4].source.name, "sh");
	assert_int_equal(i[4].mode, 0644);
}

static void test_overlay_dirs_are_imports_before_others(void **state)
{
	(void)state;
	AUTO(stackerfile)
	s = expect_image("  imports: [{path: x, dest: /x}]\n"
			 "  overlay_dirs:\n"
			 "  - {source: ., dest: /opt}\n"
			 "  - source: d\n");
	const struct recipe_import *i = s.images.items[0].imports.items;

	assert_int_equal(s.images.items[0].imports.len, 3);
	assert_string_equal(i[0].source.path, ".");
	assert_string_equal(i[0].dest, "/opt");
	assert_string_equal(i[1].source.path, "d");
	assert_string_equal(i[1].dest, "/");
	assert_string_equal(i[2].dest, "/x");
	for (size_t k = 0; k < 3; k++) {
		assert_true(i[k].overlay == (k < 2));
		assert_true(i[k].source.contents == (k < 2));
		assert_int_equal(i[k].mode, RECIPE_ID_UNSET);
	}
	assert_false(s.images.items[0].legacy_import);
}

static void test_overlay_dirs_refused(void **state)
{
	static const struct refusal cases[] = {
		{"  overlay_dirs: x", "recipe/wrong-type", "'overlay_dirs' must be a list"},
		{"  overlay_dirs: [x]", "recipe/wrong-type",
		 "an item of overlay_dirs must be a map"},
		{"  overlay_dirs: [~]", "recipe/wrong-type", "not null"},
		{"  overlay_dirs: [{dest: /}]", "recipe/missing-path", "without 'source'"},
		{"  overlay_dirs: [{source: ''}]", "recipe/bad-path", "'source' is empty"},
		{"  overlay_dirs: [{source: x, dest: y}]", "recipe/relative-path",
		 "cannot be relative"},
		{"  overlay_dirs: [{source: x, dest: /../y}]", "recipe/bad-path", "holds '..'"},
		{"  overlay_dirs: [{source: 'stacker://b/d/'}]", "recipe/bad-path",
		 "not a local directory"},
		{"  overlay_dirs: [{source: 'http://h/d/'}]", "recipe/bad-path",
		 "not a local directory"},
		{"  overlay_dirs: [{source: x, mode: 0755}]", "recipe/unknown-directive",
		 "unknown overlay_dirs directive 'mode'"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect_image_refused(cases[i].text, cases[i].id, cases[i].part);
}

static void test_legacy_import(void **state)
{
	(void)state;
	AUTO(stackerfile) s = expect_image("  imports:\n  import: [x, {path: y, dest: /y}]");
	AUTO(stackerfile) none = expect_image("  import: []\n  imports: [z]");
	AUTO(stackerfile)
	placed = expect_image("  import: [{path: run, dest: /x}, 'd/imports/']\n"
			      "  overlay_dirs: [{source: o}]");

	assert_true(s.images.items[0].legacy_import);
	assert_int_equal(s.images.items[0].imports.len, 2);
	assert_false(none.images.items[0].legacy_import);
	assert_int_equal(placed.images.items[0].imports.len, 3);
	expect_image_refused("  imports: x\n  import: y", "recipe/import-twice", "both");
	expect_image_refused("  import: y/run", "recipe/reserved-name", "/stacker/run");
	expect_image_refused("  import: [imports]", "recipe/reserved-name", "/stacker/imports");
}

/* Each in `imports: [{...}]`. */
static void test_imports_refused(void **state)
{
	static const struct refusal cases[] = {
		{"dest: /x", "recipe/missing-path", "import without 'path'"},
		{"path: ''", "recipe/bad-path", "'path' is empty"},
		{"path: ..", "recipe/bad-name", "is not a file name"},
		{"path: .", "recipe/bad-name", "is not a file name"},
		{"path: \"a\\nb\"", "recipe/bad-path", "control character"},
		{"path: 'ftp://h/x'", "recipe/bad-url", "unsupported URL scheme"},
		{"path: 'file:///x'", "recipe/bad-url", "unsupported URL scheme"},
		{"path: 'docker://x'", "recipe/bad-url", "unsupported URL scheme"},
		{"path: 'http://h/x'", "recipe/unpinned", "has no hash"},
		{"path: 'HTTPS://h/x'", "recipe/unpinned", "has no hash"},
		{"path: 'http://h/x', hash: 12", "recipe/bad-hash", "is not valid"},
		{"path: x, hash: zz", "recipe/bad-hash", "is not valid"},
		{"path: 'http://h/', hash: " HEX64, "recipe/bad-name", "is empty"},
		{"path: 'http://h', hash: " HEX64, "recipe/bad-name", "is empty"},
		{"path: 'http://h?a/b', hash: " HEX64, "recipe/bad-name", "is empty"},
		{"path: 'http://h/a/..', hash: " HEX64, "recipe/bad-name", "not a file name"},
		{"path: 'http://h/%2e%2E', hash: " HEX64, "recipe/bad-name", "not a file name"},
		{"path: 'http://h/a%2fb', hash: " HEX64, "recipe/bad-name", "holds '/'"},
		{"path: 'http://h/a%0ab', hash: " HEX64, "recipe/bad-name",
		 "control characters"},
		{"path: 'http://h/a%00b', hash: " HEX64, "recipe/bad-url", "percent-encoding"},
		{"path: 'http://h/a%4', hash: " HEX64, "recipe/bad-url", "percent-encoding"},
		{"path: 'http://h/a%ff', hash: " HEX64, "recipe/bad-name", "is not UTF-8"},
		{"path: 'http://h/a b', hash: " HEX64, "recipe/bad-url", "white space"},
		{"path: 'http://h/a', urls: x, hash: " HEX64, "recipe/wrong-type",
		 "'urls' must be a list"},
		{"path: 'http://h/a', urls: [x], hash: " HEX64, "recipe/bad-url",
		 "'x' is not an http"},
		{"path: 'http://h/a', urls: [[x]], hash: " HEX64, "recipe/wrong-type",
		 "'urls' must be a list of URLs"},
		{"path: 'http://h/a', size: 1k, hash: " HEX64, "recipe/not-an-integer",
		 "is not an integer"},
		{"path: 'http://h/a', size: 68719476737, hash: " HEX64, "recipe/out-of-range",
		 "over the limit"},
		{"path: x, size: 1", "recipe/no-effect",
		 "'size' has no effect on a local path"},
		{"path: x, urls: ['http://h/a']", "recipe/no-effect", "'urls' has no effect"},
		{"path: x/, hash: " HEX64, "recipe/no-effect",
		 "'hash' has no effect on a directory"},
		{"path: 'stacker://b/x', hash: " HEX64, "recipe/no-effect",
		 "stacker:// source"},
		{"path: 'stacker://b/x', size: 1", "recipe/no-effect", "'size' has no effect"},
		{"path: 'stacker://b'", "recipe/bad-url", "an image and a path"},
		{"path: 'stacker:///x'", "recipe/bad-url", "an image and a path"},
		{"path: 'stacker://b/../x'", "recipe/bad-path", "holds '..'"},
		{"path: x, dest: y", "recipe/relative-path", "cannot be relative"},
		{"path: x, dest: ''", "recipe/relative-path", "cannot be relative"},
		{"path: x, dest: /a/../b", "recipe/bad-path", "holds '..'"},
		{"path: x, dest: /, uid: '1'", "recipe/not-an-integer", "is not an integer"},
		{"path: x, dest: /, uid: -1", "recipe/not-an-integer", "is not an integer"},
		{"path: x, dest: /, gid: 0x1", "recipe/not-an-integer", "is not an integer"},
		{"path: x, dest: /, gid: 65536", "recipe/out-of-range",
		 "over the limit of 65535"},
		{"path: x, dest: /, gid: root", "recipe/not-an-integer", "is not an integer"},
		{"path: x, dest: /, mode: 010000", "recipe/bad-mode", "not an octal number"},
		{"path: x, dest: /, mode: 0798", "recipe/bad-mode", "not an octal number"},
		{"path: x, dest: /, mode: u+x", "recipe/bad-mode", "not an octal number"},
		{"path: x, dest: /, mode: '0755'", "recipe/bad-mode", "is not an integer"},
		{"path: x, unpack: true", "recipe/missing-dest", "'unpack' needs 'dest'"},
		{"path: x, dest: /, unpack: yes", "recipe/wrong-type",
		 "must be true or false, not 'yes'"},
		{"path: x, dest: /, unpack: on", "recipe/wrong-type",
		 "must be true or false, not 'on'"},
		{"path: x/, dest: /, unpack: true", "recipe/no-effect",
		 "'unpack' has no effect"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *text = mem_printf(
			"  imports: [{%s}]\nb: {from: {type: scratch}}", cases[i].text);

		expect_image_refused(text, cases[i].id, cases[i].part);
	}
}

static void test_import_hints(void **state)
{
	(void)state;
	struct err mode = expect_image_refused("  imports: [{path: x, dest: /, mode: 755}]",
					       "recipe/bad-mode", "'755'");
	struct err pin =
		expect_image_refused("  imports: ['http://h/x']", "recipe/unpinned", "");
	struct err hash = expect_image_refused("  imports:\n  - path: x\n    hash: sha1:aa",
					       "recipe/bad-hash", "");

	assert_string_equal(mode.hint, "write 0755");
	assert_non_null(strstr(pin.hint, "add 'hash:"));
	assert_non_null(strstr(pin.hint, "stacker lock"));
	assert_int_equal(hash.line, 5);
	assert_int_equal(hash.column, 11);
}

static void test_hashes_of_either_case(void **state)
{
	(void)state;
	AUTO(stackerfile)
	s = expect_image("  imports: [{path: x, hash: " HEX64 "}, {path: y, hash: "
			 "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF}]");
	const struct recipe_import *i = s.images.items[0].imports.items;

	assert_true(digest_eq(&i[0].source.hash, &i[1].source.hash));
}

static void test_path_and_url_lengths(void **state)
{
	AUTO_FREE char *path = mem_zalloc(LIMIT_PATH_BYTES + 1, 1);
	AUTO_FREE char *url = mem_zalloc(LIMIT_URL_BYTES + 1, 1);
	static const char tail[] = "/x";

	(void)state;
	memset(path, '/', LIMIT_PATH_BYTES - 1);
	path[LIMIT_PATH_BYTES - 1] = 'x';
	AUTO_FREE char *fits = mem_printf("  imports: %s", path);
	AUTO_FREE char *longer = mem_printf("  imports: /%s", path);
	AUTO(stackerfile) s = expect_image(fits);

	assert_string_equal(s.images.items[0].imports.items[0].source.name, "x");
	expect_image_refused(longer, "recipe/too-big", "over the limit of 4096");
	memset(url, 'a', LIMIT_URL_BYTES - strlen(tail));
	memcpy(url, "http://", 7);
	memcpy(url + LIMIT_URL_BYTES - strlen(tail), tail, strlen(tail));
	AUTO_FREE char *url_fits = mem_printf("  imports: [{path: %s, hash: " HEX64 "}]", url);
	AUTO_FREE char *url_longer =
		mem_printf("  imports: [{path: %sx, hash: " HEX64 "}]", url);
	AUTO(stackerfile) u = expect_image(url_fits);

	assert_string_equal(u.images.items[0].imports.items[0].source.name, "x");
	expect_image_refused(url_longer, "recipe/too-big", "over the limit of 8192");
}

static void test_file_name_length(void **state)
{
	char name[LIMIT_COMPONENT_BYTES + 2] = "";

	(void)state;
	memset(name, 'n', LIMIT_COMPONENT_BYTES);
	AUTO_FREE char *fits = mem_printf("  imports: d/%s", name);
	AUTO_FREE char *longer = mem_printf("  imports: d/%sn", name);
	AUTO(stackerfile) s = expect_image(fits);

	assert_string_equal(s.images.items[0].imports.items[0].source.name, name);
	expect_image_refused(longer, "recipe/bad-name", "over 255 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overlay_dirs_are_imports_before_others),
		cmocka_unit_test(test_overlay_dirs_refused),
		cmocka_unit_test(test_legacy_import),
		cmocka_unit_test(test_import_shapes),
		cmocka_unit_test(test_imports_refused),
		cmocka_unit_test(test_import_hints),
		cmocka_unit_test(test_hashes_of_either_case),
		cmocka_unit_test(test_path_and_url_lengths),
		cmocka_unit_test(test_file_name_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
