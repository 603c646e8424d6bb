/*
 * stacker:// imports: a subtree of another image's root file system. It is a step's work, so it
 * is read as such: by directory fd, following nothing but the directories that lead to it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/dir_names.h"
#include "image/entry.h"
#include "image/import_dest.h"
#include "image/layer_diff.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

struct copy {
	const struct import_options *options;
	struct place place;
	struct map
		links; /* "dev:ino" of a file with several names -> where its first copy is */
	char *dest;
};

static void copy_cleanup(struct copy *c)
{
	place_cleanup(&c->place);
	map_cleanup(&c->links);
	mem_free_cleanup(&c->dest);
}

static struct place_attrs attrs_of(const struct copy *c, const struct stat *st,
				   const struct file_xattrs *xattrs)
{
	const struct import_options *options = c->options;
	return (struct place_attrs){
		.mode = S_ISREG(st->st_mode) && options->mode >= 0 ? (uint32_t)options->mode
								   : st->st_mode & 07777,
		.uid = options->uid >= 0 ? (uint64_t)options->uid : st->st_uid,
		.gid = options->gid >= 0 ? (uint64_t)options->gid : st->st_gid,
		.mtime_s = st->st_mtime < options->epoch_s ? st->st_mtime : options->epoch_s,
		.xattrs = xattrs,
	};
}

static int copy_file(struct copy *c, const struct layer_node *node, const char *path,
		     const struct place_attrs *attrs, struct err *e)
{
	AUTO_FREE char *key = mem_printf("%llx:%llx", (unsigned long long)node->st.st_dev,
					 (unsigned long long)node->st.st_ino);
	const char *first = node->st.st_nlink > 1 ? map_get(&c->links, key) : NULL;
	if (first)
		return place_hardlink(&c->place, path, first, e);
	AUTO_CLOSE int fd = -1;
	if (place_file_begin(&c->place, path, &fd, e) < 0 ||
	    path_copy_fd(node->fd, fd, path, e) < 0)
		return -1;
	if (node->st.st_nlink > 1)
		map_set_text(&c->links, key, path);
	return place_file_end(&c->place, path, attrs, &fd, e);
}

static int copy_symlink(struct copy *c, int dir_fd, const char *name, const char *path,
			const struct place_attrs *attrs, struct err *e)
{
	char target[LIMIT_PATH_BYTES];
	ssize_t len = readlinkat(dir_fd, name, target, sizeof(target));
	if (len < 0 || (size_t)len == sizeof(target))
		return err_sys(e, "cannot read link '%s'", path);
	target[len] = '\0';
	return place_symlink(&c->place, path, target, attrs, e);
}

static int copy_node(struct copy *c, int dir_fd, const char *name,
		     const struct layer_node *node, const char *path, unsigned depth,
		     struct err *e);

static int copy_children(struct copy *c, const struct layer_node *dir, const char *path,
			 unsigned depth, struct err *e)
{
	AUTO(strvec) names = {0};
	if (depth >= LIMIT_TREE_DEPTH)
		return err_set(e, ERR_INPUT, "import/too-deep",
			       "'%s' is deeper than %d directories", path, LIMIT_TREE_DEPTH);
	if (dir_names(dir->fd, path, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		AUTO(layer_node) child = LAYER_NODE_INIT;
		AUTO_FREE char *child_path = import_dest_join(path, names.items[i]);
		bool exists = false;
		if (layer_node_open(dir->fd, names.items[i], child_path, &child, &exists, e) <
		    0)
			return -1;
		if (exists &&
		    copy_node(c, dir->fd, names.items[i], &child, child_path, depth + 1, e) < 0)
			return -1;
	}
	return 0;
}

static int copy_node(struct copy *c, int dir_fd, const char *name,
		     const struct layer_node *node, const char *path, unsigned depth,
		     struct err *e)
{
	AUTO(file_xattrs) xattrs = {0};
	if (node->fd >= 0 && file_xattrs_read(node->fd, path, &xattrs, e) < 0)
		return -1;
	entry_xattrs_filter(&xattrs);
	const struct place_attrs attrs = attrs_of(c, &node->st, &xattrs);
	switch (node->st.st_mode & S_IFMT) {
	case S_IFREG:
		return copy_file(c, node, path, &attrs, e);
	case S_IFDIR:
		return import_place_dir(&c->place, path, &attrs, e) < 0
			       ? -1
			       : copy_children(c, node, path, depth, e);
	case S_IFLNK:
		return copy_symlink(c, dir_fd, name, path, &attrs, e);
	case S_IFIFO:
		return place_fifo(&c->place, path, &attrs, e);
	case S_IFSOCK:
		return 0; /* means nothing without the process that made it */
	default:
		return err_set(e, ERR_INPUT, "import/device", "'%s' of import '%s' is a device",
			       path, c->options->name);
	}
}

/* Opens what `path` names in the other root: *ret_dir_fd holds it as *ret_name. A link at the
 * end is itself the import, unless its contents were asked for. */
static int find_source(int from_root_fd, const char *path, bool contents, int *ret_dir_fd,
		       char **ret_name, struct err *e)
{
	if (path[0] != '/' || path_has_dotdot(path))
		return err_set(e, ERR_INPUT, "import/source",
			       "'%s' is no absolute path without '..'", path);
	AUTO_FREE char *clean = path_clean(path);
	const char *base = entry_path_base(clean);
	bool whole = contents || base[0] == '\0';
	AUTO_FREE char *dir =
		whole ? mem_strdup(clean) : mem_strndup(clean, (size_t)(base - clean));
	if (path_open_in_root(from_root_fd, dir, O_RDONLY | O_DIRECTORY, 0, ret_dir_fd, e) < 0)
		return err_recode(e, ERR_INPUT, "import/source");
	*ret_name = mem_strdup(whole ? "." : base);
	return 0;
}

int import_from_root(int from_root_fd, const char *path, const struct import_options *options,
		     int root_fd, struct err *e)
{
	AUTO(copy) c = {.options = options, .links = MAP_INIT(free)};
	place_init(&c.place, &(struct place_options){.what = options->name,
						     .root_fd = root_fd,
						     .follow = true,
						     .parent_mtime_s = options->epoch_s});
	AUTO_CLOSE int dir_fd = -1;
	AUTO_FREE char *name = NULL;
	AUTO(layer_node) node = LAYER_NODE_INIT;
	bool exists = false;
	if (find_source(from_root_fd, path, options->contents, &dir_fd, &name, e) < 0 ||
	    layer_node_open(dir_fd, name, path, &node, &exists, e) < 0)
		return -1;
	if (!exists)
		return err_set(e, ERR_INPUT, "import/source", "there is no '%s' to import",
			       path);
	bool is_dir = S_ISDIR(node.st.st_mode);
	if (import_dest_path(options, is_dir, root_fd, &c.dest, e) < 0)
		return -1;
	if (copy_node(&c, dir_fd, name, &node, c.dest, 0, e) < 0)
		return import_recode(e);
	return place_finish(&c.place, &(struct beneath){0}, e);
}
