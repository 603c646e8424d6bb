/*
 * URLs by libcurl's parser, the same one that later talks to the server, so that no second
 * opinion about what a URL names can be exploited. What the parser lets through but nobody
 * needs (user info, fragments, escaped or non-ASCII hosts, white space) is refused before and
 * after it.
 */
#include "inputs/url.h"

#include <curl/curl.h>
#include <string.h>

#include "util/limits.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/str.h"

struct curl_text {
	char *text; /* libcurl's allocation */
};

static void curl_text_cleanup(struct curl_text *t)
{
	curl_free(t->text);
	t->text = NULL;
}

struct curl_handle {
	CURLU *u;
};

static void curl_handle_cleanup(struct curl_handle *h)
{
	curl_url_cleanup(h->u);
	h->u = NULL;
}

void url_cleanup(struct url *u)
{
	mem_free_cleanup(&u->text);
	mem_free_cleanup(&u->scheme);
	mem_free_cleanup(&u->host);
	mem_free_cleanup(&u->path);
}

static void url_move(struct url *to, struct url *from)
{
	*to = *from;
	memset(from, 0, sizeof(*from));
}

/* Printable ASCII without space and backslash. Some parsers take "\" for "/", and then disagree
 * about where the host ends. */
static bool is_url_text(const char *text)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || *p == '\\')
			return false;
	return true;
}

static bool is_host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
	       c == '_';
}

/* A name or IPv4 address, or an IPv6 address in brackets without a zone (which would be a host
 * fact). A trailing dot names the same host by another text, so it is refused. */
static bool is_host(const char *host)
{
	size_t len = strlen(host);

	if (len == 0 || len > 255 || host[len - 1] == '.')
		return false;
	if (host[0] == '[') {
		if (len < 4 || host[len - 1] != ']')
			return false;
		return strspn(host + 1, "0123456789abcdef:.") == len - 2;
	}
	for (const char *p = host; *p; p++)
		if (!is_host_byte(*p))
			return false;
	return true;
}

