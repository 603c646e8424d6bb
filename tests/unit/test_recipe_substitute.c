/* Placeholders: what they become, what is refused, and where errors point to afterwards. */
#include "recipe_fixture.h"

#include "util/limits.h"
#include "util/str.h"

/* `pairs`: "A=1 B=2", none of them with spaces. */
static void add_pairs(struct substitution_vec *v, const char *pairs)
{
	AUTO_FREE char *rest = mem_strdup(pairs);
	struct err e = ERR_INIT;
	char *state = NULL;

	for (char *pair = strtok_r(rest, " ", &state); pair; pair = strtok_r(NULL, " ", &state))
		if (substitution_add(v, pair, &e) != 0)
			fail_msg("%s: %s", pair, e.message);
}

static int apply(const char *pairs, const char *text, struct buf *ret, struct err *e)
{
	AUTO(substitution_vec) v = {0};
	AUTO(text_places) places = {0};

	add_pairs(&v, pairs);
	return substitute(&v, str_of(text), "f.yaml", ret, &places, e);
}

static void expect_text(const char *pairs, const char *text, const char *expected)
{
	AUTO(buf) got = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	struct err e = ERR_INIT;

	if (apply(pairs, text, &got, &e) != 0)
		fail_msg("%s with %s: %s", text, pairs, e.message);
	assert_string_equal(buf_text(&got), expected);
}

static struct err expect_failure(const char *pairs, const char *text, const char *id,
				 uint32_t line, uint32_t column)
{
	AUTO(buf) got = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	struct err e = ERR_INIT;

	if (apply(pairs, text, &got, &e) == 0)
		fail_msg("accepted: %s with %s: %s", text, pairs, buf_text(&got));
	assert_string_equal(e.id, id);
	assert_int_equal(e.code, ERR_RECIPE);
	if (e.line != line || e.column != column)
		fail_msg("%s: at %u:%u, expected %u:%u", text, e.line, e.column, line, column);
	return e;
}

static void test_values_and_defaults(void **state)
{
	(void)state;
	expect_text("", "nothing $here ${SHELL} $$", "nothing $here ${SHELL} $$");
	expect_text("A=1", "${{A}} ${{A:2}} ${{A:}}", "1 1 1");
	expect_text("", "${{A:2}}|${{B:}}|${{C:x:y}}", "2||x:y");
	expect_text("A=", "[${{A:2}}]", "[]");
	expect_text("A=b=c,d=e", "${{A}}", "b=c,d=e");
	expect_text("AB=1 A=2", "${{A}}${{AB}}", "21");
}

/* In turn over the whole text, so that a value may hold placeholders of later keys only. */
static void test_the_order_counts(void **state)
{
	(void)state;
	expect_text("A=${{B}} B=1", "${{A}}", "1");
	(void)expect_failure("B=1 A=${{B}}", "${{A}}", "recipe/no-substitution", 1, 1);
	expect_text("A=${{B:d}}", "${{A}}", "d");
	expect_text("K=A A=1", "${{${{K}}}}", "1");
}

/* U24: upstream takes $b for a group of its regular expression, and $$ for $. */
static void test_dollars_in_values_are_literal(void **state)
{
	(void)state;
	expect_text("A=a$b$$c${1}\\1", "x${{A}}y", "xa$b$$c${1}\\1y");
}

static void test_shell_forms_of_given_keys_are_refused(void **state)
{
	(void)state;
	struct err e =
		expect_failure("KEY=1", "a\n é$KEY\n${KEY}", "recipe/shell-substitution", 2, 3);

	assert_non_null(strstr(e.message, "'$KEY'"));
	assert_non_null(strstr(e.hint, "${{KEY}}"));
	assert_non_null(strstr(e.hint, "also in line 3"));
	(void)expect_failure("KEY=1", "x $KEYFOO", "recipe/shell-substitution", 1, 3);
	(void)expect_failure("KEY=1", "${KEY}", "recipe/shell-substitution", 1, 1);
	(void)expect_failure("KEY=1", "${KEY:-x}", "recipe/shell-substitution", 1, 1);
	(void)expect_failure("A=$KEY KEY=1", "b: ${{A}}", "recipe/shell-substitution", 1, 4);
	expect_text("KEY=1", "${KEY-x} ${XKEY} $XKEY KEY $", "${KEY-x} ${XKEY} $XKEY KEY $");
	expect_text("KEY=1", "$KE", "$KE");
	expect_text("KEY=1", "${KE", "${KE");
}

