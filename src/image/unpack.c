/*
 * Layers into trees of overlay form. Whiteouts are collected and applied last: they hide what
 * is beneath and never what their own layer brings, wherever in the layer they stand (SEC
 * UN09).
 */
#include "image/unpack_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/byte_source.h"
#include "image/entry.h"
#include "image/layer_read.h"
#include "image/place.h"
#include "image/tar_read.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"
#include "util/vec.h"

const struct unpack_limits unpack_default_limits = {
	.max_bytes = LIMIT_UNPACK_BYTES,
	.max_entries = LIMIT_UNPACK_ENTRIES,
};

void unpacking_cleanup(struct unpacking *u)
{
	place_cleanup(&u->place);
	layer_reader_cleanup(&u->reader);
	strvec_cleanup(&u->removed);
	strvec_cleanup(&u->opaque);
	mem_free_cleanup(&u->what);
}

static void note_whiteout(struct unpacking *u, enum entry_whiteout kind, const char *path)
{
	if (kind == ENTRY_WHITEOUT_OPAQUE && path[0] == '\0')
		u->root_is_opaque = true;
	else
		strvec_push(kind == ENTRY_WHITEOUT_OPAQUE ? &u->opaque : &u->removed, path);
}

static int write_file(struct unpacking *u, const struct entry *entry,
		      const struct place_attrs *attrs, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	if (place_file_begin(&u->place, entry->path, &fd, e) < 0)
		return -1;
	for (;;) {
		const uint8_t *bytes = NULL;
		size_t len = 0;
		if (tar_reader_data(&u->reader.tar, &bytes, &len, e) < 0)
			return -1;
		if (len == 0)
			return place_file_end(&u->place, entry->path, attrs, &fd, e);
		if (path_write_all(fd, bytes, len, entry->path, e) < 0)
			return -1;
	}
}

static int write_entry(struct unpacking *u, const struct entry *entry, struct err *e)
{
	const struct place_attrs attrs = {.mode = entry->mode,
					  .uid = entry->uid,
					  .gid = entry->gid,
					  .mtime_s = entry->mtime_s,
					  .xattrs = &entry->xattrs};
	switch (entry->type) {
	case ENTRY_FILE:
		return write_file(u, entry, &attrs, e);
	case ENTRY_DIR:
		u->has_root = u->has_root || entry->path[0] == '\0';
		return entry->path[0] == '\0'
			       ? place_root(&u->place, &attrs, e)
			       : place_dir(&u->place, entry->path, &attrs, PLACE_SET_ATTRS, e);
	case ENTRY_SYMLINK:
		return place_symlink(&u->place, entry->path, entry->target, &attrs, e);
	case ENTRY_HARDLINK:
		return place_hardlink(&u->place, entry->path, entry->target, e);
	case ENTRY_FIFO:
		return place_fifo(&u->place, entry->path, &attrs, e);
	}
	BUG_IF(true);
}

/* An entry of an archive in overlay form, which has no name of its own for a deletion. */
static int write_overlay_entry(struct unpacking *u, const struct entry *entry, struct err *e)
{
	if (str_has_prefix(entry_path_base(entry->path), ".wh."))
		return err_set(e, ERR_INPUT, "unpack/whiteout",
			       "'%s' of '%s' has a name that no layer can hold", entry->path,
			       u->place.options.what);
	if (entry->is_carrier) {
		strvec_push(&u->removed, entry->path);
		return 0;
	}
	if (entry->is_opaque)
		note_whiteout(u, ENTRY_WHITEOUT_OPAQUE, entry->path);
	return write_entry(u, entry, e);
}

static bool may_go_on(struct unpacking *u)
{
	const struct entry_gate *gate = &u->reader.gate;
	if (!u->turn || (gate->entries <= LIMIT_UNPACK_ENTRIES / LIMIT_UNPACK_SHARE &&
			 gate->name_bytes <= LIMIT_UNPACK_NAMES_BYTES / LIMIT_UNPACK_SHARE))
		return true;
	const struct unpack_turn *turn = u->turn;
	u->turn = NULL;
	return turn->wait(turn);
}

