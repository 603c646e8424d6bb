/*
 * Splits a command written as one string into words, by the rules upstream applies to cmd,
 * entrypoint and full_command (reference/stackerfile.md 1.8): Unicode white space separates; '
 * and " quote, also mid-word; backslash escapes any one character, inside " only \ and ",
 * inside ' nothing; no variables, globs, operators or comments; words that come out empty are
 * dropped.
 */
#ifndef RECIPE_WORDS_H
#define RECIPE_WORDS_H

#include "util/err.h"
#include "util/vec.h"

/* `text` is UTF-8. ERR_RECIPE "recipe/bad-command", without position: unclosed quote, or
 * backslash at the end. `ret` is appended to. */
int words_split(const char *text, struct strvec *ret, struct err *e) WARN_UNUSED;

#endif
