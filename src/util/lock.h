/* An exclusive lock file: flock, never waiting, naming the holder's pid when it is taken. */
#ifndef UTIL_LOCK_H
#define UTIL_LOCK_H

#include "util/err.h"

/* Locks `name` below `dir_fd` (made if absent) until *ret_fd is closed. Taken is ERR_SYSTEM
 * "system/locked": "couldn't acquire lock on SHOWN: lock owned by pid N". */
int lock_acquire(int dir_fd, const char *name, const char *shown, int *ret_fd,
		 struct err *e) WARN_UNUSED;

#endif
