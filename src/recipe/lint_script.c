/*
 * The rules, applied to scripts. A script comes from a YAML scalar, so that the place of a word
 * in the file depends on how the scalar is written: a literal block keeps the lines, a scalar
 * of one line the columns; a folded one has only its beginning.
 */
#include "recipe/lint_script.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "recipe/lint_internal.h"
#include "recipe/lint_rules.h"
#include "recipe/shell.h"
#include "util/str.h"

#define ALLOW_MARK "lint:allow"

/* A script and where it stands. */
struct place {
	const char *text;
	const char *source;
	size_t source_len;
	struct pos pos; /* of the scalar */
};

/* Calls `match` with each word of a list until it says true. */
static bool any_word(const char *list, bool (*match)(const char *word, const void *ctx),
		     const void *ctx)
{
	while (list && *list) {
		size_t len = strcspn(list, " ");
		AUTO_FREE char *word = mem_strndup(list, len);

		if (len > 0 && match(word, ctx))
			return true;
		list += len + strspn(list + len, " ");
	}
	return false;
}

static bool is_text(const char *word, const void *ctx)
{
	return str_same(word, ctx);
}

static bool is_pattern_of(const char *word, const void *ctx)
{
	return fnmatch(word, ctx, 0) == 0;
}

static bool is_option(const char *text)
{
	return text[0] == '-' && text[1] != '\0';
}

static bool any_argument(const struct shell_command *c, const char *patterns)
{
	for (size_t i = 1; i < c->words.len; i++) {
		if (any_word(patterns, is_pattern_of, c->words.items[i].text))
			return true;
	}
	return false;
}

/* The index of the first argument that is no option, nor the value of one as in `git -C DIR` or
 * `apt-get -o NAME=VALUE`; words.len if there is none. */
static size_t verb_index(const struct shell_command *c)
{
	static const char with_value[] = "-C -c -o -t";
	size_t i = 1;

	while (i < c->words.len && is_option(c->words.items[i].text))
		i += 1 + any_word(with_value, is_text, c->words.items[i].text);
	return i < c->words.len ? i : c->words.len;
}

static bool all_pinned(const struct shell_command *c, size_t from, const char *patterns)
{
	size_t seen = 0;

	for (size_t i = from; i < c->words.len; i++) {
		const char *text = c->words.items[i].text;

		if (is_option(text))
			continue;
		if (!any_word(patterns, is_pattern_of, text))
			return false;
		seen++;
	}
	return seen > 0;
}

static bool runs_any(const struct shell_script *s, size_t from, size_t pipeline,
		     const char *names)
{
	for (size_t i = from; i < s->commands.len; i++) {
		const struct shell_command *c = &s->commands.items[i];

		if ((pipeline == 0 || c->pipeline == pipeline) &&
		    any_word(names, is_text, c->words.items[0].text))
			return true;
	}
	return false;
}

static bool rule_holds(const struct lint_rule *rule, const struct shell_script *s, size_t at)
{
	const struct shell_command *c = &s->commands.items[at];
	size_t verb = verb_index(c);

	if (!any_word(rule->names, is_text, c->words.items[0].text))
		return false;
	if (rule->verbs && (verb == c->words.len ||
			    !any_word(rule->verbs, is_pattern_of, c->words.items[verb].text)))
		return false;
	if (rule->needs && !any_argument(c, rule->needs))
		return false;
	if (rule->unless && any_argument(c, rule->unless))
		return false;
	if (rule->pinned && all_pinned(c, rule->verbs ? verb + 1 : 1, rule->pinned))
		return false;
	if (rule->not_fed && c->fed)
		return false;
	if (rule->sorted &&
	    (!(c->piped || c->captured) || runs_any(s, at + 1, c->pipeline, rule->sorted)))
		return false;
	return !rule->undone || !runs_any(s, 0, 0, rule->undone);
}

/* The line `n` of the source, counted from 1. */
static struct str source_line(const struct place *p, uint32_t n)
{
	const char *at = p->source;
	const char *end = p->source + p->source_len;

	for (uint32_t i = 1; i < n && at; i++) {
		at = memchr(at, '\n', (size_t)(end - at));
		at = at ? at + 1 : NULL;
	}
	if (!at)
		return (struct str){"", 0};
	const char *stop = memchr(at, '\n', (size_t)(end - at));

	return (struct str){at, (size_t)((stop ? stop : end) - at)};
}

/* The byte at a column, which counts characters from 1; the line's end if it is shorter. */
static size_t byte_of_column(struct str line, uint32_t column)
{
	size_t i = 0;

	for (uint32_t c = 1; c < column && i < line.len; c++) {
		i++;
		while (i < line.len && ((unsigned char)line.ptr[i] & 0xc0) == 0x80)
			i++;
	}
	return i;
}

static uint32_t column_of_byte(struct str line, size_t byte)
{
	uint32_t column = 1;

	for (size_t i = 0; i < byte && i < line.len; i++)
		column += ((unsigned char)line.ptr[i] & 0xc0) != 0x80;
	return column;
}

static size_t leading_blanks(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && (text[n] == ' ' || text[n] == '\t'))
		n++;
	return n;
}

/* Where byte `offset` of the script stands in the file. */
static struct pos place_of(const struct place *p, size_t offset)
{
	struct pos pos = p->pos;
	struct str first = source_line(p, pos.line);
	size_t style = byte_of_column(first, pos.column);
	char indicator = style < first.len ? first.ptr[style] : '\0';
	size_t line_start = offset;
	uint32_t lines = 0;

