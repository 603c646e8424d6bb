/*
 * The 65536 ids of a sandbox. Ordinary user: 0 is the user, 1..65535 the subordinate ids of
 * /etc/subuid and /etc/subgid, which newuidmap maps once for all sandboxes of a run (whoever holds
 * CAP_SETUID and CAP_SETGID does so without it). Root: a dedicated range that no account has, never
 * host id 0, written directly for each.
 */
#ifndef SANDBOX_IDMAP_H
#define SANDBOX_IDMAP_H

#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

#define SANDBOX_IDS 65536u
/* Just above the range systemd hands to containers (524288-1879048191), below its foreign range. */
#define SANDBOX_ROOT_ID_BASE 1879113728u

struct sandbox_outer;

struct sandbox_idmap {
	uint32_t uid_first, gid_first; /* host id of 0 inside */
	uint32_t uid_rest, gid_rest;   /* host id of 1 inside; 65535 of them */
	/* Of an ordinary user, else NULL: the user namespace that has them, in which his
	 * sandboxes are made. Made at the first; owned. */
	struct sandbox_outer *outer;
};
void sandbox_idmap_cleanup(struct sandbox_idmap *m);

/* ERR_SANDBOX "sandbox/no-subids", "sandbox/no-newuidmap" with the remedy. */
int sandbox_idmap_find(struct sandbox_idmap *ret, struct err *e) WARN_UNUSED;
/* Maps the same ids to themselves, for a process that needs privileges over them but must stay
 * who it is (verify's second rebuild, which gets a host name of its own). */
int sandbox_idmap_write_identity(const struct sandbox_idmap *m, pid_t pid,
				 struct err *e) WARN_UNUSED;

#endif
