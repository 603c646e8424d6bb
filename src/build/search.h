/* Finding the stackerfiles below a directory, by a pattern for their paths. */
#ifndef BUILD_SEARCH_H
#define BUILD_SEARCH_H

#include "build/context.h"
#include "util/vec.h"

#define SEARCH_PATTERN "/stacker.yaml$"

struct search_options {
	const char *dir;
	const char *pattern;	       /* an extended regular expression, for absolute paths */
	const struct build_dirs *skip; /* stacker's own directories are not searched */
};

/* Appends the regular files below `dir` whose path matches, in byte order, following no link.
 * ERR_USAGE "build/bad-pattern", "build/no-stackerfiles". */
int search_stackerfiles(const struct search_options *options, struct strvec *ret,
			struct err *e) WARN_UNUSED;

#endif
