/* A flat map with one reader a key; see conf.h. */
#include "cli/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "inputs/reference.h"
#include "recipe/yaml.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

struct conf_key {
	const char *name;
	int (*read)(const struct node *value, const char *key, void *field, struct err *e);
	size_t offset;
};

static int read_text(const struct node *value, const char *key, void *field, struct err *e)
{
	if (value->kind != NODE_SCALAR || value->text[0] == '\0')
		return err_at(
			e, &value->pos, "cli/conf-type", "'%s' must be a path, not %s", key,
			value->kind == NODE_SCALAR ? "empty" : node_kind_name(value->kind));
	char **text = field;
	mem_free_cleanup(text);
	*text = mem_strdup(value->text);
	return 0;
}

static int bad_url(const struct node *n, const char *what, struct err *e)
{
	AUTO_FREE char *shown = str_printable(n->text, strlen(n->text));
	return err_at(e, &n->pos, "cli/conf-url", "'%s' is not %s", shown, what);
}

static int read_prefix(const struct node *n, const char **ret, struct err *e)
{
	if (n->kind != NODE_SCALAR)
		return err_at(e, &n->pos, "cli/conf-type", "'mirrors' maps a URL to URLs");
	bool is_url = str_has_prefix(n->text, "http://") ||
		      str_has_prefix(n->text, "https://") ||
		      str_has_prefix(n->text, "docker://");
	if (!is_url || !str_has_suffix(n->text, "/") || str_has_suffix(n->text, "://"))
		return bad_url(n, "the beginning of a URL up to a '/'", e);
	*ret = n->text;
	return 0;
}

static int read_mirror(const struct node *key, const struct node *value,
		       struct source_mirrors *mirrors, struct err *e)
{
	struct source_mirror mirror = {0};
	const char *text;
	if (value->kind != NODE_SEQUENCE || value->len == 0)
		return err_at(e, &value->pos, "cli/conf-type",
			      "the mirrors of '%s' must be a list of URLs", key->text);
	if (read_prefix(key, &text, e) < 0)
		return -1;
	mirror.prefix = mem_strdup(text);
	vec_push(mirrors, mirror);
	for (size_t i = 0; i < value->len; i++) {
		if (read_prefix(value->items[i], &text, e) < 0)
			return -1;
		bool is_image = str_has_prefix(key->text, "docker://");
		if (is_image != str_has_prefix(text, "docker://"))
			return bad_url(value->items[i], "of the same kind as what it mirrors",
				       e);
		strvec_push(&mirrors->items[mirrors->len - 1].targets, text);
	}
	return 0;
}

static int read_mirrors(const struct node *value, const char *key, void *field, struct err *e)
{
	if (value->kind != NODE_MAPPING)
		return err_at(e, &value->pos, "cli/conf-type",
			      "'%s' must be a map of URLs to lists of URLs, not %s", key,
			      node_kind_name(value->kind));
	for (size_t i = 0; i < value->len; i++)
		if (read_mirror(value->keys[i], value->items[i], field, e) < 0)
			return -1;
	return 0;
}

static int read_repository(const struct node *n, const char *key, const char **ret,
			   struct err *e)
{
	struct reference where;
	struct err why = ERR_INIT;
	if (!n || n->kind != NODE_SCALAR || !str_has_prefix(n->text, REFERENCE_SCHEME) ||
	    reference_parse(n->text, &where, &why) < 0) {
		if (n && n->kind == NODE_SCALAR)
			return bad_url(n, "a repository, docker://HOST/REPOSITORY", e);
		return err_at(e, n ? &n->pos : NULL, "cli/conf-type",
			      "'%s' must be repositories, docker://HOST/REPOSITORY", key);
	}
	bool is_plain = !where.tag && where.digest.alg == DIGEST_NONE;
	reference_cleanup(&where);
	if (!is_plain)
		return bad_url(n, "a repository without tag and digest", e);
	*ret = n->text;
	return 0;
}

static int read_inputs(const struct node *value, const char *key, void *field, struct err *e)
{
	const struct node *const *items = value->kind == NODE_SEQUENCE
						  ? (const struct node *const *)value->items
						  : &value;
	size_t len = value->kind == NODE_SEQUENCE ? value->len : 1;
	for (size_t i = 0; i < len; i++) {
		const char *text;
		if (read_repository(items[i], key, &text, e) < 0)
			return -1;
		strvec_push(field, text);
	}
	return 0;
}

