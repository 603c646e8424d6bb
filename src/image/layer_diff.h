/*
 * What one directory of an overlay's upper tree changes about the view beneath it. Internal to
 * the packer: layer.c walks and writes, this decides. Both trees are read by directory fd,
 * following no link.
 */
#ifndef IMAGE_LAYER_DIFF_H
#define IMAGE_LAYER_DIFF_H

#include <stdbool.h>
#include <sys/stat.h>

#include "image/volatile.h"
#include "util/err.h"
#include "util/vec.h"

/* An entry of a directory: looked at once, then only through `fd`. */
struct layer_node {
	int fd; /* open for reading if a regular file or directory, else -1 */
	struct stat st;
};
#define LAYER_NODE_INIT                                                                        \
	{                                                                                      \
		.fd = -1                                                                       \
	}
void layer_node_cleanup(struct layer_node *n);
/* `path` is for errors. Absent gives *ret_exists false. */
int layer_node_open(int dir_fd, const char *name, const char *path, struct layer_node *ret,
		    bool *ret_exists, struct err *e) WARN_UNUSED;

enum layer_change {
	LAYER_UNCHANGED, /* not in the layer; a directory is walked all the same */
	LAYER_CHANGED,	 /* new, or differs */
	LAYER_REMOVED,	 /* a whiteout; nothing of the upper entry matters */
	LAYER_DROPPED,	 /* a whiteout of nothing */
};

struct layer_child {
	char *name;
	dev_t dev; /* who was looked at, so that a swap is noticed */
	ino_t ino;
	enum layer_change change;
	const struct volatile_file *normalised; /* not as the step left it; or NULL */
	bool is_socket; /* REMOVED or DROPPED, since no layer can hold one */
	bool is_dir;	/* and to be walked */
	bool is_opaque; /* CHANGED directory that hides the contents of one beneath */
	bool has_lower; /* directory with one beneath to compare its children with */
};

/* In byte order of name. */
struct layer_children VEC_OF(struct layer_child);
void layer_children_cleanup(struct layer_children *c);

/* ERR_INPUT "layer/changed-while-read": the tree is not at rest. */
int layer_changed_while_read(const char *path, struct err *e);
/* ERR_INPUT "layer/too-many-entries": beyond what a layer may hold (LIMIT_UNPACK_ENTRIES). */
int layer_too_many_entries(struct err *e);

struct layer_dirs {
	int upper_fd;
	int lower_fd;	  /* the directory beneath, or -1 to take everything as new */
	const char *path; /* "" for the root */
};
/* What `files` says is volatile is compared as it will be packed. ERR_INPUT "layer/reserved-name": an entry that a layer cannot hold, ".wh.*". */
int layer_diff_dir(const struct layer_dirs *dirs, const struct volatile_options *files,
		   struct layer_children *ret, struct err *e) WARN_UNUSED;

/* "dir/name", or "name" below the root; the caller frees. */
char *layer_path(const char *dir_path, const char *name);

#endif
