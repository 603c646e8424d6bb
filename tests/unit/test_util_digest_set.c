/* Sets of digests. */
#include "util_test.h"

#include "util/digest_set.h"

enum { MANY = 5000 };

static struct digest numbered(int number)
{
	struct digest d;

	digest_bytes(DIGEST_SHA256, &number, sizeof(number), &d);
	return d;
}

static void test_what_was_added_is_there(void **state)
{
	(void)state;
	AUTO(digest_set) s = {0};

	for (int i = 0; i < MANY; i++) {
		struct digest d = numbered(i);
		assert_false(digest_set_has(&s, &d));
		digest_set_add(&s, &d);
		digest_set_add(&s, &d);
		assert_true(digest_set_has(&s, &d));
	}
	assert_int_equal(s.len, MANY);
	for (int i = 0; i < MANY; i++) {
		struct digest in = numbered(i), out = numbered(MANY + i);
		assert_true(digest_set_has(&s, &in));
		assert_false(digest_set_has(&s, &out));
	}
}

/* Also if they hash alike, as those that begin alike do. */
static void test_like_beginnings(void **state)
{
	(void)state;
	AUTO(digest_set) s = {0};

	for (int i = 0; i < 100; i++) {
		struct digest d = {.alg = DIGEST_SHA256};
		d.bytes[31] = (uint8_t)i;
		assert_false(digest_set_has(&s, &d));
		digest_set_add(&s, &d);
	}
	struct digest other_kind = {.alg = DIGEST_SHA512};
	assert_false(digest_set_has(&s, &other_kind));
	assert_int_equal(s.len, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_added_is_there),
		cmocka_unit_test(test_like_beginnings),
	};

	return cmocka_run_group_tests_name("util/digest_set", tests, NULL, NULL);
}
