/*
 * Any eight bytes of a hash are as good a hash. Who wants to slow it down must find contents whose
 * digests begin alike, which costs more than it takes us.
 */
#include "util/digest_set.h"

#include <stdlib.h>
#include <string.h>

#include "util/err.h"
#include "util/mem.h"

enum { SLOTS_MIN = 64 };

static struct digest *find_slot(const struct digest_set *s, const struct digest *d)
{
	uint64_t hash;

	memcpy(&hash, d->bytes, sizeof(hash));
	size_t at = (size_t)hash & (s->slots_len - 1);

	while (s->slots[at].alg != DIGEST_NONE && !digest_eq(&s->slots[at], d))
		at = (at + 1) & (s->slots_len - 1);
	return &s->slots[at];
}

static void grow(struct digest_set *s)
{
	struct digest_set bigger = {.slots_len = s->slots_len ? s->slots_len * 2 : SLOTS_MIN,
				    .len = s->len};

	bigger.slots = mem_zalloc(bigger.slots_len, sizeof(*bigger.slots));
	for (size_t i = 0; i < s->slots_len; i++)
		if (s->slots[i].alg != DIGEST_NONE)
			*find_slot(&bigger, &s->slots[i]) = s->slots[i];
	free(s->slots);
	*s = bigger;
}

void digest_set_cleanup(struct digest_set *s)
{
	free(s->slots);
	*s = (struct digest_set){0};
}

bool digest_set_has(const struct digest_set *s, const struct digest *d)
{
	return s->len > 0 && find_slot(s, d)->alg != DIGEST_NONE;
}

void digest_set_add(struct digest_set *s, const struct digest *d)
{
	BUG_IF(d->alg == DIGEST_NONE);
	/* At most half of the slots are used, which keeps probes short. */
	if (s->len >= s->slots_len / 2)
		grow(s);
	struct digest *slot = find_slot(s, d);

	if (slot->alg == DIGEST_NONE) {
		*slot = *d;
		s->len++;
	}
}
