/* The DEFLATE encoder: what it writes is what was put in, and the bytes never change. */
#include "image_test.h"

#include <stdlib.h>
#include <zlib.h>

#include "image/deflate.h"
#include "image/deflate_internal.h"

struct coded {
	struct deflate_encoder *d;
	uint8_t *out;
	size_t len; /* with the end of the stream */
};

static void coded_cleanup(struct coded *c)
{
	free(c->d);
	free(c->out);
}

static void encode(struct coded *c, const uint8_t *in, size_t len)
{
	if (!c->d) {
		c->d = deflate_encoder_new();
		c->out = mem_alloc(DEFLATE_BOUND_BYTES + sizeof(deflate_end));
	}
	c->len = deflate_segment(c->d, in, len, c->out);
	assert_true(c->len <= DEFLATE_BOUND_BYTES);
	memcpy(c->out + c->len, deflate_end, sizeof(deflate_end));
	c->len += sizeof(deflate_end);
}

static void expect_round_trip(struct coded *c, const uint8_t *in, size_t len)
{
	AUTO_FREE uint8_t *back = mem_alloc(len + 1);
	z_stream z = {0};

	encode(c, in, len);
	assert_int_equal(inflateInit2(&z, -15), Z_OK);
	z.next_in = c->out;
	z.avail_in = (unsigned)c->len;
	z.next_out = back;
	z.avail_out = (unsigned)len + 1;
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	assert_int_equal(z.total_out, len);
	assert_memory_equal(back, in, len);
	inflateEnd(&z);
}

/* Marsaglia's xorshift; the bytes must be the same everywhere. `state` is not 0. */
static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

enum mix { MIX_ZEROS, MIX_RANDOM, MIX_WORDS, MIX_RECORDS, MIX_SKEWED, MIX_LAST = MIX_SKEWED };

static void fill(uint8_t *out, size_t len, enum mix mix, uint32_t seed)
{
	static const char *const words[] = {"layer",   " of ",	  "the ", "image",
					    "\n",      "digest",  "= ",	  "0x",
					    "struct ", "sha256:", "\t",	  ", "};
	size_t at = 0;

	while (at < len) {
		uint32_t r = next_random(&seed);
		const char *word = words[r % ARRAY_LEN(words)];

		switch (mix) {
		case MIX_ZEROS:
			out[at++] = 0;
			break;
		case MIX_RANDOM:
			out[at++] = (uint8_t)r;
			break;
		case MIX_WORDS:
			while (*word && at < len)
				out[at++] = (uint8_t)*word++;
			break;
		case MIX_RECORDS: /* little changes from one to the next */
			out[at] = at % 24 < 20 ? (uint8_t)(at % 24 * 7) : (uint8_t)(r & 31);
			at++;
			break;
		case MIX_SKEWED:
			out[at++] = (uint8_t)(__builtin_ctz(r | 1u << 20) * 11);
			break;
		}
	}
}

static void test_every_mix_and_many_lengths_round_trip(void **state)
{
	(void)state;
	AUTO(coded) c = {0};
	AUTO_FREE uint8_t *in = mem_alloc(DEFLATE_SEGMENT_BYTES);
	static const size_t lengths[] = {4095,
					 4096,
					 32767,
					 32768,
					 32769,
					 65535,
					 65536,
					 131071,
					 DEFLATE_SEGMENT_BYTES - 1,
					 DEFLATE_SEGMENT_BYTES};

	for (enum mix mix = 0; mix <= MIX_LAST; mix++) {
		fill(in, DEFLATE_SEGMENT_BYTES, mix, 1);
		for (size_t len = 1; len <= 600; len += 1 + len / 40)
			expect_round_trip(&c, in, len);
		for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
			expect_round_trip(&c, in, lengths[i]);
	}
}

/* The statistics change within the segment, so that blocks of all kinds follow each other. */
static void test_a_segment_of_all_mixes_round_trips(void **state)
{
	(void)state;
	enum { PART = 7919 };
	AUTO(coded) c = {0};
	AUTO_FREE uint8_t *in = mem_alloc(DEFLATE_SEGMENT_BYTES);

	for (size_t at = 0, i = 0; at < DEFLATE_SEGMENT_BYTES; at += PART, i++) {
		size_t left = DEFLATE_SEGMENT_BYTES - at;
		fill(in + at, left < PART ? left : PART, (enum mix)(i % (MIX_LAST + 1)),
		     (uint32_t)i + 1);
	}
	expect_round_trip(&c, in, DEFLATE_SEGMENT_BYTES);
}

/* Without repetitions, but worth a code. */
static void fill_letters(uint8_t *out, size_t len)
{
	fill(out, len, MIX_RANDOM, 3);
	for (size_t i = 0; i < len; i++)
		out[i] &= 63;
}

