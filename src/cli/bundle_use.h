/* What --bundle does for a command: its stackerfiles, its inputs, its images instead of ours. */
#ifndef CLI_BUNDLE_USE_H
#define CLI_BUNDLE_USE_H

#include "build/bundle.h"
#include "cli/command.h"
#include "cli/plan_args.h"

#define BUNDLE_USE_OPTION(type, member)                                                        \
	{                                                                                      \
		"bundle", 0, OPT_TEXT, offsetof(type, member), "FILE",                         \
			"take stackerfiles, inputs and images from what 'stacker bundle' "     \
			"wrote, and need nothing else"                                         \
	}

struct bundle_use {
	struct cli cli; /* the command's, with directories that stay where they are */
	char *state, *roots, *oci;
	struct bundle bundle;
};
void bundle_use_cleanup(struct bundle_use *u);

/* First: makes u->cli, to open the context with. What else says which stackerfile, or how it is
 * to be read, would not be heeded, so that it is an error. */
int bundle_use_prepare(const struct cli *cli, const struct plan_args *args,
		       struct bundle_use *ret, struct err *e) WARN_UNUSED;
/* Then: opens the bundle, plans what it holds (names in `plan` that are given already stay) and
 * changes to its directory. */
int bundle_use_enter(struct bundle_use *u, struct build_context *c, const char *path,
		     struct plan_options *plan, struct err *e) WARN_UNUSED;

#endif
