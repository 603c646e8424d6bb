/*
 * Tree documents. One tree has one text, so that its digest is an identity; the reader
 * therefore refuses what the writer would not have written. It also meets documents of
 * strangers (verify), and what it lets through is used as paths: relative, without dots, each
 * below a directory that the document lists.
 */
#include "inputs/local_tree_internal.h"

#include <string.h>

#include "util/json_read.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/map.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/str.h"

#define TREE_SCHEMA "https://stacker-hermetic.invalid/tree/v1"
#define TREE_WHAT "tree document"

static const char *const type_names[] = {
	[LOCAL_FILE] = "file",
	[LOCAL_DIR] = "dir",
	[LOCAL_SYMLINK] = "symlink",
};

static void local_entry_cleanup(struct local_entry *entry)
{
	mem_free_cleanup(&entry->path);
	mem_free_cleanup(&entry->target);
}

void local_tree_cleanup(struct local_tree *t)
{
	for (size_t i = 0; i < t->len; i++)
		local_entry_cleanup(&t->items[i]);
	vec_free(t);
}

static void set_text(json_t *object, const char *key, const char *text)
{
	/* The writer has checked that names and targets are UTF-8. */
	BUG_IF(json_object_set_new(object, key, json_string(text)) != 0);
}

static json_t *entry_to_json(const struct local_entry *entry)
{
	json_t *object = json_object();
	char text[DIGEST_TEXT_MAX];
	char mode[8];

	set_text(object, "path", entry->path);
	set_text(object, "type", type_names[entry->type]);
	if (entry->type == LOCAL_SYMLINK) {
		set_text(object, "target", entry->target);
		return object;
	}
	snprintf(mode, sizeof(mode), "0%03o", entry->mode & 07777);
	set_text(object, "mode", mode);
	if (entry->type == LOCAL_FILE) {
		digest_format(&entry->digest, text);
		set_text(object, "digest", text);
		BUG_IF(json_object_set_new(object, "size",
					   json_integer((json_int_t)entry->size)) != 0);
	}
	return object;
}

int local_tree_write(const struct local_tree *t, struct buf *out, struct err *e)
{
	AUTO(json_doc) doc = {json_object()};
	json_t *entries = json_array();

	BUG_IF(!doc.root || !entries);
	set_text(doc.root, "schema", TREE_SCHEMA);
	BUG_IF(json_object_set_new(doc.root, "entries", entries) != 0);
	for (size_t i = 0; i < t->len; i++)
		BUG_IF(json_array_append_new(entries, entry_to_json(&t->items[i])) != 0);
	if (json_write_profile(doc.root, out, e) < 0)
		return -1;
	return buf_check(out, TREE_WHAT, e);
}

static int err_tree(struct err *e, const char *path, const char *why)
{
	AUTO_FREE char *shown = str_printable(path, strnlen(path, 256));

	return err_set(e, ERR_INPUT, "import/bad-tree", TREE_WHAT " is malformed: '%s' %s",
		       shown, why);
}

static bool is_relative_path(const char *path)
{
	const char *p = path;

	if (strlen(path) > LIMIT_PATH_BYTES)
		return false;
	for (;;) {
		size_t len = strcspn(p, "/");

		if (len == 0 || len > LIMIT_COMPONENT_BYTES || (len == 1 && p[0] == '.') ||
		    (len == 2 && strncmp(p, "..", 2) == 0))
			return false;
		if (!p[len])
			return true;
		p += len + 1;
	}
}

/* The root comes first and alone has the path "". Everything else follows in byte order, below
 * a directory that came before. `dirs` holds those. */
static int check_place(const struct local_tree *t, const struct local_entry *entry,
		       struct map *dirs, struct err *e)
{
	const char *slash = strrchr(entry->path, '/');

	if (t->len == 0) {
		if (*entry->path)
			return err_tree(e, entry->path, "comes before the root");
	} else {
		AUTO_FREE char *parent =
			mem_strndup(entry->path, slash ? (size_t)(slash - entry->path) : 0);

		if (!is_relative_path(entry->path))
			return err_tree(e, entry->path, "is no relative path");
		if (strcmp(t->items[t->len - 1].path, entry->path) >= 0)
			return err_tree(e, entry->path, "is out of order");
		if (!map_has(dirs, parent))
			return err_tree(e, entry->path, "is in no directory");
	}
	if (entry->type == LOCAL_DIR)
		map_add(dirs, entry->path, NULL);
	return 0;
}

