/* A layer blob as a list, by the same reader and the same rules as unpacking it. */
#include <string.h>

#include "image/layer_read.h"
#include "image/tree.h"
#include "image/tree_internal.h"
#include "util/map.h"
#include "util/mem.h"
#include "util/str.h"

struct lister {
	struct layer_reader reader;
	struct tree tree;
	struct map index;   /* path -> index in `tree`, plus 1 */
	struct map parents; /* directories that some path implies */
};

static void lister_cleanup(struct lister *l)
{
	layer_reader_cleanup(&l->reader);
	tree_cleanup(&l->tree);
	map_cleanup(&l->index);
	map_cleanup(&l->parents);
}

static struct tree_entry *find(const struct lister *l, const char *path)
{
	size_t index = (size_t)(uintptr_t)map_get(&l->index, path);
	return index > 0 ? &l->tree.items[index - 1] : NULL;
}

static char type_letter(enum entry_type type)
{
	switch (type) {
	case ENTRY_FILE:
		return 'f';
	case ENTRY_DIR:
		return 'd';
	case ENTRY_SYMLINK:
		return 'l';
	case ENTRY_HARDLINK:
		return 'h';
	case ENTRY_FIFO:
		return 'p';
	}
	BUG_IF(true);
}

static bool is_file(char type)
{
	return type == 'f' || type == 'h';
}

/* What unpacking would refuse for want of a real directory to put it into. */
static int check_place(struct lister *l, const struct entry *entry, struct err *e)
{
	const char *what = l->reader.gate.what;
	for (const char *slash = strchr(entry->path, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		AUTO_FREE char *dir = mem_strndup(entry->path, (size_t)(slash - entry->path));
		const struct tree_entry *parent = find(l, dir);
		if (parent && parent->type != 'd')
			return err_set(
				e, ERR_INPUT, "unpack/link-in-path",
				"'%s' puts something below '%s', which is no directory or "
				"a link",
				what, dir);
		map_set(&l->parents, dir, NULL);
	}
	const struct tree_entry *before = find(l, entry->path);
	char type = type_letter(entry->type);
	if ((before && before->type != type && !(is_file(before->type) && is_file(type))) ||
	    (type != 'd' && map_has(&l->parents, entry->path)))
		return err_set(e, ERR_INPUT, "unpack/type-flip",
			       "'%s' has '%s' twice, with different types", what, entry->path);
	if (type != 'h')
		return 0;
	const struct tree_entry *target = find(l, entry->target);
	if (target == NULL || !is_file(target->type) || str_same(entry->target, entry->path))
		return err_set(
			e, ERR_INPUT, "unpack/hardlink",
			"hard link '%s' of '%s' to '%s': its target is no file that came "
			"before it",
			entry->path, what, entry->target);
	return 0;
}

static int hash_data(struct lister *l, struct digest *ret, struct err *e)
{
	AUTO(digest_stream) hash = {0};
	digest_stream_init(&hash, DIGEST_SHA256);
	for (;;) {
		const uint8_t *bytes = NULL;
		size_t len = 0;
		if (tar_reader_data(&l->reader.tar, &bytes, &len, e) < 0)
			return -1;
		if (len == 0)
			break;
		digest_stream_add(&hash, bytes, len);
	}
	digest_stream_final(&hash, ret);
	return 0;
}

static int list_entry(struct lister *l, struct entry *entry, struct err *e)
{
	enum entry_whiteout kind = ENTRY_WHITEOUT_NONE;
	AUTO_FREE char *hidden = NULL;
	if (entry_whiteout_parse(entry, l->reader.gate.what, &kind, &hidden, e) < 0 ||
	    check_place(l, entry, e) < 0)
		return -1;
	struct tree_entry item = {
		.type = type_letter(entry->type),
		.mode = entry->mode,
		.uid = entry->uid,
		.gid = entry->gid,
		.mtime_s = entry->mtime_s,
		.size = entry->size,
	};
	if (entry->type == ENTRY_FILE && hash_data(l, &item.digest, e) < 0)
		return -1;
	entry_xattrs_digest(&entry->xattrs, &item.xattrs);
	item.path = TAKE_PTR(entry->path);
	item.target = TAKE_PTR(entry->target);
	struct tree_entry *before = find(l, item.path);
	if (before) {
		tree_entry_cleanup(before);
		*before = item;
		return 0;
	}
	vec_push(&l->tree, item);
	map_set(&l->index, item.path, (void *)(uintptr_t)l->tree.len);
	return 0;
}

int tree_read_layer(int blob_fd, enum layer_compression compression, struct tree *ret,
		    struct digest *ret_diff_id, struct err *e)
{
	AUTO(lister) l = {.index = MAP_INIT(NULL), .parents = MAP_INIT(NULL)};
	if (layer_reader_open(&l.reader, blob_fd, compression, DIGEST_SHA256,
			      &unpack_default_limits, "layer", e) < 0)
		return -1;
	for (;;) {
		AUTO(entry) entry = {0};
		bool end = false;
		if (tar_reader_next(&l.reader.tar, &entry, &end, e) < 0)
			return -1;
		if (end)
			break;
		if (list_entry(&l, &entry, e) < 0)
			return -1;
	}
	byte_source_digest(&l.reader.source, ret_diff_id);
	tree_sort(&l.tree);
	*ret = l.tree;
	l.tree = (struct tree){0};
	return 0;
}
