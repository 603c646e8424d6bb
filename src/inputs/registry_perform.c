/*
 * One HTTP request to one origin: what goes into libcurl's handle, and what its callbacks make
 * of the response. Credentials are a header field of our own making, set for this request only;
 * a handle that goes elsewhere than to the registry's origin is new and never had any (SEC DL04,
 * DL06).
 */
#include "inputs/registry_exchange_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inputs/http_easy_internal.h"
#include "inputs/transfer_internal.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

/* As in transfer.c. */
#define WINDOW_MIN_BYTES UINT64_C(4096)
#define DROPPED_BODY_BYTES (64 * KIB)
#define SEND_BYTES (512 * KIB)
/* A registry that has all of a blob hashes it and may copy it elsewhere before it answers. */
#define STALL_FACTOR_SENT 10

static bool is_success(const struct registry_head *h)
{
	return h->http.status == 200 || h->http.status == 206;
}

static bool wants_body(const struct registry_exchange *x)
{
	return x->out_fd >= 0 || x->out_text;
}

static int forget_bytes(struct registry_exchange *x)
{
	x->out_len = 0;
	x->resumed = false;
	x->validator[0] = '\0';
	if (x->out_text)
		buf_clear(x->out_text);
	if (x->out_fd >= 0 &&
	    (ftruncate(x->out_fd, 0) < 0 || lseek(x->out_fd, 0, SEEK_SET) < 0)) {
		registry_fail(&x->fail, REGISTRY_CAUSE_DISK, false,
			      "cannot empty the staged file: %s", strerror(errno));
		return -1;
	}
	return 0;
}

/* A partial answer counts only if it continues exactly what is there (SEC DL13). */
static bool judge_partial(struct registry_exchange *x)
{
	const struct http_head *h = &x->head.http;

	if (x->sent_range && h->has_range && h->range.start == x->out_len &&
	    (!h->range.has_total || h->range.total == h->range.end + 1) &&
	    (x->out_size < 0 || !h->range.has_total ||
	     h->range.total == (uint64_t)x->out_size) &&
	    (!h->validator[0] || !x->validator[0] || str_same(h->validator, x->validator))) {
		x->resumed = true;
		return true;
	}
	if (forget_bytes(x) == 0)
		registry_fail(&x->fail, REGISTRY_CAUSE_RESPONSE, true,
			      "the registry continues with another part than asked for");
	return false;
}

static bool judge_length(struct registry_exchange *x)
{
	const struct http_head *h = &x->head.http;

	if (!h->has_length || h->chunked)
		return true;
	uint64_t len = x->out_len + h->length;

	if (x->out_size >= 0 && len != (uint64_t)x->out_size) {
		registry_fail(&x->fail, REGISTRY_CAUSE_SIZE, false,
			      "the registry announces %llu bytes, the image says %lld",
			      (unsigned long long)len, (long long)x->out_size);
		return false;
	}
	if (len <= x->out_max)
		return true;
	registry_fail(&x->fail, REGISTRY_CAUSE_SIZE, false,
		      "the registry announces %llu bytes, over %llu", (unsigned long long)len,
		      (unsigned long long)x->out_max);
	return false;
}

/* Called once the header is complete; false ends the request. */
static bool judge_head(struct registry_exchange *x)
{
	const struct http_head *h = &x->head.http;

	if (h->malformed) {
		registry_fail(&x->fail, REGISTRY_CAUSE_RESPONSE, false,
			      "the registry's response header is malformed");
		return false;
	}
	if (!is_success(&x->head) || !wants_body(x))
		return true;
	/* The hash is of the bytes as they were sent; nothing is decoded (SEC DL08). */
	if (h->encoded) {
		registry_fail(&x->fail, REGISTRY_CAUSE_RESPONSE, false,
			      "the registry sends encoded content that was not asked for");
		return false;
	}
	if (h->status == 206) {
		if (!judge_partial(x))
			return false;
	} else {
		if (forget_bytes(x) < 0)
			return false;
		memcpy(x->validator, h->validator, sizeof(x->validator));
	}
	return judge_length(x);
}

