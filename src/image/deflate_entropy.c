/*
 * What a run of symbols takes by its entropy, in whole numbers alone: floating point is not the
 * same everywhere.
 */
#include "image/deflate_internal.h"

enum { FRACTION_BITS = 12, TABLE_BITS = 8 };
_Static_assert(DEFLATE_ENTROPY_BIT == 1 << FRACTION_BITS, "one bit");

/* 4096 * log2(1 + i / 256), rounded to the nearest. */
static const uint16_t log2_fractions[1 << TABLE_BITS] = {
	0,    23,   46,	  69,	92,   114,  137,  159,	182,  204,  226,  249,	271,  293,
	315,  336,  358,  380,	402,  423,  445,  466,	487,  508,  530,  551,	572,  593,
	613,  634,  655,  675,	696,  716,  737,  757,	778,  798,  818,  838,	858,  878,
	898,  918,  937,  957,	977,  996,  1016, 1035, 1054, 1074, 1093, 1112, 1131, 1150,
	1169, 1188, 1207, 1226, 1244, 1263, 1282, 1300, 1319, 1337, 1355, 1374, 1392, 1410,
	1428, 1446, 1465, 1483, 1500, 1518, 1536, 1554, 1572, 1589, 1607, 1624, 1642, 1659,
	1677, 1694, 1712, 1729, 1746, 1763, 1780, 1797, 1814, 1831, 1848, 1865, 1882, 1899,
	1915, 1932, 1949, 1965, 1982, 1998, 2015, 2031, 2047, 2064, 2080, 2096, 2112, 2128,
	2145, 2161, 2177, 2192, 2208, 2224, 2240, 2256, 2272, 2287, 2303, 2319, 2334, 2350,
	2365, 2381, 2396, 2411, 2427, 2442, 2457, 2472, 2488, 2503, 2518, 2533, 2548, 2563,
	2578, 2593, 2608, 2622, 2637, 2652, 2667, 2681, 2696, 2711, 2725, 2740, 2754, 2769,
	2783, 2798, 2812, 2826, 2841, 2855, 2869, 2883, 2897, 2911, 2926, 2940, 2954, 2968,
	2982, 2995, 3009, 3023, 3037, 3051, 3065, 3078, 3092, 3106, 3119, 3133, 3146, 3160,
	3174, 3187, 3200, 3214, 3227, 3241, 3254, 3267, 3280, 3294, 3307, 3320, 3333, 3346,
	3359, 3373, 3386, 3399, 3412, 3424, 3437, 3450, 3463, 3476, 3489, 3502, 3514, 3527,
	3540, 3552, 3565, 3578, 3590, 3603, 3615, 3628, 3640, 3653, 3665, 3678, 3690, 3702,
	3715, 3727, 3739, 3751, 3764, 3776, 3788, 3800, 3812, 3824, 3836, 3849, 3861, 3873,
	3885, 3896, 3908, 3920, 3932, 3944, 3956, 3968, 3979, 3991, 4003, 4015, 4026, 4038,
	4050, 4061, 4073, 4084,
};

/* By the highest nine bits of `v`. */
static uint32_t log2_fixed(uint32_t v)
{
	unsigned high = deflate_log2(v);
	uint32_t scaled =
		high > TABLE_BITS ? v >> (high - TABLE_BITS) : v << (TABLE_BITS - high);
	return (high << FRACTION_BITS) + log2_fractions[scaled & ((1 << TABLE_BITS) - 1)];
}

static uint64_t entropy_of(const uint32_t *counts, unsigned symbols)
{
	uint64_t total = 0, sum = 0;
	for (unsigned i = 0; i < symbols; i++) {
		if (counts[i] > 1)
			sum += (uint64_t)counts[i] * log2_fixed(counts[i]);
		total += counts[i];
	}
	return total > 0 ? total * log2_fixed((uint32_t)total) - sum : 0;
}

uint64_t deflate_entropy(const struct deflate_counts *counts)
{
	return entropy_of(counts->litlen, DEFLATE_LITLEN_SYMBOLS) +
	       entropy_of(counts->dist, DEFLATE_DIST_SYMBOLS);
}
