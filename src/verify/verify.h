/*
 * Verification: each image is rebuilt twice from its recipe and pins, the second time under
 * other circumstances, and both are compared with each other and with what the layout holds.
 * Nothing that can be recomputed is believed.
 */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#include <stddef.h>

#include "build/plan.h"
#include "verify/compare.h"

/* reference/audit.md 5.4 */
enum verify_verdict {
	VERIFY_REPRODUCED,
	VERIFY_REPRODUCED_CONTENT,
	VERIFY_DIFFERS,
	VERIFY_TAMPERED_INPUT,
	VERIFY_CANNOT_REBUILD,
};

struct verify_image {
	char *name;
	struct digest published; /* manifest digest in the layout; alg NONE if unreadable */
	struct digest recipe;
	enum verify_verdict verdict;
	const char *
		reason; /* "unstable", "mismatch", "metadata-only", "input-gone" ...; or NULL */
	char *detail;	/* a sentence, or NULL */
	struct digest runs[2]; /* manifests of the rebuilds, alg NONE if not reached */
	/* What the verdict rests on: the rebuilds against each other if unstable, else
	 * published (a) against rebuilt (b). */
	struct comparison comparison;
};
struct verify_image_vec VEC_OF(struct verify_image);

struct verify_report {
	struct verify_image_vec images;
};
void verify_report_cleanup(struct verify_report *r);

struct verify_options {
	struct plan_options plan; /* no names: every image that is not build_only */
	/* Called when a rebuild begins; `run` is 'A' or 'B'. May be NULL. */
	void (*progress)(void *ctx, const char *image, char run);
	void *ctx;
};

/* Fails on usage errors and internal ones; everything about an image is in the report. */
int verify_run(struct build_context *c, const struct verify_options *options,
	       struct verify_report *ret, struct err *e) WARN_UNUSED;

const char *verify_verdict_name(enum verify_verdict v);
/* 0 reproduced, 1 differs, 3 reproduced-content, 4 cannot rebuild, 6 tampered input; of several
 * images the first present of 6, 1, 4, 3. */
int verify_exit_code(const struct verify_report *r);
/* The report as canonical JSON, schema STACKER_BASE_URI "rebuild-report/v1". */
void verify_report_json(const struct verify_report *r, struct buf *out);

#endif
