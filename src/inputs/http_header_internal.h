/*
 * The few header fields of an HTTP response that a download depends on, collected line by line
 * from a server that is not trusted. A field that is malformed or given twice with different
 * values makes the response unusable rather than being guessed at. No allocation.
 */
#ifndef INPUTS_HTTP_HEADER_INTERNAL_H
#define INPUTS_HTTP_HEADER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/limits.h"

enum { HTTP_VALIDATOR_MAX = 256 };

struct http_range {
	uint64_t start, end; /* inclusive */
	uint64_t total;
	bool has_total;
};

struct http_head {
	unsigned status; /* of the response the lines belong to; 0 before the first */
	bool complete;	 /* the empty line was seen */
	bool malformed;	 /* contradictory or unreadable fields */
	bool chunked;	 /* any Transfer-Encoding */
	bool encoded;	 /* a Content-Encoding other than identity */
	bool has_length;
	bool has_range;
	bool has_location;
	bool has_retry_after;
	uint64_t length;	 /* Content-Length */
	struct http_range range; /* Content-Range */
	uint64_t retry_after_s;
	char validator[HTTP_VALIDATOR_MAX]; /* strong ETag, else Last-Modified, else "" */
	char location[LIMIT_URL_BYTES + 1];
};

/* Takes one line as received, with or without its CRLF. A status line starts over, so that what
 * an interim (1xx) response said is forgotten. */
void http_head_line(struct http_head *h, const char *line, size_t len);

/* "bytes 0-99/100" or "bytes 0-99/<star>"; anything else is false. */
bool http_parse_content_range(const char *text, size_t len, struct http_range *ret);
/* Delta seconds only: the date form would bring the wall clock in. */
bool http_parse_retry_after(const char *text, size_t len, uint64_t *ret_s);

#endif
