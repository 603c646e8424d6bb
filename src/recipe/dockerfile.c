/*
 * Lines to instructions. Docker joins continued lines before it looks at them, dropping comment
 * lines in between; the joints are kept, since scripts read better with them.
 */
#include "recipe/dockerfile.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recipe/dockerfile_words.h"
#include "recipe/yaml_text.h"
#include "util/buf.h"
#include "util/json_read.h"
#include "util/limits.h"
#include "util/str.h"

static const char *const keywords[] = {
	"ADD",	  "ARG",	"CMD",	 "COPY",       "ENTRYPOINT", "ENV",
	"EXPOSE", "FROM",	"LABEL", "MAINTAINER", "ONBUILD",    "RUN",
	"SHELL",  "STOPSIGNAL", "USER",	 "VOLUME",     "WORKDIR",    "HEALTHCHECK",
};

/* Which instructions take --flags, here-documents, and the exec form. */
static const char *const with_flags[] = {"ADD", "COPY", "FROM", "HEALTHCHECK", "RUN", NULL};
static const char *const with_heredocs[] = {"ADD", "COPY", "RUN", NULL};
static const char *const with_json[] = {"ADD", "CMD",	"COPY",	  "ENTRYPOINT",
					"RUN", "SHELL", "VOLUME", NULL};

struct reader {
	const char *text; /* with \n line breaks */
	size_t len;
	size_t at;
	struct pos pos; /* of the line at `at` */
	struct dockerfile *out;
};

void dockerfile_instruction_cleanup(struct dockerfile_instruction *i)
{
	free(i->keyword);
	for (size_t k = 0; k < i->flags.len; k++) {
		free(i->flags.items[k].name);
		free(i->flags.items[k].value);
	}
	vec_free(&i->flags);
	free(i->text);
	vec_free(&i->joints);
	strvec_cleanup(&i->words);
	for (size_t k = 0; k < i->heredocs.len; k++) {
		free(i->heredocs.items[k].name);
		free(i->heredocs.items[k].content);
	}
	vec_free(&i->heredocs);
	*i = (struct dockerfile_instruction){0};
}

void dockerfile_cleanup(struct dockerfile *d)
{
	for (size_t i = 0; i < d->instructions.len; i++)
		dockerfile_instruction_cleanup(&d->instructions.items[i]);
	vec_free(&d->instructions);
}

