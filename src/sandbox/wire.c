/* Both ends are the same program, so the struct travels as it is; the reader trusts none of it.
 */
#include "sandbox/wire_internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(sizeof(struct err) <= PIPE_BUF, "an error must be one atomic write");

void wire_err_send(int fd, const struct err *e)
{
	ssize_t n;
	do {
		n = write(fd, e, sizeof(*e));
	} while (n < 0 && errno == EINTR);
}

bool wire_err_read(const void *bytes, size_t len, struct err *ret)
{
	if (len < sizeof(*ret))
		return false;
	memcpy(ret, bytes, sizeof(*ret));
	ret->id[sizeof(ret->id) - 1] = '\0';
	ret->file[sizeof(ret->file) - 1] = '\0';
	ret->message[sizeof(ret->message) - 1] = '\0';
	ret->hint[sizeof(ret->hint) - 1] = '\0';
	ret->raised_file = "child process";
	unsigned code = 0;
	memcpy(&code, &ret->code, sizeof(ret->code));
	if (code == ERR_NONE || code > ERR_INTERRUPTED)
		ret->code = ERR_SANDBOX;
	return true;
}

bool wire_err_receive(int fd, struct err *ret)
{
	char bytes[sizeof(struct err)];
	size_t len = 0;
	while (len < sizeof(bytes)) {
		ssize_t n = read(fd, bytes + len, sizeof(bytes) - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	return wire_err_read(bytes, len, ret);
}

union fds_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
};

int wire_fds_send(int socket_fd, char kind, const int *fds, size_t len, struct err *e)
{
	union fds_control control = {0};
	struct iovec data = {.iov_base = &kind, .iov_len = 1};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
	BUG_IF(len > WIRE_FDS_MAX);
	if (len > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * len);
		struct cmsghdr *head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int) * len);
		memcpy(CMSG_DATA(head), fds, sizeof(int) * len);
	}
	if (sendmsg(socket_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
		return err_sys(e, "cannot hand files to the supervisor of a sandbox");
	return 0;
}

bool wire_fds_receive(int socket_fd, char *ret_kind, int ret[WIRE_FDS_MAX], size_t *ret_len,
		      bool *ret_ended)
{
	union fds_control control;
	struct iovec data = {.iov_base = ret_kind, .iov_len = 1};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(socket_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	*ret_len = 0;
	*ret_ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
	if (n <= 0)
		return false;
	for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head;
	     head = CMSG_NXTHDR(&message, head)) {
		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		*ret_len = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(ret, CMSG_DATA(head), *ret_len * sizeof(int));
	}
	return true;
}
