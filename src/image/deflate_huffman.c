/*
 * Huffman codes of limited length. Symbols are ordered by count and then by number, so that
 * equal counts leave nothing to chance; the tree is built by merging two sorted queues, the
 * leaves and the inner nodes, which come out sorted by themselves.
 */
#include "image/deflate_internal.h"
#include "util/err.h"

enum { SYMBOL_BITS = 9, LENGTH_LIMIT = 15 };

/* Shell's sort: short lists, and no two keys are the same. */
static void sort_keys(uint32_t *keys, unsigned len)
{
	static const unsigned gaps[] = {132, 57, 23, 10, 4, 1};
	for (unsigned g = 0; g < sizeof(gaps) / sizeof(gaps[0]); g++) {
		unsigned gap = gaps[g];
		for (unsigned i = gap; i < len; i++) {
			uint32_t key = keys[i];
			unsigned at = i;
			for (; at >= gap && keys[at - gap] > key; at -= gap)
				keys[at] = keys[at - gap];
			keys[at] = key;
		}
	}
}

/* How many leaves lie at each depth of the tree over the ascending `keys`, two or more; deeper
 * ones than `max_len` count as that deep. */
static void count_depths(const uint32_t *keys, unsigned len, unsigned max_len,
			 unsigned ret_at[LENGTH_LIMIT + 1])
{
	uint32_t weights[DEFLATE_SYMBOLS_MAX] = {0};	 /* of inner nodes */
	uint16_t parents[2 * DEFLATE_SYMBOLS_MAX] = {0}; /* leaves, then inner nodes */
	unsigned leaf = 0, inner = 0, made = 0;
	for (; made < len - 1; made++) {
		uint32_t sum = 0;
		for (unsigned k = 0; k < 2; k++) {
			/* Of equals the leaf, which keeps the tree flat. */
			bool take_leaf =
				leaf < len &&
				(inner == made || keys[leaf] >> SYMBOL_BITS <= weights[inner]);
			sum += take_leaf ? keys[leaf] >> SYMBOL_BITS : weights[inner];
			if (take_leaf)
				parents[leaf++] = (uint16_t)made;
			else
				parents[len + inner++] = (uint16_t)made;
		}
		weights[made] = sum;
	}
	uint16_t depths[DEFLATE_SYMBOLS_MAX] = {
		0}; /* of inner nodes; the last one is the root */
	memset(ret_at, 0, (LENGTH_LIMIT + 1) * sizeof(*ret_at));
	for (unsigned i = made; i-- > 0;)
		depths[i] = i + 1 == made ? 0 : (uint16_t)(depths[parents[len + i]] + 1);
	for (unsigned i = 0; i < len; i++) {
		unsigned depth = depths[parents[i]] + 1u;
		ret_at[depth < max_len ? depth : max_len]++;
	}
}

/* Until the lengths fit into one code again: the deepest leaf that is not at the limit goes one
 * down and takes one from the limit as its brother. */
static void make_room(unsigned at[LENGTH_LIMIT + 1], unsigned max_len)
{
	uint32_t taken = 0;
	for (unsigned i = 1; i <= max_len; i++)
		taken += at[i] << (max_len - i);
	for (; taken > 1u << max_len; taken--) {
		unsigned i = max_len - 1;
		while (at[i] == 0)
			i--;
		at[i]--;
		at[i + 1] += 2;
		at[max_len]--;
	}
}

static uint16_t reverse_bits(unsigned code, unsigned len)
{
	unsigned out = 0;
	for (; len > 0; len--, code >>= 1)
		out = out << 1 | (code & 1);
	return (uint16_t)out;
}

void deflate_code_assign(const uint8_t *lens, unsigned symbols, uint16_t *ret_codes)
{
	unsigned at[LENGTH_LIMIT + 1] = {0}, next[LENGTH_LIMIT + 2] = {0};
	for (unsigned i = 0; i < symbols; i++)
		at[lens[i]]++;
	at[0] = 0;
	for (unsigned i = 1; i <= LENGTH_LIMIT; i++)
		next[i + 1] = (next[i] + at[i]) << 1;
	for (unsigned i = 0; i < symbols; i++)
		ret_codes[i] = lens[i] ? reverse_bits(next[lens[i]]++, lens[i]) : 0;
}

void deflate_code_make(const uint32_t *counts, unsigned symbols, unsigned max_len,
		       uint8_t *ret_lens, uint16_t *ret_codes)
{
	uint32_t keys[DEFLATE_SYMBOLS_MAX];
	unsigned len = 0, at[LENGTH_LIMIT + 1];
	BUG_IF(symbols > DEFLATE_SYMBOLS_MAX || max_len > LENGTH_LIMIT);
	memset(ret_lens, 0, symbols);
	for (unsigned i = 0; i < symbols; i++) {
		if (counts[i] > 0)
			keys[len++] = counts[i] << SYMBOL_BITS | i;
	}
	/* A code of fewer than two symbols is one that not every reader takes. */
	for (unsigned i = 0; len < 2; i++) {
		if (counts[i] == 0)
			keys[len++] = i;
	}
	sort_keys(keys, len);
	count_depths(keys, len, max_len, at);
	make_room(at, max_len);
	unsigned next = 0;
	for (unsigned depth = max_len; depth > 0; depth--) {
		for (unsigned k = 0; k < at[depth]; k++)
			ret_lens[keys[next++] & ((1u << SYMBOL_BITS) - 1)] = (uint8_t)depth;
	}
	deflate_code_assign(ret_lens, symbols, ret_codes);
}
