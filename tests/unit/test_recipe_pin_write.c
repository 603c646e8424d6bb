/* Pins into stackerfiles of every style, and nothing else changed. */
#include "recipe_fixture.h"

#include "recipe/pin_write.h"
#include "util/limits.h"

#define H "sha256:" HEX64

static void add_pin(struct lockfile *lock, const char *url)
{
	struct err e = ERR_INIT;
	struct lockfile_pin pin = {.url = mem_strdup(url), .size = 7};
	assert_int_equal(digest_parse(H, &pin.hash, &e), 0);
	lockfile_set(lock, &pin);
	free(pin.url);
}

static void make_lock(struct lockfile *ret)
{
	add_pin(ret, "http://h/a");
	add_pin(ret, "https://h/b,c?x={y}");
	add_pin(ret, "docker://r.example/d:12");
}

static void expect_written(const char *text, const char *wanted, size_t written)
{
	AUTO(lockfile) lock = {0};
	AUTO(buf) out = BUF_INIT(65536);
	struct err e = ERR_INIT;
	size_t count = 99;
	make_lock(&lock);
	if (pin_write(text, strlen(text), "f.yaml", &lock, &out, &count, &e) < 0)
		fail_msg("%u:%u %s\n%s", e.line, e.column, e.message, text);
	assert_string_equal(buf_text(&out), wanted);
	assert_int_equal(count, written);
}

static void test_block_style(void **state)
{
	(void)state;
	expect_written("# head\n"
		       "a:\n"
		       "  from:\n"
		       "    type: tar\n"
		       "    url: http://h/a   # base\n"
		       "  imports:\n"
		       "    - http://h/a # one\n"
		       "    - path: \"https://h/b,c?x={y}\"\n"
		       "      dest: /b\n"
		       "    - dest: /c\n"
		       "      path: 'http://h/a'\n"
		       "    - local",
		       "# head\n"
		       "a:\n"
		       "  from:\n"
		       "    type: tar\n"
		       "    url: http://h/a   # base\n"
		       "    hash: " H "\n"
		       "  imports:\n"
		       "    - path: http://h/a # one\n"
		       "      hash: " H "\n"
		       "    - path: \"https://h/b,c?x={y}\"\n"
		       "      hash: " H "\n"
		       "      dest: /b\n"
		       "    - dest: /c\n"
		       "      path: 'http://h/a'\n"
		       "      hash: " H "\n"
		       "    - local",
		       4);
	expect_written("a:\n  imports:\n  - http://h/a", /* no newline at the end */
		       "a:\n  imports:\n  - path: http://h/a\n    hash: " H, 1);
	expect_written("a:\r\n  imports:\r\n  - path: http://h/a\r\n",
		       "a:\r\n  imports:\r\n  - path: http://h/a\r\n    hash: " H "\r\n", 1);
	expect_written("a:\n  import: http://h/a\n",
		       "a:\n  import: [{path: \"http://h/a\", hash: " H "}]\n", 1);
	expect_written("a:\n  imports: 'https://h/b,c?x={y}' # c\n",
		       "a:\n  imports: [{path: \"https://h/b,c?x={y}\", hash: " H "}] # c\n",
		       1);
}

static void test_flow_style(void **state)
{
	(void)state;
	expect_written("\xc3\xa4: {from: {type: tar, url: http://h/a}, imports: [http://h/a,\n"
		       "  \"http://h/a\", {path: http://h/a, dest: /x}, x]}\n",
		       "\xc3\xa4: {from: {type: tar, url: http://h/a, hash: " H
		       "}, imports: [{path: http://h/a, hash: " H "},\n"
		       "  {path: \"http://h/a\", hash: " H "}, {path: http://h/a, hash: " H
		       ", dest: /x}, x]}\n",
		       4);
	expect_written("{a: {imports: {}}}\n", "{a: {imports: {}}}\n", 0);
}

static void test_images(void **state)
{
	(void)state;
	expect_written("a: {from: {type: docker, url: docker://r.example/d:12}}\n"
		       "b:\n  from:\n    url: \"docker://r.example/d:12\" # c\n"
		       "c: {from: {type: docker, url: docker://r.example/other:1}}\n",
		       "a: {from: {type: docker, url: docker://r.example/d:12@" H "}}\n"
		       "b:\n  from:\n    url: \"docker://r.example/d:12@" H "\" # c\n"
		       "c: {from: {type: docker, url: docker://r.example/other:1}}\n",
		       2);
}

static void test_left_alone(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"a: {imports: [{path: http://h/a, hash: x}]}\n",
		"a: {from: {type: docker, url: \"docker://r.example/d:12@" H "\"}}\n",
		"a: {run: http://h/a, imports: [http://h/other]}\n",
		"config: {imports: [http://h/a]}\n",
		"a: {imports: [[http://h/a]], from: [http://h/a]}\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		expect_written(texts[i], texts[i], 0);
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"a: {imports: [\"http://h/\\x61\"]}\n",
		"a: {imports: [{path: http://h/a, hash: }]}\n",
		"a:\n  imports:\n    - >-\n      http://h/a\n",
	};
	AUTO(lockfile) lock = {0};
	make_lock(&lock);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO(buf) out = BUF_INIT(65536);
		struct err e = ERR_INIT;
		size_t count;
		if (pin_write(texts[i], strlen(texts[i]), "f.yaml", &lock, &out, &count, &e) ==
		    0)
			fail_msg("written: %s", buf_text(&out));
		assert_string_equal(e.id, "lock/cannot-write");
		assert_true(e.line > 0);
		assert_int_equal(out.len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_block_style), cmocka_unit_test(test_flow_style),
		cmocka_unit_test(test_images),	    cmocka_unit_test(test_left_alone),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests_name("recipe/pin_write", tests, NULL, NULL);
}
