/* Time, and its one text form by plain calendar arithmetic, free of time zones. */
#include "util/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util/err.h"

enum { DAY_S = 86400, ERA_YEARS = 400, ERA_DAYS = 146097 };

/* Seconds of 0000-01-01 and 9999-12-31T23:59:59. */
#define FIRST_S (-INT64_C(62167219200))
#define LAST_S CLOCK_RFC3339_MAX_S

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

/* `len` digits, leading zeros and all. */
static bool parse_digits(const char *text, size_t len, int *ret)
{
	int value = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (text[i] - '0');
	}
	*ret = value;
	return true;
}

bool clock_parse_rfc3339(const char *text, int64_t *ret_s)
{
	int year, month, day, hour, minute, second;
	char again[32];

	if (strlen(text) != strlen("1980-01-01T00:00:00Z") || !parse_digits(text, 4, &year) ||
	    !parse_digits(text + 5, 2, &month) || !parse_digits(text + 8, 2, &day) ||
	    !parse_digits(text + 11, 2, &hour) || !parse_digits(text + 14, 2, &minute) ||
	    !parse_digits(text + 17, 2, &second))
		return false;
	/* Counted as in clock_format_rfc3339: years from March, from 400 years before 0. */
	int64_t march_year = year + ERA_YEARS - (month <= 2);
	int64_t march_month = month > 2 ? month - 3 : month + 9;
	int64_t days = march_year * 365 + march_year / 4 - march_year / 100 + march_year / 400 +
		       (153 * march_month + 2) / 5 + day - 1;
	int64_t time_s =
		FIRST_S + (days + 60 - ERA_DAYS) * DAY_S + hour * 3600 + minute * 60 + second;

	/* Whatever is no date, or has other separators, comes back as another text. */
	if (time_s < FIRST_S || time_s > LAST_S)
		return false;
	clock_format_rfc3339(time_s, again);
	if (strcmp(text, again) != 0)
		return false;
	*ret_s = time_s;
	return true;
}
