/* A directory as a list. Read by directory fd, following no link; names in byte order. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/dir_names.h"
#include "image/entry.h"
#include "image/layer_diff.h"
#include "image/tree.h"
#include "image/tree_internal.h"
#include "util/limits.h"
#include "util/map.h"
#include "util/mem.h"

struct walk {
	struct tree tree;
	struct map links; /* "dev:ino" of a file with several names -> the first of them */
};

static void walk_cleanup(struct walk *w)
{
	tree_cleanup(&w->tree);
	map_cleanup(&w->links);
}

static char type_letter(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 'f';
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFCHR:
		return 'c';
	case S_IFBLK:
		return 'b';
	case S_IFIFO:
		return 'p';
	default:
		return 0; /* a socket, which no layer holds */
	}
}

static int read_file(struct walk *w, const struct layer_node *node, struct tree_entry *item,
		     struct err *e)
{
	AUTO_FREE char *key = mem_printf("%llx:%llx", (unsigned long long)node->st.st_dev,
					 (unsigned long long)node->st.st_ino);
	const char *first = node->st.st_nlink > 1 ? map_get(&w->links, key) : NULL;
	if (first) {
		item->type = 'h';
		item->size = 0;
		item->target = mem_strdup(first);
		return 0;
	}
	if (node->st.st_nlink > 1)
		map_set_text(&w->links, key, item->path);
	return digest_fd(DIGEST_SHA256, node->fd, item->path, &item->digest, &item->size, e);
}

static int read_link(int dir_fd, const char *name, struct tree_entry *item, struct err *e)
{
	char target[LIMIT_PATH_BYTES];
	ssize_t len = readlinkat(dir_fd, name, target, sizeof(target));
	if (len < 0 || (size_t)len == sizeof(target))
		return err_sys(e, "cannot read link '%s'", item->path);
	item->target = mem_strndup(target, (size_t)len);
	return 0;
}

static int read_node(struct walk *w, int dir_fd, const char *name,
		     const struct layer_node *node, struct tree_entry *item, struct err *e)
{
	AUTO(file_xattrs) xattrs = {0};
	if (item->type == 'f' && read_file(w, node, item, e) < 0)
		return -1;
	if (item->type == 'l' && read_link(dir_fd, name, item, e) < 0)
		return -1;
	if (item->type == 'c' || item->type == 'b')
		item->rdev = node->st.st_rdev;
	if (node->fd < 0 || item->type == 'h')
		return 0;
	if (file_xattrs_read(node->fd, item->path, &xattrs, e) < 0)
		return -1;
	if (xattrs.is_opaque)
		entry_xattrs_add(&xattrs, "user.overlay.opaque", "y", 1);
	entry_xattrs_digest(&xattrs, &item->xattrs);
	return 0;
}

static int walk_dir(struct walk *w, int dir_fd, const char *path, unsigned depth,
		    struct err *e);

static int walk_name(struct walk *w, int dir_fd, const char *name, char *path, unsigned depth,
		     struct err *e)
{
	AUTO(layer_node) node = LAYER_NODE_INIT;
	bool exists = false;
	if (layer_node_open(dir_fd, name, path, &node, &exists, e) < 0)
		return -1;
	char type = exists ? type_letter(node.st.st_mode) : 0;
	if (type == 0)
		return 0;
	if (w->tree.len >= LIMIT_UNPACK_ENTRIES)
		return err_set(e, ERR_INPUT, "tree/too-many-entries",
			       "a tree has more than %d entries", LIMIT_UNPACK_ENTRIES);
	AUTO(tree_entry)
	item = {
		.path = mem_strdup(path),
		.type = type,
		.mode = node.st.st_mode & 07777,
		.uid = node.st.st_uid,
		.gid = node.st.st_gid,
		.mtime_s = node.st.st_mtime,
	};
	if (read_node(w, dir_fd, name, &node, &item, e) < 0)
		return -1;
	vec_push(&w->tree, item);
	item = (struct tree_entry){0};
	return type == 'd' ? walk_dir(w, node.fd, path, depth + 1, e) : 0;
}

static int walk_dir(struct walk *w, int dir_fd, const char *path, unsigned depth, struct err *e)
{
	AUTO(strvec) names = {0};
	if (depth > LIMIT_TREE_DEPTH)
		return err_set(e, ERR_INPUT, "tree/too-deep",
			       "'%s' is deeper than %d directories", path, LIMIT_TREE_DEPTH);
	if (dir_names(dir_fd, path, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		AUTO_FREE char *child = path[0] ? mem_printf("%s/%s", path, names.items[i])
						: mem_strdup(names.items[i]);
		if (walk_name(w, dir_fd, names.items[i], child, depth, e) < 0)
			return -1;
	}
	return 0;
}

int tree_read_dir(int dir_fd, struct tree *ret, struct err *e)
{
	AUTO(walk) w = {.links = MAP_INIT(free)};
	if (walk_dir(&w, dir_fd, "", 0, e) < 0)
		return -1;
	tree_sort(&w.tree);
	*ret = w.tree;
	w.tree = (struct tree){0};
	return 0;
}