static void to_lower(char *text)
{
	for (char *p = text; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
}

static int err_malformed(const char *text, const char *why, struct err *e)
{
	AUTO_FREE char *shown = str_printable(text, strnlen(text, 256));

	return err_set(e, ERR_INPUT, "url/malformed",
		       "'%s' is not a URL that can be fetched: %s", shown, why);
}

static size_t scheme_len(const char *text)
{
	return strspn(text,
		      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
}

/* The authority as written, to look for what the parser would accept and rewrite. */
static int check_text(const char *text, struct err *e)
{
	const char *authority = strstr(text, "://");

	if (strlen(text) > LIMIT_URL_BYTES)
		return err_set(e, ERR_INPUT, "url/too-long", "URL is longer than %d bytes",
			       LIMIT_URL_BYTES);
	if (!is_url_text(text))
		return err_malformed(
			text, "it holds a space, a backslash, a control or a non-ASCII byte",
			e);
	if (!authority || scheme_len(text) != (size_t)(authority - text))
		return err_malformed(text, "it does not start with 'http://' or 'https://'", e);
	authority += 3;
	size_t authority_len = strcspn(authority, "/?#");

	if (authority_len == 0)
		return err_malformed(text, "it names no host", e);
	if (memchr(authority, '@', authority_len)) {
		/* Not quoted: it would put a password into a log. */
		err_set(e, ERR_INPUT, "url/user-info", "a URL holds a user name or password");
		return err_hint(e, "URLs become part of what is published; fetch from a place "
				   "that needs no password, the hash protects the content");
	}
	if (strchr(text, '#'))
		return err_malformed(text, "it has a fragment ('#...')", e);
	if (memchr(authority, '%', authority_len))
		return err_malformed(text, "its host is percent-encoded", e);
	return 0;
}

static char *get_part(CURLU *u, CURLUPart part, unsigned flags)
{
	AUTO(curl_text) t = {NULL};

	if (curl_url_get(u, part, &t.text, flags) != CURLUE_OK || !t.text)
		return mem_strdup("");
	return mem_strdup(t.text);
}

int url_parse(const char *text, struct url *ret, struct err *e)
{
	AUTO(curl_handle) h = {curl_url()};
	AUTO(url) u = {0};
	uint64_t port;

	BUG_IF(!h.u); /* out of memory */
	if (check_text(text, e) < 0)
		return -1;
	CURLUcode rc = curl_url_set(h.u, CURLUPART_URL, text, CURLU_DISALLOW_USER);

	if (rc == CURLUE_OK) {
		u.host = get_part(h.u, CURLUPART_HOST, 0);
		to_lower(u.host);
		if (!is_host(u.host))
			return err_malformed(text, "its host is not a plain name or address",
					     e);
		rc = curl_url_set(h.u, CURLUPART_HOST, u.host, 0);
	}
	if (rc == CURLUE_UNSUPPORTED_SCHEME)
		return err_set(e, ERR_INPUT, "url/scheme",
			       "'%.256s' is neither an http nor an https URL", text);
	if (rc != CURLUE_OK)
		return err_malformed(text, curl_url_strerror(rc), e);
	u.scheme = get_part(h.u, CURLUPART_SCHEME, 0);
	if (!str_same(u.scheme, "http") && !str_same(u.scheme, "https"))
		return err_set(e, ERR_INPUT, "url/scheme",
			       "'%.256s' is neither an http nor an https URL", text);
	AUTO_FREE char *port_text = get_part(h.u, CURLUPART_PORT, CURLU_DEFAULT_PORT);

	if (!num_parse_u64(port_text, strlen(port_text), UINT16_MAX, &port) || port == 0)
		return err_malformed(text, "its port is not a number from 1 to 65535", e);
	u.port = (uint16_t)port;
	u.path = get_part(h.u, CURLUPART_PATH, 0);
	u.text = get_part(h.u, CURLUPART_URL, 0);
	/* The parser may have made it longer. */
	if (!*u.text || strlen(u.text) > LIMIT_URL_BYTES)
		return err_malformed(text, "it is too long", e);
	url_move(ret, &u);
	return 0;
}

/* "SCHEME:" at the start of an absolute reference. */
static bool has_scheme(const char *location)
{
	size_t len = scheme_len(location);

	return len > 0 && location[len] == ':';
}

static bool has_web_scheme(const char *location)
{
	return strncasecmp(location, "http://", 7) == 0 ||
	       strncasecmp(location, "https://", 8) == 0;
}

/* "//" and no host behind it: the parser would take the first of the path for one. */
static bool lacks_host(const char *location)
{
	const char *slashes = has_web_scheme(location) ? strstr(location, "//") : location;

	return strncmp(slashes, "//", 2) == 0 && strcspn(slashes + 2, "/?#") == 0;
}

int url_redirect(const struct url *base, const char *location, struct url *ret, struct err *e)
{
	AUTO(curl_handle) h = {curl_url()};
	AUTO(url) u = {0};
	AUTO_FREE char *target = mem_strdup(location);
	struct err inner = ERR_INIT;

	BUG_IF(!h.u);
	if (strlen(target) > LIMIT_URL_BYTES || !is_url_text(target) || lacks_host(target))
		return err_set(e, ERR_INPUT, "url/redirect-malformed",
			       "the server redirects to something that is no URL");
	if (has_scheme(target) && !has_web_scheme(target))
		return err_set(e, ERR_INPUT, "url/redirect-scheme",
			       "the server redirects to '%.*s', not to http or https",
			       (int)strcspn(target, ":") + 1, target);
	target[strcspn(target, "#")] = '\0'; /* fragments are for the reader, not the server */
	if (curl_url_set(h.u, CURLUPART_URL, base->text, 0) != CURLUE_OK ||
	    curl_url_set(h.u, CURLUPART_URL, target, CURLU_DISALLOW_USER) != CURLUE_OK)
		return err_set(e, ERR_INPUT, "url/redirect-malformed",
			       "the server redirects to something that is no URL");
	AUTO_FREE char *text = get_part(h.u, CURLUPART_URL, 0);

	if (url_parse(text, &u, &inner) < 0)
		return err_set(e, ERR_INPUT, "url/redirect-malformed",
			       "the server redirects to a URL that is refused [%s]", inner.id);
	if (str_same(base->scheme, "https") && !str_same(u.scheme, "https"))
		return err_set(e, ERR_INPUT, "url/redirect-downgrade",
			       "the server redirects from https to http");
	url_move(ret, &u);
	return 0;
}
