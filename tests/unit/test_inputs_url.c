/* URLs: what is taken, what is refused, and where a redirect may lead (SEC DL02, DL03, DL14).
 */
#include "util_test.h"

#include "inputs/url.h"
#include "util/limits.h"

static void expect_url(const char *text, const char *normal, const char *host, unsigned port)
{
	AUTO(url) u = {0};
	struct err e = ERR_INIT;

	if (url_parse(text, &u, &e) < 0)
		fail_msg("%s: %s", text, e.message);
	assert_string_equal(u.text, normal);
	assert_string_equal(u.host, host);
	assert_int_equal(u.port, port);
}

static void expect_refused(const char *text, const char *id)
{
	AUTO(url) u = {0};
	struct err e = ERR_INIT;

	if (url_parse(text, &u, &e) == 0)
		fail_msg("'%s' was taken", text);
	expect_err(&e, ERR_INPUT, id);
	assert_null(u.text);
}

static void test_parse_takes_and_normalises(void **state)
{
	(void)state;
	expect_url("http://example.org/a.tgz", "http://example.org/a.tgz", "example.org", 80);
	expect_url("HTTPS://Example.ORG/A?b=C", "https://example.org/A?b=C", "example.org",
		   443);
	expect_url("http://h:8080", "http://h:8080/", "h", 8080);
	expect_url("http://[::1]:81/x", "http://[::1]:81/x", "[::1]", 81);
	expect_url("http://a_b-c.d/%41%2F", "http://a_b-c.d/%41%2F", "a_b-c.d", 80);
	expect_url("http://h/a/../b", "http://h/b", "h", 80);
	expect_url("http://h/me@x", "http://h/me@x", "h", 80);
	/* Odd spellings of an address become plain, so that they cannot hide one. */
	expect_url("http://0x7f.1/", "http://127.0.0.1/", "127.0.0.1", 80);
	expect_url("http://2130706433/", "http://127.0.0.1/", "127.0.0.1", 80);
	expect_url("http://h:65535/", "http://h:65535/", "h", 65535);
}

static void test_parse_refuses(void **state)
{
	static const char *const malformed[] = {
		"",
		"x",
		"http:",
		"http://",
		"http:///a",
		"http:/h/a",
		"//h/a",
		"/a",
		"http://h/a b",
		"http://h/\x01",
		"http://h/\x7f",
		"http://h/\xc3\xa9",
		"http://h\\@evil/",
		"http://h/a#f",
		"http://h#@evil/",
		"http://h%2fx/",
		"http://h./",
		"http://./",
		"http://\303\274ber.de/",
		"http://h:0/",
		"http://h:65536/",
		"http://h:x/",
		"http://[::1%25eth0]/",
		"http://[fe80::1/",
		"http://[]/",
		"http://h*/",
		"http://h,i/",
		"a/http://h/x",
		" http://h/",
		"http://h\n/",
		"http://h/\r\nX: y",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(malformed); i++)
		expect_refused(malformed[i], "url/malformed");
	expect_refused("ftp://h/x", "url/scheme");
	expect_refused("file:///etc/passwd", "url/malformed");
	expect_refused("gopher://h/x", "url/scheme");
	expect_refused("docker://h/x", "url/scheme");
}

static void test_user_info_is_refused_unseen(void **state)
{
	static const char *const texts[] = {"http://u:secret@h/", "https://secret@h/x",
					    "http://secret@@h/", "http://h:80@secret:81/"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO(url) u = {0};
		struct err e = ERR_INIT;

		assert_int_equal(url_parse(texts[i], &u, &e), -1);
		expect_err(&e, ERR_INPUT, "url/user-info");
		assert_null(strstr(e.message, "secret"));
	}
}

static void test_length_limit(void **state)
{
	AUTO_FREE char *text = mem_alloc(LIMIT_URL_BYTES + 2);

	(void)state;
	memset(text, 'a', LIMIT_URL_BYTES + 1);
	memcpy(text, "http://h/", 9);
	text[LIMIT_URL_BYTES] = '\0';
	expect_url(text, text, "h", 80);
	text[LIMIT_URL_BYTES] = 'a';
	text[LIMIT_URL_BYTES + 1] = '\0';
	expect_refused(text, "url/too-long");
}

static void expect_redirect(const char *base, const char *location, const char *target)
{
	AUTO(url) b = {0};
	AUTO(url) u = {0};
	struct err e = ERR_INIT;

	assert_int_equal(url_parse(base, &b, &e), 0);
	if (url_redirect(&b, location, &u, &e) < 0)
		fail_msg("%s -> %s: %s", base, location, e.message);
	assert_string_equal(u.text, target);
}

static void expect_no_redirect(const char *base, const char *location, const char *id)
{
	AUTO(url) b = {0};
	AUTO(url) u = {0};
	struct err e = ERR_INIT;

	assert_int_equal(url_parse(base, &b, &e), 0);
	if (url_redirect(&b, location, &u, &e) == 0)
		fail_msg("%s -> %s was followed", base, location);
	expect_err(&e, ERR_INPUT, id);
}

static void test_redirects_resolve(void **state)
{
	(void)state;
	expect_redirect("http://h/a/b", "c", "http://h/a/c");
	expect_redirect("http://h/a/b?q", "/c?d", "http://h/c?d");
	expect_redirect("http://h/a/b", "../c", "http://h/c");
	expect_redirect("http://h:8/a", "//i/c", "http://i/c");
	expect_redirect("https://h/a", "//i/c", "https://i/c");
	expect_redirect("http://h/a", "https://i/c", "https://i/c");
	expect_redirect("http://h/a", "http://i/c#part", "http://i/c");
	expect_redirect("https://h/a", "HTTPS://i/c", "https://i/c");
	expect_redirect("http://h/a", "b?next=ftp://x", "http://h/b?next=ftp://x");
}

static void test_redirects_are_refused(void **state)
{
	static const char *const schemes[] = {
		"file:///etc/passwd", "ftp://h/x", "gopher://h/x", "scp://h/x",
		"dict://h/x",	      "data:,x",   "javascript:1", "https:x"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		expect_no_redirect("http://h/a", schemes[i], "url/redirect-scheme");
	expect_no_redirect("https://h/a", "http://h/a", "url/redirect-downgrade");
	expect_no_redirect("https://h/a", "HtTp://h/a", "url/redirect-downgrade");
	expect_no_redirect("http://h/a", "http://u:p@i/", "url/redirect-malformed");
	expect_no_redirect("http://h/a", "//u@i/", "url/redirect-malformed");
	expect_no_redirect("http://h/a", "http://i/\x01", "url/redirect-malformed");
	expect_no_redirect("http://h/a", "http://i/a b", "url/redirect-malformed");
	expect_no_redirect("http://h/a", "http://i\\j/", "url/redirect-malformed");
	expect_no_redirect("http://h/a", "http://i:99999/", "url/redirect-malformed");
	expect_no_redirect("http://h/a", "http:///x", "url/redirect-malformed");
	expect_no_redirect("http://h/a", "///x", "url/redirect-malformed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_takes_and_normalises),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_user_info_is_refused_unseen),
		cmocka_unit_test(test_length_limit),
		cmocka_unit_test(test_redirects_resolve),
		cmocka_unit_test(test_redirects_are_refused),
	};

	return cmocka_run_group_tests_name("inputs/url", tests, NULL, NULL);
}
