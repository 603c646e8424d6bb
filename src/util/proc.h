/*
 * Child processes: held by pidfd, dying with their parent, reaped here. Nothing is looked up in
 * PATH and nothing of the environment is passed on unless named.
 */
#ifndef UTIL_PROC_H
#define UTIL_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

struct proc {
	pid_t pid;
	int pidfd; /* -1: none */
};
#define PROC_INIT                                                                              \
	{                                                                                      \
		.pid = -1, .pidfd = -1                                                         \
	}
/* Kills and reaps a child that still runs. */
void proc_cleanup(struct proc *p);

struct proc_status {
	bool exited; /* else killed by `code` as a signal */
	int code;
};

/* Forks; returns 0 in the child with PDEATHSIG armed and the parent checked alive. */
int proc_fork(struct proc *ret, bool *ret_is_child, struct err *e) WARN_UNUSED;
/* A child of ours that was not started by proc_fork(); killed and reaped if that fails. */
int proc_hold(struct proc *ret, pid_t pid, struct err *e) WARN_UNUSED;
/* Waits until it ends or timeout_ms (-1: for ever) passes (*ret_ended false). */
int proc_wait(struct proc *p, int timeout_ms, bool *ret_ended, struct proc_status *ret,
	      struct err *e) WARN_UNUSED;
/* Runs argv[0] (absolute) with empty environment and stdin /dev/null, waits, gives its combined
 * output (capped at 64 KiB) for the error text. Non-zero exit is ERR_SYSTEM "system/helper". */
int proc_run(const char *const *argv, struct err *e) WARN_UNUSED;

/* How many CPUs this process may use. */
unsigned proc_cpus(void);

/* SIGINT and SIGTERM as an fd: blocks them and gives a signalfd; idempotent. Long waits poll
 * it. */
int proc_interrupt_fd(void);
/* True once an interruption was seen; sets ERR_INTERRUPTED if `e` is given. */
bool proc_interrupted(struct err *e);

#endif
