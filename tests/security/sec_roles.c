/*
 * What each kind of process could do if its code were an attacker's: run in the very
 * confinement of its role, with one writable and one read-only directory and one open file, it
 * tries everything that it has no business to do.
 *
 * usage: sec_roles ROLE DIR
 * Prints "ATTEMPT RESULT" lines: "ok" or the errno's name. The script compares with a golden
 * list.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
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
#include <unistd.h>

#include "build/policy.h"
#include "sandbox/confine.h"
#include "sandbox/worker.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

struct trial {
	const char *rw, *ro; /* as the process names them */
	int kept;
	int dir; /* of the caller, which must not survive; -1 for the fetcher */
	struct buf *out;
};

static void note(struct trial *t, const char *name, long result)
{
	buf_addf(t->out, "%s %s\n", name, result < 0 ? strerrorname_np(errno) : "ok");
}
#define TRY(name, call)                                                                        \
	do {                                                                                   \
		errno = 0;                                                                     \
		note(t, name, (long)(call));                                                   \
	} while (0)

static int sub_open(const char *dir, const char *name, int flags)
{
	AUTO_FREE char *path = path_join(dir, name);
	return openat(AT_FDCWD, path, flags | O_CLOEXEC, 0644);
}

static void try_processes(struct trial *t)
{
	char *const argv[] = {(char *)(uintptr_t) "/bin/sh", NULL};
	TRY("execve", execve(argv[0], argv, argv + 1));
	TRY("execveat", syscall(SYS_execveat, t->kept, "", argv, argv + 1, AT_EMPTY_PATH));
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(0);
	note(t, "fork", pid);
	TRY("clone3", syscall(SYS_clone3, 0, 0));
	TRY("unshare", unshare(CLONE_NEWUSER));
	TRY("setns", syscall(SYS_setns, t->kept, 0));
	TRY("ptrace", ptrace(PTRACE_TRACEME, 0, 0, 0));
	TRY("ptrace-parent", ptrace(PTRACE_SEIZE, getppid(), 0, 0));
	TRY("process_vm_readv", syscall(SYS_process_vm_readv, 1, 0, 0, 0, 0, 0));
	TRY("pidfd_open", syscall(SYS_pidfd_open, getppid() ? getppid() : 1, 0));
	TRY("pidfd_getfd", syscall(SYS_pidfd_getfd, t->kept, 0, 0));
	TRY("kill", kill(getppid() ? getppid() : 1, 0));
	TRY("dumpable", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	TRY("setuid", syscall(SYS_setuid, 1));
	TRY("capset", syscall(SYS_capset, 0, 0));
	TRY("setpriority", syscall(SYS_setpriority, 0, 0, 0));
}

static void try_sockets(struct trial *t)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	note(t, "inet", fd);
	TRY("bind", bind(fd, (const struct sockaddr *)&any, sizeof(any)));
	TRY("listen", syscall(SYS_listen, fd, 1));
	TRY("accept", syscall(SYS_accept, fd, 0, 0));
	TRY("unix", socket(AF_UNIX, SOCK_STREAM, 0));
	TRY("netlink-route", socket(AF_NETLINK, SOCK_RAW, 0));
	TRY("netlink-audit", socket(AF_NETLINK, SOCK_RAW, 9));
	TRY("packet", socket(AF_PACKET, SOCK_RAW, 0));
	TRY("vsock", socket(40, SOCK_STREAM, 0));
	TRY("alg", socket(38, SOCK_SEQPACKET, 0));
}

static void try_host_files(struct trial *t)
{
	TRY("read-passwd", openat(AT_FDCWD, "/etc/passwd", O_RDONLY));
	TRY("read-environ", openat(AT_FDCWD, "/proc/self/environ", O_RDONLY));
	TRY("read-root", openat(AT_FDCWD, "/root", O_RDONLY | O_DIRECTORY));
	TRY("dotdot", openat(AT_FDCWD, "/../../../etc/passwd", O_RDONLY));
	TRY("write-null", openat(AT_FDCWD, "/dev/null", O_WRONLY));
	TRY("create-root", openat(AT_FDCWD, "/new", O_WRONLY | O_CREAT, 0600));
	TRY("create-tmp", openat(AT_FDCWD, "/tmp/stacker-role", O_WRONLY | O_CREAT, 0600));
	TRY("leaked-dir", t->dir < 0 ? (errno = EBADF, -1) : openat(t->dir, ".", O_RDONLY));
}

