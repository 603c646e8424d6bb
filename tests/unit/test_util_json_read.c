/* Strict JSON in: each thing refused by its id, each limit at its edge, and the getters. */
#include "util_test.h"

#include "util/json_read.h"
#include "util/limits.h"

enum { MAX = 4 << 20 };

static void expect_ok(const char *text)
{
	AUTO(json_doc) doc = {NULL};
	struct err e = ERR_INIT;

	if (json_read(text, strlen(text), MAX, "document", &doc, &e) < 0)
		fail_msg("%s refused: %s", text, e.message);
	assert_non_null(doc.root);
}

static void expect_bytes_refused(const char *text, size_t len, const char *id)
{
	AUTO(json_doc) doc = {NULL};
	struct err e = ERR_INIT;

	if (json_read(text, len, MAX, "document", &doc, &e) == 0)
		fail_msg("accepted: %.60s", text);
	assert_null(doc.root);
	assert_int_equal(e.code, ERR_INPUT);
	assert_string_equal(e.id, id);
	assert_non_null(strstr(e.message, "document"));
}

static void expect_refused(const char *text, const char *id)
{
	expect_bytes_refused(text, strlen(text), id);
}

static void test_ordinary_documents(void **state)
{
	(void)state;
	expect_ok("{}");
	expect_ok(" [ ] ");
	expect_ok("{\"a\":[1,-1,0,true,false,null,\"\\u00e9\\ud83d\\ude02\\\"\\\\\"]}");
	expect_ok("[9007199254740991,-9007199254740991]");
	expect_ok("[\"1.5e3\",\"[[[[\"]");
	expect_ok("{\"true\":{\"A\":1},\"x\":{\"a\":1}}");
}

static void test_syntax(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"[1,]",
		"{\"a\":1,}",
		"[1 2]",
		"nul",
		"{a:1}",
		"{'a':1}",
		"[1]x",
		"[1][2]",
		"// c\n[]",
		"\xef\xbb\xbf{}",
		"[\"\t\"]",
		"[\"\\x41\"]",
		"[\"a",
		"[\"\\",
		"]",
		"}{",
		"[NaN]",
		"[\"\\ud800\"]",
		"[\"\\udc00\\ud800\"]",
		"[\"\xff\"]",
		"[\"\xed\xa0\x80\"]",
		"[\"\\u0000\"]",
		"{\"a\\u0000b\":1}",
		"[+1]",
		"[Infinity]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		expect_refused(bad[i], "json/syntax");
	expect_bytes_refused("[]\0", 3, "json/syntax");
	expect_bytes_refused("[\"a\0b\"]", 7, "json/syntax");
}

static void test_numbers(void **state)
{
	static const char *const bad[] = {
		"[1.0]",
		"[1.5]",
		"[1e3]",
		"[1E3]",
		"[-0]",
		"[01]",
		"[-]",
		"[-01]",
		"[1.]",
		"[0x10]",
		"[--1]",
		"[9007199254740992]",
		"[-9007199254740992]",
		"[18446744073709551616]",
		"[1e999]",
		"{\"a\":-0.0}",
		"[111111111111111111111111111111111111111111111111111111]"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		/* 0x10 is the number 0 and then garbage. */
		bool garbage = strchr(bad[i], 'x') != NULL;

		expect_refused(bad[i], garbage ? "json/syntax" : "json/number");
	}
}

static void test_keys(void **state)
{
	(void)state;
	expect_refused("{\"a\":1,\"a\":2}", "json/duplicate-key");
	expect_refused("{\"a\":1,\"\\u0061\":2}", "json/duplicate-key");
	expect_refused("{\"digest\":1,\"Digest\":2}", "json/key-collision");
	expect_refused("[{\"x\":{\"layers\":1,\"LAYERS\":2}}]", "json/key-collision");
	/* Go's encoding/json folds U+017F to s and U+212A to k. */
	expect_refused("{\"layers\":1,\"layer\xc5\xbf\":2}", "json/key-collision");
	expect_refused("{\"key\":1,\"\xe2\x84\xaa"
		       "ey\":2}",
		       "json/key-collision");
	expect_ok("{\"\xc3\xa9\":1,\"\xc3\x89\":2}");
	expect_ok("{\"a\":{\"b\":1},\"c\":{\"B\":1}}");
	/* Names of the user's choice, one level deep. */
	expect_ok("{\"config\":{\"Labels\":{\"Maintainer\":\"a\",\"maintainer\":\"b\"}}}");
	expect_ok("{\"annotations\":{\"x\":\"a\",\"X\":\"b\"}}");
	expect_refused("{\"annotations\":{\"x\":\"a\",\"x\":\"b\"}}", "json/duplicate-key");
	expect_refused("{\"labels\":[{\"x\":\"a\",\"X\":\"b\"}]}", "json/key-collision");
	expect_refused("{\"labels\":{\"y\":{\"x\":1,\"X\":2}}}", "json/key-collision");
}

