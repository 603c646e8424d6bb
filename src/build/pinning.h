/*
 * Making stacker.lock: every URL of a stackerfile, and of its prerequisites where their own
 * locks do not have it, looked up and pinned. What is pinned already stays as it is unless asked
 * otherwise, so that the world's changes come in when the user wants them and at no other time.
 */
#ifndef BUILD_PINNING_H
#define BUILD_PINNING_H

#include "build/context.h"
#include "build/project.h"

struct pinning_options {
	struct project_options project; /* of one file; leave_unpinned is set here */
	bool check;			/* look up everything that moves, as if to update it */
	bool update;			/* look up again: what `names` says, else everything */
	const char *const *names;	/* images or URLs */
	size_t names_len;
	int64_t now_s; /* the time that new pins get */
};

struct pinning {
	struct project project; /* owns the old lock, if there is one */
	size_t target;		/* the file asked for, in project.files */
	struct lockfile lock;	/* the new one */
	bool is_changed;	/* in more than times, or there was none */
};
#define PINNING_INIT                                                                           \
	{                                                                                      \
		.target = 0                                                                    \
	}
void pinning_cleanup(struct pinning *p);
/* The lock there is; an empty one if there is none. */
const struct lockfile *pinning_before(const struct pinning *p);

/* Writes nothing but what it downloads, to the store. Errors: those of project_read(),
 * fetch.h and pin.h; "lock/no-such-name" for a name that is neither; "lock/two-hashes". */
int pinning_make(struct build_context *c, const struct pinning_options *options,
		 struct pinning *ret, struct err *e) WARN_UNUSED;
/* Writes the lock to its place. */
int pinning_save(const struct pinning *p, struct err *e) WARN_UNUSED;
/* Puts the pins into the stackerfiles themselves; *ret_written counts them. */
int pinning_write_into(const struct pinning *p, size_t *ret_written, struct err *e) WARN_UNUSED;

#endif
