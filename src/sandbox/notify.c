/*
 * Answers are those of the plain filter, run here over the same words that the kernel gives it:
 * what is recorded cannot come apart from what is enforced. A call that it allows is continued
 * in the kernel unchanged; the address of a connect() is read from the caller's memory, where
 * another thread may change it before the kernel reads it again. That is a flaw of the record
 * only: it is the network namespace that leaves a step nowhere to go.
 */
#include "sandbox/notify_internal.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "sandbox/evidence_internal.h"
#include "util/mem.h"

enum { ANSWERS_AT_ONCE = 64 }; /* then the step's output and the clock have their turn */

/* Linux 6.6; not in the headers of Debian 12. The caller and we run in turns: waking on the
 * same CPU saves the trip to another. */
#define NOTIF_SET_FLAGS _IOW('!', 4, uint64_t)
#define NOTIF_SYNC_WAKE_UP (UINT64_C(1) << 0)

void notify_cleanup(struct notify *n)
{
	mem_close_cleanup(&n->fd);
	mem_free_cleanup(&n->request);
	mem_free_cleanup(&n->answer);
	n->fd = -1;
}

bool notify_supported(void)
{
	uint32_t action = SECCOMP_RET_USER_NOTIF;
	struct seccomp_notif_sizes sizes;
	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 &&
	       syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0;
}

void notify_start(struct notify *n, int fd)
{
	struct seccomp_notif_sizes sizes = {0};
	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		sizes = (struct seccomp_notif_sizes){0};
	n->fd = fd;
	n->request_size = sizes.seccomp_notif > sizeof(struct seccomp_notif)
				  ? sizes.seccomp_notif
				  : sizeof(struct seccomp_notif);
	n->answer_size = sizes.seccomp_notif_resp > sizeof(struct seccomp_notif_resp)
				 ? sizes.seccomp_notif_resp
				 : sizeof(struct seccomp_notif_resp);
	n->request = mem_zalloc(1, n->request_size);
	n->answer = mem_zalloc(1, n->answer_size);
	/* Older kernels lack it, and are slower. */
	if (ioctl(fd, NOTIF_SET_FLAGS, NOTIF_SYNC_WAKE_UP) < 0)
		errno = 0;
}

bool notify_is_valid(const struct notify *n, const struct seccomp_notif *request)
{
	return ioctl(n->fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &request->id) == 0;
}

/* Bytes of the address, 0 if it cannot be read: the caller is gone, or not ours to read. */
static size_t read_address(const struct notify *n, const struct seccomp_notif *request,
			   uint64_t at, uint64_t len, struct sockaddr_storage *ret)
{
	struct iovec local = {.iov_base = ret, .iov_len = sizeof(*ret)};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)at, .iov_len = sizeof(*ret)};
	if (len < local.iov_len)
		local.iov_len = remote.iov_len = (size_t)len;
	ssize_t got = process_vm_readv((pid_t)request->pid, &local, 1, &remote, 1, 0);
	return got < 0 || !notify_is_valid(n, request) ? 0 : (size_t)got;
}

static void record_allowed(const struct notify *n, const struct seccomp_notif *request,
			   struct sandbox_evidence *ev)
{
	const struct seccomp_data *call = &request->data;
	struct sockaddr_storage address = {0};
	if (evidence_add_set_id(ev, call))
		return;
	if (call->nr == SYS_memfd_create) {
		ev->has_memfds = true;
		return;
	}
	if (notify_is_exec(call->nr)) {
		notify_record_exec(n, request, ev);
		return;
	}
	/* int connect(fd, address, len); ssize_t sendto(fd, buf, len, flags, address, len) */
	unsigned first = call->nr == SYS_sendto ? 4 : 1;
	size_t len = read_address(n, request, call->args[first],
				  (uint32_t)call->args[first + 1], &address);
	evidence_add_address(ev, (uint32_t)call->nr, &address, len);
}

static void answer(struct notify *n, const struct seccomp_program *plain,
		   struct sandbox_evidence *ev)
{
	const struct seccomp_notif *request = n->request;
	struct seccomp_notif_resp *reply = n->answer;
	uint32_t verdict = seccomp_program_run(plain, &request->data);
	memset(n->answer, 0, n->answer_size);
	reply->id = request->id;
	if (verdict == SECCOMP_RET_ALLOW) {
		record_allowed(n, request, ev);
		reply->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	} else {
		/* Kills never come here. Whatever else it could be, the answer is a refusal. */
		int error = (verdict & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO
				    ? (int)(verdict & SECCOMP_RET_DATA)
				    : ENOSYS;
		evidence_add_refused(ev, &request->data, error);
		reply->error = -error;
	}
	/* ENOENT: the caller was killed meanwhile. */
	if (ioctl(n->fd, SECCOMP_IOCTL_NOTIF_SEND, reply) < 0)
		errno = 0;
}

void notify_answer(struct notify *n, const struct seccomp_program *plain,
		   struct sandbox_evidence *ev)
{
	for (int i = 0; i < ANSWERS_AT_ONCE; i++) {
		/* Receiving would block if the one that asked was killed meanwhile. */
		struct pollfd p = {.fd = n->fd, .events = POLLIN};
		if (poll(&p, 1, 0) <= 0)
			return;
		if (!(p.revents & POLLIN)) {
			close(TAKE_FD(n->fd));
			return;
		}
		memset(n->request, 0, n->request_size);
		if (ioctl(n->fd, SECCOMP_IOCTL_NOTIF_RECV, n->request) == 0)
			answer(n, plain, ev);
	}
}
