/*
 * The irreproducible habits that lint knows, as a table. A rule is about a command, a variable
 * or a path; docs/lint.md has a section for each id. Internal to the module.
 */
#ifndef RECIPE_LINT_RULES_H
#define RECIPE_LINT_RULES_H

#include <stdbool.h>
#include <stddef.h>

enum lint_kind {
	LINT_COMMAND,  /* see the fields below */
	LINT_VARIABLE, /* `names` are variables that the script expands */
	LINT_PATH,     /* `names` are patterns of paths that it names anywhere */
};

/* Lists are words with spaces between; patterns are those of fnmatch(3). NULL: does not matter.
 */
struct lint_rule {
	const char *id; /* without "lint/" */
	enum lint_kind kind;
	const char *names;
	const char *verbs;  /* patterns: the first argument that is no option */
	const char *needs;  /* patterns: the rule holds only if an argument matches */
	const char *unless; /* patterns: it does not if one does */
	const char *pinned; /* patterns: nor if all arguments after the verb (or all, without
			       one) that are no options match, and there are some */
	const char *sorted; /* it holds only if the output is piped or captured, and no command
			       later in the pipeline is one of these */
	const char *undone; /* nor if the script runs one of these commands anywhere */
	bool not_fed;	    /* nor if its input comes from a pipe */
	const char *reason; /* follows the command in quotes */
	const char *remedy;
	const char *snippet; /* lines to paste, or NULL */
};

extern const struct lint_rule lint_rules[];
extern const size_t lint_rules_len;

#endif
