/*
 * Runs one of our own functions in a process that can reach nothing but the directories it is
 * given: own user, mount, pid, net, ipc, uts and cgroup namespaces, root switched to a
 * read-only tmpfs that holds the bind mounts, mapped ids (0 inside), no exec, no sockets, no
 * mounting. Its role decides its seccomp list, its capabilities and its Landlock rights. For
 * unpacking, importing, packing, listing and removing: everything that touches files of mapped
 * ids or hostile bytes.
 */
#ifndef SANDBOX_WORKER_H
#define SANDBOX_WORKER_H

#include <stdbool.h>
#include <stddef.h>

#include "sandbox/idmap.h"
#include "sandbox/policy.h"
#include "util/buf.h"
#include "util/err.h"

struct sandbox_bind {
	int fd;		  /* directory of the caller's; borrowed */
	const char *name; /* one component: the worker finds it at "/NAME" */
	bool read_only;
	bool executable; /* programs in it may run, if the role allows to run any */
};

struct sandbox_worker {
	const struct sandbox_idmap *idmap;
	const struct sandbox_policy *policy;
	const struct sandbox_bind *binds;
	size_t binds_len;
	const int *keep_fds; /* stay open under the same numbers; everything else is closed */
	size_t keep_fds_len;
	enum policy_role role;	/* POLICY_UNPACKER to POLICY_REMOVER */
	unsigned time_limit_ms; /* after which it is killed; 0: none. ERR_SANDBOX
				   "sandbox/worker-time" */
	/* Runs in the worker with "/" as cwd before anything is taken away from it, and must
	 * not read anything hostile: mounts overlays, makes directories. May be NULL. */
	int (*prepare)(void *ctx, struct err *e);
	/* Runs confined, with "/" as cwd. Its reply and error travel back. */
	int (*run)(void *ctx, struct buf *reply, struct err *e);
	void *ctx; /* the caller's memory as it was at the fork */
};

/* `reply` may be NULL. Interruption kills the worker and gives ERR_INTERRUPTED. */
int sandbox_worker_run(const struct sandbox_worker *w, struct buf *reply,
		       struct err *e) WARN_UNUSED;

/* For use inside `prepare`: mounts an overlay on `target` (made if
 * absent). Names are relative to the cwd-relative directory `base` (a bind); lowers are topmost
 * first; upper and work NULL: read-only view (then at least one lower is needed). */
struct sandbox_overlay {
	const char *base;
	const char *const *lowers;
	size_t lowers_len;
	const char *upper;
	const char *work;
	const char *target;
};
int sandbox_overlay_mount(const struct sandbox_overlay *o, struct err *e) WARN_UNUSED;
int sandbox_overlay_unmount(const char *target, struct err *e) WARN_UNUSED;

#endif
