/* Internal to the module: the `imports` directive's results. */
#ifndef RECIPE_IMPORT_H
#define RECIPE_IMPORT_H

#include "recipe/stackerfile.h"

void recipe_import_cleanup(struct recipe_import *i);

#endif
