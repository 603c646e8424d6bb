/*
 * One block: stored, with the fixed code, or with a code of its own, whichever takes the fewest
 * bits; the simpler one if two take the same.
 */
#include "image/deflate_internal.h"

enum {
	/* 14, so that four literals fit between two flushes. */
	LITLEN_LENGTH_LIMIT = 14,
	DIST_LENGTH_LIMIT = 15,
	LENGTHS_LENGTH_LIMIT = 7,
	LENGTHS_SYMBOLS = 19,
	STORED_MAX = 65535,
	LENGTHS_SENT_MAX = DEFLATE_LITLEN_SYMBOLS + DEFLATE_DIST_SYMBOLS,
	LENGTHS_REPEAT = 16,	 /* the length before, 3 to 6 times */
	LENGTHS_ZEROS = 17,	 /* 3 to 10 zeros */
	LENGTHS_MANY_ZEROS = 18, /* 11 to 138 zeros */
	ZEROS_FEW_MAX = 10,
	ZEROS_MAX = 138,
	REPEAT_MAX = 6,
	TYPE_STORED = 0,
	TYPE_FIXED = 1,
	TYPE_DYNAMIC = 2,
	HEADER_BITS = 3,
};

/* In this order are the lengths of the code of the lengths sent. */
static const uint8_t lengths_order[LENGTHS_SYMBOLS] = {16, 17, 18, 0, 8,  7, 9,	 6, 10, 5,
						       11, 4,  12, 3, 13, 2, 14, 1, 15};

struct codes {
	uint8_t litlen_lens[DEFLATE_SYMBOLS_MAX];
	uint8_t dist_lens[DEFLATE_DIST_SYMBOLS];
	uint16_t litlen[DEFLATE_SYMBOLS_MAX];
	uint16_t dist[DEFLATE_DIST_SYMBOLS];
};

/* Both lists of lengths as one, with runs in it, and the code for that. */
struct lengths {
	struct {
		uint8_t symbol, extra;
	} items[LENGTHS_SENT_MAX];
	unsigned items_len;
	unsigned litlen_len, dist_len, order_len;
	uint32_t counts[LENGTHS_SYMBOLS];
	uint8_t lens[LENGTHS_SYMBOLS];
	uint16_t codes[LENGTHS_SYMBOLS];
};

static unsigned lengths_extra_bits(unsigned symbol)
{
	return symbol == LENGTHS_REPEAT	      ? 2
	       : symbol == LENGTHS_ZEROS      ? 3
	       : symbol == LENGTHS_MANY_ZEROS ? 7
					      : 0;
}

static void lengths_add(struct lengths *l, unsigned symbol, unsigned extra)
{
	l->items[l->items_len].symbol = (uint8_t)symbol;
	l->items[l->items_len++].extra = (uint8_t)extra;
	l->counts[symbol]++;
}

/* `run` times the same length. */
static void lengths_add_run(struct lengths *l, unsigned len, unsigned run)
{
	if (len > 0) {
		lengths_add(l, len, 0);
		run--;
	}
	while (run >= 3) {
		unsigned max = len > 0 ? REPEAT_MAX : ZEROS_MAX;
		unsigned part = run < max ? run : max;
		if (len > 0)
			lengths_add(l, LENGTHS_REPEAT, part - 3);
		else if (part <= ZEROS_FEW_MAX)
			lengths_add(l, LENGTHS_ZEROS, part - 3);
		else
			lengths_add(l, LENGTHS_MANY_ZEROS, part - (ZEROS_FEW_MAX + 1));
		run -= part;
	}
	for (; run > 0; run--)
		lengths_add(l, len, 0);
}

static unsigned used_symbols(const uint8_t *lens, unsigned symbols, unsigned least)
{
	while (symbols > least && lens[symbols - 1] == 0)
		symbols--;
	return symbols;
}

