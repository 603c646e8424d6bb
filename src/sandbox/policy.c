/* Frees what build filled in. */
#include "sandbox/policy.h"

void sandbox_policy_cleanup(struct sandbox_policy *p)
{
	for (size_t role = 0; role < POLICY_ROLES; role++) {
		for (size_t i = 0; i < p->seccomp[role].len; i++)
			mem_free_cleanup(&p->seccomp[role].items[i].name);
		vec_free(&p->seccomp[role]);
	}
	strvec_cleanup(&p->proc_masked);
	strvec_cleanup(&p->proc_readonly);
}
