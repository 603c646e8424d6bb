/* Dockerfiles as instructions, and the expansion of their variables. */
#include "recipe_fixture.h"

#include "recipe/dockerfile.h"
#include "recipe/dockerfile_words.h"
#include "util/buf.h"
#include "util/limits.h"
#include "util/str.h"

static struct dockerfile parse(const char *text)
{
	struct dockerfile d = {0};
	struct err e = ERR_INIT;

	if (dockerfile_parse(text, strlen(text), "Dockerfile", &d, &e) != 0)
		fail_msg("refused: %u %s [%s]\n%s", e.line, e.message, e.id, text);
	return d;
}

/* "LINE KEYWORD {flag=value} text|word,word" for each instruction. */
static void expect_instructions(const char *text, const char *expected)
{
	AUTO(dockerfile) d = parse(text);
	AUTO(buf) got = BUF_INIT(65536);

	for (size_t i = 0; i < d.instructions.len; i++) {
		const struct dockerfile_instruction *in = &d.instructions.items[i];

		buf_addf(&got, "%u %s", in->line, in->keyword);
		for (size_t k = 0; k < in->flags.len; k++)
			buf_addf(&got, " {%s=%s}", in->flags.items[k].name,
				 in->flags.items[k].value);
		if (!in->is_json)
			buf_addf(&got, " %s", in->text);
		for (size_t k = 0; k < in->words.len; k++)
			buf_addf(&got, " [%s]", in->words.items[k]);
		for (size_t k = 0; k < in->heredocs.len; k++)
			buf_addf(&got, " <%s%s:%s>", in->heredocs.items[k].name,
				 in->heredocs.items[k].expands ? "" : "!",
				 in->heredocs.items[k].content);
		buf_add_byte(&got, '\n');
	}
	assert_string_equal(buf_text(&got), expected);
}

static void expect_error(const char *text, size_t len, const char *id, unsigned line)
{
	struct dockerfile d = {0};
	struct err e = ERR_INIT;

	if (dockerfile_parse(text, len, "Dockerfile", &d, &e) == 0) {
		dockerfile_cleanup(&d);
		fail_msg("accepted: %s", text);
	}
	assert_string_equal(e.id, id);
	assert_int_equal(e.code, ERR_RECIPE);
	assert_int_equal(e.line, line);
	assert_string_equal(e.file, "Dockerfile");
}

static void test_lines_are_joined(void **state)
{
	(void)state;
	expect_instructions("FROM a\n# c\n\n  run  x \\\n  y \\  \n# z\n\n\tw\nCMD q",
			    "1 FROM a\n4 RUN x   y \tw\n9 CMD q\n");
	expect_instructions("\xef\xbb\xbf"
			    "FROM a\r\nRUN b \\\r\n c\r\n",
			    "1 FROM a\n2 RUN b  c\n");
	expect_instructions("RUN a \\", "1 RUN a\n");
	AUTO(dockerfile) d = parse("RUN --x=y a \\\n b \\\n c\n");

	assert_int_equal(d.instructions.items[0].joints.len, 2);
	assert_int_equal(d.instructions.items[0].joints.items[0], 2);
	assert_int_equal(d.instructions.items[0].joints.items[1], 5);
}

static void test_directives_come_first(void **state)
{
	(void)state;
	expect_instructions("# syntax=x\n# Escape = `\nRUN a `\n b \\\nRUN c\n",
			    "3 RUN a  b \\\n5 RUN c\n");
	expect_instructions("# comment\n# escape=`\nRUN a `\nRUN b\n", "3 RUN a `\n4 RUN b\n");
	expect_error("# escape=x\n", 11, "dockerfile/syntax", 1);
}

static void test_flags_and_forms(void **state)
{
	(void)state;
	expect_instructions("COPY --from=a --link --chown=\"b c\" d e\n",
			    "1 COPY {from=a} {link=} {chown=\"b c\"} d e\n");
	expect_instructions("RUN -- --x\nENV --x=y\n", "1 RUN --x\n2 ENV --x=y\n");
	expect_instructions(
		"CMD [\"a\", \"b c\", \"\\u0064\"]\nCMD [a, b]\nCMD [\"a\", 1]\nCMD []\n",
		"1 CMD [a] [b c] [d]\n2 CMD [a, b]\n3 CMD [\"a\", 1]\n4 CMD\n");
}

