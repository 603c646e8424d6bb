/*
 * Probes by doing: a worker is run, an overlay mounted, a whole step's sandbox built. Reading
 * versions and switches would say what should work; distributions and containers differ.
 */
#include "sandbox/check.h"

#include <errno.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <sched.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "sandbox/cgroup_internal.h"
#include "sandbox/idmap.h"
#include "sandbox/run.h"
#include "sandbox/worker.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/proc.h"
#include "util/str.h"

/* Not in linux/magic.h of Debian 12. */
#define FUSE_MAGIC 0x65735546

struct check {
	const struct sandbox_policy *policy;
	int roots_fd;
	struct sandbox_idmap ids;
	char dir[32]; /* below the roots directory, for the time of a probe */
	char *detail;
	size_t detail_len;
};

static int unshare_all(int *ret_errno, struct err *e)
{
	struct proc child = PROC_INIT;
	struct proc_status status;
	bool is_child, ended;
	if (proc_fork(&child, &is_child, e) < 0)
		return -1;
	if (is_child)
		_exit(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
			      CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP) < 0
			      ? errno
			      : 0);
	if (proc_wait(&child, -1, &ended, &status, e) < 0) {
		proc_cleanup(&child);
		return -1;
	}
	*ret_errno = status.exited ? status.code : EINTR;
	return 0;
}

static bool switch_is(const char *path, const char *value)
{
	struct err ignored = ERR_INIT;
	AUTO(buf) text = BUF_INIT(64);
	return path_read_file(AT_FDCWD, path, &text, &ignored) == 0 &&
	       str_has_prefix(buf_text(&text), value);
}

static int probe_userns(struct check *c, struct err *e)
{
	int failed;
	if (unshare_all(&failed, e) < 0)
		return -1;
	snprintf(c->detail, c->detail_len, "all seven kinds can be created");
	if (failed == 0)
		return 0;
	errno = failed;
	err_sys(e, "namespaces cannot be created");
	if (switch_is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"))
		return err_hint(
			e, "as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0");
	if (switch_is("/proc/sys/kernel/unprivileged_userns_clone", "0"))
		return err_hint(e, "as root: sysctl kernel.unprivileged_userns_clone=1");
	if (switch_is("/proc/sys/user/max_user_namespaces", "0"))
		return err_hint(e, "as root: sysctl user.max_user_namespaces=15000");
	return err_hint(e,
			"in a container, allow unshare and clone of namespaces in its seccomp "
			"profile");
}

static int probe_ids(struct check *c, struct err *e)
{
	if (sandbox_idmap_find(&c->ids, e) < 0)
		return -1;
	snprintf(c->detail, c->detail_len, "root is %u, the others are %u-%u", c->ids.uid_first,
		 c->ids.uid_rest, c->ids.uid_rest + (SANDBOX_IDS - 2));
	return 0;
}

static int worker_nothing(void *ctx, struct buf *reply, struct err *e)
{
	(void)ctx;
	(void)reply;
	(void)e;
	return 0;
}

/* In a worker before it is confined, where mounts are made. */
static int in_worker(struct check *c, int (*prepare)(void *, struct err *), struct err *e)
{
	struct sandbox_bind bind = {c->roots_fd, "roots", false, false};
	struct sandbox_worker w = {.idmap = &c->ids,
				   .policy = c->policy,
				   .binds = &bind,
				   .binds_len = 1,
				   .role = POLICY_UNPACKER,
				   .prepare = prepare,
				   .run = worker_nothing,
				   .ctx = c};
	return sandbox_worker_run(&w, NULL, e);
}

static int probe_worker(struct check *c, struct err *e)
{
	snprintf(c->detail, c->detail_len, "id maps, tmpfs, pivot_root, seccomp");
	return in_worker(c, NULL, e);
}

/* For people only: what is not listed may be as good. */
static const char *file_system_name(unsigned long magic)
{
	static const struct {
		unsigned long magic;
		const char *name;
	} known[] = {
		{EXT4_SUPER_MAGIC, "ext4"},   {XFS_SUPER_MAGIC, "xfs"},
		{BTRFS_SUPER_MAGIC, "btrfs"}, {TMPFS_MAGIC, "tmpfs"},
		{F2FS_SUPER_MAGIC, "f2fs"},
	};
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].magic == magic)
			return known[i].name;
	return "none that is known to be unfit";
}

