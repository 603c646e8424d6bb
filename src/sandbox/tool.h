/*
 * Runs a program of this machine on bytes that may be hostile: a worker (sandbox/worker.h) of
 * the role "tool", which sees the machine's /usr read-only, the directories and files that it is
 * given, and nothing else; no network, no /proc, no environment but what is named here.
 */
#ifndef SANDBOX_TOOL_H
#define SANDBOX_TOOL_H

#include "sandbox/worker.h"

/* How much of what a program prints is kept. */
enum { SANDBOX_TOOL_OUTPUT_BYTES = 64 * 1024 };

struct sandbox_tool {
	const struct sandbox_idmap *idmap;
	const struct sandbox_policy *policy;
	const char *program;	 /* looked for in /usr/bin and /usr/sbin */
	const char *package;	 /* Debian's, to name if it is missing */
	const char *const *argv; /* NULL-terminated, argv[0] included */
	const char *const *env;	 /* NULL-terminated */
	const struct sandbox_bind *binds;
	size_t binds_len;
	int in_fd;	       /* its standard input, read from where it stands; -1: empty */
	int out_fd;	       /* its standard output; -1: collected */
	uint64_t memory_bytes; /* of address space */
	uint64_t file_bytes;   /* of a file it writes */
	unsigned time_limit_ms;
};

/* `output` (may be NULL) receives the end of what it printed to standard error and, if not
 * redirected, to standard output. ERR_SANDBOX "sandbox/tool-missing", "sandbox/tool-failed" (any
 * exit code but 0, or a signal) with what it printed last. */
int sandbox_tool_run(const struct sandbox_tool *t, struct buf *output,
		     struct err *e) WARN_UNUSED;

#endif
