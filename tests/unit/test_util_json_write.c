/*
 * Canonical JSON out: RFC 8785's rules by example, two whole statements whose digests were made
 * by another implementation, and what the recipe profile refuses.
 */
#include "util_test.h"

#include "util/digest.h"
#include "util/json_read.h"
#include "util/json_write.h"
#include "util/limits.h"

static const char vsa[] =
	"{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{\"inputAttes"
	"tations\":[{\"digest\":{\"sha256\":\"44136fa355b3678a1146ad16f7e8649e94fb4"
	"fc21fe77e8310c060f61caaff8a\"},\"uri\":\"https://example.org/p.json\"}],\""
	"policy\":{\"digest\":{\"sha256\":\"44136fa355b3678a1146ad16f7e8649e94fb4fc"
	"21fe77e8310c060f61caaff8a\"},\"uri\":\"https://example.org/policy/p1\"},\""
	"resourceUri\":\"registry.example.org/app\",\"slsaVersion\":\"1.2\",\"timeV"
	"erified\":\"2024-01-01T00:00:00Z\",\"verificationResult\":\"PASSED\",\"ver"
	"ifiedLevels\":[\"SLSA_BUILD_LEVEL_1\",\"STACKER_REPRODUCED_BITWISE\"],\"ve"
	"rifier\":{\"id\":\"https://example.org/verifiers/rebuild@v1\",\"version\":"
	"{\"stacker\":\"0.1.0\"}}},\"predicateType\":\"https://slsa.dev/verificatio"
	"n_summary/v1\",\"subject\":[{\"digest\":{\"sha256\":\"9a28abb62774ae4e8edb"
	"e2dd4c49ffcd45a6a848952a5eccc6a49f3f0fc1e2f3\"},\"name\":\"app\"}]}";
static const char provenance[] =
	"{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{\"buildDefin"
	"ition\":{\"buildType\":\"https://example.org/buildtypes/hermetic-image/v1"
	"\",\"externalParameters\":{\"args\":{},\"lock\":{\"digest\":{\"sha256\":\""
	"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"}},\"pla"
	"tform\":\"linux/amd64\",\"recipe\":{\"digest\":{\"sha256\":\"44136fa355b36"
	"78a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"},\"path\":\"app.yaml"
	"\"},\"target\":\"app\"},\"internalParameters\":{\"formatEpoch\":\"1\",\"so"
	"urceDateEpoch\":\"1704067200\"},\"resolvedDependencies\":[{\"annotations\""
	":{\"stacker_kind\":\"http\",\"stacker_size\":\"1017723\"},\"digest\":{\"sh"
	"a256\":\"cf04af86dc085268c5f4470fbae49b18afbc221b78096aab842d934a76bad0ab"
	"\"},\"name\":\"hello-2.12.tar.gz\",\"uri\":\"https://ftp.example.org/hello"
	"-2.12.tar.gz\"}]},\"runDetails\":{\"builder\":{\"id\":\"https://example.or"
	"g/builders/local-hermetic@v1\",\"version\":{\"stacker\":\"0.1.0\"}},\"meta"
	"data\":{\"finishedOn\":\"2024-01-01T00:01:00Z\",\"invocationId\":\"0b7c7e1"
	"e-0000-4000-8000-000000000000\",\"startedOn\":\"2024-01-01T00:00:00Z\"}}},"
	"\"predicateType\":\"https://slsa.dev/provenance/v1\",\"subject\":[{\"diges"
	"t\":{\"sha256\":\"9a28abb62774ae4e8edbe2dd4c49ffcd45a6a848952a5eccc6a49f3f"
	"0fc1e2f3\"},\"name\":\"app\"}]}";

static char *written(const json_t *value)
{
	AUTO(buf) b = BUF_INIT(1 << 20);

	json_write(value, &b);
	assert_int_equal(buf_check(&b, "test", NULL), 0);
	return buf_take(&b);
}

/* Parses, writes, compares. */
static void expect_canonical(const char *text, const char *wanted)
{
	AUTO(json_doc) doc = {NULL};
	struct err e = ERR_INIT;

	if (json_read(text, strlen(text), 1 << 20, "test", &doc, &e) < 0)
		fail_msg("%s: %s", text, e.message);
	AUTO_FREE char *out = written(doc.root);
	assert_string_equal(out, wanted);
}

