/*
 * The user namespace that the sandboxes of an ordinary user are made in. His subordinate ids can
 * be mapped by newuidmap and newgidmap only, and starting those takes a quarter of the time of a
 * sandbox. So they map one namespace for a run of stacker; a process that enters it may map its
 * ids into those that it makes. Each sandbox has a user namespace of its own below it; what they
 * have in common is a parent that no process stays in.
 */
#ifndef SANDBOX_OUTER_INTERNAL_H
#define SANDBOX_OUTER_INTERNAL_H

#include "sandbox/idmap.h"
#include "util/err.h"

struct sandbox_outer *outer_new(void) __attribute__((returns_nonnull));
void outer_free(struct sandbox_outer *outer); /* or NULL */

/* The namespace as a file, borrowed and closed at exec; made and mapped if this is the first
 * sandbox. -1 for root. */
int outer_open(const struct sandbox_idmap *m, int *ret_fd, struct err *e) WARN_UNUSED;

#endif
