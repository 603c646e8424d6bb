/* A lock file: flock, never waiting, naming a holder's pid when it is taken. */
#ifndef UTIL_LOCK_H
#define UTIL_LOCK_H

#include "util/err.h"

/* Locks `name` below `dir_fd` (made if absent) until *ret_fd is closed. Taken is ERR_SYSTEM
 * "system/locked": "couldn't acquire lock on SHOWN: lock owned by pid N". */
int lock_acquire(int dir_fd, const char *name, const char *shown, int *ret_fd,
		 struct err *e) WARN_UNUSED;

/* The same, beside any number of others that share it. */
int lock_acquire_shared(int dir_fd, const char *name, const char *shown, int *ret_fd,
			struct err *e) WARN_UNUSED;
/* Makes a shared lock exclusive; if that fails it may be lost. */
int lock_make_exclusive(int fd, const char *shown, struct err *e) WARN_UNUSED;

#endif
