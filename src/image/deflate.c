/*
 * The search and the choice. For each place of a segment the longest match within the last
 * 32 KiB, found by following a chain of places whose first four bytes have the same hash; it is
 * taken unless the next place has a better one. The symbols are counted by the chunk, and a
 * chunk begins a new block where its statistics differ enough from those of the block so far.
 * Whatever decides here is told in docs/format-1.md and never changes.
 */
#include "image/deflate.h"

#include "image/deflate_internal.h"
#include "util/err.h"
#include "util/mem.h"

enum {
	HASH3_BITS = 15,
	HASH4_BITS = 16,
	CHAIN_DEPTH = 16,	/* places looked at */
	CHAIN_DEPTH_BETTER = 8, /* and when there is a match already */
	LENGTH_NICE = 96,	/* good enough to look no further */
	LENGTH_3_DIST_MAX = 4096,
	DIST_MAX = 32767,
	SEARCH_TAIL_BYTES = 5, /* at the end, where nothing is searched for */
	/* Where nothing is found, less and less is searched for: a place more is passed over for
	 * every 64 searches in vain, up to 15. Compressed files go by four times as fast. */
	VAIN_PER_STEP = 64,
	STEP_MAX = 16,
	WINDOW_MASK = DEFLATE_WINDOW_BYTES - 1,
	CHUNK_SYMBOLS = 2048,
	BLOCK_CHUNKS_MAX = 32,
	BLOCK_COST_BITS = 800, /* of a block's own code */
	/* A run of literals may be cut at the end of a chunk. */
	TOKENS_MAX = (BLOCK_CHUNKS_MAX + 1) * (CHUNK_SYMBOLS + 1),
};

/* Places count from DEFLATE_WINDOW_BYTES, so that 0, which is no place, is too far from all. */
enum { PLACE_FIRST = DEFLATE_WINDOW_BYTES };

const uint8_t deflate_end[2] = {0x03, 0x00};

struct match {
	unsigned length; /* 0: none */
	uint32_t dist;
};

/* A run of chunks: where it begins, in the input and in the tokens, and what is in it. */
struct span {
	size_t start, first_token;
	unsigned symbols, chunks;
	struct deflate_counts counts;
};

struct deflate_encoder {
	const uint8_t *in;
	size_t len;
	struct deflate_bits bits;
	struct span block, chunk; /* all that is decided; then what is being counted */
	size_t tokens_len;
	uint32_t literals; /* since the last token */
	struct deflate_token tokens[TOKENS_MAX];
	uint32_t last3[1 << HASH3_BITS]; /* the last place of a hash of three bytes, of four */
	uint32_t last4[1 << HASH4_BITS];
	uint32_t
		before[DEFLATE_WINDOW_BYTES]; /* the one before it with the same hash of four */
};

static inline uint32_t hash4(uint32_t bytes)
{
	return (bytes * UINT32_C(0x9e3779b1)) >> (32 - HASH4_BITS);
}

static inline uint32_t hash3(uint32_t bytes)
{
	return ((bytes << 8) * UINT32_C(0x9e3779b1)) >> (32 - HASH3_BITS);
}

static inline void insert(struct deflate_encoder *d, size_t at)
{
	uint32_t bytes = deflate_load32(d->in + at);
	uint32_t place = (uint32_t)at + PLACE_FIRST, h4 = hash4(bytes);
	d->before[place & WINDOW_MASK] = d->last4[h4];
	d->last4[h4] = place;
	d->last3[hash3(bytes)] = place;
}

static inline void prefetch(const struct deflate_encoder *d, size_t at)
{
	uint32_t bytes = deflate_load32(d->in + at);
	__builtin_prefetch(&d->last4[hash4(bytes)]);
	__builtin_prefetch(&d->last3[hash3(bytes)]);
}

/* The first of the longest matches of more than `best` bytes, nearest first, among `depth`
 * places from `from` on. */
