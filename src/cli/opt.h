/*
 * Options as a table. What parses them also writes the list in --help, the shell completions and
 * the man pages, so that these cannot say different things. Every table ends in an empty entry;
 * -h and --help are understood everywhere and stand in none.
 */
#ifndef CLI_OPT_H
#define CLI_OPT_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"
#include "util/vec.h"

enum opt_kind {
	OPT_FLAG,     /* a bool: becomes true */
	OPT_TEXT,     /* a const char *: the value, borrowed from argv; the last one counts */
	OPT_TEXTS,    /* a struct strvec: every value, in order */
	OPT_ACCEPTED, /* nothing: for what is always so */
};

struct opt {
	const char *name; /* without dashes; NULL ends the table */
	char letter;	  /* 0: none */
	enum opt_kind kind;
	size_t offset;	   /* of the target in the struct that opt_parse() fills */
	const char *value; /* what help calls the value: FILE and DIR complete as such, "a|b" as
			      these words; NULL for those that take none */
	const char *help;  /* one or two sentences, without line breaks */
};

enum opt_outcome { OPT_GO_ON, OPT_HELP, OPT_WRONG };

/* Parses what stands before the first argument or, unless `stop_at_argument`, anywhere. The
 * arguments are gathered at the end of argv, from *ret_first on. OPT_WRONG: `e` says what, and an
 * option that is not in the table is argv[*ret_first]. */
enum opt_outcome opt_parse(const struct opt *options, bool stop_at_argument, int argc,
			   char **argv, void *target, int *ret_first, struct err *e);
/* The entry that "-f", "--file" or "--file=x" means, or NULL. */
const struct opt *opt_find(const struct opt *options, const char *given);

/* The list of --help, wrapped for 80 columns. */
void opt_help(const struct opt *options, struct buf *out);
/* The short form behind the command's name: "[-f FILE] [-A IMAGE]... [--json]". */
void opt_usage(const struct opt *options, struct buf *out);

#endif
