/*
 * The files of a layout. Everything is opened below the layout's directory fd and without
 * following links, and names of blobs are made from parsed digests, never from text that was
 * read (SEC PF10, PF16).
 */
#include "image/layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "image/layout_blob.h"
#include "image/layout_index.h"
#include "util/atomic_file.h"
#include "util/json_read.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/lock.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

#define LAYOUT_VERSION "1.0.0"
#define LAYOUT_FILE "oci-layout"
#define INDEX_FILE "index.json"
#define LOCK_FILE ".lock"

enum { FILE_MODE = 0644, DIR_MODE = 0755, LAYOUT_FILE_BYTES_MAX = 4096 };

static const char layout_text[] = "{\"imageLayoutVersion\":\"" LAYOUT_VERSION "\"}";
static const char empty_index[] =
	"{\"manifests\":[],\"mediaType\":\"" OCI_INDEX_TYPE "\",\"schemaVersion\":2}";

static int not_a_layout(const char *path, const char *why, struct err *e)
{
	return err_set(e, ERR_INPUT, "layout/not-a-layout", "'%s' is not an OCI layout: %s",
		       path, why);
}

/* Reads one of the layout's own files; absent is "not a layout". */
static int read_own_file(int dir_fd, const char *path, const char *name, struct buf *b,
			 struct err *e)
{
	AUTO_FREE char *shown = mem_printf("%s/%s", path, name);
	AUTO_CLOSE int fd = -1;
	bool exists = false;
	if (layout_file_open(dir_fd, name, shown, &fd, &exists, e) < 0)
		return -1;
	if (!exists)
		return not_a_layout(path, "'" LAYOUT_FILE "' or '" INDEX_FILE "' is missing",
				    e);
	return path_read_fd(fd, shown, b, e);
}

static int check_version(int dir_fd, const char *path, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LAYOUT_FILE_BYTES_MAX);
	AUTO(json_doc) doc = {0};
	const char *version = NULL;
	if (read_own_file(dir_fd, path, LAYOUT_FILE, &text, e) < 0 ||
	    json_read(buf_text(&text), text.len, LAYOUT_FILE_BYTES_MAX, LAYOUT_FILE, &doc, e) <
		    0 ||
	    json_get_text(doc.root, "imageLayoutVersion", LAYOUT_FILE, &version, e) < 0)
		return -1;
	if (strcmp(version, LAYOUT_VERSION) != 0)
		return not_a_layout(path, "its version is not " LAYOUT_VERSION, e);
	return 0;
}

static int read_index(const struct layout *l, struct layout_index *ret, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_INDEX_BYTES);
	AUTO_FREE char *shown = mem_printf("%s/%s", l->name, INDEX_FILE);
	if (read_own_file(l->dir_fd, l->name, INDEX_FILE, &text, e) < 0)
		return -1;
	return layout_index_parse(buf_text(&text), text.len, shown, ret, e);
}

static int read_nested(const struct layout *l, const struct descriptor *d,
		       struct layout_index *ret, struct err *e)
{
	char shown[DIGEST_TEXT_MAX];
	digest_format(&d->digest, shown);
	AUTO(buf) text = BUF_INIT(LIMIT_INDEX_BYTES);
	if (layout_blob_read(l, &d->digest, &text, e) < 0)
		return -1;
	if (text.len != d->size) {
		return err_set(e, ERR_MISMATCH, "layout/damaged",
			       "index '%s' has %zu bytes, its descriptor says %ju", shown,
			       text.len, (uintmax_t)d->size);
	}
	AUTO(layout_index) x = {0};
	if (layout_index_parse(buf_text(&text), text.len, shown, &x, e) < 0)
		return -1;
	/* index.json may leave its type open, since no descriptor names it; others may not. */
	if (!x.media_type) {
		return err_set(e, ERR_INPUT, "image/media-type",
			       "mediaType of '%s' is absent, not '%s'", shown, OCI_INDEX_TYPE);
	}
	*ret = x;
	x = (struct layout_index){0};
	return 0;
}