/* `depth` arrays within one another. */
static char *nested(size_t depth)
{
	char *text = mem_alloc(2 * depth + 1);

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	text[2 * depth] = '\0';
	return text;
}

static void test_depth_at_the_edge(void **state)
{
	AUTO_FREE char *fits = nested(LIMIT_JSON_DEPTH);
	AUTO_FREE char *deep = nested(LIMIT_JSON_DEPTH + 1);

	(void)state;
	expect_ok(fits);
	expect_refused(deep, "json/too-deep");
	expect_ok("[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
		  "[],[],[],[],[],[],[],[],[]]");
	expect_refused("]]]][[[[", "json/syntax");
}

/* An array of `len` times `item`. */
static char *repeated(const char *item, size_t len)
{
	AUTO(buf) b = BUF_INIT(MAX);

	buf_add_byte(&b, '[');
	for (size_t i = 0; i < len; i++)
		buf_addf(&b, "%s%s", i > 0 ? "," : "", item);
	buf_add_byte(&b, ']');
	return buf_take(&b);
}

static void test_values_at_the_edge(void **state)
{
	AUTO_FREE char *fits = repeated("0", LIMIT_JSON_NODES - 1); /* the array is one, too */
	AUTO_FREE char *many = repeated("0", LIMIT_JSON_NODES);
	AUTO_FREE char *empty = repeated("[ ]", LIMIT_JSON_NODES - 1);
	AUTO_FREE char *pairs = repeated("[1]", LIMIT_JSON_NODES / 2);

	(void)state;
	expect_ok(fits);
	expect_ok(empty);
	expect_refused(many, "json/too-many-values");
	expect_refused(pairs, "json/too-many-values");
}

static void test_size_at_the_edge(void **state)
{
	AUTO(json_doc) doc = {NULL};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(json_read("[1]", 3, 3, "index.json", &doc, &e), 0);
	json_doc_cleanup(&doc);
	assert_int_equal(json_read("[1]", 3, 2, "index.json", &doc, &e), -1);
	expect_err(&e, ERR_INPUT, "json/too-big");
	assert_non_null(strstr(e.message, "index.json"));
}

static void test_bombs_cost_nothing(void **state)
{
	size_t len = 3 << 20;
	AUTO_FREE char *text = mem_alloc(len + 1);

	(void)state;
	alarm(20); /* they take milliseconds */
	memset(text, '[', len);
	expect_bytes_refused(text, len, "json/too-deep");
	for (size_t i = 0; i < len; i++)
		text[i] = "{\"a\":"[i % 5];
	expect_bytes_refused(text, len, "json/too-deep");
	memset(text, ',', len);
	expect_bytes_refused(text, len, "json/too-many-values");
	memset(text, '1', len);
	expect_bytes_refused(text, len, "json/number");
	memset(text, '"', len);
	expect_bytes_refused(text, len, "json/syntax");
	memset(text, '\\', len);
	text[0] = '"';
	expect_bytes_refused(text, len, "json/syntax");
	alarm(0);
}

