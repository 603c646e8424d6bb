/*
 * Reads response header fields by RFC 9110's grammar and no wider. libcurl has parsed the
 * message framing by then; here it is only decided what a response means for a download.
 */
#include "inputs/http_header_internal.h"

#include <string.h>
#include <strings.h>

#include "util/num.h"
#include "util/str.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct str trim(struct str s)
{
	while (s.len > 0 && is_blank(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

static bool is_field(struct str name, const char *wanted)
{
	return name.len == strlen(wanted) && strncasecmp(name.ptr, wanted, name.len) == 0;
}

/* Digits up to `end`, which must be there; moves past it. */
static bool take_number(struct str *s, char end, uint64_t *ret)
{
	const char *stop = memchr(s->ptr, end, s->len);
	size_t len = stop ? (size_t)(stop - s->ptr) : 0;

	if (!stop || !num_parse_u64(s->ptr, len, INT64_MAX, ret))
		return false;
	s->ptr += len + 1;
	s->len -= len + 1;
	return true;
}

bool http_parse_content_range(const char *text, size_t len, struct http_range *ret)
{
	struct str s = {text, len};
	struct http_range r = {.has_total = true};

	if (s.len < 6 || strncasecmp(s.ptr, "bytes ", 6) != 0)
		return false;
	s = trim((struct str){s.ptr + 6, s.len - 6});
	if (!take_number(&s, '-', &r.start) || !take_number(&s, '/', &r.end) || r.end < r.start)
		return false;
	if (str_eq_c(s, "*"))
		r.has_total = false;
	else if (!num_parse_u64(s.ptr, s.len, INT64_MAX, &r.total) || r.total <= r.end)
		return false;
	*ret = r;
	return true;
}

bool http_parse_retry_after(const char *text, size_t len, uint64_t *ret_s)
{
	return num_parse_u64(text, len, UINT32_MAX, ret_s);
}

/* "HTTP/1.1 206 Partial Content" */
static void read_status(struct http_head *h, struct str line)
{
	const char *space = memchr(line.ptr, ' ', line.len);
	uint64_t status;

	memset(h, 0, sizeof(*h));
	if (space) {
		struct str rest =
			trim((struct str){space, (size_t)(line.ptr + line.len - space)});
		const char *end = memchr(rest.ptr, ' ', rest.len);
		size_t len = end ? (size_t)(end - rest.ptr) : rest.len;

		if (len == 3 && num_parse_u64(rest.ptr, len, 599, &status) && status >= 100) {
			h->status = (unsigned)status;
			return;
		}
	}
	h->malformed = true;
}

static void read_length(struct http_head *h, struct str value)
{
	uint64_t length;

	if (!num_parse_u64(value.ptr, value.len, INT64_MAX, &length) ||
	    (h->has_length && h->length != length)) {
		h->malformed = true;
		return;
	}
	h->has_length = true;
	h->length = length;
}

static void read_range(struct http_head *h, struct str value)
{
	/* An unreadable one is as good as none: the caller then starts over. */
	h->has_range =
		!h->has_range && http_parse_content_range(value.ptr, value.len, &h->range);
}

static void read_location(struct http_head *h, struct str value)
{
	if (h->has_location || value.len >= sizeof(h->location) ||
	    memchr(value.ptr, '\0', value.len)) {
		h->malformed = true;
		return;
	}
	h->has_location = true;
	memcpy(h->location, value.ptr, value.len);
	h->location[value.len] = '\0';
}

static bool is_printable(struct str value)
{
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.ptr[i] < ' ' || (unsigned char)value.ptr[i] >= 0x7f)
			return false;
	return true;
}

/* Kept to be sent back in If-Range, so it must not be able to form a second header line. Weak
 * tags ("W/...") promise no equal bytes. */
static void read_validator(struct http_head *h, struct str value, bool is_etag)
{
	if (value.len == 0 || value.len >= sizeof(h->validator) || !is_printable(value))
		return;
	if (is_etag ? value.ptr[0] != '"' : h->validator[0] != '\0')
		return;
	memcpy(h->validator, value.ptr, value.len);
	h->validator[value.len] = '\0';
}

static void read_field(struct http_head *h, struct str name, struct str value)
{
	if (is_field(name, "content-length"))
		read_length(h, value);
	else if (is_field(name, "content-range"))
		read_range(h, value);
	else if (is_field(name, "location"))
		read_location(h, value);
	else if (is_field(name, "etag"))
		read_validator(h, value, true);
	else if (is_field(name, "last-modified"))
		read_validator(h, value, false);
	else if (is_field(name, "transfer-encoding"))
		h->chunked = true;
	else if (is_field(name, "content-encoding"))
		h->encoded |= value.len != 0 && !is_field(value, "identity");
	else if (is_field(name, "retry-after"))
		h->has_retry_after =
			http_parse_retry_after(value.ptr, value.len, &h->retry_after_s);
}

void http_head_line(struct http_head *h, const char *line, size_t len)
{
	struct str s = {line, len};

	while (s.len > 0 && (s.ptr[s.len - 1] == '\n' || s.ptr[s.len - 1] == '\r'))
		s.len--;
	/* Later lines that look like a status line are fields or trailers made to confuse. */
	bool expect_status =
		(h->status == 0 && !h->malformed) || (h->complete && h->status < 200);

	if (expect_status && s.len >= 5 && strncmp(s.ptr, "HTTP/", 5) == 0) {
		read_status(h, s);
		return;
	}
	if (s.len == 0) {
		h->complete = true;
		return;
	}
	/* After the empty line only trailers of a chunked body come; they change nothing. */
	const char *colon = memchr(s.ptr, ':', s.len);

	if (h->complete || !colon)
		return;
	struct str name = {s.ptr, (size_t)(colon - s.ptr)};
	struct str value = {colon + 1, (size_t)(s.ptr + s.len - colon - 1)};

	read_field(h, name, trim(value));
}