static void test_longest_distance_is_found_and_no_longer_one(void **state)
{
	(void)state;
	enum { PHRASE = 64, DIST_MAX = 32767 };
	AUTO(coded) c = {0};
	AUTO_FREE uint8_t *in = mem_alloc(DIST_MAX + 1 + PHRASE);

	fill_letters(in, DIST_MAX + 1 + PHRASE);
	encode(&c, in, DIST_MAX + PHRASE);
	size_t without = c.len;
	memcpy(in + DIST_MAX, in, PHRASE);
	expect_round_trip(&c, in, DIST_MAX + PHRASE);
	assert_true(c.len + PHRASE / 2 < without);
	fill_letters(in, DIST_MAX + 1 + PHRASE);
	memcpy(in + DIST_MAX + 1, in, PHRASE);
	expect_round_trip(&c, in, DIST_MAX + 1 + PHRASE);
	assert_true(c.len >= without);
}

static void test_ratio_stays_below_that_of_bombs(void **state)
{
	(void)state;
	AUTO(coded) c = {0};
	AUTO_FREE uint8_t *in = mem_zalloc(DEFLATE_SEGMENT_BYTES, 1);

	encode(&c, in, DEFLATE_SEGMENT_BYTES);
	size_t len = c.len - sizeof(deflate_end);
	assert_true(len * DEFLATE_RATIO_MAX >= DEFLATE_SEGMENT_BYTES);
	assert_true((len - 5) * DEFLATE_RATIO_MAX < DEFLATE_SEGMENT_BYTES);
}

static void test_random_bytes_grow_by_no_more_than_stored_blocks(void **state)
{
	(void)state;
	AUTO(coded) c = {0};
	AUTO_FREE uint8_t *in = mem_alloc(DEFLATE_SEGMENT_BYTES);

	fill(in, DEFLATE_SEGMENT_BYTES, MIX_RANDOM, 7);
	encode(&c, in, DEFLATE_SEGMENT_BYTES);
	assert_true(c.len < DEFLATE_SEGMENT_BYTES + 256);
}

static void test_what_was_encoded_before_leaves_no_trace(void **state)
{
	(void)state;
	AUTO(coded) fresh = {0};
	AUTO(coded) used = {0};
	AUTO_FREE uint8_t *in = mem_alloc(DEFLATE_SEGMENT_BYTES);
	AUTO_FREE uint8_t *other = mem_alloc(DEFLATE_SEGMENT_BYTES);

	fill(in, DEFLATE_SEGMENT_BYTES, MIX_WORDS, 5);
	fill(other, DEFLATE_SEGMENT_BYTES, MIX_WORDS, 6);
	encode(&fresh, in, 300000);
	encode(&used, other, DEFLATE_SEGMENT_BYTES);
	encode(&used, in, 300000);
	assert_int_equal(used.len, fresh.len);
	assert_memory_equal(used.out, fresh.out, fresh.len);
}

/* Format 1: these digests never change, with any compiler, on any machine. */
static void test_bytes_are_those_of_format_1(void **state)
{
	(void)state;
	static const struct {
		enum mix mix;
		size_t len;
		const char *sha256;
	} rows[] = {
		{MIX_ZEROS, DEFLATE_SEGMENT_BYTES,
		 "b7c46b5b4014b7b5ba3e1b4cb34a6dfaf15c9cf35c5ba11f6d3061c61055d4fc"},
		{MIX_RANDOM, 100000,
		 "c6c06859324652459b1fcbd60da12d5a55f1278f31b0855162482795ba035f13"},
		{MIX_WORDS, DEFLATE_SEGMENT_BYTES,
		 "2fb5990997784b31661c67eacf4d8011652deddf557c7d2398b1ac0061f593ea"},
		{MIX_RECORDS, 200000,
		 "e6510daf5e2e56500598e5ab0f6e67e7ce6d56a2a8c5bebc22722354b9743ab8"},
		{MIX_SKEWED, 200000,
		 "d27832836a5151afc4bd0a03d62a8c482ef50e0417aea170e6d3c9eecfbdcce9"},
		{MIX_WORDS, 1,
		 "c2d5e6a95ecf9e2d25f47ba0513f4dca85f11da886e9a9f6bcdec2a1fcad764a"},
	};
	AUTO(coded) c = {0};
	AUTO_FREE uint8_t *in = mem_alloc(DEFLATE_SEGMENT_BYTES);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct digest d;

		fill(in, rows[i].len, rows[i].mix, 11);
		encode(&c, in, rows[i].len);
		digest_bytes(DIGEST_SHA256, c.out, c.len, &d);
		expect_digest(&d, rows[i].sha256);
	}
}

