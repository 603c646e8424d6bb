/* The tree document: the canonical JSON text of a struct local_tree, and its strict reader. */
#ifndef INPUTS_LOCAL_TREE_INTERNAL_H
#define INPUTS_LOCAL_TREE_INTERNAL_H

#include "inputs/local.h"
#include "util/buf.h"

/* `t` is sorted and complete. Fails only by being too big. */
int local_tree_write(const struct local_tree *t, struct buf *out, struct err *e) WARN_UNUSED;
/* Accepts exactly the texts that local_tree_write() makes; else ERR_INPUT "import/bad-tree". */
int local_tree_read(const char *text, size_t len, struct local_tree *ret,
		    struct err *e) WARN_UNUSED;

#endif
