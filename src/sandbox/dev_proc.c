/*
 * What a step finds beside the files of its image. Each mount point is opened beneath the root
 * without following any link and must be what the skeleton has there; the mount then goes onto
 * that very fd. An image that has a link in such a place (CVE-2026-41579 and its kin) is
 * refused.
 */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "sandbox/mount_internal.h"
#include "sandbox/step_internal.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"

enum { MEM_MAJOR = 1, TTY_MAJOR = 5 };

#define LOCKED (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
#define DEV_BYTES 65536
#define SCRIPT_MOUNT_BYTES (2 * MIB) /* LIMIT_SCRIPT_BYTES and its page */

static const char hosts_text[] = "127.0.0.1 localhost stacker\n::1 localhost stacker\n";

static const struct {
	const char *path;
	mode_t mode;
} skeleton[] = {
	{"skel", 0755},	     {"skel/dev", 0755}, {"skel/proc", 0555}, {"skel/sys", 0555},
	{"skel/tmp", 01777}, {"skel/run", 0755}, {"skel/etc", 0755},  {"skel/stacker", 0755},
};

static int write_file(int dir_fd, const char *name, mode_t mode, const char *text,
		      struct err *e)
{
	AUTO_CLOSE int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(e, "cannot make '%s' of the sandbox", name);
	return path_write_all(fd, text, strlen(text), name, e);
}

int skeleton_make(struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(skeleton); i++) {
		const char *path = skeleton[i].path;
		if (mkdirat(AT_FDCWD, path, 0700) < 0 ||
		    fchmodat(AT_FDCWD, path, skeleton[i].mode, 0) < 0)
			return err_sys(e, "cannot make '%s' of the sandbox", path);
	}
	if (write_file(AT_FDCWD, "skel/etc/hosts", 0644, "", e) < 0)
		return -1;
	return write_file(AT_FDCWD, "hosts", 0644, hosts_text, e);
}

/* Opens a place of the skeleton in the image. */
static int open_place(int root_fd, const char *path, mode_t type, int *ret_fd, struct err *e)
{
	struct err reason = ERR_INIT;
	struct stat st;
	AUTO_CLOSE int fd = -1;
	if (path_open_beneath(root_fd, path, O_PATH | O_NOFOLLOW, 0, &fd, &reason) == 0 &&
	    fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == type) {
		*ret_fd = TAKE_FD(fd);
		return 0;
	}
	err_set(e, ERR_SANDBOX, "sandbox/mountpoint", "'/%s' of the image is not a plain %s",
		path, type == S_IFDIR ? "directory" : "file");
	return err_hint(e,
			"the sandbox mounts over it; an image with a link, a device or nothing "
			"there cannot be built on");
}

static int place(int root_fd, const char *path, int mount_fd, struct err *e)
{
	AUTO_CLOSE int target = -1;
	if (open_place(root_fd, path, S_IFDIR, &target, e) < 0)
		return -1;
	return mount_attach(mount_fd, target, path, e);
}

static int place_tmpfs(int root_fd, const char *path, uint64_t size_bytes, const char *mode,
		       uint64_t attributes, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	if (mount_tmpfs(size_bytes, mode, attributes, &fd, e) < 0)
		return -1;
	return place(root_fd, path, fd, e);
}

static int bind_device(int dev_fd, const char *name, dev_t rdev, struct err *e)
{
	struct stat st;
	AUTO_FREE char *path = mem_printf("/dev/%s", name);
	AUTO_CLOSE int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "cannot bind '%s' into the sandbox", path);
	/* A host whose /dev/null is a link to something else must not have that exposed. */
	if (!S_ISCHR(st.st_mode) || st.st_rdev != rdev)
		return err_set(e, ERR_SANDBOX, "sandbox/device",
			       "'%s' of this machine is not the device", path);
	if (write_file(dev_fd, name, 0666, "", e) < 0 ||
	    mount_restrict(fd, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, path, e) < 0)
		return -1;
	AUTO_CLOSE int target = openat(dev_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0)
		return err_sys(e, "cannot open the mount point '%s'", path);
	return mount_attach(fd, target, path, e);
}

static int make_dir_in(int dir_fd, const char *name, int *ret_fd, struct err *e)
{
	if (mkdirat(dir_fd, name, 0755) < 0)
		return err_sys(e, "cannot make '%s' of the sandbox", name);
	int fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open '%s' of the sandbox", name);
	*ret_fd = fd;
	return 0;
}

static int fill_dev_mounts(const struct sandbox_policy *policy, int dev_fd, struct err *e)
{
	static const struct mount_option pts_options[] = {
		{"newinstance", NULL}, {"ptmxmode", "0666"}, {"mode", "0620"},
		{"gid", "5"},	       {"max", "64"},
	};
	AUTO_CLOSE int pts = -1;
	AUTO_CLOSE int pts_dir = -1;
	AUTO_CLOSE int shm = -1;
	AUTO_CLOSE int shm_dir = -1;
	if (make_dir_in(dev_fd, "pts", &pts_dir, e) < 0 ||
	    mount_create("devpts", pts_options, ARRAY_LEN(pts_options),
			 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, &pts, e) < 0 ||
	    mount_attach(pts, pts_dir, "/dev/pts", e) < 0)
		return -1;
	if (make_dir_in(dev_fd, "shm", &shm_dir, e) < 0 ||
	    mount_tmpfs(policy->limits.shm_bytes, "1777",
			MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, &shm, e) < 0)
		return -1;
	return mount_attach(shm, shm_dir, "/dev/shm", e);
}

