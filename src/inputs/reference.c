/*
 * The grammar is applied to the text as written; nothing is guessed, trimmed or lower-cased but
 * the host, of which two spellings are one.
 */
#include "inputs/reference.h"

#include <string.h>
#include <strings.h>

#include "util/limits.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/str.h"

#define DIGITS "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

enum { HOST_MAX = 255, REPOSITORY_MAX = 255, TAG_MAX = 128 };

void reference_cleanup(struct reference *r)
{
	mem_free_cleanup(&r->host);
	mem_free_cleanup(&r->repository);
	mem_free_cleanup(&r->tag);
}

bool reference_is_tag(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= TAG_MAX && text[0] != '.' && text[0] != '-' &&
	       strspn(text, LOWER UPPER DIGITS "_.-") == len;
}

/* alpha-numeric [separator alpha-numeric]*, where a separator is ".", "_", "__" or dashes. */
static bool is_path_component(struct str s)
{
	size_t at = 0;

	for (;;) {
		size_t start = at;

		while (at < s.len && memchr(LOWER DIGITS, s.ptr[at], sizeof(LOWER DIGITS) - 1))
			at++;
		if (at == start)
			return false;
		if (at == s.len)
			return true;
		if (s.ptr[at] == '-') {
			while (at < s.len && s.ptr[at] == '-')
				at++;
		} else if (s.ptr[at] == '_' && at + 1 < s.len && s.ptr[at + 1] == '_') {
			at += 2;
		} else if (s.ptr[at] == '_' || s.ptr[at] == '.') {
			at++;
		} else {
			return false;
		}
	}
}

static bool next_part(const char **text, char end, struct str *ret)
{
	const char *start = *text;

	if (!start)
		return false;
	const char *stop = strchr(start, end);

	*ret = (struct str){start, stop ? (size_t)(stop - start) : strlen(start)};
	*text = stop ? stop + 1 : NULL;
	return true;
}

bool reference_is_repository(const char *text)
{
	struct str part;

	if (strlen(text) > REPOSITORY_MAX)
		return false;
	while (next_part(&text, '/', &part))
		if (!is_path_component(part))
			return false;
	return true;
}

static bool is_domain_component(struct str s)
{
	if (s.len == 0 || s.ptr[0] == '-' || s.ptr[s.len - 1] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!memchr(LOWER DIGITS "-", s.ptr[i], sizeof(LOWER DIGITS "-") - 1))
			return false;
	return true;
}

static bool is_port(const char *text)
{
	uint64_t port;

	return num_parse_u64(text, strlen(text), UINT16_MAX, &port) && port > 0;
}

/* HOST[:PORT], in lower case already. */
static bool is_host(const char *text)
{
	struct str part;
	AUTO_FREE char *host = mem_strdup(text);
	const char *names = host;

	if (strlen(text) > HOST_MAX)
		return false;
	if (host[0] == '[') {
		size_t len = strspn(host + 1, DIGITS "abcdef:.");
		const char *rest = host + 1 + len;

		if (len < 2 || *rest != ']')
			return false;
		return rest[1] == '\0' || (rest[1] == ':' && is_port(rest + 2));
	}
	char *colon = strchr(host, ':');

	if (colon) {
		*colon = '\0';
		if (!is_port(colon + 1))
			return false;
	}
	while (next_part(&names, '.', &part))
		if (!is_domain_component(part))
			return false;
	return true;
}

/* What makes the first component a host, by the rule that every client has, but for names whose
 * only sign is an upper-case letter, which they lose. */
static bool looks_like_host(const char *text)
{
	return strpbrk(text, ".:") || strcasecmp(text, "localhost") == 0;
}

static char *lower(const char *text, size_t len)
{
	char *copy = mem_strndup(text, len);

	for (char *p = copy; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return copy;
}

static int err_reference(const char *text, const char *why, struct err *e)
{
	AUTO_FREE char *shown = str_printable(text, strnlen(text, 256));

	err_set(e, ERR_INPUT, "registry/reference", "'%s' is not the name of an image: %s",
		shown, why);
	return err_hint(e, "write docker://HOST[:PORT]/REPOSITORY[:TAG][@sha256:HEX]");
}

static int err_no_host(const char *text, const char *name, struct err *e)
{
	AUTO_FREE char *shown = str_printable(text, strnlen(text, 256));

	err_set(e, ERR_INPUT, "registry/no-host", "'%s' does not say which registry", shown);
	return err_hint(e, "Docker Hub's would be docker://docker.io/%s%.200s",
			strchr(name, '/') ? "" : "library/", name);
}

/* Cuts the digest and the tag off `name`. */
static int take_ends(const char *text, char *name, struct reference *r, struct err *e)
{
	char *at = strchr(name, '@');

	if (at) {
		*at = '\0';
		if (digest_parse(at + 1, &r->digest, e) < 0)
			return err_recode(e, ERR_INPUT, "registry/reference");
	}
	char *slash = strrchr(name, '/');
	char *colon = strchr(slash ? slash : name, ':');

	if (!colon || !slash)
		return 0;
	*colon = '\0';
	if (!reference_is_tag(colon + 1))
		return err_reference(text, "its tag is malformed", e);
	r->tag = mem_strdup(colon + 1);
	return 0;
}

static void complete_hub(struct reference *r)
{
	if (str_same(r->host, "index.docker.io") || str_same(r->host, "registry-1.docker.io")) {
		mem_free_cleanup(&r->host);
		r->host = mem_strdup("docker.io");
	}
	if (!str_same(r->host, "docker.io") || strchr(r->repository, '/'))
		return;
	AUTO_FREE char *name = TAKE_PTR(r->repository);

	r->repository = mem_printf("library/%s", name);
}

int reference_parse(const char *text, struct reference *ret, struct err *e)
{
	const char *body =
		str_has_prefix(text, REFERENCE_SCHEME) ? text + strlen(REFERENCE_SCHEME) : text;
	AUTO(reference) r = {0};

	if (strlen(body) > LIMIT_REFERENCE_BYTES)
		return err_reference(text, "it is too long", e);
	AUTO_FREE char *name = mem_strdup(body);

	if (take_ends(text, name, &r, e) < 0)
		return -1;
	char *slash = strchr(name, '/');
	AUTO_FREE char *first =
		mem_strndup(name, slash ? (size_t)(slash - name) : strlen(name));

	if (!slash || !looks_like_host(first))
		return err_no_host(text, body, e);
	r.host = lower(first, strlen(first));
	r.repository = mem_strdup(slash + 1);
	if (!is_host(r.host))
		return err_reference(text, "its host is malformed", e);
	if (!reference_is_repository(r.repository))
		return err_reference(text, "its repository is malformed", e);
	complete_hub(&r);
	*ret = r;
	r = (struct reference){0};
	return 0;
}
