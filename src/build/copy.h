/*
 * Copies an image, or an index with all its images, between registries and OCI layouts, byte
 * for byte, with the manifests that refer to it if that is asked for. What the destination has
 * is not transferred; what was transferred before a fault is not transferred again.
 */
#ifndef BUILD_COPY_H
#define BUILD_COPY_H

#include "build/remote.h"

struct copy_options {
	const char *from; /* "docker://...", "oci:PATH:TAG", "oci:PATH@sha256:HEX" */
	const char *to;	  /* "docker://HOST/REPOSITORY[:TAG]", "oci:PATH:TAG" */
	bool from_insecure, to_insecure;
	const struct remote_platform *platform; /* NULL: everything */
	bool referrers;
};

struct copy_report {
	struct digest digest; /* of what the destination is named after */
	size_t referrers;
	struct registry_push_report pushed; /* if the destination is a registry */
};

/* ERR_USAGE "copy/place" for what is no place, else the errors of registries and layouts. */
int copy_image(struct build_context *c, const struct copy_options *options,
	       struct copy_report *ret, struct err *e) WARN_UNUSED;

#endif
