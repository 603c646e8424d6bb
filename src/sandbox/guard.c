/*
 * The second lock of a step's system calls, written by hand and put on pid 1 before the step is
 * forked, so that no slip in policy/seccomp.yaml, in its compiler or in the step's own start
 * opens the parts of the kernel that namespaces and capabilities do not close: other
 * architectures' calls, sockets that ignore network namespaces, and interfaces that are open to
 * every user.
 *
 * It never hides a call from the step's filter, which tells the supervisor: SECCOMP_RET_TRACE
 * ranks below SECCOMP_RET_USER_NOTIF and SECCOMP_RET_ERRNO, and where nothing traces the
 * process the kernel answers it with ENOSYS. Nothing in a step can become a tracer, since
 * ptrace is refused the same way. Killing ranks above all; it is what the step's filter does in
 * these cases, too.
 */
#include <errno.h>
#include <linux/audit.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "sandbox/guard_internal.h"
#include "util/mem.h"

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#else
#error "the guard knows x86-64 and arm64"
#endif

/* Numbers of the x32 ABI carry this bit; on arm64 no call does. */
#define X32_BIT 0x40000000u

/* mseal, the newest call that anybody has looked at; numbers from 424 on are everywhere the
 * same. */
enum { NEWEST_CALL = 462 };

#define FIELD(name) ((uint32_t)offsetof(struct seccomp_data, name))
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define REFUSE RETURN(SECCOMP_RET_TRACE)
/* Falls through to the next instruction if equal, else passes it over. */
#define IF_EQUAL(k) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, 1)
#define IF_ATLEAST(k) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, k, 0, 1)
#define REFUSE_CALL(name) IF_EQUAL(SYS_##name), REFUSE

/* Of int arguments the kernel takes the low half alone; both architectures have it first. */
static const struct sock_filter code[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 1, 0),
	RETURN(SECCOMP_RET_KILL_PROCESS),
	LOAD(nr),
	IF_ATLEAST(X32_BIT),
	RETURN(SECCOMP_RET_KILL_PROCESS),
	IF_ATLEAST(NEWEST_CALL + 1),
	REFUSE,
	/* Input and output that no filter sees. */
	REFUSE_CALL(io_uring_setup),
	REFUSE_CALL(io_uring_enter),
	REFUSE_CALL(io_uring_register),
	/* Programs and counters within the kernel, faults handled by users, hidden memory. */
	REFUSE_CALL(bpf),
	REFUSE_CALL(perf_event_open),
	REFUSE_CALL(userfaultfd),
	REFUSE_CALL(memfd_secret),
	REFUSE_CALL(fanotify_init),
	/* Other processes; the first also because of what the head of this file says. */
	REFUSE_CALL(ptrace),
	REFUSE_CALL(kcmp),
	REFUSE_CALL(process_vm_readv),
	REFUSE_CALL(process_vm_writev),
	REFUSE_CALL(pidfd_getfd),
	REFUSE_CALL(move_pages),
	REFUSE_CALL(migrate_pages),
	/* Keys belong to users, not to namespaces. */
	REFUSE_CALL(keyctl),
	REFUSE_CALL(add_key),
	REFUSE_CALL(request_key),
	/* Files without a path that would be checked. */
	REFUSE_CALL(open_by_handle_at),
	REFUSE_CALL(name_to_handle_at),
	/* Families that ignore network namespaces (AF_VSOCK), or lead to code that has no
	 * other gate (AF_ALG, AF_RXRPC); of netlink ROUTE alone, which is protocol 0. */
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
	RETURN(SECCOMP_RET_ALLOW),
	LOAD(args[0]),
	IF_EQUAL(AF_UNIX),
	RETURN(SECCOMP_RET_ALLOW),
	IF_EQUAL(AF_INET),
	RETURN(SECCOMP_RET_ALLOW),
	IF_EQUAL(AF_INET6),
	RETURN(SECCOMP_RET_ALLOW),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 1, 0),
	REFUSE,
	LOAD(args[2]),
	IF_EQUAL(0),
	RETURN(SECCOMP_RET_ALLOW),
	REFUSE,
};

struct seccomp_program guard_program(void)
{
	return (struct seccomp_program){
		.code = (struct sock_filter *)(uintptr_t)code,
		.len = ARRAY_LEN(code),
	};
}

int guard_install(struct err *e)
{
	struct seccomp_program p = guard_program();
	return seccomp_program_install(&p, e);
}
