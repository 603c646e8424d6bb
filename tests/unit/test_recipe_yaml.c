/* Strict YAML: what is refused, where, and how fast. */
#include "recipe_fixture.h"

#include <stdio.h>

#include "recipe/yaml.h"
#include "util/buf.h"
#include "util/limits.h"

static struct yaml_document expect_yaml(const char *text)
{
	struct yaml_document d = {0};
	struct err e = ERR_INIT;

	if (yaml_parse(text, strlen(text), "f.yaml", &d, &e) != 0)
		fail_msg("%s: %s [%s]", text, e.message, e.id);
	return d;
}

static struct err expect_refused_bytes(const char *text, size_t len, const char *id)
{
	struct yaml_document d = {0};
	struct err e = ERR_INIT;

	if (yaml_parse(text, len, "f.yaml", &d, &e) == 0)
		fail_msg("accepted: %.80s", text);
	if (strcmp(e.id, id) != 0)
		fail_msg("%.80s: [%s] %s, expected [%s]", text, e.id, e.message, id);
	assert_int_equal(e.code, ERR_RECIPE);
	assert_string_equal(e.file, "f.yaml");
	assert_null(d.root);
	return e;
}

static void expect_bad(const char *text, const char *id, uint32_t line, uint32_t column)
{
	struct err e = expect_refused_bytes(text, strlen(text), id);

	if (e.line != line || e.column != column)
		fail_msg("%s: at %u:%u, expected %u:%u", text, e.line, e.column, line, column);
}

static void test_scalars_keep_their_text(void **state)
{
	(void)state;
	AUTO(yaml_document)
	d = expect_yaml("a: 3.10\nb: 010\nyes: on\nd: 'no'\ne: |\n  x\n  y\nf: ~\n"
			"g:\nh: \"\"\ni: null\n");
	const struct node *root = d.root;

	assert_string_equal(node_get(root, "a")->text, "3.10");
	assert_string_equal(node_get(root, "b")->text, "010");
	assert_string_equal(node_get(root, "yes")->text, "on");
	assert_true(node_get(root, "d")->quoted);
	assert_false(node_get(root, "a")->quoted);
	assert_string_equal(node_get(root, "e")->text, "x\ny\n");
	assert_true(node_is_null(node_get(root, "f")));
	assert_true(node_is_null(node_get(root, "g")));
	assert_false(node_is_null(node_get(root, "h")));
	assert_true(node_is_null(node_get(root, "i")));
	assert_false(node_is_null(node_get(root, "a")));
	assert_false(node_is_null(root));
	assert_null(node_get(root, "z"));
}

static void test_positions_count_characters(void **state)
{
	(void)state;
	AUTO(yaml_document) d = expect_yaml("a:\n  - \xc3\xa9: x\n  - [b,  c]\n");
	const struct node *list = node_get(d.root, "a");
	const struct node *x = node_get(list->items[0], "\xc3\xa9");

	assert_int_equal(x->pos.line, 2);
	assert_int_equal(x->pos.column, 8);
	assert_int_equal(list->items[1]->items[1]->pos.column, 10);
	assert_string_equal(x->pos.file, "f.yaml");
	assert_ptr_equal(x->pos.file, d.file);
}

static void test_empty_documents_have_no_root(void **state)
{
	(void)state;
	AUTO(yaml_document) nothing = expect_yaml("");
	AUTO(yaml_document) comment = expect_yaml("# a\n\n");

	assert_null(nothing.root);
	assert_null(comment.root);
}

static void test_one_document_may_be_framed(void **state)
{
	(void)state;
	AUTO(yaml_document) d = expect_yaml("---\r\na: b\r\n...\r\n");

	assert_string_equal(node_get(d.root, "a")->text, "b");
}

