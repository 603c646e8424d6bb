/* Causes: each category is told, and nothing is explained that has another reason. */
#include "util_test.h"

#include "verify/cause.h"

static enum cause cause_of(const char *a, size_t a_len, const char *b, size_t b_len)
{
	AUTO(buf) left = BUF_INIT(65536);
	AUTO(buf) right = BUF_INIT(65536);
	buf_add(&left, a, a_len);
	buf_add(&right, b, b_len);
	return cause_of_content(&left, &right);
}

static void test_what_can_be_told(void **state)
{
	static const struct {
		const char *a, *b;
		enum cause cause;
	} cases[] = {
		{"Tue Nov 24 07:31:34 UTC 2026\n", "Tue Nov 24 07:31:35 UTC 2026\n",
		 CAUSE_TIMESTAMP},
		{"built=1795505494;", "built=1795505495;", CAUSE_TIMESTAMP},
		{"pid 17 started\n", "pid 4211 started\n", CAUSE_NUMBER},
		{"b\na\nc\n", "a\nb\nc\n", CAUSE_ORDERING},
		{"id: 3f9a81c2d4e5\n", "id: a81cbbe2ff01\n", CAUSE_RANDOM},
		{"uuid 1b4e28ba2fa1\n", "uuid 6ba7b8109dad\n", CAUSE_RANDOM},
		{"one word\n", "two word\n", CAUSE_UNEXPLAINED},
		{"a\nb\n", "a\nb\nb\n", CAUSE_UNEXPLAINED},
		{"", "x", CAUSE_UNEXPLAINED},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum cause got = cause_of(cases[i].a, strlen(cases[i].a), cases[i].b,
					  strlen(cases[i].b));
		if (got != cases[i].cause)
			fail_msg("'%s' and '%s': %s, not %s", cases[i].a, cases[i].b,
				 cause_name(got), cause_name(cases[i].cause));
	}
}

static void test_binary_content_is_not_guessed_at(void **state)
{
	(void)state;
	assert_int_equal(cause_of("\0001", 2, "\0002", 2), CAUSE_UNEXPLAINED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_can_be_told),
		cmocka_unit_test(test_binary_content_is_not_guessed_at),
	};
	return cmocka_run_group_tests_name("verify/cause", tests, NULL, NULL);
}
