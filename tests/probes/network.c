/*
 * Tries every way out that a step could think of and prints one "NAME RESULT" line for each,
 * where RESULT is the errno's name or "ok". Runs inside a sandbox; the test knows what each
 * must be. Arguments: a TCP port on which the host listens, and the name of an abstract UNIX
 * socket there.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef AF_VSOCK
#define AF_VSOCK 40
#endif

static void report(const char *name, int rc)
{
	printf("%s %s\n", name, rc < 0 ? strerrorname_np(errno) : "ok");
}

static int connect_inet(int type, const char *address, unsigned port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((unsigned short)port)};
	int fd = socket(AF_INET, type, 0);

	inet_pton(AF_INET, address, &to.sin_addr);
	return fd < 0 ? fd : connect(fd, (struct sockaddr *)&to, sizeof(to));
}

static int connect_inet6(const char *address, unsigned port)
{
	struct sockaddr_in6 to = {.sin6_family = AF_INET6,
				  .sin6_port = htons((unsigned short)port)};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	inet_pton(AF_INET6, address, &to.sin6_addr);
	return fd < 0 ? fd : connect(fd, (struct sockaddr *)&to, sizeof(to));
}

static int connect_abstract(const char *name)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = strlen(name);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(to.sun_path + 1, name, len);
	return fd < 0 ? fd
		      : connect(fd, (struct sockaddr *)&to,
				(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len));
}

static int loopback_works(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int server = socket(AF_INET, SOCK_STREAM, 0);
	int client = socket(AF_INET, SOCK_STREAM, 0);

	if (server < 0 || client < 0 || bind(server, (struct sockaddr *)&at, len) ||
	    listen(server, 1) || getsockname(server, (struct sockaddr *)&at, &len))
		return -1;
	return connect(client, (struct sockaddr *)&at, len);
}

int main(int argc, char **argv)
{
	unsigned port;

	if (argc != 3 || strlen(argv[2]) > 90)
		return 2;
	port = (unsigned)strtoul(argv[1], NULL, 10);
	report("tcp-host-loopback", connect_inet(SOCK_STREAM, "127.0.0.1", port));
	report("tcp-outside", connect_inet(SOCK_STREAM, "192.0.2.1", 80));
	report("tcp6-outside", connect_inet6("2001:db8::1", 80));
	report("udp-outside", connect_inet(SOCK_DGRAM, "192.0.2.1", 9));
	report("dns", connect_inet(SOCK_DGRAM, "192.0.2.53", 53));
	report("link-local", connect_inet(SOCK_STREAM, "169.254.169.254", 80));
	report("unix-abstract", connect_abstract(argv[2]));
	report("raw", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	report("packet", socket(AF_PACKET, SOCK_RAW, 0));
	report("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
	report("alg", socket(38, SOCK_SEQPACKET, 0));
	report("bluetooth", socket(31, SOCK_RAW, 0));
	report("netlink-generic", socket(AF_NETLINK, SOCK_RAW, 16));
	report("own-loopback", loopback_works());
	return 0;
}