static void test_wide_comparison_gives_what_its_plain_twin_gives(void **state)
{
	(void)state;
	enum { LEN = DEFLATE_LENGTH_MAX };
	uint8_t a[LEN], b[LEN];

	fill(a, LEN, MIX_RANDOM, 9);
	for (unsigned differ = 0; differ <= LEN; differ++) {
		memcpy(b, a, LEN);
		if (differ < LEN)
			b[differ] ^= (uint8_t)(1u << differ % 8);
		for (unsigned max = 4; max <= LEN; max += 1 + max / 8) {
			for (unsigned from = 0; from <= 4; from++)
				assert_int_equal(deflate_same_bytes(a, b, from, max),
						 deflate_same_bytes_plain(a, b, from, max));
		}
	}
}

static void test_symbols_are_those_of_the_rfc(void **state)
{
	(void)state;
	/* RFC 1951, 3.2.5 */
	static const struct {
		unsigned value, symbol, extra;
	} lengths[] = {{3, 0, 0},    {10, 7, 0},   {11, 8, 1},	{18, 11, 1},
		       {19, 12, 2},  {34, 15, 2},  {35, 16, 3}, {130, 23, 4},
		       {131, 24, 5}, {257, 27, 5}, {258, 28, 0}},
	  dists[] = {{1, 0, 0},	 {4, 3, 0},	 {5, 4, 1},	  {8, 5, 1},	  {9, 6, 2},
		     {24, 8, 3}, {8193, 26, 12}, {24577, 29, 13}, {32768, 29, 13}};

	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		assert_int_equal(deflate_length_symbol(lengths[i].value), lengths[i].symbol);
		assert_int_equal(deflate_length_extra(lengths[i].symbol), lengths[i].extra);
		assert_true(deflate_length_base(lengths[i].symbol) <= lengths[i].value);
	}
	for (size_t i = 0; i < ARRAY_LEN(dists); i++) {
		assert_int_equal(deflate_dist_symbol(dists[i].value), dists[i].symbol);
		assert_int_equal(deflate_dist_extra(dists[i].symbol), dists[i].extra);
		assert_true(deflate_dist_base(dists[i].symbol) <= dists[i].value);
	}
}

static uint32_t taken_by(const uint8_t *lens, unsigned symbols, unsigned limit)
{
	uint32_t taken = 0;

	for (unsigned i = 0; i < symbols; i++) {
		assert_true(lens[i] <= limit);
		taken += lens[i] ? 1u << (limit - lens[i]) : 0;
	}
	return taken;
}

/* Fibonacci's numbers make the deepest tree there is. */
static void test_codes_keep_to_their_limit_and_are_complete(void **state)
{
	(void)state;
	enum { SYMBOLS = 28 };
	uint32_t counts[SYMBOLS] = {1, 1};
	uint8_t lens[SYMBOLS];
	uint16_t codes[SYMBOLS];

	for (unsigned i = 2; i < SYMBOLS; i++)
		counts[i] = counts[i - 1] + counts[i - 2];
	for (unsigned limit = 5; limit <= 15; limit++) {
		deflate_code_make(counts, SYMBOLS, limit, lens, codes);
		assert_int_equal(taken_by(lens, SYMBOLS, limit), 1u << limit);
		for (unsigned i = 1; i < SYMBOLS; i++)
			assert_true(lens[i] <= lens[i - 1]);
	}
}

static void test_codes_have_two_symbols_at_least(void **state)
{
	(void)state;
	uint32_t counts[4] = {0, 0, 9, 0};
	uint8_t lens[4];
	uint16_t codes[4];

	deflate_code_make(counts, 4, 15, lens, codes);
	assert_int_equal(lens[2], 1);
	assert_int_equal(lens[0], 1);
	assert_int_equal(taken_by(lens, 4, 15), 1u << 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_mix_and_many_lengths_round_trip),
		cmocka_unit_test(test_a_segment_of_all_mixes_round_trips),
		cmocka_unit_test(test_longest_distance_is_found_and_no_longer_one),
		cmocka_unit_test(test_ratio_stays_below_that_of_bombs),
		cmocka_unit_test(test_random_bytes_grow_by_no_more_than_stored_blocks),
		cmocka_unit_test(test_what_was_encoded_before_leaves_no_trace),
		cmocka_unit_test(test_bytes_are_those_of_format_1),
		cmocka_unit_test(test_wide_comparison_gives_what_its_plain_twin_gives),
		cmocka_unit_test(test_symbols_are_those_of_the_rfc),
		cmocka_unit_test(test_codes_keep_to_their_limit_and_are_complete),
		cmocka_unit_test(test_codes_have_two_symbols_at_least),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
