/* Parsing of sources. The name a step sees is settled here, because it is part of the recipe.
 */
#include "recipe/source.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recipe/value.h"
#include "util/limits.h"
#include "util/num.h"
#include "util/path.h"
#include "util/str.h"

#define STACKER_SCHEME "stacker://"

static bool has_scheme(const char *text, const char *scheme)
{
	return strncasecmp(text, scheme, strlen(scheme)) == 0;
}

static bool is_http(const char *text)
{
	return has_scheme(text, "http://") || has_scheme(text, "https://");
}

/* Something like "ftp://": letters, then "://". */
static bool is_other_url(const char *text)
{
	size_t len = strspn(
		text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

	return len > 0 && str_has_prefix(text + len, "://");
}

static int set_name(char *name, const struct node *n, struct recipe_source *s, struct err *e)
{
	AUTO_FREE char *owned = name;
	size_t len = strlen(name);
	AUTO_FREE char *shown = str_printable(name, len);
	const char *fault = NULL;

	if (len == 0)
		fault = "is empty";
	else if (str_same(name, ".") || str_same(name, ".."))
		fault = "is not a file name";
	else if (len > LIMIT_COMPONENT_BYTES)
		fault = "is over 255 bytes";
	else if (strchr(name, '/'))
		fault = "holds '/'";
	else if (!str_is_utf8(name, len))
		fault = "is not UTF-8";
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			fault = "holds control characters";
	}
	if (!fault) {
		s->name = TAKE_PTR(owned);
		return 0;
	}
	err_at(e, &n->pos, "recipe/bad-name", "file name '%s' of '%s' %s", shown, n->text,
	       fault);
	return err_hint(e, s->kind == SOURCE_URL
				   ? "end the URL's path in a file name"
				   : "write 'DIR/' for the contents of a directory");
}

/* "%41" -> "A"; NULL if a '%' is not followed by two hex digits or says NUL. */
static char *percent_decode(const char *text, size_t len)
{
	AUTO_FREE char *decoded = mem_alloc(len + 1);
	size_t out = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)text[i];

		if (byte == '%') {
			if (len - i < 3 || !num_parse_hex(text + i + 1, 2, &byte, 1) ||
			    byte == 0)
				return NULL;
			i += 2;
		}
		decoded[out++] = (char)byte;
	}
	decoded[out] = '\0';
	return TAKE_PTR(decoded);
}

/* inputs/url checks URLs for good when they are fetched; here only what positions help with. */
static int check_url(const struct node *n, struct err *e)
{
	size_t len = strlen(n->text);
	AUTO_FREE char *shown = str_printable(n->text, len);

	if (!is_http(n->text)) {
		return err_at(e, &n->pos, "recipe/bad-url", "'%s' is not an http or https URL",
			      shown);
	}
	if (len > LIMIT_URL_BYTES) {
		return err_at(e, &n->pos, "recipe/too-big",
			      "URL of %zu bytes is over the limit of %d", len, LIMIT_URL_BYTES);
	}
	for (size_t i = 0; i < len; i++) {
		if (n->text[i] > 0x20 && n->text[i] < 0x7f)
			continue;
		err_at(e, &n->pos, "recipe/bad-url",
		       "URL '%s' holds white space, control or non-ASCII characters", shown);
		return err_hint(e, "percent-encode them");
	}
	return 0;
}

static int name_from_url(const struct node *n, struct recipe_source *s, struct err *e)
{
	const char *host = strstr(n->text, "://") + 3;
	size_t len = strcspn(host, "?#");
	const char *slash = memrchr(host, '/', len);
	const char *base = slash ? slash + 1 : "";
	char *name = percent_decode(base, slash ? len - (size_t)(base - host) : 0);

	if (!name) {
		return err_at(e, &n->pos, "recipe/bad-url", "bad percent-encoding in URL '%s'",
			      n->text);
	}
	return set_name(name, n, s, e);
}

static int parse_url_source(const struct source_nodes *nodes, struct recipe_source *s,
			    struct err *e)
{
	s->kind = SOURCE_URL;
	if (check_url(nodes->path, e) != 0 || name_from_url(nodes->path, s, e) != 0)
		return -1;
	strvec_push(&s->urls, nodes->path->text);
	if (nodes->size &&
	    value_integer(nodes->size, "size", LIMIT_DOWNLOAD_BYTES, &s->size, e) != 0)
		return -1;
	if (nodes->urls && nodes->urls->kind != NODE_SEQUENCE)
		return value_wrong_type(nodes->urls, "urls", "a list of URLs", e);
	for (size_t i = 0; nodes->urls && i < nodes->urls->len; i++) {
		const struct node *n = nodes->urls->items[i];

		if (n->kind != NODE_SCALAR)
			return value_wrong_type(n, "urls", "a list of URLs", e);
		if (check_url(n, e) != 0)
			return -1;
		strvec_push(&s->urls, n->text);
	}
	return 0;
}

