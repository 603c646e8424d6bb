/* The calendar against libc's, and the ends of what it promises. */
#include "util_test.h"

#include <time.h>

#include "util/clock.h"

static void expect_time(int64_t time_s, const char *wanted)
{
	char text[32];

	clock_format_rfc3339(time_s, text);
	assert_string_equal(text, wanted);
	int64_t back = time_s + 1;
	assert_true(clock_parse_rfc3339(wanted, &back));
	assert_int_equal(back, time_s);
}

static void test_known_times(void **state)
{
	(void)state;
	expect_time(0, "1970-01-01T00:00:00Z");
	expect_time(315532800, "1980-01-01T00:00:00Z");
	expect_time(951782399, "2000-02-28T23:59:59Z");
	expect_time(951782400, "2000-02-29T00:00:00Z");
	expect_time(951868800, "2000-03-01T00:00:00Z");
	expect_time(INT64_C(4107542400), "2100-03-01T00:00:00Z"); /* no leap day in 2100 */
	expect_time(INT64_C(4107542399), "2100-02-28T23:59:59Z");
	expect_time(-1, "1969-12-31T23:59:59Z");
	expect_time(1704067200, "2024-01-01T00:00:00Z");
}

static void test_ends_of_the_range(void **state)
{
	char text[32];

	(void)state;
	expect_time(-INT64_C(62167219200), "0000-01-01T00:00:00Z");
	expect_time(-INT64_C(62162035201), "0000-02-29T23:59:59Z");
	expect_time(-INT64_C(62162035200), "0000-03-01T00:00:00Z");
	expect_time(INT64_C(253402300799), "9999-12-31T23:59:59Z");
	expect_bug(clock_format_rfc3339(-INT64_C(62167219201), text));
	expect_bug(clock_format_rfc3339(INT64_C(253402300800), text));
}

static void test_no_times(void **state)
{
	static const char *const texts[] = {
		"",
		"2024-02-30T00:00:00Z",
		"2023-02-29T00:00:00Z",
		"2024-13-01T00:00:00Z",
		"2024-00-01T00:00:00Z",
		"2024-01-00T00:00:00Z",
		"2024-01-01T24:00:00Z",
		"2024-01-01T00:60:00Z",
		"2024-01-01T23:59:60Z",
		"2024-01-01 00:00:00Z",
		"2024-01-01T00:00:00+",
		"2024-01-01T00:00:00Z ",
		"2024-1-01T00:00:00ZZ",
		"-024-01-01T00:00:00Z",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		int64_t time_s = 7;
		assert_false(clock_parse_rfc3339(texts[i], &time_s));
		assert_int_equal(time_s, 7);
	}
}

static void test_same_as_libc(void **state)
{
	(void)state;
	/* Some 70 000 moments over all years, at changing times of the day. */
	for (int64_t t = -INT64_C(62167219200); t <= INT64_C(253402300799); t += 4493981) {
		time_t when = t;
		struct tm parts;
		char wanted[64];

		assert_non_null(gmtime_r(&when, &parts));
		snprintf(wanted, sizeof(wanted), "%04d-%02d-%02dT%02d:%02d:%02dZ",
			 parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
			 parts.tm_min, parts.tm_sec);
		expect_time(t, wanted);
	}
}

static void test_clocks_go_forward(void **state)
{
	uint64_t before = clock_monotonic_ms();
	struct timespec nap = {.tv_nsec = 5000000};

	(void)state;
	nanosleep(&nap, NULL);
	assert_true(clock_monotonic_ms() - before >= 4);
	assert_true(clock_monotonic_ms() - before < 60000);
	assert_true(clock_wall_s() > 1700000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_times),
		cmocka_unit_test(test_ends_of_the_range),
		cmocka_unit_test(test_no_times),
		cmocka_unit_test(test_same_as_libc),
		cmocka_unit_test(test_clocks_go_forward),
	};

	return cmocka_run_group_tests_name("util/clock", tests, NULL, NULL);
}
