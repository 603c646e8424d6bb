/* Word splitting of commands. */
#include "recipe_fixture.h"

#include "recipe/words.h"

static void expect_words(const char *text, const char *const *words, size_t len)
{
	AUTO(strvec) got = {0};
	struct err e = ERR_INIT;

	if (words_split(text, &got, &e) != 0)
		fail_msg("%s: %s", text, e.message);
	if (got.len != len)
		fail_msg("%s: %zu words, expected %zu", text, got.len, len);
	for (size_t i = 0; i < len; i++)
		assert_string_equal(got.items[i], words[i]);
}

#define EXPECT(text, ...)                                                                      \
	do {                                                                                   \
		static const char *const words_[] = {__VA_ARGS__};                             \
		expect_words(text, words_, ARRAY_LEN(words_));                                 \
	} while (0)

static void test_white_space_separates(void **state)
{
	(void)state;
	EXPECT("a b", "a", "b");
	EXPECT("  a\t\nb\v\f\rc  ", "a", "b", "c");
	EXPECT("a\xc2\xa0"
	       "b\xe2\x80\x83"
	       "c\xe3\x80\x80"
	       "d\xc2\x85"
	       "e",
	       "a", "b", "c", "d", "e");
	/* The zero width space is no White_Space, nor are other characters of the same lead. */
	EXPECT("a\xe2\x80\x8b"
	       "b \xc3\xa9\xe2\x82\xac",
	       "a\xe2\x80\x8b"
	       "b",
	       "\xc3\xa9\xe2\x82\xac");
	expect_words("", NULL, 0);
	expect_words(" \t", NULL, 0);
}

static void test_quotes_join_mid_word(void **state)
{
	(void)state;
	EXPECT("a'b c'd\"e f\"g", "ab cde fg");
	EXPECT("'a\"b' \"a'b\"", "a\"b", "a'b");
	EXPECT("sh -c 'echo \"$HOME\" && ls *'", "sh", "-c", "echo \"$HOME\" && ls *");
}

static void test_empty_words_are_dropped(void **state)
{
	(void)state;
	EXPECT("a '' \"\" b", "a", "b");
	EXPECT("''a\"\"", "a");
	expect_words("''", NULL, 0);
}

static void test_backslash(void **state)
{
	(void)state;
	EXPECT("a\\ b \\'c \\\\ \\n", "a b", "'c", "\\", "n");
	EXPECT("a\\\xc2\xa0"
	       "b",
	       "a\xc2\xa0"
	       "b"); /* the whole character is escaped */
	EXPECT("\"a\\\"b\\\\c\\nd\\$\"", "a\"b\\c\\nd\\$");
	EXPECT("'a\\'", "a\\");
}

static void test_no_other_syntax(void **state)
{
	(void)state;
	EXPECT("a # b;c|d > $x *", "a", "#", "b;c|d", ">", "$x", "*");
}

static void test_unfinished_is_refused(void **state)
{
	static const char *const cases[] = {"a 'b", "a \"b", "\"a\\\"", "a\\", "\\", "'"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(strvec) got = {0};
		struct err e = ERR_INIT;

		assert_int_equal(words_split(cases[i], &got, &e), -1);
		assert_string_equal(e.id, "recipe/bad-command");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_white_space_separates),
		cmocka_unit_test(test_quotes_join_mid_word),
		cmocka_unit_test(test_empty_words_are_dropped),
		cmocka_unit_test(test_backslash),
		cmocka_unit_test(test_no_other_syntax),
		cmocka_unit_test(test_unfinished_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