static void test_refused_constructs(void **state)
{
	(void)state;
	expect_bad("a: 1\nb: 2\na: 3\n", "yaml/duplicate-key", 3, 1);
	expect_bad("x: {a: 1, \"a\": 2}\n", "yaml/duplicate-key", 1, 11);
	expect_bad("x: {\"\\x61\": 1, a: 2, b: 1, b: 2}", "yaml/duplicate-key", 1, 16);
	expect_bad("a: &x 1\n", "yaml/anchor", 1, 4);
	expect_bad("a: &x [1]\n", "yaml/anchor", 1, 4);
	expect_bad("&x a: 1\n", "yaml/anchor", 1, 1);
	expect_bad("a: &x {b: 1}\n", "yaml/anchor", 1, 4);
	expect_bad("a: *x\n", "yaml/anchor", 1, 4);
	expect_bad("a: !!str 1\n", "yaml/tag", 1, 4);
	expect_bad("a: !x {}\n", "yaml/tag", 1, 4);
	expect_bad("a: !!python/object [1]\n", "yaml/tag", 1, 4);
	expect_bad("\xc3\xa9: b\na: ! 1\n", "yaml/tag", 2, 4);
	expect_bad("a: ! 'x'\n", "yaml/tag", 1, 4);
	expect_bad("a: ! []\n", "yaml/tag", 1, 4);
	expect_bad("a:\n  <<: {b: 1}\n", "yaml/merge-key", 2, 3);
	expect_bad("%YAML 1.1\n---\na: 1\n", "yaml/directive", 1, 1);
	expect_bad("%TAG ! !x\n---\na: 1\n", "yaml/directive", 1, 1);
	expect_bad("a: 1\n---\nb: 2\n", "yaml/several-documents", 2, 1);
	expect_bad("a: 1\n...\n---\nb: 1\n", "yaml/several-documents", 3, 1);
	expect_bad("? [a]\n: b\n", "yaml/complex-key", 1, 3);
	expect_bad("{{a: b}: c}\n", "yaml/complex-key", 1, 2);
	expect_bad("a: \"x\\0y\"\n", "yaml/control-character", 1, 4);
	expect_bad("a: [1\n", "yaml/syntax", 2, 1);
}

static void test_text_beginning_with_bang_is_no_tag(void **state)
{
	(void)state;
	AUTO(yaml_document)
	d = expect_yaml("a: '! x'\nb: x ! y\nc: \"\"\nd:\n  - x\n  -\n  - '!'\n");

	assert_string_equal(node_get(d.root, "a")->text, "! x");
	assert_string_equal(node_get(d.root, "b")->text, "x ! y");
	assert_int_equal(node_get(d.root, "d")->len, 3);
}

static void test_tabs_get_a_hint(void **state)
{
	static const char text[] = "a:\n\tb: c\n";

	(void)state;
	struct err e = expect_refused_bytes(text, strlen(text), "yaml/syntax");

	assert_int_equal(e.line, 2);
	assert_non_null(strstr(e.hint, "spaces"));
}

static void test_encoding(void **state)
{
	(void)state;
	expect_bad("\xef\xbb\xbf"
		   "a: b\n",
		   "yaml/encoding", 1, 1);
	expect_bad("a: b\nc: \xff\n", "yaml/encoding", 2, 1);
	expect_bad("a: \xed\xa0\x80", "yaml/encoding", 1, 1);
	expect_bad("\xff\xfe"
		   "a",
		   "yaml/encoding", 1, 1);
	expect_bad("a: \"\x01\"", "yaml/control-character", 1, 5);
	expect_bad("a: b\rc: d\n", "yaml/control-character", 1, 5);
	expect_bad("a: \x7f", "yaml/control-character", 1, 4);
	expect_bad("a: \xc2\x85", "yaml/control-character", 1, 4);
	expect_bad("a: \xc3\xa9\xe2\x80\xa8", "yaml/control-character", 1, 5);
	expect_bad("a: x\xef\xbb\xbf", "yaml/control-character", 1, 5);
	expect_refused_bytes("a: \0b", 5, "yaml/control-character");
	AUTO(yaml_document) d = expect_yaml("a: \xc2\xa0\xe2\x80\x83\xf0\x9f\x98\x82\n");

	assert_string_equal(node_get(d.root, "a")->text,
			    "\xc2\xa0\xe2\x80\x83\xf0\x9f\x98\x82");
}

static void test_depth_limit(void **state)
{
	AUTO(buf) b = BUF_INIT(4096);

	(void)state;
	for (int i = 0; i < LIMIT_YAML_DEPTH; i++)
		buf_add_byte(&b, '[');
	for (int i = 0; i < LIMIT_YAML_DEPTH; i++)
		buf_add_byte(&b, ']');
	AUTO(yaml_document) d = expect_yaml(buf_text(&b));

	assert_non_null(d.root);
	buf_clear(&b);
	for (int i = 0; i <= LIMIT_YAML_DEPTH; i++)
		buf_add_byte(&b, '[');
	for (int i = 0; i <= LIMIT_YAML_DEPTH; i++)
		buf_add_byte(&b, ']');
	expect_bad(buf_text(&b), "yaml/too-deep", 1, LIMIT_YAML_DEPTH + 1);
}