static int fill_dev(const struct sandbox_policy *policy, int dev_fd, struct err *e)
{
	static const struct {
		const char *name;
		unsigned major, minor;
	} devices[] = {
		{"null", MEM_MAJOR, 3},	  {"zero", MEM_MAJOR, 5},    {"full", MEM_MAJOR, 7},
		{"random", MEM_MAJOR, 8}, {"urandom", MEM_MAJOR, 9}, {"tty", TTY_MAJOR, 0},
	};
	static const struct {
		const char *name, *target;
	} links[] = {
		{"ptmx", "pts/ptmx"},	       {"fd", "/proc/self/fd"},
		{"stdin", "/proc/self/fd/0"},  {"stdout", "/proc/self/fd/1"},
		{"stderr", "/proc/self/fd/2"},
	};
	for (size_t i = 0; i < ARRAY_LEN(devices); i++)
		if (bind_device(dev_fd, devices[i].name,
				makedev(devices[i].major, devices[i].minor), e) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		if (symlinkat(links[i].target, dev_fd, links[i].name) < 0)
			return err_sys(e, "cannot make '/dev/%s' of the sandbox",
				       links[i].name);
	return fill_dev_mounts(policy, dev_fd, e);
}

static int place_dev(const struct sandbox_policy *policy, int root_fd, struct err *e)
{
	struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
	AUTO_CLOSE int fd = -1;
	if (mount_tmpfs(DEV_BYTES, "0755", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, &fd, e) < 0 ||
	    place(root_fd, "dev", fd, e) < 0 || fill_dev(policy, fd, e) < 0)
		return -1;
	/* The directory alone: /dev/shm and the devices in it stay writable. */
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &read_only, sizeof(read_only)) < 0)
		return err_sys(e, "cannot make '/dev' of the sandbox read-only");
	return 0;
}

static int proc_failed(struct err *e)
{
	int saved = e->saved_errno;
	err_recode(e, ERR_SANDBOX, "sandbox/proc");
	if (saved != EPERM)
		return -1;
	return err_hint(
		e,
		"parts of this machine's /proc are covered, as in a Docker container; there, "
		"use --security-opt systempaths=unconfined");
}

