/*
 * Every line on stderr is made here, as one write, so that lines of several processes do not
 * mix. What could not be written is dropped: there is nowhere left to complain to.
 */
#include "util/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/json_write.h"
#include "util/mem.h"
#include "util/str.h"

enum {
	MESSAGE_MAX = 64 * 1024, /* longer messages are cut */
	LINE_MAX_BYTES = 1024 * 1024,
	STALL_MS = 1000, /* a reader of a non-blocking stderr that stopped reading */
	COLUMNS_DEFAULT = 80,
};

#define ERASE_LINE "\r\x1b[K"

/* How each level looks. Notes are what the command says in the ordinary course: bare text. */
static const struct {
	const char *name;
	const char *prefix;
	const char *colour;
} levels[] = {
	[LOG_ERROR] = {"error", "error: ", "\x1b[1;31m"},
	[LOG_WARN] = {"warning", "warning: ", "\x1b[1;33m"},
	[LOG_NOTE] = {"note", "", ""},
	[LOG_DEBUG] = {"debug", "debug: ", "\x1b[2m"},
};

/* The state of the process's one log. */
static struct log_options log_options = {
	.level = LOG_NOTE,
	.format = LOG_FORMAT_TEXT,
	.fd = STDERR_FILENO,
};
static bool status_shown;

static void write_out(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t put = write(fd, text, len);

		if (put < 0 && errno == EAGAIN) {
			struct pollfd p = {.fd = fd, .events = POLLOUT};

			if (poll(&p, 1, STALL_MS) > 0)
				continue;
		}
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return;
		text += put;
		len -= (size_t)put;
	}
}

/* Ends `line` and writes it over whatever status is shown. */
static void emit(struct buf *line)
{
	int saved = errno;
	AUTO(buf) whole = BUF_INIT(LINE_MAX_BYTES + sizeof(ERASE_LINE));

	if (status_shown)
		buf_add_c(&whole, ERASE_LINE);
	status_shown = false;
	if (log_options.timestamp && log_options.format == LOG_FORMAT_TEXT) {
		char now[32];

		clock_format_rfc3339(clock_wall_s(), now);
		buf_addf(&whole, "%s ", now);
	}
	buf_add(&whole, line->data, line->len);
	if (line->overflowed)
		buf_add_c(&whole, "...");
	buf_add_byte(&whole, '\n');
	write_out(log_options.fd, buf_text(&whole), whole.len);
	errno = saved;
}

static void add_printable(struct buf *line, const char *text, size_t len)
{
	AUTO_FREE char *printable = str_printable(text, len < MESSAGE_MAX ? len : MESSAGE_MAX);

	buf_add_c(line, printable);
	if (len > MESSAGE_MAX)
		buf_add_c(line, "...");
}

static void add_prefix(struct buf *line, enum log_level level)
{
	bool colour = log_options.colour && *levels[level].colour;

	if (colour)
		buf_add_c(line, levels[level].colour);
	buf_add_c(line, levels[level].prefix);
	if (colour)
		buf_add_c(line, "\x1b[0m");
}

/* An absent member rather than an empty one. */
static void set_text(json_t *object, const char *key, const char *text)
{
	AUTO_FREE char *printable = str_printable(text, strnlen(text, MESSAGE_MAX));

	if (*printable)
		BUG_IF(json_object_set_new(object, key, json_string(printable)) != 0);
}

static void set_number(json_t *object, const char *key, uint32_t number)
{
	if (number > 0)
		BUG_IF(json_object_set_new(object, key, json_integer(number)) != 0);
}

static void emit_json(json_t *object)
{
	AUTO(buf) line = BUF_INIT(LINE_MAX_BYTES);

	if (log_options.timestamp) {
		char now[32];

		clock_format_rfc3339(clock_wall_s(), now);
		set_text(object, "time", now);
	}
	json_write(object, &line);
	json_decref(object);
	emit(&line);
}

static void message(enum log_level level, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
static void message(enum log_level level, const char *fmt, va_list ap)
{
	AUTO(buf) line = BUF_INIT(LINE_MAX_BYTES);
	AUTO_FREE char *text = NULL;
	int saved = errno;

	if (!log_enabled(level))
		return;
	BUG_IF(vasprintf(&text, fmt, ap) < 0);
	errno = saved;
	if (log_options.format == LOG_FORMAT_JSON) {
		json_t *object = json_object();

		set_text(object, "level", levels[level].name);
		set_text(object, "message", text);
		emit_json(object);
		return;
	}
	add_prefix(&line, level);
	add_printable(&line, text, strlen(text));
	emit(&line);
}

void log_setup(const struct log_options *options)
{
	log_options = *options;
	status_shown = false;
}

bool log_enabled(enum log_level level)
{
	return level <= log_options.level;
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(LOG_WARN, fmt, ap);
	va_end(ap);
}

void log_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(LOG_NOTE, fmt, ap);
	va_end(ap);
}

void log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(LOG_DEBUG, fmt, ap);
	va_end(ap);
}

