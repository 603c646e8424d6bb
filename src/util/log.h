/*
 * The one writer to stderr. Levels error, warn, note, debug; text or JSON lines. Control bytes
 * in arguments are escaped, so that a name in an archive cannot drive the terminal. stdout is
 * only for results and is not touched here.
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <stdbool.h>

#include "util/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_NOTE, LOG_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_options {
	enum log_level level; /* messages above it are dropped */
	enum log_format format;
	bool colour;	 /* text only */
	bool timestamp;	 /* of wall time, in each line */
	bool errors_too; /* errors go to standard error besides `fd` */
	int fd;		 /* usually 2; borrowed */
};

void log_setup(const struct log_options *options);
bool log_enabled(enum log_level level);

void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* `stacker.yaml:12:7: error: MESSAGE [id]`, then `  hint: HINT`; the raising place with debug. */
void log_err(const struct err *e);
/* Output bytes of a step, line by line, unlevelled; escaped like everything else. */
void log_output_line(const char *image, const char *line, size_t len_bytes);
/* One transient status line on a terminal (progress), erased by the next message; NULL erases. */
void log_status(const char *line);

#endif
