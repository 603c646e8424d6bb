/* Filling in the record; each finds its row or makes one, or counts what no longer fits. */
#ifndef SANDBOX_EVIDENCE_INTERNAL_H
#define SANDBOX_EVIDENCE_INTERNAL_H

#include <linux/seccomp.h>
#include <sys/socket.h>

#include "sandbox/evidence.h"

void evidence_add_refused(struct sandbox_evidence *ev, const struct seccomp_data *call,
			  int error);
/* `len` 0: the address could not be read. */
void evidence_add_address(struct sandbox_evidence *ev, uint32_t number,
			  const struct sockaddr_storage *address, size_t len);
/* False if the call is none that sets ids. */
bool evidence_add_set_id(struct sandbox_evidence *ev, const struct seccomp_data *call);

void evidence_add_program(struct sandbox_evidence *ev, const char *path, uint32_t mode);

/* Calls that are allowed, but told of: those that set ids, connect(), execve() and
 * memfd_create(), whose files the meter counts from then on. sendto() is told of when it
 * carries an address. */
bool evidence_is_observed(int number);

/* Kernel, Landlock: what can be asked at any time. */
void evidence_note_machine(struct sandbox_evidence *ev);

#endif