static void test_what_lacks_a_value_is_named(void **state)
{
	(void)state;
	struct err e = expect_failure("A=1", "${{A}}\n  ${{B}} ${{C:x}} ${{D}} ${{B}}",
				      "recipe/no-substitution", 2, 3);

	assert_string_equal(e.message, "no value for substitution B");
	assert_non_null(strstr(e.hint, "missing is also D"));
	e = expect_failure("A=1", "${{ A }}", "recipe/no-substitution", 1, 1);
	assert_non_null(strstr(e.hint, "without spaces"));
}

static void test_what_is_no_placeholder_is_refused(void **state)
{
	(void)state;
	(void)expect_failure("A=1", "x: ${{A}", "recipe/bad-placeholder", 1, 4);
	(void)expect_failure("", "x: ${{A:b}c}}", "recipe/bad-placeholder", 1, 4);
	(void)expect_failure("", "${{", "recipe/bad-placeholder", 1, 1);
	(void)expect_failure("A=1", "${{A:${{B}}", "recipe/bad-placeholder", 1, 1);
	(void)expect_failure("", "${{A:${{B}}", "recipe/bad-placeholder", 1, 1);
	(void)expect_failure("", "${{}}", "recipe/bad-placeholder", 1, 1);
	(void)expect_failure("", "${{:x}}", "recipe/bad-placeholder", 1, 1);
	(void)expect_failure("", "a ${{A:x$}}{{B}}", "recipe/bad-placeholder", 1, 9);
}

static void expect_bad_pair(const char *pair, const char *part)
{
	AUTO(substitution_vec) v = {0};
	struct err e = ERR_INIT;

	assert_int_equal(substitution_add(&v, "SEEN=1", &e), 0);
	assert_int_equal(substitution_add(&v, pair, &e), -1);
	assert_string_equal(e.id, "recipe/bad-substitution");
	assert_int_equal(e.code, ERR_USAGE);
	if (!strstr(e.message, part))
		fail_msg("%s: %s", pair, e.message);
	assert_int_equal(v.len, 1);
}

static void test_pairs_are_checked(void **state)
{
	(void)state;
	expect_bad_pair("NO_SIGN", "has no '='");
	expect_bad_pair("=x", "no placeholder can hold");
	expect_bad_pair("A B=x", "no placeholder can hold");
	expect_bad_pair("A:B=x", "no placeholder can hold");
	expect_bad_pair("A}=x", "no placeholder can hold");
	expect_bad_pair("A\xff=x", "no placeholder can hold");
	expect_bad_pair("A=\xff", "may not stand");
	expect_bad_pair("A=\x1b[0m", "may not stand");
	expect_bad_pair("A=x\r\ny", "may not stand");
	expect_bad_pair("SEEN=2", "two values");
	AUTO(substitution_vec) v = {0};
	struct err e = ERR_INIT;

	assert_int_equal(substitution_add(&v, "A=1", &e), 0);
	assert_int_equal(substitution_add(&v, "A=1", &e), 0);
	assert_int_equal(substitution_add_default(&v, "A", "2", &e), 0);
	assert_int_equal(v.len, 1);
	assert_string_equal(v.items[0].value, "1");
}

static void test_a_file_of_them(void **state)
{
	(void)state;
	AUTO(substitution_vec) v = {0};
	struct err e = ERR_INIT;
	const char *text = "A: from file\nB: 3.10\nC:\nD: |\n  two\n  lines\n";

	assert_int_equal(substitution_add(&v, "A=given", &e), 0);
	assert_int_equal(substitution_add_file(&v, text, strlen(text), "s.yaml", &e), 0);
	assert_int_equal(v.len, 4);
	assert_string_equal(v.items[0].value, "given");
	assert_string_equal(v.items[1].value, "3.10");
	assert_string_equal(v.items[2].value, "");
	assert_string_equal(v.items[3].value, "two\nlines\n");
	assert_int_equal(substitution_add_file(&v, "", 0, "s.yaml", &e), 0);
	static const char *const bad[] = {"[a]", "A2: [x]", "A2: ~", "'A 2': x", "a: {b: c}"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		e = (struct err)ERR_INIT;
		assert_int_equal(
			substitution_add_file(&v, bad[i], strlen(bad[i]), "s.yaml", &e), -1);
		assert_int_equal(e.code, ERR_RECIPE);
		assert_string_equal(e.file, "s.yaml");
		assert_int_equal(e.line, 1);
	}
}

