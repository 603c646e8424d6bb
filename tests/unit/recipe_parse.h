/* A stackerfile without prerequisites, substitutions and lock, read as a build reads it: for the
 * unit tests of the recipe module and for the fuzzers of stackerfiles. */
#ifndef RECIPE_PARSE_H
#define RECIPE_PARSE_H

#include "recipe/pin.h"
#include "recipe/stackerfile.h"

static inline int recipe_parse(const char *text, size_t len, struct stackerfile *ret,
			       struct err *e)
{
	AUTO(stackerfile) s = {0};
	const struct pin_locks none = {0};
	const struct stackerfile_source source = {
		.text = text, .len = len, .file = "f.yaml", .default_arch = "amd64"};

	if (stackerfile_read(&source, &s, e) != 0 || pin_settle_all(&s, &none, e) != 0 ||
	    stackerfile_order(&s, NULL, e) != 0)
		return -1;
	*ret = s;
	s = (struct stackerfile){0};
	return 0;
}

#endif
