/* The vector of owned strings. */
#include "util/vec.h"

#include <stdlib.h>

#include "util/str.h"

void strvec_push(struct strvec *v, const char *text)
{
	char *copy = mem_strdup(text);

	vec_push(v, copy);
}

bool strvec_has(const struct strvec *v, const char *text)
{
	for (size_t i = 0; i < v->len; i++) {
		if (str_same(v->items[i], text))
			return true;
	}
	return false;
}

void strvec_cleanup(struct strvec *v)
{
	for (size_t i = 0; i < v->len; i++)
		free(v->items[i]);
	vec_free(v);
}
