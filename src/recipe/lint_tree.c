/*
 * Surgery on the tree. Positions say where an error is; a block map stands where its first key
 * does, so that the error's id has to tell which of the two is meant.
 */
#include "recipe/lint_tree.h"

#include <stdlib.h>
#include <string.h>

#include "util/mem.h"
#include "util/str.h"

/* Where an error is: the entry of a map or list whose key or value stands there. */
struct entry {
	struct node *owner;
	size_t index;
	bool at_key;
};

bool lint_is_at(const struct node *n, const struct err *e)
{
	return n->pos.line == e->line && n->pos.column == e->column;
}

/* A block map stands where its first key does. Errors about a map as a whole are few. */
static bool is_about_whole(const struct err *e)
{
	return strstr(e->id, "/missing-") || str_same(e->id, "recipe/too-big");
}

static bool find_entry(struct node *n, const struct err *e, struct entry *ret)
{
	for (size_t i = 0; i < n->len; i++) {
		struct node *value = n->items[i];

		if (n->keys && lint_is_at(n->keys[i], e)) {
			*ret = (struct entry){n, i, true};
			return true;
		}
		if (lint_is_at(value, e) && (value->kind == NODE_SCALAR || is_about_whole(e))) {
			*ret = (struct entry){n, i, false};
			return true;
		}
		if (find_entry(value, e, ret))
			return true;
		if (lint_is_at(value, e)) {
			*ret = (struct entry){n, i, false};
			return true;
		}
	}
	return false;
}

static void drop_entry(struct node *owner, size_t index)
{
	size_t behind = owner->len - index - 1;

	node_free(owner->items[index]);
	memmove(&owner->items[index], &owner->items[index + 1], behind * sizeof(*owner->items));
	if (owner->keys) {
		node_free(owner->keys[index]);
		memmove(&owner->keys[index], &owner->keys[index + 1],
			behind * sizeof(*owner->keys));
	}
	owner->len--;
}

/* `from` cannot be missing: it becomes one that nothing is wrong with. */
static void replace_from(struct node *from)
{
	static const char *const words[] = {"type", "scratch"};
	struct node *made[2];

	for (size_t i = 0; i < 2; i++) {
		made[i] = mem_zalloc(1, sizeof(*made[i]));
		made[i]->kind = NODE_SCALAR;
		made[i]->pos = from->pos;
		made[i]->text = mem_strdup(words[i]);
	}
	while (from->len > 0)
		drop_entry(from, from->len - 1);
	free(from->items);
	free(from->keys);
	mem_free_cleanup(&from->text);
	from->kind = NODE_MAPPING;
	from->items = mem_realloc_array(NULL, 1, sizeof(*from->items));
	from->keys = mem_realloc_array(NULL, 1, sizeof(*from->keys));
	from->keys[0] = made[0];
	from->items[0] = made[1];
	from->len = 1;
}

/* True if the entry can go by itself, and what it stands in is sound without it. */
static bool goes_alone(const struct err *e)
{
	static const char *const ids[] = {
		"recipe/unknown-directive", "recipe/not-hermetic", "recipe/no-effect",
		"recipe/null-value",	    "recipe/bad-key",
	};

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		if (str_same(e->id, ids[i]))
			return true;
	}
	return false;
}

/* What a map in a list, such as an import, cannot be without. */
static bool is_required(const char *key)
{
	return str_same(key, "path") || str_same(key, "source");
}

static void drop_key(struct node *map, const char *key)
{
	for (size_t i = map->len; i-- > 0;) {
		if (str_same(map->keys[i]->text, key))
			drop_entry(map, i);
	}
}

/* The item of a list that the error is in goes, or of a map in it one key. */
static void drop_from_list(struct node *list, const struct err *e)
{
	for (size_t i = 0; i < list->len; i++) {
		struct node *item = list->items[i];
		struct entry found;

		if (item->kind == NODE_MAPPING && !is_about_whole(e) &&
		    find_entry(item, e, &found) && found.owner == item &&
		    !is_required(item->keys[found.index]->text)) {
			bool is_dest = str_same(item->keys[found.index]->text, "dest");

			drop_entry(item, found.index);
			if (is_dest)
				drop_key(item, "unpack"); /* which needs it */
			return;
		}
		struct node *only[] = {item};
		struct node one = {.kind = NODE_SEQUENCE, .items = only, .len = 1};

		if (!find_entry(&one, e, &found))
			continue;
		drop_entry(list, i);
		return;
	}
}

bool lint_take_out(struct node *map, const struct err *e)
{
	for (size_t i = 0; i < map->len; i++) {
		struct node *value = map->items[i];
		struct node *only[] = {value};
		struct node *only_key[] = {map->keys[i]};
		struct node one = {
			.kind = NODE_MAPPING, .items = only, .keys = only_key, .len = 1};
		struct entry found;

		if (!find_entry(&one, e, &found))
			continue;
		bool is_inner = found.owner != &one;

		if (str_same(map->keys[i]->text, "from") &&
		    !(is_inner && found.at_key && goes_alone(e)))
			replace_from(value);
		else if (is_inner && (goes_alone(e) || found.owner == value))
			drop_entry(found.owner, found.index);
		else if (is_inner && value->kind == NODE_SEQUENCE)
			drop_from_list(value, e);
		else
			drop_entry(map, i);
		return true;
	}
	return false;
}
