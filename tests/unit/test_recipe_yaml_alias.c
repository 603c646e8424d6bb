/* Anchors and aliases, where they are allowed: what they become, and what they may cost. */
#include "recipe_fixture.h"

#include <time.h>

#include "recipe/yaml.h"
#include "util/buf.h"
#include "util/limits.h"
#include "util/str.h"

static int parse(const char *text, struct yaml_document *ret, struct err *e)
{
	const struct yaml_source source = {
		.text = text, .len = strlen(text), .file = "f.yaml", .aliases = true};

	return yaml_parse_source(&source, ret, e);
}

static struct yaml_document expect_yaml(const char *text)
{
	struct yaml_document d = {0};
	struct err e = ERR_INIT;

	if (parse(text, &d, &e) != 0)
		fail_msg("%s: %s [%s]", text, e.message, e.id);
	return d;
}

static struct err expect_bad(const char *text, const char *id)
{
	struct yaml_document d = {0};
	struct err e = ERR_INIT;

	if (parse(text, &d, &e) == 0)
		fail_msg("accepted: %.80s", text);
	if (strcmp(e.id, id) != 0)
		fail_msg("%.80s: [%s] %s, expected [%s]", text, e.id, e.message, id);
	assert_null(d.root);
	return e;
}

static void test_an_alias_is_a_copy(void **state)
{
	(void)state;
	AUTO(yaml_document)
	d = expect_yaml(
		"a: &x [1, {k: '2'}]\nb: *x\nc: &y text\nd: [*y, *x]\n&z e: *y\nh: {*z : 1}\n"
		"f: &n\ng: *n\n");
	const struct node *a = node_get(d.root, "a");
	const struct node *b = node_get(d.root, "b");

	assert_ptr_not_equal(a, b);
	assert_int_equal(b->kind, NODE_SEQUENCE);
	assert_string_equal(b->items[0]->text, "1");
	assert_string_equal(node_get(b->items[1], "k")->text, "2");
	assert_true(node_get(b->items[1], "k")->quoted);
	assert_int_equal(b->items[0]->pos.line, 1); /* where the text stands */
	assert_string_equal(node_get(d.root, "d")->items[0]->text, "text");
	assert_string_equal(node_get(d.root, "e")->text, "text");
	assert_string_equal(node_get(node_get(d.root, "h"), "e")->text, "1");
	assert_true(node_is_null(node_get(d.root, "g")));
}

/* A key written by an alias is a key as any other, and so may be there twice. */
static void test_keys_by_alias_are_checked(void **state)
{
	(void)state;
	(void)expect_bad("&z e: 1\n*z : 2\n", "yaml/duplicate-key");
	(void)expect_bad("a: &z [1]\n*z : 2\n", "yaml/complex-key");
	(void)expect_bad("a: &z <<\nb: {*z : {c: d}}\n", "yaml/merge-key");
	(void)expect_bad("a: &z {b: c}\nd: {<<: *z}\n", "yaml/merge-key");
}

static void test_the_latest_anchor_counts(void **state)
{
	(void)state;
	AUTO(yaml_document) d = expect_yaml("a: &x 1\nb: *x\nc: &x 2\nd: *x\n");

	assert_string_equal(node_get(d.root, "b")->text, "1");
	assert_string_equal(node_get(d.root, "d")->text, "2");
}

static void test_aliases_that_stand_for_nothing(void **state)
{
	(void)state;
	struct err e = expect_bad("a: *x\nb: &x 1\n", "yaml/unknown-alias");

	assert_int_equal(e.line, 1);
	assert_int_equal(e.column, 4);
	assert_non_null(strstr(e.message, "'*x'"));
	e = expect_bad("a: &x [1, *x]\n", "yaml/alias-cycle");
	assert_int_equal(e.column, 11);
	(void)expect_bad("a: &x {b: [{c: *x}]}\n", "yaml/alias-cycle");
	(void)expect_bad("&x a: &x {b: *x}\n", "yaml/alias-cycle");
}

/* `! text` would keep a text from being null; no tag hides behind an anchor. */
static void test_tags_stay_refused(void **state)
{
	(void)state;
	(void)expect_bad("a: &x !!str 1\n", "yaml/tag");
	(void)expect_bad("a: !!str &x 1\n", "yaml/tag");
	(void)expect_bad("a: &x ! null\n", "yaml/tag");
	(void)expect_bad("a: ! &x null\n", "yaml/tag");
	(void)expect_bad("a: &x # why\n  ! null\n", "yaml/tag");
	AUTO(yaml_document) d = expect_yaml("a: &x 1!\nb: &y '! x'\nc: &z x!y\n");

	assert_string_equal(node_get(d.root, "b")->text, "! x");
}

