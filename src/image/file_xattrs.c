/* flistxattr order is the file system's, values may vanish or grow between calls; none of that
 * reaches the result. */
#include "image/file_xattrs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "image/entry.h"
#include "util/mem.h"
#include "util/str.h"

enum {
	/* The kernel's own limits, XATTR_LIST_MAX and XATTR_SIZE_MAX. */
	LIST_BYTES_MAX = 64 * 1024,
	VALUE_BYTES_MAX = 64 * 1024,
	/* struct vfs_ns_cap_data: v2 is 20 bytes, v3 adds the root id of a user namespace. */
	CAP_V2_BYTES = 20,
	CAP_V3_BYTES = 24,
	CAP_V2_REVISION = 2,
	CAP_V3_REVISION = 3,
	CAP_REVISION_BYTE = 3, /* the most significant of a little-endian word */
};

/* overlayfs writes these itself, and escapes what a step sets to user.overlay.overlay.*: none
 * of them is the image's, and kept ones would steer whoever mounts the layer (SEC UN10, SB49).
 */
static const char *overlay_key(const char *name)
{
	static const char *const prefixes[] = {"user.overlay.", "trusted.overlay."};
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		if (str_has_prefix(name, prefixes[i]))
			return name + strlen(prefixes[i]);
	}
	return NULL;
}

/* The kernel shows a capability of the reader's own user namespace as v2 and any other as v3.
 */
static size_t normalise_capability(unsigned char *value, size_t len)
{
	if (len != CAP_V3_BYTES || value[CAP_REVISION_BYTE] != CAP_V3_REVISION)
		return len;
	value[CAP_REVISION_BYTE] = CAP_V2_REVISION;
	return CAP_V2_BYTES;
}

static int note_overlay(const char *key, const unsigned char *value, size_t len,
			const char *path, struct file_xattrs *ret, struct err *e)
{
	if (strcmp(key, "opaque") == 0) {
		ret->is_opaque = len == 1 && value[0] == 'y';
	} else if (strcmp(key, "whiteout") == 0) {
		ret->is_whiteout = true;
	} else if (strcmp(key, "redirect") == 0 || strcmp(key, "metacopy") == 0) {
		err_set(e, ERR_INPUT, "layer/overlay-feature",
			"'%s' was written with overlay.%s", path, key);
		return err_hint(e, "mount the overlay without redirect_dir and metacopy");
	}
	return 0;
}

static int read_one(int fd, const char *name, const char *path, unsigned char *value,
		    struct file_xattrs *ret, struct err *e)
{
	ssize_t got = fgetxattr(fd, name, value, VALUE_BYTES_MAX);
	if (got < 0) {
		/* Listed yet not ours to read (another namespace's trusted.*), or gone. */
		if (errno == ENODATA || errno == EPERM || errno == EACCES ||
		    errno == EOPNOTSUPP)
			return 0;
		return err_sys(e, "cannot read extended attribute '%s' of '%s'", name, path);
	}
	size_t len = (size_t)got;
	const char *key = overlay_key(name);
	if (key)
		return note_overlay(key, value, len, path, ret, e);
	/* The rest is the host's, such as a security module's labels, and differs between
	 * hosts. */
	if (len == 0 || entry_xattr_rule(name) != ENTRY_XATTR_KEEP)
		return 0;
	if (str_same(name, "security.capability"))
		len = normalise_capability(value, len);
	void *copy = mem_alloc(len);
	memcpy(copy, value, len);
	struct tar_xattr x = {.name = mem_strdup(name), .value = copy, .value_len = len};
	vec_push(ret, x);
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	const struct tar_xattr *x = a, *y = b;
	return strcmp(x->name, y->name);
}

void file_xattrs_cleanup(struct file_xattrs *x)
{
	for (size_t i = 0; i < x->len; i++) {
		mem_free_cleanup(&x->items[i].name);
		mem_free_cleanup(&x->items[i].value);
	}
	vec_free(x);
}

int file_xattrs_read(int fd, const char *path, struct file_xattrs *ret, struct err *e)
{
	ssize_t probe = flistxattr(fd, NULL, 0);
	if (probe == 0 || (probe < 0 && errno == EOPNOTSUPP)) {
		*ret = (struct file_xattrs){0};
		return 0;
	}
	AUTO_FREE char *names = mem_alloc(LIST_BYTES_MAX);
	AUTO_FREE unsigned char *value = mem_alloc(VALUE_BYTES_MAX);
	ssize_t len = probe < 0 ? probe : flistxattr(fd, names, LIST_BYTES_MAX);
	if (len < 0)
		return err_sys(e, "cannot list extended attributes of '%s'", path);
	AUTO(file_xattrs) found = {0};
	for (const char *name = names; name < names + len; name += strlen(name) + 1) {
		if (read_one(fd, name, path, value, &found, e) < 0)
			return -1;
	}
	if (found.len > 0)
		qsort(found.items, found.len, sizeof(found.items[0]), compare_names);
	*ret = found;
	found = (struct file_xattrs){0};
	return 0;
}

bool file_xattrs_equal(const struct file_xattrs *a, const struct file_xattrs *b)
{
	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++) {
		const struct tar_xattr *x = &a->items[i], *y = &b->items[i];
		if (strcmp(x->name, y->name) != 0 || x->value_len != y->value_len ||
		    memcmp(x->value, y->value, x->value_len) != 0)
			return false;
	}
	return true;
}
