/* What idmap.c shows to its tests and its fuzzer. */
#ifndef SANDBOX_IDMAP_INTERNAL_H
#define SANDBOX_IDMAP_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* The first range of at least `count` ids that `text`, the content of /etc/subuid or
 * /etc/subgid called `file` in errors, gives to the user by name or by number. *ret is
 * untouched and *ret_found false if there is none. A malformed line is ERR_SANDBOX
 * "sandbox/subid-file". */
int idmap_subids_parse(const char *text, size_t len, const char *file, const char *user,
		       uint32_t uid, uint32_t count, uint32_t *ret, bool *ret_found,
		       struct err *e) WARN_UNUSED;

/* The first id above all ranges of the file, so that a new one shares none with another user;
 * lines that are none were refused before. */
uint64_t idmap_subids_free(const char *text, size_t len);

#endif
