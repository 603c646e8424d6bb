/* Strict numbers: the whole text or an error; no sign, space, underscore or other base by luck. */
#ifndef UTIL_NUM_H
#define UTIL_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns false, leaving `ret` alone, unless the whole text is canonical (no leading zero
 * beside "0" itself) and within `max`. */
bool num_parse_u64(const char *text, size_t len, uint64_t max, uint64_t *ret);
bool num_parse_i64(const char *text, size_t len, int64_t *ret);
/* A file mode: octal digits after `0` or `0o`, at most 07777. */
bool num_parse_mode(const char *text, size_t len, uint32_t *ret);
/* Lower- and upper-case hex into exactly ret_len bytes; text length must be 2 * ret_len. */
bool num_parse_hex(const char *text, size_t len, uint8_t *ret, size_t ret_len);
/* Lower-case hex plus NUL into out, which holds 2 * len + 1. */
void num_format_hex(const uint8_t *bytes, size_t len, char *out);
bool num_add_u64(uint64_t a, uint64_t b, uint64_t *ret); /* false on overflow */
bool num_mul_u64(uint64_t a, uint64_t b, uint64_t *ret);
/* "1.2 MiB" for people; out holds 32. */
void num_format_size(uint64_t bytes, char out[32]);

#endif