static void test_plain_values(void **state)
{
	(void)state;
	expect_canonical(" { \"b\" : [ 1 , true , false , null ] , \"a\" : { } } ",
			 "{\"a\":{},\"b\":[1,true,false,null]}");
	expect_canonical("[]", "[]");
	expect_canonical("[-9007199254740991,9007199254740991,0]",
			 "[-9007199254740991,9007199254740991,0]");
}

static void test_escapes(void **state)
{
	(void)state;
	/* The vector of RFC 8785's author: NUL cannot be read here, so it begins at BEL. */
	expect_canonical("[\"\\u0007\\b\\t\\n\\f\\r\\\"\\\\\\/\\u007f\\u2028\"]",
			 "[\"\\u0007\\b\\t\\n\\f\\r\\\"\\\\/\x7f\xe2\x80\xa8\"]");
	expect_canonical("[\"\\u001F\\u20AC\\u00e9\"]", "[\"\\u001f\xe2\x82\xac\xc3\xa9\"]");
	expect_canonical("[\"A\\u030a\"]", "[\"A\xcc\x8a\"]"); /* not normalised */
	expect_canonical("{\"\\n\":\"<script>&'\"}", "{\"\\n\":\"<script>&'\"}");
	json_t *nul = json_stringn("\0", 1);
	AUTO_FREE char *out = written(nul);
	assert_string_equal(out, "\"\\u0000\"");
	json_decref(nul);
}

static void test_order_is_of_utf16(void **state)
{
	(void)state;
	/* U+1F602 is d83d de02 in UTF-16, so it comes before U+FB33; in UTF-8 it does not. "A"
	 * and "a" beside one another are only read in a map of names. */
	expect_canonical("{\"labels\":{\"\\ufb33\":1,\"\\ud83d\\ude02\":2,\"\\u20ac\":3,"
			 "\"\\r\":4,\"a\":6,\"A\":5,\"\":7}}",
			 "{\"labels\":{\"\":7,\"\\r\":4,\"A\":5,\"a\":6,\"\xe2\x82\xac\":3,"
			 "\"\xf0\x9f\x98\x82\":2,\"\xef\xac\xb3\":1}}");
	expect_canonical("{\"ab\":1,\"a\":2,\"b\":3,\"a\\ue000\":4,\"a\\ud7ff\":5,"
			 "\"a\\udbff\\udfff\":6}",
			 "{\"a\":2,\"ab\":1,\"a\xed\x9f\xbf\":5,\"a\xf4\x8f\xbf\xbf\":6,"
			 "\"a\xee\x80\x80\":4,\"b\":3}");
	/* Members of equal lead bytes differ in the bytes after it only. */
	expect_canonical("{\"\\uff01\":1,\"\\uf000\":2}",
			 "{\"\xef\x80\x80\":2,\"\xef\xbc\x81\":1}");
}

static void expect_fixpoint(const char *text, const char *hex)
{
	AUTO(json_doc) doc = {NULL};
	AUTO(buf) b = BUF_INIT(1 << 20);
	char out[DIGEST_TEXT_MAX];
	struct digest d;

	assert_int_equal(json_read(text, strlen(text), 1 << 20, "test", &doc, NULL), 0);
	json_write(doc.root, &b);
	assert_string_equal(buf_text(&b), text);
	digest_bytes(DIGEST_SHA256, b.data, b.len, &d);
	digest_format_hex(&d, out);
	assert_string_equal(out, hex);
}

static void test_statements_of_others(void **state)
{
	(void)state;
	expect_fixpoint(vsa,
			"17b7ec1e2d02e7027dae86704ac350ee334ba5e918a7776afefc7fbc5eed450e");
	expect_fixpoint(provenance,
			"54701a9cec5ed9495ea4d2c361c5b92b684181522feca569fe97f51bcbb2d28d");
	expect_fixpoint("{}",
			"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
}

static void test_order_of_insertion_does_not_matter(void **state)
{
	json_t *there = json_object();
	json_t *back = json_object();
	char key[16];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		json_object_set_new(there, key, json_integer(i));
		snprintf(key, sizeof(key), "k%d", 999 - i);
		json_object_set_new(back, key, json_integer(999 - i));
	}
	AUTO_FREE char *a = written(there);
	AUTO_FREE char *b = written(back);
	assert_string_equal(a, b);
	json_decref(there);
	json_decref(back);
}

