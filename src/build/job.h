/*
 * The three pieces of making one layer, each a worker or a sandbox over the same work
 * directory: put imports in, run the step, pack what changed. A job is one layer in the making.
 */
#ifndef BUILD_JOB_H
#define BUILD_JOB_H

#include "build/plan.h"
#include "build/roots.h"
#include "sandbox/run.h"

#define JOB_STEP_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define JOB_LABELS_DIR "oci-labels" /* in the root of the finished image, for its script */
enum { JOB_FILE_MAX = DIGEST_TEXT_MAX + 32 }; /* names of a step's files in the cache */

struct job {
	struct build_context *c;
	const struct plan *plan;
	const struct image_result *results; /* indexed like the plan */
	const struct plan_image *image;
	struct strvec lowers;	   /* trees beneath the new layer, topmost first */
	char work[ROOTS_NAME_MAX]; /* roots/.work/N: upper, work, imports */
	bool makes_labels;	   /* the step is generate_labels, not run */
	bool has_step;		   /* job_run_step() was called; then `step` is how it went */
	struct sandbox_result step;
	struct strvec normalised; /* "RULE PATH" of volatile files, after packing */
	uint64_t more_normalised; /* how many more there were */
	int64_t epoch_s;
};
void job_cleanup(struct job *j);

/* A range of the image's imports that share one layer. */
struct import_range {
	size_t first, len;
};

/* "roots/WORK" with the empty directories upper, work and imports, in a worker that has
 * roots/. */
int job_make_work(const char *work, int *ret_fd, struct err *e) WARN_UNUSED;
/* Makes the work directory, and expands the base of a `from: tar` image into it. */
int job_unpack_base(struct job *j, struct err *e) WARN_UNUSED;
/* Makes the work directory and puts a range of imports with `dest` into its upper. */
int job_import(struct job *j, struct import_range range, struct err *e) WARN_UNUSED;
/* Makes the work directory and stages the imports without `dest`. */
int job_stage(struct job *j, struct err *e) WARN_UNUSED;
/* The same for the script of generate_labels: no imports, but the directory that it fills. */
int job_stage_labels(struct job *j, struct err *e) WARN_UNUSED;
/* After job_run_step(): what the script left there, name -> text, added to `ret`; then the work
 * directory goes. ERR_INPUT "step/bad-label", "step/labels-too-big",
 * "step/no-labels-directory". */
int job_read_labels(struct job *j, struct map *ret, struct err *e) WARN_UNUSED;
/* Runs the job's script over what was staged; the log is kept in the cache. */
int job_run_step(struct job *j, struct err *e) WARN_UNUSED;
/* For a step that ended, once nothing can be added to its evidence. */
void job_tell_done(const struct job *j);
/* Adds to an error about a limit where the image stands and where its log is. */
int job_limit_reached(const struct job *j, struct err *e);
/* Packs the upper into the store and removes the work directory. *ret_empty: nothing changed.
 */
int job_pack(struct job *j, struct result_layer *ret, bool *ret_empty,
	     struct err *e) WARN_UNUSED;

#endif
