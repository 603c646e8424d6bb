/* Imports of local trees and of single blobs: content comes from the store, by digest. */
#include "image/import.h"

#include <string.h>

#include "image/entry.h"
#include "image/import_dest.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

struct import {
	const struct import_options *options;
	struct place place;
	char *dest;
};

static void import_cleanup(struct import *i)
{
	place_cleanup(&i->place);
	mem_free_cleanup(&i->dest);
}

int import_recode(struct err *e)
{
	if (e->code == ERR_INPUT && str_has_prefix(e->id, "unpack/"))
		return err_recode(e, ERR_INPUT, "import/conflict");
	return -1;
}

char *import_dest_join(const char *dest, const char *path)
{
	if (dest[0] == '\0' || path[0] == '\0')
		return mem_strdup(dest[0] ? dest : path);
	return mem_printf("%s/%s", dest, path);
}

static int dest_error(const struct import_options *options, const char *why, struct err *e)
{
	return err_set(e, ERR_INPUT, "import/dest", "cannot import '%s' to '%s': %s",
		       options->name, options->dest, why);
}

static bool is_dir_in_root(int root_fd, const char *path)
{
	struct err ignored = ERR_INIT;
	AUTO_CLOSE int fd = -1;
	return path_open_in_root(root_fd, path[0] ? path : ".", O_PATH | O_DIRECTORY, 0, &fd,
				 &ignored) == 0;
}

int import_dest_path(const struct import_options *options, bool is_dir, int root_fd, char **ret,
		     struct err *e)
{
	if (options->dest[0] != '/' || path_has_dotdot(options->dest))
		return dest_error(options, "the destination must be absolute, without '..'", e);
	bool below = str_has_suffix(options->dest, "/") && !(is_dir && options->contents);
	AUTO_FREE char *dest = NULL;
	if (entry_path_clean(options->dest, options->name, &dest, e) < 0)
		return import_recode(e);
	if (!below) {
		/* U28: upstream replaced the directory by the file. */
		if (!is_dir && is_dir_in_root(root_fd, dest)) {
			err_set(e, ERR_INPUT, "import/dest-is-directory",
				"'%s' is a directory, '%s' is not", options->dest,
				options->name);
			return err_hint(e, "write '%s/' to put it into the directory",
					options->dest);
		}
		*ret = TAKE_PTR(dest);
		return 0;
	}
	AUTO_FREE char *name = NULL;
	if (strchr(options->name, '/') || path_has_dotdot(options->name) ||
	    entry_path_clean(options->name, options->name, &name, e) < 0 || name[0] == '\0')
		return dest_error(options, "its name cannot be used as a file name", e);
	*ret = import_dest_join(dest, name);
	return 0;
}

int import_place_dir(struct place *p, const char *path, const struct place_attrs *attrs,
		     struct err *e)
{
	if (path[0] == '\0')
		return 0; /* the root of the image keeps what it has */
	struct err ignored = ERR_INIT;
	AUTO_CLOSE int there = -1;
	if (path_open_in_root(p->options.root_fd, path, O_PATH | O_NOFOLLOW, 0, &there,
			      &ignored) == 0 &&
	    !is_dir_in_root(p->options.root_fd, path))
		return err_set(e, ERR_INPUT, "import/conflict",
			       "'%s' puts a directory at '%s', which is none", p->options.what,
			       path);
	return place_dir(p, path, attrs, PLACE_KEEP_ATTRS, e);
}

static int blob_open(const struct import *i, const struct digest *d, const char *path,
		     int *ret_fd, struct err *e)
{
	char hex[DIGEST_TEXT_MAX];
	if (d->alg == DIGEST_NONE)
		return err_set(e, ERR_BUG, "import/no-digest", "'%s' has no digest", path);
	digest_format_hex(d, hex);
	AUTO_FREE char *name = mem_printf("%s/%s", digest_alg_name(d->alg), hex);
	return path_open_beneath(i->options->blobs_fd, name, O_RDONLY, 0, ret_fd, e);
}

/* The copy is what gets hashed: it is these bytes that the image will hold. */
static int check_copy(int fd, const struct digest *want, const char *path, struct err *e)
{
	struct digest got;
	if (digest_fd(want->alg, fd, path, &got, NULL, e) < 0)
		return -1;
	if (digest_eq(&got, want))
		return 0;
	char want_text[DIGEST_TEXT_MAX];
	digest_format(want, want_text);
	return err_set(e, ERR_MISMATCH, "store/damaged",
		       "the stored content of '%s' does not hash to %s", path, want_text);
}

static int import_file(struct import *i, const struct import_entry *entry, const char *path,
		       const struct place_attrs *attrs, struct err *e)
{
	AUTO_CLOSE int from = -1, to = -1;
	if (blob_open(i, &entry->digest, path, &from, e) < 0 ||
	    place_file_begin(&i->place, path, &to, e) < 0 ||
	    path_copy_fd(from, to, path, e) < 0 || check_copy(to, &entry->digest, path, e) < 0)
		return -1;
	return place_file_end(&i->place, path, attrs, &to, e);
}

static int import_entry(struct import *i, const struct import_entry *entry, struct err *e)
{
	const struct import_options *options = i->options;
	struct place_attrs attrs = {
		.mode = entry->mode,
		.uid = options->uid >= 0 ? (uint64_t)options->uid : 0,
		.gid = options->gid >= 0 ? (uint64_t)options->gid : 0,
		.mtime_s = options->epoch_s,
	};
	AUTO_FREE char *relative = NULL;
	if (entry->path[0] && entry_path_clean(entry->path, options->name, &relative, e) < 0)
		return -1;
	AUTO_FREE char *path = import_dest_join(i->dest, relative ? relative : "");
	switch (entry->type) {
	case IMPORT_FILE:
		if (options->mode >= 0)
			attrs.mode = (uint32_t)options->mode;
		return import_file(i, entry, path, &attrs, e);
	case IMPORT_DIR:
		return import_place_dir(&i->place, path, &attrs, e);
	case IMPORT_SYMLINK:
		return place_symlink(&i->place, path, entry->target, &attrs, e);
	}
	BUG_IF(true);
}

int import_entries(const struct import_entry *entries, size_t entries_len,
		   const struct import_options *options, int root_fd, struct err *e)
{
	BUG_IF(entries_len == 0 || entries[0].path[0] != '\0');
	AUTO(import) i = {.options = options};
	place_init(&i.place, &(struct place_options){.what = options->name,
						     .root_fd = root_fd,
						     .follow = true,
						     .parent_mtime_s = options->epoch_s});
	if (import_dest_path(options, entries[0].type == IMPORT_DIR, root_fd, &i.dest, e) < 0)
		return -1;
	for (size_t n = 0; n < entries_len; n++)
		if (import_entry(&i, &entries[n], e) < 0)
			return import_recode(e);
	return place_finish(&i.place, &(struct beneath){0}, e);
}
