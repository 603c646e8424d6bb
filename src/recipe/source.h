/*
 * Where an import's or a tar base's bytes come from: a file of the user's tree, pinned URLs, or
 * another image (stacker://). Only parsing; nothing is looked up.
 */
#ifndef RECIPE_SOURCE_H
#define RECIPE_SOURCE_H

#include "recipe/node.h"
#include "recipe/stackerfile.h"

/* The nodes that describe one source; NULL where absent. */
struct source_nodes {
	const struct node *path; /* required */
	const struct node *hash;
	const struct node *urls; /* further URLs of the same pin */
	const struct node *size;
	const char *path_key; /* what `path` is called where it stands: "path", "url" ... */
	bool is_local_dir;    /* must be a local directory, whose contents are meant */
};

/* A URL may have no hash yet; see pin.h. Errors: "recipe/bad-hash", "recipe/bad-url", "recipe/bad-path",
 * "recipe/no-effect". */
int source_parse(const struct source_nodes *nodes, struct recipe_source *ret,
		 struct err *e) WARN_UNUSED;
void recipe_source_cleanup(struct recipe_source *s);

#endif
