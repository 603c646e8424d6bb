/*
 * `limits` under `config`: how much of the machine a step may use. What the numbers may be at
 * most is policy, and not known here. They are no part of an evaluated recipe.
 */
#ifndef RECIPE_LIMITS_H
#define RECIPE_LIMITS_H

#include <stdint.h>

#include "recipe/node.h"
#include "util/err.h"

struct recipe_limit {
	uint64_t value; /* 0: not given */
	struct pos pos;
};

struct recipe_limits {
	struct recipe_limit memory_bytes, processes, disk_bytes, files, time_ms, log_bytes;
};

/* "recipe/bad-limit", "recipe/not-an-integer" and the errors of schema_check(). */
int limits_read(const struct node *map, struct recipe_limits *ret, struct err *e) WARN_UNUSED;

#endif
