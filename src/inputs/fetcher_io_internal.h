/*
 * What the two kinds of fetcher (pins, registries) and their supervisors share: messages with
 * an fd over a socket that keeps borders, how a fetcher settles down, how a supervisor takes a
 * file back.
 */
#ifndef INPUTS_FETCHER_IO_INTERNAL_H
#define INPUTS_FETCHER_IO_INTERNAL_H

#include <curl/curl.h>
#include <stddef.h>
#include <sys/types.h>

#include "inputs/store.h"

enum { FETCHER_FD = 3 };

/* Sends one message and, unless it is -1, an fd. -1 with errno set. */
int fetcher_send(int sock, const void *message, size_t len, int fd);
/* Receives one message; as recvmsg(). *ret_fd is -1 if none came along. */
ssize_t fetcher_receive(int sock, void *message, size_t len, int flags, int *ret_fd);

/* Copies a text into a message's field, as much as fits. */
void fetcher_copy_text(char *to, size_t to_len, const char *from);

/* In the fetcher: moves the socket to FETCHER_FD and closes everything else that the supervisor
 * holds (the store, the state directory). -1 with errno set. */
int fetcher_settle(int sock);
/* In the fetcher, as long as it may read files: makes libcurl ready to work without. `ca`, which
 * must outlive what uses *ret, gets the system's certificates, if there are any, and those of a
 * file the user named. */
int fetcher_prepare(const char *ca_file, struct buf *ca, struct curl_blob *ret,
		    struct err *e) WARN_UNUSED;
#define FETCHER_CA_BYTES (8 * MIB)

/* Makes sure that nobody can write to the staged file any more, or a fetcher gone bad could
 * change the blob after its bytes were checked. Closes *fd; gives another. */
int fetcher_take_back(const struct store *store, int *fd, int *ret_fd,
		      struct err *e) WARN_UNUSED;

#endif
