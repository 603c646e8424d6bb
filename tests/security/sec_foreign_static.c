/*
 * Looks around in a step as the tools do that testers carry into containers: what runtime is
 * this, what may I do, which calls are open, what of the host shows, who answers? Written
 * without a look at sec_escape_static.c and sharing nothing with it, so that what one overlooks
 * the other may find. Every line is a finding; golden/foreign.txt has those that are known. What
 * is a number of the machine's (ids, sizes, devices) is shown as '#'.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

enum { SYSCALLS = 480, LINE = 4096 };

/* ---- output ---- */

/* Numbers after '=' or ',' of options that a machine or a caller decides. */
static void print_masked(const char *text)
{
	static const char *const keys[] = {"uid=", "gid=", "size=", "nr_inodes="};
	bool own = strstr(text, "devtmpfs") == NULL && strstr(text, "udev") == NULL;
	for (const char *p = text; *p;) {
		bool hit = false;
		for (size_t i = 0; i < LEN(keys) && !hit; i++) {
			/* The sizes of our own file systems are the policy's. */
			bool is_option = p > text && p[-1] == ',';
			if (!is_option || strncmp(p, keys[i], strlen(keys[i])) != 0 ||
			    (own && i >= 2))
				continue;
			printf("%s#", keys[i]);
			p += strlen(keys[i]);
			p += strspn(p, "0123456789k");
			hit = true;
		}
		if (!hit)
			putchar(*p++);
	}
	putchar('\n');
}

/* In a child, since a success may change what is tried next, and a filter may kill. */
#define WORKS(name, call)                                                                      \
	do {                                                                                   \
		fflush(stdout);                                                                \
		pid_t pid_ = fork();                                                           \
		if (pid_ == 0)                                                                 \
			_exit((long)(call) < 0);                                               \
		int status_ = 0;                                                               \
		waitpid(pid_, &status_, 0);                                                    \
		if (WIFEXITED(status_) && WEXITSTATUS(status_) == 0)                           \
			printf("works: %s\n", name);                                           \
	} while (0)

static bool first_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "re");
	bool found = f && fgets(line, (int)size, f);
	if (f)
		fclose(f);
	if (found)
		line[strcspn(line, "\n")] = 0;
	return found;
}

/* ---- who am I ---- */

static void runtime(void)
{
	static const char *const hints[] = {
		"/.dockerenv",
		"/run/.containerenv",
		"/run/systemd/container",
		"/.dockerinit",
		"/etc/machine-id",
		"/run/secrets",
		"/var/run/secrets",
		"/kaniko",
		"/proc/vz",
		"/proc/xen",
	};
	char line[LINE];
	for (size_t i = 0; i < LEN(hints); i++)
		if (access(hints[i], F_OK) == 0)
			printf("runtime: %s\n", hints[i]);
	FILE *f = fopen("/proc/self/cgroup", "re");
	/* Which hierarchies there are is the machine's; a path is a name of somebody's. */
	while (f && fgets(line, sizeof(line), f)) {
		const char *path = strrchr(line, ':');
		if (path && strcmp(path, ":/\n") != 0)
			printf("cgroup path: %s", path + 1);
	}
	if (f)
		fclose(f);
	for (char **env = environ; *env; env++)
		printf("environment: %s\n", *env);
	if (first_line("/proc/1/environ", line, sizeof(line)))
		printf("environment of pid 1: %s\n", line);
}

static void privileges(void)
{
	static const char *const of_interest[] = {"Cap",    "NoNewPrivs", "Seccomp",
						  "Groups", "Uid",	  "TracerPid"};
	char line[LINE];
	FILE *f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < LEN(of_interest); i++)
			if (strncmp(line, of_interest[i], strlen(of_interest[i])) == 0)
				printf("status: %s", line);
	if (f)
		fclose(f);
	f = fopen("/proc/self/uid_map", "re");
	for (unsigned inside, outside, count;
	     f && fscanf(f, "%u %u %u", &inside, &outside, &count) == 3;)
		printf("ids: %u from %u are %u outside\n", count, inside, outside);
	if (f)
		fclose(f);
	if (first_line("/proc/self/attr/current", line, sizeof(line)))
		printf("label: %s\n", line);
}

