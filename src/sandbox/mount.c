/* The mount calls, each naming what failed. */
#include "sandbox/mount_internal.h"

#include <errno.h>
#include <sys/syscall.h>

#include "util/buf.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"

/* Mount data is one page, its end included. */
#define OVERLAY_OPTIONS_BYTES 4095

/* A page for each file, which is what the kernel's own default comes to, and some that are empty.
 */
enum { TMPFS_BYTES_PER_INODE = 4096, TMPFS_INODES_LEAST = 256 };

static const char links_name[] = ".l";

void mount_source_cleanup(struct mount_source *s)
{
	mem_close_cleanup(&s->tree_fd);
	mem_free_cleanup(&s->path);
}

/*
 * A mount of another mount namespace cannot be bound. Who may mount here (root) takes a
 * detached copy along, which needs no look-up later: the child may be unable to search the
 * directories above. Everyone else notes the path and opens it again in the child, where the
 * ids are still the same and the tree of mounts is a copy of ours; device and inode must then
 * agree.
 */
int mount_source_prepare(int dir_fd, struct mount_source *ret, struct err *e)
{
	char link[64], path[LIMIT_PATH_BYTES];
	struct stat st;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
	ssize_t len = readlinkat(AT_FDCWD, link, path, sizeof(path));
	if (len < 0 || fstat(dir_fd, &st) < 0)
		return err_sys(e, "cannot look up a directory for the sandbox");
	if ((size_t)len == sizeof(path) || !S_ISDIR(st.st_mode))
		return err_set(e, ERR_SANDBOX, "sandbox/bind",
			       "'%.*s' is not a usable directory", (int)len, path);
	*ret = (struct mount_source){
		.tree_fd = open_tree(dir_fd, "",
				     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
					     AT_RECURSIVE),
		.path = mem_strndup(path, (size_t)len),
		.dev = st.st_dev,
		.ino = st.st_ino,
	};
	return 0;
}

int mount_source_open(struct mount_source *s, struct err *e)
{
	struct stat st;
	struct mount_attr attr = {.propagation = MS_PRIVATE};
	if (s->tree_fd < 0) {
		AUTO_CLOSE int fd = openat(AT_FDCWD, s->path,
					   O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) < 0)
			return err_sys(e, "cannot open '%s' for the sandbox", s->path);
		if (st.st_dev != s->dev || st.st_ino != s->ino)
			return err_set(e, ERR_SANDBOX, "sandbox/bind",
				       "'%s' was replaced while the sandbox started", s->path);
		s->tree_fd = open_tree(fd, "",
				       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
					       AT_RECURSIVE);
	}
	if (s->tree_fd < 0 || mount_setattr(s->tree_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
					    sizeof(attr)) < 0)
		return err_sys(e, "cannot bind '%s' into the sandbox", s->path);
	return 0;
}

int mount_create(const char *type, const struct mount_option *options, size_t options_len,
		 uint64_t attributes, int *ret_fd, struct err *e)
{
	AUTO_CLOSE int context = fsopen(type, FSOPEN_CLOEXEC);
	if (context < 0)
		return err_sys(e, "cannot open the file system '%s'", type);
	for (size_t i = 0; i < options_len; i++) {
		const struct mount_option *o = &options[i];
		unsigned command = o->value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;
		if (fsconfig(context, command, o->key, o->value, 0) < 0)
			return err_sys(e, "cannot set '%s' of the file system '%s'", o->key,
				       type);
	}
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_sys(e, "cannot create the file system '%s'", type);
	int fd = fsmount(context, FSMOUNT_CLOEXEC, (unsigned)attributes);
	if (fd < 0)
		return err_sys(e, "cannot mount the file system '%s'", type);
	*ret_fd = fd;
	return 0;
}

int mount_tmpfs(uint64_t size_bytes, const char *mode, uint64_t attributes, int *ret_fd,
		struct err *e)
{
	char size[32], inodes[32];
	/* Both given, as their defaults are made from the machine's memory, which `df` would
	 * show. */
	struct mount_option options[] = {{"mode", mode}, {"size", size}, {"nr_inodes", inodes}};
	snprintf(size, sizeof(size), "%llu", (unsigned long long)size_bytes);
	snprintf(inodes, sizeof(inodes), "%llu",
		 (unsigned long long)(size_bytes / TMPFS_BYTES_PER_INODE + TMPFS_INODES_LEAST));
	return mount_create("tmpfs", options, ARRAY_LEN(options), attributes, ret_fd, e);
}

