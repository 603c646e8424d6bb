/* Build order of images, and what is said when there is none. */
#include "recipe_fixture.h"

#include "util/buf.h"
#include "util/limits.h"

static void expect_order(const char *text, const char *order)
{
	AUTO(stackerfile) s = expect_parses(text);
	AUTO(buf) got = BUF_INIT(4096);

	for (size_t i = 0; i < s.images.len; i++)
		buf_addf(&got, "%s%s", i > 0 ? " " : "", s.images.items[i].name);
	assert_string_equal(buf_text(&got), order);
}

static void test_file_order_stays_where_it_can(void **state)
{
	(void)state;
	expect_order("c: {from: {type: scratch}}\nb: {from: {type: scratch}}\n"
		     "a: {from: {type: built, tag: b}}\n",
		     "c b a");
}

/* Repeated passes: what became ready in this pass counts for those after it in the file. */
static void test_dependencies_come_first(void **state)
{
	(void)state;
	expect_order("a: {from: {type: built, tag: c}}\nb: {from: {type: built, tag: a}}\n"
		     "c: {from: {type: scratch}}\nd: {from: {type: built, tag: c}}\n",
		     "c d a b");
}

static void test_every_kind_of_dependency_counts(void **state)
{
	(void)state;
	expect_order(
		"i: {from: {type: scratch}, imports: ['stacker://z/f', 'stacker://z/g', x]}\n"
		"t: {from: {type: tar, url: 'stacker://i/x.tar'}}\n"
		"z: {from: {type: scratch}}\n",
		"z i t");
}

static void test_missing_images(void **state)
{
	(void)state;
	struct err e =
		expect_refused("base: {from: {type: scratch}}\n"
			       "app:\n  from: {type: built, tag: bsae}\n"
			       "  imports: ['stacker://nowhere/x', 'stacker://base/y']\n",
			       "recipe/unresolved", "couldn't resolve some dependencies");

	assert_non_null(strstr(e.message,
			       "couldn't find dependencies for app: nowhere, base layer bsae"));
	assert_null(strstr(e.message, ", base,"));
	assert_non_null(strstr(e.hint, "the stackerfile defines 'base', 'app'"));
	assert_int_equal(e.line, 2);
	assert_int_equal(e.column, 1);
	struct err far = expect_refused(
		"a: {from: {type: built, tag: zzzzzzz}}\nb: {from: {type: scratch}}\n",
		"recipe/unresolved", "base layer zzzzzzz");

	assert_non_null(strstr(far.hint, "the stackerfile defines 'a', 'b'"));
	struct err near =
		expect_refused("base: {from: {type: scratch}}\n"
			       "app: {from: {type: built, tag: bsae}}\n"
			       "more: {from: {type: tar, url: 'stacker://gone/x'}}\n",
			       "recipe/unresolved", "for app: base layer bsae; more: gone");

	assert_string_equal(near.hint, "did you mean 'base'?");
	char name[1024] = "";

	memset(name, 'n', sizeof(name) - 1);
	AUTO_FREE char *text = mem_printf("a: {from: {type: built, tag: %s}}", name);

	expect_refused(text, "recipe/unresolved", "base layer nnnn");
}

static void test_cycles_are_shown(void **state)
{
	(void)state;
	struct err e = expect_refused(
		"x: {from: {type: built, tag: a}}\n"
		"ok: {from: {type: scratch}}\n"
		"a: {from: {type: scratch}, imports: ['stacker://ok/x', 'stacker://b/x']}\n"
		"b: {from: {type: tar, url: 'stacker://c/x'}}\n"
		"c: {from: {type: built, tag: a}}\n",
		"recipe/cycle", "a -> b -> c -> a");

	assert_non_null(strstr(e.message, "couldn't resolve some dependencies"));
	assert_null(strstr(e.message, "x -> "));
	assert_int_equal(e.line, 3);
	expect_refused("a: {from: {type: built, tag: a}}\n", "recipe/cycle", "a -> a");
	expect_refused("a: {from: {type: scratch}, imports: ['stacker://a/x']}\n",
		       "recipe/cycle", "a -> a");
}

static void test_long_cycles_are_cut_short(void **state)
{
	AUTO(buf) b = BUF_INIT(LIMIT_STACKERFILE_BYTES);

	(void)state;
	for (int i = 0; i < 100; i++)
		buf_addf(&b, "i%d: {from: {type: built, tag: i%d}}\n", i, (i + 1) % 100);
	struct err e = expect_refused(buf_text(&b), "recipe/cycle", "i0 -> i1 -> ");

	assert_non_null(strstr(e.message, " -> ... -> i0"));
}

/* 40 deep, 13 wide, each image needing three of the level below, written top down. */
static void test_deep_graphs(void **state)
{
	enum { DEEP = 40, WIDE = 13 };
	AUTO(buf) b = BUF_INIT(LIMIT_STACKERFILE_BYTES);

	(void)state;
	for (int d = DEEP - 1; d >= 0; d--) {
		for (int w = 0; w < WIDE; w++) {
			if (d == 0) {
				buf_addf(&b, "i%d-%d: {from: {type: scratch}}\n", d, w);
				continue;
			}
			buf_addf(&b,
				 "i%d-%d: {from: {type: built, tag: i%d-%d}, imports: "
				 "['stacker://i%d-%d/x', 'stacker://i%d-%d/x']}\n",
				 d, w, d - 1, w, d - 1, (w + 1) % WIDE, d - 1, (w + 2) % WIDE);
		}
	}
	AUTO(stackerfile) s = expect_parses(buf_text(&b));

	assert_int_equal(s.images.len, DEEP * WIDE);
	assert_string_equal(s.images.items[0].name, "i0-0");
	assert_string_equal(s.images.items[DEEP * WIDE - 1].name, "i39-12");
}

/* As many images as there may be, in the worst order: a pass for each. */
static void test_longest_chain_backwards(void **state)
{
	AUTO(buf) b = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	struct timespec start, end;

	(void)state;
	for (int i = LIMIT_IMAGES - 1; i > 0; i--)
		buf_addf(&b, "i%d: {from: {type: built, tag: i%d}}\n", i, i - 1);
	buf_add_c(&b, "i0: {from: {type: scratch}}\n");
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	AUTO(stackerfile) s = expect_parses(buf_text(&b));

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	long took_ms =
		(end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000;

	assert_string_equal(s.images.items[0].name, "i0");
	assert_string_equal(s.images.items[LIMIT_IMAGES - 1].name, "i4095");
	print_message("# %d images in a backward chain: %ld ms\n", LIMIT_IMAGES, took_ms);
	assert_true(took_ms < 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_order_stays_where_it_can),
		cmocka_unit_test(test_dependencies_come_first),
		cmocka_unit_test(test_every_kind_of_dependency_counts),
		cmocka_unit_test(test_missing_images),
		cmocka_unit_test(test_cycles_are_shown),
		cmocka_unit_test(test_long_cycles_are_cut_short),
		cmocka_unit_test(test_deep_graphs),
		cmocka_unit_test(test_longest_chain_backwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
