/* Response headers: what is taken from them, and what is left (SEC DL09, DL13). */
#include "util_test.h"

#include "inputs/http_header_internal.h"

static void feed(struct http_head *h, const char *text)
{
	for (const char *at = text; *at;) {
		size_t len = strcspn(at, "\n");

		len += at[len] == '\n';
		http_head_line(h, at, len);
		at += len;
	}
}

static void test_fields(void **state)
{
	struct http_head h = {0};

	(void)state;
	feed(&h, "HTTP/1.1 206 Partial Content\r\ncontent-LENGTH:  10 \r\n"
		 "Content-Range: bytes 10-19/20\r\nETag: \"a\"\r\nLocation: /x?y\r\n"
		 "Retry-After: 120\r\nContent-Encoding: identity\r\n\r\n");
	assert_true(h.complete);
	assert_false(h.malformed || h.encoded || h.chunked);
	assert_int_equal(h.status, 206);
	assert_true(h.has_length);
	assert_int_equal(h.length, 10);
	assert_true(h.has_range && h.range.has_total);
	assert_int_equal(h.range.start, 10);
	assert_int_equal(h.range.end, 19);
	assert_int_equal(h.range.total, 20);
	assert_string_equal(h.validator, "\"a\"");
	assert_string_equal(h.location, "/x?y");
	assert_int_equal(h.retry_after_s, 120);
}

static void test_interim_response_is_forgotten(void **state)
{
	struct http_head h = {0};

	(void)state;
	feed(&h, "HTTP/1.1 103 Early Hints\r\nLocation: /a\r\nETag: \"a\"\r\n\r\n");
	assert_int_equal(h.status, 103);
	feed(&h, "HTTP/1.1 200 OK\r\nX: y\r\n\r\n");
	assert_int_equal(h.status, 200);
	assert_false(h.has_location);
	assert_string_equal(h.validator, "");
}

static void test_trailers_and_fields_are_no_status_lines(void **state)
{
	struct http_head h = {0};

	(void)state;
	feed(&h, "HTTP/1.1 200 OK\r\nHTTP/1.1 500 x: y\r\nContent-Length: 1\r\n\r\n");
	feed(&h, "HTTP/1.1 404 x\r\nContent-Length: 2\r\nLocation: /x\r\n\r\n");
	assert_int_equal(h.status, 200);
	assert_int_equal(h.length, 1);
	assert_false(h.has_location || h.malformed);
}

static void expect_malformed(const char *text, bool malformed)
{
	struct http_head h = {0};

	feed(&h, text);
	if (h.malformed != malformed)
		fail_msg("%s", text);
}

static void test_contradictions(void **state)
{
	(void)state;
	expect_malformed("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
			 false);
	expect_malformed("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n", true);
	expect_malformed("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n", true);
	expect_malformed("HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n", true);
	expect_malformed("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n", true);
	expect_malformed("HTTP/1.1 302 F\r\nLocation: /a\r\nLocation: /b\r\n", true);
	expect_malformed("HTTP/1.1 20 OK\r\n", true);
	expect_malformed("HTTP/1.1 600 OK\r\n", true);
	expect_malformed("HTTP/1.1\r\n", true);
	expect_malformed("HTTP/1.1 200\r\n", false);
}

static void test_location_limit(void **state)
{
	AUTO(buf) b = BUF_INIT(LIMIT_URL_BYTES + 100);

	(void)state;
	buf_add_c(&b, "HTTP/1.1 302 F\r\nLocation: ");
	for (int i = 0; i < LIMIT_URL_BYTES; i++)
		buf_add_byte(&b, 'a');
	expect_malformed(buf_text(&b), false);
	buf_add_byte(&b, 'a');
	expect_malformed(buf_text(&b), true);
}

static void test_content_range(void **state)
{
	static const char *const bad[] = {"",
					  "bytes",
					  "bytes ",
					  "bytes 0-1",
					  "bytes 1-0/2",
					  "bytes 0-1/1",
					  "bytes -1/2",
					  "bytes 0-/2",
					  "bytes */2",
					  "bytes 0-1/",
					  "bytes 0-1/2x",
					  "bytes 00-1/2",
					  "items 0-1/2",
					  "bytes 0 - 1/2",
					  "bytes 0-18446744073709551616/*"};
	struct http_range r = {0};

	(void)state;
	assert_true(http_parse_content_range("bytes 0-0/1", 11, &r));
	assert_true(http_parse_content_range("Bytes 5-9/*", 11, &r));
	assert_false(r.has_total);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (http_parse_content_range(bad[i], strlen(bad[i]), &r))
			fail_msg("taken: %s", bad[i]);
}

static void test_validators(void **state)
{
	static const struct {
		const char *fields;
		const char *validator;
	} cases[] = {
		{"ETag: \"a\"\r\nLast-Modified: then\r\n", "\"a\""},
		{"Last-Modified: then\r\nETag: \"a\"\r\n", "\"a\""},
		{"ETag: W/\"a\"\r\nLast-Modified: then\r\n", "then"},
		{"ETag: W/\"a\"\r\n", ""},
		{"ETag: \"a\x01\"\r\n", ""},
		{"ETag: \"a\rX: y\"\r\n", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_head h = {0};

		feed(&h, "HTTP/1.1 200 OK\r\n");
		feed(&h, cases[i].fields);
		assert_string_equal(h.validator, cases[i].validator);
	}
}

static void test_encodings_and_waits(void **state)
{
	struct http_head h = {0};

	(void)state;
	feed(&h,
	     "HTTP/1.1 503 x\r\nContent-Encoding: gzip\r\nContent-Encoding: identity\r\n"
	     "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\nTransfer-Encoding: chunked\r\n");
	assert_true(h.encoded && h.chunked);
	assert_false(h.has_retry_after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_interim_response_is_forgotten),
		cmocka_unit_test(test_trailers_and_fields_are_no_status_lines),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_location_limit),
		cmocka_unit_test(test_content_range),
		cmocka_unit_test(test_validators),
		cmocka_unit_test(test_encodings_and_waits),
	};

	return cmocka_run_group_tests_name("inputs/http_header", tests, NULL, NULL);
}
