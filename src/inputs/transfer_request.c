/*
 * One HTTP request of a transfer: the options of its libcurl handle and what its callbacks make
 * of the response. There is nothing secret in a handle, so connections may be shared by all.
 */
#include "inputs/transfer_internal.h"

#include <arpa/inet.h>
#include <string.h>

#include "inputs/http_easy_internal.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

/* An error page that is read to its end lets the connection be used again; a longer one is not
 * worth that. */
#define DROPPED_BODY_BYTES (64 * KIB)

static bool is_success(const struct http_head *h)
{
	return h->status == 200 || h->status == 206;
}

/* A partial answer counts only if it continues exactly what is there (SEC DL13). Otherwise what
 * is there is given up, and the next attempt asks for all. */
static bool judge_partial(struct transfer *t)
{
	const struct http_head *h = &t->head;
	uint64_t total = (uint64_t)t->job->size;

	if (!t->sent_range) {
		transfer_set_failure(t, FETCH_CAUSE_RESPONSE, false,
				     "the server sends a part (206) though all was asked for");
		return false;
	}
	if (!h->has_range || h->range.start != t->len ||
	    (h->range.has_total && h->range.total != h->range.end + 1) ||
	    (t->job->size >= 0 && h->range.has_total && h->range.total != total) ||
	    (h->validator[0] && t->validator[0] && !str_same(h->validator, t->validator))) {
		transfer_forget_bytes(t);
		transfer_set_failure(t, FETCH_CAUSE_RESPONSE, true,
				     "the server continues with another part than asked for");
		return false;
	}
	t->resumed = true;
	return true;
}

static bool judge_length(struct transfer *t)
{
	const struct http_head *h = &t->head;
	uint64_t len;

	if (!h->has_length || h->chunked)
		return true;
	len = t->len + h->length;
	if (t->job->size >= 0 && len != (uint64_t)t->job->size) {
		transfer_set_failure(t, FETCH_CAUSE_SIZE, false,
				     "the server announces %llu bytes, the pin says %lld",
				     (unsigned long long)len, (long long)t->job->size);
		return false;
	}
	return true;
}

/* Called once the header is complete; false ends the request. */
static bool judge_head(struct transfer *t)
{
	const struct http_head *h = &t->head;

	if (h->malformed) {
		transfer_set_failure(t, FETCH_CAUSE_RESPONSE, false,
				     "the server's response header is malformed");
		return false;
	}
	if (!is_success(h))
		return true;
	/* The hash is of the bytes as they were sent; nothing is decoded (SEC DL08). */
	if (h->encoded) {
		transfer_set_failure(t, FETCH_CAUSE_RESPONSE, false,
				     "the server sends encoded content that was not asked for");
		return false;
	}
	if (h->status == 206) {
		if (!judge_partial(t))
			return false;
	} else {
		transfer_forget_bytes(t);
		memcpy(t->validator, h->validator, sizeof(t->validator));
	}
	return judge_length(t);
}

static size_t on_header(char *line, size_t size, size_t count, void *ctx)
{
	struct transfer *t = ctx;
	size_t len = size * count;
	bool was_complete = t->head.complete;

	t->head_bytes += len;
	if (t->head_bytes > LIMIT_HTTP_HEADER_BYTES) {
		transfer_set_failure(t, FETCH_CAUSE_RESPONSE, false,
				     "the server's response header is longer than %llu bytes",
				     (unsigned long long)LIMIT_HTTP_HEADER_BYTES);
		return 0;
	}
	http_head_line(&t->head, line, len);
	if (t->head.complete && !was_complete && t->head.status >= 200 && !judge_head(t))
		return 0;
	return len;
}

