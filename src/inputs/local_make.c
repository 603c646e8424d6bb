/*
 * Trees back into files. A tree document's reader has made sure that every path is relative,
 * without dots, and below a directory that came before; here nothing is opened through a link.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inputs/local.h"
#include "inputs/local_tree_internal.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"

int local_tree_keep(const struct store *store, const struct local_tree *t,
		    struct digest *ret_tree, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_TREE_BYTES);

	if (local_tree_write(t, &text, e) < 0)
		return -1;
	return store_put(store, buf_text(&text), text.len, ret_tree, e);
}

/* Opens the directory that `path` is in; *ret_name points into `path`. */
static int open_parent(int dir_fd, const char *path, int *ret_fd, const char **ret_name,
		       struct err *e)
{
	const char *slash = strrchr(path, '/');

	*ret_name = slash ? slash + 1 : path;
	AUTO_FREE char *parent =
		slash ? mem_strndup(path, (size_t)(slash - path)) : mem_strdup(".");
	return path_open_beneath(dir_fd, parent, O_RDONLY | O_DIRECTORY, 0, ret_fd, e);
}

static int make_file(const struct store *store, const struct local_entry *entry, int parent_fd,
		     const char *name, struct err *e)
{
	AUTO_CLOSE int from = -1;
	AUTO_CLOSE int to = -1;
	uint64_t len;

	if (store_blob_open_checked(store, &entry->digest, &from, &len, e) < 0)
		return -1;
	if (len != entry->size)
		return err_set(e, ERR_MISMATCH, "import/bad-tree",
			       "'%s' has another size than its tree says", entry->path);
	to = openat(parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (to < 0)
		return err_sys(e, "cannot make '%s'", entry->path);
	if (path_copy_fd(from, to, entry->path, e) < 0)
		return -1;
	return fchmod(to, entry->mode & 07777) < 0
		       ? err_sys(e, "cannot set the mode of '%s'", entry->path)
		       : 0;
}

static int make_entry(const struct store *store, const struct local_entry *entry, int dir_fd,
		      struct err *e)
{
	AUTO_CLOSE int parent = -1;
	const char *name;

	if (open_parent(dir_fd, entry->path, &parent, &name, e) < 0)
		return -1;
	switch (entry->type) {
	case LOCAL_DIR: /* its own mode comes last, or nothing could be put into it */
		if (mkdirat(parent, name, 0700) < 0)
			return err_sys(e, "cannot make '%s'", entry->path);
		return 0;
	case LOCAL_SYMLINK:
		if (symlinkat(entry->target, parent, name) < 0)
			return err_sys(e, "cannot make '%s'", entry->path);
		return 0;
	case LOCAL_FILE:
		return make_file(store, entry, parent, name, e);
	}
	BUG_IF(true);
}

int local_tree_make(const struct store *store, const struct local_tree *t, int dir_fd,
		    struct err *e)
{
	if (t->len == 0 || t->items[0].type != LOCAL_DIR)
		return err_set(e, ERR_INPUT, "import/bad-tree", "the tree is no directory");
	for (size_t i = 1; i < t->len; i++)
		if (make_entry(store, &t->items[i], dir_fd, e) < 0)
			return -1;
	for (size_t i = t->len; i-- > 1;) {
		const struct local_entry *entry = &t->items[i];
		AUTO_CLOSE int fd = -1;

		if (entry->type != LOCAL_DIR)
			continue;
		if (path_open_beneath(dir_fd, entry->path, O_RDONLY | O_DIRECTORY, 0, &fd, e) <
		    0)
			return -1;
		if (fchmod(fd, entry->mode & 07777) < 0)
			return err_sys(e, "cannot set the mode of '%s'", entry->path);
	}
	return 0;
}