static void lengths_make(struct lengths *l, const struct codes *c)
{
	uint8_t all[LENGTHS_SENT_MAX];
	memset(l, 0, sizeof(*l));
	l->litlen_len =
		used_symbols(c->litlen_lens, DEFLATE_LITLEN_SYMBOLS, DEFLATE_LENGTH_FIRST);
	l->dist_len = used_symbols(c->dist_lens, DEFLATE_DIST_SYMBOLS, 1);
	memcpy(all, c->litlen_lens, l->litlen_len);
	memcpy(all + l->litlen_len, c->dist_lens, l->dist_len);
	unsigned total = l->litlen_len + l->dist_len;
	for (unsigned i = 0, end; i < total; i = end) {
		for (end = i + 1; end < total && all[end] == all[i];)
			end++;
		lengths_add_run(l, all[i], end - i);
	}
	deflate_code_make(l->counts, LENGTHS_SYMBOLS, LENGTHS_LENGTH_LIMIT, l->lens, l->codes);
	l->order_len = LENGTHS_SYMBOLS;
	while (l->order_len > 4 && l->lens[lengths_order[l->order_len - 1]] == 0)
		l->order_len--;
}

static uint64_t lengths_bits(const struct lengths *l)
{
	uint64_t bits = 5 + 5 + 4 + 3 * l->order_len;
	for (unsigned i = 0; i < LENGTHS_SYMBOLS; i++)
		bits += (uint64_t)l->counts[i] * (l->lens[i] + lengths_extra_bits(i));
	return bits;
}

static void lengths_write(const struct lengths *l, struct deflate_bits *b)
{
	deflate_bits_add(b, l->litlen_len - DEFLATE_LENGTH_FIRST, 5);
	deflate_bits_add(b, l->dist_len - 1, 5);
	deflate_bits_add(b, l->order_len - 4, 4);
	for (unsigned i = 0; i < l->order_len; i++) {
		deflate_bits_add(b, l->lens[lengths_order[i]], 3);
		deflate_bits_flush(b);
	}
	for (unsigned i = 0; i < l->items_len; i++) {
		unsigned symbol = l->items[i].symbol;
		deflate_bits_add(b, l->codes[symbol], l->lens[symbol]);
		deflate_bits_add(b, l->items[i].extra, lengths_extra_bits(symbol));
		deflate_bits_flush(b);
	}
}

static void codes_fixed(struct codes *c)
{
	memset(c->litlen_lens, 8, 144);
	memset(c->litlen_lens + 144, 9, 256 - 144);
	memset(c->litlen_lens + 256, 7, 280 - 256);
	memset(c->litlen_lens + 280, 8, DEFLATE_SYMBOLS_MAX - 280);
	memset(c->dist_lens, 5, sizeof(c->dist_lens));
	deflate_code_assign(c->litlen_lens, DEFLATE_SYMBOLS_MAX, c->litlen);
	deflate_code_assign(c->dist_lens, DEFLATE_DIST_SYMBOLS, c->dist);
}

/* Of the symbols and of what follows them. */
static uint64_t codes_bits(const struct codes *c, const struct deflate_counts *counts)
{
	uint64_t bits = 0;
	for (unsigned i = 0; i < DEFLATE_LITLEN_SYMBOLS; i++) {
		unsigned extra = i < DEFLATE_LENGTH_FIRST
					 ? 0
					 : deflate_length_extra(i - DEFLATE_LENGTH_FIRST);
		bits += (uint64_t)counts->litlen[i] * (c->litlen_lens[i] + extra);
	}
	for (unsigned i = 0; i < DEFLATE_DIST_SYMBOLS; i++)
		bits += (uint64_t)counts->dist[i] * (c->dist_lens[i] + deflate_dist_extra(i));
	return bits;
}

/* A code and how many bits it has, in one word; for lengths with their extra bits. */
static uint32_t code_word(uint32_t bits, unsigned len)
{
	return bits | (uint32_t)len << 24;
}

static void add_word(struct deflate_bits *b, uint32_t word)
{
	deflate_bits_add(b, word & 0xffffff, word >> 24);
}

static void length_words(const struct codes *c, uint32_t ret[DEFLATE_LENGTH_MAX + 1])
{
	for (unsigned length = DEFLATE_LENGTH_MIN; length <= DEFLATE_LENGTH_MAX; length++) {
		unsigned s = deflate_length_symbol(length);
		unsigned len = c->litlen_lens[DEFLATE_LENGTH_FIRST + s];
		uint32_t extra = length - deflate_length_base(s);
		ret[length] = code_word(c->litlen[DEFLATE_LENGTH_FIRST + s] | extra << len,
					len + deflate_length_extra(s));
	}
}

