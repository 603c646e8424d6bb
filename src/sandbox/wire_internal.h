/* A struct err from a child to its supervisor, through a pipe. */
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

#endif
