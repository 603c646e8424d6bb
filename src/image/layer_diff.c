/*
 * Equal means: same type, mode, owner, attributes and content. Times do not count, since a step
 * that rewrites a file with what it held has changed nothing that an image promises.
 */
#include "image/layer_diff.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "image/file_xattrs.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/str.h"

enum { COMPARE_BYTES = 128 * 1024 };

/* Two sides of a comparison and what errors call them. */
struct diff_pair {
	int upper_dir_fd, lower_dir_fd; /* the latter may be -1 */
	const char *name, *path;
	const struct layer_node *upper, *lower;
	const struct volatile_options *files;
};

/* overlayfs's whiteout; beneath, too: a lower view of a single layer shows its carriers. */
static bool is_whiteout_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static int open_flags(mode_t mode)
{
	/* NONBLOCK: should the file become a fifo in between, the open must not hang. */
	int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	return S_ISDIR(mode) ? flags | O_DIRECTORY : flags;
}

static int list_names(int dir_fd, const char *dir_path, struct strvec *ret, struct err *e)
{
	AUTO_CLOSE int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return err_sys(e, "cannot list '/%s'", dir_path);
	(void)TAKE_FD(fd);
	struct dirent *entry;
	while (ret->len <= LIMIT_UNPACK_ENTRIES && (errno = 0, entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			strvec_push(ret, entry->d_name);
	}
	int failed = errno ? err_sys(e, "cannot list '/%s'", dir_path) : 0;
	(void)closedir(dir);
	if (ret->len > LIMIT_UNPACK_ENTRIES)
		return layer_too_many_entries(e);
	if (failed == 0 && ret->len > 0)
		qsort(ret->items, ret->len, sizeof(ret->items[0]), str_compare_ptr);
	return failed;
}

/* A name beneath, unless overlayfs already hides it there. */
static int lower_has(int lower_fd, const char *name, const char *path, bool *ret, struct err *e)
{
	struct stat st;
	if (lower_fd < 0 || fstatat(lower_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (lower_fd >= 0 && errno != ENOENT)
			return err_sys(e, "cannot look at '%s' of the layers beneath", path);
		*ret = false;
		return 0;
	}
	*ret = !is_whiteout_device(&st);
	return 0;
}

static int lower_is_empty(int dir_fd, const char *path, bool *ret, struct err *e)
{
	AUTO(strvec) names = {0};
	if (list_names(dir_fd, path, &names, e) < 0)
		return -1;
	bool any = false;
	for (size_t i = 0; i < names.len && !any; i++) {
		if (lower_has(dir_fd, names.items[i], path, &any, e) < 0)
			return -1;
	}
	*ret = !any;
	return 0;
}

static int read_full(int fd, char *bytes, size_t *ret_len, const char *path, struct err *e)
{
	size_t len = 0;
	while (len < COMPARE_BYTES) {
		ssize_t got = read(fd, bytes + len, COMPARE_BYTES - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "cannot read '%s'", path);
		if (got == 0)
			break;
		len += (size_t)got;
	}
	*ret_len = len;
	return 0;
}

static int compare_bytes(const struct diff_pair *p, bool *ret_equal, struct err *e)
{
	*ret_equal = false;
	if (p->upper->st.st_size != p->lower->st.st_size)
		return 0;
	AUTO_FREE char *a = mem_alloc(COMPARE_BYTES);
	AUTO_FREE char *b = mem_alloc(COMPARE_BYTES);
	size_t a_len = 0, b_len = 0;
	do {
		if (read_full(p->upper->fd, a, &a_len, p->path, e) < 0 ||
		    read_full(p->lower->fd, b, &b_len, p->path, e) < 0)
			return -1;
		if (a_len != b_len || memcmp(a, b, a_len) != 0)
			return 0;
	} while (a_len == COMPARE_BYTES);
	*ret_equal = true;
	return 0;
}

static int compare_targets(const struct diff_pair *p, bool *ret_equal, struct err *e)
{
	char a[PATH_MAX], b[PATH_MAX];
	ssize_t a_len = readlinkat(p->upper_dir_fd, p->name, a, sizeof(a));
	ssize_t b_len = readlinkat(p->lower_dir_fd, p->name, b, sizeof(b));
	if (a_len < 0 || b_len < 0)
		return err_sys(e, "cannot read link '%s'", p->path);
	*ret_equal = a_len == b_len && memcmp(a, b, (size_t)a_len) == 0;
	return 0;
}

static int compare_xattrs(const struct diff_pair *p, bool *ret_equal, struct err *e)
{
	AUTO(file_xattrs) a = {0};
	AUTO(file_xattrs) b = {0};
	if (file_xattrs_read(p->upper->fd, p->path, &a, e) < 0 ||
	    file_xattrs_read(p->lower->fd, p->path, &b, e) < 0)
		return -1;
	*ret_equal = file_xattrs_equal(&a, &b);
	return 0;
}

static int compare_content(const struct diff_pair *p, bool *ret_equal, struct err *e)
{
	switch (p->upper->st.st_mode & S_IFMT) {
	case S_IFREG:
		return compare_bytes(p, ret_equal, e);
	case S_IFLNK:
		return compare_targets(p, ret_equal, e);
	case S_IFCHR:
	case S_IFBLK:
		*ret_equal = p->upper->st.st_rdev == p->lower->st.st_rdev;
		return 0;
	default: /* directories and fifos hold nothing of their own */
		*ret_equal = true;
		return 0;
	}
}

/* All but the content. */
static int compare_facts(const struct diff_pair *p, bool *ret_equal, struct err *e)
{
	const struct stat *a = &p->upper->st, *b = &p->lower->st;
	*ret_equal =
		a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid;
	return *ret_equal && p->upper->fd >= 0 ? compare_xattrs(p, ret_equal, e) : 0;
}

static int compare_nodes(const struct diff_pair *p, bool *ret_equal, struct err *e)
{
	if (compare_facts(p, ret_equal, e) < 0)
		return -1;
	return *ret_equal ? compare_content(p, ret_equal, e) : 0;
}

static int diff_directory(const struct diff_pair *p, struct layer_child *c, struct err *e)
{
	c->is_dir = true;
	c->change = LAYER_CHANGED;
	if (!p->lower || !S_ISDIR(p->lower->st.st_mode))
		return 0;
	AUTO(file_xattrs) xattrs = {0};
	bool empty = true;
	if (file_xattrs_read(p->upper->fd, p->path, &xattrs, e) < 0)
		return -1;
	if (xattrs.is_opaque && lower_is_empty(p->lower->fd, p->path, &empty, e) < 0)
		return -1;
	c->is_opaque = !empty;
	c->has_lower = empty;
	if (c->is_opaque)
		return 0;
	bool equal = false;
	if (compare_nodes(p, &equal, e) < 0)
		return -1;
	c->change = equal ? LAYER_UNCHANGED : LAYER_CHANGED;
	return 0;
}

static int compare_normalised(const struct diff_pair *p, const struct volatile_content *content,
			      bool *ret_equal, struct err *e)
{
	const struct volatile_pair files = {.path = p->path,
					    .fd = p->upper->fd,
					    .other_fd = p->lower->fd,
					    .size = (uint64_t)p->upper->st.st_size,
					    .other_size = (uint64_t)p->lower->st.st_size};
	if (compare_facts(p, ret_equal, e) < 0)
		return -1;
	return *ret_equal ? volatile_content_equals(content, &files, ret_equal, e) : 0;
}

/* Of a regular file that differs from what is beneath, if anything is. */
static int diff_volatile(const struct diff_pair *p, struct layer_child *c, struct err *e)
{
	AUTO(volatile_content) content = VOLATILE_CONTENT_INIT;
	bool equal = false;
	if (volatile_content_read(p->files, p->path, p->upper->fd, &p->upper->st, &content, e) <
	    0)
		return -1;
	c->normalised = content.file;
	if (content.file && content.file->rule == VOLATILE_REMOVE)
		c->change = p->lower ? LAYER_REMOVED : LAYER_DROPPED;
	else if (content.file && p->lower && compare_normalised(p, &content, &equal, e) < 0)
		return -1;
	else if (equal)
		c->change = LAYER_UNCHANGED;
	return 0;
}

static int diff_other(const struct diff_pair *p, struct layer_child *c, struct err *e)
{
	bool equal = false;
	if (p->lower && compare_nodes(p, &equal, e) < 0)
		return -1;
	c->change = equal ? LAYER_UNCHANGED : LAYER_CHANGED;
	return equal || p->upper->fd < 0 ? 0 : diff_volatile(p, c, e);
}

/* Overlayfs has three carriers of "gone"; a socket, which no layer can hold, is gone as well.
 */
static int is_removed(const struct diff_pair *p, bool *ret, struct err *e)
{
	const struct stat *st = &p->upper->st;
	*ret = is_whiteout_device(st) || S_ISSOCK(st->st_mode);
	if (!S_ISREG(st->st_mode) || st->st_size > 0)
		return 0;
	AUTO(file_xattrs) xattrs = {0};
	if (file_xattrs_read(p->upper->fd, p->path, &xattrs, e) < 0)
		return -1;
	*ret = xattrs.is_whiteout;
	return 0;
}

static int diff_pair(const struct diff_pair *p, struct layer_child *c, struct err *e)
{
	bool removed = false;
	if (is_removed(p, &removed, e) < 0)
		return -1;
	if (removed) {
		c->is_socket = S_ISSOCK(p->upper->st.st_mode);
		c->change = p->lower ? LAYER_REMOVED : LAYER_DROPPED;
		return 0;
	}
	if (str_has_prefix(p->name, ".wh.")) {
		err_set(e, ERR_INPUT, "layer/reserved-name",
			"'%s' has a name that marks deletions", p->path);
		return err_hint(e, "names that begin with '.wh.' cannot be stored in a layer");
	}
	return S_ISDIR(p->upper->st.st_mode) ? diff_directory(p, c, e) : diff_other(p, c, e);
}

static int diff_child(const struct layer_dirs *dirs, const struct volatile_options *files,
		      const char *path, struct layer_child *c, struct err *e)
{
	int upper_fd = dirs->upper_fd, lower_fd = dirs->lower_fd;
	AUTO(layer_node) upper = LAYER_NODE_INIT;
	AUTO(layer_node) lower = LAYER_NODE_INIT;
	bool exists = false, beneath = false;
	if (layer_node_open(upper_fd, c->name, path, &upper, &exists, e) < 0)
		return -1;
	if (!exists)
		return layer_changed_while_read(path, e);
	if (lower_fd >= 0 && layer_node_open(lower_fd, c->name, path, &lower, &beneath, e) < 0)
		return -1;
	c->dev = upper.st.st_dev;
	c->ino = upper.st.st_ino;
	struct diff_pair p = {
		.upper_dir_fd = upper_fd,
		.lower_dir_fd = lower_fd,
		.name = c->name,
		.path = path,
		.upper = &upper,
		.lower = beneath && !is_whiteout_device(&lower.st) ? &lower : NULL,
		.files = files,
	};
	return diff_pair(&p, c, e);
}

void layer_node_cleanup(struct layer_node *n)
{
	mem_close_cleanup(&n->fd);
	n->fd = -1;
}

int layer_node_open(int dir_fd, const char *name, const char *path, struct layer_node *ret,
		    bool *ret_exists, struct err *e)
{
	struct stat st;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return err_sys(e, "cannot look at '%s'", path);
		*ret_exists = false;
		return 0;
	}
	AUTO_CLOSE int fd = -1;
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
		struct stat seen = st;
		fd = openat(dir_fd, name, open_flags(st.st_mode));
		if (fd < 0 || fstat(fd, &st) < 0)
			return err_sys(e, "cannot open '%s'", path);
		if (st.st_dev != seen.st_dev || st.st_ino != seen.st_ino)
			return layer_changed_while_read(path, e);
	}
	ret->fd = TAKE_FD(fd);
	ret->st = st;
	*ret_exists = true;
	return 0;
}

