/*
 * The two fields with a grammar of their own are read by it: a comma within quotes separates
 * nothing, parameters come in any order, challenges follow one another in one line or several.
 */
#include "inputs/registry_header_internal.h"

#include <string.h>
#include <strings.h>

#include "util/num.h"
#include "util/str.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_token_byte(char c)
{
	return c > ' ' && c < 0x7f && !strchr("()<>@,;:\\\"/[]?={}", c);
}

static void skip(struct str *s, size_t len)
{
	s->ptr += len;
	s->len -= len;
}

static void skip_blanks(struct str *s)
{
	while (s->len > 0 && is_blank(s->ptr[0]))
		skip(s, 1);
}

/* Blanks and the commas of empty list elements. */
static void skip_separators(struct str *s)
{
	while (s->len > 0 && (is_blank(s->ptr[0]) || s->ptr[0] == ','))
		skip(s, 1);
}

static bool take_byte(struct str *s, char byte)
{
	skip_blanks(s);
	if (s->len == 0 || s->ptr[0] != byte)
		return false;
	skip(s, 1);
	return true;
}

static struct str take_token(struct str *s)
{
	struct str token = {s->ptr, 0};

	while (token.len < s->len && is_token_byte(s->ptr[token.len]))
		token.len++;
	skip(s, token.len);
	return token;
}

static bool is_word(struct str s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.ptr, word, s.len) == 0;
}

/* A value that does not fit, or holds control bytes, comes out as "". */
static bool take_quoted(struct str *s, char *out, size_t out_len)
{
	size_t len = 0;
	bool fits = true;

	skip(s, 1);
	while (s->len > 0 && s->ptr[0] != '"') {
		if (s->ptr[0] == '\\' && s->len > 1)
			skip(s, 1);
		unsigned char c = (unsigned char)s->ptr[0];

		fits = fits && len + 1 < out_len && c >= ' ' && c != 0x7f;
		if (fits)
			out[len++] = (char)c;
		skip(s, 1);
	}
	out[fits ? len : 0] = '\0';
	return take_byte(s, '"');
}

/* A token or a quoted string. */
static bool take_value(struct str *s, char *out, size_t out_len)
{
	skip_blanks(s);
	if (s->len > 0 && s->ptr[0] == '"')
		return take_quoted(s, out, out_len);
	struct str token = take_token(s);

	out[0] = '\0';
	if (token.len < out_len) {
		memcpy(out, token.ptr, token.len);
		out[token.len] = '\0';
	}
	return token.len > 0;
}

/* True if a parameter ("NAME =") comes next; then `s` is behind the "=". */
static bool take_parameter_name(struct str *s, struct str *ret_name)
{
	struct str rest = *s;

	skip_blanks(&rest);
	*ret_name = take_token(&rest);
	if (ret_name->len == 0 || !take_byte(&rest, '='))
		return false;
	/* "Basic abc==" is a token68, not a parameter. */
	if (rest.len > 0 && rest.ptr[0] == '=')
		return false;
	*s = rest;
	return true;
}

static bool set_parameter(struct registry_challenge *c, struct str name, const char *value)
{
	char *to = NULL;
	size_t to_len = 0;

	if (is_word(name, "realm")) {
		to = c->realm;
		to_len = sizeof(c->realm);
		if (*to)
			return false;
	} else if (is_word(name, "service")) {
		to = c->service;
		to_len = sizeof(c->service);
	} else if (is_word(name, "error")) {
		to = c->error;
		to_len = sizeof(c->error);
	}
	if (!to || *to || strlen(value) >= to_len)
		return true;
	memcpy(to, value, strlen(value) + 1);
	return true;
}

bool registry_next_challenge(struct str *text, struct registry_challenge *ret)
{
	char value[LIMIT_URL_BYTES + 1];
	struct str name;

	memset(ret, 0, sizeof(*ret));
	skip_separators(text);
	struct str scheme = take_token(text);

	if (scheme.len == 0 || scheme.len >= sizeof(ret->scheme))
		return false;
	for (size_t i = 0; i < scheme.len; i++)
		ret->scheme[i] =
			(char)(scheme.ptr[i] |
			       (scheme.ptr[i] >= 'A' && scheme.ptr[i] <= 'Z' ? 0x20 : 0));
	if (text->len > 0 && !is_blank(text->ptr[0]) && text->ptr[0] != ',')
		return false;
	for (;;) {
		struct str rest = *text;

		skip_separators(&rest);
		if (!take_parameter_name(&rest, &name))
			break;
		if (!take_value(&rest, value, sizeof(value)) ||
		    !set_parameter(ret, name, value))
			return false;
		*text = rest;
	}
	return true;
}

