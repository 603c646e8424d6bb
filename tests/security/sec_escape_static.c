/*
 * Tries, from inside a sandbox, what a hostile step would, and prints a line "NAME RESULT" for
 * each attempt: "ok", a number, or the name of the errno. What each must be is in
 * tests/unit/test_sandbox_escape.c, and, for a sandbox with protections taken away, in golden/.
 * Static, because the images it runs in may be empty. Attempts that a filter answers by killing
 * run in a child. It takes from the environment: PORT, a TCP port that is open on the host,
 * ABSTRACT, the name of an abstract socket there, and, where they matter, KEY, the serial
 * number of a key in the session keyring of whoever started stacker, CANARY, a file of the
 * host.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static void show(const char *name, long result)
{
	/* Netlink has errors beyond those of system calls. */
	if (result < 0 && strerrorname_np(errno) == NULL)
		printf("%s error %d\n", name, errno);
	else
		printf("%s %s\n", name, result < 0 ? strerrorname_np(errno) : "ok");
	fflush(stdout);
}

#define TRY(name, call)                                                                        \
	do {                                                                                   \
		errno = 0;                                                                     \
		show(name, (long)(call));                                                      \
	} while (0)

static void show_child(const char *name, pid_t pid)
{
	int status;
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		printf("%s killed %d\n", name, WTERMSIG(status));
	else
		printf("%s exit %d\n", name, WEXITSTATUS(status));
	fflush(stdout);
}

static void sockets(void)
{
	char name[32];
	for (int family = 0; family <= 46; family++) {
		snprintf(name, sizeof(name), "family-%d", family);
		TRY(name, socket(family, SOCK_DGRAM, 0));
	}
	for (int protocol = 1; protocol <= 22; protocol++) {
		snprintf(name, sizeof(name), "netlink-%d", protocol);
		TRY(name, socket(AF_NETLINK, SOCK_RAW, protocol));
	}
	TRY("raw", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	TRY("raw6", socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
	TRY("vsock-high-bits", syscall(SYS_socket, 0x700000028ul, SOCK_STREAM, 0));
}

/* What the kernel says to one request without a body, by netlink: its error, or success. */
static long netlink_request(int protocol, uint16_t type, uint16_t flags, unsigned body_len)
{
	char buffer[512] = "";
	struct nlmsghdr *header = (struct nlmsghdr *)buffer;
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return -1;
	header->nlmsg_len = NLMSG_LENGTH(body_len);
	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	if (sendto(fd, buffer, header->nlmsg_len, 0, (struct sockaddr *)&kernel,
		   sizeof(kernel)) < 0 ||
	    recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT) < (ssize_t)NLMSG_LENGTH(4))
		return -1;
	int answer = header->nlmsg_type == NLMSG_ERROR ? *(int *)NLMSG_DATA(header) : 0;
	errno = -answer;
	return answer == 0 ? 0 : -1;
}

/* A socket of the family is one thing, being obeyed another. */
static void netlink(void)
{
	TRY("route-new-link", netlink_request(NETLINK_ROUTE, 16, NLM_F_CREATE, 16));
	TRY("route-new-address", netlink_request(NETLINK_ROUTE, 20, NLM_F_CREATE, 8));
	TRY("audit-status", netlink_request(NETLINK_AUDIT, 1000, 0, 0));
	TRY("audit-message", netlink_request(NETLINK_AUDIT, 1100, 0, 8));
	TRY("xfrm-new-state", netlink_request(NETLINK_XFRM, 16, NLM_F_CREATE, 224));
	TRY("xfrm-new-policy", netlink_request(NETLINK_XFRM, 19, NLM_F_CREATE, 168));
	TRY("netfilter-new-table", netlink_request(NETLINK_NETFILTER, 0xa00, NLM_F_CREATE, 4));
	TRY("netfilter-new-set", netlink_request(NETLINK_NETFILTER, 0x602, NLM_F_CREATE, 4));
}

static long connect_to(int type, const char *ip, const char *port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)atoi(port))};
	inet_pton(AF_INET, ip, &to.sin_addr);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	return connect(fd, (struct sockaddr *)&to, sizeof(to));
}

static long connect_abstract(const char *name)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(to.sun_path + 1, name, strlen(name));
	return connect(fd, (struct sockaddr *)&to,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name)));
}