/* Growth is bounded before it happens. */
static void test_the_limits(void **state)
{
	(void)state;
	AUTO(substitution_vec) v = {0};
	struct err e = ERR_INIT;
	char pair[32];

	for (int i = 0; i < LIMIT_SUBSTITUTIONS; i++) {
		snprintf(pair, sizeof(pair), "K%d=x", i);
		assert_int_equal(substitution_add(&v, pair, &e), 0);
	}
	assert_int_equal(substitution_add(&v, "ONE_MORE=x", &e), -1);
	assert_non_null(strstr(e.message, "more than 1024"));

	AUTO(buf) doubling = BUF_INIT(4096);
	for (int i = 0; i < 40; i++)
		buf_addf(&doubling, "%sK%d=${{K%d}}${{K%d}}", i ? " " : "", i, i + 1, i + 1);
	e = expect_failure(buf_text(&doubling), "\n${{K0}}", "recipe/too-big", 1, 1);
	AUTO_FREE char *big = mem_zalloc(LIMIT_STACKERFILE_BYTES + 1, 1);

	memset(big, 'x', LIMIT_STACKERFILE_BYTES);
	memcpy(big, "${{A}}", 6);
	AUTO(buf) got = BUF_INIT(LIMIT_STACKERFILE_BYTES);

	assert_int_equal(apply("A=123456", big, &got, &e), 0);
	assert_int_equal(got.len, LIMIT_STACKERFILE_BYTES);
	(void)expect_failure("A=1234567", big, "recipe/too-big", 1, 1);
}

static struct err refused_with(const char *pairs, const char *text)
{
	AUTO(substitution_vec) v = {0};
	AUTO(stackerfile) s = {0};
	struct err e = ERR_INIT;

	add_pairs(&v, pairs);
	const struct stackerfile_source source = {.text = text,
						  .len = strlen(text),
						  .file = "f.yaml",
						  .default_arch = "amd64",
						  .substitutions = &v};

	if (stackerfile_read(&source, &s, &e) == 0)
		fail_msg("accepted: %s", text);
	return e;
}

static void expect_place(const char *pairs, const char *text, const char *id, uint32_t line,
			 uint32_t column)
{
	struct err e = refused_with(pairs, text);

	assert_string_equal(e.id, id);
	if (e.line != line || e.column != column)
		fail_msg("%s: at %u:%u, expected %u:%u", text, e.line, e.column, line, column);
}

/* Whatever was put in before, errors point into the file that the user edits. */
static void test_positions_are_those_of_the_file(void **state)
{
	(void)state;
	expect_place(
		"A=much-longer-than-it-was B=s",
		"a: # ${{A}} ${{B}}\n  from: {type: scratch} # ${{A}}\n  x${{B}}: {é: 1}\n",
		"recipe/unknown-directive", 3, 3);
	expect_place("A=scratch", "a: {from: {type: ${{A}}}, é: 1, zzz: 2}\n",
		     "recipe/unknown-directive", 1, 27);
	expect_place("A=é", "a: {from: {type: scratch}, cmd: ${{A}}, zzz: 2}\n",
		     "recipe/unknown-directive", 1, 41);
	expect_place("A=1", "a:\n  from: {type: s${{A}}}\n", "recipe/unknown-type", 2, 16);
	expect_place("", "a:\n  from: {type: ${{A:nothing}}}\n", "recipe/unknown-type", 2, 21);
	expect_place("A=\tx", "a:\n  b: ${{A}}\n  c: ]\n", "yaml/syntax", 3, 6);
	expect_place("A=x", "a: ${{A}}\nb: [1\n", "yaml/syntax", 3, 1);
}

/* A value of several lines is pasted as text, and all of it stands where its placeholder does. */
static void test_values_of_several_lines(void **state)
{
	(void)state;
	AUTO(substitution_vec) v = {0};
	AUTO(stackerfile) s = {0};
	struct err e = ERR_INIT;
	const char *text = "a:\n  from: {type: scratch}\n${{MORE}}\n  oops: 1\n";

	assert_int_equal(substitution_add(&v, "MORE=  cmd: x\n  bad: y", &e), 0);
	const struct stackerfile_source source = {.text = text,
						  .len = strlen(text),
						  .file = "f.yaml",
						  .default_arch = "amd64",
						  .substitutions = &v};

	assert_int_equal(stackerfile_read(&source, &s, &e), -1);
	assert_non_null(strstr(e.message, "'bad'"));
	assert_int_equal(e.line, 3);
	assert_int_equal(e.column, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_and_defaults),
		cmocka_unit_test(test_the_order_counts),
		cmocka_unit_test(test_dollars_in_values_are_literal),
		cmocka_unit_test(test_shell_forms_of_given_keys_are_refused),
		cmocka_unit_test(test_what_lacks_a_value_is_named),
		cmocka_unit_test(test_what_is_no_placeholder_is_refused),
		cmocka_unit_test(test_pairs_are_checked),
		cmocka_unit_test(test_a_file_of_them),
		cmocka_unit_test(test_the_limits),
		cmocka_unit_test(test_positions_are_those_of_the_file),
		cmocka_unit_test(test_values_of_several_lines),
	};

	return cmocka_run_group_tests_name("recipe/substitute", tests, NULL, NULL);
}
