/* Between the reader of credential files and the runner of helpers. */
#ifndef INPUTS_AUTH_INTERNAL_H
#define INPUTS_AUTH_INTERNAL_H

#include "inputs/auth.h"

/* Asks docker-credential-NAME, found in the PATH of `environment`, for the host's credentials.
 * That it knows none is no error. */
int auth_helper_get(const char *name, const char *const *environment, const char *host,
		    struct credential *ret, struct err *e) WARN_UNUSED;
/* What a helper prints. */
int auth_helper_read(const char *text, size_t len, const char *name, struct credential *ret,
		     struct err *e) WARN_UNUSED;
/* The value of a variable, or NULL; "" counts as absent. */
const char *auth_environment_get(const char *const *environment, const char *name);
/* True if it fits into a header field and cannot begin another. */
bool auth_is_secret(const char *text);

#endif
