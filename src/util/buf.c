/* The capped byte buffer. `cap` counts the closing NUL, `max_bytes` does not. */
#include "util/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/mem.h"
#include "util/num.h"

/* False, marking the overflow, unless `len` more bytes and a NUL fit now. */
static bool make_room(struct buf *b, size_t len)
{
	if (b->overflowed || len > b->max_bytes - b->len) {
		b->overflowed = true;
		return false;
	}
	size_t need = b->len + len + 1;

	BUG_IF(need == 0); /* max_bytes is SIZE_MAX and was reached */
	if (need <= b->cap)
		return true;
	size_t cap = b->cap > SIZE_MAX / 2 ? need : b->cap * 2;
	if (cap < need)
		cap = need < 64 ? 64 : need;
	b->data = mem_realloc_array(b->data, cap, 1);
	b->cap = cap;
	return true;
}

void buf_cleanup(struct buf *b)
{
	mem_free_cleanup(&b->data);
	b->len = 0;
	b->cap = 0;
	b->overflowed = false;
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->overflowed = false;
	if (b->data)
		b->data[0] = '\0';
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
	if (len == 0 || !make_room(b, len))
		return;
	memcpy(b->data + b->len, bytes, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_add_c(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_add_byte(struct buf *b, char byte)
{
	buf_add(b, &byte, 1);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_list again;

	va_start(ap, fmt);
	va_copy(again, ap);
	int len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	BUG_IF(len < 0);
	if (len > 0 && make_room(b, (size_t)len)) {
		vsnprintf(b->data + b->len, (size_t)len + 1, fmt, again);
		b->len += (size_t)len;
	}
	va_end(again);
}

int buf_check(const struct buf *b, const char *what, struct err *e)
{
	char max[32];

	if (!b->overflowed)
		return 0;
	num_format_size(b->max_bytes, max);
	return err_set(e, ERR_INPUT, "input/too-big", "'%s' is larger than %s (%zu bytes)",
		       what, max, b->max_bytes);
}

const char *buf_text(const struct buf *b)
{
	return b->data ? b->data : "";
}

char *buf_take(struct buf *b)
{
	char *data = b->data ? TAKE_PTR(b->data) : mem_strdup("");

	buf_cleanup(b);
	return data;
}
