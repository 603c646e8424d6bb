/* The only way to time. Nothing here may reach an image; wall time is for reports and logs. */
#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <stdint.h>

uint64_t clock_monotonic_ms(void);
int64_t clock_wall_s(void);
/* "1980-01-01T00:00:00Z"; any second of years 0 to 9999. */
void clock_format_rfc3339(int64_t time_s, char out[32]);

#endif
