/*
 * Bundles: everything that building and verifying an image needs, in one tar archive of an OCI
 * layout. It holds the images; and a manifest of type BUNDLE_TYPE whose layers are all blobs of
 * the archive and whose config says what they are for: stackerfiles, locks and the user's own
 * files as one tree, from a directory that holds them all; inputs and base images by digest.
 * Opened, the tree is made anew below the state directory, so that relative paths lead where
 * they led, and the blobs are in the store, so that nothing needs to be fetched.
 */
#ifndef BUILD_BUNDLE_H
#define BUILD_BUNDLE_H

#include "build/build.h"

#define BUNDLE_TYPE "application/vnd.stacker-hermetic.bundle.v1+json"

/* Of a build that was done: its images are in the cache, its inputs in the store. Writes `path`
 * whole or not at all. ERR_INPUT "bundle/absolute-path": what a stackerfile names absolutely
 * would not be found elsewhere. */
int bundle_write(struct build_context *c, const struct plan_options *options, const char *path,
		 struct err *e) WARN_UNUSED;

struct bundle {
	char *dir;	     /* absolute: STATE/bundle/HEX */
	char *cwd;	     /* absolute: where the commands have to run */
	char *oci;	     /* absolute: a layout with the images */
	struct strvec files; /* the stackerfiles, relative to cwd */
	struct strvec names; /* images, or empty: all */
	struct substitution_vec substitutions;
	char *annotations_namespace;
};
void bundle_cleanup(struct bundle *b);

/* The archive is read by an unpacker, and every blob is hashed before it is used. `c->dirs.state`
 * is absolute. ERR_INPUT "bundle/malformed", ERR_MISMATCH for wrong bytes. */
int bundle_open(struct build_context *c, const char *path, struct bundle *ret,
		struct err *e) WARN_UNUSED;
/* What the bundle asks to be planned; borrows from it. */
void bundle_plan(const struct bundle *b, struct plan_options *ret);

#endif