static long own_loopback(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(server, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(server, 1) < 0 ||
	    getsockname(server, (struct sockaddr *)&at, &len) < 0)
		return -1;
	return connect(client, (struct sockaddr *)&at, sizeof(at));
}

static void network(void)
{
	TRY("tcp-host-loopback", connect_to(SOCK_STREAM, "127.0.0.1", getenv("PORT")));
	TRY("tcp-outside", connect_to(SOCK_STREAM, "192.0.2.1", "80"));
	TRY("udp-outside", connect_to(SOCK_DGRAM, "192.0.2.1", "53"));
	TRY("metadata-service", connect_to(SOCK_STREAM, "169.254.169.254", "80"));
	TRY("abstract-unix", connect_abstract(getenv("ABSTRACT")));
	TRY("own-loopback", own_loopback());
}

static void terminals(void)
{
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	char c = 'x';
	TRY("ptmx", fd);
	TRY("tiocsti", syscall(SYS_ioctl, fd, 0x5412ul, &c));
	TRY("tiocsti-high-bits", syscall(SYS_ioctl, fd, 0x7700005412ul, &c));
	TRY("tioclinux", syscall(SYS_ioctl, fd, 0x541cul, &c));
	TRY("tioclinux-high-bits", syscall(SYS_ioctl, fd, 0x100000000541cul, &c));
	TRY("controlling-tty", open("/dev/tty", O_RDWR));
}

/* In a child whose end lets go of the traced: where this works, all would stand still. */
static long trace_in_child(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(ptrace(PTRACE_SEIZE, 1, 0, 0) < 0 ? errno : 0);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	errno = WEXITSTATUS(status);
	return errno == 0 ? 0 : -1;
}

static void processes(void)
{
	struct {
		void *base;
		size_t len;
	} local = {&local, 8}, remote = {(void *)0x1000, 8};
	TRY("ptrace-init", trace_in_child());
	TRY("vm-read-init", syscall(SYS_process_vm_readv, 1, &local, 1, &remote, 1, 0));
	TRY("init-root", open("/proc/1/root", O_RDONLY));
	TRY("init-exe", open("/proc/1/exe", O_RDONLY));
	TRY("init-mem", open("/proc/1/mem", O_RDONLY));
	TRY("init-environ", open("/proc/1/environ", O_RDONLY));
	TRY("init-pidfd-getfd", syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, 1, 0), 0, 0));
	TRY("kill-init", kill(1, SIGKILL));
	TRY("kcmp", syscall(SYS_kcmp, 1, getpid(), 0, 0, 0));
	TRY("init-fd", open("/proc/1/fd/0", O_RDONLY));
	TRY("init-cwd", open("/proc/1/cwd", O_RDONLY));
	TRY("init-ns", open("/proc/1/ns/mnt", O_RDONLY));
	TRY("init-maps", open("/proc/1/maps", O_RDONLY));
	TRY("init-exe-write", open("/proc/1/exe", O_WRONLY));
	TRY("init-root-file", open("/proc/1/root/etc/passwd", O_RDONLY));
	TRY("vm-write-init", syscall(SYS_process_vm_writev, 1, &local, 1, &remote, 1, 0));
	TRY("prlimit-init", syscall(SYS_prlimit64, 1, RLIMIT_CORE, NULL, &local));
	TRY("init-priority", setpriority(PRIO_PROCESS, 1, 5));
	printf("parent %d\n", getppid());
}

/* Everything in /proc that is a process: only those of the sandbox. */
static void other_processes(void)
{
	unsigned count = 0;
	char path[64];
	for (int pid = 1; pid < 32768; pid++) {
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		count += pid != getpid() && access(path, F_OK) == 0;
	}
	printf("other-processes %u\n", count);
}

static void host_files(void)
{
	const char *canary = getenv("CANARY"), *key = getenv("KEY");
	char buffer[64];
	if (canary != NULL)
		TRY("host-canary", open(canary, O_RDONLY));
	TRY("host-shadow", open("/etc/shadow", O_RDONLY));
	TRY("dots-above-root", open("../../../../../../../../etc/passwd", O_RDONLY));
	TRY("own-root-link", open("/proc/self/root/../etc/passwd", O_RDONLY));
	TRY("own-cwd-link", open("/proc/self/cwd/../../etc/passwd", O_RDONLY));
	for (int fd = 3; fd < 16; fd++)
		if (faccessat(fd, "etc/passwd", F_OK, 0) == 0)
			printf("leaked-directory %d\n", fd);
	if (key != NULL)
		TRY("host-key", syscall(SYS_keyctl, 11, atoi(key), buffer, sizeof(buffer)));
	TRY("session-key-search", syscall(SYS_keyctl, 10, -3, "user", "stacker-test", 0));
	TRY("request-key", syscall(SYS_request_key, "user", "stacker-test", NULL, 0));
}

