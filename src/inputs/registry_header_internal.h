/*
 * The fields of a registry's responses, beyond those of http_header_internal.h. They come from
 * a server that is not trusted: what does not parse is as if it were not there, and what is
 * taken from it (a URL, a realm) is checked again where it is used. No allocation.
 */
#ifndef INPUTS_REGISTRY_HEADER_INTERNAL_H
#define INPUTS_REGISTRY_HEADER_INTERNAL_H

#include "inputs/http_header_internal.h"
#include "util/digest.h"
#include "util/str.h"

enum {
	REGISTRY_TYPE_MAX = 256, /* a media type */
	REGISTRY_CHALLENGE_MAX = 8192,
	REGISTRY_WARNING_MAX = 256,
};

struct registry_head {
	struct http_head http;
	char media_type[REGISTRY_TYPE_MAX];	 /* of Content-Type, without parameters */
	char challenges[REGISTRY_CHALLENGE_MAX]; /* all WWW-Authenticate, joined by commas */
	char next[LIMIT_URL_BYTES + 1];		 /* target of Link with rel "next" */
	char subject[DIGEST_TEXT_MAX];		 /* OCI-Subject, as text */
	char warning[REGISTRY_WARNING_MAX];
	bool filtered; /* OCI-Filters-Applied names artifactType */
	bool has_uploaded;
	uint64_t uploaded;  /* bytes the registry has, from "Range: 0-N" */
	uint64_t chunk_min; /* OCI-Chunk-Min-Length, or 0 */
};

/* As http_head_line(). */
void registry_head_line(struct registry_head *h, const char *line, size_t len);

/* One challenge of WWW-Authenticate (RFC 9110, 11.6.1). */
struct registry_challenge {
	char scheme[16]; /* lower case */
	char realm[LIMIT_URL_BYTES + 1];
	char service[256];
	char error[64];
};
/* Takes the first off *text; false at its end or where it is malformed. Parameters that are not
 * known, too long or given twice are as if absent, but for a second realm, which is malformed.
 */
bool registry_next_challenge(struct str *text, struct registry_challenge *ret);

/* The target of the first link with that relation (RFC 8288); false if there is none. */
bool registry_find_link(struct str text, const char *rel, char *ret, size_t ret_len);
/* "0-99", perhaps after "bytes=": 100. "0-0" is ambiguous; registries mean nothing by it. */
bool registry_parse_uploaded(struct str text, uint64_t *ret);

#endif