int layer_changed_while_read(const char *path, struct err *e)
{
	return err_set(e, ERR_INPUT, "layer/changed-while-read",
		       "'%s' changed while it was read", path);
}

int layer_too_many_entries(struct err *e)
{
	err_set(e, ERR_INPUT, "layer/too-many-entries", "the layer would have over %d entries",
		LIMIT_UNPACK_ENTRIES);
	return err_hint(e, "split the step, or remove what the image does not need");
}

char *layer_path(const char *dir_path, const char *name)
{
	return mem_printf("%s%s%s", dir_path, dir_path[0] ? "/" : "", name);
}

void layer_children_cleanup(struct layer_children *c)
{
	for (size_t i = 0; i < c->len; i++)
		mem_free_cleanup(&c->items[i].name);
	vec_free(c);
}

int layer_diff_dir(const struct layer_dirs *dirs, const struct volatile_options *files,
		   struct layer_children *ret, struct err *e)
{
	AUTO(strvec) names = {0};
	if (list_names(dirs->upper_fd, dirs->path, &names, e) < 0)
		return -1;
	AUTO(layer_children) found = {0};
	for (size_t i = 0; i < names.len; i++) {
		struct layer_child child = {.name = mem_strdup(names.items[i])};
		vec_push(&found, child);
		AUTO_FREE char *path = layer_path(dirs->path, child.name);
		if (diff_child(dirs, files, path, &found.items[i], e) < 0)
			return -1;
	}
	*ret = found;
	found = (struct layer_children){0};
	return 0;
}
