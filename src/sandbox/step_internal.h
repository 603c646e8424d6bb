/*
 * The parts of a step's sandbox that run.c puts together: what a step finds in /dev, /proc,
 * /sys, /tmp, /run, /stacker and /etc/hosts; its limits and capabilities; its pid 1.
 */
#ifndef SANDBOX_STEP_INTERNAL_H
#define SANDBOX_STEP_INTERNAL_H

#include "sandbox/policy.h"
#include "sandbox/run.h"
#include "sandbox/seccomp_internal.h"
#include "util/err.h"

/* dev_proc.c. Called in this order with the scratch tmpfs, the mount of root.c, as cwd. */
/* Makes the directory "skel": every mount point, as the lowest layer, so that none is ever made
 * in, or removed from, the layers above it. */
int skeleton_make(struct err *e) WARN_UNUSED;
/* Mounts everything over the skeleton's places in the root file system at `root_fd`. */
int skeleton_fill(const struct sandbox_spec *spec, int root_fd, struct err *e) WARN_UNUSED;
/* No nested namespaces, above all of users: they open most of the kernel's attack surface. Nor
 * fanotify, which users may use, too. Needs the host's /proc in view, hence before
 * mount_scratch(); of mount namespaces the step has no right to make one. */
int proc_forbid_namespaces(struct err *e) WARN_UNUSED;

/* rlimits.c */
int limits_apply(const struct sandbox_policy *policy, struct err *e) WARN_UNUSED;

/* caps.c: bounding = permitted = effective = `mask`; nothing inheritable or ambient. */
int caps_restrict(uint64_t mask, struct err *e) WARN_UNUSED;

/* init.c */
struct init_fds {
	int null_fd;   /* the step's stdin, unless it has another one */
	int input_fd;  /* the other one, or -1 */
	int output_fd; /* its stdout and stderr */
	int error_fd;  /* a struct err if the step cannot be executed; closed by exec */
	int status_fd; /* a struct init_report at the step's end */
	int line_fd;   /* socket to the supervisor: who takes the calls of the step's filter */
};
struct init_report {
	int status;		    /* of wait4() */
	uint64_t largest_rss_bytes; /* that any one process of the step ever had */
};
struct init_programs {
	const struct seccomp_program *step, *init;
	const struct seccomp_program *watched; /* the step's, with a supervisor; or NULL */
};

/* What travels over the line, in this order; the step's exec closes it. */
enum {
	LINE_PLACES = 'p',   /* METER_PLACES files */
	LINE_LISTENER = 'l', /* of the watched filter */
};
_Noreturn void init_main(const struct sandbox_spec *spec, const struct init_programs *programs,
			 const struct init_fds *fds);

#endif
