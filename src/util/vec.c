/* The vector of owned strings. */
#include "util/vec.h"

#include <stdlib.h>

void strvec_push(struct strvec *v, const char *text)
{
	char *copy = mem_strdup(text);

	vec_push(v, copy);
}

void strvec_cleanup(struct strvec *v)
{
	for (size_t i = 0; i < v->len; i++)
		free(v->items[i]);
	vec_free(v);
}
