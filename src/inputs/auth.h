/*
 * Credentials for registries, from the files and helpers that other tools share. Files, in
 * order: $REGISTRY_AUTH_FILE alone if set; else $XDG_RUNTIME_DIR/containers/auth.json and
 * ~/.docker/config.json. In a file, a helper for the host (credHelpers) comes before entries of
 * `auths`, of which the longest prefix of "HOST/REPOSITORY" counts, and they before credsStore.
 * Helpers are programs of the user's; they run here, in the supervising process, never in the
 * fetcher, with the user's own environment.
 */
#ifndef INPUTS_AUTH_H
#define INPUTS_AUTH_H

#include <stdbool.h>

#include "inputs/reference.h"

/* A zeroed object is "anonymous". */
struct credential {
	char *username; /* NULL: none */
	char *password;
	char *identity_token; /* an OAuth2 refresh token, or NULL */
};
/* Overwrites the secrets before it frees them. */
void credential_cleanup(struct credential *c);

/* `environment`: "NAME=value" lines, NULL-terminated; NULL: nobody has credentials. Nothing
 * found is no error: *ret is then anonymous. ERR_INPUT "registry/auth-file",
 * ERR_SYSTEM "registry/auth-helper". */
int auth_find(const char *const *environment, const struct reference *r, struct credential *ret,
	      struct err *e) WARN_UNUSED;

/* From the text of one file; *ret_helper (the caller frees) names the helper to ask instead,
 * without "docker-credential-". */
int auth_file_read(const char *text, size_t len, const char *name, const struct reference *r,
		   struct credential *ret, char **ret_helper, struct err *e) WARN_UNUSED;

#endif
