/*
 * Runs one step: the construction of reference/security.md section 5, one code path for root
 * and ordinary user. What cannot be had is an error naming it and the remedy, never a fallback.
 */
#ifndef SANDBOX_RUN_H
#define SANDBOX_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/evidence.h"
#include "sandbox/idmap.h"
#include "sandbox/limits.h"
#include "sandbox/policy.h"
#include "util/err.h"

struct sandbox_spec {
	const struct sandbox_idmap *idmap;
	const struct sandbox_policy *policy;
	int roots_fd;		   /* directory that the names below are relative to */
	const char *const *lowers; /* layer trees, topmost first; may be empty */
	size_t lowers_len;
	const char *upper;   /* exists, empty or holding earlier changes of this layer */
	const char *work;    /* overlay's work directory; exists, empty */
	const char *imports; /* read-only at /stacker/imports, or NULL */
	bool imports_beside; /* and each of them also at /stacker/NAME, as `import` had it */
	const char *labels;  /* what the link /stacker/oci-labels leads to, or NULL */
	const char *script;  /* text of the step; executed as a file, so its #! decides */
	/* For a person who looks around, never for a step whose result is kept. A command instead
	 * of the script, which is NULL then: the first of `programs` that exists is executed with
	 * `argv`; both NULL-terminated. */
	const char *const *argv;
	const char *const *programs;
	/* It gets what comes from the caller's standard input; if that is a terminal, by one of
	 * its own. */
	bool attached;
	const char *const *env; /* NULL-terminated "K=V"; nothing else is in the environment */
	const char *label;	/* image name, for errors and output lines */
	/* Receives the step's stdout and stderr as they come, on the caller's side. */
	void (*output)(void *ctx, const char *bytes, size_t len);
	void *ctx;
	const struct sandbox_limits *limits; /* NULL: the policy's defaults */
};

struct sandbox_result {
	int exit_code; /* of the step; 128 + signal if it was killed */
	uint64_t wall_ms;
	struct sandbox_evidence evidence;
};

/* Returns 0 if the step ran to its end within its limits, whatever its exit code. Every process
 * of the step is gone when this returns. ERR_SANDBOX "sandbox/..." if isolation could not be
 * had or a limit was reached; *ret is filled then too, and its evidence says which limit. A
 * step that met a limit of memory or processes fails even if it went on and exited with 0: what
 * it made may depend on the limit. */
int sandbox_run(const struct sandbox_spec *spec, struct sandbox_result *ret,
		struct err *e) WARN_UNUSED;

#endif
