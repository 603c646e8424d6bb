/*
 * The check of a YAML file's bytes before libyaml sees them. Besides refusing what is not clean
 * text it leaves one kind of line break only: YAML 1.1 also breaks lines at NEL, LS and PS,
 * which no editor shows, so that a reader would see another file than the parser.
 */
#ifndef RECIPE_YAML_TEXT_H
#define RECIPE_YAML_TEXT_H

#include <stddef.h>

#include "util/err.h"

/* ERR_RECIPE "yaml/too-big", "yaml/encoding", "yaml/control-character". */
int yaml_text_check(const char *text, size_t len, const char *file, struct err *e) WARN_UNUSED;
/* The position of byte `offset`; columns count characters. */
struct pos yaml_text_pos(const char *text, size_t offset, const char *file);

#endif
