/*
 * A scanner in one pass, recursive where scripts are: substitutions nest, up to a depth beyond
 * which they are passed over. Words are collected with their quotes removed; a command ends at
 * an operator or line break and is then stripped of what stands before its name.
 */
#include "recipe/shell.h"

#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/limits.h"
#include "util/str.h"

enum { HEREDOCS_MAX = 8 };

struct heredoc {
	char *end; /* owned */
	bool strip_tabs;
	bool expands;
};

struct scanner {
	const char *text;
	size_t len;
	size_t at;
	unsigned depth;
	size_t pipelines;
	struct heredoc heredocs[HEREDOCS_MAX]; /* that begin at the next line */
	size_t heredocs_len;
	struct shell_script *out;
};

/* What one level of nesting is collecting. */
struct level {
	struct shell_command command;
	struct buf word;
	size_t word_offset;
	bool in_word;
	bool to_target; /* the word is a redirection's target */
	bool fed;
	size_t pipeline;
	bool captured;
	char until;
	unsigned parens;
};

static void words_cleanup(struct shell_word_vec *words)
{
	for (size_t i = 0; i < words->len; i++)
		free(words->items[i].text);
	vec_free(words);
}

static void command_cleanup(struct shell_command *c)
{
	words_cleanup(&c->words);
	words_cleanup(&c->targets);
}

void shell_script_cleanup(struct shell_script *s)
{
	for (size_t i = 0; i < s->commands.len; i++)
		command_cleanup(&s->commands.items[i]);
	vec_free(&s->commands);
	words_cleanup(&s->variables);
}

static size_t name_len(const char *text, size_t len)
{
	size_t n = str_name_len(text, len);

	return n > 0 && text[0] >= '0' && text[0] <= '9' ? 0 : n;
}

static char peek(const struct scanner *s, size_t ahead)
{
	return s->at + ahead < s->len ? s->text[s->at + ahead] : '\0';
}

/* Past a closing byte, which an unfinished script lacks. */
static void step_over(struct scanner *s)
{
	if (s->at < s->len)
		s->at++;
}

static void add(struct level *l, char c)
{
	buf_add_byte(&l->word, c);
	l->in_word = true;
}

static bool is_assignment(const char *word)
{
	size_t len = name_len(word, strlen(word));

	return len > 0 && word[len] == '=';
}

/* How many words stand before the name of the command. */
static size_t prefix_len(const struct shell_word_vec *words)
{
	static const char *const reserved[] = {"if", "then", "else", "elif", "while", "until",
					       "do", "!",    "{",    "time", NULL};
	static const char *const wrappers[] = {"sudo",	"exec", "command", "env",	"nice",
					       "nohup", "eval", "xargs",   "eatmydata", NULL};
	size_t i = 0;
	bool wrapped = false;

	for (; i < words->len; i++) {
		const char *word = words->items[i].text;

		if (str_is_any(word, wrappers))
			wrapped = true;
		else if (!str_is_any(word, reserved) && !is_assignment(word) &&
			 !(wrapped && word[0] == '-'))
			break;
	}
	return i;
}

/* `/usr/bin/git` is git, and `python3 -m pip` is pip. */
static void normalise_name(struct shell_word_vec *words)
{
	size_t drop = 0;

	if (words->len > 2 && str_has_prefix(words->items[0].text, "python") &&
	    str_same(words->items[1].text, "-m"))
		drop = 2;
	for (size_t i = 0; i < drop; i++)
		free(words->items[i].text);
	if (drop > 0) {
		words->len -= drop;
		memmove(words->items, words->items + drop, words->len * sizeof(*words->items));
	}
	struct shell_word *name = &words->items[0];
	const char *slash = strrchr(name->text, '/');

	if (slash && slash[1] != '\0')
		memmove(name->text, slash + 1, strlen(slash));
}

static void end_word(struct level *l)
{
	if (!l->in_word)
		return;
	const struct shell_word word = {buf_take(&l->word), l->word_offset};

	if (l->to_target)
		vec_push(&l->command.targets, word);
	else
		vec_push(&l->command.words, word);
	l->to_target = false;
	l->in_word = false;
}

static void end_command(struct scanner *s, struct level *l, bool piped)
{
	struct shell_word_vec *words = &l->command.words;

	end_word(l);
	size_t prefix = prefix_len(words);

	if (prefix >= words->len) {
		command_cleanup(&l->command);
	} else {
		for (size_t i = 0; i < prefix; i++)
			free(words->items[i].text);
		words->len -= prefix;
		memmove(words->items, words->items + prefix,
			words->len * sizeof(*words->items));
		normalise_name(words);
		l->command.pipeline = l->pipeline;
		l->command.piped = piped;
		l->command.fed = l->fed;
		l->command.captured = l->captured;
		vec_push(&s->out->commands, l->command);
	}
	l->command = (struct shell_command){0};
	l->to_target = false;
	l->fed = piped;
	if (!piped)
		l->pipeline = ++s->pipelines;
}

