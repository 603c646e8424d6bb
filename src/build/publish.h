/*
 * From the output layout to where images are published: a registry, or another layout. What is
 * published is what the layout holds, byte for byte, once it is known to be what the stackerfile
 * says now.
 */
#ifndef BUILD_PUBLISH_H
#define BUILD_PUBLISH_H

#include "build/plan.h"
#include "inputs/auth.h"

enum publish_step { PUBLISH_SKIPPED, PUBLISH_WOULD, PUBLISH_BEGUN, PUBLISH_DONE };

struct publish_event {
	enum publish_step step; /* SKIPPED: the image is build_only */
	const char *file, *image;
	const char *dest;	     /* NULL if skipped */
	const struct digest *digest; /* DONE */
};

struct publish_options {
	struct plan_options plan; /* names: which images; none: all. Of its files alone */
	const char *url;	  /* "docker://HOST/PATH": to URL/NAME:TAG; "oci:PATH": to the
				     tag NAME_TAG there */
	const char *const *tags;
	size_t tags_len;
	const char *const *layer_types; /* "tar", "squashfs", "erofs"; none: tar */
	size_t layer_types_len;
	bool show_only;
	bool force; /* also what no longer is what the stackerfile says */
	bool insecure;
	const struct credential *credential; /* instead of the usual files; NULL: those */
	void (*event)(void *ctx, const struct publish_event *event);
	void *ctx;
};

/* ERR_USAGE "publish/url", "publish/tag", "publish/layer-type"; ERR_POLICY "publish/stale";
 * ERR_INPUT "publish/not-built". Nothing is published unless everything may be. */
int publish_run(struct build_context *c, const struct publish_options *options,
		struct err *e) WARN_UNUSED;

#endif
