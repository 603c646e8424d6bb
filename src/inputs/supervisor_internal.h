/*
 * What the supervisors of the two kinds of fetcher (pins, registries) share: the fetcher's
 * life, and the loop that hands work out and hears how it goes. What the work is, and what to
 * make of what the fetcher says, is the caller's.
 */
#ifndef INPUTS_SUPERVISOR_INTERNAL_H
#define INPUTS_SUPERVISOR_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "util/proc.h"

/* How one kind of fetcher is called when it fails. */
struct supervisor_ids {
	const char *broken, *confused, *died, *hangs;
};

struct supervisor {
	const struct supervisor_ids *ids;
	const char *name; /* of the fetcher, for messages: "the fetcher"; borrowed */
	struct proc proc;
	int sock; /* -1: no fetcher runs */
};
#define SUPERVISOR_INIT(ids_, name_)                                                           \
	{                                                                                      \
		.ids = (ids_), .name = (name_), .proc = PROC_INIT, .sock = -1                  \
	}

/* Forks. *ret_sock is the fetcher's end of the socket in the child, -1 in the parent. */
int supervisor_start(struct supervisor *s, int *ret_sock, struct err *e) WARN_UNUSED;
/* Kills the fetcher, if one runs; another may be started. */
void supervisor_stop(struct supervisor *s);

/* Items of work, numbered from 0. The callbacks may fail, which ends the whole. */
struct supervisor_work {
	size_t len;
	size_t parallel;  /* this many at a time */
	size_t done;	  /* counted up by `take` */
	uint64_t idle_ms; /* for so long a fetcher may have nothing to say */
	void *message;	  /* room for one message, which must have this size */
	size_t message_len;
	/* Sends the request with supervisor_ask(). */
	int (*hand_out)(void *ctx, size_t index, struct err *e);
	int (*take)(void *ctx, struct err *e); /* what is in `message` */
	void (*report)(void *ctx, bool is_last);
	void *ctx;
};
int supervisor_run(struct supervisor *s, struct supervisor_work *work,
		   struct err *e) WARN_UNUSED;

/* Of a fetcher that is gone this is no error: its last words are of interest, and to be heard. */
int supervisor_ask(struct supervisor *s, const void *request, size_t len, int fd,
		   struct err *e) WARN_UNUSED;

int supervisor_err_confused(const struct supervisor *s, struct err *e);
/* The fetcher says that it cannot work at all; both texts are as it sent them. */
int supervisor_err_broken(const struct supervisor *s, const char *text, size_t text_size,
			  const char *hint, size_t hint_size, struct err *e);

#endif
