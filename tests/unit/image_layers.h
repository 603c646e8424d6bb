/*
 * Vectors of layers: plain tar bytes that must unpack, or must be refused with one error id and
 * without touching the canary.
 */
#ifndef TESTS_IMAGE_LAYERS_H
#define TESTS_IMAGE_LAYERS_H

#include "image_scratch.h"

static inline int unpack_bytes(struct scratch *s, const struct buf *b, enum layer_compression c,
			       const struct digest *diff_id, int lower_fd,
			       const struct unpack_limits *limits, struct err *e)
{
	AUTO_CLOSE int fd = vec_fd(b->data, b->len);
	const struct unpack_layer layer = {fd, c, *diff_id, s->root_fd};
	return unpack_layer(&layer, &(struct beneath){&lower_fd, lower_fd >= 0}, limits, e);
}

static inline int unpack_plain(struct scratch *s, const struct buf *b, int lower_fd,
			       struct err *e)
{
	struct digest d;
	digest_bytes(DIGEST_SHA256, b->data, b->len, &d);
	return unpack_bytes(s, b, LAYER_TAR, &d, lower_fd, &unpack_default_limits, e);
}

static inline void expect_unpacked(struct scratch *s, struct buf *b)
{
	struct err e = ERR_INIT;
	vec_end(b);
	if (unpack_plain(s, b, -1, &e) < 0)
		fail_msg("[%s] %s", e.id, e.message);
}

/* Vectors that must be refused with `id`; one builder function per vector. */
struct bad {
	const char *name;
	void (*build)(struct buf *b);
	const char *id;
	bool no_end;
};

static inline void expect_bad(const struct bad *vectors, size_t len)
{
	NEED_ROOT();
	for (size_t i = 0; i < len; i++) {
		struct scratch s;
		struct err e = ERR_INIT;
		AUTO(buf) b = VECTOR_BUF;
		scratch_open(&s);
		vectors[i].build(&b);
		if (!vectors[i].no_end)
			vec_end(&b);
		print_message("  %s\n", vectors[i].name);
		expect_id(unpack_plain(&s, &b, -1, &e), &e, vectors[i].id);
		assert_int_equal(e.code, ERR_INPUT);
		scratch_close(&s);
	}
}

#define BAD(name, expected, ...)                                                               \
	static void bad_##name(struct buf *b)                                                  \
	{                                                                                      \
		__VA_ARGS__;                                                                   \
	}                                                                                      \
	static const char id_##name[] UNUSED = expected;
#define ROW(name)                                                                              \
	{                                                                                      \
#name, bad_##name, id_##name, false                                            \
	}

#endif
