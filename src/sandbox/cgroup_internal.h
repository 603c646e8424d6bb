/*
 * A control group for one step: memory and number of processes, kept by the kernel. Where none
 * can be had (an ordinary user without a delegated subtree, a container with a read-only
 * hierarchy) that is no error: the supervisor then counts for itself, see watch.c, and the
 * evidence says so.
 */
#ifndef SANDBOX_CGROUP_INTERNAL_H
#define SANDBOX_CGROUP_INTERNAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "sandbox/evidence.h"
#include "sandbox/limits.h"
#include "util/err.h"

enum { CGROUP_NAME_MAX = 48 };

/* A directory of one hierarchy: version 2 has one for both controllers, version 1 one each. */
struct cgroup_dir {
	enum evidence_cgroup kind; /* NONE: not there */
	int parent_fd, fd;	   /* fd is locked for as long as the group is in use */
	char name[CGROUP_NAME_MAX];
};
struct cgroup {
	struct cgroup_dir memory, pids; /* with version 2, `pids` stays NONE but processes_by */
	bool counts_pids;		/* says that they are limited */
	uint64_t memory_bytes;
};
#define CGROUP_INIT                                                                            \
	{                                                                                      \
		.memory = {.parent_fd = -1, .fd = -1}, .pids = {.parent_fd = -1, .fd = -1 }    \
	}

/* `root` is where hierarchies are mounted ("/sys/fs/cgroup"), `membership` the text of
 * /proc/self/cgroup. Also removes groups that killed runs left. */
void cgroup_create(struct cgroup *ret, const char *root, const char *membership,
		   const struct sandbox_limits *limits);
/* As above, of this machine and process. */
void cgroup_create_here(struct cgroup *ret, const struct sandbox_limits *limits);
/*
 * Starting a child in the group. Moving another process there makes the kernel wait for its
 * grace periods, ten milliseconds and more; being born there does not. Version 2 takes the fd
 * of the group for clone3 (CLONE_INTO_CGROUP), -1 if there is none; with version 1 the caller,
 * which must have no threads, goes in itself for the time of the clone.
 */
int cgroup_clone_fd(const struct cgroup *c);
int cgroup_enter(const struct cgroup *c, struct err *e) WARN_UNUSED;
int cgroup_leave(const struct cgroup *c, struct err *e) WARN_UNUSED;
/* What limits the processes: NONE, V1 or V2. */
enum evidence_cgroup cgroup_limits_pids(const struct cgroup *c);
/* MEMORY or PROCESSES once one of them was refused anything. */
enum sandbox_limit cgroup_reached(const struct cgroup *c);
uint64_t cgroup_memory_peak(const struct cgroup *c); /* 0: not known */
/* Removes the group, in which nothing may live any more. */
void cgroup_cleanup(struct cgroup *c);

#endif
