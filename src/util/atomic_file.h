/*
 * A file that appears whole under its name or not at all: written to an unnamed O_TMPFILE in the
 * same directory, fsynced, linked as ".NAME.new", renamed over NAME, directory fsynced. A crash
 * can leave at most ".NAME.new", which the next writer of NAME (or atomic_file_recover) removes.
 * Concurrent writers of one NAME are safe, the last one wins: linking and renaming happen under a
 * flock of the directory. `dir_fd` is a real directory fd, neither AT_FDCWD nor O_PATH.
 */
#ifndef UTIL_ATOMIC_FILE_H
#define UTIL_ATOMIC_FILE_H

#include <sys/types.h>

#include "util/err.h"

int atomic_file_write(int dir_fd, const char *name, mode_t mode, const void *bytes, size_t len,
		      struct err *e) WARN_UNUSED;
/* Opens the unnamed file for streaming; the caller writes, then commits. */
int atomic_file_open(int dir_fd, mode_t mode, int *ret_fd, struct err *e) WARN_UNUSED;
/* `fd` stays the caller's. */
int atomic_file_commit(int dir_fd, const char *name, int fd, struct err *e) WARN_UNUSED;
/* Removes what a killed writer of `name` may have left. */
int atomic_file_recover(int dir_fd, const char *name, struct err *e) WARN_UNUSED;

#endif