static void test_what_cannot_be_canonical_is_a_bug(void **state)
{
	json_t *real = json_real(1.5);
	json_t *big = json_integer(INT64_C(1) << 53);
	json_t *small = json_integer(-(INT64_C(1) << 53));

	(void)state;
	expect_bug(written(real));
	expect_bug(written(big));
	expect_bug(written(small));
	json_decref(real);
	json_decref(big);
	json_decref(small);
}

static void expect_profile(json_t *value, const char *wanted)
{
	AUTO(buf) b = BUF_INIT(1000);
	struct err e = ERR_INIT;

	assert_non_null(value);
	if (json_write_profile(value, &b, &e) < 0)
		fail_msg("%s refused: %s", wanted, e.message);
	assert_string_equal(buf_text(&b), wanted);
	json_decref(value);
}

static void expect_profile_refused(json_t *value, const char *key)
{
	AUTO(buf) b = BUF_INIT(1000);
	struct err e = ERR_INIT;

	assert_non_null(value);
	assert_int_equal(json_write_profile(value, &b, &e), -1);
	expect_err(&e, ERR_INPUT, "json/profile");
	assert_non_null(strstr(e.message, key));
	assert_int_equal(b.len, 0);
	json_decref(value);
}

static void test_profile(void **state)
{
	(void)state;
	expect_profile(json_pack("{s:i,s:[s]}", "org.example/a:b@c+d-e_F9", 1, "a", "\xc3\xa9"),
		       "{\"a\":[\"\xc3\xa9\"],\"org.example/a:b@c+d-e_F9\":1}");
	expect_profile_refused(json_pack("{s:{s:n}}", "a", "inner", 0), "'inner'");
	expect_profile_refused(json_pack("{s:[n]}", "list"), "'list'");
	expect_profile_refused(json_pack("{s:i}", "", 1), "''");
	expect_profile_refused(json_pack("{s:i}", "a b", 1), "'a b'");
	expect_profile_refused(json_pack("{s:i}", "\xc3\xa9", 1), "'\xc3\xa9'");
	expect_profile_refused(json_pack("{s:f}", "real", 1.0), "'real'");
	expect_profile_refused(json_pack("{s:I}", "big", INT64_C(1) << 53), "'big'");
	expect_profile_refused(json_pack("{s:o}", "nul", json_stringn("a\0b", 3)), "'nul'");
}

/* `depth` arrays within one another. */
static json_t *nested(unsigned depth)
{
	json_t *value = json_array();

	for (unsigned i = 1; i < depth; i++) {
		json_t *outer = json_array();

		json_array_append_new(outer, value);
		value = outer;
	}
	return value;
}

static void test_profile_limits_at_the_edge(void **state)
{
	AUTO(buf) text = BUF_INIT(9);
	json_t *value = json_pack("{s:[i]}", "a", 10);
	struct err e = ERR_INIT;
	json_t *deepest = nested(64);
	AUTO(buf) b = BUF_INIT(1000);

	(void)state;
	assert_int_equal(json_write_profile(deepest, &b, &e), 0);
	json_decref(deepest);
	expect_profile_refused(nested(65), "64 levels");
	assert_int_equal(json_write_profile(value, &text, &e),
			 -1); /* {"a":[10]} has 10 bytes */
	expect_err(&e, ERR_INPUT, "input/too-big");
	text.max_bytes = 10;
	buf_clear(&text);
	assert_int_equal(json_write_profile(value, &text, &e), 0);
	json_decref(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_values),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_order_is_of_utf16),
		cmocka_unit_test(test_statements_of_others),
		cmocka_unit_test(test_order_of_insertion_does_not_matter),
		cmocka_unit_test(test_what_cannot_be_canonical_is_a_bug),
		cmocka_unit_test(test_profile),
		cmocka_unit_test(test_profile_limits_at_the_edge),
	};

	return cmocka_run_group_tests_name("util/json_write", tests, NULL, NULL);
}
