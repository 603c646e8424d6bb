/*
 * One job inside the fetcher: its URLs in order, each with its attempts, each attempt with its
 * redirects, each hop one libcurl handle in the shared multi. The bytes go to the staging fd
 * and into the hash as they arrive. A transfer is moved on by two calls: one when libcurl says
 * that a handle is finished, one regularly for what only time tells (stalls, waits).
 */
#ifndef INPUTS_TRANSFER_INTERNAL_H
#define INPUTS_TRANSFER_INTERNAL_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "inputs/fetcher_internal.h"
#include "inputs/http_header_internal.h"
#include "inputs/url.h"

struct transfer_env {
	CURLM *multi;
	struct curl_blob ca; /* PEM; data NULL: none, https then fails */
	unsigned stall_ms;
	uint64_t total_ms; /* of one job */
	unsigned backoff_ms;
	void (*say)(void *ctx, uint32_t job, enum fetch_message_kind kind, const char *text);
	void *ctx;
};

enum transfer_state {
	TRANSFER_FREE = 0,
	TRANSFER_RUNNING,
	TRANSFER_WAITING, /* for the next attempt */
	TRANSFER_DONE,
	TRANSFER_FAILED, /* final_cause, reasons */
};

struct transfer {
	enum transfer_state state;
	const struct transfer_env *env;
	const struct fetch_job *job;
	uint32_t job_index;
	int fd; /* owned */

	uint64_t deadline_ms; /* for the whole job */
	size_t url_index;
	unsigned attempt; /* of this URL, from 1 */
	unsigned hops;	  /* redirects followed in this attempt */
	struct url first; /* urls[url_index], parsed */
	struct url current;

	/* What is in the file, and in the hash. */
	struct digest_stream hash;
	uint64_t len;
	bool resumed; /* it comes from more than one response */
	char validator[HTTP_VALIDATOR_MAX];

	/* One request. */
	CURL *easy;
	struct curl_slist *fields;
	struct http_head head;
	size_t head_bytes;
	uint64_t dropped_bytes; /* of bodies that nobody wants: redirects, errors */
	bool sent_range;
	bool address_refused;
	char curl_error[CURL_ERROR_SIZE];

	/* Stall window. */
	uint64_t window_start_ms;
	uint64_t window_bytes;
	uint64_t wait_until_ms;

	/* Why the attempt, and finally the job, failed. */
	enum fetch_cause cause;
	bool is_worth_retry;
	char reason[512];
	enum fetch_cause final_cause;
	struct buf reasons;
};

/* Takes `fd`. */
void transfer_start(struct transfer *t, const struct transfer_env *env,
		    const struct fetch_job *job, uint32_t job_index, int fd);
void transfer_finished(struct transfer *t, CURLcode rc);
void transfer_tick(struct transfer *t, uint64_t now_ms);
/* Composes what the user reads when all URLs failed. */
void transfer_format_failure(const struct transfer *t, struct buf *out);
/* Closes the fd, too, and leaves the object TRANSFER_FREE. */
void transfer_cleanup(struct transfer *t);

/* Between transfer.c and transfer_request.c. */
/* Sends the request for `current`, from `len` on. */
void transfer_request(struct transfer *t);
void transfer_drop_request(struct transfer *t);
/* Says why the attempt fails; the first reason stays. */
void transfer_set_failure(struct transfer *t, enum fetch_cause cause, bool is_worth_retry,
			  const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Empties the file and the hash. */
void transfer_forget_bytes(struct transfer *t);
uint64_t transfer_max_bytes(const struct transfer *t);

/* Loopback, link-local and unspecified addresses, also as IPv4 within IPv6: what a server on
 * the net must not be able to make us talk to (SEC DL10). Families other than IP count as such.
 */
bool transfer_address_is_internal(const struct sockaddr *address);

#endif
