/*
 * Tries in a step what evidence must tell of, and checks that each try gets the answer that it
 * would get without anybody listening.
 *
 * usage: evidence tries | flood N | memfd MIB | orphans
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int wrong;

static void expect(const char *what, long result, int error)
{
	int got = result < 0 ? errno : 0;
	if (got == error)
		return;
	printf("%s: %s instead of %s\n", what, strerror(got), strerror(error));
	wrong++;
}

static void connect_to(const char *address, unsigned short port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	inet_pton(AF_INET, address, &in.sin_addr);
	expect(address, connect(fd, (void *)&in, sizeof(in)), ENETUNREACH);
	close(fd);
}

static void connect6_to(const char *address, unsigned short port)
{
	struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
	inet_pton(AF_INET6, address, &in.sin6_addr);
	expect(address, connect(fd, (void *)&in, sizeof(in)), ENETUNREACH);
	close(fd);
}

static void send_to(const char *address, unsigned short port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	inet_pton(AF_INET, address, &in.sin_addr);
	expect(address, sendto(fd, "x", 1, 0, (void *)&in, sizeof(in)), ENETUNREACH);
	close(fd);
}

/* Of its own namespace: allowed, and no news. */
static void talk_to_self(void)
{
	int ends[2];
	expect("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	expect("send", send(ends[0], "x", 1, 0) - 1, 0);
	close(ends[0]);
	close(ends[1]);
}

static void tries(void)
{
	expect("ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL), EPERM);
	expect("mount", mount("x", "/", "tmpfs", 0, NULL), EPERM);
	expect("socket packet", socket(AF_PACKET, SOCK_RAW, 0), EAFNOSUPPORT);
	expect("socket vsock", socket(40, SOCK_STREAM, 0), EAFNOSUPPORT);
	expect("socket vsock", socket(40, SOCK_STREAM, 0), EAFNOSUPPORT);
	expect("call 4000", syscall(4000), ENOSYS);
	connect_to("192.0.2.1", 80);
	connect_to("192.0.2.1", 80);
	connect6_to("2001:db8::1", 443);
	send_to("198.51.100.7", 53);
	talk_to_self();
	/* A pointer to nowhere is the kernel's to refuse. */
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	expect("bad address", connect(fd, (void *)8, sizeof(struct sockaddr_in)), EFAULT);
	expect("setresgid", setresgid(33, 33, 33), 0);
	expect("setresuid", setresuid(33, 33, 33), 0);
	expect("setuid back", setuid(0), EPERM);
}

static void flood(long count)
{
	for (long i = 0; i < count; i++)
		expect("mount", mount("x", "/", "tmpfs", 0, NULL), EPERM);
	printf("%ld refused\n", count - wrong);
}

/* Memory that no process maps. */
static void memfd(long mib)
{
	static char block[1 << 20];
	int fd = memfd_create("probe", 0);
	memset(block, 1, sizeof(block));
	for (long i = 0; i < mib; i++)
		expect("write", write(fd, block, sizeof(block)) - (long)sizeof(block), 0);
	sleep(3);
}

/* They go on while the step ends, and must end with it. */
static void orphans(void)
{
	for (int i = 0; i < 8; i++) {
		if (fork() != 0)
			continue;
		setsid();
		for (;;)
			mount("x", "/", "tmpfs", 0, NULL);
	}
	usleep(100000);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (strcmp(what, "tries") == 0)
		tries();
	else if (strcmp(what, "flood") == 0 && argc == 3)
		flood(atol(argv[2]));
	else if (strcmp(what, "memfd") == 0 && argc == 3)
		memfd(atol(argv[2]));
	else if (strcmp(what, "orphans") == 0)
		orphans();
	else
		return 2;
	return wrong != 0;
}
