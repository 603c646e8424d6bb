/*
 * The values that placeholders of stackerfiles get, from the command line, a file, and the places
 * of this run (reference/stackerfile.md 1.2). All of them are public: they become part of
 * recipes, and the places make a recipe's digest depend on the machine where they are used.
 */
#ifndef BUILD_SUBSTITUTIONS_H
#define BUILD_SUBSTITUTIONS_H

#include "build/context.h"
#include "recipe/substitute.h"

struct substitutions_options {
	const char *const *pairs; /* "KEY=VALUE", in this order */
	size_t pairs_len;
	const char *file; /* a YAML map of texts; `pairs` win over it. NULL: none */
	const struct build_dirs *dirs;
};

/* Pairs, then the file, then STACKER_ROOTFS_DIR, STACKER_STACKER_DIR, STACKER_OCI_DIR (absolute)
 * and STACKER_WORK_DIR (as given, or empty). Errors: those of recipe/substitute.h. */
int substitutions_collect(const struct substitutions_options *options,
			  struct substitution_vec *ret, struct err *e) WARN_UNUSED;

#endif
