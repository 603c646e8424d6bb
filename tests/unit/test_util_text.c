/* buf, str, num, vec, map and mem: the small containers and text helpers. */
#include "util_test.h"

#include "util/map.h"
#include "util/num.h"
#include "util/str.h"
#include "util/vec.h"

static void test_buf_grows_and_stays_terminated(void **state)
{
	AUTO(buf) b = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	(void)state;
	assert_string_equal(buf_text(&b), "");
	for (unsigned i = 0; i < 10000; i++)
		buf_addf(&b, "%u,", i % 10);
	assert_int_equal(b.len, 20000);
	assert_int_equal(strlen(buf_text(&b)), 20000);
	buf_add(&b, "a\0b", 3);
	assert_int_equal(b.len, 20003);
	assert_memory_equal(b.data + 20000, "a\0b", 4);
	assert_int_equal(buf_check(&b, "x", &e), 0);
}

static void test_buf_edge_of_the_maximum(void **state)
{
	AUTO(buf) b = BUF_INIT(8);
	struct err e = ERR_INIT;

	(void)state;
	buf_add_c(&b, "1234567");
	buf_add_byte(&b, '8');
	assert_int_equal(buf_check(&b, "x", &e), 0);
	buf_add_byte(&b, '9');
	assert_true(b.overflowed);
	assert_string_equal(buf_text(&b), "12345678");
	assert_int_equal(buf_check(&b, "manifest.json", &e), -1);
	expect_err(&e, ERR_INPUT, "input/too-big");
	assert_string_equal(e.message, "'manifest.json' is larger than 8 B (8 bytes)");
}

static void test_buf_drops_everything_after_an_overflow(void **state)
{
	AUTO(buf) b = BUF_INIT(4);

	(void)state;
	buf_add_c(&b, "12345");
	buf_add_c(&b, "1");
	buf_addf(&b, "%d", 1);
	assert_int_equal(b.len, 0);
	buf_clear(&b);
	buf_addf(&b, "%d", 1234);
	assert_string_equal(buf_text(&b), "1234");
	assert_false(b.overflowed);
	buf_addf(&b, "%s", "");
	assert_false(b.overflowed);
	buf_addf(&b, "%s", "5");
	assert_true(b.overflowed);
}

static void test_buf_take_hands_over(void **state)
{
	AUTO(buf) b = BUF_INIT(16);
	AUTO_FREE char *empty = buf_take(&b);

	(void)state;
	assert_string_equal(empty, "");
	buf_add_c(&b, "text");
	AUTO_FREE char *text = buf_take(&b);
	assert_string_equal(text, "text");
	assert_null(b.data);
	buf_add_c(&b, "again");
	assert_string_equal(buf_text(&b), "again");
}

static void test_str_slices(void **state)
{
	(void)state;
	assert_true(str_eq(str_of("ab"), STR_LIT("ab")));
	assert_false(str_eq(str_of("ab"), str_of("abc")));
	assert_true(str_eq((struct str){NULL, 0}, str_of("")));
	assert_true(str_eq_c((struct str){"abc", 2}, "ab"));
	assert_true(str_has_prefix("abc", "ab"));
	assert_false(str_has_prefix("a", "ab"));
	assert_true(str_has_suffix("abc", "bc"));
	assert_true(str_has_suffix("abc", ""));
	assert_false(str_has_suffix("c", "bc"));
	assert_true(str_same(NULL, NULL));
	assert_false(str_same(NULL, ""));
	assert_true(str_same("a", "a"));
}