int mount_attach(int mount_fd, int target_fd, const char *name, struct err *e)
{
	if (move_mount(mount_fd, "", target_fd, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sys(e, "cannot mount '%s' in the sandbox", name);
	return 0;
}

int mount_restrict(int mount_fd, uint64_t attributes, const char *name, struct err *e)
{
	struct mount_attr attr = {.attr_set = attributes};
	if (mount_setattr(mount_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return err_sys(e, "cannot restrict the mount '%s'", name);
	return 0;
}

int mount_scratch(uint64_t size_bytes, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	if (mount_tmpfs(size_bytes, "0755", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, &fd, e) < 0)
		return -1;
	/* Over /proc: it is there on every host, since the id maps are written through it, and
	 * a mount on it does not hide it from the kernel's check before a new proc is allowed.
	 */
	if (move_mount(fd, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(e, "cannot attach the root of the sandbox");
	if (fchdir(fd) < 0)
		return err_sys(e, "cannot enter the root of the sandbox");
	return 0;
}

int mount_switch_root(struct err *e)
{
	/* The new root lands on top of the old one and "." stays the old one, which goes. */
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(e, "cannot switch to the root of the sandbox");
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(e, "cannot leave the root of the host");
	if (chdir("/") < 0)
		return err_sys(e, "cannot enter the root of the sandbox");
	return 0;
}

static int link_name(const char *prefix, const char *name, const char *link, struct err *e)
{
	AUTO_FREE char *target = mem_printf("%s%s", prefix, name);
	if (symlinkat(target, AT_FDCWD, link) < 0)
		return err_sys(e, "cannot name the directory '%s' for an overlay", name);
	return 0;
}

/* Makes the links in the working directory and writes the option string. */
static int link_layers(const struct mount_overlay *o, struct buf *options, struct err *e)
{
	char name[24];
	buf_add_c(options,
		  o->is_volatile ? "userxattr,volatile,lowerdir=" : "userxattr,lowerdir=");
	for (size_t i = 0; i < o->lowers_len; i++) {
		snprintf(name, sizeof(name), "%zu", i);
		if (link_name(o->prefix, o->lowers[i], name, e) < 0)
			return -1;
		buf_addf(options, "%s%zu", i ? ":" : "", i);
	}
	if (o->bottom != NULL) {
		if (link_name("", o->bottom, "b", e) < 0)
			return -1;
		buf_add_c(options, o->lowers_len ? ":b" : "b");
	}
	if (o->upper != NULL) {
		if (link_name(o->prefix, o->upper, "u", e) < 0 ||
		    link_name(o->prefix, o->work, "w", e) < 0)
			return -1;
		buf_add_c(options, ",upperdir=u,workdir=w");
	}
	return buf_check(options, "the option string of an overlay", e);
}

static int overlay_failed(const struct mount_overlay *o, struct err *e)
{
	err_sys(e, "cannot mount an overlay of %zu layers", o->lowers_len);
	err_recode(e, ERR_SANDBOX, "sandbox/overlay");
	return err_hint(
		e, "the kernel needs overlayfs in user namespaces (5.11), and the roots "
		   "directory a file system with user xattrs that is no overlay or network "
		   "file system; 'stacker check' probes it, --roots-dir moves it");
}

static int mount_linked(const struct mount_overlay *o, struct err *e)
{
	AUTO(buf) options = BUF_INIT(OVERLAY_OPTIONS_BYTES);
	unsigned long flags = MS_NODEV | MS_NOSUID | (o->upper ? 0 : MS_RDONLY);
	if (link_layers(o, &options, e) < 0)
		return -1;
	if (mount("overlay", o->target, "overlay", flags, buf_text(&options)) < 0)
		return overlay_failed(o, e);
	return 0;
}

int mount_overlay(const struct mount_overlay *o, struct err *e)
{
	size_t lowers = o->lowers_len + (o->bottom != NULL);
	if (lowers > LIMIT_LAYERS)
		return err_set(
			e, ERR_SANDBOX, "sandbox/too-many-layers",
			"an image of %zu layers cannot be mounted; the kernel's limit is %d",
			o->lowers_len, LIMIT_LAYERS - (o->bottom != NULL));
	AUTO_CLOSE int here = openat(AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (here < 0 || mkdirat(here, links_name, 0700) < 0 || chdir(links_name) < 0)
		return err_sys(e, "cannot prepare an overlay");
	int r = mount_linked(o, e);
	if (fchdir(here) < 0)
		return r < 0 ? r : err_sys(e, "cannot leave the links of an overlay");
	if (r == 0)
		return path_remove_tree(here, links_name, e);
	struct err ignored = ERR_INIT;
	if (path_remove_tree(here, links_name, &ignored) < 0)
		err_wrap(e, "links left behind");
	return -1;
}
