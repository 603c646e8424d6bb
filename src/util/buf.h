/*
 * A growing byte buffer that cannot be made without its maximum. Adding past it does not fail
 * at each call: the buffer becomes `overflowed` and drops everything further; who fills it from
 * input asks once with buf_check(). `data` is always NUL-terminated and may hold NULs.
 */
#ifndef UTIL_BUF_H
#define UTIL_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

struct buf {
	char *data; /* NULL while nothing was added */
	size_t len;
	size_t cap;
	size_t max_bytes;
	bool overflowed;
};

#define BUF_INIT(max)                                                                          \
	{                                                                                      \
		.max_bytes = (max)                                                             \
	}

void buf_cleanup(struct buf *b);
void buf_clear(struct buf *b);
void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_add_c(struct buf *b, const char *text);
void buf_add_byte(struct buf *b, char byte);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Fails with ERR_INPUT "input/too-big" naming `what` and the maximum, if anything was dropped. */
int buf_check(const struct buf *b, const char *what, struct err *e) WARN_UNUSED;
/* The text, "" when empty; never NULL. */
const char *buf_text(const struct buf *b);
/* Hands the allocation to the caller and empties the buffer; never NULL. */
char *buf_take(struct buf *b);

#endif
