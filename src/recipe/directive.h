/*
 * The readers of an image's directives, one a directive, which the schema table points to. Each
 * takes a value whose shape the table has checked and which is not null (os and arch: may be).
 * Internal to the module.
 */
#ifndef RECIPE_DIRECTIVE_H
#define RECIPE_DIRECTIVE_H

#include "recipe/node.h"
#include "recipe/stackerfile.h"

typedef int directive_read(const struct node *value, struct recipe_image *image, struct err *e);

directive_read directive_from; /* from.c */
/* import.c; in this order, since all three add to recipe_image.imports, whose order is that of
 * the image's layers. */
directive_read directive_overlay_dirs;
directive_read directive_imports;
directive_read directive_import;
directive_read directive_run; /* directive.c, as all that follow */
directive_read directive_generate_labels;
directive_read directive_bom;
directive_read directive_environment;
directive_read directive_build_env;
directive_read directive_labels;
directive_read directive_annotations;
directive_read directive_cmd;
directive_read directive_entrypoint;
directive_read directive_full_command;
directive_read directive_volumes;
directive_read directive_working_dir;
directive_read directive_runtime_user;
directive_read directive_os;
directive_read directive_arch;
directive_read directive_build_only;
directive_read directive_compression;
directive_read directive_normalize;

/* USER or USER:GROUP, as `runtime_user` takes it. */
bool directive_is_user(const char *text);

#endif