static size_t on_header(char *line, size_t size, size_t count, void *ctx)
{
	struct registry_exchange *x = ctx;
	size_t len = size * count;
	bool was_complete = x->head.http.complete;

	x->head_bytes += len;
	if (x->head_bytes > LIMIT_HTTP_HEADER_BYTES) {
		registry_fail(&x->fail, REGISTRY_CAUSE_RESPONSE, false,
			      "the registry's response header is longer than %llu bytes",
			      (unsigned long long)LIMIT_HTTP_HEADER_BYTES);
		return 0;
	}
	registry_head_line(&x->head, line, len);
	if (x->head.http.complete && !was_complete && x->head.http.status >= 200 &&
	    !judge_head(x))
		return 0;
	return len;
}

/* What an error says is worth reading; anything else is not. */
static size_t drop_body(struct registry_exchange *x, const char *bytes, size_t len)
{
	size_t room = sizeof(x->error_body) - 1 - x->error_len;
	size_t kept = len < room ? len : room;

	memcpy(x->error_body + x->error_len, bytes, kept);
	x->error_len += kept;
	x->dropped_bytes += len;
	return x->dropped_bytes <= DROPPED_BODY_BYTES ? len : 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
	struct registry_exchange *x = ctx;
	struct err e = ERR_INIT;
	size_t len = size * count;
	uint64_t max = x->out_size >= 0 ? (uint64_t)x->out_size : x->out_max;

	if (!is_success(&x->head) || !wants_body(x))
		return drop_body(x, bytes, len);
	if (len > max - x->out_len) {
		registry_fail(&x->fail, REGISTRY_CAUSE_SIZE, false,
			      "the registry sends more than %llu bytes",
			      (unsigned long long)max);
		return 0;
	}
	if (x->out_text) {
		buf_add(x->out_text, bytes, len);
	} else if (path_write_all(x->out_fd, bytes, len, "staged file", &e) < 0) {
		registry_fail(&x->fail, REGISTRY_CAUSE_DISK, false, "%s", e.message);
		return 0;
	}
	x->out_len += len;
	atomic_fetch_add(&x->lane->fetcher->bytes, len);
	return len;
}

static size_t on_read(char *to, size_t size, size_t count, void *ctx)
{
	struct registry_exchange *x = ctx;
	uint64_t left = x->body_len - x->sent_bytes;
	size_t want = size * count < left ? size * count : (size_t)left;
	ssize_t n = (ssize_t)want;

	if (x->body_text)
		memcpy(to, x->body_text + x->sent_bytes, want);
	else
		n = pread(x->body_fd, to, want, (off_t)(x->body_from + x->sent_bytes));
	if (n < 0 || (n == 0 && want > 0)) {
		registry_fail(&x->fail, REGISTRY_CAUSE_DISK, false,
			      "cannot read what is to be sent: %s",
			      n < 0 ? strerror(errno) : "it is shorter than it was");
		return CURL_READFUNC_ABORT;
	}
	x->sent_bytes += (uint64_t)n;
	return (size_t)n;
}

/* libcurl starts over when a pooled connection turns out to be dead. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
	struct registry_exchange *x = ctx;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > x->body_len)
		return CURL_SEEKFUNC_FAIL;
	x->sent_bytes = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* Called at least once a second. */
static int on_tick(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
		   curl_off_t up)
{
	struct registry_exchange *x = ctx;
	uint64_t now = clock_monotonic_ms();
	uint64_t seen = (uint64_t)down + (uint64_t)up;
	uint64_t stall_ms = x->lane->fetcher->config->stall_ms;
	bool all_sent = x->has_body && x->body_len > 0 && x->sent_bytes == x->body_len;

	(void)down_total;
	(void)up_total;
	x->window_bytes += seen >= x->seen_bytes ? seen - x->seen_bytes : 0;
	x->seen_bytes = seen;
	x->stalled = now >= x->deadline_ms;
	if (all_sent)
		stall_ms *= STALL_FACTOR_SENT;
	if (now >= x->window_start_ms + stall_ms) {
		x->stalled = x->stalled || x->window_bytes < WINDOW_MIN_BYTES;
		x->window_start_ms = now;
		x->window_bytes = 0;
	}
	return x->stalled;
}

