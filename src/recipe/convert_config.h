/* One function an instruction, or several of a kind. Internal to the conversion. */
#ifndef RECIPE_CONVERT_CONFIG_H
#define RECIPE_CONVERT_CONFIG_H

#include "recipe/convert_internal.h"

#define CONVERT_NO_VALUE "\x03" /* of an ARG without default; flattens to nothing */

typedef int convert_handler(struct converter *c, const struct dockerfile_instruction *i,
			    struct err *e);

convert_handler convert_on_arg;
convert_handler convert_on_pairs;
convert_handler convert_on_cmd;
convert_handler convert_on_entrypoint;
convert_handler convert_on_shell;
convert_handler convert_on_user;
convert_handler convert_on_workdir;
convert_handler convert_on_volume;
convert_handler convert_on_maintainer;
convert_handler convert_on_onbuild;
convert_handler convert_on_other;

/* What Docker knows of the platform without being told, or NULL. */
const char *convert_platform_default(const char *name);

#endif
