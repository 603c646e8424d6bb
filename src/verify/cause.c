/* Each test masks what its cause would change and asks whether the rest is equal. */
#include "verify/cause.h"

#include <stdlib.h>
#include <string.h>

#include "util/mem.h"
#include "util/str.h"
#include "util/vec.h"

enum { RANDOM_RUN_MIN = 8 }; /* shorter runs are words */

static const char *const names[CAUSES] = {
	[CAUSE_UNEXPLAINED] = "unexplained", [CAUSE_ORDERING] = "ordering",
	[CAUSE_TIMESTAMP] = "timestamp",     [CAUSE_NUMBER] = "number",
	[CAUSE_RANDOM] = "random",
};

const char *cause_name(enum cause cause)
{
	BUG_IF((size_t)cause >= CAUSES);
	return names[cause];
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && memcmp(buf_text(a), buf_text(b), a->len) == 0;
}

static bool is_text(const struct buf *b)
{
	return b->len > 0 && !memchr(b->data, '\0', b->len);
}

/* Runs of at least `min` bytes that `belongs` takes become one '#'. */
static void mask(const struct buf *from, bool (*belongs)(char c), size_t min, struct buf *ret)
{
	for (size_t i = 0; i < from->len;) {
		size_t run = 0;
		while (i + run < from->len && belongs(from->data[i + run]))
			run++;
		if (run >= min)
			buf_add_byte(ret, '#');
		else
			buf_add(ret, from->data + i, run ? run : 1);
		i += run ? run : 1;
	}
}

static bool equal_when_masked(const struct buf *a, const struct buf *b, bool (*belongs)(char c),
			      size_t min)
{
	AUTO(buf) ma = BUF_INIT(a->len + 1);
	AUTO(buf) mb = BUF_INIT(b->len + 1);
	mask(a, belongs, min, &ma);
	mask(b, belongs, min, &mb);
	return same(&ma, &mb);
}

/* The lines, sorted; the text is cut up for it. */
static void sorted_lines(const struct buf *from, char **text, struct strvec *ret)
{
	*text = mem_strndup(from->data, from->len);
	for (char *line = *text; line;) {
		char *end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		vec_push(ret, line);
		line = end;
	}
	qsort(ret->items, ret->len, sizeof(*ret->items), str_compare_ptr);
}

static bool same_lines(const struct buf *a, const struct buf *b)
{
	AUTO_FREE char *ta = NULL;
	AUTO_FREE char *tb = NULL;
	struct strvec la = {0};
	struct strvec lb = {0};
	sorted_lines(a, &ta, &la);
	sorted_lines(b, &tb, &lb);
	bool equal = la.len == lb.len;
	for (size_t i = 0; equal && i < la.len; i++)
		equal = str_same(la.items[i], lb.items[i]);
	vec_free(&la); /* the lines belong to the texts */
	vec_free(&lb);
	return equal;
}

/* "12:34" or a number of ten digits, which seconds since 1970 have from 2001 to 2286. */
static bool looks_like_time(const struct buf *b)
{
	size_t run = 0;
	for (size_t i = 0; i < b->len; i++) {
		run = is_digit(b->data[i]) ? run + 1 : 0;
		bool ends = i + 1 == b->len || !is_digit(b->data[i + 1]);
		if (run == 10 && ends)
			return true;
		if (run == 2 && i + 2 < b->len && b->data[i + 1] == ':' &&
		    is_digit(b->data[i + 2]))
			return true;
	}
	return false;
}

enum cause cause_of_content(const struct buf *a, const struct buf *b)
{
	if (!is_text(a) || !is_text(b) || same(a, b))
		return CAUSE_UNEXPLAINED;
	if (same_lines(a, b))
		return CAUSE_ORDERING;
	if (equal_when_masked(a, b, is_digit, 1))
		return looks_like_time(a) && looks_like_time(b) ? CAUSE_TIMESTAMP
								: CAUSE_NUMBER;
	if (equal_when_masked(a, b, is_word, RANDOM_RUN_MIN))
		return CAUSE_RANDOM;
	return CAUSE_UNEXPLAINED;
}
