/* The rules that every entry of an untrusted archive has to satisfy, whatever format it is in.
 */
#include "image/entry.h"

#include <stdlib.h>
#include <string.h>

#include "util/limits.h"
#include "util/mem.h"
#include "util/str.h"

enum { ENTRY_ID_MAX = 65535 }; /* what an id map maps (SEC UN24) */

#define ENTRY_TIME_MAX_S INT64_C(253402300799) /* the last second of year 9999 */
#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

void entry_xattrs_add(struct file_xattrs *x, const char *name, const void *value, size_t len)
{
	char *copy = mem_alloc(len + 1);
	if (len > 0)
		memcpy(copy, value, len);
	struct tar_xattr item = {.name = mem_strdup(name), .value = copy, .value_len = len};
	vec_push(x, item);
}

static int xattr_compare(const void *a, const void *b)
{
	const struct tar_xattr *x = a, *y = b;
	return strcmp(x->name, y->name);
}

void entry_xattrs_put(struct file_xattrs *x, const char *name, const void *value, size_t len)
{
	entry_xattrs_add(x, name, value, len);
	qsort(x->items, x->len, sizeof(*x->items), xattr_compare);
}

void entry_xattrs_digest(struct file_xattrs *x, struct digest *ret)
{
	*ret = (struct digest){.alg = DIGEST_NONE};
	if (x->len == 0)
		return;
	qsort(x->items, x->len, sizeof(*x->items), xattr_compare);
	AUTO(digest_stream) hash = {0};
	digest_stream_init(&hash, DIGEST_SHA256);
	for (size_t i = 0; i < x->len; i++) {
		const struct tar_xattr *item = &x->items[i];
		uint8_t len_le[8];
		for (size_t j = 0; j < sizeof(len_le); j++)
			len_le[j] = (uint8_t)((uint64_t)item->value_len >> (8 * j));
		digest_stream_add(&hash, item->name, strlen(item->name) + 1);
		digest_stream_add(&hash, len_le, sizeof(len_le));
		digest_stream_add(&hash, item->value, item->value_len);
	}
	digest_stream_final(&hash, ret);
}

void entry_cleanup(struct entry *entry)
{
	mem_free_cleanup(&entry->path);
	mem_free_cleanup(&entry->target);
	file_xattrs_cleanup(&entry->xattrs);
	*entry = (struct entry){0};
}

int entry_path_clean(const char *raw, const char *what, char **ret, struct err *e)
{
	size_t raw_len = strlen(raw), len = 0, depth = 0;
	if (raw_len == 0)
		return err_set(e, ERR_INPUT, "unpack/name", "an entry of '%s' has no name",
			       what);
	if (raw_len > LIMIT_PATH_BYTES)
		return err_set(e, ERR_INPUT, "unpack/name",
			       "a name in '%s' is longer than %d bytes: '%.64s...'", what,
			       LIMIT_PATH_BYTES, raw);
	AUTO_FREE char *path = mem_alloc(raw_len + 1);
	for (const char *p = raw; *p;) {
		size_t n = strcspn(p, "/");
		const char *component = p;
		p += n + (p[n] == '/');
		if (n == 0 || (n == 1 && component[0] == '.'))
			continue;
		if (n == 2 && component[0] == '.' && component[1] == '.')
			return err_set(e, ERR_INPUT, "unpack/dotdot",
				       "entry '%s' of '%s' has '..' in its name", raw, what);
		/* A whiteout names a file by prefixing it, and that name may be of full length.
		 */
		bool whiteout = str_has_prefix(component, ".wh.");
		if (n > LIMIT_COMPONENT_BYTES + (whiteout ? strlen(".wh.") : 0) ||
		    ++depth > LIMIT_TREE_DEPTH)
			return err_set(
				e, ERR_INPUT, "unpack/name",
				"entry '%.64s...' of '%s' is deeper than %d directories or "
				"has a component over %d bytes",
				raw, what, LIMIT_TREE_DEPTH, LIMIT_COMPONENT_BYTES);
		if (len > 0)
			path[len++] = '/';
		memcpy(path + len, component, n);
		len += n;
	}
	path[len] = '\0';
	*ret = TAKE_PTR(path);
	return 0;
}

