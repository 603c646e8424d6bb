/*
 * A role's seccomp list as a program, so that it is compiled in the supervisor, where errors
 * are cheap to report, and only handed to the kernel in the child.
 */
#ifndef SANDBOX_SECCOMP_INTERNAL_H
#define SANDBOX_SECCOMP_INTERNAL_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#include "sandbox/policy.h"
#include "util/err.h"

struct seccomp_program {
	struct sock_filter *code;
	size_t len;
	size_t cap;
};
void seccomp_program_cleanup(struct seccomp_program *p);

/* ERR_POLICY "sandbox/policy" for an unknown name or a rule that cannot be compiled. */
int seccomp_program_compile(const struct policy_rule_vec *rules, struct seccomp_program *ret,
			    struct err *e) WARN_UNUSED;
/* As above, but what would be refused, and the calls that evidence observes, wait for the
 * answer of a supervisor. */
int seccomp_program_compile_watched(const struct policy_rule_vec *rules,
				    struct seccomp_program *ret, struct err *e) WARN_UNUSED;
/* Sets no_new_privs, then the filter. No malloc: usable between clone and exec. */
int seccomp_program_install(const struct seccomp_program *p, struct err *e) WARN_UNUSED;
/* As above; *ret_listener is where the supervisor hears of calls. Fails if this process is
 * watched by an outer supervisor already, of whom the kernel takes only one. */
int seccomp_program_install_watched(const struct seccomp_program *p, int *ret_listener,
				    struct err *e) WARN_UNUSED;
/* What the kernel would make of the program for this call: SECCOMP_RET_... */
uint32_t seccomp_program_run(const struct seccomp_program *p, const struct seccomp_data *data);

#endif
