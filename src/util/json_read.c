/*
 * JSON in. A scan without recursion or allocation bounds depth, values and numbers first, so
 * that jansson only ever sees documents that cannot cost much; jansson then decides what is
 * JSON. A last walk refuses member names that differ in case only, which readers written in Go
 * take for one and the same.
 */
#include "util/json_read.h"

#include <string.h>

#include "util/limits.h"
#include "util/map.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/str.h"

enum { FEW_KEYS = 8 };

#define INTEGER_MAX ((UINT64_C(1) << 53) - 1)

struct scan {
	const char *text;
	size_t len;
	size_t at;
	unsigned depth;
	size_t values;
	size_t max_values;
	bool opened; /* the last token opened a container */
	const char *what;
};

static void scan_text(struct scan *s)
{
	/* s->at is on the opening quote; a missing closing one is for jansson to report. */
	for (s->at++; s->at < s->len && s->text[s->at] != '"'; s->at++) {
		if (s->text[s->at] == '\\')
			s->at++;
	}
}

static int scan_number(struct scan *s, struct err *e)
{
	const char *start = s->text + s->at;
	size_t len = 0;
	uint64_t value;

	while (len < s->len - s->at && memchr("0123456789+-.eE", start[len], 15))
		len++;
	size_t sign = start[0] == '-';
	if (!num_parse_u64(start + sign, len - sign, INTEGER_MAX, &value) ||
	    (sign && value == 0))
		return err_set(e, ERR_INPUT, "json/number",
			       "%s: number '%.*s' is not an integer of at most 2^53-1", s->what,
			       len > 40 ? 40 : (int)len, start);
	s->at += len - 1;
	return 0;
}

static int scan_token(struct scan *s, struct err *e)
{
	char byte = s->text[s->at];
	bool closes = byte == ']' || byte == '}';

	/* A comma stands before each value but a container's first. */
	if (byte == ',' || (s->opened && !closes))
		s->values++;
	s->opened = byte == '[' || byte == '{';
	if (s->values > s->max_values)
		return err_set(e, ERR_INPUT, "json/too-many-values", "%s has over %zu values",
			       s->what, s->max_values);
	if (s->opened && ++s->depth > LIMIT_JSON_DEPTH)
		return err_set(e, ERR_INPUT, "json/too-deep",
			       "%s is nested deeper than %d levels", s->what, LIMIT_JSON_DEPTH);
	if (closes && s->depth > 0)
		s->depth--;
	if (byte == '"')
		scan_text(s);
	else if (byte == '-' || (byte >= '0' && byte <= '9'))
		return scan_number(s, e);
	return 0;
}

static int scan_all(struct scan *s, struct err *e)
{
	for (; s->at < s->len; s->at++) {
		if (s->text[s->at] == '\0')
			return err_set(e, ERR_INPUT, "json/syntax", "%s contains a NUL",
				       s->what);
		if (memchr(" \t\r\n", s->text[s->at], 4))
			continue;
		if (scan_token(s, e) < 0)
			return -1;
	}
	return 0;
}

/*
 * The next character of a name as Go's encoding/json compares it: ASCII case folded, and the two
 * characters beyond ASCII that fold into it (U+017F to s, U+212A to k). NUL at the end.
 */
static char next_folded(const char **at)
{
	char c = **at;

	if (c == '\xc5' && (*at)[1] == '\xbf') {
		*at += 2;
		return 's';
	}
	if (c == '\xe2' && (*at)[1] == '\x84' && (*at)[2] == '\xaa') {
		*at += 3;
		return 'k';
	}
	*at += c != '\0';
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static char *fold_key(const char *key)
{
	char *folded = mem_strdup(key);
	char *out = folded;

	do
		*out = next_folded(&key);
	while (*out++ != '\0');
	return folded;
}

static bool is_same_folded(const char *a, const char *b)
{
	char c;

	do {
		c = next_folded(&a);
		if (c != next_folded(&b))
			return false;
	} while (c != '\0');
	return true;
}

/*
 * Members whose value maps names of the user's choice: "Path" beside "PATH" is legitimate
 * there, and no reader takes them for one another.
 */
static bool is_free_map(const char *key)
{
	static const char *const suffixes[] = {"labels",  "annotations",  "environment", "env",
					       "volumes", "exposedports", "args"};
	AUTO_FREE char *folded = fold_key(key);

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		if (str_has_suffix(folded, suffixes[i]))
			return true;
	}
	return false;
}

/* Among few names, comparing each with each costs less than a map. */
struct seen_keys {
	const char *few[FEW_KEYS];
	size_t few_len;
	struct map many;
};

static void seen_keys_cleanup(struct seen_keys *s)
{
	map_cleanup(&s->many);
}

/* False if the key, or one that differs in case only, was there before. */
static bool see_key(struct seen_keys *s, const char *key)
{
	for (size_t i = 0; i < s->few_len; i++)
		if (is_same_folded(s->few[i], key))
			return false;
	if (s->few_len < FEW_KEYS) {
		s->few[s->few_len++] = key;
		return true;
	}
	AUTO_FREE char *folded = fold_key(key);

	return map_add(&s->many, folded, NULL);
}

static bool holds_more(const json_t *value)
{
	return json_is_object(value) || json_is_array(value);
}