static long elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

static void test_a_bomb_is_bounded(void **state)
{
	(void)state;
	AUTO(buf) text = BUF_INIT(MIB);
	struct timespec begin;

	buf_add_c(&text, "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
	for (int i = 1; i < 10; i++) {
		buf_addf(&text, "a%d: &a%d [", i, i);
		for (int k = 0; k < 9; k++)
			buf_addf(&text, "%s*a%d", k ? ", " : "", i - 1);
		buf_add_c(&text, "]\n");
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	(void)expect_bad(buf_text(&text), "yaml/too-many-aliases");
	assert_true(elapsed_ms(&begin) < 500);
}

static void test_the_limits(void **state)
{
	(void)state;
	AUTO(buf) text = BUF_INIT(2 * MIB);

	/* Values: a list of 99 and itself are 100. */
	buf_add_c(&text, "a: &a [0");
	for (int i = 1; i < 99; i++)
		buf_addf(&text, ",%d", i);
	buf_add_c(&text, "]\nb: [*a");
	for (int i = 1; i < LIMIT_YAML_ALIASED_NODES / 100; i++)
		buf_add_c(&text, ",*a");
	AUTO_FREE char *most = mem_printf("%s]\n", buf_text(&text));
	AUTO_FREE char *more = mem_printf("%s]\nc: &c x\nd: *c", buf_text(&text));
	AUTO(yaml_document) d = expect_yaml(most);
	(void)expect_bad(more, "yaml/too-many-aliases");

	/* Bytes. */
	AUTO_FREE char *long_text = mem_zalloc(LIMIT_YAML_ALIASED_BYTES / 2 + 1, 1);
	memset(long_text, 'x', LIMIT_YAML_ALIASED_BYTES / 2);
	AUTO_FREE char *most_bytes = mem_printf("a: &a %s\nb: *a\nc: *a\n", long_text);
	AUTO_FREE char *more_bytes = mem_printf("a: &a %s\nb: *a\nc: *a\nd: *a\n", long_text);
	AUTO(yaml_document) d2 = expect_yaml(most_bytes);
	(void)expect_bad(more_bytes, "yaml/too-many-aliases");

	/* Anchors. */
	AUTO(buf) anchors = BUF_INIT(MIB);
	for (int i = 0; i < LIMIT_YAML_ANCHORS; i++)
		buf_addf(&anchors, "- &a%d x\n", i);
	AUTO(yaml_document) d3 = expect_yaml(buf_text(&anchors));
	buf_add_c(&anchors, "- &one_more x\n");
	(void)expect_bad(buf_text(&anchors), "yaml/too-many-anchors");

	/* Depth: a list of 16 levels, 16 levels deep. */
	char deep[LIMIT_YAML_DEPTH + 2] = "";
	memset(deep, '[', LIMIT_YAML_DEPTH / 2);
	char close[LIMIT_YAML_DEPTH + 2] = "";
	memset(close, ']', LIMIT_YAML_DEPTH / 2);
	AUTO_FREE char *fits =
		mem_printf("[&a %s%s, %.*s*a%.*s]", deep + 1, close + 1, 15, deep, 15, close);
	AUTO_FREE char *too_deep = mem_printf("[&a %s%s, %s[*a]%s]", deep, close, deep, close);
	AUTO(yaml_document) d4 = expect_yaml(fits);
	(void)expect_bad(too_deep, "yaml/too-deep");
}

static void test_a_stackerfile_may_use_them(void **state)
{
	(void)state;
	AUTO(stackerfile)
	s = expect_parses("a:\n  from: &base {type: scratch}\n  environment: &env {A: b}\n"
			  "b:\n  from: *base\n  environment: *env\n");

	assert_int_equal(s.images.len, 2);
	assert_string_equal(map_get(&s.images.items[1].environment, "A"), "b");
	expect_refused("a: &x\n  from: {type: scratch}\nb:\n  <<: *x\n", "yaml/merge-key",
		       "<<");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_alias_is_a_copy),
		cmocka_unit_test(test_keys_by_alias_are_checked),
		cmocka_unit_test(test_the_latest_anchor_counts),
		cmocka_unit_test(test_aliases_that_stand_for_nothing),
		cmocka_unit_test(test_tags_stay_refused),
		cmocka_unit_test(test_a_bomb_is_bounded),
		cmocka_unit_test(test_the_limits),
		cmocka_unit_test(test_a_stackerfile_may_use_them),
	};

	return cmocka_run_group_tests_name("recipe/yaml_alias", tests, NULL, NULL);
}