static int refuse_url_keys(const struct source_nodes *nodes, const char *kind, struct err *e)
{
	const struct node *n = nodes->urls ? nodes->urls : nodes->size;

	if (!n)
		return 0;
	return err_at(e, &n->pos, "recipe/no-effect", "'%s' has no effect on %s",
		      nodes->urls ? "urls" : "size", kind);
}

/* The path below an image: absolute, without "..". */
static int parse_stacker_source(const struct source_nodes *nodes, struct recipe_source *s,
				struct err *e)
{
	const struct node *n = nodes->path;
	const char *image = n->text + strlen(STACKER_SCHEME);
	const char *path = strchr(image, '/');

	s->kind = SOURCE_STACKER;
	if (nodes->hash) {
		err_at(e, &nodes->hash->pos, "recipe/no-effect",
		       "'hash' has no effect on a stacker:// source");
		return err_hint(
			e, "remove it: the recipe of the other image pins the file already");
	}
	if (refuse_url_keys(nodes, "a stacker:// source", e) != 0)
		return -1;
	if (path == image || !path) {
		err_at(e, &n->pos, "recipe/bad-url", "'%s' does not name an image and a path",
		       n->text);
		return err_hint(e, "write stacker://IMAGE/PATH");
	}
	if (path_has_dotdot(path))
		return err_at(e, &n->pos, "recipe/bad-path", "'%s' holds '..'", n->text);
	s->image = mem_strndup(image, (size_t)(path - image));
	s->path = path_clean(path);
	s->contents = str_has_suffix(path, "/");
	if (s->contents) {
		s->name = mem_strdup("");
		return 0;
	}
	return set_name(path_base(s->path), n, s, e);
}

static int parse_local_source(const struct source_nodes *nodes, struct recipe_source *s,
			      struct err *e)
{
	const struct node *n = nodes->path;

	s->kind = SOURCE_LOCAL;
	if (is_other_url(n->text)) {
		err_at(e, &n->pos, "recipe/bad-url", "unsupported URL scheme in '%s'", n->text);
		return err_hint(e, "use a path, http://, https:// or stacker://");
	}
	if (n->text[0] == '\0')
		return err_at(e, &n->pos, "recipe/bad-path", "'%s' is empty", nodes->path_key);
	if (refuse_url_keys(nodes, "a local path", e) != 0)
		return -1;
	s->path = path_clean(n->text);
	s->contents = nodes->is_local_dir || str_has_suffix(n->text, "/");
	if (!s->contents)
		return set_name(path_base(s->path), n, s, e);
	s->name = mem_strdup("");
	if (!nodes->hash)
		return 0;
	err_at(e, &nodes->hash->pos, "recipe/no-effect", "'hash' has no effect on a directory");
	return err_hint(e, "remove it: the directory's tree digest is part of the recipe");
}

static int parse_by_kind(const struct source_nodes *nodes, struct recipe_source *s,
			 struct err *e)
{
	if (nodes->is_local_dir && is_other_url(nodes->path->text)) {
		err_at(e, &nodes->path->pos, "recipe/bad-path",
		       "'%s' '%s' is not a local directory", nodes->path_key,
		       nodes->path->text);
		return err_hint(e, "use 'imports' with 'path' and 'dest'");
	}
	if (is_http(nodes->path->text))
		return parse_url_source(nodes, s, e);
	if (value_path(nodes->path, nodes->path_key, e) != 0)
		return -1;
	if (has_scheme(nodes->path->text, STACKER_SCHEME))
		return parse_stacker_source(nodes, s, e);
	return parse_local_source(nodes, s, e);
}

int source_parse(const struct source_nodes *nodes, struct recipe_source *ret, struct err *e)
{
	AUTO(recipe_source) s = {.pos = nodes->path->pos, .size = -1};

	s.text = mem_strdup(nodes->path->text);
	if (parse_by_kind(nodes, &s, e) != 0)
		return -1;
	if (nodes->hash && digest_parse_pin(nodes->hash->text, &s.hash, e) != 0) {
		err_recode(e, ERR_RECIPE, "recipe/bad-hash");
		return err_locate(e, &nodes->hash->pos);
	}
	*ret = s;
	s = (struct recipe_source){0};
	return 0;
}

void recipe_source_cleanup(struct recipe_source *s)
{
	free(s->text);
	free(s->name);
	free(s->path);
	free(s->image);
	strvec_cleanup(&s->urls);
	*s = (struct recipe_source){0};
}
