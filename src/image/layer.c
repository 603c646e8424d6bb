/*
 * The walk over the upper tree and what it writes. In a directory: first what is gone, so that
 * a reader that applies entries as they come never removes what the same layer brings; then the
 * rest; both in byte order, directories followed by their contents.
 */
#include "image/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "image/entry.h"
#include "image/file_xattrs.h"
#include "image/layer_diff.h"
#include "image/tar_write.h"
#include "util/limits.h"
#include "util/map.h"
#include "util/mem.h"
#include "util/path.h"

enum { COPY_BYTES = 256 * 1024 };

struct packer {
	const struct layer_pack_options *options;
	struct compressor *out;
	struct volatile_options files;
	struct tar_writer tar;
	struct map links; /* "dev:ino" -> the path that owns the data */
	unsigned char *copy;
	struct layer_packed counts;
};

/* Where the walk is. */
struct packer_dir {
	const char *path; /* "" for the root */
	int upper_fd;
	bool has_lower;
	unsigned depth;
};

static void packer_cleanup(struct packer *p)
{
	tar_writer_cleanup(&p->tar);
	compressor_close(&p->out);
	map_cleanup(&p->links);
	mem_free_cleanup(&p->copy);
}

static int put_entry(struct packer *p, const struct tar_entry *entry, struct err *e)
{
	/* A path ends in a slash or in a NUL, which the kernel and our reader count as well. */
	if (strlen(entry->path) + 1 > LIMIT_PATH_BYTES) {
		return err_set(e, ERR_INPUT, "layer/path-too-long",
			       "'%.64s...' is a path of %zu bytes, over %d", entry->path,
			       strlen(entry->path), LIMIT_PATH_BYTES - 1);
	}
	if (p->counts.entries == LIMIT_UNPACK_ENTRIES)
		return layer_too_many_entries(e);
	/* Both are below 2^63, so the sum does not wrap. */
	if (p->tar.size_bytes + entry->size > LIMIT_UNPACK_BYTES) {
		return err_set(e, ERR_INPUT, "layer/too-big",
			       "'%s' makes the layer exceed %ju bytes", entry->path,
			       (uintmax_t)LIMIT_UNPACK_BYTES);
	}
	p->counts.entries++;
	return tar_writer_entry(&p->tar, entry, e);
}

/* An empty file without mode, owner or time: nothing of the carrier is the image's. */
static int put_whiteout(struct packer *p, const char *dir_path, const char *name, struct err *e)
{
	AUTO_FREE char *marker = mem_printf(".wh.%s", name);
	AUTO_FREE char *path = layer_path(dir_path, marker);
	struct tar_entry entry = {.type = TAR_FILE, .path = path};
	return put_entry(p, &entry, e);
}

/* A whiteout in overlay form. */
static int put_carrier(struct packer *p, const char *dir_path, const char *name, struct err *e)
{
	AUTO_FREE char *path = layer_path(dir_path, name);
	struct tar_entry entry = {.type = TAR_CHAR, .path = path};
	return put_entry(p, &entry, e);
}

/* What stands for the first bytes of a volatile file; the rest follows in `fd`. */
static int put_head(struct packer *p, int fd, const struct tar_entry *entry,
		    const struct volatile_content *content, struct err *e)
{
	if (!content->file)
		return 0;
	if (lseek(fd, (off_t)content->skip, SEEK_SET) < 0)
		return err_sys(e, "cannot read '%s'", entry->path);
	if (content->head.len == 0)
		return 0;
	return tar_writer_content(&p->tar, content->head.data, content->head.len, e);
}

/* From where `fd` stands to its end, `done` bytes of the entry being written. */
static int put_content(struct packer *p, int fd, const struct tar_entry *entry, uint64_t done,
		       struct err *e)
{
	uint64_t left = entry->size - done;
	/* The kernel then reads farther ahead; that it may not is no matter. */
	if (left > COPY_BYTES)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	for (;;) {
		ssize_t got = read(fd, p->copy, COPY_BYTES);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "cannot read '%s'", entry->path);
		if ((uint64_t)got > left || (got == 0 && left > 0))
			return layer_changed_while_read(entry->path, e);
		if (got == 0)
			return 0;
		left -= (uint64_t)got;
		if (tar_writer_content(&p->tar, p->copy, (size_t)got, e) < 0)
			return -1;
	}
}

