/*
 * Gets every pin that the store lacks, many at a time, in the fetcher: the only process with a
 * network. It is handed one pin and one unnamed staging fd at a time over a socket, may open
 * nothing else (Landlock where present, seccomp always), and is not trusted with the result:
 * the supervisor re-hashes each file before it gets its name.
 */
#ifndef INPUTS_FETCH_H
#define INPUTS_FETCH_H

#include <stddef.h>
#include <stdint.h>

#include "inputs/store.h"
#include "util/vec.h"

struct pin {
	const char *const *urls; /* tried in order */
	size_t urls_len;
	struct digest hash; /* alg NONE: for fetch_unpinned() only */
	int64_t size;	    /* bytes, or -1 */
	struct pos pos;	    /* where the user wrote it; for errors */
};

struct fetch_progress {
	size_t done, total;	 /* pins */
	uint64_t bytes;		 /* received so far */
	uint64_t bytes_expected; /* sum of known sizes, 0 if any is unknown */
};

struct fetch_options {
	/* Called at most ten times a second and once at the end; may be NULL. */
	void (*progress)(void *ctx, const struct fetch_progress *p);
	void *ctx;
	unsigned parallel;   /* 0: LIMIT_DOWNLOAD_PARALLEL */
	unsigned stall_ms;   /* 0: LIMIT_DOWNLOAD_STALL_S */
	uint64_t total_ms;   /* for one pin; 0: LIMIT_DOWNLOAD_TOTAL_S */
	unsigned backoff_ms; /* first wait before a retry, doubled each time; 0: 500 */
	const char *ca_file; /* PEM, beside the system's; NULL: none */
	/* Called in the fetcher before it talks to anyone: takes away everything it does not
	 * need (sandbox/confine.h, handed in by build, since peers do not include one another).
	 * NULL in unit tests only. */
	int (*confine)(void *ctx, struct err *e);
	void *confine_ctx;
};

/* On return 0 every pin is in the store. Pins already there cost one stat; nothing is started
 * if all are. Pins of one hash are one download, which may use the URLs of all of them. The
 * first failure ends the others; what was finished by then stays in the store. Errors:
 * ERR_INPUT or ERR_MISMATCH "fetch/..." (docs/errors/inputs.md), positioned at the pin, with
 * the reason of every URL tried. Wrong bytes of one URL are warned about when another is tried.
 */
int fetch_pins(const struct store *store, const struct pin *pins, size_t pins_len,
	       const struct fetch_options *options, struct err *e) WARN_UNUSED;

struct fetch_found {
	struct digest hash; /* sha256 */
	uint64_t len;	    /* bytes */
};
/* Downloads what has no hash yet, believing the servers: for making pins, never for a build.
 * The store has every file on return 0, and ret[i] says what it was. A `size` is ignored. */
int fetch_unpinned(const struct store *store, const struct pin *pins, size_t pins_len,
		   const struct fetch_options *options, struct fetch_found *ret,
		   struct err *e) WARN_UNUSED;

#endif
