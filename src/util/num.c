/* Strict number parsing; every function decides over the whole text or fails. */
#include "util/num.h"

#include <stdio.h>
#include <string.h>

enum { MODE_MAX = 07777, MODE_DIGITS_MAX = 5 };

static bool digits_value(const char *text, size_t len, unsigned base, uint64_t max,
			 uint64_t *ret)
{
	uint64_t value = 0;

	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] >= (char)('0' + base))
			return false;
		if (!num_mul_u64(value, base, &value) ||
		    !num_add_u64(value, (uint64_t)(text[i] - '0'), &value) || value > max)
			return false;
	}
	*ret = value;
	return true;
}

bool num_parse_u64(const char *text, size_t len, uint64_t max, uint64_t *ret)
{
	if (len > 1 && text[0] == '0')
		return false;
	return digits_value(text, len, 10, max, ret);
}

bool num_parse_i64(const char *text, size_t len, int64_t *ret)
{
	bool negative = len > 0 && text[0] == '-';
	uint64_t max = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
	uint64_t value;

	if (!num_parse_u64(text + negative, len - negative, max, &value))
		return false;
	if (negative && value == 0)
		return false;
	/* Negated as unsigned, since -INT64_MIN has no int64_t. */
	*ret = (int64_t)(negative ? 0 - value : value);
	return true;
}

bool num_parse_mode(const char *text, size_t len, uint32_t *ret)
{
	uint64_t value;
	size_t prefix = len >= 2 && text[1] == 'o' ? 2 : 1;

	if (len <= prefix || text[0] != '0' || len - prefix > MODE_DIGITS_MAX)
		return false;
	if (!digits_value(text + prefix, len - prefix, 8, MODE_MAX, &value))
		return false;
	*ret = (uint32_t)value;
	return true;
}

/* A table, since a large project has a million digits of digests. 0: not a digit, else value + 1. */
static int hex_value(char digit)
{
	static const uint8_t values[256] = {
		['0'] = 1,  ['1'] = 2,	['2'] = 3,  ['3'] = 4,	['4'] = 5,  ['5'] = 6,
		['6'] = 7,  ['7'] = 8,	['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
		['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
		['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
	};

	return values[(uint8_t)digit] - 1;
}

bool num_parse_hex(const char *text, size_t len, uint8_t *ret, size_t ret_len)
{
	if (len % 2 != 0 || len / 2 != ret_len)
		return false;
	/* Checked before anything is stored, as `ret` must be left alone on failure. */
	for (size_t i = 0; i < len; i++) {
		if (hex_value(text[i]) < 0)
			return false;
	}
	for (size_t i = 0; i < ret_len; i++)
		ret[i] = (uint8_t)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
	return true;
}

void num_format_hex(const uint8_t *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * len] = '\0';
}

bool num_add_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
	uint64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return false;
	*ret = sum;
	return true;
}

bool num_mul_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
	uint64_t product;

	if (__builtin_mul_overflow(a, b, &product))
		return false;
	*ret = product;
	return true;
}

void num_format_size(uint64_t bytes, char out[32])
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	uint64_t unit = 1024;
	size_t at = 0;

	if (bytes < unit) {
		snprintf(out, 32, "%u B", (unsigned)bytes);
		return;
	}
	while (bytes / unit >= 1024) {
		unit *= 1024;
		at++;
	}
	/* The rest is below 2^60, so ten times it still fits. */
	snprintf(out, 32, "%u.%u %s", (unsigned)(bytes / unit),
		 (unsigned)(bytes % unit * 10 / unit), units[at]);
}
