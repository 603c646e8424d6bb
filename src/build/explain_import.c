/* The imports of two recipes, matched by what they are called and where they go. */
#include <string.h>

#include "build/explain_internal.h"
#include "inputs/local.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

bool explain_member_same(const json_t *a, const json_t *b, const char *key)
{
	const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
	return x && y ? json_equal(x, y) : x == y;
}

static bool matches(const json_t *a, const json_t *b)
{
	return explain_member_same(a, b, "kind") && explain_member_same(a, b, "name") &&
	       explain_member_same(a, b, "path") && explain_member_same(a, b, "dest");
}

static int load_tree(const struct comparison *x, const json_t *source, struct local_tree *ret,
		     struct err *e)
{
	struct digest d;
	const char *text = json_string_value(json_object_get(source, "digest"));
	if (!text || digest_parse(text, &d, e) < 0)
		return -1;
	return local_tree_load(&x->context->store, &d, ret, e);
}

static void add_file(struct explain_change *ret, const struct local_entry *entry,
		     const char *change)
{
	vec_push(&ret->files, ((struct explain_file){mem_strdup(entry->path), change}));
}

static const char *difference(const struct local_entry *a, const struct local_entry *b)
{
	if (a->type != b->type)
		return "type";
	if (a->type == LOCAL_FILE && !digest_eq(&a->digest, &b->digest))
		return "content";
	if (a->mode != b->mode)
		return "mode";
	return str_same(a->target, b->target) ? NULL : "target";
}

void explain_files(const struct comparison *x, const json_t *before, const json_t *after,
		   struct explain_change *ret)
{
	AUTO(local_tree) old = {0};
	AUTO(local_tree) now = {0};
	struct err why = ERR_INIT;
	if (load_tree(x, before, &old, &why) < 0 || load_tree(x, after, &now, &why) < 0) {
		log_debug("an input cannot be compared: %s", why.message);
		return;
	}
	ret->is_dir = now.len > 0 && now.items[0].type == LOCAL_DIR;
	for (size_t i = 0, j = 0; i < old.len || j < now.len;) {
		int order = i == old.len   ? 1
			    : j == now.len ? -1
					   : strcmp(old.items[i].path, now.items[j].path);
		const char *change =
			order == 0 ? difference(&old.items[i], &now.items[j]) : NULL;
		if (order < 0)
			add_file(ret, &old.items[i], "removed");
		else if (order > 0)
			add_file(ret, &now.items[j], "added");
		else if (change)
			add_file(ret, &now.items[j], change);
		i += order <= 0;
		j += order >= 0;
	}
}

/* Of an import that was there before. */
static void compare_import(struct comparison *x, size_t index, const json_t *before,
			   const json_t *after)
{
	const struct recipe_import *import = &x->image->recipe->imports.items[index];
	AUTO_FREE char *field = mem_printf("imports[%zu]", index);
	static const char *const members[] = {"contents", "unpack", "mode", "uid", "gid"};
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		AUTO_FREE char *member = mem_printf("%s.%s", field, members[i]);
		if (explain_member_same(before, after, members[i]))
			continue;
		struct explain_change *change =
			explain_add(x, EXPLAIN_DEFINITION, member, import->source.pos);
		change->before = explain_value(json_object_get(before, members[i]));
		change->after = explain_value(json_object_get(after, members[i]));
		change->is_overlay = import->overlay;
		change->subject = mem_strdup(import->source.text);
	}
	if (explain_member_same(before, after, "digest"))
		return;
	struct explain_change *change =
		explain_add(x, EXPLAIN_IMPORT, field, import->source.pos);
	change->subject = mem_strdup(import->source.text);
	change->is_overlay = import->overlay;
	if (import->source.kind == SOURCE_LOCAL) {
		explain_files(x, before, after, change);
		return;
	}
	change->before = explain_value(json_object_get(before, "digest"));
	change->after = explain_value(json_object_get(after, "digest"));
	if (import->source.kind == SOURCE_STACKER)
		change->image = plan_index(x->plan, import->source.image);
}

static size_t find(const json_t *list, const bool *used, const json_t *import)
{
	size_t len = json_array_size(list);
	for (size_t i = 0; i < len; i++)
		if (!used[i] && json_equal(json_array_get(list, i), import))
			return i;
	for (size_t i = 0; i < len; i++)
		if (!used[i] && matches(json_array_get(list, i), import))
			return i;
	return len;
}

static void add_removed(struct comparison *x, const json_t *import)
{
	struct explain_change *change =
		explain_add(x, EXPLAIN_DEFINITION, "imports", x->image->recipe->pos);
	change->before = explain_value(import);
}

void explain_imports(struct comparison *x, const json_t *before, const json_t *after)
{
	const struct recipe_import_vec *imports = &x->image->recipe->imports;
	size_t before_len = json_array_size(before), last = 0;
	AUTO_FREE bool *used = mem_zalloc(before_len + 1, sizeof(bool));
	bool moved = false;
	for (size_t i = 0; i < json_array_size(after) && i < imports->len; i++) {
		const json_t *import = json_array_get(after, i);
		const struct recipe_source *s = &imports->items[i].source;
		size_t old = find(before, used, import);
		if (old < before_len) {
			moved = moved || old < last;
			last = old;
			used[old] = true;
			compare_import(x, i, json_array_get(before, old), import);
			continue;
		}
		AUTO_FREE char *field = mem_printf("imports[%zu]", i);
		struct explain_change *change =
			explain_add(x, EXPLAIN_NEW_IMPORT, field, s->pos);
		change->subject = mem_strdup(s->text);
		change->is_overlay = imports->items[i].overlay;
		change->after = explain_value(import);
	}
	for (size_t i = 0; i < before_len; i++)
		if (!used[i])
			add_removed(x, json_array_get(before, i));
	if (moved)
		explain_add(x, EXPLAIN_DEFINITION, "imports", x->image->recipe->pos)->subject =
			mem_strdup("their order");
}
