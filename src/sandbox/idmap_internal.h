/* What idmap.c shows to those who start sandboxes, to its tests and its fuzzer. */
#ifndef SANDBOX_IDMAP_INTERNAL_H
#define SANDBOX_IDMAP_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sandbox/idmap.h"
#include "util/err.h"

/* Writes the maps of the sandbox of `pid`, from within the outer namespace if there is one.
 * Written from outside of the sandbox, so that setgroups stays allowed. */
int idmap_write(const struct sandbox_idmap *m, pid_t pid, struct err *e) WARN_UNUSED;
/* Makes the user namespace of `pid` an outer one. It numbers the ids as root's sandboxes have
 * them, so that a step finds the same map whoever its caller is. */
int idmap_write_outer(const struct sandbox_idmap *m, pid_t pid, struct err *e) WARN_UNUSED;

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
