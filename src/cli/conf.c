/* A flat map with one reader a key; see conf.h. */
#include "cli/conf.h"

#include <errno.h>
#include <fcntl.h>

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

static const struct conf_key keys[] = {
	{"work_dir", read_text, offsetof(struct conf, work_dir)},
	{"stacker_dir", read_text, offsetof(struct conf, stacker_dir)},
	{"oci_dir", read_text, offsetof(struct conf, oci_dir)},
	{"rootfs_dir", read_text, offsetof(struct conf, roots_dir)},
};

void conf_cleanup(struct conf *c)
{
	mem_free_cleanup(&c->work_dir);
	mem_free_cleanup(&c->stacker_dir);
	mem_free_cleanup(&c->oci_dir);
	mem_free_cleanup(&c->roots_dir);
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
