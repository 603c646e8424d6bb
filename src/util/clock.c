/* Time, and its one text form by plain calendar arithmetic, free of time zones. */
#include "util/clock.h"

#include <stdio.h>
#include <time.h>

#include "util/err.h"

enum { DAY_S = 86400, ERA_YEARS = 400, ERA_DAYS = 146097 };

/* Seconds of 0000-01-01 and 9999-12-31T23:59:59. */
#define FIRST_S (-INT64_C(62167219200))
#define LAST_S INT64_C(253402300799)

uint64_t clock_monotonic_ms(void)
{
	struct timespec now;

	BUG_IF(clock_gettime(CLOCK_MONOTONIC, &now) != 0);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int64_t clock_wall_s(void)
{
	struct timespec now;

	BUG_IF(clock_gettime(CLOCK_REALTIME, &now) != 0);
	return now.tv_sec;
}

void clock_format_rfc3339(int64_t time_s, char out[32])
{
	BUG_IF(time_s < FIRST_S || time_s > LAST_S);
	int second = (int)((time_s - FIRST_S) % DAY_S);
	/* Days since 1 March of the year -400: a year that begins in March ends in its leap
	 * day, and starting 400 years early keeps every count below positive. */
	int64_t day = (time_s - FIRST_S) / DAY_S - 60 + ERA_DAYS;
	int era_day = (int)(day % ERA_DAYS);
	int era_year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
	int year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
	/* Months of 153 days in five, from March on. */
	int march_month = (5 * year_day + 2) / 153;
	int month_day = year_day - (153 * march_month + 2) / 5 + 1;
	int month = march_month < 10 ? march_month + 3 : march_month - 9;
	int year = (int)(day / ERA_DAYS - 1) * ERA_YEARS + era_year + (month <= 2);

	snprintf(out, 32, "%04d-%02d-%02dT%02d:%02d:%02dZ", year, month, month_day,
		 second / 3600, second / 60 % 60, second % 60);
}
