/*
 * A ring of chunks. Nothing is copied: the thread swaps the buffer that it decoded into for the
 * one that comes next in the ring.
 */
#include "image/byte_ahead.h"

#include <pthread.h>

#include "image/byte_coder.h"
#include "util/mem.h"

enum { AHEAD_CHUNKS = 16 };

struct chunk {
	uint8_t *bytes;
	size_t len; /* 0: the end */
};

struct byte_ahead {
	struct byte_source *source; /* the thread's alone */
	pthread_t thread;
	bool in_use; /* the user has the chunk at `taken`; the user's alone */

	pthread_mutex_t lock;
	pthread_cond_t filled_more, taken_more;
	struct chunk chunks[AHEAD_CHUNKS];
	uint64_t filled, taken;
	bool stop, failed;
	struct err e; /* what failed, behind all chunks */
};

/* Waits for room behind the new chunk; false: there is nothing to wait for. */
static bool hand_over(struct byte_ahead *a, int r, size_t len, const struct err *e)
{
	struct byte_source *s = a->source;
	bool goes_on = r == 0 && len > 0;
	pthread_mutex_lock(&a->lock);
	if (r == 0) {
		struct chunk *c = &a->chunks[a->filled % AHEAD_CHUNKS];
		uint8_t *next = c->bytes;
		*c = (struct chunk){s->out, len};
		s->out = next;
		a->filled++;
	} else {
		a->failed = true;
		a->e = *e;
	}
	pthread_cond_signal(&a->filled_more);
	while (goes_on && a->filled - a->taken == AHEAD_CHUNKS && !a->stop)
		pthread_cond_wait(&a->taken_more, &a->lock);
	goes_on = goes_on && !a->stop;
	pthread_mutex_unlock(&a->lock);
	return goes_on;
}

static void *thread_main(void *arg)
{
	struct byte_ahead *a = arg;
	struct err e = ERR_INIT;
	const uint8_t *bytes;
	size_t len;
	int r;
	do {
		len = 0;
		r = byte_source_decode(a->source, &bytes, &len, &e);
	} while (hand_over(a, r, len, &e));
	return NULL;
}

static void release(struct byte_ahead *a)
{
	for (size_t i = 0; i < AHEAD_CHUNKS; i++)
		mem_free_cleanup(&a->chunks[i].bytes);
	pthread_cond_destroy(&a->filled_more);
	pthread_cond_destroy(&a->taken_more);
	pthread_mutex_destroy(&a->lock);
}

struct byte_ahead *byte_ahead_start(struct byte_source *s)
{
	struct byte_ahead *a = mem_zalloc(1, sizeof(*a));
	a->source = s;
	BUG_IF(pthread_mutex_init(&a->lock, NULL) != 0 ||
	       pthread_cond_init(&a->filled_more, NULL) != 0 ||
	       pthread_cond_init(&a->taken_more, NULL) != 0);
	for (size_t i = 0; i < AHEAD_CHUNKS; i++)
		a->chunks[i].bytes = mem_alloc(BYTE_CHUNK_BYTES);
	if (pthread_create(&a->thread, NULL, thread_main, a) == 0)
		return a;
	release(a);
	mem_free_cleanup(&a);
	return NULL;
}

int byte_ahead_next(struct byte_ahead *a, const uint8_t **ret, size_t *ret_len, struct err *e)
{
	int r = 0;
	pthread_mutex_lock(&a->lock);
	a->taken += a->in_use;
	pthread_cond_signal(&a->taken_more);
	while (a->taken == a->filled && !a->failed)
		pthread_cond_wait(&a->filled_more, &a->lock);
	if (a->taken < a->filled) {
		const struct chunk *c = &a->chunks[a->taken % AHEAD_CHUNKS];
		*ret = c->bytes;
		*ret_len = c->len;
		a->in_use = c->len > 0; /* the end stays where it is */
	} else {
		a->in_use = false;
		*e = a->e;
		r = -1;
	}
	pthread_mutex_unlock(&a->lock);
	return r;
}

void byte_ahead_stop(struct byte_ahead **ret)
{
	struct byte_ahead *a = *ret;
	if (a == NULL)
		return;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_signal(&a->taken_more);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	release(a);
	mem_free_cleanup(ret);
}
