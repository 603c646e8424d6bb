/* Options from a table: values, letters, where arguments begin, what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/opt.h"
#include "util/mem.h"

struct target {
	bool flag;
	const char *text;
	struct strvec texts;
};

static void target_cleanup(struct target *t)
{
	strvec_cleanup(&t->texts);
}

static const struct opt options[] = {
	{"flag", 'f', OPT_FLAG, offsetof(struct target, flag), NULL, "a flag"},
	{"text", 0, OPT_TEXT, offsetof(struct target, text), "TEXT",
	 "a text that takes so many "
	 "words to describe that one line of eighty columns will not do for it"},
	{"texts", 't', OPT_TEXTS, offsetof(struct target, texts), "TEXT", "texts"},
	{"old", 0, OPT_ACCEPTED, 0, NULL, "accepted"},
	{0},
};

enum { ARGS_MAX = 16, REST_BYTES = 256 };

/* Words parted by spaces; returns the outcome, and what stands after the options. */
static enum opt_outcome parse(const char *line, bool stop, struct target *t, struct buf *rest,
			      struct err *e)
{
	static char words[256];
	char *argv[ARGS_MAX] = {0};
	char *saved = NULL;
	int argc = 0, first = 0;
	strncpy(words, line, sizeof(words) - 1);
	for (char *w = strtok_r(words, " ", &saved); w; w = strtok_r(NULL, " ", &saved))
		argv[argc++] = w;
	enum opt_outcome outcome = opt_parse(options, stop, argc, argv, t, &first, e);
	buf_clear(rest);
	for (int i = first; outcome == OPT_GO_ON && i < argc; i++) {
		buf_addf(rest, "%s ", argv[i]);
	}
	return outcome;
}

static void fills_every_kind(void **state)
{
	AUTO(target) t = {0};
	struct err e = ERR_INIT;
	AUTO(buf) rest = BUF_INIT(REST_BYTES);
	(void)state;
	assert_int_equal(parse("x --flag -t a --texts=b --old --text one --text two", false, &t,
			       &rest, &e),
			 OPT_GO_ON);
	assert_true(t.flag);
	assert_string_equal(t.text, "two");
	assert_int_equal(t.texts.len, 2);
	assert_string_equal(t.texts.items[0], "a");
	assert_string_equal(t.texts.items[1], "b");
	assert_string_equal(buf_text(&rest), "");
}

static void gathers_arguments(void **state)
{
	AUTO(target) t = {0};
	struct err e = ERR_INIT;
	AUTO(buf) rest = BUF_INIT(REST_BYTES);
	(void)state;
	assert_int_equal(parse("x a -f b -- --text", false, &t, &rest, &e), OPT_GO_ON);
	assert_true(t.flag);
	assert_string_equal(buf_text(&rest), "a b --text ");
	t.flag = false;
	assert_int_equal(parse("x a -f b", true, &t, &rest, &e), OPT_GO_ON);
	assert_false(t.flag);
	assert_string_equal(buf_text(&rest), "a -f b ");
	/* Once more from the start, as a command does after the global options. */
	assert_int_equal(parse("x -f a", true, &t, &rest, &e), OPT_GO_ON);
	assert_true(t.flag);
	assert_string_equal(buf_text(&rest), "a ");
}

static void refuses(void **state)
{
	static const struct {
		const char *line, *message, *hint;
	} cases[] = {
		{"x --nope", "unknown option '--nope'", ""},
		{"x --flga", "unknown option '--flga'", "did you mean '--flag'?"},
		{"x -z", "unknown option '-z'", ""},
		{"x --text", "option '--text' needs a value", ""},
		{"x -t", "option '-t' needs a value", ""},
		{"x --flag=yes", "option '--flag' takes no value", ""},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(target) t = {0};
		struct err e = ERR_INIT;
		AUTO(buf) rest = BUF_INIT(REST_BYTES);
		assert_int_equal(parse(cases[i].line, false, &t, &rest, &e), OPT_WRONG);
		assert_string_equal(e.message, cases[i].message);
		assert_string_equal(e.id, "cli/usage");
		if (cases[i].hint[0])
			assert_string_equal(e.hint, cases[i].hint);
	}
}

static void asks_for_help(void **state)
{
	AUTO(target) t = {0};
	struct err e = ERR_INIT;
	AUTO(buf) rest = BUF_INIT(REST_BYTES);
	(void)state;
	assert_int_equal(parse("x -f --help --nope", false, &t, &rest, &e), OPT_HELP);
	assert_int_equal(parse("x -h", true, &t, &rest, &e), OPT_HELP);
}

static void describes(void **state)
{
	enum { BYTES = 4096, WIDTH = 80 };
	AUTO(buf) help = BUF_INIT(BYTES);
	AUTO(buf) usage = BUF_INIT(BYTES);
	(void)state;
	opt_help(options, &help);
	opt_usage(options, &usage);
	assert_string_equal(buf_text(&usage), "[-f] [--text TEXT] [-t TEXT]...");
	for (const struct opt *o = options; o->name; o++)
		assert_non_null(strstr(buf_text(&help), o->name));
	for (const char *line = buf_text(&help); *line;) {
		size_t len = strcspn(line, "\n");
		assert_in_range(len, 1, WIDTH);
		line += len + (line[len] == '\n');
	}
}

static void says_which_letter(void **state)
{
	AUTO(target) t = {0};
	AUTO(buf) rest = BUF_INIT(REST_BYTES);
	struct err e = ERR_INIT;
	(void)state;
	assert_int_equal(parse("x before -zf after", false, &t, &rest, &e), OPT_WRONG);
	assert_string_equal(e.message, "unknown option '-z'");
	assert_int_equal(parse("x -fz", false, &t, &rest, &e), OPT_WRONG);
	assert_string_equal(e.message, "unknown option '-z'");
}

static void lists_what_a_short_form_may_mean(void **state)
{
	AUTO(target) t = {0};
	AUTO(buf) rest = BUF_INIT(REST_BYTES);
	struct err e = ERR_INIT;
	(void)state;
	assert_int_equal(parse("x --te=1", false, &t, &rest, &e), OPT_WRONG);
	assert_string_equal(e.message, "option '--te' may mean several");
	assert_string_equal(e.hint, "write one of --text, --texts");
}

static void finds_what_is_meant(void **state)
{
	(void)state;
	assert_ptr_equal(opt_find(options, "--flag"), &options[0]);
	assert_ptr_equal(opt_find(options, "-f"), &options[0]);
	assert_ptr_equal(opt_find(options, "--text=a"), &options[1]);
	assert_null(opt_find(options, "--fla"));
	assert_null(opt_find(options, "--"));
	assert_null(opt_find(options, "-"));
	assert_null(opt_find(options, "flag"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_which_letter),
		cmocka_unit_test(lists_what_a_short_form_may_mean),
		cmocka_unit_test(finds_what_is_meant),
		cmocka_unit_test(fills_every_kind),
		cmocka_unit_test(gathers_arguments),
		cmocka_unit_test(refuses),
		cmocka_unit_test(asks_for_help),
		cmocka_unit_test(describes),
	};
	return cmocka_run_group_tests_name("cli/opt", tests, NULL, NULL);
}
