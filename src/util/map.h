/* An insertion-ordered map from owned strings to owned values; lookups are hashed. */
#ifndef UTIL_MAP_H
#define UTIL_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_entry {
	char *key;
	void *value;
};

struct map {
	struct map_entry *entries; /* in order of first insertion */
	size_t len;
	size_t cap;
	uint32_t *slots; /* open addressing; index + 1, 0 is free */
	size_t slots_len;
	void (*free_value)(void *value); /* NULL: values are borrowed */
};

#define MAP_INIT(free_fn)                                                                      \
	{                                                                                      \
		.free_value = (free_fn)                                                        \
	}

void map_cleanup(struct map *m);
/* Takes `value`, copies `key`. Returns false, changing nothing, if the key is there already. */
bool map_add(struct map *m, const char *key, void *value);
/* As map_add, but replaces (and frees) an existing value, keeping its place in the order. */
void map_set(struct map *m, const char *key, void *value);
/* Convenience for maps made with MAP_INIT(free): copies the text. */
void map_set_text(struct map *m, const char *key, const char *text);
void *map_get(const struct map *m, const char *key); /* NULL if absent */
bool map_has(const struct map *m, const char *key);

#endif