/* In a child: where these work, what follows should still be tried from here, and once. */
#define TRY_IN_CHILD(name, call)                                                               \
	do {                                                                                   \
		pid_t child_ = fork();                                                         \
		if (child_ == 0) {                                                             \
			errno = 0;                                                             \
			long r_ = (long)(call);                                                \
			_exit(r_ < 0 ? errno : 0);                                             \
		}                                                                              \
		show_errno(name, child_);                                                      \
	} while (0)

static void show_errno(const char *name, pid_t pid)
{
	int status = 0;
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status)) {
		printf("%s killed %d\n", name, WTERMSIG(status));
		return;
	}
	errno = WEXITSTATUS(status);
	show(name, errno == 0 ? 0 : -1);
}

static void namespaces(void)
{
	TRY_IN_CHILD("unshare-user", unshare(CLONE_NEWUSER));
	TRY_IN_CHILD("unshare-mount", unshare(CLONE_NEWNS));
	TRY_IN_CHILD("clone-user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
	TRY_IN_CHILD("clone-net", syscall(SYS_clone, CLONE_NEWNET | SIGCHLD, 0, 0, 0, 0));
	TRY_IN_CHILD("clone-user-high-bits",
		     syscall(SYS_clone, 0x700000000ul | CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
	TRY_IN_CHILD("unshare-net", unshare(CLONE_NEWNET));
	TRY_IN_CHILD("unshare-pid", unshare(CLONE_NEWPID));
	TRY_IN_CHILD("unshare-uts", unshare(CLONE_NEWUTS));
	TRY_IN_CHILD("unshare-ipc", unshare(CLONE_NEWIPC));
	TRY_IN_CHILD("unshare-cgroup", unshare(CLONE_NEWCGROUP));
	TRY_IN_CHILD("unshare-time", unshare(0x80));
	TRY_IN_CHILD("clone3", syscall(SYS_clone3, NULL, 0));
	TRY_IN_CHILD("setns", setns(open("/proc/self/ns/net", O_RDONLY), 0));
	TRY_IN_CHILD("setns-init", setns(open("/proc/1/ns/mnt", O_RDONLY), CLONE_NEWNS));
}

static void mounts(void)
{
	TRY("mount", mount("t", "/tmp", "tmpfs", 0, NULL));
	TRY("remount-rw", mount(NULL, "/stacker", NULL, MS_REMOUNT | MS_BIND, NULL));
	TRY("umount", umount2("/proc", MNT_DETACH));
	TRY("pivot-root", syscall(SYS_pivot_root, ".", "."));
	TRY("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
	TRY("open-tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
	TRY("move-mount", syscall(SYS_move_mount, 0, "", 0, "", 0));
	TRY("mount-setattr", syscall(SYS_mount_setattr, 0, "", 0, 0, 0));
	TRY("open-tree-attr", syscall(467, 0, "", 0, 0, 0));
	TRY("fspick", syscall(SYS_fspick, AT_FDCWD, "/", 0));
	TRY("fsmount", syscall(SYS_fsmount, 0, 0, 0));
	TRY("statmount", syscall(457, NULL, NULL, 0, 0));
	TRY("listmount", syscall(458, NULL, NULL, 0, 0));
	TRY("mount-proc", mount("p", "/tmp", "proc", 0, NULL));
	TRY("mount-cgroup", mount("c", "/tmp", "cgroup", 0, "memory"));
	TRY("mount-cgroup2", mount("c", "/tmp", "cgroup2", 0, NULL));
	TRY("mount-binfmt", mount("b", "/tmp", "binfmt_misc", 0, NULL));
	TRY("mount-overlay", mount("o", "/tmp", "overlay", 0, "lowerdir=/dev:/proc"));
	TRY("mount-bind", mount("/", "/tmp", NULL, MS_BIND | MS_REC, NULL));
	TRY("remount-dev", mount(NULL, "/dev", NULL, MS_REMOUNT | MS_BIND, NULL));
	TRY("remount-nosuid", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
	TRY("propagate", mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL));
	TRY("umount-hosts", umount2("/etc/hosts", MNT_DETACH));
	TRY("release-agent", open("/sys/fs/cgroup/memory/release_agent", O_WRONLY));
}

static long new_map(void)
{
	/* BPF_MAP_CREATE of an array: type, sizes of key and value, entries */
	uint32_t attr[32] = {2, 4, 4, 1};
	return syscall(SYS_bpf, 0, attr, sizeof(attr));
}

static long new_ring(void)
{
	char params[120] = "";
	return syscall(SYS_io_uring_setup, 1, params);
}

static long count_own(void)
{
	/* PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK; without kernel and hypervisor */
	uint64_t attr[16] = {1 | (uint64_t)sizeof(attr) << 32, 1, 0, 0, 0, 3 << 5};
	return syscall(SYS_perf_event_open, attr, 0, -1, -1, 0);
}

static void kernel_surface(void)
{
	TRY("keyctl", syscall(SYS_keyctl, 0, -3, 0));
	TRY("add-key", syscall(SYS_add_key, "user", "x", "y", 1, -3));
	TRY("bpf", syscall(SYS_bpf, 0, NULL, 0));
	TRY("io-uring", syscall(SYS_io_uring_setup, 1, NULL));
	TRY("perf", syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0));
	TRY("userfaultfd", syscall(SYS_userfaultfd, 1));
	TRY("memfd-secret", syscall(SYS_memfd_secret, 0));
	TRY("fanotify", syscall(SYS_fanotify_init, 0, 0));
	/* As they would be used: the bare calls above may fail for their arguments alone. */
	TRY("bpf-new-map", new_map());
	TRY("io-uring-new", new_ring());
	TRY("perf-own-cycles", count_own());
	TRY("fanotify-user", syscall(SYS_fanotify_init, 0x200, 0)); /* FAN_REPORT_FID */
	TRY("open-by-handle", syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0));
	TRY("name-to-handle", syscall(SYS_name_to_handle_at, AT_FDCWD, "/", NULL, NULL, 0));
	TRY("move-pages", syscall(SYS_move_pages, 0, 0, 0, 0, 0, 0));
	TRY("vmsplice", syscall(SYS_vmsplice, 1, NULL, 0, 0));
	TRY("syslog", syscall(SYS_syslog, 3, NULL, 0));
	TRY("init-module", syscall(SYS_init_module, NULL, 0, ""));
	TRY("kexec", syscall(SYS_kexec_load, 0, 0, 0, 0));
	TRY("reboot", syscall(SYS_reboot, 0, 0, 0, 0));
	TRY("settimeofday", syscall(SYS_settimeofday, NULL, NULL));
	TRY("sethostname", sethostname("x", 1));
	TRY("xattrat", syscall(463, AT_FDCWD, "/", 0, "user.x", NULL, 0));
	TRY("process-madvise", syscall(SYS_process_madvise, -1, NULL, 0, 0, 0));
	TRY("mbind", syscall(SYS_mbind, NULL, 0, 0, NULL, 0, 0));
	TRY("migrate-pages", syscall(SYS_migrate_pages, 0, 0, NULL, NULL));
	TRY("quotactl", syscall(SYS_quotactl, 0, NULL, 0, NULL));
	TRY("acct", acct(NULL));
	TRY("swapon", syscall(SYS_swapon, "/file", 0));
	TRY("delete-module", syscall(SYS_delete_module, "x", 0));
	TRY("finit-module", syscall(SYS_finit_module, 0, "", 0));
	TRY("kexec-file", syscall(SYS_kexec_file_load, 0, 0, 0, "", 0));
	TRY("io-uring-enter", syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0));
	TRY("io-uring-register", syscall(SYS_io_uring_register, -1, 0, NULL, 0));
	TRY("clock-settime", clock_settime(CLOCK_REALTIME, &(struct timespec){.tv_sec = 1}));
	TRY("adjtime", syscall(SYS_adjtimex, &(char[256]){1}));
	TRY("setdomainname", setdomainname("x", 1));
	TRY("vhangup", vhangup());
	TRY("lookup-dcookie", syscall(SYS_lookup_dcookie, 0ul, NULL, 0));
	TRY("pkey-high", syscall(SYS_remap_file_pages, NULL, 0, 0, 0, 0));
#ifdef __x86_64__
	TRY("iopl", syscall(SYS_iopl, 3));
	TRY("ioperm", syscall(SYS_ioperm, 0x80, 1, 1));
	TRY("modify-ldt", syscall(SYS_modify_ldt, 0, NULL, 0));
	TRY("uselib", syscall(SYS_uselib, "/probe"));
#endif
	for (int number = 463; number <= 475; number++) {
		char name[32];
		snprintf(name, sizeof(name), "new-%d", number);
		TRY(name, syscall(number, -1, 0, 0, 0, 0, 0));
	}
	TRY("unknown-500", syscall(500));
	TRY("unknown-511", syscall(511));
	TRY("unknown-4096", syscall(4096));
	TRY("personality-no-randomize", personality(ADDR_NO_RANDOMIZE));
	TRY("personality-read-implies-exec", personality(READ_IMPLIES_EXEC));
}

static void foreign_abis(void)
{
	pid_t pid = fork();
	if (pid == 0) {
#ifdef __x86_64__
		long r = 20; /* getpid of i386 */
		__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
		_exit(r > 0 ? 0 : 1);
#else
		raise(SIGSYS);
#endif
	}
	show_child("i386", pid);
	pid = fork();
	if (pid == 0) {
#ifdef __x86_64__
		_exit(syscall(0x40000000 | SYS_getpid) > 0 ? 0 : 1);
#else
		raise(SIGSYS);
#endif
	}
	show_child("x32", pid);
}

static void files(void)
{
	TRY("mknod-null", mknod("/null", S_IFCHR | 0666, makedev(1, 3)));
	TRY("mknod-whiteout", mknod("/whiteout", S_IFCHR | 0666, makedev(0, 0)));
	TRY("mknod-disk", mknod("/disk", S_IFBLK | 0666, makedev(8, 0)));
	TRY("mkfifo", mkfifo("/fifo", 0600));
	close(open("/file", O_CREAT | O_WRONLY, 0644));
	TRY("chown", chown("/file", 1000, 65535));
	TRY("chown-unmapped", chown("/file", 65536, 0));
	TRY("chmod-setuid", chmod("/file", 04755));
	TRY("xattr-user", setxattr("/file", "user.x", "y", 1, 0));
	TRY("xattr-trusted", setxattr("/file", "trusted.x", "y", 1, 0));
	TRY("proc-sys", open("/proc/sys/kernel/core_pattern", O_WRONLY));
	TRY("proc-kcore", open("/proc/kcore", O_RDONLY));
	TRY("proc-cmdline", open("/proc/cmdline", O_RDONLY));
	TRY("dev-write", open("/dev/x", O_CREAT | O_WRONLY, 0644));
	TRY("sys-write", open("/sys/x", O_CREAT | O_WRONLY, 0644));
	TRY("dev-null", open("/dev/null", O_RDWR));
	TRY("dev-mem", open("/dev/mem", O_RDONLY));
	TRY("dev-kvm", open("/dev/kvm", O_RDONLY));
	TRY("dev-fuse", open("/dev/fuse", O_RDONLY));
	TRY("dev-console", open("/dev/console", O_RDONLY | O_NOCTTY));
	TRY("dev-tty0", open("/dev/tty0", O_RDONLY | O_NOCTTY));
	TRY("dev-loop", open("/dev/loop-control", O_RDONLY));
	TRY("dev-disk", open("/dev/vda", O_RDONLY));
	TRY("hosts-write", open("/etc/hosts", O_WRONLY));
	TRY("run-write", open("/stacker/run", O_WRONLY));
	TRY("xattr-overlay", setxattr("/file", "user.overlay.opaque", "y", 1, 0));
	TRY("xattr-security", setxattr("/file", "security.evil", "y", 1, 0));
	TRY("link-proc-exe", link("/proc/self/exe", "/tmp/exe"));
	TRY("oom-score", open("/proc/self/oom_score_adj", O_WRONLY));
	TRY("uid-map", open("/proc/self/uid_map", O_WRONLY));
}

static void hidden_proc(void)
{
	static const char *const all[] = {
		"kmsg",	      "kallsyms",
		"keys",	      "key-users",
		"timer_list", "cmdline",
		"config.gz",  "cpuinfo",
		"meminfo",    "interrupts",
		"modules",    "slabinfo",
		"diskstats",  "sys/kernel/random/boot_id",
		"iomem",      "sysrq-trigger",
		"version",    "sys/fs/binfmt_misc",
		"net/tcp",
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		char path[64], name[64];
		snprintf(path, sizeof(path), "/proc/%s", all[i]);
		snprintf(name, sizeof(name), "hidden-%s", all[i]);
		TRY(name, open(path, O_RDONLY));
	}
}

/* A program with set-user-ID root or file capabilities, run by an ordinary user in the step. */
static void raised_programs(void)
{
	/* Version 2: CAP_SYS_ADMIN, effective. */
	static const unsigned char caps[20] = {1, 0, 0, 2, 0, 0, 0x20};
	char buffer[65536];
	int from = open("/proc/self/exe", O_RDONLY);
	int to = open("/raised", O_CREAT | O_WRONLY, 0755);
	for (ssize_t n; (n = read(from, buffer, sizeof(buffer))) > 0;)
		if (write(to, buffer, (size_t)n) != n)
			return;
	close(to);
	TRY("file-caps", setxattr("/raised", "security.capability", caps, sizeof(caps), 0));
	TRY("set-user-id", chmod("/raised", 06755));
	pid_t pid = fork();
	if (pid == 0) {
		if (setresgid(33, 33, 33) == 0 && setresuid(33, 33, 33) == 0)
			execl("/raised", "raised", NULL);
		_exit(1);
	}
	show_child("raised", pid);
	unlink("/raised");
}

/* What that program finds itself to be. */
static int raised_main(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	syscall(SYS_capget, &header, data);
	printf("raised-ids %d %d\n", geteuid(), getegid());
	printf("raised-caps %08x\n", data[0].effective | data[0].permitted);
	return 0;
}

static void identity(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	struct rlimit core;
	gid_t groups[] = {0, 1, 65535};
	uint64_t bounding = 0;
	syscall(SYS_capget, &header, data);
	for (int i = 0; i < 64; i++)
		if (prctl(PR_CAPBSET_READ, i) == 1)
			bounding |= UINT64_C(1) << i;
	printf("effective %08x%08x\n", data[1].effective, data[0].effective);
	printf("permitted %08x%08x\n", data[1].permitted, data[0].permitted);
	printf("inheritable %08x%08x\n", data[1].inheritable, data[0].inheritable);
	printf("bounding %016lx\n", (unsigned long)bounding);
	printf("no-new-privs %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	printf("seccomp %d\n", prctl(PR_GET_SECCOMP));
	getrlimit(RLIMIT_CORE, &core);
	printf("core %lu %lu\n", (unsigned long)core.rlim_cur, (unsigned long)core.rlim_max);
	printf("ids %d %d %d\n", getuid(), getgid(), getgroups(0, NULL));
	printf("session %d\n", getsid(0) == getpid());
	printf("fds");
	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf(" %d", fd);
	printf("\n");
	TRY("setgroups", setgroups(3, groups));
}

static void names(void)
{
	char host[64] = "", domain[64] = "";
	gethostname(host, sizeof(host));
	getdomainname(domain, sizeof(domain));
	printf("host %s %s\n", host, domain);
}

static void last_things(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		TRY("chroot", chroot("/tmp"));
		TRY("chroot-escape", chdir("../../../../../.."));
		TRY("chroot-host", open("etc/passwd", O_RDONLY));
		TRY("setuid", setresuid(33, 33, 33));
		printf("caps-after-setuid ");
		struct __user_cap_header_struct header = {.version =
								  _LINUX_CAPABILITY_VERSION_3};
		struct __user_cap_data_struct data[2];
		syscall(SYS_capget, &header, data);
		printf("%08x\n", data[0].effective);
		fflush(stdout);
		_exit(0);
	}
	show_child("chrooted", pid);
	signal(SIGTERM, SIG_IGN);
	TRY("kill-all", kill(-1, SIGTERM));
}

int main(int argc, char **argv)
{
	if (argc > 0 && strcmp(argv[0], "raised") == 0)
		return raised_main();
	identity();
	names();
	sockets();
	netlink();
	network();
	terminals();
	processes();
	other_processes();
	host_files();
	namespaces();
	kernel_surface();
	foreign_abis();
	files();
	hidden_proc();
	raised_programs();
	mounts();
	last_things();
	return 0;
}
