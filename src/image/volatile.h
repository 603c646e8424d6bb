/*
 * Volatile files: what differs from one run of the same installation to the next, and how the
 * packer makes it the same (docs/format-1.md, "Volatile files"). The list is policy, read by
 * whoever packs; the rules are part of the format. Only regular files with one name are
 * touched, and only what a layer changes: nothing beneath is ever rewritten for its sake.
 */
#ifndef IMAGE_VOLATILE_H
#define IMAGE_VOLATILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "util/buf.h"
#include "util/err.h"
#include "util/vec.h"

enum volatile_rule {
	VOLATILE_REMOVE,   /* as if the step had removed it */
	VOLATILE_TRUNCATE, /* empty */
	VOLATILE_SET,	   /* fixed content */
	VOLATILE_PYTHON,   /* the source's time in compiled Python, not above the epoch */
	VOLATILE_GZIP,	   /* the time in a gzip header, not above the epoch */
	VOLATILE_SHADOW,   /* the days of password changes, not above the epoch */
};
/* "remove", ...; false: there is no such rule. */
bool volatile_rule_parse(const char *name, enum volatile_rule *ret);
const char *volatile_rule_name(enum volatile_rule rule);

struct volatile_file {
	char *pattern; /* relative; '*' is any bytes but '/', '**' any bytes */
	enum volatile_rule rule;
	char *content; /* of SET, else NULL */
};
struct volatile_list VEC_OF(struct volatile_file);
void volatile_list_cleanup(struct volatile_list *l);
/* Copies both texts. */
void volatile_list_add(struct volatile_list *l, const char *pattern, enum volatile_rule rule,
		       const char *content);
/* The first that matches, or NULL. A NULL list is empty. */
const struct volatile_file *volatile_list_find(const struct volatile_list *l, const char *path);

bool volatile_match(const char *pattern, const char *path);

/* What a file is packed as: `head`, then its own bytes from `skip` on. */
struct volatile_content {
	const struct volatile_file *file; /* NULL: as it is, and the rest means nothing */
	struct buf head;
	uint64_t skip;
};
#define VOLATILE_CONTENT_INIT                                                                  \
	{                                                                                      \
		.head = BUF_INIT(VOLATILE_HEAD_BYTES)                                          \
	}
/* A shadow file of 10,000 users has half of it; a larger one is left as it is. */
#define VOLATILE_HEAD_BYTES (1024 * 1024)
void volatile_content_cleanup(struct volatile_content *c);
/* Bytes that it is packed as, of a file of `size`. */
uint64_t volatile_content_size(const struct volatile_content *c, uint64_t size);

/* A file and one to compare it with; `path` is for errors. */
struct volatile_pair {
	const char *path;
	int fd, other_fd;
	uint64_t size, other_size;
};
/* Whether what the first is packed as is all that the other holds. */
int volatile_content_equals(const struct volatile_content *c, const struct volatile_pair *files,
			    bool *ret, struct err *e) WARN_UNUSED;

/* What a layer is packed with. */
struct volatile_options {
	const struct volatile_list *files; /* NULL: nothing is volatile */
	int64_t epoch_s;
};
/* Looks up `path` and reads what its rule needs of `fd`, a regular file of which `st` tells; the
 * position of `fd` is of no matter. A file that is not of its rule's form, or that is what the
 * rule would make of it already, is left as it is. */
int volatile_content_read(const struct volatile_options *o, const char *path, int fd,
			  const struct stat *st, struct volatile_content *ret,
			  struct err *e) WARN_UNUSED;

#endif
