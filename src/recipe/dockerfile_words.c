/* Quoting and expansion, after the rules of the Dockerfile reference's "Environment replacement". */
#include "recipe/dockerfile_words.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "util/limits.h"
#include "util/str.h"

enum { EXPAND_DEPTH_MAX = 16 };

size_t dockerfile_word_len(const char *text, char escape)
{
	size_t i = 0;
	char quote = '\0';

	for (; text[i]; i++) {
		if (text[i] == escape && quote != '\'' && text[i + 1])
			i++;
		else if (quote != '\0')
			quote = text[i] == quote ? '\0' : quote;
		else if (text[i] == '"' || text[i] == '\'')
			quote = text[i];
		else if (text[i] == ' ' || text[i] == '\t')
			break;
	}
	return i;
}

static void push_part(struct strvec *v, const char *text, size_t len)
{
	AUTO_FREE char *part = mem_strndup(text, len);

	strvec_push(v, part);
}

void dockerfile_split(const char *text, char escape, struct strvec *ret)
{
	for (text += strspn(text, " \t"); *text; text += strspn(text, " \t")) {
		size_t len = dockerfile_word_len(text, escape);

		push_part(ret, text, len);
		text += len;
	}
}

void dockerfile_split_blanks(const char *text, struct strvec *ret)
{
	for (text += strspn(text, " \t"); *text; text += strspn(text, " \t")) {
		size_t len = strcspn(text, " \t");

		push_part(ret, text, len);
		text += len;
	}
}

void dockerfile_operator_cleanup(struct dockerfile_operator *o)
{
	free(o->name);
	o->name = NULL;
}

/* `word` is one whole word: digits, <<, perhaps -, and a name that may be quoted. */
static bool read_operator(const char *word, struct dockerfile_operator *ret)
{
	word += strspn(word, "0123456789");
	if (!str_has_prefix(word, "<<"))
		return false;
	word += 2;
	bool strip_tabs = *word == '-';

	word += strip_tabs;
	size_t len = strlen(word);
	bool quoted = len >= 2 && (*word == '"' || *word == '\'') && word[len - 1] == *word;

	if (quoted) {
		word++;
		len -= 2;
	}
	if (len == 0 || strcspn(word, "<\"'\\ \t") < len)
		return false;
	*ret = (struct dockerfile_operator){mem_strndup(word, len), quoted, strip_tabs};
	return true;
}

const char *dockerfile_next_operator(const char *text, char escape,
				     struct dockerfile_operator *ret)
{
	for (text += strspn(text, " \t"); *text; text += strspn(text, " \t")) {
		size_t len = dockerfile_word_len(text, escape);
		AUTO_FREE char *word = mem_strndup(text, len);

		text += len;
		if (read_operator(word, ret))
			return text;
	}
	return NULL;
}

struct expander {
	char escape;
	const struct dockerfile_lookup *lookup;
	unsigned depth;
};

static void expand_into(struct expander *x, const char *text, size_t len, struct buf *out);

/* The index of the brace that closes the one before text[0]; `len` if there is none. */
static size_t closing_brace(const char *text, size_t len, char escape)
{
	unsigned depth = 1;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == escape)
			i++;
		else if (text[i] == '{')
			depth++;
		else if (text[i] == '}' && --depth == 0)
			return i;
	}
	return len;
}

static char *expand_part(struct expander *x, const char *text, size_t len)
{
	AUTO(buf) b = BUF_INIT(LIMIT_DOCKERFILE_BYTES);

	expand_into(x, text, len, &b);
	return buf_take(&b);
}

/* ${name#p} and its kin: the shortest or longest beginning or end that matches is cut off. */
static void cut_affix(const char *value, const char *pattern, bool suffix, bool longest,
		      struct buf *out)
{
	size_t len = strlen(value);

	for (size_t k = 0; k <= len; k++) {
		size_t part_len = longest ? len - k : k;
		AUTO_FREE char *part = suffix ? mem_strdup(value + len - part_len)
					      : mem_strndup(value, part_len);

		if (fnmatch(pattern, part, 0) != 0)
			continue;
		if (suffix)
			buf_add(out, value, len - part_len);
		else
			buf_add_c(out, value + part_len);
		return;
	}
	buf_add_c(out, value);
}

/* The longest match at `value`, or -1. */
static ssize_t match_len(const char *value, const char *pattern)
{
	for (size_t len = strlen(value) + 1; len-- > 0;) {
		AUTO_FREE char *part = mem_strndup(value, len);

		if (len > 0 && fnmatch(pattern, part, 0) == 0)
			return (ssize_t)len;
	}
	return -1;
}

static void replace(const char *value, const char *pattern, const char *with, bool all,
		    struct buf *out)
{
	bool done = false;

	while (*value) {
		ssize_t len = done && !all ? -1 : match_len(value, pattern);

		if (len < 0) {
			buf_add_byte(out, *value++);
			continue;
		}
		buf_add_c(out, with);
		value += len;
		done = true;
	}
}

/* Values that pattern operators work on are short; that of others is left as it is. */
enum { PATTERN_VALUE_MAX = 512 };