static void test_required_members(void **state)
{
	static const char text[] =
		"{\"t\":\"x\",\"n\":7,\"neg\":-1,\"o\":{},\"a\":[],\"z\":null}";
	AUTO(json_doc) doc = {NULL};
	struct err e = ERR_INIT;
	const char *string = NULL;
	uint64_t number = 0;
	json_t *value = NULL;

	(void)state;
	assert_int_equal(json_read(text, strlen(text), MAX, "config", &doc, &e), 0);
	assert_int_equal(json_get_text(doc.root, "t", "config", &string, &e), 0);
	assert_string_equal(string, "x");
	assert_int_equal(json_get_u64(doc.root, "n", "config", &number, &e), 0);
	assert_int_equal(number, 7);
	assert_int_equal(json_get_object(doc.root, "o", "config", &value, &e), 0);
	assert_true(json_is_object(value));
	assert_int_equal(json_get_array(doc.root, "a", "config", &value, &e), 0);
	assert_true(json_is_array(value));

	assert_int_equal(json_get_text(doc.root, "absent", "config", &string, &e), -1);
	expect_err(&e, ERR_INPUT, "json/missing");
	assert_string_equal(e.message, "config: member 'absent' is missing");
	assert_int_equal(json_get_text(doc.root, "n", "config", &string, &e), -1);
	expect_err(&e, ERR_INPUT, "json/type");
	assert_int_equal(json_get_u64(doc.root, "neg", "config", &number, &e), -1);
	expect_err(&e, ERR_INPUT, "json/type");
	assert_int_equal(json_get_u64(doc.root, "t", "config", &number, &e), -1);
	assert_int_equal(json_get_object(doc.root, "a", "config", &value, &e), -1);
	assert_int_equal(json_get_array(doc.root, "o", "config", &value, &e), -1);
	assert_int_equal(json_get_object(doc.root, "z", "config", &value, &e), -1);
	expect_err(&e, ERR_INPUT, "json/type");
	/* Unchanged by the failures. */
	assert_string_equal(string, "x");
	assert_int_equal(number, 7);
	assert_true(json_is_array(value));
}

static void test_optional_members(void **state)
{
	static const char text[] = "{\"t\":\"x\",\"o\":{},\"a\":[],\"z\":null}";
	AUTO(json_doc) doc = {NULL};
	struct err e = ERR_INIT;
	const char *string = "before";
	json_t *value;

	(void)state;
	assert_int_equal(json_read(text, strlen(text), MAX, "config", &doc, &e), 0);
	assert_int_equal(json_opt_text(doc.root, "absent", "config", &string, &e), 0);
	assert_null(string);
	assert_int_equal(json_opt_text(doc.root, "z", "config", &string, &e), 0);
	assert_null(string);
	assert_int_equal(json_opt_text(doc.root, "t", "config", &string, &e), 0);
	assert_string_equal(string, "x");
	assert_int_equal(json_opt_text(doc.root, "o", "config", &string, &e), -1);
	expect_err(&e, ERR_INPUT, "json/type");
	assert_int_equal(json_opt_object(doc.root, "absent", "config", &value, &e), 0);
	assert_null(value);
	assert_int_equal(json_opt_object(doc.root, "a", "config", &value, &e), -1);
	assert_int_equal(json_opt_array(doc.root, "a", "config", &value, &e), 0);
	assert_true(json_is_array(value));
	assert_int_equal(json_opt_array(doc.root, "t", "config", &value, &e), -1);
}

static void test_getters_on_what_is_no_object(void **state)
{
	AUTO(json_doc) doc = {NULL};
	struct err e = ERR_INIT;
	const char *string;

	(void)state;
	assert_int_equal(json_read("[]", 2, MAX, "config", &doc, &e), 0);
	assert_int_equal(json_get_text(doc.root, "a", "config", &string, &e), -1);
	expect_err(&e, ERR_INPUT, "json/type");
	assert_int_equal(json_opt_text(doc.root, "a", "config", &string, &e), -1);
	expect_err(&e, ERR_INPUT, "json/type");
	assert_int_equal(json_opt_text(NULL, "a", "config", &string, &e), -1);
	expect_err(&e, ERR_INPUT, "json/type");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary_documents),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_depth_at_the_edge),
		cmocka_unit_test(test_values_at_the_edge),
		cmocka_unit_test(test_size_at_the_edge),
		cmocka_unit_test(test_bombs_cost_nothing),
		cmocka_unit_test(test_required_members),
		cmocka_unit_test(test_optional_members),
		cmocka_unit_test(test_getters_on_what_is_no_object),
	};

	return cmocka_run_group_tests_name("util/json_read", tests, NULL, NULL);
}
