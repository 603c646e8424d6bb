/* Names of images in registries. */
#include "util_test.h"

#include "inputs/reference.h"
#include "util/str.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void expect_parsed(const char *text, const char *host, const char *repository,
			  const char *tag, bool has_digest)
{
	AUTO(reference) r = {0};
	struct err e = ERR_INIT;

	if (reference_parse(text, &r, &e) < 0)
		fail_msg("%s: %s", text, e.message);
	assert_string_equal(r.host, host);
	assert_string_equal(r.repository, repository);
	assert_true(str_same(r.tag, tag));
	assert_int_equal(r.digest.alg != DIGEST_NONE, has_digest);
}

static void expect_refused(const char *text, const char *id)
{
	AUTO(reference) r = {0};
	struct err e = ERR_INIT;

	if (reference_parse(text, &r, &e) == 0)
		fail_msg("'%s' was taken", text);
	assert_string_equal(e.id, id);
	assert_null(r.host);
}

static void test_what_names_are_made_of(void **state)
{
	(void)state;
	expect_parsed("docker://h.example/a", "h.example", "a", NULL, false);
	expect_parsed("h.example/a/b:t", "h.example", "a/b", "t", false);
	expect_parsed("localhost/a:1.0-x_y", "localhost", "a", "1.0-x_y", false);
	expect_parsed("localhost:5000/a", "localhost:5000", "a", NULL, false);
	expect_parsed("H.Example:80/a__b/c.d/e---f", "h.example:80", "a__b/c.d/e---f", NULL,
		      false);
	expect_parsed("[::1]:5000/a:t", "[::1]:5000", "a", "t", false);
	expect_parsed("127.0.0.1:5000/a@sha256:" HEX, "127.0.0.1:5000", "a", NULL, true);
	expect_parsed("h.example/a:t@sha256:" HEX, "h.example", "a", "t", true);
}

static void test_docker_hub(void **state)
{
	(void)state;
	expect_parsed("docker.io/debian:12", "docker.io", "library/debian", "12", false);
	expect_parsed("index.docker.io/a/b", "docker.io", "a/b", NULL, false);
	expect_parsed("registry-1.docker.io/library/x", "docker.io", "library/x", NULL, false);
	expect_refused("debian", "registry/no-host");
	expect_refused("docker://debian:12", "registry/no-host");
	expect_refused("library/debian:12", "registry/no-host");
}

static void test_what_is_refused(void **state)
{
	static const char *const bad[] = {
		"h.example/",
		"h.example/A",
		"h.example/a//b",
		"h.example/a/",
		"h.example/-a",
		"h.example/a-",
		"h.example/a..b",
		"h.example/a___b",
		"h.example/a._b",
		"h.example/../b",
		"h.example/a:",
		"h.example/a:.t",
		"h.example/a:-t",
		"h.example/a:t t",
		"h.example/a@sha256:00",
		"h.example/a@sha1:" HEX,
		"h.example/a@sha512:" HEX HEX,
		"h.example/a@sha256:" HEX "0",
		"h.example/a@",
		"h.example:0/a",
		"h.example:70000/a",
		"h.example:/a",
		"h..example/a",
		"-h.example/a",
		"h_.example/a",
		"user:secret@h.example/a",
		"[::1/a",
		"[zz]/a.b",
		"h.example/a?x",
		"h.example/a b",
		"h.example/\xc3\xa4",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(reference) r = {0};
		struct err e = ERR_INIT;

		if (reference_parse(bad[i], &r, &e) == 0)
			fail_msg("'%s' was taken", bad[i]);
	}
}

static void test_limits_of_length(void **state)
{
	char text[700] = "h.example/";
	size_t start = strlen(text);

	(void)state;
	memset(text + start, 'a', 255);
	text[start + 255] = '\0';
	AUTO(reference) r = {0};
	struct err e = ERR_INIT;

	assert_int_equal(reference_parse(text, &r, &e), 0);
	text[start + 255] = 'a';
	text[start + 256] = '\0';
	expect_refused(text, "registry/reference");
	memset(text + start, 'a', 600);
	text[start + 600] = '\0';
	expect_refused(text, "registry/reference");

	char tag[130];

	memset(tag, 't', 129);
	tag[129] = '\0';
	assert_false(reference_is_tag(tag));
	tag[128] = '\0';
	assert_true(reference_is_tag(tag));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_names_are_made_of),
		cmocka_unit_test(test_docker_hub),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_limits_of_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