static void try_given_files(struct trial *t)
{
	AUTO_FREE char *new = path_join(t->rw, "new");
	AUTO_FREE char *file = path_join(t->rw, "file");
	AUTO_FREE char *gone = path_join(t->rw, "gone");
	AUTO_FREE char *dir = path_join(t->rw, "dir");
	TRY("read", sub_open(t->rw, "file", O_RDONLY));
	TRY("read-dir", sub_open(t->rw, ".", O_RDONLY | O_DIRECTORY));
	TRY("write", sub_open(t->rw, "file", O_WRONLY));
	TRY("truncate", sub_open(t->rw, "file", O_WRONLY | O_TRUNC));
	TRY("create", sub_open(t->rw, "created", O_WRONLY | O_CREAT));
	TRY("tmpfile", sub_open(t->rw, ".", O_WRONLY | O_TMPFILE));
	TRY("mkdir", mkdirat(AT_FDCWD, new, 0755));
	TRY("symlink", symlinkat("/etc", AT_FDCWD, gone));
	TRY("link", linkat(AT_FDCWD, file, AT_FDCWD, "/rw/linked", 0));
	TRY("rename", renameat(AT_FDCWD, dir, AT_FDCWD, "/rw/moved"));
	TRY("fifo", mknodat(AT_FDCWD, "/rw/fifo", S_IFIFO | 0600, 0));
	TRY("whiteout", mknodat(AT_FDCWD, "/rw/white", S_IFCHR, makedev(0, 0)));
	TRY("device", mknodat(AT_FDCWD, "/rw/null", S_IFCHR | 0666, makedev(1, 3)));
	TRY("block", mknodat(AT_FDCWD, "/rw/disk", S_IFBLK | 0666, makedev(8, 0)));
	TRY("socket-file", mknodat(AT_FDCWD, "/rw/sock", S_IFSOCK | 0666, 0));
	TRY("chmod", syscall(SYS_fchmodat, AT_FDCWD, file, 04755));
	TRY("chown", fchownat(AT_FDCWD, file, 1, 1, 0));
	TRY("setxattr", setxattr(file, "user.x", "y", 1, 0));
	TRY("utimens", utimensat(AT_FDCWD, file, NULL, 0));
	TRY("unlink", unlinkat(AT_FDCWD, "/rw/victim", 0));
	TRY("write-ro", sub_open(t->ro, "file", O_WRONLY));
	TRY("create-ro", sub_open(t->ro, "new", O_WRONLY | O_CREAT));
	TRY("unlink-ro", unlinkat(AT_FDCWD, "/ro/victim2", 0));
	TRY("write-kept", write(t->kept, "x", 1));
}

static void try_mounts(struct trial *t)
{
	struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};
	TRY("mount-tmpfs", mount("none", "/rw", "tmpfs", 0, NULL));
	TRY("mount-bind", mount("/rw", "/ro", NULL, MS_BIND, NULL));
	TRY("mount-proc", mount("proc", "/rw", "proc", 0, NULL));
	TRY("remount-rw", mount(NULL, "/ro", NULL, MS_REMOUNT | MS_BIND, NULL));
	TRY("mount_setattr",
	    syscall(SYS_mount_setattr, AT_FDCWD, "/ro", 0, &attr, sizeof(attr)));
	TRY("umount", umount2("/ro", MNT_DETACH));
	TRY("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/rw", 1));
	TRY("move_mount", syscall(SYS_move_mount, t->kept, "", AT_FDCWD, "/rw", 4));
	TRY("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
	TRY("pivot_root", syscall(SYS_pivot_root, ".", "."));
	TRY("chroot", syscall(SYS_chroot, "/rw"));
	TRY("open_by_handle", syscall(SYS_open_by_handle_at, t->kept, 0, 0));
}

static void try_kernel(struct trial *t)
{
	TRY("bpf", syscall(SYS_bpf, 0, 0, 0));
	TRY("perf", syscall(SYS_perf_event_open, 0, 0, 0, 0, 0));
	TRY("io_uring", syscall(SYS_io_uring_setup, 1, 0));
	TRY("userfaultfd", syscall(SYS_userfaultfd, 0));
	TRY("keyctl", syscall(SYS_keyctl, 0, 0, 0));
	TRY("add_key", syscall(SYS_add_key, "user", "x", "y", 1, -3));
	TRY("memfd", syscall(SYS_memfd_create, "x", 0));
	TRY("seccomp", syscall(SYS_seccomp, 0, 0, 0));
	TRY("landlock", syscall(SYS_landlock_create_ruleset, 0, 0, 1));
	TRY("shmget", syscall(SYS_shmget, 0, 4096, 01000));
	TRY("mq_open", syscall(SYS_mq_open, "x", 0));
	TRY("sethostname", sethostname("x", 1));
	TRY("personality", syscall(SYS_personality, 0x40000));
	TRY("tiocsti", ioctl(t->kept, 0x5412, "x"));
	TRY("fionbio", ioctl(t->kept, FIONBIO, &(int){0}));
	TRY("syslog", syscall(SYS_syslog, 3, 0, 0));
	TRY("vmsplice", syscall(SYS_vmsplice, t->kept, 0, 0, 0));
}

