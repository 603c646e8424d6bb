/*
 * Puts one import into a root file system (an overlay's merged view, or a staging directory),
 * inside a worker. Destination rules: reference/stackerfile.md 1.6 with U6, U9, U10, U27, U28
 * and U35 fixed: existing parents keep their attributes, missing ones are 0755 root:root,
 * symlinks in the destination are followed inside the root, setuid bits survive.
 */
#ifndef IMAGE_IMPORT_H
#define IMAGE_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/digest.h"

enum import_type { IMPORT_FILE, IMPORT_DIR, IMPORT_SYMLINK };

struct import_entry {
	const char *path; /* relative, "" for the root of the import; parents come first */
	enum import_type type;
	uint32_t mode;
	struct digest digest; /* FILE */
	const char *target;   /* SYMLINK */
};

struct import_options {
	const char *name; /* base name of what is imported; for errors and placement */
	bool contents;	  /* the source path ended in "/" */
	const char *dest; /* absolute; a trailing "/" counts */
	int32_t mode;	  /* for regular files, or -1: as the source */
	int64_t uid, gid; /* or -1: 0 */
	int64_t epoch_s;  /* mtime of everything that is written */
	int blobs_fd;	  /* the store's blobs/ directory, to read content from */
};

/* Local trees and single blobs (one entry with path ""). ERR_INPUT "import/...". A file whose
 * dest is an existing directory without trailing slash is refused with a hint (U28). */
int import_entries(const struct import_entry *entries, size_t entries_len,
		   const struct import_options *options, int root_fd,
		   struct err *e) WARN_UNUSED;
/* stacker://: copies `path` (absolute, resolved inside `from_root_fd`) with modes, links and
 * symlinks; owners are kept unless uid/gid are given; blobs_fd is not used. */
int import_from_root(int from_root_fd, const char *path, const struct import_options *options,
		     int root_fd, struct err *e) WARN_UNUSED;

#endif
