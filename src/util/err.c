/*
 * Filling a struct err. Text that does not fit ends in "..." at a character boundary, so that a
 * hostile name can shorten a message but never break it. A NULL `e` means that the caller only
 * wants to know that it failed.
 */
#include "util/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Ends `out`, whose last byte is the NUL of a cut text, in "...". */
static void mark_cut(char *out, size_t size)
{
	size_t at = size - sizeof("...");

	/* Back over continuation bytes: half a character would make the log's text invalid. */
	while (at > 0 && ((unsigned char)out[at] & 0xc0) == 0x80)
		at--;
	memcpy(out + at, "...", sizeof("..."));
}

static void copy_text(char *out, size_t size, const char *text)
{
	size_t len = strlen(text);

	if (len < size) {
		memcpy(out, text, len + 1);
		return;
	}
	memcpy(out, text, size - 1);
	out[size - 1] = '\0';
	mark_cut(out, size);
}

static void format_text(char *out, size_t size, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));
static void format_text(char *out, size_t size, const char *fmt, va_list ap)
{
	int len = vsnprintf(out, size, fmt, ap);

	BUG_IF(len < 0);
	if ((size_t)len >= size)
		mark_cut(out, size);
}

/* `message` must not lie within `e`. */
static void fill(struct err *e, enum err_code code, const char *id, const char *file, int line,
		 const char *message)
{
	*e = (struct err){.code = code, .raised_file = file, .raised_line = (uint32_t)line};
	copy_text(e->id, sizeof(e->id), id);
	copy_text(e->message, sizeof(e->message), message);
}

static void place(struct err *e, const struct pos *pos)
{
	if (!pos || !pos->file)
		return;
	copy_text(e->file, sizeof(e->file), pos->file);
	e->line = pos->line;
	e->column = pos->column;
}

int err_set_(struct err *e, enum err_code code, const char *id, const char *file, int line,
	     const char *fmt, ...)
{
	/* Apart from `e`: the arguments may point into the message that is being replaced. */
	char message[ERR_MESSAGE_MAX];
	va_list ap;

	if (!e)
		return -1;
	va_start(ap, fmt);
	format_text(message, sizeof(message), fmt, ap);
	va_end(ap);
	fill(e, code, id, file, line, message);
	return -1;
}

int err_sys_(struct err *e, const char *file, int line, const char *fmt, ...)
{
	int saved = errno;
	/* Leaves room for the reason, which matters more than the end of a long path. */
	char what[ERR_MESSAGE_MAX - 128];
	char message[ERR_MESSAGE_MAX];
	va_list ap;

	if (!e)
		return -1;
	va_start(ap, fmt);
	format_text(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(message, sizeof(message), "%s: %.120s", what, strerror(saved));
	fill(e, ERR_SYSTEM, "system/call", file, line, message);
	e->saved_errno = saved;
	errno = saved;
	return -1;
}

int err_at_(struct err *e, const struct pos *pos, const char *id, const char *file, int line,
	    const char *fmt, ...)
{
	char message[ERR_MESSAGE_MAX];
	va_list ap;

	if (!e)
		return -1;
	va_start(ap, fmt);
	format_text(message, sizeof(message), fmt, ap);
	va_end(ap);
	fill(e, ERR_RECIPE, id, file, line, message);
	place(e, pos);
	return -1;
}

int err_hint(struct err *e, const char *fmt, ...)
{
	char hint[ERR_HINT_MAX];
	va_list ap;

	if (!e)
		return -1;
	va_start(ap, fmt);
	format_text(hint, sizeof(hint), fmt, ap);
	va_end(ap);
	memcpy(e->hint, hint, sizeof(hint));
	return -1;
}

int err_snippet(struct err *e, const char *fmt, ...)
{
	char snippet[ERR_SNIPPET_MAX];
	va_list ap;

	if (!e)
		return -1;
	va_start(ap, fmt);
	format_text(snippet, sizeof(snippet), fmt, ap);
	va_end(ap);
	memcpy(e->snippet, snippet, sizeof(snippet));
	return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	/* Room for both halves whole; the cut is made once, at the end. */
	char joined[2 * ERR_MESSAGE_MAX + 2];
	char context[ERR_MESSAGE_MAX];
	va_list ap;

	if (!e)
		return -1;
	va_start(ap, fmt);
	format_text(context, sizeof(context), fmt, ap);
	va_end(ap);
	snprintf(joined, sizeof(joined), "%s: %s", context, e->message);
	copy_text(e->message, sizeof(e->message), joined);
	return -1;
}

int err_locate(struct err *e, const struct pos *pos)
{
	if (e && e->line == 0)
		place(e, pos);
	return -1;
}

int err_recode(struct err *e, enum err_code code, const char *id)
{
	if (!e)
		return -1;
	e->code = code;
	copy_text(e->id, sizeof(e->id), id);
	return -1;
}

_Noreturn void err_bug(const char *what, const char *file, int line)
{
	dprintf(STDERR_FILENO, "error: broken invariant '%s' at %s:%d, please report it\n",
		what, file, line);
	abort();
}