static bool is_index(const struct descriptor *d)
{
	return strcmp(d->media_type, OCI_INDEX_TYPE) == 0;
}

static int check_found(const struct index_entry *x, const char *ref, const char *os,
		       const char *arch, struct err *e)
{
	if (strcmp(x->descriptor.media_type, OCI_MANIFEST_TYPE) != 0) {
		err_set(e, ERR_INPUT, "image/media-type", "'%s' is of type '%s', not '%s'", ref,
			x->descriptor.media_type, OCI_MANIFEST_TYPE);
		return err_hint(e, "convert the image: skopeo copy --format oci");
	}
	if (!index_entry_suits(x, os, arch)) {
		return err_set(e, ERR_INPUT, "layout/no-such-platform",
			       "'%s' is for %s/%s, not %s/%s", ref, x->os, x->arch,
			       os ? os : "any", arch ? arch : "any");
	}
	return 0;
}

/* From an entry down through nested indexes to one manifest. */
static int follow(const struct layout *l, const struct index_entry *from, const char *ref,
		  const char *os, const char *arch, struct descriptor *ret, struct err *e)
{
	AUTO(layout_index) nested = {0};
	const struct index_entry *at = from;
	for (unsigned depth = 0; is_index(&at->descriptor); depth++) {
		AUTO(layout_index) next = {0};
		if (depth == LIMIT_INDEX_DEPTH) {
			return err_set(e, ERR_INPUT, "layout/index-too-deep",
				       "indexes of '%s' are nested over %d deep", ref,
				       LIMIT_INDEX_DEPTH);
		}
		if (read_nested(l, &at->descriptor, &next, e) < 0 ||
		    layout_index_find_platform(&next, os, arch, ref, &at, e) < 0)
			return -1;
		/* `at` lives in `next`, whose items stay where they are. */
		layout_index_cleanup(&nested);
		nested = next;
		next = (struct layout_index){0};
	}
	if (check_found(at, ref, os, arch, e) < 0)
		return -1;
	*ret = at->descriptor;
	ret->media_type = mem_strdup(at->descriptor.media_type);
	return 0;
}

/* A digest may be that of an entry, or of one in an index that an entry names. `ret_nested` then
 * owns the index that *ret is in. */
static int find_digest(const struct layout *l, const struct layout_index *x,
		       const struct digest *d, unsigned depth, struct layout_index *ret_nested,
		       const struct index_entry **ret, struct err *e)
{
	*ret = layout_index_find_digest(x, d);
	for (size_t i = 0; depth < LIMIT_INDEX_DEPTH && i < x->len && !*ret; i++) {
		AUTO(layout_index) next = {0};
		if (!is_index(&x->items[i].descriptor))
			continue;
		if (read_nested(l, &x->items[i].descriptor, &next, e) < 0 ||
		    find_digest(l, &next, d, depth + 1, ret_nested, ret, e) < 0)
			return -1;
		if (*ret && !ret_nested->items) {
			*ret_nested = next;
			next = (struct layout_index){0};
		}
	}
	return 0;
}

static int resolve_digest(const struct layout *l, const struct layout_index *top,
			  const char *ref, const char *os, const char *arch,
			  struct descriptor *ret, struct err *e)
{
	struct digest d;
	AUTO(layout_index) nested = {0};
	const struct index_entry *found = NULL;
	if (digest_parse(ref, &d, e) < 0 || find_digest(l, top, &d, 0, &nested, &found, e) < 0)
		return -1;
	if (!found) {
		return err_set(e, ERR_INPUT, "layout/no-such-tag", "no image '%s' in '%s'", ref,
			       l->name);
	}
	return follow(l, found, ref, os, arch, ret, e);
}

