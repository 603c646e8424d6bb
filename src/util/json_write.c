/*
 * Canonical JSON out: RFC 8785 sections 3.2.2 and 3.2.3 for documents without real numbers.
 * Text is UTF-8 already, since jansson takes nothing else, and is passed through but for the
 * escapes.
 */
#include "util/json_write.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

enum {
	PROFILE_DEPTH = 64,  /* reference/audit.md section 7 */
	WRITER_DEPTH = 2048, /* what jansson itself can parse: beyond it is a cycle of ours */
};

/* The largest integer that every reader of JSON holds exactly (RFC 7493 section 2.2). */
#define INTEGER_MAX ((INT64_C(1) << 53) - 1)

static const char profile_key_bytes[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					"0123456789._/:@+-";

/* jansson's iterators want a mutable object, though they only read. */
static json_t *iterable(const json_t *value)
{
	return (json_t *)(uintptr_t)value;
}

static void write_text(const char *text, size_t len, struct buf *out)
{
	static const char named[] = "\b\t\n\f\r\"\\";
	static const char letters[] = "btnfr\"\\";
	size_t plain = 0; /* start of what needs no escape */

	buf_add_byte(out, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)text[i];
		const char *hit = byte != 0 ? strchr(named, byte) : NULL;

		if (byte >= 0x20 && !hit)
			continue;
		buf_add(out, text + plain, i - plain);
		plain = i + 1;
		if (hit)
			buf_addf(out, "\\%c", letters[hit - named]);
		else
			buf_addf(out, "\\u%04x", byte);
	}
	buf_add(out, text + plain, len - plain);
	buf_add_byte(out, '"');
}

/*
 * UTF-16 order of UTF-8 bytes. The two orders differ only between characters beyond U+FFFF
 * (lead bytes f0 to f4; in UTF-16 surrogates, d800 to dfff) and U+E000 to U+FFFF (lead bytes ee
 * and ef): moving ee and ef above f4 makes byte order the same as UTF-16 order.
 */
static int compare_keys(const void *a, const void *b)
{
	const unsigned char *left = *(const unsigned char *const *)a;
	const unsigned char *right = *(const unsigned char *const *)b;

	while (*left && *left == *right) {
		left++;
		right++;
	}
	int l = *left == 0xee || *left == 0xef ? *left + 0x10 : *left;
	int r = *right == 0xee || *right == 0xef ? *right + 0x10 : *right;

	return (l > r) - (l < r);
}

static void write_value(const json_t *value, unsigned depth, struct buf *out);

static void write_object(const json_t *object, unsigned depth, struct buf *out)
{
	size_t len = json_object_size(object);
	AUTO_FREE const char **keys = mem_realloc_array(NULL, len, sizeof(*keys));
	const char *key;
	json_t *member;
	size_t at = 0;

	json_object_foreach(iterable(object), key, member) keys[at++] = key;
	qsort(keys, len, sizeof(*keys), compare_keys);
	buf_add_byte(out, '{');
	for (size_t i = 0; i < len; i++) {
		if (i > 0)
			buf_add_byte(out, ',');
		write_text(keys[i], strlen(keys[i]), out);
		buf_add_byte(out, ':');
		write_value(json_object_get(object, keys[i]), depth + 1, out);
	}
	buf_add_byte(out, '}');
}

static void write_array(const json_t *array, unsigned depth, struct buf *out)
{
	buf_add_byte(out, '[');
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (i > 0)
			buf_add_byte(out, ',');
		write_value(json_array_get(array, i), depth + 1, out);
	}
	buf_add_byte(out, ']');
}

static bool integer_fits(const json_t *value)
{
	json_int_t number = json_integer_value(value);

	return number >= -INTEGER_MAX && number <= INTEGER_MAX;
}

static void write_value(const json_t *value, unsigned depth, struct buf *out)
{
	BUG_IF(!value || depth > WRITER_DEPTH);
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		write_object(value, depth, out);
		return;
	case JSON_ARRAY:
		write_array(value, depth, out);
		return;
	case JSON_STRING:
		write_text(json_string_value(value), json_string_length(value), out);
		return;
	case JSON_INTEGER:
		BUG_IF(!integer_fits(value));
		buf_addf(out, "%lld", (long long)json_integer_value(value));
		return;
	case JSON_TRUE:
		buf_add_c(out, "true");
		return;
	case JSON_FALSE:
		buf_add_c(out, "false");
		return;
	case JSON_NULL:
		buf_add_c(out, "null");
		return;
	case JSON_REAL:
		break;
	}
	err_bug("a real number in canonical JSON", __FILE__, __LINE__);
}

void json_write(const json_t *value, struct buf *out)
{
	write_value(value, 0, out);
}

static int refuse(const char *key, const char *why, struct err *e)
{
	return err_set(e, ERR_INPUT, "json/profile", "member '%s' %s", key, why);
}

/* `key` is the nearest member's, for the error; `depth` counts the containers around `value`.
 */
static int check_value(const json_t *value, const char *key, unsigned depth, struct err *e)
{
	const char *name;
	json_t *member;

	if (depth + (json_is_object(value) || json_is_array(value)) > PROFILE_DEPTH)
		return refuse(key, "is nested deeper than 64 levels", e);
	if (json_is_null(value))
		return refuse(key, "is null; leave it out instead", e);
	if (json_is_real(value))
		return refuse(key, "is not an integer", e);
	if (json_is_integer(value) && !integer_fits(value))
		return refuse(key, "is beyond 2^53-1; write it as text", e);
	if (json_is_string(value) &&
	    memchr(json_string_value(value), 0, json_string_length(value)))
		return refuse(key, "contains a NUL", e);
	for (size_t i = 0; i < json_array_size(value); i++) {
		if (check_value(json_array_get(value, i), key, depth + 1, e) < 0)
			return -1;
	}
	json_object_foreach(iterable(value), name, member)
	{
		if (!*name || name[strspn(name, profile_key_bytes)])
			return refuse(name, "has a name outside [A-Za-z0-9._/:@+-]+", e);
		if (check_value(member, name, depth + 1, e) < 0)
			return -1;
	}
	return 0;
}

int json_write_profile(const json_t *value, struct buf *out, struct err *e)
{
	if (check_value(value, "", 0, e) < 0)
		return -1;
	json_write(value, out);
	return buf_check(out, "canonical JSON", e);
}
