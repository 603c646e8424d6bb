/* Stages, and the images they come to. Internal to the conversion. */
#ifndef RECIPE_CONVERT_STAGE_H
#define RECIPE_CONVERT_STAGE_H

#include "recipe/convert_internal.h"

void converter_cleanup(struct converter *c);
/* FROM. */
int convert_from(struct converter *c, const struct dockerfile_instruction *i,
		 struct err *e) WARN_UNUSED;
/* The stage's configuration goes to its last image, which is shipped if it is the `last`. */
int convert_end_stage(struct converter *c, bool last, struct err *e) WARN_UNUSED;
/* convert.c: one instruction, also one of ONBUILD. */
int convert_instruction(struct converter *c, const struct dockerfile_instruction *i,
			struct err *e) WARN_UNUSED;

#endif