/* A registry on the net must not be able to make us talk to this machine (SEC DL10). */
static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct registry_exchange *x = ctx;
	const struct registry_fetcher *f = x->lane->fetcher;

	(void)purpose;
	if (x->easy != x->lane->own && !f->config->is_loopback &&
	    transfer_address_is_internal(&a->addr)) {
		x->address_refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

#define SET(option, value) EASY_SET(x->easy, option, value)

static void set_callbacks(struct registry_exchange *x)
{
	SET(CURLOPT_ERRORBUFFER, x->curl_error);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, x);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, x);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	SET(CURLOPT_OPENSOCKETDATA, x);
	SET(CURLOPT_XFERINFOFUNCTION, on_tick);
	SET(CURLOPT_XFERINFODATA, x);
	SET(CURLOPT_NOPROGRESS, 0L);
}

static void set_method(struct registry_exchange *x)
{
	if (str_same(x->method, "HEAD")) {
		SET(CURLOPT_NOBODY, 1L);
		return;
	}
	if (x->has_body) {
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)x->body_len);
		SET(CURLOPT_READFUNCTION, on_read);
		SET(CURLOPT_READDATA, x);
		SET(CURLOPT_SEEKFUNCTION, on_seek);
		SET(CURLOPT_SEEKDATA, x);
		SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)SEND_BYTES);
	}
	SET(CURLOPT_CUSTOMREQUEST, x->method);
}

static struct curl_slist *add_field(struct curl_slist *fields, const char *name,
				    const char *value)
{
	if (!value)
		return fields;
	AUTO_FREE char *field = mem_printf("%s: %s", name, value);

	fields = curl_slist_append(fields, field);
	BUG_IF(!fields);
	return fields;
}

static struct curl_slist *make_fields(struct registry_exchange *x, const char *authorization)
{
	/* Without an answer to "Expect" libcurl would wait a second. */
	struct curl_slist *fields = curl_slist_append(NULL, "Expect:");

	BUG_IF(!fields);
	fields = add_field(fields, "Accept", x->accept);
	fields = add_field(fields, "Content-Type", x->content_type);
	fields = add_field(fields, "Content-Range", x->content_range);
	if (x->sent_range && x->validator[0])
		fields = add_field(fields, "If-Range", x->validator);
	return add_field(fields, "Authorization", authorization);
}

static void wipe_fields(struct curl_slist *fields)
{
	for (struct curl_slist *f = fields; f; f = f->next)
		memset(f->data, 0, strlen(f->data));
	curl_slist_free_all(fields);
}

static void set_range(struct registry_exchange *x)
{
	char range[32];

	x->sent_range = x->out_fd >= 0 && x->out_len > 0;
	if (!x->sent_range)
		return;
	snprintf(range, sizeof(range), "%llu-", (unsigned long long)x->out_len);
	SET(CURLOPT_RANGE, range);
}

static void judge_fault(struct registry_exchange *x, CURLcode rc)
{
	const char *text = x->curl_error[0] ? x->curl_error : curl_easy_strerror(rc);
	unsigned stall_ms = x->lane->fetcher->config->stall_ms;

	if (x->address_refused)
		registry_fail(&x->fail, REGISTRY_CAUSE_REDIRECT, false,
			      "the registry leads to an address of this machine or its link");
	else if (x->stalled || rc == CURLE_OPERATION_TIMEDOUT)
		registry_fail(&x->fail, REGISTRY_CAUSE_STALLED, true,
			      "less than %llu bytes went over the net in %u ms",
			      (unsigned long long)WINDOW_MIN_BYTES, stall_ms);
	else if (http_is_tls_refusal(rc))
		registry_fail(&x->fail, REGISTRY_CAUSE_TLS, false, "%s", text);
	else if (http_speaks_no_tls(rc, text))
		registry_fail(&x->fail, REGISTRY_CAUSE_TLS, false,
			      "the registry speaks plain http, not TLS");
	else if (rc == CURLE_WEIRD_SERVER_REPLY || rc == CURLE_UNSUPPORTED_PROTOCOL)
		registry_fail(&x->fail, REGISTRY_CAUSE_RESPONSE, false, "%s", text);
	else
		registry_fail(&x->fail, REGISTRY_CAUSE_NETWORK, true, "%s", text);
}