/* The first path in walk order that is written owns the data of all later ones. */
static const char *link_owner(struct packer *p, const struct stat *st, const char *path)
{
	if (st->st_nlink < 2)
		return NULL;
	AUTO_FREE char *key =
		mem_printf("%jx:%jx", (uintmax_t)st->st_dev, (uintmax_t)st->st_ino);
	const char *owner = map_get(&p->links, key);
	if (!owner)
		map_set_text(&p->links, key, path);
	return owner;
}

static int put_file(struct packer *p, const struct layer_node *node, struct tar_entry *entry,
		    struct err *e)
{
	entry->target = link_owner(p, &node->st, entry->path);
	if (entry->target) {
		entry->type = TAR_HARDLINK;
		return put_entry(p, entry, e);
	}
	AUTO(file_xattrs) xattrs = {0};
	AUTO(volatile_content) content = VOLATILE_CONTENT_INIT;
	if (file_xattrs_read(node->fd, entry->path, &xattrs, e) < 0 ||
	    volatile_content_read(&p->files, entry->path, node->fd, &node->st, &content, e) < 0)
		return -1;
	entry->type = TAR_FILE;
	entry->size = volatile_content_size(&content, (uint64_t)node->st.st_size);
	entry->xattrs = xattrs.items;
	entry->xattrs_len = xattrs.len;
	if (put_entry(p, entry, e) < 0 || put_head(p, node->fd, entry, &content, e) < 0)
		return -1;
	return put_content(p, node->fd, entry, content.file ? content.head.len : 0, e);
}

static int put_dir(struct packer *p, const struct layer_node *node, struct tar_entry *entry,
		   struct err *e)
{
	AUTO(file_xattrs) xattrs = {0};
	if (file_xattrs_read(node->fd, entry->path, &xattrs, e) < 0)
		return -1;
	if (p->options->overlay_form && xattrs.is_opaque)
		entry_xattrs_put(&xattrs, "user.overlay.opaque", "y", 1);
	entry->type = TAR_DIR;
	entry->xattrs = xattrs.items;
	entry->xattrs_len = xattrs.len;
	return put_entry(p, entry, e);
}

static int put_symlink(struct packer *p, const struct packer_dir *dir, const char *name,
		       const struct tar_entry *common, struct err *e)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(dir->upper_fd, name, target, sizeof(target) - 1);
	if (len < 0)
		return err_sys(e, "cannot read link '%s'", common->path);
	target[len] = '\0';
	struct tar_entry entry = *common;
	entry.type = TAR_SYMLINK;
	entry.target = target;
	return put_entry(p, &entry, e);
}

static int put_special(struct packer *p, const struct stat *st, struct tar_entry *entry,
		       struct err *e)
{
	if (S_ISFIFO(st->st_mode)) {
		entry->type = TAR_FIFO;
		return put_entry(p, entry, e);
	}
	BUG_IF(!S_ISCHR(st->st_mode) && !S_ISBLK(st->st_mode));
	entry->type = S_ISCHR(st->st_mode) ? TAR_CHAR : TAR_BLOCK;
	entry->dev_major = major(st->st_rdev);
	entry->dev_minor = minor(st->st_rdev);
	return put_entry(p, entry, e);
}

static int put_node(struct packer *p, const struct packer_dir *dir, const char *name,
		    const char *path, const struct layer_node *node, struct err *e)
{
	const struct stat *st = &node->st;
	int64_t mtime_s = st->st_mtim.tv_sec;
	struct tar_entry entry = {
		.path = path,
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime_s = mtime_s < p->options->epoch_s ? mtime_s : p->options->epoch_s,
	};
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		return put_file(p, node, &entry, e);
	case S_IFDIR:
		return put_dir(p, node, &entry, e);
	case S_IFLNK:
		return put_symlink(p, dir, name, &entry, e);
	default:
		return put_special(p, st, &entry, e);
	}
}

/* What the comparison decided about is what gets written, or nothing. */
static int reopen(const struct packer_dir *dir, const struct layer_child *c, const char *path,
		  struct layer_node *ret, struct err *e)
{
	bool exists = false;
	if (layer_node_open(dir->upper_fd, c->name, path, ret, &exists, e) < 0)
		return -1;
	if (!exists || ret->st.st_dev != c->dev || ret->st.st_ino != c->ino)
		return layer_changed_while_read(path, e);
	return 0;
}

static int diff_dir(const struct packer *p, const struct packer_dir *dir,
		    struct layer_children *ret, struct err *e)
{
	/* Looked up anew for each directory and closed before its children are walked: one fd
	 * per level is what a depth of 512 can afford under the usual limit of 1024 open files.
	 */
	AUTO_CLOSE int lower_fd = -1;
	if (dir->has_lower &&
	    path_open_beneath(p->options->lower_fd, dir->path[0] ? dir->path : ".",
			      O_RDONLY | O_DIRECTORY, 0, &lower_fd, e) < 0)
		return -1;
	const struct layer_dirs dirs = {
		.upper_fd = dir->upper_fd, .lower_fd = lower_fd, .path = dir->path};
	return layer_diff_dir(&dirs, &p->files, ret, e);
}