static int read_type(const json_t *object, const char *path, enum local_type *ret,
		     struct err *e)
{
	const char *text;

	if (json_get_text(object, "type", TREE_WHAT, &text, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++)
		if (str_same(text, type_names[i])) {
			*ret = (enum local_type)i;
			return 0;
		}
	return err_tree(e, path, "has an unknown type");
}

static int read_file_members(const json_t *object, struct local_entry *entry, struct err *e)
{
	const char *digest;

	if (json_get_text(object, "digest", TREE_WHAT, &digest, e) < 0 ||
	    json_get_u64(object, "size", TREE_WHAT, &entry->size, e) < 0 ||
	    digest_parse(digest, &entry->digest, e) < 0)
		return -1;
	if (entry->digest.alg != DIGEST_SHA256)
		return err_tree(e, entry->path, "has no sha256 digest");
	return 0;
}

static int read_entry(const json_t *object, struct local_entry *entry, struct err *e)
{
	const char *text;

	if (!json_is_object(object))
		return err_tree(e, "entries", "holds something else than objects");
	if (json_get_text(object, "path", TREE_WHAT, &text, e) < 0)
		return -1;
	entry->path = mem_strdup(text);
	if (read_type(object, text, &entry->type, e) < 0)
		return -1;
	if (entry->type == LOCAL_SYMLINK) {
		if (json_get_text(object, "target", TREE_WHAT, &text, e) < 0)
			return -1;
		if (!*text || strlen(text) >= LIMIT_PATH_BYTES)
			return err_tree(e, entry->path, "has an impossible target");
		entry->target = mem_strdup(text);
		entry->mode = 0777;
		return 0;
	}
	if (json_get_text(object, "mode", TREE_WHAT, &text, e) < 0)
		return -1;
	if (!num_parse_mode(text, strlen(text), &entry->mode))
		return err_tree(e, entry->path, "has a malformed mode");
	return entry->type == LOCAL_FILE ? read_file_members(object, entry, e) : 0;
}

static int read_entries(const json_t *entries, struct local_tree *t, struct err *e)
{
	AUTO(map) dirs = MAP_INIT(NULL);

	for (size_t i = 0; i < json_array_size(entries); i++) {
		struct local_entry entry = {0};

		if (read_entry(json_array_get(entries, i), &entry, e) < 0 ||
		    check_place(t, &entry, &dirs, e) < 0) {
			local_entry_cleanup(&entry);
			return -1;
		}
		vec_push(t, entry);
	}
	return t->len > 0 ? 0 : err_tree(e, "entries", "is empty");
}

int local_tree_read(const char *text, size_t len, struct local_tree *ret, struct err *e)
{
	AUTO(json_doc) doc = {NULL};
	AUTO(local_tree) t = {0};
	AUTO(buf) again = BUF_INIT(LIMIT_TREE_BYTES);
	const char *schema;
	json_t *entries;

	if (json_read_large(text, len, LIMIT_TREE_BYTES, LIMIT_TREE_VALUES, TREE_WHAT, &doc,
			    e) < 0 ||
	    json_get_text(doc.root, "schema", TREE_WHAT, &schema, e) < 0 ||
	    json_get_array(doc.root, "entries", TREE_WHAT, &entries, e) < 0)
		return -1;
	if (!str_same(schema, TREE_SCHEMA))
		return err_tree(e, schema, "is not the schema '" TREE_SCHEMA "'");
	if (read_entries(entries, &t, e) < 0)
		return -1;
	/* Catches members we do not know, other spellings of modes, white space: everything. */
	if (local_tree_write(&t, &again, e) < 0)
		return -1;
	if (again.len != len || memcmp(again.data, text, len) != 0)
		return err_set(e, ERR_INPUT, "import/bad-tree",
			       TREE_WHAT " is not in its canonical form");
	*ret = t;
	memset(&t, 0, sizeof(t));
	return 0;
}
