/* struct err: what each way of failing fills in, and that no text can overrun it. */
#include "util_test.h"

static void test_set_fills_and_returns_minus_one(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&e, ERR_INPUT, "input/x", "bad '%s'", "a"), -1);
	expect_err(&e, ERR_INPUT, "input/x");
	assert_string_equal(e.message, "bad 'a'");
	assert_string_equal(e.hint, "");
	assert_string_equal(e.snippet, "");
	assert_int_equal(e.line, 0);
	assert_int_equal(e.saved_errno, 0);
	assert_true(e.raised_line > 0);
	assert_non_null(strstr(e.raised_file, "test_util_err.c"));
}

static void test_set_forgets_the_error_before(void **state)
{
	struct err e = ERR_INIT;
	struct pos pos = {"f.yaml", 3, 4};

	(void)state;
	err_at(&e, &pos, "recipe/x", "first");
	err_hint(&e, "do better");
	err_set(&e, ERR_INPUT, "input/x", "second after %s", e.message);
	assert_string_equal(e.message, "second after first");
	assert_string_equal(e.hint, "");
	assert_int_equal(e.line, 0);
	assert_string_equal(e.file, "");
}

static void test_sys_keeps_errno(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	errno = ENOENT;
	assert_int_equal(err_sys(&e, "cannot open '%s'", "x"), -1);
	assert_int_equal(errno, ENOENT);
	expect_err(&e, ERR_SYSTEM, "system/call");
	assert_int_equal(e.saved_errno, ENOENT);
	assert_string_equal(e.message, "cannot open 'x': No such file or directory");
}

static void test_at_copies_the_position(void **state)
{
	struct err e = ERR_INIT;
	char file[] = "stacker.yaml";
	struct pos pos = {file, 12, 7};

	(void)state;
	err_at(&e, &pos, "recipe/unknown-directive", "unknown directive 'x'");
	file[0] = 'X';
	expect_err(&e, ERR_RECIPE, "recipe/unknown-directive");
	assert_string_equal(e.file, "stacker.yaml");
	assert_int_equal(e.line, 12);
	assert_int_equal(e.column, 7);
}

static void test_locate_only_where_there_is_no_position(void **state)
{
	struct err e = ERR_INIT;
	struct pos first = {"a", 1, 2};
	struct pos second = {"b", 3, 4};

	(void)state;
	err_set(&e, ERR_INPUT, "input/x", "x");
	assert_int_equal(err_locate(&e, &first), -1);
	assert_int_equal(err_locate(&e, &second), -1);
	assert_string_equal(e.file, "a");
	assert_int_equal(e.line, 1);
}

static void test_wrap_and_recode(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	errno = EACCES;
	err_sys(&e, "cannot open 'x'");
	assert_int_equal(err_wrap(&e, "image '%s'", "app"), -1);
	assert_string_equal(e.message, "image 'app': cannot open 'x': Permission denied");
	assert_int_equal(e.saved_errno, EACCES);
	assert_int_equal(err_recode(&e, ERR_POLICY, "store/x"), -1);
	expect_err(&e, ERR_POLICY, "store/x");
	assert_string_equal(e.message, "image 'app': cannot open 'x': Permission denied");
}

static void expect_cut(const char *text, size_t size)
{
	size_t len = strlen(text);

	assert_true(len < size);
	assert_true(len >= size - 8);
	assert_string_equal(text + len - 3, "...");
}

static void test_long_text_is_cut_and_says_so(void **state)
{
	struct err e = ERR_INIT;
	char text[3000];
	struct pos pos = {text, 1, 1};

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_at(&e, &pos, text, "%s", text);
	expect_cut(e.message, sizeof(e.message));
	expect_cut(e.file, sizeof(e.file));
	expect_cut(e.id, sizeof(e.id));
	err_hint(&e, "%s", text);
	expect_cut(e.hint, sizeof(e.hint));
	err_wrap(&e, "%s", text);
	expect_cut(e.message, sizeof(e.message));
}

static void test_message_that_just_fits_is_whole(void **state)
{
	struct err e = ERR_INIT;
	char text[ERR_MESSAGE_MAX];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&e, ERR_INPUT, "input/x", "%s", text);
	assert_string_equal(e.message, text);
}

static void test_long_path_does_not_hide_the_reason(void **state)
{
	struct err e = ERR_INIT;
	char text[3000];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	errno = ENOSPC;
	err_sys(&e, "cannot write '%s'", text);
	assert_non_null(strstr(e.message, "...: No space left on device"));
}

static void test_cut_keeps_characters_whole(void **state)
{
	struct err e = ERR_INIT;
	char text[2001];

	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'a', sizeof(text));
		for (size_t i = shift; i + 4 < sizeof(text); i += 4)
			memcpy(text + i, "\xf0\x9f\x98\x82", 4);
		text[sizeof(text) - 1] = '\0';
		err_set(&e, ERR_INPUT, "input/x", "%s", text);
		/* What is before the dots ends in the last byte of a character. */
		size_t len = strlen(e.message) - 3;
		assert_int_equal((len - shift) % 4, 0);
		expect_cut(e.message, sizeof(e.message));
	}
}

static void test_null_error_only_fails(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_INPUT, "input/x", "x"), -1);
	assert_int_equal(err_sys(NULL, "x"), -1);
	assert_int_equal(err_at(NULL, NULL, "recipe/x", "x"), -1);
	assert_int_equal(err_hint(NULL, "x"), -1);
	assert_int_equal(err_wrap(NULL, "x"), -1);
	assert_int_equal(err_locate(NULL, NULL), -1);
	assert_int_equal(err_recode(NULL, ERR_BUG, "x"), -1);
}

static void test_broken_invariant_aborts(void **state)
{
	(void)state;
	expect_bug(BUG_IF(1 + 1 == 2));
	expect_bug(mem_realloc_array(NULL, SIZE_MAX / 2, 3));
	BUG_IF(1 + 1 == 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_fills_and_returns_minus_one),
		cmocka_unit_test(test_set_forgets_the_error_before),
		cmocka_unit_test(test_sys_keeps_errno),
		cmocka_unit_test(test_at_copies_the_position),
		cmocka_unit_test(test_locate_only_where_there_is_no_position),
		cmocka_unit_test(test_wrap_and_recode),
		cmocka_unit_test(test_long_text_is_cut_and_says_so),
		cmocka_unit_test(test_message_that_just_fits_is_whole),
		cmocka_unit_test(test_long_path_does_not_hide_the_reason),
		cmocka_unit_test(test_cut_keeps_characters_whole),
		cmocka_unit_test(test_null_error_only_fails),
		cmocka_unit_test(test_broken_invariant_aborts),
	};

	return cmocka_run_group_tests_name("util/err", tests, NULL, NULL);
}
