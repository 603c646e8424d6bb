/*
 * The fetcher stays in the host's network and mount namespaces, so what confines it is Landlock
 * (which files) and seccomp (which calls). Landlock's calls are made by number: the C library
 * has no wrappers, and the headers may be older than the kernel.
 */
#include "sandbox/confine.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "sandbox/seccomp.h"
#include "util/mem.h"

/* Of newer kernels than the headers that we build with. */
#define ACCESS_FS_REFER (UINT64_C(1) << 13)
#define ACCESS_FS_TRUNCATE (UINT64_C(1) << 14)
#define ACCESS_NET_BIND_TCP (UINT64_C(1) << 0)
#define SCOPE_ABSTRACT_UNIX_SOCKET (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

enum { ABI_REFER = 2, ABI_TRUNCATE = 3, ABI_NET = 4, ABI_SCOPE = 6 };

struct ruleset {
	uint64_t handled_access_fs, handled_access_net, scoped;
};

/* What the resolver, TLS and a late-loaded part of the C library read. */
static const char *const readable[] = {
	"/etc/resolv.conf",
	"/etc/hosts",
	"/etc/host.conf",
	"/etc/nsswitch.conf",
	"/etc/gai.conf",
	"/etc/services",
	"/etc/protocols",
	"/etc/localtime",
	"/etc/ld.so.cache",
	"/etc/ssl/certs",
	"/etc/ssl/openssl.cnf",
	"/etc/pki/tls",
	"/etc/pki/ca-trust",
	"/etc/ca-certificates",
	"/usr/share/ca-certificates",
	"/usr/local/share/ca-certificates",
	"/usr/share/zoneinfo",
	"/usr/lib",
	"/usr/lib64",
	"/lib",
	"/lib64",
	"/run/systemd/resolve",
	"/run/resolvconf",
	"/dev/null",
	"/dev/random",
	"/dev/urandom",
};

static struct ruleset handled(long abi)
{
	/* Every right of the first ABI: 13 bits. */
	struct ruleset r = {.handled_access_fs = ACCESS_FS_REFER - 1};
	if (abi >= ABI_REFER)
		r.handled_access_fs |= ACCESS_FS_REFER;
	if (abi >= ABI_TRUNCATE)
		r.handled_access_fs |= ACCESS_FS_TRUNCATE;
	if (abi >= ABI_NET)
		r.handled_access_net = ACCESS_NET_BIND_TCP;
	if (abi >= ABI_SCOPE)
		r.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
	return r;
}

/* An older kernel takes a shorter struct. */
static size_t ruleset_len(long abi)
{
	if (abi >= ABI_SCOPE)
		return sizeof(struct ruleset);
	return abi >= ABI_NET ? offsetof(struct ruleset, scoped)
			      : offsetof(struct ruleset, handled_access_net);
}

/* A file that this machine lacks needs no rule. */
static int allow_reading(int ruleset_fd, const char *path, struct err *e)
{
	struct stat st;
	AUTO_CLOSE int fd = openat(AT_FDCWD, path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot look at '%s'", path);
	struct landlock_path_beneath_attr rule = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
		.parent_fd = fd,
	};
	if (S_ISDIR(st.st_mode))
		rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
	if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) <
	    0)
		return err_sys(e, "cannot allow the fetcher to read '%s'", path);
	return 0;
}

static int restrict_files(struct err *e)
{
	long abi =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
		return 0; /* `stacker check` says so; the seccomp list still forbids writing
			     opens */
	struct ruleset rights = handled(abi);
	AUTO_CLOSE int fd =
		(int)syscall(SYS_landlock_create_ruleset, &rights, ruleset_len(abi), 0);
	if (abi < 0 || fd < 0)
		return err_sys(e, "cannot make a Landlock ruleset");
	for (size_t i = 0; i < ARRAY_LEN(readable); i++)
		if (allow_reading(fd, readable[i], e) < 0)
			return -1;
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return err_sys(e, "cannot confine the fetcher by Landlock");
	return 0;
}

int sandbox_confine_fetcher(const struct sandbox_policy *policy, struct err *e)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, "cannot confine the fetcher");
	if (restrict_files(e) < 0)
		return -1;
	return sandbox_seccomp_load(policy, POLICY_FETCHER, e);
}
