/*
 * Growing arrays as named structs: `struct image_vec { struct image *items; size_t len, cap; }`.
 * Pushing may move the items. The owner frees the elements; vec_free frees the array.
 */
#ifndef UTIL_VEC_H
#define UTIL_VEC_H

#include <stdbool.h>
#include <stddef.h>

#include "util/mem.h"

#define VEC_OF(type)                                                                           \
	{                                                                                      \
		type *items;                                                                   \
		size_t len;                                                                    \
		size_t cap;                                                                    \
	}

#define vec_push(v, item)                                                                      \
	do {                                                                                   \
		if ((v)->len == (v)->cap) {                                                    \
			(v)->cap = (v)->cap ? (v)->cap * 2 : 8;                                \
			(v)->items =                                                           \
				mem_realloc_array((v)->items, (v)->cap, sizeof(*(v)->items));  \
		}                                                                              \
		(v)->items[(v)->len++] = (item);                                               \
	} while (0)

#define vec_free(v)                                                                            \
	do {                                                                                   \
		mem_free_cleanup(&(v)->items);                                                 \
		(v)->len = (v)->cap = 0;                                                       \
	} while (0)

/* A vector of owned strings. */
struct strvec VEC_OF(char *);
void strvec_push(struct strvec *v, const char *text); /* copies */
bool strvec_has(const struct strvec *v, const char *text);
void strvec_cleanup(struct strvec *v);

#endif
