/*
 * Layers into trees of overlay form. Whiteouts are collected and applied last: they hide what
 * is beneath and never what their own layer brings, wherever in the layer they stand (SEC
 * UN09).
 */
#include "image/unpack.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/byte_source.h"
#include "image/dir_names.h"
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

struct unpacker {
	struct layer_reader reader;
	struct place place;
	struct strvec removed, opaque;
	bool has_root;
};

static void unpacker_cleanup(struct unpacker *u)
{
	place_cleanup(&u->place);
	layer_reader_cleanup(&u->reader);
	strvec_cleanup(&u->removed);
	strvec_cleanup(&u->opaque);
}

static int note_whiteout(struct unpacker *u, enum entry_whiteout kind, const char *path,
			 struct err *e)
{
	/* overlayfs does not look at the opacity of a layer's root: hide the names one by one.
	 */
	if (kind == ENTRY_WHITEOUT_OPAQUE && path[0] == '\0')
		return u->place.options.lower_fd < 0
			       ? 0
			       : dir_names(u->place.options.lower_fd, ".", &u->removed, e);
	strvec_push(kind == ENTRY_WHITEOUT_OPAQUE ? &u->opaque : &u->removed, path);
	return 0;
}

static int write_file(struct unpacker *u, const struct entry *entry,
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

static int write_entry(struct unpacker *u, const struct entry *entry, struct err *e)
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
static int write_overlay_entry(struct unpacker *u, const struct entry *entry, struct err *e)
{
	if (str_has_prefix(entry_path_base(entry->path), ".wh."))
		return err_set(e, ERR_INPUT, "unpack/whiteout",
			       "'%s' of '%s' has a name that no layer can hold", entry->path,
			       u->place.options.what);
	if (entry->is_carrier) {
		strvec_push(&u->removed, entry->path);
		return 0;
	}
	if (entry->is_opaque && note_whiteout(u, ENTRY_WHITEOUT_OPAQUE, entry->path, e) < 0)
		return -1;
	return write_entry(u, entry, e);
}

static int write_entries(struct unpacker *u, struct err *e)
{
	for (;;) {
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
		if ((kind == ENTRY_WHITEOUT_NONE ? write_entry(u, &entry, e)
						 : note_whiteout(u, kind, hidden, e)) < 0)
			return -1;
	}
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
static int apply_whiteouts(struct unpacker *u, struct err *e)
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

int unpack_overlay_tar(int tar_fd, const char *what, int lower_fd,
		       const struct unpack_limits *limits, int root_fd, struct err *e)
{
	AUTO(unpacker) u = {.has_root = false};
	place_init(&u.place, &(struct place_options){.what = what,
						     .root_fd = root_fd,
						     .lower_fd = lower_fd,
						     .parent_mtime_s = UNPACK_PARENT_MTIME_S});
	if (layer_reader_open(&u.reader, tar_fd, LAYER_TAR, DIGEST_SHA256, limits, what, e) < 0)
		return -1;
	u.reader.gate.overlay_form = true;
	if (write_entries(&u, e) < 0 || apply_whiteouts(&u, e) < 0)
		return -1;
	if (!u.has_root && place_default_root(&u.place, e) < 0)
		return -1;
	return place_finish(&u.place, e);
}

int unpack_layer(int blob_fd, enum layer_compression compression, const struct digest *diff_id,
		 int lower_fd, const struct unpack_limits *limits, int root_fd, struct err *e)
{
	char diff_id_text[DIGEST_TEXT_MAX];
	digest_format(diff_id, diff_id_text);
	AUTO_FREE char *what = mem_printf("layer %s", diff_id_text);
	AUTO(unpacker) u = {.has_root = false};
	place_init(&u.place, &(struct place_options){.what = what,
						     .root_fd = root_fd,
						     .follow = false,
						     .lower_fd = lower_fd,
						     .parent_mtime_s = UNPACK_PARENT_MTIME_S});
	struct digest got;
	if (layer_reader_open(&u.reader, blob_fd, compression, diff_id->alg, limits, what, e) <
		    0 ||
	    write_entries(&u, e) < 0)
		return -1;
	byte_source_digest(&u.reader.source, &got);
	if (check_diff_id(diff_id, &got, e) < 0 || apply_whiteouts(&u, e) < 0)
		return -1;
	if (!u.has_root && place_default_root(&u.place, e) < 0)
		return -1;
	return place_finish(&u.place, e);
}
