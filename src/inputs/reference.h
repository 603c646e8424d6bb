/*
 * Names of images in registries, by the grammar of the distribution project's "reference"
 * package: "HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]", with or without "docker://" before it. The
 * host must be written: a name like "debian" would mean what a configuration file says. Only
 * "docker.io/NAME" is completed, to "docker.io/library/NAME", since no other can be meant.
 */
#ifndef INPUTS_REFERENCE_H
#define INPUTS_REFERENCE_H

#include "util/buf.h"
#include "util/digest.h"

#define REFERENCE_SCHEME "docker://"

struct reference {
	char *host;	  /* lower case, with ":PORT" if one was given; "docker.io" stays so */
	char *repository; /* "library/debian" */
	char *tag;	  /* NULL: none was given */
	struct digest digest; /* alg NONE: none was given */
};
void reference_cleanup(struct reference *r);

/* ERR_INPUT "registry/reference", "registry/no-host". */
int reference_parse(const char *text, struct reference *ret, struct err *e) WARN_UNUSED;
/* True if it is a tag: [A-Za-z0-9_][A-Za-z0-9._-]{0,127}. */
bool reference_is_tag(const char *text);
bool reference_is_repository(const char *text);

#endif