static void test_heredocs(void **state)
{
	(void)state;
	expect_instructions("RUN <<EOF cat\na $b\n\n# c\nEOF\nRUN x\n",
			    "1 RUN <<EOF cat <EOF:a $b\n\n# c\n>\n6 RUN x\n");
	expect_instructions("COPY <<-\"A\" <<'B' /d/\n\t\tx\n\tA\nB\n",
			    "1 COPY <<-\"A\" <<'B' /d/ <A!:x\n> <B!:>\n");
	expect_instructions("RUN cat 3<<EOF\nEOF\nRUN echo $((1<<2)) \"<<X\" <<<y\n",
			    "1 RUN cat 3<<EOF <EOF:>\n3 RUN echo $((1<<2)) \"<<X\" <<<y\n");
	expect_instructions("CMD <<EOF\n", "1 CMD <<EOF\n"); /* takes none */
	expect_error("FROM a\nRUN <<EOF\nx\n", 18, "dockerfile/syntax", 2);
}

static void test_refusals(void **state)
{
	char *big = mem_alloc(LIMIT_DOCKERFILE_BYTES + 1);

	(void)state;
	expect_error("FROM a\nFORM b\n", 14, "dockerfile/unknown", 2);
	expect_error("RUN\n", 4, "dockerfile/syntax", 1);
	expect_error("RUN a\n\x01", 7, "dockerfile/encoding", 2);
	expect_error("RUN \xff", 5, "dockerfile/encoding", 1);
	memset(big, '\n', LIMIT_DOCKERFILE_BYTES + 1);
	expect_error(big, LIMIT_DOCKERFILE_BYTES + 1, "dockerfile/too-big", 1);
	struct dockerfile d = {0};
	struct err e = ERR_INIT;

	assert_int_equal(dockerfile_parse(big, LIMIT_DOCKERFILE_BYTES, "f", &d, &e), 0);
	free(big);
}

static bool get(void *ctx, const char *name, char operation, const char *fallback,
		struct buf *out)
{
	(void)ctx;
	(void)operation;
	(void)fallback;
	if (str_same(name, "A"))
		buf_add_c(out, "value");
	else if (str_same(name, "P"))
		buf_add_c(out, "a/b.tar.gz");
	else if (!str_same(name, "EMPTY"))
		return false;
	return true;
}

static void expect_expanded(const char *word, const char *expected)
{
	const struct dockerfile_lookup lookup = {NULL, get};
	AUTO_FREE char *got = dockerfile_expand(word, '\\', &lookup);

	assert_string_equal(got, expected);
}

static void test_expansion(void **state)
{
	static const char *const cases[][2] = {
		{"$A-${A}x$Ax", "value-valuex"},
		{"'$A' \"$A\" \\$A \"\\$A\"", "$A value $A $A"},
		{"a\\ b \"c\\d\" 'e\\f'", "a b c\\d e\\f"},
		{"${A:-x} ${NO:-x} ${EMPTY:-x}", "value x x"},
		{"${A-x} ${NO-x} ${EMPTY-x}", "value x "},
		{"${A:+x} ${NO:+x} ${EMPTY:+x}", "x  "},
		{"${A+x} ${NO+x} ${EMPTY+x}", "x  x"},
		{"${A:?x} ${NO:?x}", "value "},
		{"${NO:-${A}-${NO:-y}}", "value-y"},
		{"${NO:-\"a b\"}", "a b"},
		{"${P#*/} ${P##*.} ${P%.*} ${P%%.*}", "b.tar.gz gz a/b.tar a/b"},
		{"${P/a/X} ${P//a/X} ${P/q/X} ${P//[.]/_}", "X/b.tar.gz X/b.tXr.gz a/b.tar.gz "
							    "a/b_tar_gz"},
		{"$ $$ ${ ${} $-", "$ $$ ${ ${} $-"},
		{"${A", "value"},
		{"'open", "open"},
		{"\"open", "open"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect_expanded(cases[i][0], cases[i][1]);
}

static void test_bodies_keep_their_quotes(void **state)
{
	const struct dockerfile_lookup lookup = {NULL, get};
	AUTO_FREE char *got =
		dockerfile_expand_body("don't \"$A\" \\$A \\\\ \\n ${NO:-x}\n", '\\', &lookup);

	(void)state;
	assert_string_equal(got, "don't \"value\" $A \\ \\n x\n");
}

static void test_deep_expansion_is_bounded(void **state)
{
	AUTO(buf) word = BUF_INIT(1 << 20);
	const struct dockerfile_lookup lookup = {NULL, get};

	(void)state;
	for (size_t i = 0; i < 100000; i++)
		buf_add_c(&word, "${NO:-");
	AUTO_FREE char *got = dockerfile_expand(buf_text(&word), '\\', &lookup);

	assert_string_equal(got, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_are_joined),
		cmocka_unit_test(test_directives_come_first),
		cmocka_unit_test(test_flags_and_forms),
		cmocka_unit_test(test_heredocs),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_expansion),
		cmocka_unit_test(test_bodies_keep_their_quotes),
		cmocka_unit_test(test_deep_expansion_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
