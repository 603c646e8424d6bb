/*
 * Response headers, line by line: what is collected is consistent, and what is sent back in a
 * later request (the validator) cannot form a header line of its own.
 */
#include <stdint.h>
#include <string.h>

#include "inputs/http_header_internal.h"
#include "util/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data;
	const char *end = at + size;
	struct http_head h = {0};

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t len = newline ? (size_t)(newline + 1 - at) : (size_t)(end - at);

		http_head_line(&h, at, len);
		at += len;
	}
	BUG_IF(h.status != 0 && (h.status < 100 || h.status > 599));
	BUG_IF(h.has_range && h.range.start > h.range.end);
	BUG_IF(h.has_range && h.range.has_total && h.range.total <= h.range.end);
	BUG_IF(strlen(h.validator) >= sizeof(h.validator) || strpbrk(h.validator, "\r\n"));
	BUG_IF(strlen(h.location) >= sizeof(h.location));
	return 0;
}
