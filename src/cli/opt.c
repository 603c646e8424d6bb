/* getopt_long driven by a table, and the texts made from the same table. */
#include "cli/opt.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "util/mem.h"
#include "util/str.h"

enum {
	OPTIONS_MAX = 48,
	NUMBERS_FROM = 256, /* what getopt_long returns for the first entry; above any letter */
	HELP_COLUMN = 28,
	HELP_WIDTH = 80,
};

static size_t count(const struct opt *options)
{
	size_t len = 0;
	while (options[len].name)
		len++;
	BUG_IF(len > OPTIONS_MAX);
	return len;
}

/* What getopt_long wants. Letters have their entry's number, too. */
struct getopt_table {
	struct option longs[OPTIONS_MAX + 2];
	char letters[2 * OPTIONS_MAX + 8];
};

static void make_table(const struct opt *options, bool stop_at_argument,
		       struct getopt_table *ret)
{
	size_t len = count(options);
	size_t at = 0;
	*ret = (struct getopt_table){0};
	if (stop_at_argument)
		ret->letters[at++] = '+';
	ret->letters[at++] = ':';
	ret->letters[at++] = 'h';
	for (size_t i = 0; i < len; i++) {
		ret->longs[i] = (struct option){
			.name = options[i].name,
			.has_arg = options[i].value ? required_argument : no_argument,
			.val = NUMBERS_FROM + (int)i,
		};
		if (!options[i].letter)
			continue;
		ret->letters[at++] = options[i].letter;
		if (options[i].value)
			ret->letters[at++] = ':';
	}
	ret->longs[len] = (struct option){.name = "help", .has_arg = no_argument, .val = 'h'};
}

static const struct opt *find(const struct opt *options, int c)
{
	if (c >= NUMBERS_FROM)
		return &options[c - NUMBERS_FROM];
	for (const struct opt *o = options; o->name; o++)
		if (o->letter == c)
			return o;
	return NULL;
}

static void take(const struct opt *o, char *value, void *target)
{
	char *field = (char *)target + o->offset;
	switch (o->kind) {
	case OPT_FLAG:
		*(bool *)(void *)field = true;
		break;
	case OPT_TEXT:
		*(const char **)(void *)field = value;
		break;
	case OPT_TEXTS:
		strvec_push((struct strvec *)(void *)field, value);
		break;
	case OPT_ACCEPTED:
		break;
	}
}

/* A long option may be cut short as long as one name alone begins so. */
static bool is_ambiguous(const struct opt *options, const char *given, struct err *e)
{
	enum { LIST_MAX = 1024 };
	AUTO(buf) list = BUF_INIT(LIST_MAX);
	size_t found = 0;
	if (!str_has_prefix(given, "--"))
		return false;
	for (const struct opt *o = options; o->name; o++) {
		if (!str_has_prefix(o->name, given + 2))
			continue;
		buf_addf(&list, "%s--%s", found++ > 0 ? ", " : "", o->name);
	}
	if (found < 2)
		return false;
	err_set(e, ERR_USAGE, "cli/usage", "option '%s' may mean several", given);
	err_hint(e, "write one of %s", buf_text(&list));
	return true;
}

static enum opt_outcome unknown(const struct opt *options, const char *given, struct err *e)
{
	const char *names[OPTIONS_MAX];
	size_t len = count(options);
	for (size_t i = 0; i < len; i++)
		names[i] = options[i].name;
	AUTO_FREE char *name = mem_strndup(given, strcspn(given, "="));
	bool is_long = str_has_prefix(name, "--");
	for (size_t i = 0; is_long && i < len; i++) {
		if (!str_same(name + 2, names[i]))
			continue;
		err_set(e, ERR_USAGE, "cli/usage", "option '%s' takes no value", name);
		return OPT_WRONG;
	}
	if (is_ambiguous(options, name, e))
		return OPT_WRONG;
	err_set(e, ERR_USAGE, "cli/usage", "unknown option '%s'", given);
	const char *near = is_long ? str_nearest(name + 2, names, len) : NULL;
	if (near)
		err_hint(e, "did you mean '--%s'?", near);
	return OPT_WRONG;
}