/* The parameters of one link; says whether `rel` is among its relations. */
static bool take_link_parameters(struct str *s, const char *rel, bool *ret_is_rel)
{
	char value[LIMIT_URL_BYTES + 1];
	struct str name;

	*ret_is_rel = false;
	while (take_byte(s, ';')) {
		if (!take_parameter_name(s, &name)) {
			skip_blanks(s);
			take_token(s); /* one without a value */
			continue;
		}
		if (!take_value(s, value, sizeof(value)))
			return false;
		if (is_word(name, "rel") && strcasecmp(value, rel) == 0)
			*ret_is_rel = true;
	}
	return true;
}

bool registry_find_link(struct str text, const char *rel, char *ret, size_t ret_len)
{
	for (;;) {
		bool is_rel;

		skip_separators(&text);
		if (!take_byte(&text, '<'))
			return false;
		const char *end = memchr(text.ptr, '>', text.len);

		if (!end)
			return false;
		struct str target = {text.ptr, (size_t)(end - text.ptr)};

		skip(&text, target.len + 1);
		if (!take_link_parameters(&text, rel, &is_rel))
			return false;
		if (!is_rel)
			continue;
		if (target.len == 0 || target.len >= ret_len ||
		    memchr(target.ptr, '\0', target.len))
			return false;
		memcpy(ret, target.ptr, target.len);
		ret[target.len] = '\0';
		return true;
	}
}

bool registry_parse_uploaded(struct str text, uint64_t *ret)
{
	uint64_t start, end;

	if (text.len > 6 && strncasecmp(text.ptr, "bytes=", 6) == 0)
		skip(&text, 6);
	const char *dash = memchr(text.ptr, '-', text.len);

	if (!dash)
		return false;
	size_t len = (size_t)(dash - text.ptr);

	if (!num_parse_u64(text.ptr, len, INT64_MAX - 1, &start) || start != 0 ||
	    !num_parse_u64(dash + 1, text.len - len - 1, INT64_MAX - 1, &end))
		return false;
	*ret = end == 0 ? 0 : end + 1;
	return true;
}

static void copy_field(struct str value, char *out, size_t out_len)
{
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.ptr[i] < ' ' || value.ptr[i] == 0x7f)
			return;
	if (value.len >= out_len)
		return;
	memcpy(out, value.ptr, value.len);
	out[value.len] = '\0';
}

static void add_challenge(struct registry_head *h, struct str value)
{
	size_t len = strlen(h->challenges);

	if (value.len + 3 > sizeof(h->challenges) - len || memchr(value.ptr, '\0', value.len))
		return;
	if (len > 0) {
		memcpy(h->challenges + len, ", ", 2);
		len += 2;
	}
	memcpy(h->challenges + len, value.ptr, value.len);
	h->challenges[len + value.len] = '\0';
}

static void read_field(struct registry_head *h, struct str name, struct str value)
{
	const char *parameters = memchr(value.ptr, ';', value.len);
	struct str type = {value.ptr,
			   parameters ? (size_t)(parameters - value.ptr) : value.len};

	while (type.len > 0 && is_blank(type.ptr[type.len - 1]))
		type.len--;
	if (is_word(name, "content-type"))
		copy_field(type, h->media_type, sizeof(h->media_type));
	else if (is_word(name, "www-authenticate"))
		add_challenge(h, value);
	else if (is_word(name, "link") && !h->next[0])
		(void)registry_find_link(value, "next", h->next, sizeof(h->next));
	else if (is_word(name, "oci-subject"))
		copy_field(value, h->subject, sizeof(h->subject));
	else if (is_word(name, "warning") && !h->warning[0])
		copy_field(value, h->warning, sizeof(h->warning));
	else if (is_word(name, "oci-filters-applied"))
		h->filtered |= is_word(value, "artifactType");
	else if (is_word(name, "range"))
		h->has_uploaded = registry_parse_uploaded(value, &h->uploaded);
	else if (is_word(name, "oci-chunk-min-length") &&
		 !num_parse_u64(value.ptr, value.len, INT64_MAX, &h->chunk_min))
		h->chunk_min = 0;
}

void registry_head_line(struct registry_head *h, const char *line, size_t len)
{
	struct str s = {line, len};
	unsigned status = h->http.status;

	http_head_line(&h->http, line, len);
	if (h->http.status != status) {
		/* A status line started over, and with it goes what came before. */
		struct http_head head = h->http;

		memset(h, 0, sizeof(*h));
		h->http = head;
		return;
	}
	while (s.len > 0 && (s.ptr[s.len - 1] == '\n' || s.ptr[s.len - 1] == '\r'))
		s.len--;
	const char *colon = memchr(s.ptr, ':', s.len);

	if (h->http.complete || !colon)
		return;
	struct str name = {s.ptr, (size_t)(colon - s.ptr)};
	struct str value = {colon + 1, (size_t)(s.ptr + s.len - colon - 1)};

	skip_blanks(&value);
	while (value.len > 0 && is_blank(value.ptr[value.len - 1]))
		value.len--;
	read_field(h, name, value);
}