/* A directory that holds anything else is somebody's, and not to be littered. */
static int check_only_ours(int dir_fd, const char *path, struct err *e)
{
	static const char *const ours[] = {
		".",
		"..",
		LOCK_FILE,
		"blobs",
		LAYOUT_FILE,
		INDEX_FILE,
		"." LAYOUT_FILE ".new",
		"." INDEX_FILE ".new",
	};
	AUTO_CLOSE int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return err_sys(e, "cannot list '%s'", path);
	(void)TAKE_FD(fd);
	bool foreign = false;
	for (struct dirent *x = readdir(dir); x && !foreign; x = readdir(dir)) {
		foreign = true;
		for (size_t i = 0; i < ARRAY_LEN(ours) && foreign; i++)
			foreign = strcmp(x->d_name, ours[i]) != 0;
	}
	(void)closedir(dir);
	if (!foreign)
		return 0;
	not_a_layout(path, "it holds other files", e);
	return err_hint(e, "name an empty or a new directory");
}

static int file_exists(int dir_fd, const char *path, const char *name, bool *ret, struct err *e)
{
	AUTO_FREE char *shown = mem_printf("%s/%s", path, name);
	AUTO_CLOSE int fd = -1;
	return layout_file_open(dir_fd, name, shown, &fd, ret, e);
}

static int ensure_file(const struct layout *l, const char *name, const char *text,
		       struct err *e)
{
	bool exists = false;
	if (atomic_file_recover(l->dir_fd, name, e) < 0 ||
	    file_exists(l->dir_fd, l->name, name, &exists, e) < 0)
		return -1;
	return exists ? 0
		      : atomic_file_write(l->dir_fd, name, FILE_MODE, text, strlen(text), e);
}

static int take_lock(struct layout *l, struct err *e)
{
	if (lock_acquire(l->dir_fd, LOCK_FILE, l->name, &l->lock_fd, e) == 0)
		return 0;
	return strcmp(e->id, "system/locked") == 0 ? err_recode(e, ERR_SYSTEM, "layout/locked")
						   : -1;
}

void layout_cleanup(struct layout *l)
{
	/* By name, since a child that is still alive may hold a copy of the fd. */
	if (l->lock_fd >= 0)
		(void)flock(l->lock_fd, LOCK_UN);
	mem_close_cleanup(&l->lock_fd);
	mem_close_cleanup(&l->dir_fd);
	mem_free_cleanup(&l->name);
}

int layout_open(int dir_fd, const char *path, struct layout *ret, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	if (path_open_dir(dir_fd, path, &fd, e) < 0 || check_version(fd, path, e) < 0)
		return -1;
	*ret = (struct layout){
		.dir_fd = TAKE_FD(fd),
		.lock_fd = -1,
		.name = mem_strdup(path),
	};
	return 0;
}

int layout_open_writable(int dir_fd, const char *path, struct layout *ret, struct err *e)
{
	AUTO(layout) l = LAYOUT_INIT;
	bool exists = false;
	l.name = mem_strdup(path);
	if (path_make_dir(dir_fd, path, DIR_MODE, &l.dir_fd, e) < 0 ||
	    file_exists(l.dir_fd, path, LAYOUT_FILE, &exists, e) < 0)
		return -1;
	if (!exists && check_only_ours(l.dir_fd, path, e) < 0)
		return -1;
	/* oci-layout comes last: its presence says that the rest is there. */
	if (take_lock(&l, e) < 0 || layout_blobs_prepare(&l, e) < 0 ||
	    ensure_file(&l, INDEX_FILE, empty_index, e) < 0 ||
	    ensure_file(&l, LAYOUT_FILE, layout_text, e) < 0 ||
	    check_version(l.dir_fd, path, e) < 0)
		return -1;
	*ret = l;
	l = (struct layout)LAYOUT_INIT;
	return 0;
}

int layout_resolve(const struct layout *l, const char *ref, const char *os, const char *arch,
		   struct descriptor *ret, struct err *e)
{
	AUTO(layout_index) x = {0};
	const struct index_entry *found = NULL;
	if (read_index(l, &x, e) < 0)
		return -1;
	if (str_has_prefix(ref, "sha256:") || str_has_prefix(ref, "sha512:"))
		return resolve_digest(l, &x, ref, os, arch, ret, e);
	if (layout_index_find_tag(&x, ref, l->name, &found, e) < 0)
		return -1;
	return follow(l, found, ref, os, arch, ret, e);
}

