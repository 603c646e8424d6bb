/* The archive of a bundle: an OCI layout as one tar. Internal to the module. */
#ifndef BUILD_BUNDLE_ARCHIVE_H
#define BUILD_BUNDLE_ARCHIVE_H

#include <jansson.h>

#include "inputs/store.h"
#include "util/map.h"

/* Everything is borrowed. */
struct bundle_archive {
	const struct store *store;
	const struct map
		*blobs;	     /* the keys, "sha256:...", are what goes in; all in the store */
	const json_t *index; /* becomes index.json */
};

/* Writes `path` whole or not at all: blobs in byte order of name, each hashed before, then
 * index.json and oci-layout. Errors: those of the store, "store/damaged", "system/call". */
int bundle_archive_write(const struct bundle_archive *a, const char *path,
			 struct err *e) WARN_UNUSED;

#endif
