/* Text helpers. UTF-8 is decoded in one place; everything that classifies characters uses it.
 */
#include "util/str.h"

#include <stdint.h>
#include <string.h>

#include "util/mem.h"

/* Longest text that is worth a suggestion; the table below is on the stack. */
enum { DISTANCE_LEN_MAX = 64 };

/* Length of the well-formed character at `text`, 0 if there is none (RFC 3629 section 4). */
static size_t utf8_decode(const char *text, size_t len, uint32_t *ret_code)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *byte = (const unsigned char *)text;
	size_t need;
	uint32_t code;

	if (len == 0)
		return 0;
	if (byte[0] < 0x80) {
		*ret_code = byte[0];
		return 1;
	}
	if (byte[0] >= 0xc2 && byte[0] <= 0xdf) {
		need = 2;
		code = byte[0] & 0x1fu;
	} else if ((byte[0] & 0xf0) == 0xe0) {
		need = 3;
		code = byte[0] & 0x0fu;
	} else if (byte[0] >= 0xf0 && byte[0] <= 0xf4) {
		need = 4;
		code = byte[0] & 0x07u;
	} else {
		return 0;
	}
	if (len < need)
		return 0;
	for (size_t i = 1; i < need; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (byte[i] & 0x3fu);
	}
	if (code < smallest[need] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return need;
}

/* What can move a terminal's cursor, start a line, reorder what is shown (CVE-2021-42574) or be
 * there without being seen. */
static bool drives_display(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x061c ||
	       (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x206f) || code == 0xfeff ||
	       (code >= 0xe0000 && code <= 0xe007f);
}

struct str str_of(const char *text)
{
	return (struct str){text, strlen(text)};
}

bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool str_eq_c(struct str a, const char *b)
{
	return str_eq(a, str_of(b));
}

bool str_has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_has_suffix(const char *text, const char *suffix)
{
	size_t text_len = strlen(text);
	size_t suffix_len = strlen(suffix);

	return suffix_len <= text_len && strcmp(text + text_len - suffix_len, suffix) == 0;
}

bool str_same(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return strcmp(a, b) == 0;
}

bool str_is_any(const char *text, const char *const *list)
{
	for (; *list; list++) {
		if (str_same(text, *list))
			return true;
	}
	return false;
}

size_t str_name_len(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len &&
	       ((text[n] >= 'a' && text[n] <= 'z') || (text[n] >= 'A' && text[n] <= 'Z') ||
		(text[n] >= '0' && text[n] <= '9') || text[n] == '_'))
		n++;
	return n;
}

int str_compare_ptr(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool str_is_utf8(const char *text, size_t len)
{
	uint32_t code;

	for (size_t at = 0, step; at < len; at += step) {
		step = utf8_decode(text + at, len - at, &code);
		if (step == 0)
			return false;
	}
	return true;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned str_distance(const char *a, const char *b, unsigned max)
{
	unsigned rows[3][DISTANCE_LEN_MAX + 1];
	size_t a_len = strlen(a);
	size_t b_len = strlen(b);

	if (a_len > DISTANCE_LEN_MAX || b_len > DISTANCE_LEN_MAX)
		return strcmp(a, b) == 0 ? 0 : max + 1;
	for (unsigned j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a_len; i++) {
		unsigned *row = rows[i % 3];
		const unsigned *above = rows[(i + 2) % 3];
		const unsigned *two_above = rows[(i + 1) % 3];

		row[0] = i;
		for (unsigned j = 1; j <= b_len; j++) {
			bool same = a[i - 1] == b[j - 1];

			row[j] = least(above[j - 1] + !same, least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], two_above[j - 2] + 1);
		}
	}
	return least(rows[a_len % 3][b_len], max + 1);
}

const char *str_nearest(const char *text, const char *const *names, size_t names_len)
{
	size_t len = strlen(text);
	const char *nearest = NULL;

	/* One slip is forgiven in two letters; of one letter nothing would be left. */
	if (len < 2 || len > DISTANCE_LEN_MAX)
		return NULL;
	unsigned best = (unsigned)(len < 3 ? 1 : len / 3) + 1;

	for (size_t i = 0; i < names_len; i++) {
		unsigned distance = str_distance(text, names[i], best);

		if (distance < best) {
			best = distance;
			nearest = names[i];
		}
	}
	return nearest;
}

char *str_printable(const char *text, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char *copy = mem_realloc_array(NULL, len + 1, sizeof("\\xNN") - 1);
	size_t out = 0;
	uint32_t code;

	for (size_t at = 0, step; at < len; at += step) {
		step = utf8_decode(text + at, len - at, &code);
		bool plain = step > 0 && !drives_display(code);

		if (step == 0)
			step = 1;
		if (plain) {
			memcpy(copy + out, text + at, step);
			out += step;
			continue;
		}
		for (size_t i = 0; i < step; i++) {
			unsigned char byte = (unsigned char)text[at + i];

			copy[out++] = '\\';
			copy[out++] = 'x';
			copy[out++] = digits[byte >> 4];
			copy[out++] = digits[byte & 15];
		}
	}
	copy[out] = '\0';
	return mem_realloc_array(copy, out + 1, 1);
}
