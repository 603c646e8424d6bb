/* Link, WWW-Authenticate and the other fields that registries add. */
#include "util_test.h"

#include "inputs/registry_header_internal.h"
#include "util/str.h"

static void expect_challenge(struct str *text, const char *scheme, const char *realm,
			     const char *service)
{
	struct registry_challenge c;

	assert_true(registry_next_challenge(text, &c));
	assert_string_equal(c.scheme, scheme);
	assert_string_equal(c.realm, realm);
	assert_string_equal(c.service, service);
}

static void test_challenges(void **state)
{
	struct registry_challenge c;
	struct str one = STR_LIT("Bearer realm=\"https://a/t?x=1,2\",service=\"s, \\\"q\\\"\","
				 "scope=\"repository:a:pull,push\"");
	struct str two =
		STR_LIT("Negotiate abc==, Basic realm=x ,, BEARER scope=z,realm=\"r\"");
	struct str bare = STR_LIT("Basic");

	(void)state;
	expect_challenge(&one, "bearer", "https://a/t?x=1,2", "s, \"q\"");
	assert_false(registry_next_challenge(&one, &c));
	assert_true(registry_next_challenge(&two, &c));
	assert_string_equal(c.scheme, "negotiate");
	expect_challenge(&bare, "basic", "", "");
}

static void test_malformed_challenges(void **state)
{
	static const char *const bad[] = {
		"",
		",",
		"\"Basic\"",
		"Basic realm=\"x",
		"Bearer realm=\"a\",realm=\"b\"",
		"Basic/x realm=y",
		"Averyveryverylongscheme realm=x",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct str text = str_of(bad[i]);
		struct registry_challenge c;

		if (registry_next_challenge(&text, &c))
			fail_msg("'%s' was taken", bad[i]);
	}
}

static void expect_link(const char *text, const char *wanted)
{
	char found[64] = "";
	bool is = registry_find_link(str_of(text), "next", found, sizeof(found));

	assert_int_equal(is, wanted != NULL);
	if (wanted)
		assert_string_equal(found, wanted);
}

static void test_links(void **state)
{
	(void)state;
	expect_link("</v2/a?n=1,2>; rel=\"next\"", "/v2/a?n=1,2");
	expect_link("</p>; rel=prev, </n>; title=\"a, b\"; rel=next", "/n");
	expect_link("</n> ; x; REL=\"NEXT\"", "/n");
	expect_link("</n>; rel=\"prev\"", NULL);
	expect_link("</n>", NULL);
	expect_link("</n; rel=next", NULL);
	expect_link("<>; rel=next", NULL);
	expect_link("n; rel=next", NULL);
	expect_link("", NULL);
	/* Longer than there is room for. */
	expect_link("<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>; "
		    "rel=next",
		    NULL);
}

static void test_uploaded(void **state)
{
	static const struct {
		const char *text;
		bool is;
		uint64_t wanted;
	} list[] = {
		{"0-99", true, 100},
		{"bytes=0-99", true, 100},
		{"0-0", true, 0},
		{"1-99", false, 0},
		{"0-", false, 0},
		{"-5", false, 0},
		{"0--1", false, 0},
		{"", false, 0},
		{"0-99999999999999999999", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		uint64_t found = 0;

		assert_int_equal(registry_parse_uploaded(str_of(list[i].text), &found),
				 list[i].is);
		assert_int_equal(found, list[i].wanted);
	}
}

static void take(struct registry_head *h, const char *line)
{
	registry_head_line(h, line, strlen(line));
}

static void test_a_whole_head(void **state)
{
	AUTO_FREE struct registry_head *h = mem_zalloc(1, sizeof(*h));

	(void)state;
	take(h, "HTTP/1.1 100 Continue\r\n");
	take(h, "OCI-Subject: sha256:old\r\n");
	take(h, "\r\n");
	take(h, "HTTP/1.1 201 Created\r\n");
	take(h, "content-type:  application/json ; charset=utf-8 \r\n");
	take(h, "WWW-Authenticate: Basic realm=a\r\n");
	take(h, "www-authenticate: Bearer realm=b\r\n");
	take(h, "Link: </n>; rel=next\r\n");
	take(h, "Range: 0-9\r\n");
	take(h, "OCI-Chunk-Min-Length: 5\r\n");
	take(h, "OCI-Filters-Applied: artifactType\r\n");
	take(h, "Warning: 299 - \"be\x1bware\"\r\n");
	take(h, "Location: /x\r\n");
	take(h, "\r\n");
	assert_int_equal(h->http.status, 201);
	assert_string_equal(h->subject, "");
	assert_string_equal(h->media_type, "application/json");
	assert_string_equal(h->challenges, "Basic realm=a, Bearer realm=b");
	assert_string_equal(h->next, "/n");
	assert_true(h->has_uploaded && h->uploaded == 10);
	assert_int_equal(h->chunk_min, 5);
	assert_true(h->filtered);
	assert_string_equal(h->warning, "");
	assert_string_equal(h->http.location, "/x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_challenges),
		cmocka_unit_test(test_malformed_challenges),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_uploaded),
		cmocka_unit_test(test_a_whole_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