static void apply_pattern(struct expander *x, const char *value, const char *operation,
			  size_t len, struct buf *out)
{
	char kind = operation[0];
	bool doubled = len > 1 && operation[1] == kind;
	const char *rest = operation + 1 + doubled;
	size_t rest_len = len - 1 - doubled;

	if (strlen(value) > PATTERN_VALUE_MAX) {
		buf_add_c(out, value);
	} else if (kind == '/') {
		const char *slash = memchr(rest, '/', rest_len);
		size_t pattern_len = slash ? (size_t)(slash - rest) : rest_len;
		AUTO_FREE char *pattern = expand_part(x, rest, pattern_len);
		AUTO_FREE char *with =
			slash ? expand_part(x, slash + 1, rest_len - pattern_len - 1)
			      : mem_strdup("");

		replace(value, pattern, with, doubled, out);
	} else {
		AUTO_FREE char *pattern = expand_part(x, rest, rest_len);

		cut_affix(value, pattern, kind == '%', doubled, out);
	}
}

/* What follows the name within the braces. */
static void apply_operation(struct expander *x, const char *name, const char *operation,
			    size_t len, struct buf *out)
{
	bool colon = len > 0 && operation[0] == ':';
	char kind = len > (size_t)colon ? operation[colon] : '\0';
	AUTO(buf) value = BUF_INIT(LIMIT_DOCKERFILE_BYTES);
	AUTO_FREE char *word = kind && strchr("-+?", kind)
				       ? expand_part(x, operation + colon + 1, len - colon - 1)
				       : NULL;
	bool is_set =
		x->lookup->get(x->lookup->ctx, name, kind, kind == '-' ? word : NULL, &value);

	if (is_set && colon && value.len == 0)
		is_set = false;
	if (kind == '+') {
		buf_add_c(out, is_set ? word : "");
	} else if (kind == '-') {
		buf_add_c(out, is_set ? buf_text(&value) : word);
	} else if (kind && strchr("#%/", kind) && !colon) {
		apply_pattern(x, buf_text(&value), operation, len, out);
	} else {
		buf_add_c(out, buf_text(&value));
	}
}

/* `text` begins with "$". Returns how much of it was taken. */
static size_t expand_variable(struct expander *x, const char *text, size_t len, struct buf *out)
{
	bool braced = len > 1 && text[1] == '{';
	size_t start = 1 + braced;
	size_t name = start < len ? str_name_len(text + start, len - start) : 0;

	if (name == 0) {
		buf_add_byte(out, '$');
		return 1;
	}
	AUTO_FREE char *owned = mem_strndup(text + start, name);

	if (!braced) {
		apply_operation(x, owned, "", 0, out);
		return start + name;
	}
	size_t end = start + closing_brace(text + start, len - start, x->escape);

	apply_operation(x, owned, text + start + name, end - start - name, out);
	return end < len ? end + 1 : len;
}

static size_t expand_single_quoted(const char *text, size_t len, struct buf *out)
{
	const char *stop = memchr(text + 1, '\'', len - 1);
	size_t inner = stop ? (size_t)(stop - text) - 1 : len - 1;

	buf_add(out, text + 1, inner);
	return inner + 1 + (stop != NULL);
}

static size_t expand_double_quoted(struct expander *x, const char *text, size_t len,
				   struct buf *out)
{
	size_t i = 1;

	while (i < len && text[i] != '"') {
		if (text[i] == x->escape && i + 1 < len) {
			/* The escape counts only before what would mean something. */
			if (text[i + 1] != '"' && text[i + 1] != '$' &&
			    text[i + 1] != x->escape)
				buf_add_byte(out, text[i]);
			buf_add_byte(out, text[i + 1]);
			i += 2;
		} else if (text[i] == '$') {
			i += expand_variable(x, text + i, len - i, out);
		} else {
			buf_add_byte(out, text[i++]);
		}
	}
	return i < len ? i + 1 : len;
}

static void expand_into(struct expander *x, const char *text, size_t len, struct buf *out)
{
	size_t i = 0;

	if (++x->depth > EXPAND_DEPTH_MAX)
		len = 0;
	while (i < len) {
		if (text[i] == x->escape && i + 1 < len) {
			buf_add_byte(out, text[i + 1]);
			i += 2;
		} else if (text[i] == '\'') {
			i += expand_single_quoted(text + i, len - i, out);
		} else if (text[i] == '"') {
			i += expand_double_quoted(x, text + i, len - i, out);
		} else if (text[i] == '$') {
			i += expand_variable(x, text + i, len - i, out);
		} else {
			buf_add_byte(out, text[i++]);
		}
	}
	x->depth--;
}

char *dockerfile_expand(const char *word, char escape, const struct dockerfile_lookup *lookup)
{
	struct expander x = {.escape = escape, .lookup = lookup};

	return expand_part(&x, word, strlen(word));
}

char *dockerfile_expand_body(const char *body, char escape,
			     const struct dockerfile_lookup *lookup)
{
	struct expander x = {.escape = escape, .lookup = lookup};
	AUTO(buf) out = BUF_INIT(LIMIT_DOCKERFILE_BYTES);
	size_t len = strlen(body);
	size_t i = 0;

	while (i < len) {
		if (body[i] == escape && (body[i + 1] == '$' || body[i + 1] == escape)) {
			buf_add_byte(&out, body[i + 1]);
			i += 2;
		} else if (body[i] == '$') {
			i += expand_variable(&x, body + i, len - i, &out);
		} else {
			buf_add_byte(&out, body[i++]);
		}
	}
	return buf_take(&out);
}
