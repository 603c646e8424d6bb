/* Sizes and times have a unit, always: a bare number would be bytes to one reader and mebibytes
 * to the next. */
#include "recipe/limits.h"

#include <string.h>

#include "recipe/schema.h"
#include "recipe/value.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/str.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit sizes[] = {
	{"KiB", KIB}, {"MiB", MIB}, {"GiB", GIB}, {"TiB", 1024 * GIB}, {NULL, 0}};
static const struct unit times[] = {{"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0}};

static int bad_limit(const struct node *n, const char *what, const struct unit *units,
		     struct err *e)
{
	AUTO_FREE char *shown = str_printable(n->text, strlen(n->text));
	err_at(e, &n->pos, "recipe/bad-limit", "limit '%s' value '%s' is not valid", what,
	       shown);
	if (!units)
		return err_hint(e, "write a number of at least 1");
	return err_hint(e, units == sizes
				   ? "write a number of at least 1 and KiB, MiB, GiB or TiB, "
				     "for example '2GiB'"
				   : "write a number of at least 1 and s, m or h, for example "
				     "'30m'");
}

static int read_with_unit(const struct node *n, const char *what, const struct unit *units,
			  uint64_t *ret, struct err *e)
{
	const char *text;
	uint64_t number, value;
	if (value_text(n, what, &text, e) != 0)
		return -1;
	size_t digits = strspn(text, "0123456789");
	const struct unit *u = units;
	while (u->name && !str_same(text + digits, u->name))
		u++;
	if (!u->name || !num_parse_u64(text, digits, UINT64_MAX, &number) || number == 0 ||
	    !num_mul_u64(number, u->factor, &value))
		return bad_limit(n, what, units, e);
	*ret = value;
	return 0;
}

static int read_count(const struct node *n, const char *what, uint64_t *ret, struct err *e)
{
	int64_t number;
	if (value_integer(n, what, INT64_MAX, &number, e) != 0)
		return -1;
	if (number == 0)
		return bad_limit(n, what, NULL, e);
	*ret = (uint64_t)number;
	return 0;
}

/* A sandbox is built within its own limit, and by a process that must not be what the kernel
 * kills for lack of it. */
static int check_memory(const struct recipe_limit *memory, struct err *e)
{
	if (memory->value == 0 || memory->value >= LIMIT_STEP_MEMORY_LEAST)
		return 0;
	err_at(e, &memory->pos, "recipe/bad-limit",
	       "limit 'memory' is less than a sandbox itself needs");
	return err_hint(e, "write at least 16MiB");
}

int limits_read(const struct node *map, struct recipe_limits *ret, struct err *e)
{
	const struct {
		const char *name;
		const struct unit *units; /* NULL: a count */
		struct recipe_limit *limit;
	} all[] = {
		{"memory", sizes, &ret->memory_bytes}, {"processes", NULL, &ret->processes},
		{"disk", sizes, &ret->disk_bytes},     {"files", NULL, &ret->files},
		{"time", times, &ret->time_ms},	       {"log", sizes, &ret->log_bytes},
	};
	if (schema_check(SCHEMA_LIMITS, map, e) != 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		const struct node *n = schema_get(map, all[i].name);
		uint64_t *value = &all[i].limit->value;
		if (!n)
			continue;
		if ((all[i].units ? read_with_unit(n, all[i].name, all[i].units, value, e)
				  : read_count(n, all[i].name, value, e)) != 0)
			return -1;
		all[i].limit->pos = n->pos;
	}
	return check_memory(&ret->memory_bytes, e);
}
