/*
 * A ring of segments between one thread that fills and writes them and others that encode them.
 * A segment is the caller's, then READY for whichever thread comes first, then DONE and the
 * caller's again, who writes them in the order in which they were filled.
 */
#include "image/compress.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <zlib.h>

#include "image/compress_internal.h"
#include "image/deflate.h"
#include "util/mem.h"
#include "util/path.h"

enum { GZIP_TRAILER_BYTES = 8 };

/* No name, no time, no system (255: unknown). */
static const uint8_t gzip_header[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};

struct segment {
	uint8_t *in, *out;
	size_t in_len, out_len;
	uint32_t crc; /* of `in` */
	bool done;
};

struct thread {
	struct compressor *c;
	void *state;
	pthread_t id;
};

struct compressor {
	struct compress_options options;
	const struct segment_coder *coder; /* NULL: plain */
	struct segment *segments;
	size_t segments_len;
	void *state; /* for segments that the caller encodes itself */
	struct thread *threads;
	unsigned threads_len;
	bool asked_for_threads;
	uint32_t crc;
	uint64_t in_len, out_len;
	uint64_t written; /* segments; the caller's alone, as all above */

	pthread_mutex_t lock;
	pthread_cond_t filled_more, done_more;
	uint64_t filled, taken;
	bool stop;
};

static int put(struct compressor *c, const void *bytes, size_t len, struct err *e)
{
	c->out_len += len;
	return path_write_all(c->options.fd, bytes, len, "layer", e);
}

static struct segment *segment_at(const struct compressor *c, uint64_t number)
{
	return &c->segments[number % c->segments_len];
}