static size_t drop_body(struct transfer *t, size_t len)
{
	t->dropped_bytes += len;
	return t->dropped_bytes <= DROPPED_BODY_BYTES ? len : 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
	struct transfer *t = ctx;
	struct err e = ERR_INIT;
	size_t len = size * count;

	if (!is_success(&t->head))
		return drop_body(t, len);
	if (len > transfer_max_bytes(t) - t->len) {
		transfer_set_failure(t, FETCH_CAUSE_SIZE, false,
				     "the server sends more than %llu bytes",
				     (unsigned long long)transfer_max_bytes(t));
		return 0;
	}
	if (path_write_all(t->fd, bytes, len, "staged file", &e) < 0) {
		transfer_set_failure(t, FETCH_CAUSE_DISK, false, "%s", e.message);
		return 0;
	}
	digest_stream_add(&t->hash, bytes, len);
	t->len += len;
	t->window_bytes += len;
	return len;
}

/* True if a redirect has led from the open net to an address of ours. What the pin itself names
 * is the user's choice. */
static bool is_forbidden(struct transfer *t, const struct sockaddr *address)
{
	const char *origin = t->first.host;
	bool origin_is_loopback = str_same(origin, "localhost") || str_same(origin, "[::1]") ||
				  str_has_prefix(origin, "127.");

	return t->hops > 0 && !origin_is_loopback && transfer_address_is_internal(address);
}

static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct transfer *t = ctx;

	(void)purpose;
	if (is_forbidden(t, &a->addr)) {
		t->address_refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* A pooled connection does not pass on_open_socket(). */
static int on_request(void *ctx, char *remote_ip, char *local_ip, int remote_port,
		      int local_port)
{
	struct transfer *t = ctx;
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	bool forbidden = true;

	(void)local_ip;
	(void)remote_port;
	(void)local_port;
	if (inet_pton(AF_INET, remote_ip, &v4.sin_addr) == 1)
		forbidden = is_forbidden(t, (const struct sockaddr *)&v4);
	else if (inet_pton(AF_INET6, remote_ip, &v6.sin6_addr) == 1)
		forbidden = is_forbidden(t, (const struct sockaddr *)&v6);
	if (forbidden)
		t->address_refused = true;
	return forbidden ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

#define SET(option, value) EASY_SET(t->easy, option, value)

static void set_callbacks(struct transfer *t)
{
	SET(CURLOPT_PRIVATE, t);
	SET(CURLOPT_ERRORBUFFER, t->curl_error);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, t);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, t);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	SET(CURLOPT_OPENSOCKETDATA, t);
	SET(CURLOPT_PREREQFUNCTION, on_request);
	SET(CURLOPT_PREREQDATA, t);
}

static void set_range(struct transfer *t)
{
	char range[32];

	t->sent_range = t->len > 0;
	if (!t->sent_range)
		return;
	snprintf(range, sizeof(range), "%llu-", (unsigned long long)t->len);
	SET(CURLOPT_RANGE, range);
	if (!t->validator[0])
		return;
	AUTO_FREE char *field = mem_printf("If-Range: %s", t->validator);

	t->fields = curl_slist_append(NULL, field);
	BUG_IF(!t->fields);
	SET(CURLOPT_HTTPHEADER, t->fields);
}

void transfer_request(struct transfer *t)
{
	memset(&t->head, 0, sizeof(t->head));
	t->head_bytes = 0;
	t->dropped_bytes = 0;
	t->address_refused = false;
	t->curl_error[0] = '\0';
	t->window_start_ms = clock_monotonic_ms();
	t->window_bytes = 0;
	t->easy = curl_easy_init();
	BUG_IF(!t->easy);
	set_callbacks(t);
	http_easy_restrict(t->easy, t->env->stall_ms);
	http_easy_set_tls(t->easy, &t->env->ca);
	set_range(t);
	SET(CURLOPT_URL, t->current.text);
	BUG_IF(curl_multi_add_handle(t->env->multi, t->easy) != CURLM_OK);
	t->state = TRANSFER_RUNNING;
}

void transfer_drop_request(struct transfer *t)
{
	if (!t->easy)
		return;
	curl_multi_remove_handle(t->env->multi, t->easy);
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->fields);
	t->easy = NULL;
	t->fields = NULL;
}
