/* Plumbing between fetchers and supervisors. */
#include "inputs/fetcher_io_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"

#define CA_FILE_DEFAULT "/etc/ssl/certs/ca-certificates.crt"

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int fetcher_send(int sock, const void *message, size_t len, int fd)
{
	union control control = {.bytes = {0}};
	union {
		const void *in;
		void *out;
	} bytes = {.in = message}; /* sendmsg() promises not to write, but not in C */
	struct iovec iov = {bytes.out, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

ssize_t fetcher_receive(int sock, void *message, size_t len, int flags, int *ret_fd)
{
	union control control;
	struct iovec iov = {message, len};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);

	*ret_fd = -1;
	if (n < 0)
		return n;
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	return n;
}

void fetcher_copy_text(char *to, size_t to_len, const char *from)
{
	size_t len = strnlen(from, to_len - 1);

	memcpy(to, from, len);
	to[len] = '\0';
}

int fetcher_settle(int sock)
{
	if (dup3(sock, FETCHER_FD, O_CLOEXEC) < 0 && sock != FETCHER_FD)
		return -1;
	return close_range(FETCHER_FD + 1, ~0U, 0);
}

static int load_ca(const char *user_file, struct buf *ca, struct err *e)
{
	/* An absent system bundle is no error yet: http needs none. A file the user named is.
	 */
	if (path_read_file(AT_FDCWD, CA_FILE_DEFAULT, ca, NULL) < 0)
		buf_clear(ca);
	if (!user_file)
		return 0;
	AUTO(buf) own = BUF_INIT(FETCHER_CA_BYTES);

	if (path_read_file(AT_FDCWD, user_file, &own, e) < 0)
		return -1;
	buf_add_byte(ca, '\n');
	buf_add(ca, buf_text(&own), own.len);
	return buf_check(ca, "certificates", e);
}

int fetcher_prepare(const char *ca_file, struct buf *ca, struct curl_blob *ret, struct err *e)
{
	/* libcurl and the resolver would listen to proxies, SSLKEYLOGFILE, RES_OPTIONS ... */
	clearenv();
	signal(SIGPIPE, SIG_IGN);
	if (load_ca(ca_file, ca, e) < 0)
		return -1;
	if (ca->len > 0)
		*ret = (struct curl_blob){ca->data, ca->len, CURL_BLOB_NOCOPY};
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(e, ERR_SYSTEM, "fetch/curl", "cannot start libcurl");
	return 0;
}

static int copy_staged(const struct store *store, int from, int *ret_fd, struct err *e)
{
	AUTO_CLOSE int fd = -1;

	if (store_stage_open(store, &fd, e) < 0 || path_copy_fd(from, fd, "staged file", e) < 0)
		return -1;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* A read lease is granted only on a file that nobody holds for writing, and since this one has
 * no name yet, nobody can open it anew. Where the lease is refused, for that reason or for want
 * of support, a copy that the fetcher never had takes its place. */
int fetcher_take_back(const struct store *store, int *fd, int *ret_fd, struct err *e)
{
	AUTO_CLOSE int read_fd = -1;
	char fd_path[32];

	snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", *fd);
	read_fd = openat(AT_FDCWD, fd_path, O_RDONLY | O_CLOEXEC);
	if (read_fd < 0)
		return err_sys(e, "cannot reopen a staged file");
	mem_close_cleanup(fd);
	*fd = -1;
	if (fcntl(read_fd, F_SETLEASE, F_RDLCK) < 0)
		return copy_staged(store, read_fd, ret_fd, e);
	if (fcntl(read_fd, F_SETLEASE, F_UNLCK) < 0)
		return err_sys(e, "cannot give back the lease of a staged file");
	*ret_fd = TAKE_FD(read_fd);
	return 0;
}