static int write_entries(struct unpacking *u, struct err *e)
{
	while (may_go_on(u)) {
		AUTO(entry) entry = {0};
		AUTO_FREE char *hidden = NULL;
		enum entry_whiteout kind = ENTRY_WHITEOUT_NONE;
		bool end = false;
		if (tar_reader_next(&u->reader.tar, &entry, &end, e) < 0)
			return -1;
		if (end)
			return 0;
		if (u->reader.gate.overlay_form) {
			if (write_overlay_entry(u, &entry, e) < 0)
				return -1;
			continue;
		}
		if (entry_whiteout_parse(&entry, u->place.options.what, &kind, &hidden, e) < 0)
			return -1;
		if (kind != ENTRY_WHITEOUT_NONE)
			note_whiteout(u, kind, hidden);
		else if (write_entry(u, &entry, e) < 0)
			return -1;
	}
	return -1;
}

static size_t depth_of(const char *path)
{
	size_t depth = 0;
	for (; *path; path++)
		depth += *path == '/';
	return depth;
}

static int compare_deepest_first(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;
	size_t depth_x = depth_of(*x), depth_y = depth_of(*y);
	return depth_x != depth_y ? (depth_x < depth_y ? 1 : -1) : strcmp(*x, *y);
}

/* Deepest first: "d/.wh.f" beside ".wh.d" means a new, opaque d. */
static int apply_whiteouts(struct unpacking *u, struct err *e)
{
	for (size_t i = 0; i < u->opaque.len; i++)
		if (place_opaque(&u->place, u->opaque.items[i], e) < 0)
			return -1;
	if (u->removed.len > 0)
		qsort(u->removed.items, u->removed.len, sizeof(*u->removed.items),
		      compare_deepest_first);
	for (size_t i = 0; i < u->removed.len; i++)
		if (place_whiteout(&u->place, u->removed.items[i], e) < 0)
			return -1;
	return 0;
}

static int check_diff_id(const struct digest *want, const struct digest *got, struct err *e)
{
	char want_text[DIGEST_TEXT_MAX], got_text[DIGEST_TEXT_MAX];
	if (digest_eq(want, got))
		return 0;
	digest_format(want, want_text);
	digest_format(got, got_text);
	return err_set(e, ERR_MISMATCH, "unpack/diff-id",
		       "a layer unpacks to %s, but its image promises %s", got_text, want_text);
}

static void start(struct unpacking *u, char *what, int root_fd)
{
	u->what = what;
	place_init(&u->place, &(struct place_options){.what = what,
						      .root_fd = root_fd,
						      .parent_mtime_s = UNPACK_PARENT_MTIME_S});
}

int unpack_begin(struct unpacking *u, const struct unpack_layer *layer,
		 const struct unpack_limits *limits, struct err *e)
{
	char diff_id[DIGEST_TEXT_MAX];
	struct digest got;
	digest_format(&layer->diff_id, diff_id);
	start(u, mem_printf("layer %s", diff_id), layer->root_fd);
	if (layer_reader_open(&u->reader, layer->blob_fd, layer->compression,
			      layer->diff_id.alg, limits, u->what, e) < 0 ||
	    write_entries(u, e) < 0)
		return -1;
	byte_source_digest(&u->reader.source, &got);
	layer_reader_cleanup(&u->reader); /* another layer may need the memory */
	return check_diff_id(&layer->diff_id, &got, e);
}

int unpack_end(struct unpacking *u, const struct beneath *beneath, struct err *e)
{
	/* overlayfs does not look at the opacity of a layer's root: hide the names one by one.
	 */
	if (u->root_is_opaque && beneath_root_names(beneath, &u->removed, e) < 0)
		return -1;
	if (apply_whiteouts(u, e) < 0)
		return -1;
	if (!u->has_root)
		place_default_root(&u->place);
	return place_finish(&u->place, beneath, e);
}

int unpack_overlay_tar(int tar_fd, const char *what, const struct beneath *beneath,
		       const struct unpack_limits *limits, int root_fd, struct err *e)
{
	AUTO(unpacking) u = UNPACKING_INIT(NULL);
	start(&u, mem_strdup(what), root_fd);
	if (layer_reader_open(&u.reader, tar_fd, LAYER_TAR, DIGEST_SHA256, limits, what, e) < 0)
		return -1;
	u.reader.gate.overlay_form = true;
	return write_entries(&u, e) < 0 ? -1 : unpack_end(&u, beneath, e);
}

int unpack_layer(const struct unpack_layer *layer, const struct beneath *beneath,
		 const struct unpack_limits *limits, struct err *e)
{
	AUTO(unpacking) u = UNPACKING_INIT(NULL);
	return unpack_begin(&u, layer, limits, e) < 0 ? -1 : unpack_end(&u, beneath, e);
}
