/* The only way to time. Nothing here may reach an image; wall time is for reports and logs. */
#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* 9999-12-31T23:59:59Z, the last second that RFC 3339 holds. */
#define CLOCK_RFC3339_MAX_S INT64_C(253402300799)

uint64_t clock_monotonic_ms(void);
int64_t clock_wall_s(void);
/* "1980-01-01T00:00:00Z"; any second of years 0 to 9999. */
void clock_format_rfc3339(int64_t time_s, char out[32]);
/* Exactly what clock_format_rfc3339 writes: no fraction, no other zone than Z. */
bool clock_parse_rfc3339(const char *text, int64_t *ret_s);

#endif