static inline void follow_chain(const struct deflate_encoder *d, size_t at, uint32_t from,
				unsigned best, unsigned depth, struct match *m)
{
	const uint8_t *here = d->in + at;
	uint32_t place = (uint32_t)at + PLACE_FIRST;
	size_t left = d->len - at;
	unsigned max = left < DEFLATE_LENGTH_MAX ? (unsigned)left : DEFLATE_LENGTH_MAX;
	unsigned nice = max < LENGTH_NICE ? max : LENGTH_NICE;
	if (best >= max)
		return;
	uint32_t head = deflate_load32(here), tail = deflate_load32(here + best - 3);
	for (; from + DIST_MAX >= place && depth > 0; depth--) {
		const uint8_t *there = d->in + (from - PLACE_FIRST);
		/* The four bytes that a longer match must have, since most have not. */
		if (deflate_load32(there + best - 3) == tail && deflate_load32(there) == head) {
			unsigned length = deflate_same_bytes(here, there, 4, max);
			if (length > best) {
				best = length;
				*m = (struct match){length, place - from};
				if (length >= nice)
					return;
				tail = deflate_load32(here + best - 3);
			}
		}
		from = d->before[from & WINDOW_MASK];
	}
}

/* The match for a place where there is none yet; the place becomes known. */
static inline struct match search(struct deflate_encoder *d, size_t at)
{
	struct match m = {0, 0};
	uint32_t bytes = deflate_load32(d->in + at);
	uint32_t place = (uint32_t)at + PLACE_FIRST;
	uint32_t from3 = d->last3[hash3(bytes)], from4 = d->last4[hash4(bytes)];
	insert(d, at);
	prefetch(d, at + 1);
	if (from3 + LENGTH_3_DIST_MAX >= place &&
	    (deflate_load32(d->in + (from3 - PLACE_FIRST)) ^ bytes) << 8 == 0)
		m = (struct match){DEFLATE_LENGTH_MIN, place - from3};
	follow_chain(d, at, from4, DEFLATE_LENGTH_MIN, CHAIN_DEPTH, &m);
	return m;
}

/* Whether what the next place offers is worth a literal: a byte more counts as four times the
 * distance. */
static bool is_better(struct match next, struct match now)
{
	return 4 * (int)next.length + (int)deflate_log2(now.dist) >
	       4 * (int)now.length + (int)deflate_log2(next.dist) + 2;
}

/* A match for the place, of no fewer bytes than `now`, which is one for the place before. */
static inline bool search_better(struct deflate_encoder *d, size_t at, struct match now,
				 struct match *ret)
{
	unsigned best = now.length > DEFLATE_LENGTH_MIN ? now.length - 1 : DEFLATE_LENGTH_MIN;
	uint32_t from = d->last4[hash4(deflate_load32(d->in + at))];
	struct match next = {0, 0};
	insert(d, at);
	prefetch(d, at + 1);
	follow_chain(d, at, from, best, CHAIN_DEPTH_BETTER, &next);
	if (next.length == 0 || !is_better(next, now))
		return false;
	*ret = next;
	return true;
}

static void put_block(struct deflate_encoder *d)
{
	const struct deflate_run run = {
		.in = d->in + d->block.start,
		.in_len = d->chunk.start - d->block.start,
		.tokens = d->tokens,
		.tokens_len = d->chunk.first_token,
		.counts = &d->block.counts,
	};
	deflate_block_write(&d->bits, &run);
	d->tokens_len -= d->chunk.first_token;
	memmove(d->tokens, d->tokens + d->chunk.first_token,
		d->tokens_len * sizeof(d->tokens[0]));
	d->block = (struct span){.start = d->chunk.start};
	d->chunk.first_token = 0;
}

static struct deflate_counts sum_of(const struct deflate_counts *a,
				    const struct deflate_counts *b)
{
	struct deflate_counts sum;
	for (unsigned i = 0; i < DEFLATE_LITLEN_SYMBOLS; i++)
		sum.litlen[i] = a->litlen[i] + b->litlen[i];
	for (unsigned i = 0; i < DEFLATE_DIST_SYMBOLS; i++)
		sum.dist[i] = a->dist[i] + b->dist[i];
	return sum;
}