static void start(struct registry_exchange *x)
{
	memset(&x->head, 0, sizeof(x->head));
	x->head_bytes = 0;
	x->dropped_bytes = 0;
	x->error_len = 0;
	x->sent_bytes = 0;
	x->address_refused = false;
	x->stalled = false;
	x->window_start_ms = clock_monotonic_ms();
	x->window_bytes = 0;
	x->seen_bytes = 0;
	x->curl_error[0] = '\0';
}

static void set_tls(struct registry_exchange *x)
{
	const struct registry_fetcher *f = x->lane->fetcher;

	http_easy_set_tls(x->easy, &f->ca);
	if (!f->config->options->insecure)
		return;
	SET(CURLOPT_SSL_VERIFYPEER, 0L);
	SET(CURLOPT_SSL_VERIFYHOST, 0L);
}

/* The body of a GET ended: was that all? Where neither length nor chunks say so, a cut
 * connection looks like an end. */
static void judge_end(struct registry_exchange *x)
{
	if (!is_success(&x->head) || !wants_body(x) || x->out_size < 0 ||
	    x->out_len == (uint64_t)x->out_size)
		return;
	bool may_be_cut = !x->head.http.has_length && !x->head.http.chunked;

	registry_fail(&x->fail, may_be_cut ? REGISTRY_CAUSE_NETWORK : REGISTRY_CAUSE_SIZE,
		      may_be_cut, "the registry sent %llu bytes, the image says %lld",
		      (unsigned long long)x->out_len, (long long)x->out_size);
}

int registry_perform(struct registry_exchange *x)
{
	struct registry_lane *lane = x->lane;
	bool is_own =
		!x->to_token_service && registry_same_origin(&x->url, &lane->fetcher->origin);
	char *authorization = NULL;

	if (x->to_token_service && x->password)
		authorization = mem_strdup(x->password);
	else if (is_own && !x->left_origin)
		authorization = registry_auth_field(lane, x->scope, &x->auth_number);
	start(x);
	x->easy = is_own ? lane->own : curl_easy_init();
	BUG_IF(!x->easy);
	if (is_own)
		curl_easy_reset(x->easy);
	http_easy_restrict(x->easy, lane->fetcher->config->stall_ms);
	set_callbacks(x);
	set_tls(x);
	set_method(x);
	set_range(x);
	struct curl_slist *fields = make_fields(x, authorization);

	SET(CURLOPT_HTTPHEADER, fields);
	SET(CURLOPT_URL, x->url.text);
	CURLcode rc = curl_easy_perform(x->easy);
	bool dropped = rc == CURLE_WRITE_ERROR && x->dropped_bytes > 0;
	/* A registry may refuse a body before it has read all of it. */
	bool refused = rc == CURLE_SEND_ERROR && x->head.http.status >= 400;

	if (!is_own)
		curl_easy_cleanup(x->easy);
	else
		SET(CURLOPT_HTTPHEADER, NULL);
	x->easy = NULL;
	wipe_fields(fields);
	registry_auth_wipe(&authorization);
	x->error_body[x->error_len] = '\0';
	if (x->fail.cause == REGISTRY_CAUSE_NONE && rc != CURLE_OK && !dropped && !refused)
		judge_fault(x, rc);
	else if (x->fail.cause == REGISTRY_CAUSE_NONE)
		judge_end(x);
	return x->fail.cause == REGISTRY_CAUSE_NONE ? 0 : -1;
}
