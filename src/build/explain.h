/*
 * Why an image is not found in the cache: its recipe is compared member by member with the one
 * it had when it was last built. The recipe digest alone decides what is built; this only says
 * where it comes from.
 */
#ifndef BUILD_EXPLAIN_H
#define BUILD_EXPLAIN_H

#include "build/last.h"
#include "build/plan.h"

enum explain_state {
	EXPLAIN_CACHED,	 /* nothing is to be built */
	EXPLAIN_NEW,	 /* never built here, or no record of it is left */
	EXPLAIN_GONE,	 /* built with this very recipe, but the result is gone */
	EXPLAIN_CHANGED, /* `changes` says how */
};
const char *explain_state_name(enum explain_state state); /* "cached", "new", ... */

struct explain_file {
	char *path;	    /* within the input; "" for an input that is one file */
	const char *change; /* "added", "removed", "content", "mode", "type", "target" */
};
struct explain_file_vec VEC_OF(struct explain_file);

enum explain_kind {
	EXPLAIN_DEFINITION, /* what the stackerfile says of the image */
	EXPLAIN_BASE,
	EXPLAIN_EPOCH,
	EXPLAIN_IMPORT,	    /* what an import holds */
	EXPLAIN_NEW_IMPORT, /* that there was none */
	EXPLAIN_STACKER,    /* the program's own: format or policy */
};

struct explain_change {
	enum explain_kind kind;
	char *field;		 /* "run", "environment.PATH", "imports[1]", "from" */
	struct pos pos;		 /* in the stackerfile; line 0 if what changed is not there */
	char *subject;		 /* the import as written, or the line of a script; or NULL */
	char *before, *after;	 /* for people, in one line; NULL: absent */
	size_t image;		 /* index in the plan of an image that changed, or its len */
	bool is_overlay, is_dir; /* of an import */
	struct explain_file_vec files;
};
struct explain_change_vec VEC_OF(struct explain_change);

struct explanation {
	enum explain_state state;
	struct explain_change_vec changes;
};
void explanation_cleanup(struct explanation *x);

/* `last` is the record of the image's stackerfile. */
int explain_image(const struct build_context *c, const struct plan *p, size_t index,
		  const struct last_builds *last, struct explanation *ret,
		  struct err *e) WARN_UNUSED;
/* The gravest change in the original's words: "layer definition was changed", "base layer was
 * changed", "import content changed: src/a.c" ... For EXPLAIN_CHANGED and EXPLAIN_GONE. */
void explain_reason(const struct explanation *x, struct buf *out);

#endif
