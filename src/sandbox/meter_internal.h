/*
 * What the supervisor measures while a step runs, ten times a second: room on the file system
 * of the roots, what its control group was refused, and where there is none, the memory and the
 * processes of the sandbox. A step may overshoot between two looks; what must not overshoot is
 * bounded by the kernel (rlimits, sized file systems in memory, control groups).
 */
#ifndef SANDBOX_METER_INTERNAL_H
#define SANDBOX_METER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "sandbox/cgroup_internal.h"
#include "sandbox/evidence.h"
#include "sandbox/run.h"

/* What the child opens for the supervisor before anything hostile runs: its /proc, which shows
 * exactly its processes, and its file systems in memory. */
enum meter_place { METER_PROC, METER_TMP, METER_RUN, METER_SHM, METER_PLACES };

struct meter {
	const struct sandbox_spec *spec;
	const struct sandbox_limits *limits;
	const struct cgroup *cgroup;
	int places[METER_PLACES];
	uint64_t free_bytes,
		free_files; /* at the start; files 0: the file system has no number */
	uint64_t count_at_bytes, count_at_files; /* used since the start: then count exactly */
	uint64_t next_ms, next_scan_ms;
	uint64_t memory_peak_bytes;
	bool count_memfds; /* set by the owner: the step made one, or may have unseen */
};
#define METER_INIT                                                                             \
	{                                                                                      \
		.places = { -1, -1, -1, -1 }                                                   \
	}
void meter_cleanup(struct meter *m);

int meter_start(struct meter *m, const struct sandbox_spec *spec, const struct cgroup *cgroup,
		struct err *e) WARN_UNUSED;
/* Milliseconds to the next look. */
int meter_timeout(const struct meter *m);
/* Looks, if it is time; *ret is what was reached, or NONE. */
int meter_look(struct meter *m, enum sandbox_limit *ret, struct err *e) WARN_UNUSED;
/* What was reached by the end: what ends within the time between two looks is seen here. The
 * largest resident set of one process is 0 if it is not known. */
enum sandbox_limit meter_last(struct meter *m, uint64_t largest_rss_bytes);
/* What is known once the step has ended. */
void meter_finish(struct meter *m, struct sandbox_evidence *ev);

/* memfd.c: what the processes of a /proc hold in memory files without a name, mapped or not. */
uint64_t memfd_bytes(int proc_fd);

#endif