/* The chunk that ends at `end` joins the block, or begins a new one. */
static void end_chunk(struct deflate_encoder *d, size_t end)
{
	if (d->literals > 0)
		d->tokens[d->tokens_len++] = (struct deflate_token){.literals = d->literals};
	d->literals = 0;
	struct deflate_counts both = sum_of(&d->block.counts, &d->chunk.counts);
	if (d->block.chunks > 0) {
		uint64_t apart = deflate_entropy(&d->block.counts) +
				 deflate_entropy(&d->chunk.counts) +
				 DEFLATE_ENTROPY_BIT * BLOCK_COST_BITS;
		if (d->block.chunks == BLOCK_CHUNKS_MAX || apart < deflate_entropy(&both)) {
			put_block(d);
			both = d->chunk.counts;
		}
	}
	d->block.counts = both;
	d->block.chunks++;
	d->chunk = (struct span){.start = end, .first_token = d->tokens_len};
}

static inline void put_literal(struct deflate_encoder *d, size_t at)
{
	d->chunk.counts.litlen[d->in[at]]++;
	d->literals++;
	if (++d->chunk.symbols == CHUNK_SYMBOLS)
		end_chunk(d, at + 1);
}

static inline void put_match(struct deflate_encoder *d, size_t at, struct match m)
{
	unsigned length = DEFLATE_LENGTH_FIRST + deflate_length_symbol(m.length);
	d->chunk.counts.litlen[length]++;
	d->chunk.counts.dist[deflate_dist_symbol(m.dist)]++;
	d->tokens[d->tokens_len++] =
		(struct deflate_token){d->literals, (uint16_t)m.length, (uint16_t)m.dist};
	d->literals = 0;
	if (++d->chunk.symbols == CHUNK_SYMBOLS)
		end_chunk(d, at + m.length);
}

/* From a match on: while the next place has a better one, a literal. Gives where to go on. */
static inline size_t put_best_match(struct deflate_encoder *d, size_t at, struct match m,
				    size_t search_end)
{
	size_t known = at + 1;
	while (m.length < LENGTH_NICE && known < search_end) {
		struct match next;
		bool found = search_better(d, known++, m, &next);
		if (!found)
			break;
		put_literal(d, at++);
		m = next;
	}
	size_t end = at + m.length;
	for (; known < end && known < search_end; known++)
		insert(d, known);
	put_match(d, at, m);
	return end;
}

static void start(struct deflate_encoder *d, const uint8_t *in, size_t len, uint8_t *out)
{
	d->in = in;
	d->len = len;
	d->bits = (struct deflate_bits){.out = out};
	d->block = d->chunk = (struct span){.start = 0};
	d->tokens_len = 0;
	d->literals = 0;
	memset(d->last3, 0, sizeof(d->last3));
	memset(d->last4, 0, sizeof(d->last4));
}

size_t deflate_segment(struct deflate_encoder *d, const uint8_t *in, size_t len, uint8_t *out)
{
	BUG_IF(len == 0 || len > DEFLATE_SEGMENT_BYTES);
	size_t search_end = len > SEARCH_TAIL_BYTES ? len - SEARCH_TAIL_BYTES : 0;
	size_t at = 0;
	unsigned vain = 0;
	start(d, in, len, out);
	while (at < search_end) {
		struct match m = search(d, at);
		if (m.length > 0) {
			at = put_best_match(d, at, m, search_end);
			vain = 0;
			continue;
		}
		unsigned step = 1 + vain++ / VAIN_PER_STEP;
		for (step = step < STEP_MAX ? step : STEP_MAX; step > 0 && at < search_end;
		     step--)
			put_literal(d, at++);
	}
	while (at < len)
		put_literal(d, at++);
	if (d->chunk.symbols > 0)
		end_chunk(d, len);
	put_block(d);
	/* The empty block ends at a byte; as many more of them as keep the ratio honest. */
	do
		deflate_block_align(&d->bits);
	while ((size_t)(d->bits.out - out) * DEFLATE_RATIO_MAX < len);
	return (size_t)(d->bits.out - out);
}

struct deflate_encoder *deflate_encoder_new(void)
{
	return mem_alloc(sizeof(struct deflate_encoder));
}
