/*
 * What a registry sends in header fields: challenges, links, ranges of uploads. Whatever comes
 * out is terminated, holds no control byte that could begin another field, and parsing ends.
 */
#include <stdint.h>
#include <string.h>

#include "inputs/registry_header_internal.h"
#include "util/err.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_text(const char *text, size_t cap)
{
	BUG_IF(strnlen(text, cap) == cap);
	BUG_IF(strpbrk(text, "\r\n"));
}

static void parse_challenges(const char *bytes, size_t size)
{
	struct registry_challenge *c = mem_zalloc(1, sizeof(*c));
	struct str text = {bytes, size};
	size_t before = size + 1;

	while (registry_next_challenge(&text, c)) {
		BUG_IF(text.len >= before);
		before = text.len;
		BUG_IF(text.ptr + text.len != bytes + size);
		expect_text(c->scheme, sizeof(c->scheme));
		expect_text(c->realm, sizeof(c->realm));
		expect_text(c->service, sizeof(c->service));
		expect_text(c->error, sizeof(c->error));
	}
	free(c);
}

static void parse_lines(const char *at, size_t size)
{
	struct registry_head *h = mem_zalloc(1, sizeof(*h));
	const char *end = at + size;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t len = newline ? (size_t)(newline + 1 - at) : (size_t)(end - at);

		registry_head_line(h, at, len);
		at += len;
	}
	expect_text(h->media_type, sizeof(h->media_type));
	expect_text(h->subject, sizeof(h->subject));
	expect_text(h->warning, sizeof(h->warning));
	BUG_IF(strnlen(h->challenges, sizeof(h->challenges)) == sizeof(h->challenges));
	BUG_IF(strnlen(h->next, sizeof(h->next)) == sizeof(h->next));
	free(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	char link[128];
	uint64_t uploaded = 0;

	parse_challenges(bytes, size);
	parse_lines(bytes, size);
	if (registry_find_link((struct str){bytes, size}, "next", link, sizeof(link)))
		BUG_IF(strnlen(link, sizeof(link)) == sizeof(link) || !*link);
	if (registry_parse_uploaded((struct str){bytes, size}, &uploaded))
		BUG_IF(uploaded > (uint64_t)INT64_MAX);
	return 0;
}