static void write_literals(struct deflate_bits *b, const uint32_t words[256], const uint8_t *in,
			   size_t len)
{
	for (; len >= 4; len -= 4, in += 4) {
		add_word(b, words[in[0]]);
		add_word(b, words[in[1]]);
		add_word(b, words[in[2]]);
		add_word(b, words[in[3]]);
		deflate_bits_flush(b);
	}
	for (; len > 0; len--)
		add_word(b, words[*in++]);
	deflate_bits_flush(b);
}

static void write_symbols(struct deflate_bits *b, const struct codes *c,
			  const struct deflate_run *run)
{
	uint32_t literals[256], lengths[DEFLATE_LENGTH_MAX + 1];
	const uint8_t *in = run->in;
	for (unsigned i = 0; i < 256; i++)
		literals[i] = code_word(c->litlen[i], c->litlen_lens[i]);
	length_words(c, lengths);
	for (size_t i = 0; i < run->tokens_len; i++) {
		const struct deflate_token *t = &run->tokens[i];
		write_literals(b, literals, in, t->literals);
		in += t->literals + t->length;
		if (t->length == 0)
			continue;
		unsigned s = deflate_dist_symbol(t->dist);
		add_word(b, lengths[t->length]);
		deflate_bits_add(b, c->dist[s], c->dist_lens[s]);
		deflate_bits_add(b, t->dist - deflate_dist_base(s), deflate_dist_extra(s));
		deflate_bits_flush(b);
	}
	deflate_bits_add(b, c->litlen[DEFLATE_END_OF_BLOCK],
			 c->litlen_lens[DEFLATE_END_OF_BLOCK]);
	deflate_bits_flush(b);
}

static void write_header(struct deflate_bits *b, unsigned type)
{
	deflate_bits_add(b, (uint64_t)type << 1, HEADER_BITS);
	deflate_bits_flush(b);
}

static void write_stored(struct deflate_bits *b, const uint8_t *in, size_t len)
{
	do {
		size_t part = len < STORED_MAX ? len : STORED_MAX;
		write_header(b, TYPE_STORED);
		if (b->pending_len > 0)
			deflate_bits_add(b, 0, 8 - b->pending_len);
		deflate_bits_flush(b);
		deflate_bits_add(b, part | (part ^ 0xffff) << 16, 32);
		deflate_bits_flush(b);
		if (part > 0) {
			memcpy(b->out, in, part);
			in += part;
		}
		b->out += part;
		len -= part;
	} while (len > 0);
}

static uint64_t stored_bits(const struct deflate_bits *b, size_t len)
{
	uint64_t blocks = (len + STORED_MAX - 1) / STORED_MAX;
	unsigned at = b->pending_len & 7;
	/* The first is filled up to a byte, the others begin at one. */
	return (16 - HEADER_BITS - at) % 8 + HEADER_BITS + (blocks - 1) * 8 + blocks * 32 +
	       (uint64_t)len * 8;
}

void deflate_block_align(struct deflate_bits *b)
{
	write_stored(b, NULL, 0);
}

void deflate_block_write(struct deflate_bits *b, const struct deflate_run *run)
{
	struct deflate_counts counts = *run->counts;
	struct codes own = {0}, fixed = {0};
	struct lengths lengths;
	counts.litlen[DEFLATE_END_OF_BLOCK] = 1;
	deflate_code_make(counts.litlen, DEFLATE_LITLEN_SYMBOLS, LITLEN_LENGTH_LIMIT,
			  own.litlen_lens, own.litlen);
	deflate_code_make(counts.dist, DEFLATE_DIST_SYMBOLS, DIST_LENGTH_LIMIT, own.dist_lens,
			  own.dist);
	lengths_make(&lengths, &own);
	codes_fixed(&fixed);
	uint64_t stored = stored_bits(b, run->in_len);
	uint64_t with_fixed = HEADER_BITS + codes_bits(&fixed, &counts);
	uint64_t with_own = HEADER_BITS + lengths_bits(&lengths) + codes_bits(&own, &counts);
	if (stored <= with_fixed && stored <= with_own) {
		write_stored(b, run->in, run->in_len);
	} else if (with_fixed <= with_own) {
		write_header(b, TYPE_FIXED);
		write_symbols(b, &fixed, run);
	} else {
		write_header(b, TYPE_DYNAMIC);
		lengths_write(&lengths, b);
		write_symbols(b, &own, run);
	}
}
