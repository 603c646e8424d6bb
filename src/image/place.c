/*
 * The writing half of the unpacker. There is one rule that keeps it safe: a path string is used
 * once, by the kernel, to open a directory below the root; everything after that is one
 * component relative to that fd, with flags that refuse to follow it.
 */
#include "image/place.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "image/entry.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

enum place_kind { PLACED_NOTHING = 0, PLACED_FILE, PLACED_DIR, PLACED_SYMLINK, PLACED_FIFO };

#define OPAQUE_XATTR "user.overlay.opaque"

static enum place_kind seen_kind(const struct place *p, const char *path)
{
	return (enum place_kind)(uintptr_t)map_get(&p->seen, path);
}

static void seen_set(struct place *p, const char *path, enum place_kind kind)
{
	map_set(&p->seen, path, (void *)(uintptr_t)kind);
}

static void forget_parent(struct place *p)
{
	mem_close_cleanup(&p->parent_fd);
	p->parent_fd = -1;
	mem_free_cleanup(&p->parent_path);
}

void place_init(struct place *p, const struct place_options *options)
{
	*p = (struct place){
		.options = *options,
		.seen = MAP_INIT(NULL),
		.parents = MAP_INIT(NULL),
		.dir_index = MAP_INIT(NULL),
		.parent_fd = -1,
	};
}

void place_cleanup(struct place *p)
{
	forget_parent(p);
	map_cleanup(&p->seen);
	map_cleanup(&p->parents);
	map_cleanup(&p->dir_index);
	vec_free(&p->dirs);
}

static int open_dir(const struct place *p, const char *path, int *ret_fd, struct err *e)
{
	const char *at = path[0] ? path : ".";
	int flags = O_RDONLY | O_DIRECTORY;
	return p->options.follow
		       ? path_open_in_root(p->options.root_fd, at, flags, 0, ret_fd, e)
		       : path_open_beneath(p->options.root_fd, at, flags, 0, ret_fd, e);
}

/* `dir` without its path. */
static void note_dir(struct place *p, const char *path, struct place_dir dir)
{
	size_t index = (size_t)(uintptr_t)map_get(&p->dir_index, path);
	if (index > 0 && dir.kind == PLACE_DIR_FOUND)
		return; /* its time is known from before we wrote into it */
	if (index > 0) {
		dir.path = p->dirs.items[index - 1].path;
		p->dirs.items[index - 1] = dir;
		return;
	}
	map_set(&p->dir_index, path, (void *)(uintptr_t)(p->dirs.len + 1));
	dir.path = p->dir_index.entries[p->dir_index.len - 1].key;
	vec_push(&p->dirs, dir);
}

static void note_dir_given(struct place *p, const char *path, int64_t mtime_s)
{
	note_dir(p, path,
		 (struct place_dir){.kind = PLACE_DIR_GIVEN, .mtime = {.tv_sec = mtime_s}});
}

/* Owner before mode, since chown clears setuid; both before capabilities, for the same reason.
 */
static int set_attrs(int fd, const char *path, const struct place_attrs *attrs, struct err *e)
{
	if (fchown(fd, (uid_t)attrs->uid, (gid_t)attrs->gid) < 0)
		return err_sys(e, "cannot give '%s' to %u:%u", path, (unsigned)attrs->uid,
			       (unsigned)attrs->gid);
	if (fchmod(fd, attrs->mode & 07777) < 0)
		return err_sys(e, "cannot set the mode of '%s'", path);
	for (size_t i = 0; attrs->xattrs && i < attrs->xattrs->len; i++) {
		const struct tar_xattr *x = &attrs->xattrs->items[i];
		if (fsetxattr(fd, x->name, x->value, x->value_len, 0) < 0) {
			err_sys(e, "cannot set '%s' of '%s'", x->name, path);
			return err_recode(e, ERR_INPUT, "unpack/xattr");
		}
	}
	return 0;
}

static int refuse_xattrs(const char *path, const struct place_attrs *attrs, struct err *e)
{
	if (attrs->xattrs == NULL || attrs->xattrs->len == 0)
		return 0;
	return err_set(e, ERR_INPUT, "unpack/xattr",
		       "'%s' is neither file nor directory but has the attribute '%s'", path,
		       attrs->xattrs->items[0].name);
}