	for (size_t i = 0; i < offset; i++)
		lines += p->text[i] == '\n';
	while (line_start > 0 && p->text[line_start - 1] != '\n')
		line_start--;
	if (indicator == '|') {
		size_t len = strcspn(p->text + line_start, "\n");

		pos.line += 1 + lines;
		struct str line = source_line(p, pos.line);
		/* Not all of the line may be as in the file: substitution, a \r at its end. */
		size_t indent = leading_blanks(line.ptr, line.len);
		size_t own = leading_blanks(p->text + line_start, len);

		indent = indent > own ? indent - own : 0;
		pos.column = column_of_byte(line, indent + offset - line_start);
	} else if (indicator != '>' && !strchr(p->text, '\n')) {
		size_t start = style + (indicator == '\'' || indicator == '"');
		size_t len = strlen(p->text);

		/* Only if it stands there as it is: no escapes, no second line. */
		if (start + len <= first.len && memcmp(first.ptr + start, p->text, len) == 0)
			pos.column = column_of_byte(first, start + offset);
	}
	return pos;
}

/* Whether the script's line says, in a comment, that the rule is meant to be broken there. */
static bool is_allowed(const struct place *p, size_t offset, const char *id)
{
	size_t start = offset;

	while (start > 0 && p->text[start - 1] != '\n')
		start--;
	AUTO_FREE char *line = mem_strndup(p->text + start, strcspn(p->text + start, "\n"));
	const char *hash = strchr(line, '#');
	const char *mark = hash ? strstr(hash, ALLOW_MARK) : NULL;

	if (!mark)
		return false;
	mark += strlen(ALLOW_MARK);
	for (char *comma = strchr(line, ','); comma; comma = strchr(comma, ','))
		*comma = ' ';
	return any_word(mark, is_text, id);
}

static void warn(const struct place *p, size_t offset, const char *subject,
		 const struct lint_rule *rule, struct lint_report *r)
{
	if (is_allowed(p, offset, rule->id))
		return;
	struct pos pos = place_of(p, offset);
	AUTO_FREE char *id = mem_printf("lint/%s", rule->id);
	AUTO_FREE char *shown = str_printable(subject, strlen(subject));

	AUTO_FREE char *message = mem_printf("'%s' %s", shown, rule->reason);
	const struct lint_text text = {id, message, rule->remedy, rule->snippet};

	lint_add(r, &pos, LINT_WARNING, &text);
}

static void check_commands(const struct place *p, const struct shell_script *s,
			   struct lint_report *r)
{
	for (size_t i = 0; i < s->commands.len; i++) {
		const struct shell_command *c = &s->commands.items[i];
		size_t verb = verb_index(c);

		for (size_t k = 0; k < lint_rules_len; k++) {
			const struct lint_rule *rule = &lint_rules[k];

			if (rule->kind != LINT_COMMAND || !rule_holds(rule, s, i))
				continue;
			AUTO_FREE char *subject =
				rule->verbs ? mem_printf("%s %s", c->words.items[0].text,
							 c->words.items[verb].text)
					    : mem_strdup(c->words.items[0].text);

			warn(p, c->words.items[0].offset, subject, rule, r);
			break;
		}
	}
}

/* `rule` is about the words of any kind in `words`. */
static void check_words(const struct place *p, const struct shell_word_vec *words,
			enum lint_kind kind, struct lint_report *r)
{
	for (size_t i = 0; i < words->len; i++) {
		for (size_t k = 0; k < lint_rules_len; k++) {
			const struct lint_rule *rule = &lint_rules[k];

			if (rule->kind != kind)
				continue;
			if (!any_word(rule->names, is_pattern_of, words->items[i].text))
				continue;
			AUTO_FREE char *subject = mem_printf(
				"%s%s", kind == LINT_VARIABLE ? "$" : "", words->items[i].text);

			warn(p, words->items[i].offset, subject, rule, r);
		}
	}
}

/* Scripts of other interpreters are not read. */
static bool is_shell(const char *text)
{
	static const char shells[] = "sh bash dash ash ksh zsh";

	if (!str_has_prefix(text, "#!"))
		return true;
	AUTO_FREE char *line = mem_strndup(text + 2, strcspn(text + 2, "\r\n"));

	for (char *at = line; *at;) {
		size_t len = strcspn(at, " \t");
		AUTO_FREE char *word = mem_strndup(at, len);
		const char *slash = strrchr(word, '/');

		if (any_word(shells, is_text, slash ? slash + 1 : word))
			return true;
		at += len + strspn(at + len, " \t");
	}
	return false;
}

static void check_script(const struct node *n, const char *source, size_t source_len,
			 struct lint_report *r)
{
	const struct place p = {n->text, source, source_len, n->pos};
	AUTO(shell_script) s = {0};

	shell_scan(n->text, strlen(n->text), &s);
	check_commands(&p, &s, r);
	check_words(&p, &s.variables, LINT_VARIABLE, r);
	for (size_t i = 0; i < s.commands.len; i++) {
		check_words(&p, &s.commands.items[i].words, LINT_PATH, r);
		check_words(&p, &s.commands.items[i].targets, LINT_PATH, r);
	}
}

void lint_script(const struct node *run, const char *source, size_t source_len,
		 struct lint_report *r)
{
	const struct node *first =
		run->kind == NODE_SEQUENCE && run->len > 0 ? run->items[0] : run;

	if (first->kind == NODE_SCALAR && !is_shell(first->text))
		return;
	if (run->kind == NODE_SCALAR)
		check_script(run, source, source_len, r);
	for (size_t i = 0; run->kind == NODE_SEQUENCE && i < run->len; i++) {
		if (run->items[i]->kind == NODE_SCALAR)
			check_script(run->items[i], source, source_len, r);
	}
}
