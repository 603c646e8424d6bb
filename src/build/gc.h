/*
 * Removing what is no longer in use. In use is what these reach: what was last built of every
 * stackerfile that still exists, and the images of the output layout; from there recipes,
 * results, inputs, base images, logs and layer trees. A text in a kept document that reads as a
 * digest keeps what has that name: rather too much is kept than too little.
 */
#ifndef BUILD_GC_H
#define BUILD_GC_H

#include "build/context.h"

enum gc_kind { GC_BLOB, GC_ENTRY, GC_TREE, GC_RECORD, GC_KINDS };

struct gc_removed {
	enum gc_kind kind;
	const char *path; /* below the state or the roots directory, for people */
	uint64_t bytes;	  /* 0 for trees, which are not measured */
};

struct gc_options {
	bool dry_run; /* says what would go, and leaves it */
	void (*removed)(void *ctx, const struct gc_removed *r);
	void *ctx;
};

/* The context must be alone (build_context_be_alone). If the layout cannot be read nothing is
 * removed. */
int gc_run(struct build_context *c, const struct gc_options *options,
	   struct err *e) WARN_UNUSED;

#endif
