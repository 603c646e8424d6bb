/* Names the roles, and frees what build filled in. */
#include "sandbox/policy.h"

#include "util/err.h"
#include "util/mem.h"

const char *policy_role_name(enum policy_role role)
{
	static const char *const names[POLICY_ROLES] = {
		[POLICY_STEP] = "step",		[POLICY_INIT] = "init",
		[POLICY_UNPACKER] = "unpacker", [POLICY_PACKER] = "packer",
		[POLICY_LISTER] = "lister",	[POLICY_TOOL] = "tool",
		[POLICY_REMOVER] = "remover",	[POLICY_FETCHER] = "fetcher",
	};
	BUG_IF((unsigned)role >= POLICY_ROLES);
	return names[role];
}

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
