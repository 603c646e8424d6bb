/* From a child to its supervisor: a struct err through a pipe, open files through a socket. */
#ifndef SANDBOX_WIRE_INTERNAL_H
#define SANDBOX_WIRE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

/* One write, which a pipe keeps whole; a supervisor that is gone is nobody to tell. */
void wire_err_send(int fd, const struct err *e);
/* Makes an error out of bytes that a child wrote, which may have been taken over by hostile
 * input: nothing in them is trusted to be terminated, in range or a pointer. False if too
 * short. */
bool wire_err_read(const void *bytes, size_t len, struct err *ret);
/* As above, from a pipe that is read to its end; false if it ended without an error. */
bool wire_err_receive(int fd, struct err *ret);

enum { WIRE_FDS_MAX = 4 };
/* One message of one byte that says what they are, and the files; `len` may be 0. Sent without
 * waiting and without memory: usable between clone and exec. */
int wire_fds_send(int socket_fd, char kind, const int *fds, size_t len,
		  struct err *e) WARN_UNUSED;
/* False if there is nothing to receive now; then *ret_ended says if there never will be. On
 * true the files are the caller's, close-on-exec. */
bool wire_fds_receive(int socket_fd, char *ret_kind, int ret[WIRE_FDS_MAX], size_t *ret_len,
		      bool *ret_ended);

#endif
