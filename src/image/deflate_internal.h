/* What the parts of the DEFLATE encoder share: matches out of the search, and their codes. */
#ifndef IMAGE_DEFLATE_INTERNAL_H
#define IMAGE_DEFLATE_INTERNAL_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
	DEFLATE_LENGTH_MIN = 3,
	DEFLATE_LENGTH_MAX = 258,
	DEFLATE_WINDOW_BYTES = 32768,
	DEFLATE_END_OF_BLOCK = 256,
	DEFLATE_LENGTH_FIRST = 257, /* the symbol of length 3 */
	DEFLATE_LITLEN_SYMBOLS = 286,
	DEFLATE_DIST_SYMBOLS = 30,
	DEFLATE_SYMBOLS_MAX = 288, /* of any code */
};

/* Literals, which the input has, then a match; or, with length 0, none. */
struct deflate_token {
	uint32_t literals;
	uint16_t length;
	uint16_t dist;
};

struct deflate_counts {
	uint32_t litlen[DEFLATE_LITLEN_SYMBOLS];
	uint32_t dist[DEFLATE_DIST_SYMBOLS];
};

/* Bits go out lowest first, in whole bytes as soon as there are enough. */
struct deflate_bits {
	uint8_t *out; /* has room for 8 bytes more than will be written */
	uint64_t pending;
	unsigned pending_len;
};

/* A run of input with what the search made of it. */
struct deflate_run {
	const uint8_t *in;
	size_t in_len;
	const struct deflate_token *tokens;
	size_t tokens_len;
	const struct deflate_counts *counts; /* without the end of the block */
};

static inline uint32_t deflate_load32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static inline uint64_t deflate_load64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static inline unsigned deflate_log2(uint32_t v)
{
	return 31 - (unsigned)__builtin_clz(v);
}

/* How many bytes at `a` and `b` are the same, up to `max`: a word at a time, and the twin that
 * says what that must give. */
static inline unsigned deflate_same_bytes(const uint8_t *a, const uint8_t *b, unsigned len,
					  unsigned max)
{
	for (; len + 8 <= max; len += 8) {
		uint64_t differ = deflate_load64(a + len) ^ deflate_load64(b + len);
		if (differ)
			return len + ((unsigned)__builtin_ctzll(differ) >> 3);
	}
	while (len < max && a[len] == b[len])
		len++;
	return len;
}

static inline unsigned deflate_same_bytes_plain(const uint8_t *a, const uint8_t *b,
						unsigned len, unsigned max)
{
	while (len < max && a[len] == b[len])
		len++;
	return len;
}

/* The symbol of a distance of 1 to 32768: two a power of two. */
static inline unsigned deflate_dist_symbol(uint32_t dist)
{
	uint32_t d = dist - 1;
	if (d < 4)
		return d;
	unsigned high = deflate_log2(d);
	return 2 * high + ((d >> (high - 1)) & 1);
}

/* The symbol of a length of 3 to 258, less 257: four a power of two. */
static inline unsigned deflate_length_symbol(unsigned length)
{
	unsigned l = length - DEFLATE_LENGTH_MIN;
	if (l < 8)
		return l;
	if (length == DEFLATE_LENGTH_MAX)
		return 28;
	unsigned high = deflate_log2(l);
	return 4 * (high - 1) + ((l >> (high - 2)) & 3);
}

/* Extra bits of a symbol, and where its range begins. */
static inline unsigned deflate_dist_extra(unsigned symbol)
{
	return symbol < 4 ? 0 : symbol / 2 - 1;
}
static inline uint32_t deflate_dist_base(unsigned symbol)
{
	return symbol < 4 ? symbol + 1 : ((2 + (symbol & 1)) << deflate_dist_extra(symbol)) + 1;
}
static inline unsigned deflate_length_extra(unsigned symbol)
{
	return symbol < 8 || symbol == 28 ? 0 : symbol / 4 - 1;
}
static inline unsigned deflate_length_base(unsigned symbol)
{
	if (symbol == 28)
		return DEFLATE_LENGTH_MAX;
	return DEFLATE_LENGTH_MIN +
	       (symbol < 8 ? symbol : (4 + (symbol & 3)) << deflate_length_extra(symbol));
}

static inline void deflate_bits_flush(struct deflate_bits *b)
{
	uint64_t le = htole64(b->pending);
	memcpy(b->out, &le, sizeof(le));
	b->out += b->pending_len >> 3;
	b->pending >>= b->pending_len & 56;
	b->pending_len &= 7;
}

/* Up to 56 bits between two flushes, less the 7 that one may leave. */
static inline void deflate_bits_add(struct deflate_bits *b, uint64_t bits, unsigned len)
{
	b->pending |= bits << b->pending_len;
	b->pending_len += len;
}

/* deflate_huffman.c: code lengths of at most `max_len` that are best, or nearly so, for
 * `counts`, and codes as they go out, bit-reversed. At least two symbols get one. */
void deflate_code_make(const uint32_t *counts, unsigned symbols, unsigned max_len,
		       uint8_t *ret_lens, uint16_t *ret_codes);
/* The codes that belong to given lengths. */
void deflate_code_assign(const uint8_t *lens, unsigned symbols, uint16_t *ret_codes);

/* deflate_block.c: writes a run as one block, or as several if they are stored, in the form
 * that takes the fewest bits. */
void deflate_block_write(struct deflate_bits *b, const struct deflate_run *run);
/* Nothing but up to the next whole byte. */
void deflate_block_align(struct deflate_bits *b);

/* deflate_entropy.c: what a block takes by its entropy, in units of 1/4096 bit. */
#define DEFLATE_ENTROPY_BIT UINT64_C(4096)
uint64_t deflate_entropy(const struct deflate_counts *counts);

#endif
