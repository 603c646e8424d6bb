/*
 * What one run of stacker works with: the state directory, the store, the layer trees, ids and
 * policy. Opened once by cli (and by verify for each rebuild), passed everywhere, closed at the
 * end. Whoever holds a context that was opened for writing trees holds the lock of its roots
 * directory, so everything below roots/.work is its own or left over from a killed run.
 */
#ifndef BUILD_CONTEXT_H
#define BUILD_CONTEXT_H

#include <stdbool.h>

#include "build/sources.h"
#include "image/volatile.h"
#include "inputs/fetch.h"
#include "inputs/registry.h"
#include "inputs/store.h"
#include "sandbox/idmap.h"
#include "sandbox/policy.h"

struct build_dirs {
	const char *state; /* --stacker-dir */
	const char *roots; /* --roots-dir */
	const char *oci;   /* --oci-dir */
	const char *work;  /* --work-dir, or NULL; only told to stackerfiles */
};

struct build_context {
	struct build_dirs dirs; /* borrowed texts */
	int state_fd;
	int state_lock_fd; /* shared, since any number of builds may use one store */
	int roots_fd;
	int roots_lock_fd;
	int cache_fd; /* DIR/cache */
	struct store store;
	struct sandbox_idmap idmap;
	struct sandbox_policy policy;
	struct digest policy_digest;
	struct volatile_list volatile_files;
	unsigned next_work;	  /* numbers the directories below roots/.work */
	const struct store *seed; /* pins are taken from here before the network; or NULL */
	struct fetch_options fetch;
	const struct build_sources *sources; /* borrowed; or NULL */
	struct registry_options registry;    /* the same for every registry but `insecure` */
	bool quiet_steps;		     /* a step's output goes to its log file only */
	bool tell_copies;		     /* a line for each blob that is copied */
	/* Called when a step has ended, well or not, and its evidence is kept; or NULL. */
	void (*step_done)(void *ctx, const struct digest *recipe);
	void *step_done_ctx;
	/* Run in what a failed step left, before that goes; borrowed, or NULL. */
	const struct shell_command *on_failure;
};
#define BUILD_CONTEXT_INIT                                                                     \
	{                                                                                      \
		.state_fd = -1, .state_lock_fd = -1, .roots_fd = -1, .roots_lock_fd = -1,      \
		.cache_fd = -1, .store = STORE_INIT                                            \
	}
void build_context_cleanup(struct build_context *c);

/* Creates what is absent (private directories), finds the id map, loads the policy, locks the
 * state directory (shared) and the roots directory and clears what a killed run left. ERR_POLICY
 * "store/other-user" if another user made the state directory. */
int build_context_open(const struct build_dirs *dirs, struct build_context *ret,
		       struct err *e) WARN_UNUSED;

/* Only what plan_make() needs: the policy. Nothing is made, locked or looked for on disk, and
 * plans of it keep no local file. */
int build_context_open_for_plan(struct build_context *ret, struct err *e) WARN_UNUSED;

/* The store and what traffic with registries needs, and no layer trees: only the state
 * directory is locked, shared. */
int build_context_open_store(const struct build_dirs *dirs, struct build_context *ret,
			     struct err *e) WARN_UNUSED;

/* Makes sure that nobody else uses the state directory, to remove what others might need. */
int build_context_be_alone(const struct build_context *c, struct err *e) WARN_UNUSED;

/* "Copying blob sha256:..." where lines of progress are wanted. */
void build_tell_copy(const struct build_context *c, const struct digest *d);

/* The OCI name of the machine's architecture ("amd64", "arm64"). */
const char *build_machine_arch(void);

/* Opens the directory of layer trees, made if absent. It belongs to id 0 of the sandbox:
 * workers write there, nobody else. ERR_POLICY "roots/other-ids" if it was made under another
 * map. */
int build_open_roots(const char *path, const struct sandbox_idmap *idmap, int *ret_fd,
		     struct err *e) WARN_UNUSED;

/* Removes a directory of mapped ids, "NAME" below the caller's `dir_fd`, with all it holds. */
int build_remove_tree(const struct build_context *c, int dir_fd, const char *name,
		      struct err *e) WARN_UNUSED;
/* The same where a step may have made what is removed: always in a worker, which sees nothing
 * but that directory. */
int build_remove_hostile(const struct build_context *c, int dir_fd, const char *name,
			 struct err *e) WARN_UNUSED;

#endif
