/*
 * A Dockerfile as instructions: parser directives, comments, line continuations, here-documents
 * and flags are dealt with here; what the arguments mean is left to whoever converts them.
 * After https://docs.docker.com/reference/dockerfile/. Pure.
 */
#ifndef RECIPE_DOCKERFILE_H
#define RECIPE_DOCKERFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/vec.h"

struct dockerfile_flag {
	char *name;  /* without "--" */
	char *value; /* "" if none was given */
};
struct dockerfile_flag_vec VEC_OF(struct dockerfile_flag);

struct dockerfile_heredoc {
	char *name;    /* what the operator names, without quotes */
	char *content; /* with a line break at the end of each line; tabs stripped if asked */
	bool expands;  /* the name was not quoted */
};
struct dockerfile_heredoc_vec VEC_OF(struct dockerfile_heredoc);

struct offset_vec VEC_OF(size_t);

struct dockerfile_instruction {
	char *keyword; /* in upper case, one that there is */
	uint32_t line; /* where it begins */
	struct dockerfile_flag_vec flags;
	char *text;		  /* the arguments, lines joined as Docker joins them */
	struct offset_vec joints; /* where in `text` they were joined */
	bool is_json;		  /* the exec form */
	struct strvec words;	  /* of the exec form */
	struct dockerfile_heredoc_vec heredocs; /* RUN, COPY and ADD */
};
struct dockerfile_instruction_vec VEC_OF(struct dockerfile_instruction);

struct dockerfile {
	char escape; /* backslash, or the backtick of `# escape=` */
	struct dockerfile_instruction_vec instructions;
};

void dockerfile_instruction_cleanup(struct dockerfile_instruction *i);
void dockerfile_cleanup(struct dockerfile *d);

/* Errors, at their line: "dockerfile/too-big", "dockerfile/encoding", "dockerfile/unknown",
 * "dockerfile/syntax". */
int dockerfile_parse(const char *text, size_t len, const char *file, struct dockerfile *ret,
		     struct err *e) WARN_UNUSED;
/* One instruction without here-documents, such as ONBUILD's; `line` is where it stands. */
int dockerfile_parse_instruction(const char *text, char escape, const struct pos *pos,
				 struct dockerfile_instruction *ret, struct err *e) WARN_UNUSED;

/* The value of a flag, or NULL. The last one counts. */
const char *dockerfile_flag(const struct dockerfile_instruction *i, const char *name);

#endif
