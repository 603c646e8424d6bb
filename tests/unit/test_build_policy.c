/* The embedded policy: what a reader of policy/ may rely on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "build/policy.h"
#include "util/mem.h"
#include "util/str.h"

static struct sandbox_policy policy;
static struct digest digest;

static int load(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	return policy_load(&policy, &digest, &e);
}

static int unload(void **state)
{
	(void)state;
	sandbox_policy_cleanup(&policy);
	return 0;
}

/* The first rule of a call decides; 0 allowed, else the errno, -1: not listed, thus ENOSYS. */
static int answer(enum policy_role role, const char *name)
{
	for (size_t i = 0; i < policy.seccomp[role].len; i++) {
		const struct policy_rule *r = &policy.seccomp[role].items[i];
		if (r->name && str_same(r->name, name) && r->args_len == 0)
			return r->errno_;
	}
	return -1;
}

static void test_every_role_has_rules(void **state)
{
	(void)state;
	for (size_t role = 0; role < POLICY_ROLES; role++)
		assert_true(policy.seccomp[role].len > 5);
}

static void test_steps_have_the_documented_capabilities(void **state)
{
	(void)state;
	assert_int_equal(policy.step_caps, 0x800401fb); /* reference/security.md 5, step 9 */
}

static void test_only_steps_and_tools_may_exec(void **state)
{
	(void)state;
	assert_int_equal(answer(POLICY_STEP, "execve"), 0);
	for (enum policy_role role = POLICY_STEP + 1; role < POLICY_ROLES; role++)
		assert_int_equal(answer(role, "execve"), role == POLICY_TOOL ? 0 : -1);
}

static void test_ways_out_are_not_allowed_to_steps(void **state)
{
	(void)state;
	static const char *const calls[] = {
		"mount",       "umount2",	   "pivot_root",    "unshare",
		"setns",       "clone3",	   "bpf",	    "perf_event_open",
		"userfaultfd", "io_uring_setup",   "keyctl",	    "add_key",
		"request_key", "process_vm_readv", "pidfd_getfd",   "open_tree",
		"move_mount",  "fsopen",	   "mount_setattr", "memfd_secret",
		"kexec_load"};
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		if (answer(POLICY_STEP, calls[i]) == 0)
			fail_msg("'%s' is allowed to steps", calls[i]);
}

static void test_limits_are_filled_in(void **state)
{
	(void)state;
	assert_true(policy.limits.nproc > 0);
	assert_true(policy.limits.tmp_bytes > 0);
	assert_true(policy.limits.disk_reserve_bytes > 0);
	/* What a step can count must not be more than what the kernel lets it have. */
	assert_true(policy.most.processes <= policy.limits.nproc);
	assert_true(policy.proc_masked.len > 0);
	assert_true(policy.proc_readonly.len > 0);
}

static void test_the_digest_is_stable(void **state)
{
	(void)state;
	struct sandbox_policy again = {0};
	struct digest other;
	struct err e = ERR_INIT;
	assert_int_equal(policy_load(&again, &other, &e), 0);
	assert_true(digest_eq(&digest, &other));
	sandbox_policy_cleanup(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_role_has_rules),
		cmocka_unit_test(test_steps_have_the_documented_capabilities),
		cmocka_unit_test(test_only_steps_and_tools_may_exec),
		cmocka_unit_test(test_ways_out_are_not_allowed_to_steps),
		cmocka_unit_test(test_limits_are_filled_in),
		cmocka_unit_test(test_the_digest_is_stable),
	};
	return cmocka_run_group_tests_name("build/policy", tests, load, unload);
}
