/*
 * The worker writes the contents of all regular files, one after another, to the file it was
 * given, and answers with what they are: a list of entries. That list is all that is believed of
 * a tree that hostile steps may have made, and its names are opened beneath the new directory
 * only, which holds no link until the end.
 */
#include "build/grab.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/roots.h"
#include "image/tree.h"
#include "util/atomic_file.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

enum { MODE_KEPT = 0777, COPY_BYTES = 128 * 1024 };

struct grab_head {
	bool is_dir;
	uint32_t mode;
};

struct grab_job {
	struct strvec lowers;
	const char *path;
	int out_fd;
};

static void grab_job_cleanup(struct grab_job *g)
{
	strvec_cleanup(&g->lowers);
}

/* From where both stand to the end of `from`, or `len` bytes of it. */
static int copy_bytes(int from, int to, uint64_t len, const char *name, struct err *e)
{
	char bytes[COPY_BYTES];
	while (len > 0) {
		size_t want = len < sizeof(bytes) ? (size_t)len : sizeof(bytes);
		ssize_t n = read(from, bytes, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "cannot read '%s'", name);
		if (n == 0)
			return err_set(e, ERR_INPUT, "grab/bad-path", "'%s' ended too early",
				       name);
		if (path_write_all(to, bytes, (size_t)n, name, e) < 0)
			return -1;
		len -= (uint64_t)n;
	}
	return 0;
}

static int prepare(void *ctx, struct err *e)
{
	const struct grab_job *g = ctx;
	return roots_mount_lowers(&g->lowers, e);
}

static int send_tree(const struct grab_job *g, int dir, struct buf *reply, struct err *e)
{
	AUTO(tree) tree = {0};
	if (tree_read_dir(dir, &tree, e) < 0)
		return -1;
	for (size_t i = 0; i < tree.len; i++) {
		const struct tree_entry *x = &tree.items[i];
		AUTO_CLOSE int fd = -1;
		if (x->type == 'f' &&
		    (path_open_beneath(dir, x->path, O_RDONLY | O_NOFOLLOW, 0, &fd, e) < 0 ||
		     copy_bytes(fd, g->out_fd, x->size, x->path, e) < 0))
			return -1;
	}
	tree_serialise(&tree, reply);
	return 0;
}

static int open_source(const struct grab_job *g, int *ret_fd, struct err *e)
{
	AUTO_CLOSE int root = -1;
	if (roots_open_lowers(&g->lowers, &root, e) < 0)
		return -1;
	if (root >= 0 && path_open_in_root(root, g->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0,
					   ret_fd, e) == 0)
		return 0;
	if (root >= 0 && e->saved_errno != ENOENT && e->saved_errno != ENOTDIR)
		return -1;
	return err_set(e, ERR_INPUT, "grab/not-there", "the image has no '%s'", g->path);
}

static int send(void *ctx, struct buf *reply, struct err *e)
{
	const struct grab_job *g = ctx;
	AUTO_CLOSE int fd = -1;
	struct stat st;
	if (open_source(g, &fd, e) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot stat '%s'", g->path);
	const struct grab_head head = {.is_dir = S_ISDIR(st.st_mode),
				       .mode = st.st_mode & MODE_KEPT};
	buf_add(reply, &head, sizeof(head));
	if (head.is_dir)
		return send_tree(g, fd, reply, e);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INPUT, "grab/not-a-file",
			       "'%s' of the image is neither a file nor a directory", g->path);
	return copy_bytes(fd, g->out_fd, (uint64_t)st.st_size, g->path, e);
}

/* Where an entry's name stands: its directory, opened, and its last component. */
static int open_parent(int top, const char *path, int *ret_fd, const char **ret_name,
		       struct err *e)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *dir = slash ? mem_strndup(path, (size_t)(slash - path)) : NULL;
	*ret_name = slash ? slash + 1 : path;
	return path_open_beneath(top, dir ? dir : ".", O_RDONLY | O_DIRECTORY, 0, ret_fd, e);
}

static int make_file(int from, int dir, const char *name, const struct tree_entry *x,
		     struct err *e)
{
	AUTO_CLOSE int fd = -1;
	if (path_open_beneath(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd, e) < 0 ||
	    copy_bytes(from, fd, x->size, x->path, e) < 0)
		return -1;
	return fchmod(fd, x->mode & MODE_KEPT) < 0 ? err_sys(e, "cannot write '%s'", x->path)
						   : 0;
}

/* Everything but directories' modes, hard and symbolic links, for which it is too early. */
static int make_entry(int from, int top, const struct tree_entry *x, struct err *e)
{
	AUTO_CLOSE int dir = -1;
	const char *name;
	if (x->type == 'l' || x->type == 'h')
		return 0;
	if (x->type != 'f' && x->type != 'd') {
		AUTO_FREE char *shown = str_printable(x->path, strlen(x->path));
		log_warn("'%s' is no file, directory or link; it is left out", shown);
		return 0;
	}
	if (open_parent(top, x->path, &dir, &name, e) < 0)
		return -1;
	if (x->type == 'f')
		return make_file(from, dir, name, x, e);
	return mkdirat(dir, name, 0700) < 0 ? err_sys(e, "cannot make '%s'", x->path) : 0;
}