static void encode(const struct compressor *c, void *state, struct segment *s)
{
	if (c->options.form == LAYER_GZIP)
		s->crc = (uint32_t)crc32(0, s->in, (unsigned)s->in_len);
	s->out_len = c->coder->encode(state, s->in, s->in_len, s->out);
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;
	struct compressor *c = t->c;
	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (c->taken == c->filled && !c->stop)
			pthread_cond_wait(&c->filled_more, &c->lock);
		if (c->stop)
			break;
		struct segment *s = segment_at(c, c->taken++);
		pthread_mutex_unlock(&c->lock);
		encode(c, t->state, s);
		pthread_mutex_lock(&c->lock);
		s->done = true;
		pthread_cond_signal(&c->done_more);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* As many as there may be; where the system gives fewer, those, or none. */
static void start_threads(struct compressor *c)
{
	c->asked_for_threads = true;
	c->threads = mem_zalloc(c->options.threads + 1, sizeof(*c->threads));
	while (c->threads_len < c->options.threads) {
		struct thread *t = &c->threads[c->threads_len];
		*t = (struct thread){.c = c, .state = c->coder->open()};
		if (pthread_create(&t->id, NULL, thread_main, t) != 0) {
			c->coder->close(t->state);
			return;
		}
		c->threads_len++;
	}
}

/* The oldest that is not written, which the caller waits for. */
static int write_segment(struct compressor *c, struct err *e)
{
	struct segment *s = segment_at(c, c->written);
	pthread_mutex_lock(&c->lock);
	while (!s->done)
		pthread_cond_wait(&c->done_more, &c->lock);
	pthread_mutex_unlock(&c->lock);
	if (put(c, s->out, s->out_len, e) < 0)
		return -1;
	if (c->options.form == LAYER_GZIP)
		c->crc = (uint32_t)crc32_combine(c->crc, s->crc, (z_off_t)s->in_len);
	s->in_len = 0;
	s->done = false;
	c->written++;
	return 0;
}

/* The segment being filled is full, or the last one; the next is made free. */
static int hand_over(struct compressor *c, bool more, struct err *e)
{
	struct segment *s = segment_at(c, c->filled);
	if (more && !c->asked_for_threads)
		start_threads(c);
	if (c->threads_len == 0) {
		encode(c, c->state, s);
		s->done = true;
	}
	pthread_mutex_lock(&c->lock);
	c->filled++;
	c->taken += c->threads_len == 0;
	pthread_cond_signal(&c->filled_more);
	pthread_mutex_unlock(&c->lock);
	while (c->filled - c->written == c->segments_len ||
	       (c->threads_len == 0 && c->written < c->filled))
		if (write_segment(c, e) < 0)
			return -1;
	return 0;
}

static void open_coder(struct compressor *c, const struct segment_coder *coder)
{
	c->coder = coder;
	c->segments_len = 2 * (size_t)c->options.threads + 1;
	c->segments = mem_zalloc(c->segments_len, sizeof(*c->segments));
	c->state = coder->open();
}

int compressor_open(const struct compress_options *options, struct compressor **ret,
		    struct err *e)
{
	struct compressor *c = mem_zalloc(1, sizeof(*c));
	c->options = *options;
	if (c->options.threads > COMPRESS_THREADS_MAX)
		c->options.threads = COMPRESS_THREADS_MAX;
	if (c->options.threads == 1)
		c->options.threads = 0; /* one would only wait for the caller, and he for it */
	BUG_IF(pthread_mutex_init(&c->lock, NULL) != 0 ||
	       pthread_cond_init(&c->filled_more, NULL) != 0 ||
	       pthread_cond_init(&c->done_more, NULL) != 0);
	switch (options->form) {
	case LAYER_TAR:
		break;
	case LAYER_GZIP:
		open_coder(c, &segment_coder_gzip);
		break;
	case LAYER_ZSTD:
		open_coder(c, &segment_coder_zstd);
		break;
	}
	*ret = c;
	if (options->form == LAYER_GZIP)
		return put(c, gzip_header, sizeof(gzip_header), e);
	return 0;
}

static void stop_threads(struct compressor *c)
{
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_broadcast(&c->filled_more);
	pthread_mutex_unlock(&c->lock);
	for (unsigned i = 0; i < c->threads_len; i++) {
		pthread_join(c->threads[i].id, NULL);
		c->coder->close(c->threads[i].state);
	}
	mem_free_cleanup(&c->threads);
}

void compressor_close(struct compressor **ret)
{
	struct compressor *c = *ret;
	if (c == NULL)
		return;
	stop_threads(c);
	if (c->coder)
		c->coder->close(c->state);
	for (size_t i = 0; i < c->segments_len; i++) {
		mem_free_cleanup(&c->segments[i].in);
		mem_free_cleanup(&c->segments[i].out);
	}
	mem_free_cleanup(&c->segments);
	pthread_cond_destroy(&c->filled_more);
	pthread_cond_destroy(&c->done_more);
	pthread_mutex_destroy(&c->lock);
	mem_free_cleanup(ret);
}

int compressor_add(struct compressor *c, const void *bytes, size_t len, struct err *e)
{
	const uint8_t *from = bytes;
	c->in_len += len;
	if (!c->coder)
		return put(c, bytes, len, e);
	while (len > 0) {
		struct segment *s = segment_at(c, c->filled);
		if (s->in_len == c->coder->segment_bytes) {
			if (hand_over(c, true, e) < 0)
				return -1;
			continue;
		}
		if (!s->in) {
			s->in = mem_alloc(c->coder->segment_bytes);
			s->out = mem_alloc(c->coder->bound_bytes);
		}
		size_t room = c->coder->segment_bytes - s->in_len;
		size_t part = len < room ? len : room;
		memcpy(s->in + s->in_len, from, part);
		s->in_len += part;
		from += part;
		len -= part;
	}
	return 0;
}

static void put_u32(uint8_t *out, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		out[i] = (uint8_t)(v >> (8 * i));
}

static int finish_gzip(struct compressor *c, struct err *e)
{
	uint8_t trailer[GZIP_TRAILER_BYTES];
	put_u32(trailer, c->crc);
	put_u32(trailer + 4, (uint32_t)c->in_len);
	if (put(c, deflate_end, sizeof(deflate_end), e) < 0)
		return -1;
	return put(c, trailer, sizeof(trailer), e);
}

int compressor_finish(struct compressor *c, uint64_t *ret_len, struct err *e)
{
	if (c->coder && segment_at(c, c->filled)->in_len > 0 && hand_over(c, false, e) < 0)
		return -1;
	while (c->written < c->filled)
		if (write_segment(c, e) < 0)
			return -1;
	if (c->options.form == LAYER_GZIP && finish_gzip(c, e) < 0)
		return -1;
	*ret_len = c->out_len;
	return 0;
}