/* ---- which calls are open ---- */

/* Not those that would wait, end or duplicate the child, or flush the machine's disks, whatever
 * their arguments. */
static bool may_try(int number)
{
	static const int not [] = {SYS_exit,	      SYS_exit_group,
#ifdef SYS_fork /* the older calls, which arm64 has no more */
				   SYS_pause,	      SYS_fork,
				   SYS_vfork,	      SYS_select,
				   SYS_poll,
#endif
				   SYS_rt_sigreturn,  SYS_clone,
				   SYS_clone3,	      SYS_pselect6,
				   SYS_ppoll,	      SYS_wait4,
				   SYS_waitid,	      SYS_vhangup,
				   SYS_rt_sigsuspend, SYS_restart_syscall,
				   SYS_sync,	      SYS_rt_sigtimedwait};
	for (size_t i = 0; i < LEN(not ); i++)
		if (number == not [i])
			return false;
	return true;
}

static bool is_open(int number)
{
	int status = 0;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		alarm(1);
		long r = syscall(number, -1l, 0l, 0l, 0l, 0l, 0l);
		_exit(r < 0 && (errno == ENOSYS || errno == EPERM));
	}
	waitpid(pid, &status, 0);
	return !WIFEXITED(status) || WEXITSTATUS(status) == 0;
}

static void calls(void)
{
	int from = -1;
	for (int number = 0; number <= SYSCALLS; number++) {
		bool open = number < SYSCALLS && may_try(number) && is_open(number);
		if (open && from < 0)
			from = number;
		if (open || from < 0)
			continue;
		if (from == number - 1)
			printf("open call: %d\n", from);
		else
			printf("open calls: %d-%d\n", from, number - 1);
		from = -1;
	}
}

