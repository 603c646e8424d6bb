/*
 * The layers of an image side by side. A thread takes the lowest layer that nobody has, writes
 * its entries, waits until those beneath are complete, and completes it: so there are never
 * more layers in memory than threads, and whoever is waited for has a thread. A layer with very
 * many names waits before it goes on, so that one of its kind at a time is in memory.
 */
#include <pthread.h>

#include "image/unpack_internal.h"
#include "util/mem.h"

struct stack {
	const struct unpack_layer *layers;
	size_t len;
	const struct unpack_limits *limits;
	int *root_fds; /* of all layers, topmost first */

	pthread_mutex_t lock;
	pthread_cond_t completed_more;
	size_t taken, completed; /* layers, from the lowest on */
	struct err e;		 /* of the layer `completed`: the last one that anybody ends */
};

/* False: there is none left, or one beneath has failed. */
static bool take(struct stack *s, size_t *ret)
{
	pthread_mutex_lock(&s->lock);
	bool is_there = s->e.code == ERR_NONE && s->taken < s->len;
	if (is_there)
		*ret = s->taken++;
	pthread_mutex_unlock(&s->lock);
	return is_there;
}

static bool wait_for_those_beneath(struct stack *s, size_t number)
{
	pthread_mutex_lock(&s->lock);
	while (s->completed < number && s->e.code == ERR_NONE)
		pthread_cond_wait(&s->completed_more, &s->lock);
	bool are_complete = s->completed == number;
	pthread_mutex_unlock(&s->lock);
	return are_complete;
}

static void complete(struct stack *s, int r, const struct err *e)
{
	pthread_mutex_lock(&s->lock);
	if (r < 0)
		s->e = *e;
	else
		s->completed++;
	pthread_cond_broadcast(&s->completed_more);
	pthread_mutex_unlock(&s->lock);
}

struct turn {
	struct unpack_turn base; /* the first member */
	struct stack *s;
	size_t number;
};

static bool wait_for_turn(const struct unpack_turn *turn)
{
	const struct turn *t = (const struct turn *)turn;
	return wait_for_those_beneath(t->s, t->number);
}

static void unpack(struct stack *s, size_t number)
{
	const struct unpack_layer *layer = &s->layers[number];
	const struct beneath beneath = {s->root_fds + (s->len - number), number};
	struct err e = ERR_INIT;
	const struct turn turn = {{wait_for_turn}, s, number};
	AUTO(unpacking) u = UNPACKING_INIT(&turn.base);
	int r = layer->blob_fd < 0 ? 0 : unpack_begin(&u, layer, s->limits, &e);
	/* Also with an error: one beneath comes first. */
	if (!wait_for_those_beneath(s, number))
		return;
	if (r == 0 && layer->blob_fd >= 0)
		r = unpack_end(&u, &beneath, &e);
	complete(s, r, &e);
}

static void *thread_main(void *arg)
{
	struct stack *s = arg;
	size_t number;
	while (take(s, &number))
		unpack(s, number);
	return NULL;
}

int unpack_stack(const struct unpack_layer *layers, size_t len,
		 const struct unpack_limits *limits, unsigned threads, struct err *e)
{
	struct stack s = {.layers = layers, .len = len, .limits = limits};
	pthread_t ids[UNPACK_THREADS_MAX];
	unsigned started = 0;
	AUTO_FREE int *root_fds = mem_zalloc(len + 1, sizeof(*root_fds));
	for (size_t i = 0; i < len; i++)
		root_fds[len - 1 - i] = layers[i].root_fd;
	s.root_fds = root_fds;
	BUG_IF(pthread_mutex_init(&s.lock, NULL) != 0 ||
	       pthread_cond_init(&s.completed_more, NULL) != 0);
	/* This thread is one of them; where the system gives fewer, those. */
	while (started + 1 < threads && started + 1 < UNPACK_THREADS_MAX && started + 1 < len &&
	       pthread_create(&ids[started], NULL, thread_main, &s) == 0)
		started++;
	thread_main(&s);
	for (unsigned i = 0; i < started; i++)
		pthread_join(ids[i], NULL);
	pthread_cond_destroy(&s.completed_more);
	pthread_mutex_destroy(&s.lock);
	if (s.e.code != ERR_NONE)
		*e = s.e;
	return s.e.code == ERR_NONE ? 0 : -1;
}
