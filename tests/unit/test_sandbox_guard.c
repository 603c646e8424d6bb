/* The guard refuses nothing that the step's list allows, hides no call from it, and holds
 * without it. */
#include "sandbox_fixture.h"

#include <linux/audit.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "sandbox/guard_internal.h"

enum { NUMBERS = 1024, X32_BIT = 0x40000000 };

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#define FOREIGN AUDIT_ARCH_I386
#else
#define NATIVE AUDIT_ARCH_AARCH64
#define FOREIGN AUDIT_ARCH_ARM
#endif

static uint32_t guard_says(const struct seccomp_data *call)
{
	struct seccomp_program p = guard_program();
	return seccomp_program_run(&p, call);
}

static struct seccomp_data call_of(int number)
{
	return (struct seccomp_data){.nr = number, .arch = NATIVE};
}

static struct seccomp_data socket_of(uint64_t family, uint64_t protocol)
{
	struct seccomp_data call = call_of(SYS_socket);
	call.args[0] = family;
	call.args[2] = protocol;
	return call;
}

static void test_calls(void **state)
{
	(void)state;
	static const int refused[] = {SYS_io_uring_setup, SYS_bpf,    SYS_perf_event_open,
				      SYS_userfaultfd,	  SYS_ptrace, SYS_keyctl,
				      SYS_memfd_secret,	  463,	      500};
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct seccomp_data call = call_of(refused[i]);
		assert_int_equal(guard_says(&call), SECCOMP_RET_TRACE);
	}
	static const int allowed[] = {SYS_read, SYS_execve, SYS_clone, SYS_mount, 462};
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
		struct seccomp_data call = call_of(allowed[i]);
		assert_int_equal(guard_says(&call), SECCOMP_RET_ALLOW);
	}
	struct seccomp_data foreign = {.nr = SYS_read, .arch = FOREIGN};
	assert_int_equal(guard_says(&foreign), SECCOMP_RET_KILL_PROCESS);
	struct seccomp_data x32 = call_of(X32_BIT | SYS_read);
	assert_int_equal(guard_says(&x32), SECCOMP_RET_KILL_PROCESS);
}

static void test_sockets(void **state)
{
	(void)state;
	for (uint64_t family = 0; family < 64; family++)
		for (uint64_t protocol = 0; protocol < 32; protocol++) {
			bool open = family == AF_UNIX || family == AF_INET ||
				    family == AF_INET6 ||
				    (family == AF_NETLINK && protocol == 0);
			struct seccomp_data call = socket_of(family, protocol);
			assert_int_equal(guard_says(&call),
					 open ? SECCOMP_RET_ALLOW : SECCOMP_RET_TRACE);
		}
	struct seccomp_data high = socket_of(UINT64_C(0x700000028), 0);
	assert_int_equal(guard_says(&high), SECCOMP_RET_TRACE);
}

/* Else a step would fail for a reason that `stacker policy show` does not give. */
static void test_agrees_with_policy(void **state)
{
	(void)state;
	struct sandbox_policy policy;
	struct seccomp_program step = {0};
	fixture_policy(&policy);
	expect_ok(seccomp_program_compile(&policy.seccomp[POLICY_STEP], &step, &err));
	for (int number = 0; number < NUMBERS; number++) {
		struct seccomp_data call = call_of(number);
		if (number != SYS_socket && guard_says(&call) != SECCOMP_RET_ALLOW)
			assert_int_not_equal(seccomp_program_run(&step, &call),
					     SECCOMP_RET_ALLOW);
	}
	for (uint64_t family = 0; family < 64; family++)
		for (uint64_t protocol = 0; protocol < 32; protocol++) {
			struct seccomp_data call = socket_of(family, protocol);
			if (guard_says(&call) != SECCOMP_RET_ALLOW)
				assert_int_not_equal(seccomp_program_run(&step, &call),
						     SECCOMP_RET_ALLOW);
		}
	seccomp_program_cleanup(&step);
	sandbox_policy_cleanup(&policy);
}

/* What the kernel makes of it where nothing traces: ENOSYS, and no way to become a tracer. */
static void test_in_the_kernel(void **state)
{
	(void)state;
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		int wrong = guard_install(&err) < 0;
		wrong += syscall(SYS_io_uring_setup, 1, NULL) != -1 || errno != ENOSYS;
		wrong += syscall(SYS_ptrace, 0, 0, 0, 0) != -1 || errno != ENOSYS;
		wrong += socket(AF_VSOCK, SOCK_STREAM, 0) != -1 || errno != ENOSYS;
		wrong += socket(AF_UNIX, SOCK_STREAM, 0) < 0;
		_exit(wrong);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_agrees_with_policy),
		cmocka_unit_test(test_in_the_kernel),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	return (failed != 0) | (again_as_user() != 0);
}