static void scan_level(struct scanner *s, char until);

static void add_variable(struct scanner *s, size_t offset, size_t len)
{
	const struct shell_word name = {mem_strndup(s->text + offset, len), offset};

	vec_push(&s->out->variables, name);
}

/* `${...}`: the name counts, and so do the braces within; then to the closing one. */
static void skip_braces(struct scanner *s)
{
	unsigned depth = 0;
	size_t start = s->at + 2 + (peek(s, 2) == '#' || peek(s, 2) == '!');
	size_t len = start < s->len ? name_len(s->text + start, s->len - start) : 0;

	if (len > 0)
		add_variable(s, start, len);
	for (s->at++; s->at < s->len; s->at++) {
		if (s->text[s->at] == '{')
			depth++;
		else if (s->text[s->at] == '}' && --depth == 0)
			break;
	}
	step_over(s);
}

static void skip_arithmetic(struct scanner *s)
{
	unsigned depth = 0;

	for (s->at++; s->at < s->len; s->at++) {
		size_t len = name_len(s->text + s->at, s->len - s->at);

		if (len > 0) {
			add_variable(s, s->at, len);
			s->at += len - 1;
		} else if (s->text[s->at] == '(') {
			depth++;
		} else if (s->text[s->at] == ')' && --depth == 0) {
			break;
		}
	}
	step_over(s);
}

static void scan_inner(struct scanner *s, char until)
{
	s->depth++;
	scan_level(s, until);
	s->depth--;
}

/* At a `$` or backtick: passes over the expansion, noting what it does. */
static void scan_expansion(struct scanner *s)
{
	if (s->text[s->at] == '`') {
		s->at++;
		scan_inner(s, '`');
	} else if (peek(s, 1) == '(' && peek(s, 2) == '(') {
		skip_arithmetic(s);
	} else if (peek(s, 1) == '(') {
		s->at += 2;
		scan_inner(s, ')');
	} else if (peek(s, 1) == '{') {
		skip_braces(s);
	} else {
		size_t len = s->at + 1 < s->len
				     ? name_len(s->text + s->at + 1, s->len - s->at - 1)
				     : 0;

		if (len > 0)
			add_variable(s, s->at + 1, len);
		s->at += 1 + len;
	}
}

/* As scan_expansion, adding what it passed to the word. */
static void add_expansion(struct scanner *s, struct level *l)
{
	size_t from = s->at;

	scan_expansion(s);
	for (; from < s->at; from++)
		add(l, s->text[from]);
}

static void add_single_quoted(struct scanner *s, struct level *l)
{
	l->in_word = true;
	for (s->at++; s->at < s->len && s->text[s->at] != '\''; s->at++)
		add(l, s->text[s->at]);
	step_over(s);
}

static void add_double_quoted(struct scanner *s, struct level *l)
{
	l->in_word = true;
	s->at++;
	while (s->at < s->len && s->text[s->at] != '"') {
		char c = s->text[s->at];

		if (c == '\\' && s->at + 1 < s->len) {
			add(l, s->text[s->at + 1]);
			s->at += 2;
		} else if (c == '$' || c == '`') {
			add_expansion(s, l);
		} else {
			add(l, c);
			s->at++;
		}
	}
	step_over(s);
}

/* The word that ends a here-document, with its quotes removed. */
static void read_heredoc_operator(struct scanner *s)
{
	struct heredoc h = {.expands = true};
	AUTO(buf) end = BUF_INIT(LIMIT_SCRIPT_BYTES);

	s->at += 2;
	if (peek(s, 0) == '-') {
		h.strip_tabs = true;
		s->at++;
	}
	while (peek(s, 0) == ' ' || peek(s, 0) == '\t')
		s->at++;
	for (char quote = '\0'; s->at < s->len; s->at++) {
		char c = s->text[s->at];

		if (c == '\n' || (quote == '\0' && strchr(" \t;&|<>()", c)))
			break;
		bool is_quote = c == '\'' || c == '"';

		if (is_quote && (quote == '\0' || quote == c))
			quote = quote == '\0' ? c : '\0';
		else if (c != '\\')
			buf_add_byte(&end, c);
		h.expands = h.expands && !is_quote && c != '\\';
	}
	if (end.len == 0 || s->heredocs_len == HEREDOCS_MAX)
		return;
	h.end = buf_take(&end);
	s->heredocs[s->heredocs_len++] = h;
}

static bool is_end(const struct heredoc *h, const char *line, size_t len)
{
	while (h->strip_tabs && len > 0 && *line == '\t') {
		line++;
		len--;
	}
	return len == strlen(h->end) && memcmp(line, h->end, len) == 0;
}

