/* Which entry of which file counts, and what is refused. */
#include "util_test.h"

#include "inputs/auth.h"
#include "inputs/auth_internal.h"
#include "util/limits.h"
#include "util/str.h"

/* "u:p", "u2:p:q" */
#define UP "dTpw"
#define UP2 "dTI6cDpx"

static int read_auth(const char *text, const char *name, struct credential *ret, char **helper,
		     struct err *e)
{
	AUTO(reference) where = {0};

	assert_int_equal(reference_parse(name, &where, e), 0);
	return auth_file_read(text, strlen(text), "auth.json", &where, ret, helper, e);
}

static void expect_user(const char *text, const char *name, const char *user,
			const char *password)
{
	AUTO(credential) c = {0};
	AUTO_FREE char *helper = NULL;
	struct err e = ERR_INIT;

	if (read_auth(text, name, &c, &helper, &e) < 0)
		fail_msg("%s: %s", text, e.message);
	assert_null(helper);
	assert_true(str_same(c.username, user));
	assert_true(str_same(c.password, password));
}

static void expect_refused(const char *text, const char *id)
{
	AUTO(credential) c = {0};
	AUTO_FREE char *helper = NULL;
	struct err e = ERR_INIT;

	if (read_auth(text, "h.example/a/b:t", &c, &helper, &e) == 0)
		fail_msg("'%s' was taken", text);
	assert_string_equal(e.id, id);
	/* What is wrong is told without the secret. */
	assert_null(strstr(e.message, UP));
}

static void expect_helper(const char *text, const char *name, const char *wanted)
{
	AUTO(credential) c = {0};
	AUTO_FREE char *helper = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(read_auth(text, name, &c, &helper, &e), 0);
	assert_true(str_same(helper, wanted));
}

static void test_the_longest_prefix_counts(void **state)
{
	static const char text[] = "{\"auths\":{\"h.example\":{\"auth\":\"" UP "\"},"
				   "\"h.example/a/b\":{\"auth\":\"" UP2 "\"},"
				   "\"h.example/a\":{\"auth\":\"eDp5\"}}}";

	(void)state;
	expect_user(text, "h.example/z:t", "u", "p");
	expect_user(text, "h.example/a/b:t", "u2", "p:q");
	expect_user(text, "h.example/a/b/c:t", "u2", "p:q");
	expect_user(text, "h.example/a/bc:t", "x", "y");
	expect_user(text, "h.example:80/a:t", NULL, NULL);
	expect_user(text, "other.example/a:t", NULL, NULL);
	expect_user("{}", "h.example/a:t", NULL, NULL);
}

static void test_spellings_of_hosts(void **state)
{
	(void)state;
	expect_user("{\"auths\":{\"https://h.example/v1/\":{\"auth\":\"" UP "\"}}}",
		    "h.example/a:t", "u", "p");
	expect_user("{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"" UP "\"}}}",
		    "docker.io/library/a:t", "u", "p");
	expect_user("{\"auths\":{\"h.example\":{\"username\":\"u\",\"password\":\"p\"}}}",
		    "h.example/a:t", "u", "p");
}

static void test_identity_tokens(void **state)
{
	AUTO(credential) c = {0};
	AUTO_FREE char *helper = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(read_auth("{\"auths\":{\"h.example\":{\"auth\":\"" UP
				   "\",\"identitytoken\":\"T\"}}}",
				   "h.example/a:t", &c, &helper, &e),
			 0);
	assert_string_equal(c.identity_token, "T");
	assert_null(c.username);
}

static void test_helpers(void **state)
{
	static const char both[] = "{\"auths\":{\"h.example\":{\"auth\":\"" UP "\"}},"
				   "\"credHelpers\":{\"h.example\":\"one\"},"
				   "\"credsStore\":\"two\"}";

	(void)state;
	expect_helper(both, "h.example/a:t", "one");
	expect_helper(both, "other.example/a:t", "two");
	expect_helper("{\"auths\":{\"h.example\":{}},\"credsStore\":\"two\"}", "h.example/a:t",
		      "two");
	expect_helper("{\"auths\":{\"h.example\":{\"auth\":\"" UP
		      "\"}},\"credsStore\":\"two\"}",
		      "h.example/a:t", NULL);
}

static void test_what_is_refused(void **state)
{
	(void)state;
	expect_refused("{\"auths\":{\"h.example\":{\"auth\":\"" UP "!\"}}}",
		       "registry/auth-file");
	expect_refused("{\"auths\":{\"h.example\":{\"auth\":\"!!!!\"}}}", "registry/auth-file");
	expect_refused("{\"auths\":{\"h.example\":{\"auth\":\"dXA=\"}}}", "registry/auth-file");
	/* A line break could begin another header field. */
	expect_refused("{\"auths\":{\"h.example\":{\"auth\":\"dTpwCg==\"}}}",
		       "registry/auth-file");
	expect_refused("{\"auths\":{\"h.example\":{\"identitytoken\":\"a\\nb\"}}}",
		       "registry/auth-file");
	expect_refused("{\"auths\":{\"h.example\":[]}}", "registry/auth-file");
	expect_refused("{\"credHelpers\":{\"h.example\":\"../x\"}}", "registry/auth-file");
	expect_refused("{\"credsStore\":\"a b\"}", "registry/auth-file");
	expect_refused("{\"auths\":[]}", "json/type");
	expect_refused("not json", "json/syntax");
}