static int make_link(int top, const struct tree_entry *x, struct err *e)
{
	AUTO_CLOSE int dir = -1;
	AUTO_CLOSE int target = -1;
	const char *name, *target_name;
	if (open_parent(top, x->path, &dir, &name, e) < 0)
		return -1;
	if (x->type == 'l')
		return symlinkat(x->target, dir, name) < 0
			       ? err_sys(e, "cannot make the link '%s'", x->path)
			       : 0;
	if (open_parent(top, x->target, &target, &target_name, e) < 0)
		return -1;
	return linkat(target, target_name, dir, name, 0) < 0
		       ? err_sys(e, "cannot make the link '%s'", x->path)
		       : 0;
}

/* Hard links before symbolic ones, so that no name leads elsewhere while it is opened; then
 * modes, from the deepest up, since one may forbid entering. */
static int finish_tree(int top, const struct tree *tree, struct err *e)
{
	for (size_t i = 0; i < tree->len; i++)
		if (tree->items[i].type == 'h' && make_link(top, &tree->items[i], e) < 0)
			return -1;
	for (size_t i = 0; i < tree->len; i++)
		if (tree->items[i].type == 'l' && make_link(top, &tree->items[i], e) < 0)
			return -1;
	for (size_t i = tree->len; i-- > 0;) {
		AUTO_CLOSE int dir = -1;
		if (tree->items[i].type != 'd')
			continue;
		if (path_open_beneath(top, tree->items[i].path, O_RDONLY | O_DIRECTORY, 0, &dir,
				      e) < 0)
			return -1;
		if (fchmod(dir, tree->items[i].mode & MODE_KEPT) < 0)
			return err_sys(e, "cannot change '%s'", tree->items[i].path);
	}
	return 0;
}

static int fill_dir(int from, int top, const struct tree *tree, struct err *e)
{
	if (lseek(from, 0, SEEK_SET) < 0)
		return err_sys(e, "cannot read back what was copied");
	for (size_t i = 0; i < tree->len; i++)
		if (make_entry(from, top, &tree->items[i], e) < 0)
			return -1;
	return finish_tree(top, tree, e);
}

static int exists(const char *name, struct err *e)
{
	err_set(e, ERR_INPUT, "grab/exists", "there is a '%s' already", name);
	return err_hint(e, "move it away, or run in another directory");
}

static int place_dir(int cwd, const char *name, int from, const struct grab_head *head,
		     const struct tree *tree, struct err *e)
{
	AUTO_FREE char *temporary = mem_printf(".%s.grab-%d", name, (int)getpid());
	AUTO_CLOSE int top = -1;
	struct stat st;
	if (fstatat(cwd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return exists(name, e);
	if (mkdirat(cwd, temporary, 0700) < 0)
		return err_sys(e, "cannot make '%s'", temporary);
	int r = path_open_beneath(cwd, temporary, O_RDONLY | O_DIRECTORY, 0, &top, e);
	if (r == 0)
		r = fill_dir(from, top, tree, e);
	if (r == 0 && fchmod(top, head->mode & MODE_KEPT) < 0)
		r = err_sys(e, "cannot change '%s'", name);
	if (r == 0 && renameat2(cwd, temporary, cwd, name, RENAME_NOREPLACE) < 0)
		r = errno == EEXIST ? exists(name, e) : err_sys(e, "cannot name '%s'", name);
	struct err ignored = ERR_INIT;
	if (r < 0 && path_remove_tree(cwd, temporary, &ignored) < 0)
		log_warn("'%s' is left behind: %s", temporary, ignored.message);
	return r;
}

static int place(int cwd, const char *name, int from, const struct buf *reply, struct err *e)
{
	struct grab_head head;
	AUTO(tree) tree = {0};
	BUG_IF(reply->len < sizeof(head));
	memcpy(&head, reply->data, sizeof(head));
	if (!head.is_dir) {
		if (fchmod(from, head.mode & MODE_KEPT) < 0)
			return err_sys(e, "cannot change the mode of '%s'", name);
		struct stat st;
		if (fstatat(cwd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
			return exists(name, e);
		return atomic_file_commit(cwd, name, from, e);
	}
	if (tree_parse(reply->data + sizeof(head), reply->len - sizeof(head), &tree, e) < 0)
		return -1;
	return place_dir(cwd, name, from, &head, &tree, e);
}

static int check_name(const char *path, const char *name, struct err *e)
{
	if (name[0] != '\0' && !str_same(name, ".") && !str_same(name, ".."))
		return 0;
	err_set(e, ERR_INPUT, "grab/bad-path", "'%s' gives what is copied no name", path);
	return err_hint(e, "name a file or directory of the image, not its root");
}

int grab_path(struct build_context *c, const struct result_layer_vec *layers, const char *path,
	      struct err *e)
{
	AUTO(grab_job) g = {.path = path, .out_fd = -1};
	AUTO_FREE char *name = path_base(path);
	AUTO_CLOSE int cwd = -1;
	AUTO_CLOSE int out = -1;
	AUTO(buf) reply = BUF_INIT(256 * MIB);
	roots_lower_names(layers, &g.lowers);
	if (check_name(path, name, e) < 0 || path_open_dir(AT_FDCWD, ".", &cwd, e) < 0 ||
	    atomic_file_open(cwd, 0600, &out, e) < 0)
		return -1;
	g.out_fd = out;
	const struct roots_worker worker = {.c = c,
					    .role = POLICY_PACKER,
					    .prepare = prepare,
					    .run = send,
					    .ctx = &g,
					    .keep_fds = &out,
					    .keep_fds_len = 1};
	if (roots_worker_run(&worker, &reply, e) < 0)
		return -1;
	return place(cwd, name, out, &reply, e);
}
