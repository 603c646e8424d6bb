/* A set of digests, for what was seen already. Hashed by the digests' own bytes. */
#ifndef UTIL_DIGEST_SET_H
#define UTIL_DIGEST_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "util/digest.h"

struct digest_set {
	struct digest *slots; /* open addressing; alg NONE is free */
	size_t slots_len;     /* a power of two, or 0 */
	size_t len;
};
void digest_set_cleanup(struct digest_set *s);

bool digest_set_has(const struct digest_set *s, const struct digest *d);
/* Nothing happens if it is there already. */
void digest_set_add(struct digest_set *s, const struct digest *d);

#endif
