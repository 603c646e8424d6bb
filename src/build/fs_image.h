/*
 * Layer trees into file system images, by the distribution's tools in a sandbox of their own
 * (sandbox/tool.h). The bytes depend on the tree, the date and the tool's version alone: all else
 * that the tools would invent is given to them or made equal afterwards.
 */
#ifndef BUILD_FS_IMAGE_H
#define BUILD_FS_IMAGE_H

#include "build/layer_type.h"
#include "build/result.h"

/* The tool that makes images of this type and its version, with those of the libraries that
 * compress: "squashfs-tools-ng 1.2.0, libzstd.so.1.5.4". Part of the recipe of an
 * image of this type. The caller frees. ERR_SANDBOX "sandbox/tool-missing". */
int fs_image_tool(const struct build_context *c, enum layer_type type, char **ret,
		  struct err *e) WARN_UNUSED;

struct fs_image_options {
	enum layer_type type;
	const struct digest *chain_id; /* of the layer whose tree, in roots/, it is made of */
	int64_t epoch_s;
	bool no_verity;
};
/* The image is in the store then. */
int fs_image_make(struct build_context *c, const struct fs_image_options *options,
		  struct descriptor *ret, struct err *e) WARN_UNUSED;

#endif