static int probe_roots(struct check *c, struct err *e)
{
	static const struct {
		long magic;
		const char *name;
	} unfit[] = {
		{NFS_SUPER_MAGIC, "NFS"},
		{OVERLAYFS_SUPER_MAGIC, "an overlay"},
		{FUSE_MAGIC, "FUSE"},
		{SMB_SUPER_MAGIC, "SMB"},
		{SMB2_SUPER_MAGIC, "SMB"},
		{CIFS_SUPER_MAGIC, "CIFS"},
		{V9FS_MAGIC, "9P"},
		{MSDOS_SUPER_MAGIC, "FAT"},
		{ECRYPTFS_SUPER_MAGIC, "eCryptfs"},
	};
	struct statfs fs;
	if (fstatfs(c->roots_fd, &fs) < 0)
		return err_sys(e, "cannot look at the file system of the roots directory");
	for (size_t i = 0; i < ARRAY_LEN(unfit); i++) {
		if ((unsigned long)fs.f_type != (unsigned long)unfit[i].magic)
			continue;
		err_set(e, ERR_SANDBOX, "sandbox/roots-dir", "the roots directory is on %s",
			unfit[i].name);
		return err_hint(e,
				"--roots-dir on a local file system (ext4, xfs, btrfs, tmpfs)");
	}
	snprintf(c->detail, c->detail_len, "%s", file_system_name((unsigned long)fs.f_type));
	return 0;
}

/* Makes c->dir below the roots, runs `body` in it, removes it whatever happens. */
static int in_probe_dir(struct check *c,
			int (*body)(int dir_fd, const struct check *c, struct err *e),
			struct err *e)
{
	AUTO_CLOSE int roots = -1;
	AUTO_CLOSE int dir = -1;
	struct err ignored = ERR_INIT;
	if (path_open_dir(AT_FDCWD, "roots", &roots, e) < 0)
		return -1;
	if (mkdirat(roots, c->dir, 0755) < 0)
		return err_sys(e, "cannot write to the roots directory");
	int r = path_open_dir(roots, c->dir, &dir, e);
	if (r == 0)
		r = body(dir, c, e);
	if (path_remove_tree(roots, c->dir, r == 0 ? e : &ignored) < 0)
		return -1;
	return r;
}

static int try_whiteout(int dir_fd, const struct check *c, struct err *e)
{
	(void)c;
	if (mknodat(dir_fd, "whiteout", S_IFCHR, makedev(0, 0)) < 0)
		return err_sys(e, "a whiteout cannot be made");
	return 0;
}

static int try_xattr(int dir_fd, const struct check *c, struct err *e)
{
	(void)c;
	AUTO_CLOSE int fd = openat(dir_fd, "file", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	if (fd < 0 || fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) < 0)
		return err_sys(e, "an extended attribute cannot be set");
	return 0;
}

