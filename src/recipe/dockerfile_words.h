/*
 * The words of Dockerfile arguments: splitting with quotes, here-document operators, and the
 * expansion of variables. Internal to the module.
 */
#ifndef RECIPE_DOCKERFILE_WORDS_H
#define RECIPE_DOCKERFILE_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"
#include "util/vec.h"

/* The length of the word that `text` begins with; blanks in quotes or escaped belong to it. */
size_t dockerfile_word_len(const char *text, char escape);
/* Words with their quotes and escapes as written. */
void dockerfile_split(const char *text, char escape, struct strvec *ret);
/* Words between blanks, whatever quotes there are, as COPY and others take them. */
void dockerfile_split_blanks(const char *text, struct strvec *ret);

struct dockerfile_operator {
	char *name;
	bool quoted, strip_tabs;
};
void dockerfile_operator_cleanup(struct dockerfile_operator *o);
/* The next word of the form <<NAME or <<-NAME from `text` on: what follows it, or NULL. */
const char *dockerfile_next_operator(const char *text, char escape,
				     struct dockerfile_operator *ret);

/* What a variable is. Values may hold marks of the caller's; to the expansion they are text. */
struct dockerfile_lookup {
	void *ctx;
	/* Appends the value of `name` to `out`; false if it has none. `operation` is what is
	 * done with it: one of "-+?#%/", or NUL; `fallback` the expanded word of ${name-word},
	 * else NULL. */
	bool (*get)(void *ctx, const char *name, char operation, const char *fallback,
		    struct buf *out);
};

/* Removes quotes and escapes and expands $name, ${name}, ${name:-w}, ${name-w}, ${name:+w},
 * ${name+w}, ${name:?w}, ${name#w}, ##, %, %%, ${name/w/w} and //. Tolerant: what is none of
 * these stays as it is. Returns an owned text. */
char *dockerfile_expand(const char *word, char escape, const struct dockerfile_lookup *lookup);
/* Likewise for the body of a here-document, where quotes are text. */
char *dockerfile_expand_body(const char *body, char escape,
			     const struct dockerfile_lookup *lookup);

#endif
