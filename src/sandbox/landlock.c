/*
 * Landlock's calls are made by number: the C library has no wrappers, and the headers may be
 * older than the kernel.
 */
#include "sandbox/landlock_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/mem.h"

/* Of newer kernels than the headers that we build with. */
#define ACCESS_FS_REFER (UINT64_C(1) << 13)
#define ACCESS_FS_TRUNCATE (UINT64_C(1) << 14)
#define ACCESS_FS_IOCTL_DEV (UINT64_C(1) << 15)
#define ACCESS_NET_BIND_TCP (UINT64_C(1) << 0)
#define ACCESS_NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_UNIX_SOCKET (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define REMOVE (LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR)

enum { ABI_REFER = 2, ABI_TRUNCATE = 3, ABI_NET = 4, ABI_IOCTL = 5, ABI_SCOPE = 6 };

struct ruleset {
	uint64_t handled_access_fs, handled_access_net, scoped;
};

struct landlock {
	int fd; /* -1: this kernel has none */
	uint64_t handled_fs;
};

static void landlock_cleanup(struct landlock *l)
{
	mem_close_cleanup(&l->fd);
}

static struct ruleset handled(long abi, uint64_t net)
{
	/* Every right of the first ABI: 13 bits. */
	struct ruleset r = {.handled_access_fs = ACCESS_FS_REFER - 1};
	if (abi >= ABI_REFER)
		r.handled_access_fs |= ACCESS_FS_REFER;
	if (abi >= ABI_TRUNCATE)
		r.handled_access_fs |= ACCESS_FS_TRUNCATE;
	if (abi >= ABI_IOCTL)
		r.handled_access_fs |= ACCESS_FS_IOCTL_DEV;
	if (abi >= ABI_NET)
		r.handled_access_net = net;
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

static int landlock_open(uint64_t net, struct landlock *ret, struct err *e)
{
	long abi =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	*ret = (struct landlock){.fd = -1};
	if (abi < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
		return 0;
	struct ruleset rights = handled(abi, net);
	ret->handled_fs = rights.handled_access_fs;
	ret->fd = abi < 0 ? -1
			  : (int)syscall(SYS_landlock_create_ruleset, &rights, ruleset_len(abi),
					 0);
	return ret->fd < 0 ? err_sys(e, "cannot make a Landlock ruleset") : 0;
}

/* A file that this machine lacks needs no rule. */
static int allow(const struct landlock *l, const char *path, uint64_t rights, struct err *e)
{
	struct stat st;
	AUTO_CLOSE int fd = openat(AT_FDCWD, path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot look at '%s'", path);
	struct landlock_path_beneath_attr rule = {
		.allowed_access = rights & l->handled_fs,
		.parent_fd = fd,
	};
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE;
	if (syscall(SYS_landlock_add_rule, l->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return err_sys(e, "cannot allow '%s' by Landlock", path);
	return 0;
}

static int enforce(const struct landlock *l, struct err *e)
{
	if (syscall(SYS_landlock_restrict_self, l->fd, 0) < 0)
		return err_sys(e, "cannot confine a process by Landlock");
	return 0;
}

int landlock_reader(const char *const *paths, size_t paths_len, struct err *e)
{
	AUTO(landlock) l = {.fd = -1};
	if (landlock_open(ACCESS_NET_BIND_TCP, &l, e) < 0)
		return -1;
	if (l.fd < 0)
		return 0;
	for (size_t i = 0; i < paths_len; i++)
		if (allow(&l, paths[i], READ, e) < 0)
			return -1;
	return enforce(&l, e);
}

static uint64_t rights_of(enum policy_role role)
{
	switch (role) {
	case POLICY_UNPACKER:
		/* Whiteouts are character devices; no other device can be made in a user
		 * namespace. */
		return READ | REMOVE | ACCESS_FS_REFER | ACCESS_FS_TRUNCATE |
		       LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
		       LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SYM |
		       LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_CHAR;
	case POLICY_PACKER:
	case POLICY_LISTER:
		return READ;
	case POLICY_TOOL:
		/* Everything but its output directory is mounted read-only. */
		return READ | LANDLOCK_ACCESS_FS_EXECUTE | ACCESS_FS_TRUNCATE |
		       LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
		       LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SYM |
		       LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_CHAR;
	case POLICY_REMOVER:
		return LANDLOCK_ACCESS_FS_READ_DIR | REMOVE;
	case POLICY_STEP:
	case POLICY_INIT:
	case POLICY_FETCHER:
	case POLICY_ROLES:
		break;
	}
	BUG_IF(true);
}

int landlock_worker(enum policy_role role, struct err *e)
{
	AUTO(landlock) l = {.fd = -1};
	/* Without CAP_SYS_ADMIN in the namespace the kernel asks for it. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, "cannot set no_new_privs");
	if (landlock_open(ACCESS_NET_BIND_TCP | ACCESS_NET_CONNECT_TCP, &l, e) < 0)
		return -1;
	if (l.fd < 0)
		return 0;
	if (allow(&l, "/", rights_of(role), e) < 0)
		return -1;
	return enforce(&l, e);
}