/* Of several behind one dash, getopt says which it is, but has not gone past their word yet. */
static bool is_letter(int c)
{
	return c > ' ' && c < 0x7f && c != '-';
}

static enum opt_outcome unknown_letter(int letter, struct err *e)
{
	err_set(e, ERR_USAGE, "cli/usage", "unknown option '-%c'", letter);
	return OPT_WRONG;
}

const struct opt *opt_find(const struct opt *options, const char *given)
{
	size_t len = strcspn(given, "=");
	for (const struct opt *o = options; o->name; o++) {
		bool is_long = len > 2 && strncmp(given, "--", 2) == 0 &&
			       strlen(o->name) == len - 2 &&
			       memcmp(o->name, given + 2, len - 2) == 0;
		if (is_long || (o->letter && given[0] == '-' && given[1] == o->letter))
			return o;
	}
	return NULL;
}

enum opt_outcome opt_parse(const struct opt *options, bool stop_at_argument, int argc,
			   char **argv, void *target, int *ret_first, struct err *e)
{
	struct getopt_table table;
	make_table(options, stop_at_argument, &table);
	optind = 0; /* GNU's way to start anew, as a command does after the global options */
	for (int c; (c = getopt_long(argc, argv, table.letters, table.longs, NULL)) != -1;) {
		if (c == 'h')
			return OPT_HELP;
		if (c == ':') {
			err_set(e, ERR_USAGE, "cli/usage", "option '%s' needs a value",
				argv[optind - 1]);
			return OPT_WRONG;
		}
		const struct opt *o = c == '?' ? NULL : find(options, c);
		if (!o) {
			*ret_first = optind - 1;
			return c == '?' && is_letter(optopt)
				       ? unknown_letter(optopt, e)
				       : unknown(options, argv[optind - 1], e);
		}
		take(o, optarg, target);
	}
	*ret_first = optind;
	return OPT_GO_ON;
}

/* Words of `text`, breaking lines before HELP_WIDTH and indenting those that follow. */
static void add_wrapped(struct buf *out, const char *text)
{
	size_t column = HELP_COLUMN;
	for (const char *word = text; *word;) {
		size_t len = strcspn(word, " ");
		if (column > HELP_COLUMN && column + 1 + len > HELP_WIDTH) {
			buf_addf(out, "\n%*s", HELP_COLUMN, "");
			column = HELP_COLUMN;
		}
		if (column > HELP_COLUMN) {
			buf_add_byte(out, ' ');
			column++;
		}
		buf_add(out, word, len);
		column += len;
		word += len + (word[len] == ' ');
	}
	buf_add_byte(out, '\n');
}

void opt_help(const struct opt *options, struct buf *out)
{
	for (const struct opt *o = options; o->name; o++) {
		char left[128];
		int len = o->letter ? snprintf(left, sizeof(left), "  -%c, --%s", o->letter,
					       o->name)
				    : snprintf(left, sizeof(left), "      --%s", o->name);
		BUG_IF(len < 0 || (size_t)len >= sizeof(left));
		buf_add_c(out, left);
		if (o->value) {
			buf_addf(out, " %s", o->value);
			len += 1 + (int)strlen(o->value);
		}
		if (len + 2 > HELP_COLUMN) {
			buf_add_byte(out, '\n');
			len = 0;
		}
		buf_addf(out, "%*s", HELP_COLUMN - len, "");
		add_wrapped(out, o->help);
	}
}

void opt_usage(const struct opt *options, struct buf *out)
{
	for (const struct opt *o = options; o->name; o++) {
		if (o->kind == OPT_ACCEPTED)
			continue;
		if (out->len > 0)
			buf_add_byte(out, ' ');
		if (o->letter)
			buf_addf(out, "[-%c", o->letter);
		else
			buf_addf(out, "[--%s", o->name);
		if (o->value)
			buf_addf(out, " %s", o->value);
		buf_add_c(out, o->kind == OPT_TEXTS ? "]..." : "]");
	}
}