static void test_str_utf8(void **state)
{
	static const char *const good[] = {"",
					   "a",
					   "\xc2\x80",
					   "\xdf\xbf",
					   "\xe0\xa0\x80",
					   "\xed\x9f\xbf",
					   "\xee\x80\x80",
					   "\xf0\x90\x80\x80",
					   "\xf4\x8f\xbf\xbf"};
	/* lone continuation, overlong forms, surrogates, beyond U+10FFFF, cut */
	static const char *const bad[] = {"\x80",
					  "\xc0\x80",
					  "\xc1\xbf",
					  "\xe0\x9f\xbf",
					  "\xed\xa0\x80",
					  "\xed\xbf\xbf",
					  "\xf0\x8f\xbf\xbf",
					  "\xf4\x90\x80\x80",
					  "\xf5\x80\x80\x80",
					  "\xff",
					  "\xc2",
					  "\xe0\xa0",
					  "\xf0\x90\x80",
					  "\xc2z"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(str_is_utf8(good[i], strlen(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(str_is_utf8(bad[i], strlen(bad[i])));
	assert_true(str_is_utf8("a\0b", 3));
}

static void test_str_distance(void **state)
{
	(void)state;
	assert_int_equal(str_distance("", "", 5), 0);
	assert_int_equal(str_distance("abc", "", 5), 3);
	assert_int_equal(str_distance("enviroment", "environment", 5), 1);
	assert_int_equal(str_distance("form", "from", 5), 1); /* swapped neighbours */
	assert_int_equal(str_distance("kitten", "sitting", 5), 3);
	assert_int_equal(str_distance("kitten", "sitting", 1), 2); /* capped */
	assert_int_equal(str_distance("abcdef", "uvwxyz", 2), 3);
	char text[200];
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(str_distance(text, "a", 4), 5);
	text[64] = '\0';
	assert_int_equal(str_distance(text, text, 4), 0);
}

static void test_str_nearest(void **state)
{
	static const char *const names[] = {"from", "import", "run", "environment"};

	(void)state;
	assert_string_equal(str_nearest("enviroment", names, 4), "environment");
	assert_string_equal(str_nearest("form", names, 4), "from");
	assert_string_equal(str_nearest("rum", names, 4), "run");
	assert_string_equal(str_nearest("ru", names, 4), "run");
	assert_string_equal(str_nearest("run", names, 4), "run");
	assert_null(str_nearest("cmd", names, 4));
	assert_null(str_nearest("", names, 4));
	assert_null(str_nearest("r", names, 4));
	assert_null(str_nearest("run", names, 0));
}

static void expect_printable(const char *text, size_t len, const char *wanted)
{
	AUTO_FREE char *printable = str_printable(text, len);

	assert_string_equal(printable, wanted);
}

static void test_str_printable(void **state)
{
	(void)state;
	expect_printable("", 0, "");
	expect_printable("plain \xc3\xa9 \xf0\x9f\x98\x82", 13,
			 "plain \xc3\xa9 \xf0\x9f\x98\x82");
	expect_printable("a\x1b[31m\n\t\0\x7f", 10, "a\\x1b[31m\\x0a\\x09\\x00\\x7f");
	expect_printable("\xc2\x9b", 2, "\\xc2\\x9b");		/* C1: CSI */
	expect_printable("\xe2\x80\xae", 3, "\\xe2\\x80\\xae"); /* U+202E */
	expect_printable("\xe2\x81\xa6", 3, "\\xe2\\x81\\xa6"); /* U+2066 */
	expect_printable("\xe2\x80\x8b", 3, "\\xe2\\x80\\x8b"); /* U+200B */
	expect_printable("\xef\xbb\xbf", 3, "\\xef\\xbb\\xbf"); /* U+FEFF */
	expect_printable("\xff"
			 "a\xc3",
			 3, "\\xffa\\xc3"); /* not UTF-8 */
}

static void test_num_unsigned(void **state)
{
	static const char *const bad[] = {"",	 "00",	"01", "+1",
					  "-1",	 " 1",	"1 ", "1_",
					  "0x1", "1e1", "a",  "18446744073709551616"};
	uint64_t n = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(num_parse_u64(bad[i], strlen(bad[i]), UINT64_MAX, &n));
	assert_int_equal(n, 7);
	assert_true(num_parse_u64("0", 1, 0, &n));
	assert_int_equal(n, 0);
	assert_true(num_parse_u64("18446744073709551615", 20, UINT64_MAX, &n));
	assert_true(n == UINT64_MAX);
	assert_true(num_parse_u64("100", 3, 100, &n));
	assert_false(num_parse_u64("101", 3, 100, &n));
	assert_true(num_parse_u64("123", 2, 100, &n));
	assert_int_equal(n, 12);
}

static void test_num_signed(void **state)
{
	int64_t n = 7;

	(void)state;
	assert_true(num_parse_i64("-9223372036854775808", 20, &n));
	assert_true(n == INT64_MIN);
	assert_true(num_parse_i64("9223372036854775807", 19, &n));
	assert_true(n == INT64_MAX);
	assert_false(num_parse_i64("9223372036854775808", 19, &n));
	assert_false(num_parse_i64("-9223372036854775809", 20, &n));
	assert_false(num_parse_i64("-0", 2, &n));
	assert_false(num_parse_i64("-", 1, &n));
	assert_false(num_parse_i64("--1", 3, &n));
	assert_true(n == INT64_MAX);
}

static void test_num_mode(void **state)
{
	static const char *const bad[] = {"",	  "0",	    "0o",      "755",
					  "0888", "010000", "0o10000", "0x1",
					  "o755", "0755 ",  "-0755",   "0000000"};
	uint32_t mode = 1;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(num_parse_mode(bad[i], strlen(bad[i]), &mode));
	assert_int_equal(mode, 1);
	assert_true(num_parse_mode("0755", 4, &mode));
	assert_int_equal(mode, 0755);
	assert_true(num_parse_mode("0o644", 5, &mode));
	assert_int_equal(mode, 0644);
	assert_true(num_parse_mode("07777", 5, &mode));
	assert_int_equal(mode, 07777);
	assert_true(num_parse_mode("0000", 4, &mode));
	assert_int_equal(mode, 0);
}

static void test_num_hex(void **state)
{
	uint8_t bytes[4] = {1, 2, 3, 4};
	char text[9];

	(void)state;
	assert_false(num_parse_hex("0g", 2, bytes, 1));
	assert_false(num_parse_hex("001", 3, bytes, 1));
	assert_false(num_parse_hex("00", 2, bytes, 2));
	assert_false(num_parse_hex("00ff00xx", 8, bytes, 4));
	assert_int_equal(bytes[0], 1);
	assert_true(num_parse_hex("deADbeEF", 8, bytes, 4));
	num_format_hex(bytes, 4, text);
	assert_string_equal(text, "deadbeef");
}

static void test_num_checked_arithmetic(void **state)
{
	uint64_t n = 5;

	(void)state;
	assert_false(num_add_u64(UINT64_MAX, 1, &n));
	assert_false(num_mul_u64(UINT64_MAX / 2 + 1, 2, &n));
	assert_int_equal(n, 5);
	assert_true(num_add_u64(UINT64_MAX - 1, 1, &n));
	assert_true(n == UINT64_MAX);
	assert_true(num_mul_u64(1u << 31, 1u << 31, &n));
	assert_true(n == UINT64_C(1) << 62);
}

static void expect_size(uint64_t bytes, const char *wanted)
{
	char text[32];

	num_format_size(bytes, text);
	assert_string_equal(text, wanted);
}

static void test_num_sizes(void **state)
{
	(void)state;
	expect_size(0, "0 B");
	expect_size(1023, "1023 B");
	expect_size(1024, "1.0 KiB");
	expect_size(1258291, "1.1 MiB");
	expect_size((UINT64_C(1) << 20) - 1, "1023.9 KiB");
	expect_size(UINT64_MAX, "15.9 EiB");
}

static void test_strvec(void **state)
{
	AUTO(strvec) v = {0};
	char text[] = "0";

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		text[0] = (char)('a' + i);
		strvec_push(&v, text);
	}
	assert_int_equal(v.len, 20);
	assert_string_equal(v.items[0], "a");
	assert_string_equal(v.items[19], "t");
	strvec_cleanup(&v);
	strvec_cleanup(&v);
	assert_int_equal(v.len, 0);
}

static void test_map_keeps_the_order_of_insertion(void **state)
{
	AUTO(map) m = MAP_INIT(free);
	char key[16];

	(void)state;
	assert_null(map_get(&m, "x"));
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "k%u", i * 7919 % 5000);
		map_set_text(&m, key, key);
	}
	assert_int_equal(m.len, 5000);
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "k%u", i * 7919 % 5000);
		assert_string_equal(m.entries[i].key, key);
		assert_string_equal(map_get(&m, key), key);
	}
	assert_false(map_has(&m, "k5000"));
	assert_false(map_has(&m, ""));
}

