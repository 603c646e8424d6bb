/*
 * What the scripts of tests/security do inside a step and a shell cannot: one small thing per
 * word on the command line. Prints what came of it as "ok", a number, or the name of the errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1024 * 1024 };

static int show(long result)
{
	puts(result < 0 ? strerrorname_np(errno) : "ok");
	return 0;
}

static long number(char **argv, int at)
{
	return argv[at] ? atol(argv[at]) : 0;
}

/* "@name" is in the abstract name space. */
static socklen_t address(const char *name, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	size_t len = strnlen(name, sizeof(ret->sun_path) - 1);
	memcpy(ret->sun_path, name, len);
	if (name[0] == '@')
		ret->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

/* listen NAME SECONDS: also prints a line for each file descriptor that it is given. */
static int tool_listen(char **argv)
{
	struct sockaddr_un at;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	socklen_t len = address(argv[0], &at);
	if (bind(fd, (struct sockaddr *)&at, len) < 0 || listen(fd, 8) < 0)
		return show(-1);
	puts("listening");
	fflush(stdout);
	alarm((unsigned)number(argv, 1));
	for (;;) {
		int peer = accept(fd, NULL, NULL);
		puts(peer >= 0 ? "somebody connected" : "?");
		fflush(stdout);
		close(peer);
	}
}

/* connect NAME: passes a descriptor if somebody listens. */
static int tool_connect(char **argv)
{
	struct sockaddr_un at;
	char control[CMSG_SPACE(sizeof(int))] = {0}, byte = 'x';
	struct iovec iov = {&byte, 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	socklen_t len = address(argv[0], &at);
	if (connect(fd, (struct sockaddr *)&at, len) < 0)
		return show(-1);
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	*c = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(c), &(int){1}, sizeof(int));
	(void)sendmsg(fd, &message, MSG_NOSIGNAL); /* the listener may have hung up */
	return show(0);
}

static void stay(void)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	setsid();
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	for (;;)
		pause();
}

/* daemons N: children with sessions of their own that no signal but SIGKILL ends. */
static int tool_daemons(char **argv)
{
	for (long i = number(argv, 0); i > 0; i--) {
		pid_t pid = fork();
		if (pid < 0)
			return show(-1);
		if (pid == 0)
			stay();
	}
	puts("ok");
	return 0;
}

/* forks [UID]...: children that stay, until no more can be had, as each of the users. */
static int tool_forks(char **argv)
{
	unsigned long all = 0;
	int last = 0;
	for (int i = 0; i == 0 || argv[i]; i++) {
		int fds[2];
		unsigned long count = 0;
		uid_t uid = (uid_t)number(argv, i);
		if (pipe(fds) < 0)
			return show(-1);
		pid_t pid = fork();
		if (pid == 0) {
			if (setresuid(uid, uid, uid) < 0)
				_exit(errno);
			while ((pid = fork()) > 0)
				count++;
			if (pid == 0)
				stay();
			last = errno;
			if (write(fds[1], &count, sizeof(count)) < 0)
				_exit(0);
			_exit(last);
		}
		int status = 0;
		if (pid < 0)
			break;
		waitpid(pid, &status, 0);
		last = WEXITSTATUS(status);
		if (fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0 &&
		    read(fds[0], &count, sizeof(count)) == (ssize_t)sizeof(count))
			all += count;
		close(fds[0]);
		close(fds[1]);
	}
	printf("%lu %s\n", all, strerrorname_np(last ? last : errno));
	return 0;
}

/* Whoever got all that it asked for keeps it for a while, so that a limit can be seen. */
static void hold_if(int got_all)
{
	if (got_all)
		sleep(3);
}

/* memory MIB: touched, one at a time. */
static int tool_memory(char **argv)
{
	long i;
	for (i = 0; i < number(argv, 0); i++) {
		char *p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);
		if (p == MAP_FAILED)
			break;
		memset(p, 1, MIB);
	}
	hold_if(i == number(argv, 0));
	printf("%ld %s\n", i, strerrorname_np(errno));
	return 0;
}

/* fill FILE MIB, or, as FILE, "memfd". */
static int tool_fill(char **argv)
{
	static char block[MIB];
	long i;
	int fd = strcmp(argv[0], "memfd") == 0 ? memfd_create("x", 0)
					       : open(argv[0], O_CREAT | O_WRONLY, 0644);
	signal(SIGXFSZ, SIG_IGN);
	memset(block, 1, sizeof(block));
	for (i = 0; i < number(argv, 1); i++)
		if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
			break;
	hold_if(i == number(argv, 1));
	printf("%ld %s\n", i, strerrorname_np(errno));
	return 0;
}

/* files DIR N: empty ones. */
static int tool_files(char **argv)
{
	long i;
	char path[256];
	for (i = 0; i < number(argv, 1); i++) {
		snprintf(path, sizeof(path), "%s/%ld", argv[0], i);
		int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0644);
		if (fd < 0)
			break;
		close(fd);
	}
	printf("%ld %s\n", i, strerrorname_np(errno));
	return 0;
}

/* as UID COMMAND ARG... */
static int tool_as(char **argv)
{
	gid_t id = (gid_t)number(argv, 0);
	if (setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
		return show(-1);
	execv(argv[1], argv + 1);
	return show(-1);
}

static int tool_setxattr(char **argv)
{
	return show(lsetxattr(argv[0], argv[1], argv[2], strlen(argv[2]), 0));
}

static int tool_crash(char **argv)
{
	(void)argv;
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
	return 1;
}

/* clock: of CLOCK_MONOTONIC, in microseconds; the host's and the step's are the same. */
static int tool_clock(char **argv)
{
	struct timespec now;
	(void)argv;
	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("%lld\n", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	return 0;
}

/* exe-writer SECONDS: opens the program of every process that it sees for writing. */
static int tool_exe_writer(char **argv)
{
	time_t end = time(NULL) + number(argv, 0);
	unsigned long opened = 0;
	char path[64];
	while (time(NULL) < end)
		for (int pid = 1; pid < 64; pid++) {
			snprintf(path, sizeof(path), "/proc/%d/exe", pid);
			int fd = pid == getpid() ? -1 : open(path, O_WRONLY);
			opened += fd >= 0;
			if (fd >= 0)
				close(fd);
		}
	printf("opened %lu\n", opened);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*run)(char **argv);
	} tools[] = {
		{"listen", 2, tool_listen},	{"connect", 1, tool_connect},
		{"daemons", 1, tool_daemons},	{"forks", 0, tool_forks},
		{"memory", 1, tool_memory},	{"fill", 2, tool_fill},
		{"files", 2, tool_files},	{"as", 2, tool_as},
		{"setxattr", 3, tool_setxattr}, {"crash", 0, tool_crash},
		{"clock", 0, tool_clock},	{"exe-writer", 1, tool_exe_writer},
	};
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
		if (argc > 1 + tools[i].args && strcmp(argv[1], tools[i].name) == 0)
			return tools[i].run(argv + 2);
	fprintf(stderr, "sec_tool: unknown tool or too few arguments\n");
	return 2;
}
