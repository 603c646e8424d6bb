/*
 * Archives of imports and tar bases onto a root file system that has content already. Names are
 * resolved as the container would resolve them; nothing is ever written through what stands at
 * the last component.
 */
#include <string.h>

#include "image/archive_read.h"
#include "image/place.h"
#include "image/unpack.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"

struct onto {
	const struct unpack_archive_options *options;
	struct archive_reader reader;
	struct place place;
	char *dest; /* clean, relative to the root; "" for the root itself */
};

static void onto_cleanup(struct onto *o)
{
	place_cleanup(&o->place);
	archive_reader_cleanup(&o->reader);
	mem_free_cleanup(&o->dest);
}

static char *below_dest(const struct onto *o, const char *path)
{
	if (o->dest[0] == '\0')
		return mem_strdup(path);
	return path[0] ? mem_printf("%s/%s", o->dest, path) : mem_strdup(o->dest);
}

static struct place_attrs attrs_of(const struct onto *o, const struct entry *entry)
{
	const struct unpack_archive_options *options = o->options;
	bool has_time = o->reader.zip == NULL && entry->mtime_s < options->epoch_s;
	return (struct place_attrs){
		.mode = options->mode >= 0 && entry->type == ENTRY_FILE
				? (uint32_t)options->mode
				: entry->mode,
		.uid = options->uid >= 0 ? (uint64_t)options->uid : entry->uid,
		.gid = options->gid >= 0 ? (uint64_t)options->gid : entry->gid,
		.mtime_s = has_time ? entry->mtime_s : options->epoch_s,
		.xattrs = &entry->xattrs,
	};
}

static int write_file(struct onto *o, const struct entry *entry, const char *path,
		      const struct place_attrs *attrs, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	if (place_file_begin(&o->place, path, &fd, e) < 0)
		return -1;
	for (;;) {
		const uint8_t *bytes = NULL;
		size_t len = 0;
		if (archive_reader_data(&o->reader, entry, &bytes, &len, e) < 0)
			return -1;
		if (len == 0)
			return place_file_end(&o->place, path, attrs, &fd, e);
		if (path_write_all(fd, bytes, len, path, e) < 0)
			return -1;
	}
}

static int write_entry(struct onto *o, const struct entry *entry, struct err *e)
{
	const struct place_attrs attrs = attrs_of(o, entry);
	AUTO_FREE char *path = below_dest(o, entry->path);
	AUTO_FREE char *target = NULL;
	switch (entry->type) {
	case ENTRY_FILE:
		return write_file(o, entry, path, &attrs, e);
	case ENTRY_DIR:
		/* Of the destination only what we made ourselves is the archive's to describe.
		 */
		if (path[0] == '\0')
			return 0;
		return place_dir(&o->place, path, &attrs,
				 entry->path[0] ? PLACE_SET_ATTRS : PLACE_KEEP_ATTRS, e);
	case ENTRY_SYMLINK:
		return place_symlink(&o->place, path, entry->target, &attrs, e);
	case ENTRY_HARDLINK:
		target = below_dest(o, entry->target);
		return place_hardlink(&o->place, path, target, e);
	case ENTRY_FIFO:
		return place_fifo(&o->place, path, &attrs, e);
	}
	BUG_IF(true);
}

static int apply_whiteout(struct onto *o, enum entry_whiteout kind, const char *hidden,
			  struct err *e)
{
	AUTO_FREE char *path = below_dest(o, hidden);
	if (!o->options->whiteouts) {
		err_set(e, ERR_INPUT, "unpack/whiteout",
			"'%s' holds a whiteout for '%s', which means nothing in an import",
			o->options->name, hidden);
		return err_hint(e, "names that begin with '.wh.' cannot be part of an image");
	}
	return place_remove_lower(&o->place, path, kind == ENTRY_WHITEOUT_OPAQUE, e);
}

static int write_entries(struct onto *o, struct err *e)
{
	for (;;) {
		AUTO(entry) entry = {0};
		AUTO_FREE char *hidden = NULL;
		enum entry_whiteout kind = ENTRY_WHITEOUT_NONE;
		bool end = false;
		if (archive_reader_next(&o->reader, &entry, &end, e) < 0)
			return -1;
		if (end)
			return 0;
		if (entry_whiteout_parse(&entry, o->options->name, &kind, &hidden, e) < 0)
			return -1;
		if ((kind == ENTRY_WHITEOUT_NONE ? write_entry(o, &entry, e)
						 : apply_whiteout(o, kind, hidden, e)) < 0)
			return -1;
	}
}

/* Makes the destination, 0755 root:root if it was not there. */
static int make_dest(struct onto *o, struct err *e)
{
	const struct place_attrs attrs = {.mode = 0755, .mtime_s = o->options->epoch_s};
	if (entry_path_clean(o->options->dest, o->options->name, &o->dest, e) < 0)
		return -1;
	return o->dest[0] ? place_dir(&o->place, o->dest, &attrs, PLACE_KEEP_ATTRS, e) : 0;
}

int unpack_archive(int blob_fd, const struct unpack_archive_options *options,
		   const struct unpack_limits *limits, int root_fd, struct err *e)
{
	AUTO(onto) o = {.options = options};
	place_init(&o.place, &(struct place_options){.what = options->name,
						     .root_fd = root_fd,
						     .follow = true,
						     .parent_mtime_s = options->epoch_s});
	const struct archive_reader_options reader = {
		.fd = blob_fd,
		.what = options->name,
		.limits = limits,
		.charset = options->charset,
		.any_owner = options->uid >= 0 && options->gid >= 0,
	};
	if (archive_reader_open(&o.reader, &reader, e) < 0 || make_dest(&o, e) < 0 ||
	    write_entries(&o, e) < 0)
		return -1;
	return place_finish(&o.place, &(struct beneath){0}, e);
}
