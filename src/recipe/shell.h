/*
 * Shell scripts as lint sees them: which commands with which words, which variables, where.
 * Not a shell: nothing is expanded or run, and what is not understood is passed over, since a
 * missed warning costs less than a wrong one. Comments and here-documents are no commands;
 * command substitutions, also in double quotes, are. Never fails.
 */
#ifndef RECIPE_SHELL_H
#define RECIPE_SHELL_H

#include <stdbool.h>
#include <stddef.h>

#include "util/vec.h"

struct shell_word {
	char *text;    /* without quotes; variables and substitutions as written */
	size_t offset; /* of its first byte in the script */
};
struct shell_word_vec VEC_OF(struct shell_word);

struct shell_command {
	struct shell_word_vec words;   /* [0] names it, without directories; never empty.
					  Assignments and words like `if`, `sudo`, `env` that
					  stand before it are gone */
	struct shell_word_vec targets; /* of redirections */
	size_t pipeline;	       /* commands of one pipeline share a number, in order */
	bool piped;		       /* its output goes to the next one of the pipeline */
	bool fed;		       /* its input comes from another one */
	bool captured;		       /* stands in $(...) or `...` */
};
struct shell_command_vec VEC_OF(struct shell_command);

struct shell_script {
	struct shell_command_vec commands; /* in order of their ends */
	struct shell_word_vec variables;   /* names that are expanded */
};

void shell_script_cleanup(struct shell_script *s);
void shell_scan(const char *text, size_t len, struct shell_script *ret);

#endif
