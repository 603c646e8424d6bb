/* The record is bounded, and the watched filter differs from the plain one in telling, only. */
#include "sandbox_fixture.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "sandbox/evidence_internal.h"
#include "sandbox/seccomp_internal.h"

static void test_calls_are_bounded(void **state)
{
	(void)state;
	struct sandbox_evidence ev = {0};
	for (int repeat = 0; repeat < 2; repeat++)
		for (unsigned i = 0; i < EVIDENCE_CALLS_MAX + 10; i++) {
			const struct seccomp_data call = {.nr = SYS_ioctl, .args = {0, i}};
			evidence_add_refused(&ev, &call, EPERM);
		}
	assert_int_equal(ev.calls_len, EVIDENCE_CALLS_MAX);
	assert_int_equal(ev.calls_more, 20);
	assert_int_equal(ev.calls[0].count, 2);
	assert_int_equal(ev.calls[EVIDENCE_CALLS_MAX - 1].argument, EVIDENCE_CALLS_MAX - 1);
}

static void test_addresses(void **state)
{
	(void)state;
	struct sandbox_evidence ev = {0};
	union {
		struct sockaddr_storage all;
		struct sockaddr_in in;
	} a = {.in = {.sin_family = AF_INET}};
	for (unsigned i = 0; i < EVIDENCE_ADDRESSES_MAX + 5; i++) {
		a.in.sin_port = htons((uint16_t)(1000 + i));
		evidence_add_address(&ev, SYS_connect, &a.all, sizeof(a.in));
	}
	assert_int_equal(ev.addresses_len, EVIDENCE_ADDRESSES_MAX);
	assert_int_equal(ev.addresses_more, 5);
	assert_int_equal(ev.addresses[1].port, 1001);

	struct sandbox_evidence few = {0};
	evidence_add_address(&few, SYS_connect, &a.all, 0); /* unreadable */
	evidence_add_address(&few, SYS_connect, &a.all, 1);
	assert_int_equal(few.addresses_len, 1);
	assert_int_equal(few.addresses[0].count, 2);
	assert_false(few.addresses[0].readable);
	evidence_add_address(&few, SYS_connect, &a.all, 4); /* cut short: the family only */
	assert_int_equal(few.addresses_len, 2);
	assert_int_equal(few.addresses[1].port, 0);
	a.all.ss_family = AF_UNIX;
	evidence_add_address(&few, SYS_connect, &a.all, sizeof(a.all));
	assert_int_equal(few.addresses_len, 2);
}

static void test_set_ids(void **state)
{
	(void)state;
	struct sandbox_evidence ev = {0};
	for (unsigned i = 0; i < EVIDENCE_SET_IDS_MAX + 3; i++) {
		const struct seccomp_data call = {.nr = SYS_setuid, .args = {i}};
		assert_true(evidence_add_set_id(&ev, &call));
	}
	assert_int_equal(ev.set_ids_len, EVIDENCE_SET_IDS_MAX);
	assert_int_equal(ev.set_ids_more, 3);
	const struct seccomp_data other = {.nr = SYS_connect};
	assert_false(evidence_add_set_id(&ev, &other));
}

static void test_programs(void **state)
{
	(void)state;
	struct sandbox_evidence ev = {0};
	char path[EVIDENCE_PATH_MAX + 10];
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	for (int i = 0; i < EVIDENCE_PROGRAMS_MAX + 4; i++) {
		path[0] = (char)('a' + i);
		evidence_add_program(&ev, path, 04755);
		evidence_add_program(&ev, path, 04755);
	}
	assert_int_equal(ev.programs_len, EVIDENCE_PROGRAMS_MAX);
	assert_int_equal(ev.programs_more, 8);
	assert_int_equal(ev.programs[0].count, 2);
	assert_int_equal(strlen(ev.programs[0].path), EVIDENCE_PATH_MAX - 1);
}

static void test_names(void **state)
{
	(void)state;
	char name[EVIDENCE_NAME_MAX];
	assert_string_equal(sandbox_call_name(SYS_mount, name), "mount");
	assert_string_equal(sandbox_call_name(4000, name), "call-4000");
}

static bool observed(const struct seccomp_data *d)
{
	return evidence_is_observed(d->nr) || (d->nr == SYS_sendto && d->args[4] != 0);
}

static void compare(const struct seccomp_program *plain, const struct seccomp_program *watched,
		    const struct seccomp_data *d)
{
	uint32_t p = seccomp_program_run(plain, d), w = seccomp_program_run(watched, d);
	bool refused = (p & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO;
	uint32_t wanted =
		refused || (p == SECCOMP_RET_ALLOW && observed(d)) ? SECCOMP_RET_USER_NOTIF : p;
	if (w != wanted)
		fail_msg("call %d(0x%llx, 0x%llx): %x and %x", d->nr,
			 (unsigned long long)d->args[0], (unsigned long long)d->args[1], p, w);
}

/* Over the step's whole policy: every call, and arguments that its checks look at. */
static void test_watched_filter(void **state)
{
	(void)state;
	static const uint64_t values[] = {
		0,	1,	    2,		10,	      16,	  40,
		0x5412, 0x10000000, 0x7e020080, 0x7700005412, UINT64_MAX, 0x4000000000};
	struct sandbox_policy policy;
	AUTO(seccomp_program) plain = {0};
	AUTO(seccomp_program) watched = {0};
	fixture_policy(&policy);
	expect_ok(seccomp_program_compile(&policy.seccomp[POLICY_STEP], &plain, &err));
	expect_ok(
		seccomp_program_compile_watched(&policy.seccomp[POLICY_STEP], &watched, &err));
	for (int nr = 0; nr < 600; nr++)
		for (size_t i = 0; i < ARRAY_LEN(values); i++)
			for (size_t k = 0; k < ARRAY_LEN(values); k++) {
				struct seccomp_data d = {.nr = nr,
							 .arch = seccomp_arch_native(),
							 .args = {values[i], values[k],
								  values[k], values[i],
								  values[k]}};
				compare(&plain, &watched, &d);
			}
	struct seccomp_data foreign = {.nr = 1, .arch = AUDIT_ARCH_I386};
	assert_int_equal(seccomp_program_run(&plain, &foreign), SECCOMP_RET_KILL_PROCESS);
	compare(&plain, &watched, &foreign);
	foreign = (struct seccomp_data){.nr = 0x40000001, .arch = seccomp_arch_native()};
	compare(&plain, &watched, &foreign);
	sandbox_policy_cleanup(&policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls_are_bounded),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_set_ids),
		cmocka_unit_test(test_programs),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_watched_filter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
