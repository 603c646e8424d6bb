/*
 * Entries in an array, in order of insertion, and beside it a table of indexes by FNV-1a hash.
 * Chosen keys can make lookups linear; their number is bounded by util/limits.h.
 */
#include "util/map.h"

#include <stdlib.h>
#include <string.h>

#include "util/err.h"
#include "util/mem.h"

enum { SLOTS_MIN = 16 };

static size_t hash_text(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return (size_t)(hash ^ hash >> 32);
}

/* The slot that holds `key`, or the free one where it belongs. There is always a free one. */
static uint32_t *find_slot(const struct map *m, const char *key)
{
	size_t at = hash_text(key) & (m->slots_len - 1);

	while (m->slots[at] != 0 && strcmp(m->entries[m->slots[at] - 1].key, key) != 0)
		at = (at + 1) & (m->slots_len - 1);
	return &m->slots[at];
}

static struct map_entry *find(const struct map *m, const char *key)
{
	uint32_t slot = m->slots_len > 0 ? *find_slot(m, key) : 0;

	return slot > 0 ? &m->entries[slot - 1] : NULL;
}

/* At most half of the slots are used, which keeps probes short. */
static void make_slots(struct map *m)
{
	if (m->len + 1 <= m->slots_len / 2)
		return;
	BUG_IF(m->len >= UINT32_MAX / 4);
	m->slots_len = m->slots_len > 0 ? m->slots_len * 2 : SLOTS_MIN;
	free(m->slots);
	m->slots = mem_zalloc(m->slots_len, sizeof(*m->slots));
	for (size_t i = 0; i < m->len; i++)
		*find_slot(m, m->entries[i].key) = (uint32_t)(i + 1);
}

static void insert(struct map *m, const char *key, void *value)
{
	if (m->len == m->cap) {
		m->cap = m->cap > 0 ? m->cap * 2 : 8;
		m->entries = mem_realloc_array(m->entries, m->cap, sizeof(*m->entries));
	}
	make_slots(m);
	uint32_t *slot = find_slot(m, key);

	m->entries[m->len] = (struct map_entry){.key = mem_strdup(key), .value = value};
	*slot = (uint32_t)++m->len;
}

void map_cleanup(struct map *m)
{
	for (size_t i = 0; i < m->len; i++) {
		free(m->entries[i].key);
		if (m->free_value)
			m->free_value(m->entries[i].value);
	}
	free(m->entries);
	free(m->slots);
	*m = (struct map)MAP_INIT(m->free_value);
}

bool map_add(struct map *m, const char *key, void *value)
{
	if (find(m, key))
		return false;
	insert(m, key, value);
	return true;
}

void map_set(struct map *m, const char *key, void *value)
{
	struct map_entry *entry = find(m, key);

	if (!entry) {
		insert(m, key, value);
		return;
	}
	if (m->free_value && entry->value != value)
		m->free_value(entry->value);
	entry->value = value;
}

void map_set_text(struct map *m, const char *key, const char *text)
{
	BUG_IF(!m->free_value); /* the copy would leak */
	map_set(m, key, mem_strdup(text));
}

void *map_get(const struct map *m, const char *key)
{
	const struct map_entry *entry = find(m, key);

	return entry ? entry->value : NULL;
}

bool map_has(const struct map *m, const char *key)
{
	return find(m, key) != NULL;
}
