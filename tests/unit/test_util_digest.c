/* Digests: published vectors, and that nothing but the documented spellings is a pin. */
#include "util_test.h"

#include "util/digest.h"

#define EMPTY_OBJECT_HEX "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define ABC_HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC_SRI "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
#define ABC512_HEX                                                                             \
	"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"                     \
	"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
#define ABC512_SRI                                                                             \
	"sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/"                 \
	"uu9RU1EI2Q86A4qmslPpUyknw=="

static void expect_text(const struct digest *d, const char *wanted)
{
	char text[DIGEST_TEXT_MAX];

	digest_format(d, text);
	assert_string_equal(text, wanted);
}

static void test_known_answers(void **state)
{
	struct digest d;

	(void)state;
	digest_bytes(DIGEST_SHA256, "{}", 2, &d);
	expect_text(&d, "sha256:" EMPTY_OBJECT_HEX);
	digest_bytes(DIGEST_SHA256, "abc", 3, &d);
	expect_text(&d, "sha256:" ABC_HEX);
	digest_bytes(DIGEST_SHA512, "abc", 3, &d);
	expect_text(&d, "sha512:" ABC512_HEX);
	assert_int_equal(digest_len(DIGEST_NONE), 0);
	assert_int_equal(digest_len(DIGEST_SHA512), 64);
}

static void test_stream_is_reusable(void **state)
{
	AUTO(digest_stream) s = {0};
	struct digest parts, whole;

	(void)state;
	digest_stream_init(&s, DIGEST_SHA256);
	digest_bytes(DIGEST_SHA256, "abc", 3, &whole);
	for (unsigned i = 0; i < 2; i++) {
		digest_stream_add(&s, "a", 1);
		digest_stream_add(&s, "", 0);
		digest_stream_add(&s, "bc", 2);
		digest_stream_final(&s, &parts);
		assert_true(digest_eq(&parts, &whole));
	}
}

static void test_fd_reads_from_the_start(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	struct digest d;
	uint64_t len = 0;
	char byte;

	put_file(s->fd, "f", "abc");
	AUTO_CLOSE int fd = openat(s->fd, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(digest_fd(DIGEST_SHA256, fd, "f", &d, &len, &e), 0);
	expect_text(&d, "sha256:" ABC_HEX);
	assert_int_equal(len, 3);
	assert_int_equal(digest_fd(DIGEST_SHA256, s->fd, "dir", &d, NULL, &e), -1);
	expect_err(&e, ERR_SYSTEM, "system/call");
	assert_int_equal(e.saved_errno, EISDIR);
}

static void test_oci_form(void **state)
{
	static const char *const bad[] = {
		"",
		ABC_HEX,
		"sha256:",
		"sha256:" ABC_HEX "0",
		"sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
		"SHA256:" ABC_HEX,
		" sha256:" ABC_HEX,
		"sha256:" ABC_HEX "\n",
		"sha512:" ABC512_HEX,
		ABC_SRI};
	struct digest d = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = ERR_INIT;

		assert_int_equal(digest_parse(bad[i], &d, &e), -1);
		expect_err(&e, ERR_INPUT, "digest/malformed");
		assert_int_equal(d.alg, DIGEST_NONE);
	}
	assert_int_equal(digest_parse("sha256:" ABC_HEX, &d, NULL), 0);
	expect_text(&d, "sha256:" ABC_HEX);
}

static void test_pin_spellings(void **state)
{
	static const char *const same[] = {
		ABC_HEX,
		"BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
		("sha256:" ABC_HEX),
		"sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		ABC_SRI,
	};
	struct digest d;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		assert_int_equal(digest_parse_pin(same[i], &d, NULL), 0);
		expect_text(&d, "sha256:" ABC_HEX);
	}
	assert_int_equal(digest_parse_pin("sha512:" ABC512_HEX, &d, NULL), 0);
	expect_text(&d, "sha512:" ABC512_HEX);
	assert_int_equal(digest_parse_pin(ABC512_SRI, &d, NULL), 0);
	expect_text(&d, "sha512:" ABC512_HEX);
}

static void test_malformed_pins(void **state)
{
	static const char *const bad[] = {
		"",
		"a",
		"d41d8cd98f00b204e9800998ecf8427e", /* as long as MD5 */
		"da39a3ee5e6b4b0d3255bfef95601890afd80709",
		ABC512_HEX, /* SHA-512 must be named */
		ABC_HEX "0",
		ABC_HEX " ",
		"sha256:",
		"sha256:" ABC512_HEX,
		"sha512:" ABC_HEX,
		"sha256:sha256:" ABC_HEX,
		"sha256-",
		"sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0",	/* not padded */
		"sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0==", /* too much */
		"sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa1=",	/* trailing bits */
		"sha256-ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0=",	/* URL alphabet */
		"sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\n",
		"sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3 ctBD/YfIAFa0=",
		"sha256-=ngWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
		"sha256-" ABC_HEX,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = ERR_INIT;
		struct digest d = {0};

		assert_int_equal(digest_parse_pin(bad[i], &d, &e), -1);
		expect_err(&e, ERR_INPUT, "digest/malformed");
		assert_non_null(strstr(e.message, "is not valid"));
		assert_true(strlen(e.hint) > 0);
		assert_int_equal(d.alg, DIGEST_NONE);
	}
}

static void test_other_algorithms_are_refused_by_name(void **state)
{
	static const char *const pins[][2] = {
		{"md5:d41d8cd98f00b204e9800998ecf8427e", "'md5'"},
		{"sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "'sha1'"},
		{"blake3:" ABC_HEX, "'blake3'"},
		{"sha384-x", "'sha384'"},
		{"SHA256:" ABC_HEX, "'SHA256'"},
		{"sha3-256:" ABC_HEX, "'sha3'"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pins); i++) {
		struct err e = ERR_INIT;
		struct digest d = {0};

		assert_int_equal(digest_parse_pin(pins[i][0], &d, &e), -1);
		expect_err(&e, ERR_INPUT, "digest/algorithm");
		assert_non_null(strstr(e.message, pins[i][1]));
	}
}

static void test_equality(void **state)
{
	struct digest a = {0};
	struct digest b = {0};

	(void)state;
	assert_false(digest_eq(&a, &b)); /* unset never matches */
	digest_bytes(DIGEST_SHA256, "a", 1, &a);
	digest_bytes(DIGEST_SHA256, "a", 1, &b);
	assert_true(digest_eq(&a, &b));
	b.bytes[31] ^= 1;
	assert_false(digest_eq(&a, &b));
	b.bytes[31] ^= 1;
	b.alg = DIGEST_SHA512;
	assert_false(digest_eq(&a, &b));
	expect_bug(digest_bytes(DIGEST_NONE, "", 0, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_answers),
		cmocka_unit_test(test_stream_is_reusable),
		scratch_test(test_fd_reads_from_the_start),
		cmocka_unit_test(test_oci_form),
		cmocka_unit_test(test_pin_spellings),
		cmocka_unit_test(test_malformed_pins),
		cmocka_unit_test(test_other_algorithms_are_refused_by_name),
		cmocka_unit_test(test_equality),
	};

	return cmocka_run_group_tests_name("util/digest", tests, NULL, NULL);
}
