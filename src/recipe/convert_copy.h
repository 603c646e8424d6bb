/* One COPY or ADD in the making. Internal to the conversion. */
#ifndef RECIPE_CONVERT_COPY_H
#define RECIPE_CONVERT_COPY_H

#include "recipe/convert_internal.h"

struct copy {
	const struct dockerfile_instruction *i;
	bool is_add;
	char *dest; /* absolute; ends in "/" if that was written */
	struct strvec exclude;
	char *chmod, *chown; /* NULL: not given */
	char *uid, *gid;     /* numbers that `chown` comes to, or NULL */
	const char *hash;    /* ADD --checksum */
	bool parents;
	size_t imports;
};

/* An import; takes `path`. Contents of a directory if that ends in "/". */
int copy_add_import(struct converter *c, struct copy *k, char *path, const char *dest,
		    struct err *e) WARN_UNUSED;
/* A source of the context, as written. */
int copy_from_context(struct converter *c, struct copy *k, const char *source,
		      struct err *e) WARN_UNUSED;

/* Without "." and leading slashes; ".." cannot lead out. A slash at the end stays. */
char *copy_clean_source(const char *source);
char *copy_without_slash(const char *path);
bool copy_has_wildcard(const char *path);

#endif
