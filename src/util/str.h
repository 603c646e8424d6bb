/* Borrowed text slices and the few text helpers that libc lacks. */
#ifndef UTIL_STR_H
#define UTIL_STR_H

#include <stdbool.h>
#include <stddef.h>

struct str {
	const char *ptr; /* borrowed, not NUL-terminated */
	size_t len;
};

#define STR_LIT(text) ((struct str){(text), sizeof(text) - 1})

struct str str_of(const char *text);
bool str_eq(struct str a, struct str b);
bool str_eq_c(struct str a, const char *b);
bool str_has_prefix(const char *text, const char *prefix);
bool str_has_suffix(const char *text, const char *suffix);
/* NULL-tolerant equality of C strings. */
bool str_same(const char *a, const char *b);
/* Whether `text` is one of a list that ends in NULL. */
bool str_is_any(const char *text, const char *const *list);
/* How many of the leading bytes are ASCII letters, digits and underscores. */
size_t str_name_len(const char *text, size_t len);
/* Byte order, for qsort over `char *`. */
int str_compare_ptr(const void *a, const void *b);
/* True if all bytes form valid UTF-8 (no surrogates, no overlong forms); NUL is valid here. */
bool str_is_utf8(const char *text, size_t len);
/* Damerau-Levenshtein distance, capped at `max` + 1; for "did you mean". */
unsigned str_distance(const char *a, const char *b, unsigned max);
/* The nearest of `names` within a third of its length, or NULL. */
const char *str_nearest(const char *text, const char *const *names, size_t names_len);
/* A copy with control bytes, DEL, C1 and bidirectional controls as \xNN; the caller frees. */
char *str_printable(const char *text, size_t len);

#endif
