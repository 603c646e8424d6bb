/* What lint reads out of scripts: commands, words, variables, and what it passes over. */
#include "recipe_fixture.h"

#include "recipe/shell.h"

/* The commands as "a b|c d", one after the other, with marks for what they are part of. */
static char *commands_of(const char *script)
{
	AUTO(shell_script) s = {0};
	AUTO(buf) out = BUF_INIT(4096);

	shell_scan(script, strlen(script), &s);
	for (size_t i = 0; i < s.commands.len; i++) {
		const struct shell_command *c = &s.commands.items[i];

		buf_addf(&out, "%s%s%s", i > 0 ? "; " : "", c->fed ? ">" : "",
			 c->captured ? "$" : "");
		for (size_t k = 0; k < c->words.len; k++)
			buf_addf(&out, "%s[%s]", k > 0 ? " " : "", c->words.items[k].text);
		for (size_t k = 0; k < c->targets.len; k++)
			buf_addf(&out, " to [%s]", c->targets.items[k].text);
		if (c->piped)
			buf_add_byte(&out, '>');
	}
	return buf_take(&out);
}

static void expect_commands(const char *script, const char *expected)
{
	AUTO_FREE char *got = commands_of(script);

	assert_string_equal(got, expected);
}

static void test_commands_end_at_operators(void **state)
{
	(void)state;
	expect_commands("a b; c && d || e & f\ng", "[a] [b]; [c]; [d]; [e]; [f]; [g]");
	expect_commands("(a; b); { c; }", "[a]; [b]; [c]; [}]");
	expect_commands("a | b |\n c |& d", "[a]>; >[b]>; >[c]>; >[d]");
	expect_commands("", "");
	expect_commands(" \n\n;;", "");
}

static void test_quotes_are_removed(void **state)
{
	(void)state;
	expect_commands("a 'b c' \"d \\\" e\" f\\ g h'i'j", "[a] [b c] [d \" e] [f g] [hij]");
	expect_commands("a \\\n b", "[a] [b]");
	expect_commands("a ''", "[a] []");
	expect_commands("a 'open", "[a] [open]");
	expect_commands("a \"open", "[a] [open]");
}

static void test_comments_and_heredocs_are_no_commands(void **state)
{
	(void)state;
	expect_commands("a # b; c\nd x#y", "[a]; [d] [x#y]");
	expect_commands("cat <<EOF | b\ngit clone\nEOF\nc", "[cat]>; >[b]; [c]");
	expect_commands("cat <<-'E F'\n\tx $(y)\n\tE F\nc", "[cat]; [c]");
	expect_commands("cat <<-'EF'\n\tx $(y)\n\tEF\nc", "[cat]; [c]");
	expect_commands("cat <<E >f\n$(a b) \\$(no)\nE\nc", "[cat] to [f]; $[a] [b]; [c]");
	expect_commands("cat <<A <<B\nx\nA\ny\nB\nc", "[cat]; [c]");
	expect_commands("cat <<E\nno end", "[cat]");
}

static void test_substitutions_are_commands(void **state)
{
	(void)state;
	expect_commands("a $(b $(c)) `d`", "$[c]; $[b] [$(c)]; $[d]; [a] [$(b $(c))] [`d`]");
	expect_commands("a \"x $(b) y\"", "$[b]; [a] [x $(b) y]");
	expect_commands("a '$(b)'", "[a] [$(b)]");
	expect_commands("a $((1 + (2)))", "[a] [$((1 + (2)))]");
	expect_commands("a $(", "[a] [$(]");
}

static void test_what_stands_before_a_name_is_dropped(void **state)
{
	(void)state;
	expect_commands("A=b C=\"d\" e f", "[e] [f]");
	expect_commands("A=b", "");
	expect_commands("if ! a; then b; fi", "[a]; [b]; [fi]");
	expect_commands("sudo -E a", "[a]");
	expect_commands("env -i A=b c", "[c]");
	expect_commands("x | xargs -0 rm", "[x]>; >[rm]");
	expect_commands("/usr/bin/git x", "[git] [x]");
	expect_commands("python3 -m pip install x", "[pip] [install] [x]");
}

static void test_redirections_are_targets(void **state)
{
	(void)state;
	expect_commands("a > b 2>&1 < c >>d", "[a] to [b] to [1] to [c] to [d]");
	expect_commands("a 2>/dev/null", "[a] to [/dev/null]");
}

static void test_variables_have_their_place(void **state)
{
	static const char script[] = "a $B \"${C:-x}\" '$D' ${#E} $((F+1)) \\$G $1 $$";
	AUTO(shell_script) s = {0};
	AUTO(buf) names = BUF_INIT(256);

	(void)state;
	shell_scan(script, strlen(script), &s);
	for (size_t i = 0; i < s.variables.len; i++) {
		const struct shell_word *v = &s.variables.items[i];

		assert_memory_equal(script + v->offset, v->text, strlen(v->text));
		buf_addf(&names, "%s ", v->text);
	}
	assert_string_equal(buf_text(&names), "B C E F ");
}

static void test_nesting_is_bounded(void **state)
{
	AUTO(buf) script = BUF_INIT(1 << 20);
	AUTO(shell_script) s = {0};

	(void)state;
	for (size_t i = 0; i < 200000; i++)
		buf_add_c(&script, "$(");
	shell_scan(buf_text(&script), script.len, &s);
	assert_true(s.commands.len < 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands_end_at_operators),
		cmocka_unit_test(test_quotes_are_removed),
		cmocka_unit_test(test_comments_and_heredocs_are_no_commands),
		cmocka_unit_test(test_substitutions_are_commands),
		cmocka_unit_test(test_what_stands_before_a_name_is_dropped),
		cmocka_unit_test(test_redirections_are_targets),
		cmocka_unit_test(test_variables_have_their_place),
		cmocka_unit_test(test_nesting_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
