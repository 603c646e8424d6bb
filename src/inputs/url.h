/* http and https URLs, strictly (SEC DL14): no user info, ASCII host, no fragment, no control
 * bytes; parsed by libcurl's one parser, then checked. */
#ifndef INPUTS_URL_H
#define INPUTS_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct url {
	char *text;   /* normalised by the parser */
	char *scheme; /* "http" or "https" */
	char *host;
	uint16_t port;
	char *path;
};
void url_cleanup(struct url *u);

/* ERR_INPUT "url/...". */
int url_parse(const char *text, struct url *ret, struct err *e) WARN_UNUSED;
/* Resolves a Location header against `base` and applies the redirect rules: http and https
 * only, never https to http (ERR_INPUT "url/redirect-..."). */
int url_redirect(const struct url *base, const char *location, struct url *ret,
		 struct err *e) WARN_UNUSED;

#endif