static void test_map_add_refuses_and_set_replaces(void **state)
{
	AUTO(map) m = MAP_INIT(free);
	char other[] = "other";

	(void)state;
	assert_true(map_add(&m, "a", mem_strdup("1")));
	assert_true(map_add(&m, "b", NULL));
	assert_false(map_add(&m, "a", other)); /* not taken: freeing it would crash */
	assert_string_equal(map_get(&m, "a"), "1");
	assert_true(map_has(&m, "b"));
	assert_null(map_get(&m, "b"));
	map_set_text(&m, "a", "2");
	assert_string_equal(map_get(&m, "a"), "2");
	assert_string_equal(m.entries[0].key, "a");
	map_cleanup(&m);
	assert_int_equal(m.len, 0);
	map_set_text(&m, "a", "3");
	assert_string_equal(map_get(&m, "a"), "3");
}

static void test_map_of_borrowed_values(void **state)
{
	AUTO(map) m = MAP_INIT(NULL);
	int value = 1;

	(void)state;
	map_set(&m, "a", &value);
	assert_ptr_equal(map_get(&m, "a"), &value);
	expect_bug(map_set_text(&m, "b", "text"));
}

static void test_mem_cleanup_and_take(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	{
		AUTO_CLOSE int closed = fds[0];
		AUTO_CLOSE int taken = fds[1];

		errno = 7;
		fds[1] = TAKE_FD(taken);
		assert_int_equal(closed, fds[0]);
	}
	assert_int_equal(errno, 7);
	assert_int_equal(fcntl(fds[0], F_GETFD), -1);
	assert_int_not_equal(fcntl(fds[1], F_GETFD), -1);
	close(fds[1]);
	AUTO_FREE char *zero = mem_zalloc(0, 8);
	AUTO_FREE char *none = mem_alloc(0);
	AUTO_FREE char *part = mem_strndup("abcdef", 3);
	AUTO_FREE char *text = mem_printf("%s-%d", part, 7);
	assert_non_null(zero);
	assert_non_null(none);
	assert_string_equal(part, "abc");
	assert_string_equal(text, "abc-7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf_grows_and_stays_terminated),
		cmocka_unit_test(test_buf_edge_of_the_maximum),
		cmocka_unit_test(test_buf_drops_everything_after_an_overflow),
		cmocka_unit_test(test_buf_take_hands_over),
		cmocka_unit_test(test_str_slices),
		cmocka_unit_test(test_str_utf8),
		cmocka_unit_test(test_str_distance),
		cmocka_unit_test(test_str_nearest),
		cmocka_unit_test(test_str_printable),
		cmocka_unit_test(test_num_unsigned),
		cmocka_unit_test(test_num_signed),
		cmocka_unit_test(test_num_mode),
		cmocka_unit_test(test_num_hex),
		cmocka_unit_test(test_num_checked_arithmetic),
		cmocka_unit_test(test_num_sizes),
		cmocka_unit_test(test_strvec),
		cmocka_unit_test(test_map_keeps_the_order_of_insertion),
		cmocka_unit_test(test_map_add_refuses_and_set_replaces),
		cmocka_unit_test(test_map_of_borrowed_values),
		cmocka_unit_test(test_mem_cleanup_and_take),
	};

	return cmocka_run_group_tests_name("util/text", tests, NULL, NULL);
}