static void namespaces(void)
{
	static const struct {
		const char *name;
		int flag;
	} kinds[] = {{"user", CLONE_NEWUSER},	  {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID},
		     {"net", CLONE_NEWNET},	  {"uts", CLONE_NEWUTS},  {"ipc", CLONE_NEWIPC},
		     {"cgroup", CLONE_NEWCGROUP}, {"time", 0x80}};
	char name[64];
	for (size_t i = 0; i < LEN(kinds); i++) {
		snprintf(name, sizeof(name), "new %s namespace", kinds[i].name);
		WORKS(name, unshare(kinds[i].flag));
	}
	WORKS("mount a tmpfs", mount("x", "/tmp", "tmpfs", 0, ""));
	WORKS("mount a cgroup", mount("x", "/tmp", "cgroup", 0, "rdma"));
	WORKS("mount a cgroup2", mount("x", "/tmp", "cgroup2", 0, ""));
	WORKS("mount a proc", mount("x", "/tmp", "proc", 0, ""));
	WORKS("uncover /proc", umount2("/proc", MNT_DETACH));
	WORKS("uncover /sys", umount2("/sys", MNT_DETACH));
	WORKS("remount / with set-user-ID", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
}

/* ---- what of the host shows ---- */

static void mounts(void)
{
	char line[LINE];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	while (f && fgets(line, sizeof(line), f)) {
		/* number, parent and device are the machine's; from the root of the mount on */
		char *p = line;
		for (int field = 0; field < 3 && p; field++)
			p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL;
		line[strcspn(line, "\n")] = 0;
		if (!p)
			continue;
		printf("mount: ");
		print_masked(p);
	}
	if (f)
		fclose(f);
	static const char *const places[] = {"/tmp", "/run", "/dev/shm", "/dev", "/sys"};
	for (size_t i = 0; i < LEN(places); i++) {
		struct statfs st;
		if (statfs(places[i], &st) == 0)
			printf("room: %s %lu blocks, %lu files\n", places[i],
			       (unsigned long)st.f_blocks, (unsigned long)st.f_files);
	}
}

static void kernel_files(void)
{
	static const char *const levers[] = {
		"/sys/kernel/uevent_helper",
		"/proc/sys/kernel/core_pattern",
		"/proc/sys/kernel/modprobe",
		"/proc/sys/kernel/hotplug",
		"/proc/sys/fs/binfmt_misc/register",
		"/proc/sys/vm/panic_on_oom",
		"/proc/sys/kernel/hostname",
		"/proc/sysrq-trigger",
		"/sys/fs/cgroup/release_agent",
		"/sys/fs/cgroup/memory/release_agent",
		"/sys/fs/cgroup/devices/devices.allow",
		"/sys/kernel/security",
		"/sys/kernel/debug",
		"/sys/firmware/efi/efivars",
		"/sys/module",
		"/sys/class/net",
		"/sys/block",
		"/sys/devices",
		"/proc/kcore",
		"/proc/kallsyms",
		"/proc/kmsg",
		"/proc/keys",
		"/proc/config.gz",
		"/proc/modules",
		"/proc/partitions",
		"/proc/diskstats",
		"/proc/sched_debug",
		"/proc/timer_list",
		"/proc/cmdline",
		"/proc/version",
		"/proc/cpuinfo",
		"/proc/meminfo",
		"/proc/uptime",
		"/proc/loadavg",
		"/proc/stat",
		"/proc/net/unix",
		"/proc/net/route",
		"/proc/net/arp",
		"/proc/sys/kernel/random/boot_id",
		"/proc/self/net/dev",
		"/proc/bus",
		"/proc/acpi",
		"/proc/scsi",
		"/proc/fs",
		"/proc/irq",
		"/proc/interrupts",
		"/proc/self/root/proc/sys",
		"/proc/1/root/etc",
		"/proc/1/cwd/etc",
		"/proc/1/maps",
		"/proc/1/mountinfo",
		"/lib/modules",
		"/boot",
		"/etc/shadow",
		"/etc/resolv.conf",
		"/root",
		"/home",
		"/var/log",
		"/mnt",
		"/host",
		"/rootfs",
	};
	for (size_t i = 0; i < LEN(levers); i++) {
		if (access(levers[i], R_OK) == 0)
			printf("readable: %s\n", levers[i]);
		if (access(levers[i], W_OK) == 0)
			printf("writable: %s\n", levers[i]);
	}
	struct utsname u;
	uname(&u);
	printf("names: %s %s\n", u.nodename, u.domainname);
}

static void devices_in(const char *path)
{
	DIR *dir = opendir(path);
	for (const struct dirent *d; dir && (d = readdir(dir));) {
		struct stat st;
		if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (S_ISBLK(st.st_mode))
			printf("block device: %s/%s\n", path, d->d_name);
		if (S_ISSOCK(st.st_mode))
			printf("socket: %s/%s\n", path, d->d_name);
	}
	if (dir)
		closedir(dir);
}

static void devices(void)
{
	static const char *const nodes[] = {"mem",
					    "port",
					    "kmem",
					    "kmsg",
					    "kvm",
					    "fuse",
					    "vda",
					    "sda",
					    "nvme0n1",
					    "loop-control",
					    "mapper/control",
					    "net/tun",
					    "vsock",
					    "vhost-vsock",
					    "dri",
					    "nvidia0",
					    "uinput",
					    "btrfs-control",
					    "console",
					    "tty0",
					    "snapshot",
					    "userfaultfd",
					    "cpu_dma_latency",
					    "input",
					    "bus/usb"};
	char path[64];
	for (size_t i = 0; i < LEN(nodes); i++) {
		snprintf(path, sizeof(path), "/dev/%s", nodes[i]);
		if (access(path, F_OK) == 0)
			printf("device: %s\n", path);
	}
	devices_in("/dev");
	devices_in("/dev/shm");
	devices_in("/run");
	devices_in("/tmp");
	WORKS("make a disk's node", mknod("/tmp/d", S_IFBLK | 0600, makedev(254, 0)));
	WORKS("make the memory's node", mknod("/d", S_IFCHR | 0600, makedev(1, 1)));
}

static void processes(void)
{
	unsigned seen = 0;
	char line[LINE];
	DIR *dir = opendir("/proc");
	for (const struct dirent *d; dir && (d = readdir(dir));)
		seen += isdigit((unsigned char)d->d_name[0]) != 0;
	if (dir)
		closedir(dir);
	printf("processes: %u\n", seen);
	if (first_line("/proc/1/comm", line, sizeof(line)))
		printf("pid 1: %s\n", line);
	if (first_line("/proc/1/cmdline", line, sizeof(line)))
		printf("command of pid 1: %s\n", line);
	WORKS("trace a child", ptrace(PTRACE_TRACEME, 0, 0, 0));
	WORKS("trace pid 1", ptrace(PTRACE_SEIZE, 1, 0, 0));
	WORKS("open the program of pid 1", open("/proc/1/exe", O_RDONLY));
	for (int fd = 0; fd < 256; fd++) {
		char name[64], target[256];
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(name, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = 0;
		target[strcspn(target, "[")] = 0;
		printf("open file: %d %s\n", fd, target);
	}
}

/* ---- who answers ---- */

static bool answers(int family, const void *address, socklen_t len)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int error = connect(fd, address, len) == 0 ? 0 : errno;
	socklen_t size = sizeof(error);
	if (error == EINPROGRESS && poll(&p, 1, 500) == 1)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	close(fd);
	return error == 0;
}

static void network(void)
{
	static const struct {
		const char *ip;
		unsigned short port;
	} services[] = {{"169.254.169.254", 80}, {"169.254.170.2", 80}, {"100.100.100.200", 80},
			{"172.17.0.1", 2375},	 {"172.17.0.1", 22},	{"10.96.0.1", 443},
			{"10.0.0.1", 10250},	 {"127.0.0.1", 2375},	{"127.0.0.1", 10250},
			{"127.0.0.1", 6443},	 {"127.0.0.1", 2379},	{"127.0.0.1", 22},
			{"8.8.8.8", 53}};
	for (size_t i = 0; i < LEN(services); i++) {
		struct sockaddr_in to = {.sin_family = AF_INET,
					 .sin_port = htons(services[i].port)};
		inet_pton(AF_INET, services[i].ip, &to.sin_addr);
		if (answers(AF_INET, &to, sizeof(to)))
			printf("answers: %s:%u\n", services[i].ip, services[i].port);
	}
	static const char *const sockets[] = {"/var/run/docker.sock",
					      "/run/docker.sock",
					      "/run/containerd/containerd.sock",
					      "/run/crio/crio.sock",
					      "/run/podman/podman.sock",
					      "/run/dbus/system_bus_socket",
					      "/run/systemd/private",
					      "/run/snapd.socket"};
	for (size_t i = 0; i < LEN(sockets); i++) {
		struct sockaddr_un to = {.sun_family = AF_UNIX};
		snprintf(to.sun_path, sizeof(to.sun_path), "%s", sockets[i]);
		if (answers(AF_UNIX, &to, sizeof(to)))
			printf("answers: %s\n", sockets[i]);
	}
	struct ifaddrs *all = NULL;
	if (getifaddrs(&all) != 0)
		return;
	for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
		char ip[INET6_ADDRSTRLEN] = "";
		if (a->ifa_addr && a->ifa_addr->sa_family == AF_INET)
			inet_ntop(AF_INET,
				  &((struct sockaddr_in *)(void *)a->ifa_addr)->sin_addr, ip,
				  sizeof(ip));
		if (a->ifa_addr && a->ifa_addr->sa_family == AF_INET6)
			inet_ntop(AF_INET6,
				  &((struct sockaddr_in6 *)(void *)a->ifa_addr)->sin6_addr, ip,
				  sizeof(ip));
		printf("interface: %s %s\n", a->ifa_name, ip);
	}
	freeifaddrs(all);
}

int main(void)
{
	runtime();
	privileges();
	calls();
	namespaces();
	mounts();
	kernel_files();
	devices();
	processes();
	network();
	return 0;
}