/* What a directory that no entry describes looks like: as beneath, or plain. */
static int set_implied_attrs(const struct place *p, int fd, struct place_dir *dir,
			     const struct beneath *beneath, struct err *e)
{
	const struct place_attrs plain = {.mode = 0755};
	AUTO(file_xattrs) xattrs = {0};
	AUTO_CLOSE int lower_fd = -1;
	struct stat st;
	dir->mtime = (struct timespec){.tv_sec = p->options.parent_mtime_s};
	if (beneath_open_dir(beneath, dir->path, &lower_fd, e) < 0)
		return -1;
	if (lower_fd < 0)
		return set_attrs(fd, dir->path, &plain, e);
	if (fstat(lower_fd, &st) < 0)
		return err_sys(e, "cannot examine '%s'", dir->path);
	if (file_xattrs_read(lower_fd, dir->path, &xattrs, e) < 0)
		return -1;
	entry_xattrs_filter(&xattrs);
	const struct place_attrs attrs = {.mode = st.st_mode & 07777,
					  .uid = st.st_uid,
					  .gid = st.st_gid,
					  .xattrs = &xattrs};
	dir->mtime = st.st_mtim;
	return set_attrs(fd, dir->path, &attrs, e);
}

static int link_in_path(const struct place *p, const char *path, struct err *e)
{
	return err_set(e, ERR_INPUT, "unpack/link-in-path",
		       "'%s' puts something below '%s', which is no directory or a link",
		       p->options.what, path);
}