/* Recursion is bounded by LIMIT_JSON_DEPTH, which the scan has enforced. */
static int check_keys(const json_t *value, bool free_map, const char *what, struct err *e)
{
	AUTO(seen_keys) seen = {.many = MAP_INIT(NULL)};
	const char *key;
	json_t *member;

	for (size_t i = 0; i < json_array_size(value); i++) {
		const json_t *item = json_array_get(value, i);

		if (holds_more(item) && check_keys(item, false, what, e) < 0)
			return -1;
	}
	/* Only read, but jansson's iterator takes a mutable object. */
	json_object_foreach((json_t *)(uintptr_t)value, key, member)
	{
		if (!free_map && !see_key(&seen, key))
			return err_set(e, ERR_INPUT, "json/key-collision",
				       "%s: member '%s' is there twice, differing in case only",
				       what, key);
		if (holds_more(member) && check_keys(member, is_free_map(key), what, e) < 0)
			return -1;
	}
	return 0;
}

static int parse_error(const json_error_t *error, const char *what, struct err *e)
{
	const char *id = json_error_code(error) == json_error_duplicate_key
				 ? "json/duplicate-key"
				 : "json/syntax";

	return err_set(e, ERR_INPUT, id, "%s is not valid JSON: %s (line %d, column %d)", what,
		       error->text, error->line, error->column);
}

void json_doc_cleanup(struct json_doc *doc)
{
	json_decref(doc->root);
	doc->root = NULL;
}

int json_read_large(const char *text, size_t len, size_t max_bytes, size_t max_values,
		    const char *what, struct json_doc *ret, struct err *e)
{
	struct scan s = {
		.text = text, .len = len, .values = 1, .max_values = max_values, .what = what};
	AUTO(json_doc) doc = {NULL};
	json_error_t error;

	if (len > max_bytes)
		return err_set(e, ERR_INPUT, "json/too-big", "%s is larger than %zu bytes",
			       what, max_bytes);
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		return err_set(e, ERR_INPUT, "json/syntax", "%s begins with a byte order mark",
			       what);
	if (scan_all(&s, e) < 0)
		return -1;
	doc.root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!doc.root)
		return parse_error(&error, what, e);
	if (check_keys(doc.root, false, what, e) < 0)
		return -1;
	ret->root = TAKE_PTR(doc.root);
	return 0;
}

int json_read(const char *text, size_t len, size_t max_bytes, const char *what,
	      struct json_doc *ret, struct err *e)
{
	return json_read_large(text, len, max_bytes, LIMIT_JSON_NODES, what, ret, e);
}

static int wrong_type(const char *key, const char *what, const char *wanted, struct err *e)
{
	return err_set(e, ERR_INPUT, "json/type", "%s: member '%s' is not %s", what, key,
		       wanted);
}

/* Absent gives NULL, and so does null if it may be absent. */
static int find(const json_t *object, const char *key, const char *what, bool optional,
		json_t **ret, struct err *e)
{
	json_t *value = json_object_get(object, key);

	if (!json_is_object(object))
		return err_set(e, ERR_INPUT, "json/type", "%s is not an object (member '%s')",
			       what, key);
	if (!value && !optional)
		return err_set(e, ERR_INPUT, "json/missing", "%s: member '%s' is missing", what,
			       key);
	*ret = optional && json_is_null(value) ? NULL : value;
	return 0;
}

static int get_text(const json_t *object, const char *key, const char *what, bool optional,
		    const char **ret, struct err *e)
{
	json_t *value;

	if (find(object, key, what, optional, &value, e) < 0)
		return -1;
	if (value && !json_is_string(value))
		return wrong_type(key, what, "text", e);
	*ret = json_string_value(value);
	return 0;
}

static int get_container(const json_t *object, const char *key, const char *what,
			 json_type type, bool optional, json_t **ret, struct err *e)
{
	json_t *value;

	if (find(object, key, what, optional, &value, e) < 0)
		return -1;
	if (value && json_typeof(value) != type)
		return wrong_type(key, what, type == JSON_OBJECT ? "an object" : "an array", e);
	*ret = value;
	return 0;
}

int json_get_text(const json_t *object, const char *key, const char *what, const char **ret,
		  struct err *e)
{
	return get_text(object, key, what, false, ret, e);
}

int json_get_u64(const json_t *object, const char *key, const char *what, uint64_t *ret,
		 struct err *e)
{
	json_t *value;

	if (find(object, key, what, false, &value, e) < 0)
		return -1;
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return wrong_type(key, what, "a natural number", e);
	*ret = (uint64_t)json_integer_value(value);
	return 0;
}

int json_get_object(const json_t *object, const char *key, const char *what, json_t **ret,
		    struct err *e)
{
	return get_container(object, key, what, JSON_OBJECT, false, ret, e);
}

int json_get_array(const json_t *object, const char *key, const char *what, json_t **ret,
		   struct err *e)
{
	return get_container(object, key, what, JSON_ARRAY, false, ret, e);
}

int json_opt_text(const json_t *object, const char *key, const char *what, const char **ret,
		  struct err *e)
{
	return get_text(object, key, what, true, ret, e);
}

int json_opt_object(const json_t *object, const char *key, const char *what, json_t **ret,
		    struct err *e)
{
	return get_container(object, key, what, JSON_OBJECT, true, ret, e);
}

int json_opt_array(const json_t *object, const char *key, const char *what, json_t **ret,
		   struct err *e)
{
	return get_container(object, key, what, JSON_ARRAY, true, ret, e);
}
