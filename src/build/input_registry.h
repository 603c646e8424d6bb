/*
 * Inputs kept in registries, which conf.yaml lists under `inputs`: each file is the one layer of
 * an artifact under the tag "input-<sha256 hex>", so that the registry keeps it for as long as
 * it keeps the tag. They are asked by hash before any URL is. Base images are there under their
 * own digests. Pins by sha512 are not looked for, as a tag cannot hold one.
 */
#ifndef BUILD_INPUT_REGISTRY_H
#define BUILD_INPUT_REGISTRY_H

#include "build/plan.h"
#include "inputs/fetch.h"

#define INPUT_ARTIFACT_TYPE "application/vnd.stacker-hermetic.input.v1"

/* Brings into the store what it lacks and a registry has. A registry that fails is warned about,
 * and the URLs are asked as if it were not there. */
int input_registry_bring(struct build_context *c, const struct pin *pins, size_t len,
			 struct err *e) WARN_UNUSED;

/* Pushes every input and base image of the needed images, all of which are in the store, to
 * every registry that lacks it. */
struct input_push_report {
	size_t pushed, present;
};
int input_registry_push(struct build_context *c, const struct plan *p,
			struct input_push_report *ret, struct err *e) WARN_UNUSED;

#endif