const char *entry_path_base(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static int gate_target(const struct entry_gate *gate, struct entry *entry, struct err *e)
{
	if (entry->type != ENTRY_SYMLINK && entry->type != ENTRY_HARDLINK) {
		mem_free_cleanup(&entry->target);
		return 0;
	}
	size_t len = entry->target ? strlen(entry->target) : 0;
	if (len == 0 || len >= LIMIT_PATH_BYTES)
		return err_set(e, ERR_INPUT, "unpack/link",
			       "link '%s' of '%s' has no target or one over %d bytes",
			       entry->path, gate->what, LIMIT_PATH_BYTES - 1);
	if (entry->type == ENTRY_SYMLINK)
		return 0; /* text; nobody here ever follows it out of the root */
	char *target = NULL;
	if (entry_path_clean(entry->target, gate->what, &target, e) < 0)
		return -1;
	mem_free_cleanup(&entry->target);
	entry->target = target;
	return 0;
}

static int gate_numbers(struct entry_gate *gate, struct entry *entry, struct err *e)
{
	if (++gate->entries > gate->limits.max_entries)
		return err_set(e, ERR_INPUT, "unpack/too-many-entries",
			       "'%s' has more than %llu entries", gate->what,
			       (unsigned long long)gate->limits.max_entries);
	gate->name_bytes += strlen(entry->path);
	if (gate->name_bytes > LIMIT_UNPACK_NAMES_BYTES)
		return err_set(e, ERR_INPUT, "unpack/too-many-entries",
			       "the names in '%s' take more than %llu bytes", gate->what,
			       (unsigned long long)LIMIT_UNPACK_NAMES_BYTES);
	if (entry->size > gate->limits.max_bytes - gate->bytes)
		return err_set(e, ERR_INPUT, "unpack/too-big",
			       "'%s' holds more than %llu bytes with entry '%s'", gate->what,
			       (unsigned long long)gate->limits.max_bytes, entry->path);
	if (!gate->any_owner && (entry->uid > ENTRY_ID_MAX || entry->gid > ENTRY_ID_MAX))
		return err_set(
			e, ERR_INPUT, "unpack/owner",
			"entry '%s' of '%s' belongs to %llu:%llu, only ids up to %d exist "
			"in an image",
			entry->path, gate->what, (unsigned long long)entry->uid,
			(unsigned long long)entry->gid, ENTRY_ID_MAX);
	if (entry->mtime_s > ENTRY_TIME_MAX_S)
		return err_set(e, ERR_INPUT, "unpack/time",
			       "entry '%s' of '%s' has a time beyond year 9999", entry->path,
			       gate->what);
	if (entry->mtime_s < 0)
		entry->mtime_s = 0;
	entry->mode &= 07777; /* old writers put the type into it as well */
	return 0;
}

int entry_gate_pass(struct entry_gate *gate, struct entry *entry, struct err *e)
{
	BUG_IF(gate->bytes > gate->limits.max_bytes);
	size_t len = strlen(entry->path);
	if (entry->type != ENTRY_DIR && len > 1 && entry->path[len - 1] == '/')
		return err_set(e, ERR_INPUT, "unpack/name",
			       "entry '%s' of '%s' ends in '/' but is no directory",
			       entry->path, gate->what);
	char *path = NULL;
	if (entry_path_clean(entry->path, gate->what, &path, e) < 0)
		return -1;
	mem_free_cleanup(&entry->path);
	entry->path = path;
	if (path[0] == '\0' && entry->type != ENTRY_DIR)
		return err_set(e, ERR_INPUT, "unpack/root",
			       "'%s' replaces its own root directory", gate->what);
	if (gate_numbers(gate, entry, e) < 0 || gate_target(gate, entry, e) < 0)
		return -1;
	gate->bytes += entry->size;
	return 0;
}

int entry_gate_data(struct entry_gate *gate, const struct entry *entry, size_t len,
		    struct err *e)
{
	if (len > gate->limits.max_bytes - gate->bytes)
		return err_set(e, ERR_INPUT, "unpack/too-big",
			       "'%s' holds more than %llu bytes with entry '%s'", gate->what,
			       (unsigned long long)gate->limits.max_bytes, entry->path);
	gate->bytes += len;
	return 0;
}

enum entry_xattr_rule entry_xattr_rule(const char *name)
{
	/* Overlay's own would hide or redirect lower files. */
	if (str_has_prefix(name, "user.overlay.") || str_has_prefix(name, "trusted."))
		return ENTRY_XATTR_REFUSE;
	if (str_has_prefix(name, "user.") || str_same(name, "security.capability") ||
	    str_same(name, "system.posix_acl_access") ||
	    str_same(name, "system.posix_acl_default"))
		return ENTRY_XATTR_KEEP;
	/* The host's labels, and other systems' namespaces, which Linux cannot hold at all. */
	if (str_same(name, "security.selinux") || str_same(name, "system.nfs4_acl"))
		return ENTRY_XATTR_DROP;
	if (str_has_prefix(name, "security.") || str_has_prefix(name, "system."))
		return ENTRY_XATTR_REFUSE;
	return ENTRY_XATTR_DROP;
}

void entry_xattrs_filter(struct file_xattrs *x)
{
	size_t kept = 0;
	for (size_t i = 0; i < x->len; i++) {
		struct tar_xattr item = x->items[i];
		if (entry_xattr_rule(item.name) == ENTRY_XATTR_KEEP) {
			x->items[kept++] = item;
		} else {
			mem_free_cleanup(&item.name);
			mem_free_cleanup(&item.value);
		}
	}
	x->len = kept;
}

static int whiteout_error(const struct entry *entry, const char *what, struct err *e)
{
	return err_set(e, ERR_INPUT, "unpack/whiteout", "'%s' of '%s' is no valid whiteout",
		       entry->path, what);
}

int entry_whiteout_parse(const struct entry *entry, const char *what, enum entry_whiteout *ret,
			 char **ret_path, struct err *e)
{
	const char *base = entry_path_base(entry->path);
	for (const char *p = entry->path; p < base; p += strcspn(p, "/") + 1)
		if (str_has_prefix(p, WHITEOUT_PREFIX))
			return whiteout_error(entry, what, e);
	*ret = ENTRY_WHITEOUT_NONE;
	*ret_path = NULL;
	if (!str_has_prefix(base, WHITEOUT_PREFIX))
		return 0;
	if (entry->type != ENTRY_FILE || entry->size != 0)
		return whiteout_error(entry, what, e);
	size_t dir_len = base > entry->path ? (size_t)(base - entry->path) - 1 : 0;
	AUTO_FREE char *dir = mem_strndup(entry->path, dir_len);
	if (str_same(base, WHITEOUT_OPAQUE)) {
		*ret = ENTRY_WHITEOUT_OPAQUE;
		*ret_path = TAKE_PTR(dir);
		return 0;
	}
	const char *name = base + sizeof(WHITEOUT_PREFIX) - 1;
	if (name[0] == '\0' || str_same(name, ".") || str_same(name, "..") ||
	    str_has_prefix(name, WHITEOUT_PREFIX))
		return whiteout_error(entry, what, e);
	*ret = ENTRY_WHITEOUT_REMOVE;
	*ret_path = dir_len > 0 ? mem_printf("%s/%s", dir, name) : mem_strdup(name);
	return 0;
}