static void skip_heredoc(struct scanner *s, const struct heredoc *h)
{
	while (s->at < s->len) {
		const char *line = s->text + s->at;
		const char *stop = memchr(line, '\n', s->len - s->at);
		size_t len = stop ? (size_t)(stop - line) : s->len - s->at;
		size_t end = s->at + len;
		bool last = is_end(h, line, len);

		while (!last && h->expands && s->at < end) {
			if (s->text[s->at] == '\\')
				s->at += 2;
			else if (s->text[s->at] == '$' || s->text[s->at] == '`')
				scan_expansion(s);
			else
				s->at++;
		}
		if (s->at < end)
			s->at = end;
		if (s->at < s->len && s->at == end)
			s->at++;
		if (last)
			return;
	}
}

/* After the line break that here-documents begin at. */
static void skip_heredocs(struct scanner *s)
{
	struct heredoc pending[HEREDOCS_MAX];
	size_t len = s->heredocs_len;

	/* A body's substitutions may hold here-documents of their own. */
	memcpy(pending, s->heredocs, sizeof(pending));
	s->heredocs_len = 0;
	for (size_t i = 0; i < len; i++) {
		skip_heredoc(s, &pending[i]);
		free(pending[i].end);
	}
}

static void scan_redirection(struct scanner *s, struct level *l)
{
	if (l->in_word && l->word.len > 0 &&
	    strspn(buf_text(&l->word), "0123456789") == l->word.len) {
		buf_clear(&l->word);
		l->in_word = false;
	}
	end_word(l);
	if (peek(s, 0) == '<' && peek(s, 1) == '<' && peek(s, 2) != '<') {
		read_heredoc_operator(s);
		return;
	}
	while (s->at < s->len && strchr("<>&|", s->text[s->at]))
		s->at++;
	l->to_target = true;
}

static void scan_operator(struct scanner *s, struct level *l)
{
	char c = s->text[s->at];
	bool doubled = peek(s, 1) == c;

	end_command(s, l, c == '|' && !doubled);
	s->at += 1 + (doubled || (c == '|' && peek(s, 1) == '&'));
}

/* A byte that means something outside of quotes. True if the level ends with it. */
static bool scan_special(struct scanner *s, struct level *l)
{
	char c = s->text[s->at];

	switch (c) {
	case ' ':
	case '\t':
	case '\r':
		end_word(l);
		s->at++;
		return false;
	case '\n':
		end_command(s, l, l->fed && l->command.words.len == 0 && !l->in_word);
		s->at++;
		skip_heredocs(s);
		return false;
	case '(':
		end_command(s, l, false);
		l->parens++;
		s->at++;
		return false;
	case ')':
		end_command(s, l, false);
		s->at++;
		if (l->parens == 0)
			return l->until == ')';
		l->parens--;
		return false;
	case '<':
	case '>':
		scan_redirection(s, l);
		return false;
	default: /* ; & | */
		scan_operator(s, l);
		return false;
	}
}

static void skip_comment(struct scanner *s)
{
	while (s->at < s->len && s->text[s->at] != '\n')
		s->at++;
}

static void scan_text(struct scanner *s, struct level *l)
{
	char c = s->text[s->at];

	if (!l->in_word)
		l->word_offset = s->at;
	if (c == '\'') {
		add_single_quoted(s, l);
	} else if (c == '"') {
		add_double_quoted(s, l);
	} else if (c == '\\' && peek(s, 1) == '\n') {
		s->at += 2;
	} else if (c == '\\' && s->at + 1 < s->len) {
		add(l, s->text[s->at + 1]);
		s->at += 2;
	} else if (c == '$' || c == '`') {
		add_expansion(s, l);
	} else {
		add(l, c);
		s->at++;
	}
}

/* Up to the byte `until` (NUL: the end), which is passed over. */
static void scan_level(struct scanner *s, char until)
{
	enum { DEPTH_MAX = 32 };
	struct level l = {.word = BUF_INIT(LIMIT_SCRIPT_BYTES),
			  .until = until,
			  .captured = until != '\0',
			  .pipeline = ++s->pipelines};

	if (s->depth > DEPTH_MAX) {
		s->at = s->len;
		return;
	}
	while (s->at < s->len) {
		char c = s->text[s->at];

		if (c == '#' && !l.in_word) {
			skip_comment(s);
		} else if (c == '`' && until == '`') {
			s->at++;
			break;
		} else if (strchr(" \t\r\n();&|<>", c) && c != '\0') {
			if (scan_special(s, &l))
				break;
		} else {
			scan_text(s, &l);
		}
	}
	end_command(s, &l, false);
	buf_cleanup(&l.word);
}

void shell_scan(const char *text, size_t len, struct shell_script *ret)
{
	struct scanner s = {.text = text, .len = len, .out = ret};

	scan_level(&s, '\0');
	for (size_t i = 0; i < s.heredocs_len; i++)
		free(s.heredocs[i].end);
}
