/*
 * Within a registry's fetcher: its threads ("lanes"), each of which makes one request at a time
 * and blocks on it, and the HTTP exchange they are built from: authorisation, redirects, waits
 * and resumption.
 */
#ifndef INPUTS_REGISTRY_EXCHANGE_INTERNAL_H
#define INPUTS_REGISTRY_EXCHANGE_INTERNAL_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "inputs/registry_internal.h"
#include "inputs/url.h"

struct registry_token {
	char *scope;
	char *text;
	uint64_t expires_ms; /* by the monotonic clock */
	uint64_t number;     /* see registry_auth */
};

/* What the registry wants to see, learnt from its first 401. */
enum registry_scheme { REGISTRY_OPEN, REGISTRY_BASIC, REGISTRY_BEARER };

struct registry_auth {
	pthread_mutex_t lock; /* held while a token is fetched: the others want it, too */
	enum registry_scheme scheme;
	/* Counts what was learnt. A lane that is refused says how much it knew, so that one
	 * that comes late takes what another has got meanwhile. */
	uint64_t number;
	char *realm; /* BEARER */
	char *service;
	struct VEC_OF(struct registry_token) tokens;
};

struct registry_fetcher {
	int sock;
	const struct registry_config *config;
	struct url origin; /* of the API; http only after `insecure` found no https */
	struct curl_blob ca;
	struct registry_auth auth;
	atomic_uint_fast64_t bytes;
};

struct registry_lane {
	struct registry_fetcher *fetcher;
	CURL *own; /* for the origin alone: its connection is used again */
	const struct registry_request *request;
	pthread_t thread;
};

struct registry_failure {
	enum registry_cause cause;
	bool is_worth_retry;
	char text[REGISTRY_TEXT_MAX];
};
/* The first reason stays. */
void registry_fail(struct registry_failure *f, enum registry_cause cause, bool is_worth_retry,
		   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

enum { REGISTRY_ERROR_BODY_MAX = 4096 };

struct registry_exchange {
	struct registry_lane *lane;
	/* The request. Texts are borrowed. */
	const char *method;
	const char *scope;  /* what a token must allow */
	const char *accept; /* NULL: nothing in particular */
	const char *content_type;
	const char *content_range;
	bool has_body;
	const char *body_text; /* or, if NULL: */
	int body_fd;
	uint64_t body_from, body_len;
	bool once;	       /* no second attempt, since the first may have had an effect */
	bool to_token_service; /* with `password` (a whole field, or NULL) and no other */
	const char *password;
	/* Where the body of a 200 goes: `out_fd`, from its start, or `out_text`. */
	int out_fd;
	int64_t out_size; /* -1: unknown */
	uint64_t out_max;
	struct buf *out_text;

	/* What came of it. */
	struct registry_head head;
	struct registry_failure fail;
	struct url url; /* of the last hop */
	uint64_t out_len;
	bool resumed;
	char error_body[REGISTRY_ERROR_BODY_MAX];
	size_t error_len;

	/* While it runs. */
	CURL *easy;
	bool left_origin;
	bool sent_range;
	bool address_refused;
	char validator[HTTP_VALIDATOR_MAX];
	size_t head_bytes;
	uint64_t dropped_bytes;
	uint64_t sent_bytes;
	uint64_t window_start_ms, window_bytes, seen_bytes;
	bool stalled;
	uint64_t auth_number;
	uint64_t deadline_ms;
	unsigned attempts;
	uint64_t waited_ms;
	char curl_error[CURL_ERROR_SIZE];
};
#define REGISTRY_EXCHANGE_INIT(of_lane)                                                        \
	{                                                                                      \
		.lane = (of_lane), .out_fd = -1, .out_size = -1, .body_fd = -1                 \
	}
void registry_exchange_cleanup(struct registry_exchange *x);

/* 0: there is an answer, x->head, which is neither a redirect nor one to wait out; 401 and 403
 * are failures, too. Else -1 and x->fail. May be called again on one object. */
int registry_exchange_run(struct registry_exchange *x, const char *url) WARN_UNUSED;
/* For an answer that was not expected: fills x->fail with the status and what the body says. */
int registry_exchange_unexpected(struct registry_exchange *x, const char *what);
/* Sleeps before another attempt, as long as the last answer or the attempts' number says; false
 * if that would be one too many. */
bool registry_exchange_wait(struct registry_exchange *x);

/* One request and its response, no more; in registry_perform.c. */
int registry_perform(struct registry_exchange *x) WARN_UNUSED;

/* registry_token.c */
/* What to put into Authorization for requests of that scope, or NULL; the caller wipes and
 * frees. *ret_number is for registry_auth_renew(). */
char *registry_auth_field(struct registry_lane *lane, const char *scope, uint64_t *ret_number);
/* After a 401: gets what will be accepted. `challenges` is all of WWW-Authenticate. */
int registry_auth_renew(struct registry_lane *lane, const char *scope, const char *challenges,
			uint64_t number, struct registry_failure *f) WARN_UNUSED;
/* A 401 to what was all there is to show. */
int registry_auth_refused(const struct registry_lane *lane, struct registry_failure *f);
void registry_auth_wipe(char **text);
/* What a token service answers. False if there is no usable token in it. */
bool registry_token_read(const char *text, size_t len, char **ret_token,
			 uint64_t *ret_lifetime_s);

/* registry_push.c, registry_answer.c */
void registry_answer(struct registry_lane *lane, const struct registry_request *q, int fd,
		     struct registry_message *ret);
void registry_push_blob(struct registry_lane *lane, const struct registry_request *q, int fd,
			struct registry_message *ret);
/* "https://HOST/v2/REPOSITORY/PATH"; the caller frees. */
char *registry_url(const struct registry_fetcher *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void registry_note(struct registry_lane *lane, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
bool registry_same_origin(const struct url *a, const struct url *b);
/* Turns the end of an exchange into an answer. */
void registry_message_fail(struct registry_message *m, const struct registry_failure *f);

#endif
