/*
 * `stacker.lock`: what a stackerfile names without pinning it, pinned. A YAML file that is made
 * to be read in a diff: one pin a URL, in byte order of the URL, each with its hash, its size
 * and when it was looked up. The file is written by `stacker lock` alone, but read as strictly
 * as any other input, since people merge it by hand.
 */
#ifndef RECIPE_LOCKFILE_H
#define RECIPE_LOCKFILE_H

#include <stdint.h>

#include "recipe/yaml.h"
#include "util/buf.h"
#include "util/digest.h"
#include "util/vec.h"

#define LOCKFILE_VERSION 1

struct lockfile_pin {
	char *url; /* as the stackerfile has it: http(s)://, or docker://HOST/REPO:TAG */
	struct digest hash; /* of the file; of the manifest or index for docker:// */
	int64_t size;	    /* bytes of the same */
	int64_t locked_s;   /* when it was looked up, for the reader alone */
	struct pos pos;	    /* of the pin in the lock; line 0 if it was not read from one */
};
struct lockfile_pin_vec VEC_OF(struct lockfile_pin);

struct lockfile {
	struct yaml_document document; /* owns the positions' file name */
	struct lockfile_pin_vec pins;  /* by URL, each URL once */
	/* When the lock last changed; the default `source_date_epoch` of the images it pins. */
	int64_t source_date_epoch;
};
void lockfile_cleanup(struct lockfile *l);

/* `file` is the name errors show. Errors, at their place: "yaml/...", "lock/malformed". */
int lockfile_parse(const char *text, size_t len, const char *file, struct lockfile *ret,
		   struct err *e) WARN_UNUSED;
/* The whole file; the same pins give the same bytes. */
void lockfile_write(const struct lockfile *l, struct buf *out);

const struct lockfile_pin *lockfile_find(const struct lockfile *l, const char *url);
/* Adds a pin, or replaces that of the same URL; copies `url`. */
void lockfile_set(struct lockfile *l, const struct lockfile_pin *pin);

enum lockfile_change { LOCKFILE_ADDED, LOCKFILE_REMOVED, LOCKFILE_CHANGED };
struct lockfile_difference {
	enum lockfile_change change;
	const struct lockfile_pin *before, *after; /* NULL where absent */
};
/* In order of URL. Pins that differ in `locked_s` alone are equal. */
void lockfile_compare(const struct lockfile *before, const struct lockfile *after,
		      void (*report)(void *ctx, const struct lockfile_difference *d),
		      void *ctx);

#endif
