/*
 * The switches of the ablation tests: linked with --wrap over the released objects, so that one
 * protection of a step after another can be taken away and what then still holds be compared
 * with tests/security/golden. STACKER_TEST_ABLATE is a list of the words seccomp, guard,
 * caps, dumpable and evidence; STACKER_TEST_LIMITS, a list of NAME=VALUE, sets limits of
 * policy/limits.yaml, so that reaching one costs a test little. None of this is in the released
 * program.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "build/policy.h"
#include "sandbox/guard_internal.h"
#include "sandbox/seccomp_internal.h"
#include "sandbox/step_internal.h"
#include "util/num.h"

int __real_seccomp_program_install(const struct seccomp_program *p, struct err *e) WARN_UNUSED;
int __real_seccomp_program_install_watched(const struct seccomp_program *p, int *ret_listener,
					   struct err *e) WARN_UNUSED;
int __real_guard_install(struct err *e) WARN_UNUSED;
int __real_caps_restrict(uint64_t mask, struct err *e) WARN_UNUSED;
_Noreturn void __real_init_main(const struct sandbox_spec *spec,
				const struct init_programs *programs,
				const struct init_fds *fds);

int __real_policy_load(struct sandbox_policy *ret, struct digest *ret_digest,
		       struct err *e) WARN_UNUSED;

static const char *variable(const char *name)
{
	size_t len = strlen(name);
	for (char **entry = environ; *entry; entry++)
		if (strncmp(*entry, name, len) == 0)
			return *entry + len;
	return "";
}

static bool taken_away(const char *what)
{
	return strstr(variable("STACKER_TEST_ABLATE="), what) != NULL;
}

static void set_limit(const char *list, const char *name, uint64_t *limit)
{
	const char *at = strstr(list, name);
	if (at == NULL)
		return;
	at += strlen(name);
	BUG_IF(!num_parse_u64(at, strcspn(at, ","), UINT64_MAX, limit));
}

int __wrap_policy_load(struct sandbox_policy *ret, struct digest *ret_digest, struct err *e)
{
	const char *list = variable("STACKER_TEST_LIMITS=");
	if (__real_policy_load(ret, ret_digest, e) < 0)
		return -1;
	set_limit(list, "nproc=", &ret->limits.nproc);
	set_limit(list, "fsize_bytes=", &ret->limits.fsize_bytes);
	set_limit(list, "as_bytes=", &ret->limits.as_bytes);
	set_limit(list, "tmp_bytes=", &ret->limits.tmp_bytes);
	set_limit(list, "shm_bytes=", &ret->limits.shm_bytes);
	set_limit(list, "wall_ms=", &ret->defaults.wall_ms);
	set_limit(list, "memory_bytes=", &ret->defaults.memory_bytes);
	set_limit(list, "processes=", &ret->defaults.processes);
	set_limit(list, "disk_bytes=", &ret->defaults.disk_bytes);
	set_limit(list, "files=", &ret->defaults.files);
	set_limit(list, "log_bytes=", &ret->defaults.log_bytes);
	return 0;
}

/* Of the step only: workers, and pid 1 of its sandbox, are first in their pid namespaces. */
int __wrap_seccomp_program_install(const struct seccomp_program *p, struct err *e)
{
	if (getpid() == 1 || !taken_away("seccomp"))
		return __real_seccomp_program_install(p, e);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, "cannot set no_new_privs");
	return 0;
}

/* Failing sends the step to the plain filter, which is the one above. "evidence" alone is for
 * measuring what evidence costs. */
int __wrap_seccomp_program_install_watched(const struct seccomp_program *p, int *ret_listener,
					   struct err *e)
{
	if (taken_away("seccomp") || taken_away("evidence"))
		return err_set(e, ERR_SANDBOX, "sandbox/seccomp", "taken away by the test");
	return __real_seccomp_program_install_watched(p, ret_listener, e);
}

int __wrap_guard_install(struct err *e)
{
	return taken_away("guard") ? 0 : __real_guard_install(e);
}

int __wrap_caps_restrict(uint64_t mask, struct err *e)
{
	return getpid() != 1 && taken_away("caps") ? 0 : __real_caps_restrict(mask, e);
}

_Noreturn void __wrap_init_main(const struct sandbox_spec *spec,
				const struct init_programs *programs,
				const struct init_fds *fds)
{
	if (taken_away("dumpable") && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		_exit(1);
	__real_init_main(spec, programs, fds);
}
