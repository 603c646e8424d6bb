/* The limits of a step in words: what was reached, how much it was, what to write to raise it.
 */
#include "sandbox/limits.h"

#include <inttypes.h>
#include <stdio.h>

#include "util/limits.h"
#include "util/mem.h"

enum unit { UNIT_BYTES, UNIT_COUNT, UNIT_TIME };

static const struct limit_words {
	const char *name;
	const char *id;
	const char *what; /* "the step of 'x' ..." */
	enum unit unit;
	size_t offset; /* in struct sandbox_limits */
} words[SANDBOX_LIMIT_COUNT] = {
	[SANDBOX_LIMIT_MEMORY] = {"memory", "sandbox/memory-limit", "ran out of memory",
				  UNIT_BYTES, offsetof(struct sandbox_limits, memory_bytes)},
	[SANDBOX_LIMIT_PROCESSES] = {"processes", "sandbox/process-limit",
				     "ran out of processes", UNIT_COUNT,
				     offsetof(struct sandbox_limits, processes)},
	[SANDBOX_LIMIT_DISK] = {"disk", "sandbox/disk-limit", "ran out of disk space",
				UNIT_BYTES, offsetof(struct sandbox_limits, disk_bytes)},
	[SANDBOX_LIMIT_FILES] = {"files", "sandbox/file-limit", "made too many files",
				 UNIT_COUNT, offsetof(struct sandbox_limits, files)},
	[SANDBOX_LIMIT_TIME] = {"time", "sandbox/time-limit", "ran out of time", UNIT_TIME,
				offsetof(struct sandbox_limits, wall_ms)},
	[SANDBOX_LIMIT_LOG] = {"log", "sandbox/log-limit", "wrote too much output", UNIT_BYTES,
			       offsetof(struct sandbox_limits, log_bytes)},
	[SANDBOX_LIMIT_RESERVE] = {"reserve", "sandbox/disk-reserve", "", UNIT_BYTES, 0},
};

/* The largest unit that says it exactly, so that what is printed can be written back. */
static void format_bytes(uint64_t value, char out[SANDBOX_LIMIT_TEXT_MAX])
{
	static const char *const names[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	size_t at = 0;
	while (at + 1 < ARRAY_LEN(names) && value >= KIB && value % KIB == 0) {
		value /= KIB;
		at++;
	}
	snprintf(out, SANDBOX_LIMIT_TEXT_MAX, "%" PRIu64 " %s", value, names[at]);
}

static void format_time(uint64_t ms, char out[SANDBOX_LIMIT_TEXT_MAX])
{
	static const struct {
		uint64_t ms;
		const char *name;
	} units[] = {{3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
	size_t at = 0;
	while (ms % units[at].ms != 0)
		at++;
	snprintf(out, SANDBOX_LIMIT_TEXT_MAX, "%" PRIu64 " %s", ms / units[at].ms,
		 units[at].name);
}

static void format(const struct limit_words *w, const struct sandbox_limits *limits,
		   char out[SANDBOX_LIMIT_TEXT_MAX])
{
	uint64_t value = *(const uint64_t *)(const void *)((const char *)limits + w->offset);
	switch (w->unit) {
	case UNIT_BYTES:
		format_bytes(value, out);
		return;
	case UNIT_COUNT:
		snprintf(out, SANDBOX_LIMIT_TEXT_MAX, "%" PRIu64, value);
		return;
	case UNIT_TIME:
		format_time(value, out);
		return;
	}
	BUG_IF(true);
}

const char *sandbox_limit_name(enum sandbox_limit limit)
{
	BUG_IF(limit <= SANDBOX_LIMIT_NONE || limit >= SANDBOX_LIMIT_COUNT);
	return words[limit].name;
}

void sandbox_limit_format(enum sandbox_limit limit, const struct sandbox_limits *limits,
			  char out[SANDBOX_LIMIT_TEXT_MAX])
{
	BUG_IF(limit <= SANDBOX_LIMIT_NONE || limit >= SANDBOX_LIMIT_COUNT);
	if (limit == SANDBOX_LIMIT_RESERVE)
		out[0] = '\0';
	else
		format(&words[limit], limits, out);
}

static int reserve_reached(const char *label, struct err *e)
{
	err_set(e, ERR_SANDBOX, words[SANDBOX_LIMIT_RESERVE].id,
		"the step of '%s' was stopped: the file system of the roots directory is almost "
		"full",
		label);
	return err_hint(e, "make room there, or give another --roots-dir");
}

int sandbox_limit_reached(enum sandbox_limit limit, const char *label,
			  const struct sandbox_limits *limits,
			  const struct sandbox_limits *most, struct err *e)
{
	char value[SANDBOX_LIMIT_TEXT_MAX], maximum[SANDBOX_LIMIT_TEXT_MAX];
	BUG_IF(limit <= SANDBOX_LIMIT_NONE || limit >= SANDBOX_LIMIT_COUNT);
	if (limit == SANDBOX_LIMIT_RESERVE)
		return reserve_reached(label, e);
	const struct limit_words *w = &words[limit];
	format(w, limits, value);
	err_set(e, ERR_SANDBOX, w->id,
		"the step of '%s' %s (limit %s, raise with 'limits: {%s: ...}' under 'config')",
		label, w->what, value, w->name);
	if (!most)
		return -1;
	format(w, most, maximum);
	return err_hint(e, "policy allows up to %s", maximum);
}
