/*
 * The stackerfiles of one build: those that were asked for and, recursively, the prerequisites
 * they name. Each is read once, however many need it; what they define is seen only by those
 * that list them, directly or through others.
 */
#ifndef BUILD_PROJECT_H
#define BUILD_PROJECT_H

#include "recipe/lockfile.h"
#include "recipe/stackerfile.h"

struct project_need {
	size_t file;	/* index of the prerequisite */
	struct pos pos; /* where it is asked for */
};
struct project_needs VEC_OF(struct project_need);

struct project_file {
	struct stackerfile stackerfile;
	char *path;	/* as errors show it; opens from the working directory */
	char *absolute; /* without links and dots in its directories: tells files apart */
	int dir_fd;	/* where its local imports start */
	struct project_needs needs;
	bool is_asked_for; /* not only a prerequisite */
	char *lock_path;   /* stacker.yaml's is stacker.lock; as errors show it */
	bool has_lock;
	struct lockfile lock; /* if has_lock */
};
struct project_files VEC_OF(struct project_file);

struct project {
	struct project_files files; /* in build order: prerequisites first */
};
void project_cleanup(struct project *p);

struct project_options {
	const char *const *files; /* at least one */
	size_t files_len;
	const char *default_arch;		      /* OCI name of the machine's */
	const struct substitution_vec *substitutions; /* for all of them; or NULL */
	bool leave_unpinned; /* read locks, but do not apply them: to make a new one */
};

/* Reads them, orders files and images, and settles pins: a file's own lock comes first, then
 * that of the file that was asked for and needs it. Errors, at the place that is wrong: those of
 * recipe/stackerfile.h, lockfile.h and pin.h, "recipe/prerequisite-cycle" with the way round,
 * "recipe/duplicate-name", "recipe/too-big" over LIMIT_STACKERFILES or LIMIT_IMAGES. */
int project_read(const struct project_options *options, struct project *ret,
		 struct err *e) WARN_UNUSED;

/* `path` without links and dots in its directories: how a stackerfile is told from others. The
 * caller frees. */
int project_absolute(const char *path, char **ret, struct err *e) WARN_UNUSED;

/* The lock that belongs to a stackerfile: "dir/app.yaml" -> "dir/app.lock". The caller frees. */
char *project_lock_path(const char *path);

#endif