static int try_overlay(int dir_fd, const struct check *c, struct err *e)
{
	static const char *const dirs[] = {"low", "up", "work"};
	const char *const lowers[] = {"low"};
	AUTO_FREE char *base = path_join("roots", c->dir);
	struct stat st;
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (mkdirat(dir_fd, dirs[i], 0755) < 0)
			return err_sys(e, "cannot write to the roots directory");
	AUTO_CLOSE int fd = openat(dir_fd, "low/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(e, "cannot write to the roots directory");
	struct sandbox_overlay o = {.base = base,
				    .lowers = lowers,
				    .lowers_len = 1,
				    .upper = "up",
				    .work = "work",
				    .target = "view"};
	if (sandbox_overlay_mount(&o, e) < 0)
		return -1;
	int removed = unlinkat(AT_FDCWD, "view/file", 0);
	int saved = errno;
	if (sandbox_overlay_unmount("view", e) < 0)
		return -1;
	errno = saved;
	if (removed < 0)
		return err_sys(e, "a file of a lower layer cannot be removed");
	if (fstatat(dir_fd, "up/file", &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISCHR(st.st_mode))
		return err_set(e, ERR_SANDBOX, "sandbox/overlay", "removing left no whiteout");
	return 0;
}

static int worker_whiteout(void *ctx, struct err *e)
{
	return in_probe_dir(ctx, try_whiteout, e);
}

static int worker_xattr(void *ctx, struct err *e)
{
	return in_probe_dir(ctx, try_xattr, e);
}

static int worker_overlay(void *ctx, struct err *e)
{
	return in_probe_dir(ctx, try_overlay, e);
}

static int on_other_roots(int r, struct err *e)
{
	if (r < 0 && e->hint[0] == '\0')
		err_hint(e,
			 "--roots-dir on a local file system (ext4, xfs, btrfs) that you own");
	return r;
}

static int probe_whiteout(struct check *c, struct err *e)
{
	snprintf(c->detail, c->detail_len, "a character device 0:0 can be made");
	return on_other_roots(in_worker(c, worker_whiteout, e), e);
}

static int probe_xattr(struct check *c, struct err *e)
{
	snprintf(c->detail, c->detail_len, "user.overlay.opaque can be set");
	return on_other_roots(in_worker(c, worker_xattr, e), e);
}

static int probe_overlay(struct check *c, struct err *e)
{
	snprintf(c->detail, c->detail_len, "mounted, a file removed, its whiteout seen");
	return on_other_roots(in_worker(c, worker_overlay, e), e);
}

static int make_step_dirs(void *ctx, struct err *e)
{
	const struct check *c = ctx;
	AUTO_CLOSE int roots = -1;
	if (path_open_dir(AT_FDCWD, "roots", &roots, e) < 0)
		return -1;
	AUTO_FREE char *upper = path_join(c->dir, "upper");
	AUTO_FREE char *work = path_join(c->dir, "work");
	if (mkdirat(roots, c->dir, 0755) < 0 || mkdirat(roots, upper, 0755) < 0 ||
	    mkdirat(roots, work, 0755) < 0)
		return err_sys(e, "cannot write to the roots directory");
	return 0;
}

static int remove_step_dirs(void *ctx, struct err *e)
{
	const struct check *c = ctx;
	AUTO_CLOSE int roots = -1;
	if (path_open_dir(AT_FDCWD, "roots", &roots, e) < 0)
		return -1;
	return path_remove_tree(roots, c->dir, e);
}

/* An image of nothing: when the one thing missing is the interpreter, all else was there. */
static int probe_step(struct check *c, struct err *e)
{
	static const char *const no_env[] = {NULL};
	AUTO_FREE char *upper = path_join(c->dir, "upper");
	AUTO_FREE char *work = path_join(c->dir, "work");
	struct sandbox_spec spec = {.idmap = &c->ids,
				    .policy = c->policy,
				    .roots_fd = c->roots_fd,
				    .upper = upper,
				    .work = work,
				    .script = "#!/none\n",
				    .env = no_env,
				    .label = "check"};
	struct sandbox_result result;
	struct err step = ERR_INIT, ignored = ERR_INIT;
	if (in_worker(c, make_step_dirs, e) < 0)
		return -1;
	int r = sandbox_run(&spec, &result, &step);
	if (in_worker(c, remove_step_dirs, r == 0 ? e : &ignored) < 0 && r == 0)
		return -1;
	if (r < 0 && !str_same(step.id, "sandbox/exec")) {
		*e = step;
		return -1;
	}
	snprintf(c->detail, c->detail_len,
		 "proc, dev, loopback, capabilities, limits, seccomp");
	return 0;
}

static int probe_landlock(struct check *c, struct err *e)
{
	long abi =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 0) {
		err_sys(e, "the kernel has no Landlock");
		return err_hint(e,
				"CONFIG_SECURITY_LANDLOCK and landlock in lsm=; without it the "
				"fetcher is confined by seccomp alone");
	}
	snprintf(c->detail, c->detail_len, "ABI %ld", abi);
	return 0;
}

static int probe_cgroup(struct check *c, struct err *e)
{
	static const char *const kinds[] = {
		[EVIDENCE_CGROUP_V1] = "version 1", [EVIDENCE_CGROUP_V2] = "version 2"};
	AUTO(cgroup) group = CGROUP_INIT;
	cgroup_create_here(&group, &c->policy->defaults);
	enum evidence_cgroup memory = group.memory.kind, pids = cgroup_limits_pids(&group);
	if (memory != EVIDENCE_CGROUP_NONE && pids != EVIDENCE_CGROUP_NONE) {
		snprintf(c->detail, c->detail_len, "%s", kinds[memory]);
		return 0;
	}
	err_set(e, ERR_SANDBOX, "sandbox/cgroup",
		"no control group can be made for %s: a step's memory is limited at best effort",
		memory == EVIDENCE_CGROUP_NONE ? "memory" : "processes");
	return err_hint(e, "with systemd: systemd-run --user --scope stacker ...");
}

static int probe_core_pattern(struct check *c, struct err *e)
{
	AUTO(buf) text = BUF_INIT(256);
	if (path_read_file(AT_FDCWD, "/proc/sys/kernel/core_pattern", &text, e) < 0)
		return -1;
	const char *pattern = buf_text(&text);
	/* A pipe handler is skipped for a limit of 1, which a step may lower to 0 but no more.
	 */
	if (pattern[0] == '|' || pattern[0] == '@') {
		err_set(e, ERR_SANDBOX, "sandbox/core-pattern",
			"a crash in a step may reach a handler of this machine: '%.*s'",
			(int)strcspn(pattern, "\n"), pattern);
		return err_hint(e, "as root: sysctl kernel.core_pattern=core");
	}
	snprintf(c->detail, c->detail_len, "'%.*s'", (int)strcspn(pattern, "\n"), pattern);
	return 0;
}

/* For whoever reads a report. What is too old for us fails the probes that need more. */
static int probe_kernel(struct check *c, struct err *e)
{
	struct utsname name;
	if (uname(&name) < 0)
		return err_sys(e, "cannot ask for the kernel's version");
	snprintf(c->detail, c->detail_len, "%.64s %.64s, %.64s", name.sysname, name.release,
		 name.machine);
	return 0;
}

enum { ALONE = -1, KERNEL = 0, USERNS = 1, IDS = 2, WORKER = 3 };

static const struct {
	const char *id, *title;
	bool required;
	int needs; /* index of the probe without which this one is pointless */
	int (*run)(struct check *c, struct err *e);
} probes[] = {
	[KERNEL] = {"kernel", "version", false, ALONE, probe_kernel},
	[USERNS] = {"userns", "namespaces for ordinary users", true, ALONE, probe_userns},
	[IDS] = {"newuidmap", "65536 ids for a sandbox", true, ALONE, probe_ids},
	[WORKER] = {"worker", "a process confined to its directories", true, IDS, probe_worker},
	{"roots-dir", "file system of the layer trees", true, ALONE, probe_roots},
	{"whiteout", "whiteouts in the roots directory", true, WORKER, probe_whiteout},
	{"xattr", "extended attributes in the roots directory", true, WORKER, probe_xattr},
	{"overlay", "overlay of layers", true, WORKER, probe_overlay},
	{"step", "the whole sandbox of a step", true, WORKER, probe_step},
	{"landlock", "Landlock for the fetcher", false, ALONE, probe_landlock},
	{"cgroup", "limits of memory and processes", false, ALONE, probe_cgroup},
	{"core-pattern", "core dumps stay in the sandbox", false, ALONE, probe_core_pattern},
};

unsigned sandbox_check(const struct sandbox_policy *policy, int roots_fd,
		       void (*report)(void *ctx, const struct sandbox_requirement *r),
		       void *ctx)
{
	struct check c = {.policy = policy, .roots_fd = roots_fd};
	bool ok[ARRAY_LEN(probes)];
	unsigned failed = 0;
	snprintf(c.dir, sizeof(c.dir), ".check-%d", (int)getpid());
	for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
		struct sandbox_requirement r = {.id = probes[i].id,
						.title = probes[i].title,
						.required = probes[i].required};
		struct err e = ERR_INIT;
		int needs = probes[i].needs;
		c.detail = r.detail;
		c.detail_len = sizeof(r.detail);
		if (needs != ALONE && !ok[needs])
			snprintf(r.detail, sizeof(r.detail), "not probed, since '%s' failed",
				 probes[needs].id);
		else
			r.ok = probes[i].run(&c, &e) == 0;
		if (e.code != ERR_NONE) {
			snprintf(r.detail, sizeof(r.detail), "%.*s", (int)sizeof(r.detail) - 1,
				 e.message);
			snprintf(r.remedy, sizeof(r.remedy), "%.*s", (int)sizeof(r.remedy) - 1,
				 e.hint);
		}
		ok[i] = r.ok;
		failed += probes[i].required && !r.ok;
		report(ctx, &r);
	}
	sandbox_idmap_cleanup(&c.ids);
	return failed;
}
