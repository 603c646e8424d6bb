/*
 * The switches of the ablation tests: linked with --wrap over the released objects, so that one
 * protection of a step after another can be taken away and what then still holds be compared
 * with tests/security/golden. STACKER_TEST_ABLATE is a list of the words seccomp, caps and
 * dumpable. None of this is in the released program.
 */
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sandbox/seccomp_internal.h"
#include "sandbox/step_internal.h"

int __real_seccomp_program_install(const struct seccomp_program *p, struct err *e) WARN_UNUSED;
int __real_caps_restrict(uint64_t mask, struct err *e) WARN_UNUSED;
_Noreturn void __real_init_main(const struct sandbox_spec *spec,
				const struct init_programs *programs,
				const struct init_fds *fds);

static bool taken_away(const char *what)
{
	static const char name[] = "STACKER_TEST_ABLATE=";
	for (char **entry = environ; *entry; entry++)
		if (strncmp(*entry, name, sizeof(name) - 1) == 0)
			return strstr(*entry + sizeof(name) - 1, what) != NULL;
	return false;
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

int __wrap_caps_restrict(uint64_t mask, struct err *e)
{
	return taken_away("caps") ? 0 : __real_caps_restrict(mask, e);
}

_Noreturn void __wrap_init_main(const struct sandbox_spec *spec,
				const struct init_programs *programs,
				const struct init_fds *fds)
{
	if (taken_away("dumpable") && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		_exit(1);
	__real_init_main(spec, programs, fds);
}
