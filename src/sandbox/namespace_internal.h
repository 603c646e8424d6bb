/*
 * Starts a process in namespaces of its own. The child comes back with its old ids and all
 * capabilities over its namespaces, which is the moment to open what only the old ids reach;
 * then namespace_become_root() makes it root of the sandbox.
 */
#ifndef SANDBOX_NAMESPACE_INTERNAL_H
#define SANDBOX_NAMESPACE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "sandbox/cgroup_internal.h"
#include "sandbox/idmap.h"
#include "util/err.h"
#include "util/proc.h"

struct namespace_spec {
	const struct sandbox_idmap *idmap;
	uint64_t
		nproc; /* processes that the namespace may hold for its creator; 0: unlimited */
	const struct cgroup *cgroup; /* that the child is put into before it runs; or NULL */
};

/* Returns twice, as fork does. The child is held by `ret`, dies with its parent, has default
 * signal handlers and private mounts; *ret_channel is its line to the parent. */
int namespace_spawn(const struct namespace_spec *spec, struct proc *ret, bool *ret_is_child,
		    int *ret_channel, struct err *e) WARN_UNUSED;
/* In the child: user and group 0, no other groups, not dumpable, umask 022. */
int namespace_become_root(int channel, struct err *e) WARN_UNUSED;
/* In the child: fixed host and domain name, loopback up, a session keyring of its own. */
int namespace_settle(struct err *e) WARN_UNUSED;

/* For errno of a refused fork, clone or unshare: ERR_SANDBOX "sandbox/namespaces", or ERR_SYSTEM
 * if files or memory ran out; -1. */
int namespace_refused(struct err *e);

#endif
