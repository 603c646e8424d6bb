/*
 * URLs and redirects: the first line is a URL, the second a Location header. What is accepted
 * is plain, is accepted again in its normal form unchanged, and never leads from https to http
 * or to another protocol.
 */
#include <stdint.h>
#include <string.h>

#include "inputs/url.h"
#include "util/mem.h"
#include "util/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_url(const struct url *u)
{
	AUTO(url) again = {0};
	struct err e = ERR_INIT;

	BUG_IF(!str_has_prefix(u->text, "http://") && !str_has_prefix(u->text, "https://"));
	BUG_IF(strpbrk(u->text, " \t\r\n\\#"));
	BUG_IF(!*u->host || strpbrk(u->host, "@/%?") || u->port == 0 || u->path[0] != '/');
	BUG_IF(url_parse(u->text, &again, &e) < 0);
	BUG_IF(!str_same(again.text, u->text) || !str_same(again.host, u->host));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *newline = memchr(data, '\n', size);
	size_t first_len = newline ? (size_t)(newline - data) : size;
	AUTO_FREE char *text = mem_strndup((const char *)data, first_len);
	AUTO(url) u = {0};
	AUTO(url) next = {0};
	struct err e = ERR_INIT;

	if (url_parse(text, &u, &e) < 0) {
		BUG_IF(e.code != ERR_INPUT || u.text);
		return 0;
	}
	check_url(&u);
	if (!newline)
		return 0;
	AUTO_FREE char *location = mem_strndup((const char *)newline + 1, size - first_len - 1);

	if (url_redirect(&u, location, &next, &e) < 0)
		return 0;
	check_url(&next);
	BUG_IF(str_same(u.scheme, "https") && !str_same(next.scheme, "https"));
	return 0;
}