static void test_size_limit(void **state)
{
	AUTO_FREE char *text = mem_alloc(LIMIT_STACKERFILE_BYTES + 1);
	AUTO(yaml_document) d = {0};
	struct err e = ERR_INIT;

	(void)state;
	memset(text, 'a', LIMIT_STACKERFILE_BYTES + 1);
	assert_int_equal(yaml_parse(text, LIMIT_STACKERFILE_BYTES, "f.yaml", &d, &e), 0);
	expect_refused_bytes(text, LIMIT_STACKERFILE_BYTES + 1, "yaml/too-big");
}

/* The list itself is a node too. */
static void test_node_limit(void **state)
{
	AUTO(buf) b = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	AUTO(yaml_document) d = {0};
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 1; i < LIMIT_JSON_NODES; i++)
		buf_add_c(&b, "- a\n");
	assert_int_equal(yaml_parse(b.data, b.len, "f.yaml", &d, &e), 0);
	assert_int_equal(d.root->len, LIMIT_JSON_NODES - 1);
	buf_add_c(&b, "- a\n");
	expect_refused_bytes(b.data, b.len, "yaml/too-many-nodes");
}

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* 1 MiB: `before` once, then `unit` over and over; none of them is a stackerfile. The bound is
 * loose enough for sanitizers and a busy machine; the quadratic cases it is there for take
 * seconds to minutes. */
static double expect_fast(const char *before, const char *unit)
{
	enum { BOUND_MS = 1000 };
	AUTO(buf) b = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	AUTO(stackerfile) s = {0};
	struct err e = ERR_INIT;

	buf_add_c(&b, before);
	while (b.len + strlen(unit) <= LIMIT_STACKERFILE_BYTES)
		buf_add_c(&b, unit);
	double start = cpu_ms();
	int rc = recipe_parse(b.data, b.len, &s, &e);
	double took = cpu_ms() - start;

	assert_int_equal(rc, -1);

	if (took > BOUND_MS)
		fail_msg("1 MiB of '%s' after '%s' took %.0f ms", unit, before, took);
	return took;
}

#define DEEP "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["

static void test_hostile_input_is_fast(void **state)
{
	static const char *const cases[][2] = {
		{"", "["},
		{"", "{"},
		{"", "[\n"},
		{"", "- "},
		{"", "? "},
		{"", "- ? "},
		{"", "{a: "},
		{"", "[a, "},
		{"", "a:\n "},
		{"", " "},
		{"", "\n"},
		{"", "\t"},
		{"", "a"},
		{"", "a "},
		{"", "a\n"},
		{"a: ", "b\n  "},
		{"", "a: b\n"},
		{"", "- |\n"},
		{"", "- >\n\n"},
		{"", "--- a\n"},
		{"", "---\n"},
		{"", "#\n"},
		{"", "!a "},
		{"", "&a "},
		{"", "*a "},
		{"", "%a\n"},
		{"[", "a,"},
		{"[", "{},"},
		{"[", "a\n,"},
		{DEEP, "a,"},
		{DEEP, "[a],"},
		{"{", "a: b,"},
		{"{", "? a,"},
		{"a: |\n", " \n"},
		{"a: |9\n", "\n"},
		{"a: >\n", "\n"},
		{"a: \"", "\\x41"},
		{"a: '", "a\n"},
		{"a: '", "\n"},
		{"a:\n", "  a\n"},
		{"a: ", "\xc3\xa9"},
		{"", "${{A}}"},
		{"", "}}"},
		{"a: \xff", "\n"},
		{"a: \x01", "x"},
		{"", "a: [b,c,d]\n"},
		{"a: {from: {type: scratch}, cmd: ", "x "},
		{"a: {from: {type: scratch}, imports: [", "x, "},
		{"a: {from: {type: scratch}, run: [", "x, "},
	};

	double slowest = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		double took = expect_fast(cases[i][0], cases[i][1]);

		slowest = took > slowest ? took : slowest;
	}
	print_message("# slowest of %zu hostile files: %.0f ms\n", ARRAY_LEN(cases), slowest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalars_keep_their_text),
		cmocka_unit_test(test_positions_count_characters),
		cmocka_unit_test(test_empty_documents_have_no_root),
		cmocka_unit_test(test_one_document_may_be_framed),
		cmocka_unit_test(test_refused_constructs),
		cmocka_unit_test(test_text_beginning_with_bang_is_no_tag),
		cmocka_unit_test(test_tabs_get_a_hint),
		cmocka_unit_test(test_encoding),
		cmocka_unit_test(test_depth_limit),
		cmocka_unit_test(test_size_limit),
		cmocka_unit_test(test_node_limit),
		cmocka_unit_test(test_hostile_input_is_fast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