static int try_all(void *ctx, struct buf *reply, struct err *e)
{
	struct trial *t = ctx;
	t->out = reply;
	try_processes(t);
	try_sockets(t);
	try_host_files(t);
	try_given_files(t);
	try_mounts(t);
	try_kernel(t);
	return buf_check(reply, "list", e);
}

/* What the other roles meet, made by the one that may. */
static int make_files(void *ctx, struct buf *reply, struct err *e)
{
	static const char *const names[] = {"rw/file", "rw/victim", "rw/victim2"};
	(void)ctx;
	(void)reply;
	if (mkdirat(AT_FDCWD, "rw/dir", 0755) < 0)
		return err_sys(e, "mkdir");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_CLOSE int fd =
			openat(AT_FDCWD, names[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		if (fd < 0)
			return err_sys(e, "create");
	}
	return 0;
}

static int run_worker(const struct sandbox_policy *policy, enum policy_role role, int dir,
		      struct trial *t, struct buf *reply, struct err *e)
{
	AUTO(sandbox_idmap) ids = {0};
	struct sandbox_bind binds[] = {{dir, "rw", false, false}, {dir, "ro", true, false}};
	if (sandbox_idmap_find(&ids, e) < 0)
		return -1;
	if (geteuid() == 0 && fchown(dir, ids.uid_first, ids.gid_first) < 0)
		return err_sys(e, "chown");
	struct sandbox_worker w = {.idmap = &ids,
				   .policy = policy,
				   .binds = binds,
				   .binds_len = ARRAY_LEN(binds),
				   .keep_fds = &t->kept,
				   .keep_fds_len = 1,
				   .role = POLICY_UNPACKER,
				   .run = make_files,
				   .ctx = t};
	if (sandbox_worker_run(&w, NULL, e) < 0)
		return -1;
	w.role = role;
	w.run = try_all;
	return sandbox_worker_run(&w, reply, e);
}

/* Beside the worker, which needs no pipe for its answer. */
static int run_fetcher(const struct sandbox_policy *policy, struct trial *t, struct buf *reply,
		       struct err *e)
{
	int pipe_fds[2], status;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	pid_t pid = fork();
	if (pid == 0) {
		t->dir = -1; /* closed by the fetcher itself, not by its confinement */
		bool good =
			sandbox_confine_fetcher(policy, e) == 0 && try_all(t, reply, e) == 0;
		if (!good)
			buf_addf(reply, "error %s\n", e->message);
		_exit(path_write_all(pipe_fds[1], buf_text(reply), reply->len, "pipe", e) < 0);
	}
	close(pipe_fds[1]);
	int r = path_read_fd(pipe_fds[0], "pipe", reply, e);
	close(pipe_fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return err_set(e, ERR_SANDBOX, "test/died", "the fetcher died");
	return r;
}

int main(int argc, char **argv)
{
	AUTO(sandbox_policy) policy = {0};
	AUTO(buf) reply = BUF_INIT(MIB);
	struct digest digest;
	struct err e = ERR_INIT;
	AUTO_CLOSE int dir =
		argc == 3 ? openat(AT_FDCWD, argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	AUTO_CLOSE int kept = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (dir < 0 || kept < 0 || policy_load(&policy, &digest, &e) < 0)
		return 2;
	struct trial t = {.rw = "/rw", .ro = "/ro", .kept = kept, .dir = dir};
	for (enum policy_role role = POLICY_UNPACKER; role < POLICY_ROLES; role++) {
		if (!str_same(argv[1], policy_role_name(role)))
			continue;
		int r = role == POLICY_FETCHER ? run_fetcher(&policy, &t, &reply, &e)
					       : run_worker(&policy, role, dir, &t, &reply, &e);
		if (r < 0) {
			fprintf(stderr, "%s [%s]\n", e.message, e.id);
			return 1;
		}
		return printf("%s", buf_text(&reply)) < 0;
	}
	return 2;
}
