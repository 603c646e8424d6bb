/* The policy a sandbox enforces, as plain data; build fills it in from policy/ (yaml). */
#ifndef SANDBOX_POLICY_H
#define SANDBOX_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/limits.h"
#include "util/vec.h"

/* An argument check: (args[arg] & mask) == value, or != with `negate`. */
struct policy_arg {
	unsigned arg;
	uint64_t mask;
	uint64_t value;
	bool negate;
};

struct policy_rule {
	char *name; /* system call name; NULL if given by number only */
	int number; /* for calls newer than libseccomp; -1: by name */
	int errno_; /* 0: allow; else fail with this errno */
	struct policy_arg args[3];
	size_t args_len;
};
struct policy_rule_vec VEC_OF(struct policy_rule);

/* One for each kind of process; each has a seccomp list of its own. */
enum policy_role {
	POLICY_STEP,
	POLICY_INIT,	 /* pid 1 of a step's sandbox */
	POLICY_UNPACKER, /* writes trees from archives, layers and imports */
	POLICY_PACKER,	 /* reads a tree, writes one open file */
	POLICY_LISTER,	 /* reads trees and layers, and answers */
	POLICY_TOOL,	 /* runs a program of this machine on a file system image */
	POLICY_REMOVER,	 /* removes trees */
	POLICY_FETCHER,	 /* the network, and files handed to it */
	POLICY_ROLES,
};
/* As in policy/ and in errors: "step", "unpacker" ... */
const char *policy_role_name(enum policy_role role);

struct sandbox_policy {
	struct policy_rule_vec
		seccomp[POLICY_ROLES]; /* default of each: ENOSYS; bad arch: kill */
	uint64_t step_caps;	       /* bounding = permitted = effective */
	/* Likewise, of the workers (unpacker to remover), over their own namespace. */
	uint64_t worker_caps[POLICY_ROLES];
	struct strvec proc_masked;   /* files below /proc: empty */
	struct strvec proc_readonly; /* bind-mounted read-only over themselves */
	struct {
		uint64_t nproc, nofile, fsize_bytes, memlock_bytes, stack_bytes, as_bytes;
		uint64_t tmp_bytes, shm_bytes;
		uint64_t disk_reserve_bytes; /* left free on the file system of the roots */
	} limits; /* fixed for every step, since a step can see them; 0: unlimited */
	struct sandbox_limits defaults; /* where a stackerfile says nothing */
	struct sandbox_limits most;	/* that a stackerfile may say; 0: anything */
};
void sandbox_policy_cleanup(struct sandbox_policy *p);

#endif
