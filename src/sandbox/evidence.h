/*
 * What a step tried that it could not do, or that an auditor wants to know, and what held it.
 * It is a record, not a protection: the isolation decides without it. Everything is bounded, so
 * that a step cannot fill the supervisor's memory by what it tries; what no longer fits is
 * counted.
 */
#ifndef SANDBOX_EVIDENCE_H
#define SANDBOX_EVIDENCE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/limits.h"

enum {
	EVIDENCE_CALLS_MAX = 96,
	EVIDENCE_ADDRESSES_MAX = 64,
	EVIDENCE_SET_IDS_MAX = 32,
	EVIDENCE_PROGRAMS_MAX = 16,
	EVIDENCE_PATH_MAX = 256, /* longer paths are cut */
};

/* A refused call, by number and, where one argument says what was asked for (the family of a
 * socket, the request of an ioctl), by that. */
struct evidence_call {
	uint32_t number;
	uint32_t error; /* errno that it got */
	bool has_argument;
	uint32_t argument;
	uint64_t count;
};

/* A connect() or sendto() with an address. Nothing is refused here: the step has no network but
 * its own loopback. */
struct evidence_address {
	uint32_t number;
	bool readable; /* else nothing below is known */
	uint16_t family;
	uint16_t port;
	uint8_t bytes[16]; /* INET: 4, INET6: 16 */
	uint64_t count;
};

/* A call that changes user or group ids; -1 stands for "leave it". */
struct evidence_set_id {
	uint32_t number;
	uint32_t ids_len;
	uint32_t ids[3];
	uint64_t count;
};

/* A program that was executed and has set-id bits, which no_new_privs leaves without effect. */
struct evidence_program {
	char path[EVIDENCE_PATH_MAX]; /* as given to execve(); bytes of the step's choice */
	uint32_t mode;
	uint64_t count;
};

enum evidence_cgroup { EVIDENCE_CGROUP_NONE, EVIDENCE_CGROUP_V1, EVIDENCE_CGROUP_V2 };

struct sandbox_evidence {
	struct evidence_call calls[EVIDENCE_CALLS_MAX];
	size_t calls_len;
	uint64_t calls_more; /* counted, of kinds that no longer fit */
	struct evidence_address addresses[EVIDENCE_ADDRESSES_MAX];
	size_t addresses_len;
	uint64_t addresses_more;
	struct evidence_set_id set_ids[EVIDENCE_SET_IDS_MAX];
	size_t set_ids_len;
	uint64_t set_ids_more;
	struct evidence_program programs[EVIDENCE_PROGRAMS_MAX];
	size_t programs_len;
	uint64_t programs_more;
	bool has_memfds; /* memory files were made */
	bool watched; /* the kernel told us of these calls; else all of the above is unknown */

	enum sandbox_limit limit;	   /* that ended the step, or NONE */
	bool tmp_full, run_full, shm_full; /* at the end of the step */
	enum evidence_cgroup memory_by, processes_by;
	uint64_t memory_peak_bytes; /* 0: not known */

	char kernel[65];    /* release */
	bool dedicated_ids; /* ids of root's own range, not subordinate ids of a user */
	int landlock_abi;   /* of the kernel; 0: none */
};

/* The system call's name for this machine, "call-N" if it has none. Returns `out`. */
enum { EVIDENCE_NAME_MAX = 40 };
const char *sandbox_call_name(uint32_t number, char out[EVIDENCE_NAME_MAX]);

#endif