static int copy_descriptor(const struct descriptor *d, struct descriptor *ret)
{
	*ret = *d;
	ret->media_type = mem_strdup(d->media_type);
	return 0;
}

int layout_entries(const struct layout *l, struct descriptor_vec *ret, struct err *e)
{
	AUTO(layout_index) x = {0};
	if (read_index(l, &x, e) < 0)
		return -1;
	for (size_t i = 0; i < x.len; i++) {
		struct descriptor d;
		copy_descriptor(&x.items[i].descriptor, &d);
		vec_push(ret, d);
	}
	return 0;
}

/* An image that is part of an index is no entry of its own. */
static int find_blob(const struct layout *l, const struct digest *d, const char *ref,
		     struct descriptor *ret, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_INDEX_BYTES);
	char *type = NULL;
	if (layout_blob_read(l, d, &text, e) < 0 ||
	    media_type_of_document(buf_text(&text), text.len, ref, &type, e) < 0)
		return -1;
	*ret = (struct descriptor){.media_type = type, .digest = *d, .size = text.len};
	return 0;
}

int layout_find(const struct layout *l, const char *ref, struct descriptor *ret, struct err *e)
{
	AUTO(layout_index) x = {0};
	const struct index_entry *found = NULL;
	struct digest d;
	if (read_index(l, &x, e) < 0)
		return -1;
	if (!str_has_prefix(ref, "sha256:") && !str_has_prefix(ref, "sha512:"))
		return layout_index_find_tag(&x, ref, l->name, &found, e) < 0
			       ? -1
			       : copy_descriptor(&found->descriptor, ret);
	if (digest_parse(ref, &d, e) < 0)
		return -1;
	found = layout_index_find_digest(&x, &d);
	return found ? copy_descriptor(&found->descriptor, ret) : find_blob(l, &d, ref, ret, e);
}

/* What we write must be what we would read: within the limits, above all. */
static int write_index(const struct layout *l, const struct layout_index *x, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_INDEX_BYTES);
	AUTO(layout_index) check = {0};
	json_write(x->doc.root, &text);
	if (buf_check(&text, l->name, e) < 0 ||
	    layout_index_parse(buf_text(&text), text.len, l->name, &check, e) < 0)
		return -1;
	return atomic_file_write(l->dir_fd, INDEX_FILE, FILE_MODE, text.data, text.len, e);
}

int layout_add_untagged(struct layout *l, const struct descriptor *d, const char *artifact_type,
			struct err *e)
{
	BUG_IF(l->lock_fd < 0);
	AUTO(layout_index) x = {0};
	if (read_index(l, &x, e) < 0)
		return -1;
	return layout_index_add(&x, d, artifact_type) ? write_index(l, &x, e) : 0;
}

int layout_set_tags(struct layout *l, const struct layout_tag *tags, size_t len,
		    bool *ret_changed, struct err *e)
{
	BUG_IF(l->lock_fd < 0);
	AUTO(layout_index) x = {0};
	if (read_index(l, &x, e) < 0)
		return -1;
	bool changed = layout_index_set_tags(&x, tags, len);
	if (changed && write_index(l, &x, e) < 0)
		return -1;
	*ret_changed = changed;
	return 0;
}

int layout_set_tag(struct layout *l, const char *tag, const struct descriptor *d,
		   const char *os, const char *arch, bool *ret_changed, struct err *e)
{
	const struct layout_tag one = {tag, d, os, arch};
	return layout_set_tags(l, &one, 1, ret_changed, e);
}

int layout_tags(const struct layout *l, struct strvec *ret, struct err *e)
{
	AUTO(layout_index) x = {0};
	if (read_index(l, &x, e) < 0)
		return -1;
	for (size_t i = 0; i < x.len; i++)
		if (x.items[i].ref_name)
			strvec_push(ret, x.items[i].ref_name);
	return 0;
}
