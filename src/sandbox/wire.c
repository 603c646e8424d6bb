/* Both ends are the same program, so the struct travels as it is; the reader trusts none of it.
 */
#include "sandbox/wire_internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
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