static void err_as_json(const struct err *e)
{
	json_t *object = json_object();

	set_text(object, "level", levels[LOG_ERROR].name);
	set_text(object, "message", e->message);
	set_text(object, "id", e->id);
	set_text(object, "file", e->file);
	set_number(object, "line", e->line);
	set_number(object, "column", e->column);
	set_text(object, "hint", e->hint);
	/* Not through set_text(), which would escape the line breaks that make it lines. */
	json_t *snippet = *e->snippet ? json_string(e->snippet) : NULL;
	if (snippet)
		BUG_IF(json_object_set_new(object, "snippet", snippet) != 0);
	if (log_enabled(LOG_DEBUG) && e->raised_file) {
		set_text(object, "raised_file", e->raised_file);
		set_number(object, "raised_line", e->raised_line);
	}
	emit_json(object);
}

/* The lines are the program's, what stands in one may be the user's and is escaped as ever. */
static void show_snippet(const char *text)
{
	AUTO(buf) line = BUF_INIT(LINE_MAX_BYTES);

	while (*text) {
		size_t len = strcspn(text, "\n");

		buf_clear(&line);
		buf_add_c(&line, "    ");
		add_printable(&line, text, len);
		emit(&line);
		text += len + (text[len] == '\n');
	}
}

static void err_as_text(const struct err *e)
{
	AUTO(buf) line = BUF_INIT(LINE_MAX_BYTES);

	if (*e->file) {
		add_printable(&line, e->file, strlen(e->file));
		if (e->line > 0)
			buf_addf(&line, ":%u", e->line);
		if (e->line > 0 && e->column > 0)
			buf_addf(&line, ":%u", e->column);
		buf_add_c(&line, ": ");
	}
	add_prefix(&line, LOG_ERROR);
	add_printable(&line, e->message, strlen(e->message));
	buf_addf(&line, " [%s]", e->id);
	emit(&line);
	if (*e->hint) {
		buf_clear(&line);
		buf_add_c(&line, "  hint: ");
		add_printable(&line, e->hint, strlen(e->hint));
		emit(&line);
	}
	show_snippet(e->snippet);
	if (log_enabled(LOG_DEBUG) && e->raised_file) {
		buf_clear(&line);
		buf_addf(&line, "  raised at %s:%u", e->raised_file, e->raised_line);
		emit(&line);
	}
}

static void err_to_log(const struct err *e)
{
	if (log_options.format == LOG_FORMAT_JSON)
		err_as_json(e);
	else
		err_as_text(e);
}

void log_err(const struct err *e)
{
	err_to_log(e);
	if (!log_options.errors_too)
		return;
	const struct log_options saved = log_options;

	log_options.fd = STDERR_FILENO;
	log_options.timestamp = false;
	err_to_log(e);
	log_options = saved;
}

/* Tabs stay: they are ordinary in the output of builds and cannot harm a terminal. */
static void add_output(struct buf *line, const char *text, size_t len)
{
	while (len > 0) {
		const char *tab = memchr(text, '\t', len);
		size_t part = tab ? (size_t)(tab - text) : len;

		add_printable(line, text, part);
		if (tab)
			buf_add_byte(line, '\t');
		part += tab != NULL;
		text += part;
		len -= part;
	}
}

void log_output_line(const char *image, const char *line, size_t len_bytes)
{
	AUTO(buf) text = BUF_INIT(LINE_MAX_BYTES);

	if (log_options.format == LOG_FORMAT_TEXT) {
		if (image) {
			add_printable(&text, image, strlen(image));
			buf_add_c(&text, ": ");
		}
		add_output(&text, line, len_bytes);
		emit(&text);
		return;
	}
	json_t *object = json_object();

	add_output(&text, line, len_bytes);
	set_text(object, "level", "output");
	set_text(object, "image", image ? image : "");
	BUG_IF(json_object_set_new(object, "message", json_string(buf_text(&text))) != 0);
	emit_json(object);
}

/* Width for a status: one that wraps could not be erased. 0: not a terminal. */
static size_t status_columns(void)
{
	struct winsize size;

	if (log_options.format != LOG_FORMAT_TEXT ||
	    ioctl(log_options.fd, TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col > 1 ? size.ws_col - 1u : COLUMNS_DEFAULT - 1;
}

void log_status(const char *line)
{
	AUTO(buf) text = BUF_INIT(LINE_MAX_BYTES);
	size_t columns = status_columns();

	if (columns == 0 || (!line && !status_shown))
		return;
	buf_add_c(&text, ERASE_LINE);
	if (line) {
		AUTO_FREE char *printable = str_printable(line, strnlen(line, MESSAGE_MAX));
		size_t len = strnlen(printable, columns);

		/* Not within a character: back to its first byte. */
		while (len > 0 && ((unsigned char)printable[len] & 0xc0) == 0x80)
			len--;
		buf_add(&text, printable, len);
	}
	status_shown = line != NULL;
	write_out(log_options.fd, buf_text(&text), text.len);
}