/* Makes the one component of `path` below `at`. */
static int make_parent(struct place *p, int at, const char *path, int *ret_fd, struct err *e)
{
	const char *base = entry_path_base(path);
	if (mkdirat(at, base, 0700) < 0)
		return errno == EEXIST ? link_in_path(p, path, e) /* a link to nowhere */
				       : err_sys(e, "cannot make directory '%s'", path);
	AUTO_CLOSE int fd = openat(at, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open directory '%s'", path);
	note_dir(p, path, (struct place_dir){.kind = PLACE_DIR_IMPLIED});
	seen_set(p, path, PLACED_DIR);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* Opens the directory `path`; one that is missing is made below `at`, or -1: cannot be. */
static int open_or_make(struct place *p, int at, const char *path, int *ret_fd, struct err *e)
{
	struct err open_e = ERR_INIT;
	if (open_dir(p, path, ret_fd, &open_e) == 0) {
		struct stat st;
		if (fstat(*ret_fd, &st) < 0) {
			mem_close_cleanup(ret_fd);
			return err_sys(e, "cannot examine '%s'", path);
		}
		note_dir(p, path,
			 (struct place_dir){.kind = PLACE_DIR_FOUND, .mtime = st.st_mtim});
		return 0;
	}
	switch (open_e.saved_errno) {
	case ENOENT:
		return at < 0 ? -1 : make_parent(p, at, path, ret_fd, e);
	case ELOOP:
	case ENOTDIR:
	case EXDEV:
		return link_in_path(p, path, e);
	default:
		*e = open_e;
		return -1;
	}
}

/* Opens the directory `path` with whatever of it is missing. */
static int open_parent(struct place *p, const char *path, int *ret_fd, struct err *e)
{
	struct err open_e = ERR_INIT;
	if (open_or_make(p, -1, path, ret_fd, &open_e) == 0)
		return 0;
	if (open_e.code != ERR_NONE) {
		*e = open_e;
		return -1;
	}
	AUTO_CLOSE int at = -1;
	if (open_dir(p, "", &at, e) < 0)
		return -1;
	for (const char *end = path; *end;) {
		end += strcspn(end, "/");
		AUTO_FREE char *prefix = mem_strndup(path, (size_t)(end - path));
		int fd = -1;
		if (open_or_make(p, at, prefix, &fd, e) < 0)
			return -1;
		mem_close_cleanup(&at);
		at = fd;
		end += *end == '/';
	}
	*ret_fd = TAKE_FD(at);
	return 0;
}

/* What entries imply is limited like the entries themselves: "a/b/c/d" brings four names, each
 * of which is kept three times over. */
static int note_parents(struct place *p, const char *parent, struct err *e)
{
	for (const char *end = parent; *end; end += *end == '/') {
		end += strcspn(end, "/");
		AUTO_FREE char *prefix = mem_strndup(parent, (size_t)(end - parent));
		if (map_add(&p->parents, prefix, NULL))
			p->parent_bytes += (uint64_t)(end - parent);
	}
	if (p->parent_bytes > LIMIT_UNPACK_NAMES_BYTES / 4)
		return err_set(e, ERR_INPUT, "unpack/too-many-entries",
			       "the names of directories in '%s' take more than %llu bytes",
			       p->options.what,
			       (unsigned long long)LIMIT_UNPACK_NAMES_BYTES / 4);
	return 0;
}

/* The open parent of `path`, valid until the next call, and its last component. */
static int enter_parent(struct place *p, const char *path, int *ret_fd, const char **ret_base,
			struct err *e)
{
	const char *base = entry_path_base(path);
	AUTO_FREE char *parent = mem_strndup(path, base > path ? (size_t)(base - path) - 1 : 0);
	BUG_IF(base[0] == '\0');
	if (!str_same(p->parent_path, parent)) {
		forget_parent(p);
		if (open_parent(p, parent, &p->parent_fd, e) < 0)
			return -1;
		if (note_parents(p, parent, e) < 0) {
			forget_parent(p);
			return -1;
		}
		p->parent_path = TAKE_PTR(parent);
	}
	*ret_fd = p->parent_fd;
	*ret_base = base;
	return 0;
}

static int type_flip(const struct place *p, const char *path, struct err *e)
{
	return err_set(e, ERR_INPUT, "unpack/type-flip",
		       "'%s' has '%s' twice, with different types", p->options.what, path);
}

/* Enters the parent and removes what a new `kind` at `path` replaces. */
static int clear_way(struct place *p, const char *path, enum place_kind kind, int *ret_fd,
		     const char **ret_base, struct err *e)
{
	enum place_kind before = seen_kind(p, path);
	if (before != PLACED_NOTHING && before != kind)
		return type_flip(p, path, e);
	if (enter_parent(p, path, ret_fd, ret_base, e) < 0)
		return -1;
	if (unlinkat(*ret_fd, *ret_base, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sys(e, "cannot replace '%s'", path);
	return err_set(e, ERR_INPUT, "unpack/directory-in-the-way",
		       "'%s' puts '%s' where there is a directory", p->options.what, path);
}

/* True for a link that leads to a directory inside the root, which then serves as one. */
static bool is_link_to_dir(const struct place *p, int dir_fd, const char *base,
			   const char *path)
{
	struct stat st;
	struct err ignored = ERR_INIT;
	AUTO_CLOSE int fd = -1;
	return p->options.follow && fstatat(dir_fd, base, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISLNK(st.st_mode) && open_dir(p, path, &fd, &ignored) == 0;
}

/* mkdir that copes with what is there: *ret_existed for a directory. */
static int make_dir(int dir_fd, const char *base, const char *path, bool *ret_existed,
		    struct err *e)
{
	struct stat st;
	*ret_existed = false;
	if (mkdirat(dir_fd, base, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(e, "cannot make directory '%s'", path);
	if (fstatat(dir_fd, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "cannot examine '%s'", path);
	*ret_existed = S_ISDIR(st.st_mode);
	if (*ret_existed)
		return 0;
	if (unlinkat(dir_fd, base, 0) < 0 || mkdirat(dir_fd, base, 0700) < 0)
		return err_sys(e, "cannot replace '%s' by a directory", path);
	return 0;
}

int place_dir(struct place *p, const char *path, const struct place_attrs *attrs,
	      enum place_existing existing, struct err *e)
{
	enum place_kind before = seen_kind(p, path);
	bool may_be_link = p->options.follow && before == PLACED_SYMLINK;
	if (before != PLACED_NOTHING && before != PLACED_DIR && !may_be_link)
		return type_flip(p, path, e);
	int dir_fd = -1;
	const char *base = NULL;
	if (enter_parent(p, path, &dir_fd, &base, e) < 0)
		return -1;
	if (is_link_to_dir(p, dir_fd, base, path))
		return 0;
	if (may_be_link)
		return type_flip(p, path, e);
	bool existed = false;
	if (make_dir(dir_fd, base, path, &existed, e) < 0)
		return -1;
	if (existed && before == PLACED_NOTHING && existing == PLACE_KEEP_ATTRS)
		return 0;
	seen_set(p, path, PLACED_DIR);
	AUTO_CLOSE int fd =
		openat(dir_fd, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open directory '%s'", path);
	if (set_attrs(fd, path, attrs, e) < 0)
		return -1;
	note_dir_given(p, path, attrs->mtime_s);
	return 0;
}

int place_file_begin(struct place *p, const char *path, int *ret_fd, struct err *e)
{
	int dir_fd = -1;
	const char *base = NULL;
	if (clear_way(p, path, PLACED_FILE, &dir_fd, &base, e) < 0)
		return -1;
	int fd = openat(dir_fd, base, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "cannot make '%s'", path);
	seen_set(p, path, PLACED_FILE);
	*ret_fd = fd;
	return 0;
}

int place_file_end(struct place *p, const char *path, const struct place_attrs *attrs, int *fd,
		   struct err *e)
{
	struct timespec t = {.tv_sec = attrs->mtime_s};
	BUG_IF(seen_kind(p, path) != PLACED_FILE);
	if (set_attrs(*fd, path, attrs, e) < 0)
		return -1;
	if (futimens(*fd, (struct timespec[2]){t, t}) < 0)
		return err_sys(e, "cannot set the time of '%s'", path);
	if (close(TAKE_FD(*fd)) < 0)
		return err_sys(e, "cannot finish '%s'", path);
	return 0;
}

int place_symlink(struct place *p, const char *path, const char *target,
		  const struct place_attrs *attrs, struct err *e)
{
	struct timespec t = {.tv_sec = attrs->mtime_s};
	int dir_fd = -1;
	const char *base = NULL;
	if (refuse_xattrs(path, attrs, e) < 0 ||
	    clear_way(p, path, PLACED_SYMLINK, &dir_fd, &base, e) < 0)
		return -1;
	if (symlinkat(target, dir_fd, base) < 0)
		return err_sys(e, "cannot make link '%s'", path);
	seen_set(p, path, PLACED_SYMLINK);
	if (fchownat(dir_fd, base, (uid_t)attrs->uid, (gid_t)attrs->gid, AT_SYMLINK_NOFOLLOW) <
	    0)
		return err_sys(e, "cannot give '%s' to %u:%u", path, (unsigned)attrs->uid,
			       (unsigned)attrs->gid);
	if (utimensat(dir_fd, base, (struct timespec[2]){t, t}, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "cannot set the time of '%s'", path);
	return 0;
}

static int hardlink_error(const struct place *p, const char *path, const char *target,
			  const char *why, struct err *e)
{
	return err_set(e, ERR_INPUT, "unpack/hardlink", "hard link '%s' of '%s' to '%s': %s",
		       path, p->options.what, target, why);
}

int place_hardlink(struct place *p, const char *path, const char *target, struct err *e)
{
	if (str_same(path, target) || seen_kind(p, target) != PLACED_FILE)
		return hardlink_error(p, path, target,
				      "its target is no file that came before it", e);
	const char *target_base = entry_path_base(target);
	AUTO_FREE char *target_dir = mem_strndup(
		target, target_base > target ? (size_t)(target_base - target) - 1 : 0);
	AUTO_CLOSE int target_fd = -1;
	if (open_dir(p, target_dir, &target_fd, e) < 0)
		return -1;
	int dir_fd = -1;
	const char *base = NULL;
	if (clear_way(p, path, PLACED_FILE, &dir_fd, &base, e) < 0)
		return -1;
	struct stat st;
	if (fstatat(target_fd, target_base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "cannot examine '%s'", target);
	if (!S_ISREG(st.st_mode))
		return hardlink_error(p, path, target, "its target is no regular file", e);
	if (st.st_nlink >= LIMIT_HARDLINKS)
		return hardlink_error(p, path, target, "there are too many links to it", e);
	if (linkat(target_fd, target_base, dir_fd, base, 0) < 0)
		return err_sys(e, "cannot make hard link '%s'", path);
	seen_set(p, path, PLACED_FILE);
	return 0;
}

int place_fifo(struct place *p, const char *path, const struct place_attrs *attrs,
	       struct err *e)
{
	struct timespec t = {.tv_sec = attrs->mtime_s};
	int dir_fd = -1;
	const char *base = NULL;
	if (refuse_xattrs(path, attrs, e) < 0 ||
	    clear_way(p, path, PLACED_FIFO, &dir_fd, &base, e) < 0)
		return -1;
	if (mkfifoat(dir_fd, base, 0600) < 0)
		return err_sys(e, "cannot make fifo '%s'", path);
	seen_set(p, path, PLACED_FIFO);
	/* Opening one for reading without waiting for a writer always succeeds. */
	AUTO_CLOSE int fd =
		openat(dir_fd, base, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open fifo '%s'", path);
	if (set_attrs(fd, path, attrs, e) < 0)
		return -1;
	if (futimens(fd, (struct timespec[2]){t, t}) < 0)
		return err_sys(e, "cannot set the time of '%s'", path);
	return 0;
}

static int set_opaque(int fd, const char *path, struct err *e)
{
	if (fsetxattr(fd, OPAQUE_XATTR, "y", 1, 0) == 0)
		return 0;
	err_sys(e, "cannot make directory '%s' opaque", path);
	return err_hint(e, "the state directory needs a file system with user.* attributes");
}

int place_opaque(struct place *p, const char *path, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	return open_parent(p, path, &fd, e) < 0 ? -1 : set_opaque(fd, path, e);
}

int place_whiteout(struct place *p, const char *path, struct err *e)
{
	if (seen_kind(p, path) == PLACED_DIR)
		return place_opaque(p, path, e);
	if (seen_kind(p, path) != PLACED_NOTHING)
		return 0;
	int dir_fd = -1;
	const char *base = NULL;
	if (enter_parent(p, path, &dir_fd, &base, e) < 0)
		return -1;
	/* EEXIST: the same whiteout twice. */
	if (mknodat(dir_fd, base, S_IFCHR, makedev(0, 0)) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make the whiteout of '%s'", path);
	/* Nobody sees its time, but two unpackings of one layer must be alike for verify. */
	const struct timespec times[2] = {{0}, {0}};
	if (utimensat(dir_fd, base, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "cannot date the whiteout of '%s'", path);
	return 0;
}

void place_default_root(struct place *p)
{
	note_dir(p, "", (struct place_dir){.kind = PLACE_DIR_IMPLIED});
}

int place_root(struct place *p, const struct place_attrs *attrs, struct err *e)
{
	if (set_attrs(p->options.root_fd, ".", attrs, e) < 0)
		return -1;
	note_dir_given(p, "", attrs->mtime_s);
	return 0;
}

static int finish_dir(const struct place *p, struct place_dir *dir,
		      const struct beneath *beneath, struct err *e)
{
	struct err open_e = ERR_INIT;
	AUTO_CLOSE int fd = -1;
	if (open_dir(p, dir->path, &fd, &open_e) < 0) {
		/* Removed again by a whiteout, or replaced by something else since. */
		if (open_e.saved_errno == ENOENT || open_e.saved_errno == ENOTDIR ||
		    open_e.saved_errno == ELOOP)
			return 0;
		*e = open_e;
		return -1;
	}
	if (dir->kind == PLACE_DIR_IMPLIED && set_implied_attrs(p, fd, dir, beneath, e) < 0)
		return -1;
	if (futimens(fd, (struct timespec[2]){dir->mtime, dir->mtime}) < 0)
		return err_sys(e, "cannot set the time of '%s'", dir->path);
	return 0;
}

/* A directory may be on record under two names (lib, usr/lib). What was noted first is from
 * before any writing, hence backwards; what an entry gave outranks what was found. */
int place_finish(struct place *p, const struct beneath *beneath, struct err *e)
{
	forget_parent(p);
	for (size_t i = p->dirs.len; i-- > 0;)
		if (p->dirs.items[i].kind == PLACE_DIR_FOUND &&
		    finish_dir(p, &p->dirs.items[i], beneath, e) < 0)
			return -1;
	for (size_t i = 0; i < p->dirs.len; i++)
		if (p->dirs.items[i].kind != PLACE_DIR_FOUND &&
		    finish_dir(p, &p->dirs.items[i], beneath, e) < 0)
			return -1;
	return 0;
}