const char *dockerfile_flag(const struct dockerfile_instruction *i, const char *name)
{
	const char *value = NULL;

	for (size_t k = 0; k < i->flags.len; k++) {
		if (str_same(i->flags.items[k].name, name))
			value = i->flags.items[k].value;
	}
	return value;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct str trim(struct str s)
{
	while (s.len > 0 && is_blank(*s.ptr)) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

/* The next line without its line break; false at the end. */
static bool next_line(struct reader *r, struct str *ret)
{
	if (r->at >= r->len)
		return false;
	const char *line = r->text + r->at;
	const char *stop = memchr(line, '\n', r->len - r->at);
	size_t len = stop ? (size_t)(stop - line) : r->len - r->at;

	*ret = (struct str){line, len};
	r->at += len + 1;
	r->pos.line++;
	return true;
}

static bool is_comment(struct str line)
{
	line = trim(line);
	return line.len > 0 && *line.ptr == '#';
}

/* `# key=value` lines count only before anything else. */
static int read_directives(struct reader *r, struct err *e)
{
	struct reader ahead = *r;
	struct str line;

	while (next_line(&ahead, &line) && is_comment(line)) {
		struct str body = trim(
			(struct str){memchr(line.ptr, '#', line.len) + 1,
				     (size_t)(line.ptr + line.len -
					      (char *)memchr(line.ptr, '#', line.len) - 1)});
		const char *equals = memchr(body.ptr, '=', body.len);

		if (!equals)
			return 0;
		struct str key = trim((struct str){body.ptr, (size_t)(equals - body.ptr)});
		struct str value = trim(
			(struct str){equals + 1, body.len - (size_t)(equals + 1 - body.ptr)});

		if (key.len == 6 && strncasecmp(key.ptr, "escape", 6) == 0) {
			if (!str_eq_c(value, "\\") && !str_eq_c(value, "`")) {
				r->pos.line = ahead.pos.line - 1;
				return err_at(e, &r->pos, "dockerfile/syntax",
					      "'escape' is \\ or `");
			}
			r->out->escape = *value.ptr;
		} else if (!(key.len == 6 && strncasecmp(key.ptr, "syntax", 6) == 0) &&
			   !(key.len == 5 && strncasecmp(key.ptr, "check", 5) == 0)) {
			return 0;
		}
		*r = ahead;
	}
	return 0;
}

/* True if the line goes on, `line` being cut before the escape. */
static bool cut_continuation(struct str *line, char escape)
{
	size_t len = line->len;

	while (len > 0 && is_blank(line->ptr[len - 1]))
		len--;
	if (len == 0 || line->ptr[len - 1] != escape)
		return false;
	line->len = len - 1;
	return true;
}

/* A logical line that begins with `line`, and where it was joined. */
static void join_lines(struct reader *r, struct str line, struct buf *text,
		       struct offset_vec *joints)
{
	bool more = cut_continuation(&line, r->out->escape);

	buf_add(text, line.ptr, line.len);
	while (more && next_line(r, &line)) {
		if (is_comment(line) || trim(line).len == 0)
			continue;
		more = cut_continuation(&line, r->out->escape);
		vec_push(joints, text->len);
		buf_add(text, line.ptr, line.len);
	}
}

static char *take_keyword(const char **text)
{
	size_t len = strcspn(*text, " \t");
	char *keyword = mem_strndup(*text, len);

	for (size_t i = 0; i < len; i++) {
		if (keyword[i] >= 'a' && keyword[i] <= 'z')
			keyword[i] = (char)(keyword[i] - 'a' + 'A');
	}
	*text += len + strspn(*text + len, " \t");
	return keyword;
}

static int check_keyword(const char *keyword, const struct pos *pos, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		if (str_same(keyword, keywords[i]))
			return 0;
	}
	AUTO_FREE char *shown = str_printable(keyword, strlen(keyword));
	const char *nearest = str_nearest(keyword, keywords, ARRAY_LEN(keywords));

	err_at(e, pos, "dockerfile/unknown", "unknown instruction '%s'", shown);
	return nearest ? err_hint(e, "did you mean '%s'?", nearest) : -1;
}

/* Takes the leading --name=value words off. */
static const char *take_flags(const char *text, char escape, struct dockerfile_instruction *i)
{
	while (str_has_prefix(text, "--")) {
		size_t len = dockerfile_word_len(text, escape);
		AUTO_FREE char *word = mem_strndup(text + 2, len - 2);
		char *equals = strchr(word, '=');

		text += len + strspn(text + len, " \t");
		if (word[0] == '\0')
			break; /* "--" alone */
		const struct dockerfile_flag flag = {
			.name = mem_strndup(word,
					    equals ? (size_t)(equals - word) : strlen(word)),
			.value = mem_strdup(equals ? equals + 1 : ""),
		};
		vec_push(&i->flags, flag);
	}
	return text;
}

/* Docker falls back to the shell form where it is no JSON array of texts. */
static void read_json(struct dockerfile_instruction *i)
{
	AUTO(json_doc) doc = {0};

	if (i->text[0] != '[' || json_read(i->text, strlen(i->text), LIMIT_DOCKERFILE_BYTES,
					   "exec form", &doc, NULL) != 0)
		return;
	for (size_t k = 0; k < json_array_size(doc.root); k++) {
		if (!json_is_string(json_array_get(doc.root, k)))
			return;
	}
	i->is_json = true;
	for (size_t k = 0; k < json_array_size(doc.root); k++)
		strvec_push(&i->words, json_string_value(json_array_get(doc.root, k)));
}

int dockerfile_parse_instruction(const char *text, char escape, const struct pos *pos,
				 struct dockerfile_instruction *ret, struct err *e)
{
	AUTO(dockerfile_instruction) i = {.line = pos->line};
	const char *start = text;

	text += strspn(text, " \t");
	i.keyword = take_keyword(&text);
	if (check_keyword(i.keyword, pos, e) != 0)
		return -1;
	if (str_is_any(i.keyword, with_flags))
		text = take_flags(text, escape, &i);
	size_t len = strlen(text);

	while (len > 0 && is_blank(text[len - 1]))
		len--;
	i.text = mem_strndup(text, len);
	if (str_is_any(i.keyword, with_json))
		read_json(&i);
	if (i.text[0] == '\0')
		return err_at(e, pos, "dockerfile/syntax", "'%s' needs an argument", i.keyword);
	/* Joints count from where the arguments begin; see read_instruction(). */
	vec_push(&i.joints, (size_t)(text - start));
	*ret = i;
	i = (struct dockerfile_instruction){0};
	return 0;
}

static void move_joints(struct dockerfile_instruction *i, const struct offset_vec *joints)
{
	size_t start = i->joints.items[0];
	size_t len = strlen(i->text);

	i->joints.len = 0;
	for (size_t k = 0; k < joints->len; k++) {
		if (joints->items[k] > start && joints->items[k] - start < len)
			vec_push(&i->joints, joints->items[k] - start);
	}
}

static int read_heredoc(struct reader *r, const struct pos *pos,
			const struct dockerfile_operator *o, struct dockerfile_instruction *i,
			struct err *e)
{
	AUTO(buf) content = BUF_INIT(LIMIT_DOCKERFILE_BYTES);
	struct str line;

	while (next_line(r, &line)) {
		while (o->strip_tabs && line.len > 0 && *line.ptr == '\t') {
			line.ptr++;
			line.len--;
		}
		if (str_eq_c(line, o->name)) {
			const struct dockerfile_heredoc h = {.name = mem_strdup(o->name),
							     .content = buf_take(&content),
							     .expands = !o->quoted};

			vec_push(&i->heredocs, h);
			return 0;
		}
		buf_add(&content, line.ptr, line.len);
		buf_add_byte(&content, '\n');
	}
	AUTO_FREE char *shown = str_printable(o->name, strlen(o->name));

	return err_at(e, pos, "dockerfile/syntax", "here-document '%s' does not end", shown);
}

static int read_heredocs(struct reader *r, const struct pos *pos,
			 struct dockerfile_instruction *i, struct err *e)
{
	const char *at = i->text;
	int rc = 0;

	if (i->is_json || !str_is_any(i->keyword, with_heredocs))
		return 0;
	while (rc == 0) {
		AUTO(dockerfile_operator) o = {0};

		at = dockerfile_next_operator(at, r->out->escape, &o);
		if (!at)
			return 0;
		rc = read_heredoc(r, pos, &o, i, e);
	}
	return rc;
}

static int read_instruction(struct reader *r, struct str line, struct err *e)
{
	struct pos pos = {.file = r->pos.file, .line = r->pos.line - 1, .column = 1};
	AUTO(dockerfile_instruction) i = {0};
	AUTO(buf) text = BUF_INIT(LIMIT_DOCKERFILE_BYTES);
	struct offset_vec joints = {0};

	join_lines(r, line, &text, &joints);
	int rc = dockerfile_parse_instruction(buf_text(&text), r->out->escape, &pos, &i, e);

	if (rc == 0) {
		move_joints(&i, &joints);
		rc = read_heredocs(r, &pos, &i, e);
	}
	vec_free(&joints);
	if (rc != 0)
		return -1;
	vec_push(&r->out->instructions, i);
	i = (struct dockerfile_instruction){0};
	return 0;
}

/* Clean UTF-8 as in a stackerfile, since it ends up in one; with \n line breaks. */
static int check_text(const char *text, size_t len, const char *file, struct buf *ret,
		      struct err *e)
{
	struct pos start = {.file = file, .line = 1, .column = 1};

	if (len > LIMIT_DOCKERFILE_BYTES) {
		return err_at(e, &start, "dockerfile/too-big",
			      "file of %zu bytes is over the limit of %llu bytes", len,
			      (unsigned long long)LIMIT_DOCKERFILE_BYTES);
	}
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	if (yaml_text_check(text, len, file, e) != 0)
		return err_recode(e, ERR_RECIPE, "dockerfile/encoding"), -1;
	for (size_t i = 0; i < len; i++) {
		if (text[i] != '\r')
			buf_add_byte(ret, text[i]);
	}
	return 0;
}

int dockerfile_parse(const char *text, size_t len, const char *file, struct dockerfile *ret,
		     struct err *e)
{
	AUTO(dockerfile) d = {.escape = '\\'};
	AUTO(buf) clean = BUF_INIT(LIMIT_DOCKERFILE_BYTES);
	struct str line;

	if (check_text(text, len, file, &clean, e) != 0)
		return -1;
	struct reader r = {.text = buf_text(&clean),
			   .len = clean.len,
			   .pos = {.file = file, .line = 1, .column = 1},
			   .out = &d};

	if (read_directives(&r, e) != 0)
		return -1;
	while (next_line(&r, &line)) {
		if (trim(line).len == 0 || is_comment(line))
			continue;
		if (read_instruction(&r, line, e) != 0)
			return -1;
	}
	*ret = d;
	d = (struct dockerfile){0};
	return 0;
}
