/*
 * What the supervisor and the fetcher say to each other. The fetcher is a fork of the
 * supervisor, so the jobs themselves need no encoding: a request is the number of a job plus
 * the staging fd (SCM_RIGHTS), a message is one fixed struct. Both travel over a SOCK_SEQPACKET
 * pair, which keeps their borders. Messages come from a process that talks to strangers and are
 * checked field by field.
 */
#ifndef INPUTS_FETCHER_INTERNAL_H
#define INPUTS_FETCHER_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "inputs/fetch.h"
#include "util/vec.h"

enum { FETCH_TEXT_MAX = 1024, FETCH_PARALLEL_MAX = 64 };

/* All pins with one hash, or one pin without. */
struct fetch_job {
	struct digest hash;		  /* alg NONE: any bytes will do */
	int64_t size;			  /* bytes, or -1 */
	struct pos pos;			  /* of the first pin */
	struct VEC_OF(const char *) urls; /* borrowed, no duplicates */
};
struct fetch_jobs VEC_OF(struct fetch_job);

/* Why a URL did not deliver; indexes the table of ids in fetch.c. */
enum fetch_cause {
	FETCH_CAUSE_NONE,
	FETCH_CAUSE_NETWORK,
	FETCH_CAUSE_TLS,
	FETCH_CAUSE_STALLED,
	FETCH_CAUSE_STATUS,
	FETCH_CAUSE_REDIRECT,
	FETCH_CAUSE_RESPONSE,
	FETCH_CAUSE_SIZE,
	FETCH_CAUSE_HASH,
	FETCH_CAUSE_DISK,
	FETCH_CAUSES,
};

struct fetch_request {
	uint32_t job;
};

enum fetch_message_kind {
	FETCH_SAYS_PROGRESS = 1, /* `bytes` of the job are there; also the sign of life */
	FETCH_SAYS_NOTE,	 /* `text` is for the log */
	FETCH_SAYS_WARNING,
	FETCH_SAYS_DONE,   /* the staged file is right, and closed on the fetcher's side */
	FETCH_SAYS_FAILED, /* `cause` and `text` */
	FETCH_SAYS_BROKEN, /* the fetcher cannot work at all: `text`, `hint` */
};

struct fetch_message {
	uint32_t kind;
	uint32_t job;
	uint32_t cause;
	uint32_t unused;
	uint64_t bytes;
	char text[FETCH_TEXT_MAX];
	char hint[ERR_HINT_MAX];
};

struct fetcher_config {
	const struct fetch_job *jobs;
	size_t jobs_len;
	unsigned parallel; /* resolved, 1 to FETCH_PARALLEL_MAX */
	unsigned stall_ms;
	uint64_t total_ms;
	unsigned backoff_ms;
	const struct fetch_options *options;
};

/* The fetcher's life, in the child, until the supervisor closes its end. */
void fetcher_main(int sock, const struct fetcher_config *config);

/* fetch_pins() with another child, so that tests can see what a lying one achieves. */
int fetch_pins_by(const struct store *store, const struct pin *pins, size_t pins_len,
		  const struct fetch_options *options,
		  void (*child)(int sock, const struct fetcher_config *config),
		  struct err *e) WARN_UNUSED;

#endif