static int pack_dir(struct packer *p, const struct packer_dir *dir, struct err *e);

static int pack_child(struct packer *p, const struct packer_dir *dir,
		      const struct layer_child *c, struct err *e)
{
	AUTO_FREE char *path = layer_path(dir->path, c->name);
	AUTO(layer_node) node = LAYER_NODE_INIT;
	if (reopen(dir, c, path, &node, e) < 0)
		return -1;
	if (c->change == LAYER_CHANGED && put_node(p, dir, c->name, path, &node, e) < 0)
		return -1;
	if (c->is_opaque && put_whiteout(p, path, ".wh..opq", e) < 0)
		return -1;
	if (!c->is_dir)
		return 0;
	struct packer_dir below = {
		.path = path,
		.upper_fd = node.fd,
		.has_lower = c->has_lower,
		.depth = dir->depth + 1,
	};
	return pack_dir(p, &below, e);
}

static void tell_normalised(const struct packer *p, const struct packer_dir *dir,
			    const struct layer_child *c)
{
	if (!c->normalised || !p->options->normalised)
		return;
	AUTO_FREE char *path = layer_path(dir->path, c->name);
	p->options->normalised(p->options->normalised_ctx, path, c->normalised);
}

static int pack_dir(struct packer *p, const struct packer_dir *dir, struct err *e)
{
	AUTO(layer_children) children = {0};
	if (diff_dir(p, dir, &children, e) < 0)
		return -1;
	if (children.len > 0 && dir->depth == LIMIT_TREE_DEPTH) {
		return err_set(e, ERR_INPUT, "layer/too-deep",
			       "'%.64s...' holds entries more than %d levels deep", dir->path,
			       LIMIT_TREE_DEPTH);
	}
	for (size_t i = 0; i < children.len; i++) {
		const struct layer_child *c = &children.items[i];
		p->counts.sockets_dropped += c->is_socket;
		tell_normalised(p, dir, c);
		if (c->change == LAYER_REMOVED && put_whiteout(p, dir->path, c->name, e) < 0)
			return -1;
		/* Seen as one of nothing, since the layers beneath are not looked at. */
		if (p->options->overlay_form && c->change == LAYER_DROPPED && !c->is_socket &&
		    put_carrier(p, dir->path, c->name, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < children.len; i++) {
		const struct layer_child *c = &children.items[i];
		bool is_walked = c->is_dir || c->change == LAYER_CHANGED;
		if (is_walked && pack_child(p, dir, c, e) < 0)
			return -1;
	}
	return 0;
}

static int put_root(struct packer *p, struct err *e)
{
	struct packer_dir root = {.path = "", .upper_fd = p->options->upper_fd};
	AUTO(layer_node) node = LAYER_NODE_INIT;
	bool exists = false;
	if (layer_node_open(root.upper_fd, ".", ".", &node, &exists, e) < 0)
		return -1;
	if (!exists)
		return layer_changed_while_read(".", e);
	return put_node(p, &root, ".", ".", &node, e);
}

int layer_pack(const struct layer_pack_options *options, struct layer_packed *ret,
	       struct err *e)
{
	AUTO(packer)
	p = {.options = options,
	     .files = {options->volatile_files, options->epoch_s},
	     .links = MAP_INIT(free)};
	p.copy = mem_alloc(COPY_BYTES);
	const struct compress_options out = {.fd = options->out_fd,
					     .form = options->compression,
					     .threads = options->threads};
	if (compressor_open(&out, &p.out, e) < 0)
		return -1;
	tar_writer_init(&p.tar, p.out);
	struct packer_dir root = {
		.path = "",
		.upper_fd = options->upper_fd,
		.has_lower = options->lower_fd >= 0,
	};
	BUG_IF(options->overlay_form && options->lower_fd >= 0);
	if ((options->overlay_form && put_root(&p, e) < 0) || pack_dir(&p, &root, e) < 0 ||
	    tar_writer_finish(&p.tar, &p.counts.diff_id, e) < 0 ||
	    compressor_finish(p.out, &p.counts.blob_size, e) < 0)
		return -1;
	p.counts.size = p.tar.size_bytes;
	*ret = p.counts;
	return 0;
}
