/* The options that every command which evaluates stackerfiles has in common. */
#ifndef CLI_PLAN_ARGS_H
#define CLI_PLAN_ARGS_H

#include "build/annotation.h"
#include "build/plan.h"
#include "build/search.h"
#include "cli/command.h"

struct plan_args {
	const char *file;	/* PLAN_ARGS_FILE unless given */
	const char *search_dir; /* NULL: `file`; else what is found below it by `pattern` */
	const char *pattern;
	struct strvec substitute;
	const char *substitute_file;
	const char *annotations_namespace;
	struct substitution_vec substitutions; /* filled by plan_args_read() */
	struct strvec found;		       /* likewise */
};
#define PLAN_ARGS_FILE "stacker.yaml"
#define PLAN_ARGS_INIT                                                                         \
	{                                                                                      \
		.file = PLAN_ARGS_FILE, .pattern = SEARCH_PATTERN                              \
	}
void plan_args_cleanup(struct plan_args *a);

/* Entries of a command's table of options, whose target has a struct plan_args. */
#define PLAN_ARGS_FILE_OPTION(type, member)                                                    \
	{                                                                                      \
		"stacker-file", 'f', OPT_TEXT, offsetof(type, member.file), "FILE",            \
			"the stackerfile (default: " PLAN_ARGS_FILE ")"                        \
	}
/* clang-format off */
#define PLAN_ARGS_SEARCH_OPTIONS(type, member)                                                 \
	{"search-dir", 'd', OPT_TEXT, offsetof(type, member.search_dir), "DIR",                \
	 "where to look for stackerfiles (default: .)"},                                       \
	{"stacker-file-pattern", 'p', OPT_TEXT, offsetof(type, member.pattern), "REGEX",       \
	 "which paths are stackerfiles (default: " SEARCH_PATTERN ")"}
/* clang-format on */
#define PLAN_ARGS_SUBSTITUTE_HELP                                                              \
	"what '${{KEY}}' stands for; may be repeated. It becomes part of recipes, so it must " \
	"not be secret"
#define PLAN_ARGS_NAMESPACE_HELP                                                                \
	"what the keys of stacker's own annotations begin with (default: " ANNOTATION_NAMESPACE \
	"); part of the recipe"
/* clang-format off */
#define PLAN_ARGS_OPTIONS(type, member)                                                        \
	{"substitute", 0, OPT_TEXTS, offsetof(type, member.substitute), "KEY=VALUE",           \
	 PLAN_ARGS_SUBSTITUTE_HELP},                                                           \
	{"substitute-file", 0, OPT_TEXT, offsetof(type, member.substitute_file), "FILE",       \
	 "a YAML map of further substitutions"},                                               \
	{"annotations-namespace", 0, OPT_TEXT, offsetof(type, member.annotations_namespace),   \
	 "NAMESPACE", PLAN_ARGS_NAMESPACE_HELP}
/* clang-format on */

/* After the options were parsed: what they ask for. Borrows from `a`; names are the caller's. */
int plan_args_read(const struct cli *cli, struct plan_args *a, struct plan_options *ret,
		   struct err *e) WARN_UNUSED;

#endif
