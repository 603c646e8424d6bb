/*
 * One entry of an archive in the form that everything behind the readers sees: a checked, clean
 * name, a type out of five, bounded numbers. Every reader passes its entries through one gate,
 * which holds the counters and limits of an archive in one place (SEC UN19, UN24).
 */
#ifndef IMAGE_ENTRY_H
#define IMAGE_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/file_xattrs.h"
#include "image/unpack.h"
#include "util/digest.h"

enum entry_type { ENTRY_FILE, ENTRY_DIR, ENTRY_SYMLINK, ENTRY_HARDLINK, ENTRY_FIFO };

/* Copies both. */
void entry_xattrs_add(struct file_xattrs *x, const char *name, const void *value, size_t len);
/* As above, at its place in order of name. */
void entry_xattrs_put(struct file_xattrs *x, const char *name, const void *value, size_t len);
/* Over the pairs in order of name, which this brings about; alg NONE if there are none. */
void entry_xattrs_digest(struct file_xattrs *x, struct digest *ret);

struct entry {
	char *path; /* relative, no ".", ".." or empty component, no slash at the end; "": root
		     */
	enum entry_type type;
	uint32_t mode; /* 07777 */
	uint64_t uid, gid;
	int64_t mtime_s;
	uint64_t size; /* of the data that follows; 0 unless FILE */
	char *target;  /* SYMLINK: as written. HARDLINK: a path as above. Else NULL */
	struct file_xattrs xattrs;
	/* Only from archives in overlay form: a character device 0:0, given as an empty FILE; a
	 * directory with user.overlay.opaque, which is not among its xattrs. */
	bool is_carrier, is_opaque;
};
void entry_cleanup(struct entry *entry);

struct entry_gate {
	const char *what; /* the archive, for errors */
	struct unpack_limits limits;
	bool any_owner;	   /* the archive's owners are not used, so they need not be valid */
	bool overlay_form; /* whiteouts and opacity are as overlayfs keeps them, not .wh. files */
	uint64_t entries, bytes, name_bytes;
};
/* Checks an entry whose names are still as the archive has them, and cleans them. ERR_INPUT
 * "unpack/name", "unpack/dotdot", "unpack/owner", "unpack/too-big", "unpack/too-many-entries",
 * "unpack/link", "unpack/root". */
int entry_gate_pass(struct entry_gate *gate, struct entry *entry, struct err *e) WARN_UNUSED;
/* Counts data whose size no header promised. */
int entry_gate_data(struct entry_gate *gate, const struct entry *entry, size_t len,
		    struct err *e) WARN_UNUSED;

/* "a/./b//c/" -> "a/b/c". The same rules and errors as above. */
int entry_path_clean(const char *raw, const char *what, char **ret, struct err *e) WARN_UNUSED;
/* The last component, in `path`. */
const char *entry_path_base(const char *path);

/* What to do with an extended attribute of this name (SEC UN10). */
enum entry_xattr_rule { ENTRY_XATTR_KEEP, ENTRY_XATTR_DROP, ENTRY_XATTR_REFUSE };
enum entry_xattr_rule entry_xattr_rule(const char *name);
/* Drops what was read from a file but would not be accepted from an archive. */
void entry_xattrs_filter(struct file_xattrs *x);

/* Whiteouts (SEC UN08). NONE: an ordinary name. REMOVE: *ret_path is the path it removes;
 * OPAQUE: the directory; the caller frees it. ERR_INPUT "unpack/whiteout" for malformed ones.
 */
enum entry_whiteout { ENTRY_WHITEOUT_NONE, ENTRY_WHITEOUT_REMOVE, ENTRY_WHITEOUT_OPAQUE };
int entry_whiteout_parse(const struct entry *entry, const char *what, enum entry_whiteout *ret,
			 char **ret_path, struct err *e) WARN_UNUSED;

#endif