/* A text, or {url: ..., write: true|false}. */
static int read_cache(const struct node *n, const char *key, struct source_caches *caches,
		      struct err *e)
{
	const struct node *url = n;
	bool is_writable = false;
	const char *text;
	if (n->kind == NODE_MAPPING) {
		const struct node *write = node_get(n, "write");
		url = node_get(n, "url");
		for (size_t i = 0; i < n->len; i++)
			if (!str_same(n->keys[i]->text, "url") &&
			    !str_same(n->keys[i]->text, "write"))
				return err_at(e, &n->keys[i]->pos, "cli/conf-key",
					      "unknown key '%s' in '%s'", n->keys[i]->text,
					      key);
		if (!url)
			return err_at(e, &n->pos, "cli/conf-type",
				      "an entry of '%s' lacks 'url'", key);
		is_writable = write && str_same(write->text, "true");
		if (write && !is_writable && !str_same(write->text, "false"))
			return err_at(e, &write->pos, "cli/conf-type",
				      "'write' must be true or false");
	}
	if (read_repository(url, key, &text, e) < 0)
		return -1;
	vec_push(caches,
		 ((struct source_cache){.url = mem_strdup(text), .is_writable = is_writable}));
	return 0;
}

static int read_caches(const struct node *value, const char *key, void *field, struct err *e)
{
	if (value->kind != NODE_SEQUENCE)
		return read_cache(value, key, field, e);
	for (size_t i = 0; i < value->len; i++)
		if (read_cache(value->items[i], key, field, e) < 0)
			return -1;
	return 0;
}

/* Whose results are accepted from a cache. Nobody's yet, unless --trust-cache says so: whoever
 * writes a key here must not believe that it is checked. */
static int read_trust(const struct node *value, const char *key, void *field, struct err *e)
{
	(void)field;
	if (value->kind == NODE_SCALAR && str_same(value->text, "none"))
		return 0;
	err_at(e, &value->pos, "cli/conf-type", "'%s' must be none", key);
	return err_hint(e,
			"signatures are not checked yet; 'build --trust-cache' takes what is "
			"there");
}

static const struct conf_key keys[] = {
	{"work_dir", read_text, offsetof(struct conf, work_dir)},
	{"stacker_dir", read_text, offsetof(struct conf, stacker_dir)},
	{"oci_dir", read_text, offsetof(struct conf, oci_dir)},
	{"rootfs_dir", read_text, offsetof(struct conf, roots_dir)},
	{"mirrors", read_mirrors, offsetof(struct conf, sources.mirrors)},
	{"inputs", read_inputs, offsetof(struct conf, sources.inputs)},
	{"cache", read_caches, offsetof(struct conf, sources.caches)},
	{"trust", read_trust, 0},
};

void conf_cleanup(struct conf *c)
{
	mem_free_cleanup(&c->work_dir);
	mem_free_cleanup(&c->stacker_dir);
	mem_free_cleanup(&c->oci_dir);
	mem_free_cleanup(&c->roots_dir);
	build_sources_cleanup(&c->sources);
}

static int unknown_key(const struct node *key, struct err *e)
{
	const char *names[ARRAY_LEN(keys)];
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		names[i] = keys[i].name;
	err_at(e, &key->pos, "cli/conf-key", "unknown key '%s'", key->text);
	const char *near = str_nearest(key->text, names, ARRAY_LEN(names));
	return near ? err_hint(e, "did you mean '%s'?", near)
		    : err_hint(e, "stacker(1) lists the keys under CONFIGURATION");
}

static int read_key(const struct node *key, const struct node *value, struct conf *ret,
		    struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (!str_same(key->text, keys[i].name))
			continue;
		if (node_is_null(value)) /* as if it were not there */
			return 0;
		return keys[i].read(value, key->text, (char *)ret + keys[i].offset, e);
	}
	return unknown_key(key, e);
}

static int read_file(const char *path, struct conf *ret, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	AUTO(yaml_document) doc = {0};
	if (path_read_file(AT_FDCWD, path, &text, e) < 0 ||
	    yaml_parse(buf_text(&text), text.len, path, &doc, e) < 0)
		return -1;
	if (!doc.root || node_is_null(doc.root))
		return 0;
	if (doc.root->kind != NODE_MAPPING)
		return err_at(e, &doc.root->pos, "cli/conf-type",
			      "a configuration file is a map, not %s",
			      node_kind_name(doc.root->kind));
	for (size_t i = 0; i < doc.root->len; i++)
		if (read_key(doc.root->keys[i], doc.root->items[i], ret, e) < 0)
			return -1;
	return 0;
}

int conf_read(const char *path, const struct conf_home *home, struct conf *ret, struct err *e)
{
	if (path)
		return read_file(path, ret, e);
	const char *xdg = home->xdg_config_home;
	const struct {
		const char *dir, *name;
	} places[] = {
		{xdg, "stacker/conf.yaml"},
		{xdg, "conf.yaml"},
		{xdg && xdg[0] ? NULL : home->home, ".config/stacker/conf.yaml"},
	};
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		/* A relative one is to be ignored, says the base directory specification. */
		if (!places[i].dir || places[i].dir[0] != '/')
			continue;
		AUTO_FREE char *file = path_join(places[i].dir, places[i].name);
		if (faccessat(AT_FDCWD, file, F_OK, 0) == 0)
			return read_file(file, ret, e);
		if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
			return err_sys(e, "cannot look for '%s'", file);
	}
	return 0;
}
