/* What the files of the tree share; internal to the image module. */
#ifndef IMAGE_TREE_INTERNAL_H
#define IMAGE_TREE_INTERNAL_H

#include "image/tree.h"

void tree_entry_cleanup(struct tree_entry *entry);
/* Into byte order of path. */
void tree_sort(struct tree *t);

#endif
