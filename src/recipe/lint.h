/*
 * Everything that is wrong with a stackerfile, at once: what a build would refuse, by the very
 * readers that a build uses, and what it would do but with a result that need not be the same
 * tomorrow. Pure: text in, findings out.
 *
 * To go on after an error, the place that it is about is taken out of the tree and the image is
 * read again, so that each error is found by the code that would raise it.
 */
#ifndef RECIPE_LINT_H
#define RECIPE_LINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recipe/pin.h"
#include "recipe/stackerfile.h"
#include "util/vec.h"

/* Further findings of one file are dropped. Each may cost reading an image again. */
#define LINT_FINDINGS_MAX 500

enum lint_severity { LINT_ERROR, LINT_WARNING };

struct lint_finding {
	char *file; /* NULL: the file that was asked for */
	uint32_t line, column;
	enum lint_severity severity;
	char *id;      /* of the error, or "lint/..." (docs/lint.md) */
	char *message; /* one sentence */
	char *hint;    /* what to do, or "" */
	char *snippet; /* lines to paste, or "" */
};
struct lint_finding_vec VEC_OF(struct lint_finding);

struct lint_report {
	struct lint_finding_vec findings; /* by line and column */
	bool truncated;
	size_t errors, warnings;
};
void lint_report_cleanup(struct lint_report *r);

struct lint_options {
	struct stackerfile_source source;
	const struct map *elsewhere;   /* names of images of other files; NULL: not known, and
					  with prerequisites nothing is said about order then */
	const struct pin_locks *locks; /* what pins URLs without a hash; NULL: nothing does */
};

/* `ret` must be empty. */
void lint_check(const struct lint_options *options, struct lint_report *ret);
/* Adds an error found elsewhere, perhaps in another file; its position may be absent. */
void lint_add_error(struct lint_report *r, const struct err *e);
void lint_sort(struct lint_report *r);

#endif