static void test_answers_of_helpers(void **state)
{
	static const char good[] = "{\"ServerURL\":\"h\",\"Username\":\"u\",\"Secret\":\"p\"}";
	static const char token[] = "{\"Username\":\"<token>\",\"Secret\":\"T\"}";
	static const char bad[] = "{\"Username\":\"u\",\"Secret\":\"a\\nb\"}";
	struct err e = ERR_INIT;
	AUTO(credential) a = {0};
	AUTO(credential) b = {0};
	AUTO(credential) c = {0};

	(void)state;
	assert_int_equal(auth_helper_read(good, strlen(good), "x", &a, &e), 0);
	assert_string_equal(a.username, "u");
	assert_string_equal(a.password, "p");
	assert_int_equal(auth_helper_read(token, strlen(token), "x", &b, &e), 0);
	assert_string_equal(b.identity_token, "T");
	assert_int_equal(auth_helper_read(bad, strlen(bad), "x", &c, &e), -1);
	assert_string_equal(e.id, "registry/auth-helper");
}

static void test_which_file_is_read(void **state)
{
	struct scratch *s = *state;
	AUTO_FREE char *home = mem_printf("HOME=%s", s->path);
	AUTO_FREE char *runtime = mem_printf("XDG_RUNTIME_DIR=%s/run", s->path);
	AUTO_FREE char *named = mem_printf("REGISTRY_AUTH_FILE=%s/named.json", s->path);
	const char *const all[] = {home, runtime, named, NULL};
	AUTO(reference) where = {0};
	struct err e = ERR_INIT;

	assert_int_equal(reference_parse("h.example/a:t", &where, &e), 0);
	assert_int_equal(mkdirat(s->fd, ".docker", 0700), 0);
	assert_int_equal(mkdirat(s->fd, "run", 0700), 0);
	assert_int_equal(mkdirat(s->fd, "run/containers", 0700), 0);
	put_file(s->fd, ".docker/config.json",
		 "{\"auths\":{\"h.example\":{\"auth\":\"" UP "\"}}}");
	AUTO(credential) a = {0};

	/* A file that is named must be there. */
	assert_int_equal(auth_find(all, &where, &a, &e), -1);
	put_file(s->fd, "named.json", "{\"auths\":{\"h.example\":{\"auth\":\"eDp5\"}}}");
	AUTO(credential) b = {0};

	assert_int_equal(auth_find(all, &where, &b, &e), 0);
	assert_string_equal(b.username, "x");
	const char *const two[] = {home, runtime, NULL};
	AUTO(credential) c = {0};

	assert_int_equal(auth_find(two, &where, &c, &e), 0);
	assert_string_equal(c.username, "u");
	put_file(s->fd, "run/containers/auth.json",
		 "{\"auths\":{\"h.example\":{\"auth\":\"" UP2 "\"}}}");
	AUTO(credential) d = {0};

	assert_int_equal(auth_find(two, &where, &d, &e), 0);
	assert_string_equal(d.username, "u2");
	AUTO(credential) none = {0};

	assert_int_equal(auth_find(NULL, &where, &none, &e), 0);
	assert_null(none.username);
}

static void test_limit_of_the_file(void **state)
{
	struct scratch *s = *state;
	AUTO_FREE char *named = mem_printf("REGISTRY_AUTH_FILE=%s/big.json", s->path);
	const char *const environment[] = {named, NULL};
	AUTO_FREE char *text = mem_alloc(LIMIT_AUTH_FILE_BYTES + 2);
	AUTO(reference) where = {0};
	AUTO(credential) c = {0};
	struct err e = ERR_INIT;

	assert_int_equal(reference_parse("h.example/a:t", &where, &e), 0);
	memset(text, ' ', LIMIT_AUTH_FILE_BYTES + 1);
	memcpy(text, "{}", 2);
	text[LIMIT_AUTH_FILE_BYTES] = '\0';
	put_file(s->fd, "big.json", text);
	assert_int_equal(auth_find(environment, &where, &c, &e), 0);
	text[LIMIT_AUTH_FILE_BYTES] = ' ';
	text[LIMIT_AUTH_FILE_BYTES + 1] = '\0';
	put_file(s->fd, "big.json", text);
	assert_int_equal(auth_find(environment, &where, &c, &e), -1);
	assert_string_equal(e.id, "input/too-big");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_longest_prefix_counts),
		cmocka_unit_test(test_spellings_of_hosts),
		cmocka_unit_test(test_identity_tokens),
		cmocka_unit_test(test_helpers),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_answers_of_helpers),
		scratch_test(test_which_file_is_read),
		scratch_test(test_limit_of_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
