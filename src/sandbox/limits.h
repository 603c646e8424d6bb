/*
 * What a step may use of the machine. Nothing here can be seen from inside a step (what can,
 * the rlimits and the sizes of its file systems in memory, is fixed by policy), and a step that
 * reaches one of them fails: so these numbers decide whether there is a layer, never what is in
 * it.
 */
#ifndef SANDBOX_LIMITS_H
#define SANDBOX_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* 0: unlimited. */
struct sandbox_limits {
	uint64_t memory_bytes; /* of all its processes and its file systems in memory */
	uint64_t processes;    /* threads count */
	uint64_t disk_bytes;   /* of the layer in the making */
	uint64_t files;	       /* of the layer in the making: files, directories, links */
	uint64_t wall_ms;
	uint64_t log_bytes;
};

enum sandbox_limit {
	SANDBOX_LIMIT_NONE,
	SANDBOX_LIMIT_MEMORY,
	SANDBOX_LIMIT_PROCESSES,
	SANDBOX_LIMIT_DISK,
	SANDBOX_LIMIT_FILES,
	SANDBOX_LIMIT_TIME,
	SANDBOX_LIMIT_LOG,
	SANDBOX_LIMIT_RESERVE, /* of the file system that holds the roots */
	SANDBOX_LIMIT_COUNT,
};

/* The word that a stackerfile has for it ("memory", "time" ...; "reserve" is no directive). */
const char *sandbox_limit_name(enum sandbox_limit limit);
enum { SANDBOX_LIMIT_TEXT_MAX = 32 };
/* Its value in `limits` for people: "2 GiB", "30 m", "4096"; "" for the reserve. */
void sandbox_limit_format(enum sandbox_limit limit, const struct sandbox_limits *limits,
			  char out[SANDBOX_LIMIT_TEXT_MAX]);
/* Fails with the limit's own ERR_SANDBOX id, naming its value and how to raise it. `most` may
 * be NULL: then no maximum is named. */
int sandbox_limit_reached(enum sandbox_limit limit, const char *label,
			  const struct sandbox_limits *limits,
			  const struct sandbox_limits *most, struct err *e);

/* What a directory tree holds: allocated bytes, a file of several names once; inodes. */
struct sandbox_usage {
	uint64_t bytes;
	uint64_t files;
};
/* Stops counting at the first of `limits` (disk_bytes, files) that is exceeded and says which,
 * SANDBOX_LIMIT_NONE if none is. Follows no link, crosses no mount. */
int sandbox_usage_count(int dir_fd, const struct sandbox_limits *limits,
			struct sandbox_usage *ret, enum sandbox_limit *ret_exceeded,
			struct err *e) WARN_UNUSED;

#endif
