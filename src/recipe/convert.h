/*
 * A Dockerfile as a stackerfile. Every instruction is either mapped or leaves a comment that says
 * why not and what to do. Pure but for the two questions it asks about the build context, which
 * is where COPY takes files from.
 *
 * A stage becomes a chain of images: a stackerfile's imports come before its script, so that a
 * COPY after a RUN begins another image. All but the last image are `build_only`; as those hand
 * on files only, what the configuration has come to is kept here and written to the last one.
 * An ARG becomes a substitution, ${{ARG_NAME:default}}.
 */
#ifndef RECIPE_CONVERT_H
#define RECIPE_CONVERT_H

#include "recipe/dockerfile.h"
#include "util/buf.h"
#include "util/map.h"
#include "util/vec.h"

enum convert_kind { CONVERT_ABSENT, CONVERT_FILE, CONVERT_DIR };

/* The build context. Paths are relative to it, without "." and ".."; "" is itself. */
struct convert_files {
	void *ctx;
	enum convert_kind (*kind)(void *ctx, const char *path);
	/* The names in a directory, in byte order. */
	int (*list)(void *ctx, const char *path, struct strvec *ret, struct err *e);
};

struct convert_options {
	const char *file;	/* the Dockerfile's name, for comments and errors */
	const char *prefix;	/* leads from the stackerfile to the context: "" or "../src/" */
	const char *name;	/* of the last image, where its stage has no name */
	const struct map *args; /* values of ARGs instead of their defaults; or NULL */
	const char *ignore;	/* the text of .dockerignore, or NULL */
	const struct convert_files *files;
	const struct strvec *outputs; /* top-level names of the context that are never imported:
					 what stacker itself writes there; or NULL */
};

struct convert_result {
	struct buf stackerfile;
	struct buf substitutions; /* for --substitute-file */
	size_t comments;	  /* things that were not or not wholly converted */
};
void convert_result_cleanup(struct convert_result *r);

/* Errors, at the Dockerfile's line: "dockerfile/syntax", "dockerfile/too-big",
 * "dockerfile/no-stage". */
int convert_dockerfile(const struct dockerfile *d, const struct convert_options *options,
		       struct convert_result *ret, struct err *e) WARN_UNUSED;

#endif