static int forbid(int proc_fd, const char *name, struct err *e)
{
	AUTO_FREE char *path = mem_printf("sys/user/%s", name);
	AUTO_CLOSE int fd = openat(proc_fd, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0; /* a kernel without that kind has none to give */
	if (fd < 0 || write(fd, "0", 1) != 1)
		return err_sys(e, "cannot set '/proc/%s' of the sandbox", path);
	return 0;
}

int proc_forbid_namespaces(struct err *e)
{
	/* Not those of mount namespaces, each mount that is made by fsmount() being one for a
	 * moment. */
	static const char *const limits[] = {
		"max_user_namespaces", "max_pid_namespaces",  "max_net_namespaces",
		"max_uts_namespaces",  "max_ipc_namespaces",  "max_cgroup_namespaces",
		"max_time_namespaces", "max_fanotify_groups",
	};
	AUTO_CLOSE int proc = -1;
	if (mount_create("proc", NULL, 0, LOCKED & ~(uint64_t)MOUNT_ATTR_RDONLY, &proc, e) < 0)
		return proc_failed(e);
	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		if (forbid(proc, limits[i], e) < 0)
			return -1;
	return 0;
}

/* Covers a file with the null device and a directory with an empty one. */
static int mask(int proc_fd, int null_fd, const char *path, bool hide, struct err *e)
{
	struct stat st;
	AUTO_CLOSE int target = openat(proc_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	AUTO_CLOSE int cover = -1;
	if (target < 0 && errno == ENOENT)
		return 0; /* not shown in the first place */
	if (target < 0 || fstat(target, &st) < 0)
		return err_sys(e, "cannot open '/proc/%s'", path);
	int from = hide && !S_ISDIR(st.st_mode) ? null_fd : target;
	if (hide && S_ISDIR(st.st_mode)) {
		if (mount_tmpfs(DEV_BYTES, "0555", LOCKED, &cover, e) < 0)
			return -1;
	} else {
		cover = open_tree(from, "",
				  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
		if (cover < 0)
			return err_sys(e, "cannot cover '/proc/%s'", path);
		uint64_t attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
		if (mount_restrict(cover, attributes, path, e) < 0)
			return -1;
	}
	return mount_attach(cover, target, path, e);
}

static int place_proc(const struct sandbox_policy *policy, int root_fd, struct err *e)
{
	static const struct mount_option strict[] = {{"subset", "pid"},
						     {"hidepid", "invisible"}};
	AUTO_CLOSE int fd = -1;
	AUTO_CLOSE int null_fd = openat(root_fd, "dev/null", O_PATH | O_CLOEXEC);
	if (null_fd < 0)
		return err_sys(e, "cannot open '/dev/null' of the sandbox");
	if (mount_create("proc", strict, ARRAY_LEN(strict),
			 LOCKED & ~(uint64_t)MOUNT_ATTR_RDONLY, &fd, e) < 0)
		return proc_failed(e);
	if (place(root_fd, "proc", fd, e) < 0)
		return -1;
	for (size_t i = 0; i < policy->proc_masked.len; i++)
		if (mask(fd, null_fd, policy->proc_masked.items[i], true, e) < 0)
			return -1;
	for (size_t i = 0; i < policy->proc_readonly.len; i++)
		if (mask(fd, null_fd, policy->proc_readonly.items[i], false, e) < 0)
			return -1;
	return 0;
}

static int place_hosts(int root_fd, struct err *e)
{
	AUTO_CLOSE int target = -1;
	AUTO_CLOSE int fd = open_tree(AT_FDCWD, "hosts", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot bind '/etc/hosts' of the sandbox");
	if (open_place(root_fd, "etc/hosts", S_IFREG, &target, e) < 0 ||
	    mount_restrict(fd, LOCKED, "/etc/hosts", e) < 0)
		return -1;
	return mount_attach(fd, target, "/etc/hosts", e);
}

/* An overlay and no bind mount: the directory's path on the host would show in mountinfo. */
static int mount_imports(const struct sandbox_spec *spec, const char *bottom,
			 const char *target, struct err *e)
{
	struct mount_overlay o = {
		.prefix = "../roots/",
		.lowers = &spec->imports,
		.lowers_len = 1,
		.bottom = bottom,
		.target = target,
	};
	return mount_overlay(&o, e);
}

/* The older form: the imports themselves are /stacker, with places for what else is there. */
static int place_stacker_beside(const struct sandbox_spec *spec, int root_fd, struct err *e)
{
	AUTO_CLOSE int bottom = -1;
	AUTO_CLOSE int imports = -1;
	AUTO_CLOSE int target = -1;
	if (make_dir_in(AT_FDCWD, "beside", &bottom, e) < 0 ||
	    make_dir_in(bottom, "imports", &imports, e) < 0 ||
	    write_file(bottom, "run", 0755, "", e) < 0 ||
	    write_file(AT_FDCWD, "script", 0755, spec->script, e) < 0 ||
	    open_place(root_fd, "stacker", S_IFDIR, &target, e) < 0 ||
	    mount_imports(spec, "../beside", "../root/stacker", e) < 0 ||
	    mount_imports(spec, "../empty", "../root/stacker/imports", e) < 0)
		return -1;
	AUTO_CLOSE int script =
		open_tree(AT_FDCWD, "script", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	AUTO_CLOSE int run = -1;
	if (script < 0)
		return err_sys(e, "cannot bind the script into the sandbox");
	/* Whoever staged the imports saw to it that none of them is called "run". */
	if (open_place(root_fd, "stacker/run", S_IFREG, &run, e) < 0 ||
	    mount_restrict(script, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
			   "/stacker/run", e) < 0)
		return -1;
	return mount_attach(script, run, "/stacker/run", e);
}

static int place_stacker(const struct sandbox_spec *spec, int root_fd, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	AUTO_CLOSE int imports = -1;
	if (spec->imports_beside)
		return place_stacker_beside(spec, root_fd, e);
	if (mount_tmpfs(SCRIPT_MOUNT_BYTES, "0755", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, &fd,
			e) < 0 ||
	    write_file(fd, "run", 0755, spec->script ? spec->script : "", e) < 0 ||
	    make_dir_in(fd, "imports", &imports, e) < 0 || place(root_fd, "stacker", fd, e) < 0)
		return -1;
	if (spec->labels != NULL && symlinkat(spec->labels, fd, "oci-labels") < 0)
		return err_sys(e, "cannot make '/stacker/oci-labels' of the sandbox");
	if (spec->imports != NULL &&
	    mount_imports(spec, "../empty", "../root/stacker/imports", e) < 0)
		return -1;
	return mount_restrict(fd, MOUNT_ATTR_RDONLY, "/stacker", e);
}

int skeleton_fill(const struct sandbox_spec *spec, int root_fd, struct err *e)
{
	const struct sandbox_policy *policy = spec->policy;
	uint64_t plain = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	if (place_dev(policy, root_fd, e) < 0 || place_proc(policy, root_fd, e) < 0)
		return -1;
	if (place_tmpfs(root_fd, "sys", DEV_BYTES, "0555", LOCKED, e) < 0 ||
	    place_tmpfs(root_fd, "tmp", policy->limits.tmp_bytes, "1777", plain, e) < 0 ||
	    place_tmpfs(root_fd, "run", policy->limits.tmp_bytes, "0755", plain, e) < 0)
		return -1;
	if (place_hosts(root_fd, e) < 0)
		return -1;
	return place_stacker(spec, root_fd, e);
}
