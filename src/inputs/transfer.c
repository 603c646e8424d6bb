/*
 * Decides what comes next in a transfer: another hop, another attempt after a wait, another
 * URL, or the end. Network faults, truncation, stalls, 408, 429 and 5xx are worth another
 * attempt; a refusal or wrong bytes are not, since the next answer would be the same.
 */
#include "inputs/transfer_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "inputs/http_easy_internal.h"
#include "util/clock.h"
#include "util/mem.h"

#define BACKOFF_MAX_MS UINT64_C(30000)
/* Less than this in a whole stall window is a stall too: a server that drips a byte per second
 * would otherwise hold us for ever (SEC DL09). */
#define WINDOW_MIN_BYTES UINT64_C(4096)
#define URL_SHOWN_BYTES 200

uint64_t transfer_max_bytes(const struct transfer *t)
{
	return t->job->size >= 0 ? (uint64_t)t->job->size : LIMIT_DOWNLOAD_BYTES;
}

void transfer_set_failure(struct transfer *t, enum fetch_cause cause, bool is_worth_retry,
			  const char *fmt, ...)
{
	va_list args;

	if (t->cause != FETCH_CAUSE_NONE)
		return;
	t->cause = cause;
	t->is_worth_retry = is_worth_retry;
	va_start(args, fmt);
	vsnprintf(t->reason, sizeof(t->reason), fmt, args);
	va_end(args);
}

/* What has no pin is hashed all the same, which spares a second kind of transfer. */
static enum digest_alg hash_alg(const struct fetch_job *job)
{
	return job->hash.alg == DIGEST_NONE ? DIGEST_SHA256 : job->hash.alg;
}

void transfer_forget_bytes(struct transfer *t)
{
	if (ftruncate(t->fd, 0) < 0 || lseek(t->fd, 0, SEEK_SET) < 0)
		transfer_set_failure(t, FETCH_CAUSE_DISK, false,
				     "cannot empty the staged file: %s", strerror(errno));
	digest_stream_cleanup(&t->hash);
	digest_stream_init(&t->hash, hash_alg(t->job));
	t->len = 0;
	t->resumed = false;
	t->validator[0] = '\0';
}

static const char *pinned_url(const struct transfer *t)
{
	return t->job->urls.items[t->url_index];
}

static bool has_next_url(const struct transfer *t)
{
	return t->url_index + 1 < t->job->urls.len;
}

__attribute__((format(printf, 3, 4))) static void
say(const struct transfer *t, enum fetch_message_kind kind, const char *fmt, ...)
{
	char text[FETCH_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	t->env->say(t->env->ctx, t->job_index, kind, text);
}

static void clear_failure(struct transfer *t)
{
	t->cause = FETCH_CAUSE_NONE;
	t->is_worth_retry = false;
	t->reason[0] = '\0';
}

static void move_url(struct url *to, struct url *from)
{
	url_cleanup(to);
	*to = *from;
	memset(from, 0, sizeof(*from));
}

static void start_attempt(struct transfer *t)
{
	struct err e = ERR_INIT;
	AUTO(url) u = {0};

	clear_failure(t);
	/* Without a hash nothing would tell if parts of two files met. */
	if (t->job->hash.alg == DIGEST_NONE && t->len > 0)
		transfer_forget_bytes(t);
	t->hops = 0;
	t->attempt++;
	BUG_IF(url_parse(pinned_url(t), &u, &e) < 0); /* the supervisor has looked */
	move_url(&t->first, &u);
	BUG_IF(url_parse(t->first.text, &u, &e) < 0);
	move_url(&t->current, &u);
	transfer_request(t);
}

/* The verdict on the job: that a server gave out other bytes matters most, as it may be an
 * attack or a pin that is out of date; beyond that the user's first choice of URL counts. */
static void merge_cause(struct transfer *t)
{
	if (t->cause == FETCH_CAUSE_HASH || t->cause == FETCH_CAUSE_DISK ||
	    t->final_cause == FETCH_CAUSE_NONE ||
	    (t->cause == FETCH_CAUSE_SIZE && t->final_cause != FETCH_CAUSE_HASH))
		t->final_cause = t->cause;
	if (t->reasons.len > 0)
		buf_add_c(&t->reasons, "; ");
	buf_addf(&t->reasons, "'%.*s': %s", URL_SHOWN_BYTES, pinned_url(t), t->reason);
}

static void try_next_url(struct transfer *t)
{
	bool wrong_bytes = t->cause == FETCH_CAUSE_HASH || t->cause == FETCH_CAUSE_SIZE;

	merge_cause(t);
	if (t->cause == FETCH_CAUSE_DISK || !has_next_url(t)) {
		t->state = TRANSFER_FAILED;
		return;
	}
	say(t, wrong_bytes ? FETCH_SAYS_WARNING : FETCH_SAYS_NOTE, "'%.*s': %s; trying '%.*s'",
	    URL_SHOWN_BYTES, pinned_url(t), t->reason, URL_SHOWN_BYTES,
	    t->job->urls.items[t->url_index + 1]);
	clear_failure(t);
	t->url_index++;
	t->attempt = 0;
	transfer_forget_bytes(t);
	if (t->cause == FETCH_CAUSE_NONE) {
		start_attempt(t);
		return;
	}
	merge_cause(t);
	t->state = TRANSFER_FAILED;
}

static uint64_t wait_ms(const struct transfer *t)
{
	uint64_t ms = (uint64_t)t->env->backoff_ms << (t->attempt - 1);

	if (t->head.has_retry_after && t->head.retry_after_s * 1000 > ms)
		ms = t->head.retry_after_s * 1000;
	return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}

static void retry_or_next(struct transfer *t)
{
	if (!t->is_worth_retry || t->attempt >= LIMIT_DOWNLOAD_ATTEMPTS) {
		try_next_url(t);
		return;
	}
	t->wait_until_ms = clock_monotonic_ms() + wait_ms(t);
	t->state = TRANSFER_WAITING;
	say(t, FETCH_SAYS_NOTE, "'%.*s': %s; trying again", URL_SHOWN_BYTES, pinned_url(t),
	    t->reason);
}

static bool is_redirect(unsigned status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 ||
	       status == 308;
}

static void follow_redirect(struct transfer *t)
{
	struct err e = ERR_INIT;
	AUTO(url) next = {0};

	if (t->hops >= LIMIT_REDIRECTS)
		transfer_set_failure(t, FETCH_CAUSE_REDIRECT, false,
				     "the server redirects more than %d times",
				     LIMIT_REDIRECTS);
	else if (!t->head.has_location)
		transfer_set_failure(t, FETCH_CAUSE_REDIRECT, false,
				     "the server redirects (%u) to nowhere", t->head.status);
	else if (url_redirect(&t->current, t->head.location, &next, &e) < 0)
		transfer_set_failure(t, FETCH_CAUSE_REDIRECT, false, "%s", e.message);
	if (t->cause != FETCH_CAUSE_NONE) {
		try_next_url(t);
		return;
	}
	t->hops++;
	move_url(&t->current, &next);
	transfer_request(t);
}

static void judge_status(struct transfer *t)
{
	unsigned status = t->head.status;
	bool retry = status == 408 || status == 429 || status >= 500;

	/* "Range not satisfiable": the file is shorter than what we have; ask for all of it. */
	if (status == 416 && t->sent_range) {
		transfer_forget_bytes(t);
		retry = true;
	}
	transfer_set_failure(t, FETCH_CAUSE_STATUS, retry, "the server answers with status %u",
			     status);
}

static void judge_bytes(struct transfer *t)
{
	char text[DIGEST_TEXT_MAX];
	struct digest actual;
	/* A body that ends with its connection may have been cut. */
	bool may_be_cut = !t->head.has_length && !t->head.chunked;

	if (t->job->hash.alg == DIGEST_NONE && may_be_cut) {
		transfer_set_failure(t, FETCH_CAUSE_RESPONSE, false,
				     "the server does not say how long the file is, so that "
				     "it may be cut");
		return;
	}
	if (t->job->size >= 0 && t->len != (uint64_t)t->job->size) {
		transfer_set_failure(t, may_be_cut ? FETCH_CAUSE_NETWORK : FETCH_CAUSE_SIZE,
				     may_be_cut,
				     "the server sent %llu bytes, the pin says %lld",
				     (unsigned long long)t->len, (long long)t->job->size);
		return;
	}
	digest_stream_final(&t->hash, &actual);
	if (t->job->hash.alg == DIGEST_NONE || digest_eq(&actual, &t->job->hash))
		return;
	digest_format(&actual, text);
	/* Parts of two files may have met; only a download in one piece accuses the server. */
	transfer_set_failure(t, FETCH_CAUSE_HASH, t->resumed,
			     "the server sent wrong bytes (%s, %llu bytes)", text,
			     (unsigned long long)t->len);
	transfer_forget_bytes(t);
}

static void judge_fault(struct transfer *t, CURLcode rc)
{
	const char *text = t->curl_error[0] ? t->curl_error : curl_easy_strerror(rc);

	if (http_is_tls_refusal(rc))
		transfer_set_failure(t, FETCH_CAUSE_TLS, false, "%s", text);
	else if (http_speaks_no_tls(rc, text))
		transfer_set_failure(t, FETCH_CAUSE_TLS, false,
				     "the server speaks plain http, not TLS");
	else if (rc == CURLE_OPERATION_TIMEDOUT)
		transfer_set_failure(t, FETCH_CAUSE_STALLED, true,
				     "the server did not answer within %u ms",
				     t->env->stall_ms);
	else if (rc == CURLE_WEIRD_SERVER_REPLY || rc == CURLE_UNSUPPORTED_PROTOCOL)
		transfer_set_failure(t, FETCH_CAUSE_RESPONSE, false, "%s", text);
	else if (rc == CURLE_PARTIAL_FILE)
		transfer_set_failure(t, FETCH_CAUSE_NETWORK, true,
				     "the connection ended after %llu bytes",
				     (unsigned long long)t->len);
	else
		transfer_set_failure(t, FETCH_CAUSE_NETWORK, true, "%s", text);
}

void transfer_finished(struct transfer *t, CURLcode rc)
{
	bool dropped = rc == CURLE_WRITE_ERROR && t->dropped_bytes > 0;
	bool answered = (rc == CURLE_OK || dropped) && t->head.complete;

	transfer_drop_request(t);
	if (t->address_refused && rc != CURLE_OK)
		transfer_set_failure(
			t, FETCH_CAUSE_REDIRECT, false,
			"the server redirects to an address of this machine or its "
			"link");
	if (t->cause == FETCH_CAUSE_NONE && answered && is_redirect(t->head.status)) {
		follow_redirect(t);
		return;
	}
	if (t->cause == FETCH_CAUSE_NONE && answered) {
		if (t->head.status == 200 || t->head.status == 206)
			judge_bytes(t);
		else
			judge_status(t);
	} else if (t->cause == FETCH_CAUSE_NONE) {
		judge_fault(t, rc);
	}
	if (t->cause == FETCH_CAUSE_NONE)
		t->state = TRANSFER_DONE;
	else
		retry_or_next(t);
}

/* No further attempt and no further URL: the time is the job's. */
static void give_up(struct transfer *t)
{
	transfer_drop_request(t);
	clear_failure(t);
	transfer_set_failure(t, FETCH_CAUSE_STALLED, false,
			     "the download was not finished within %llu s",
			     (unsigned long long)(t->env->total_ms / 1000));
	merge_cause(t);
	t->state = TRANSFER_FAILED;
}

void transfer_tick(struct transfer *t, uint64_t now_ms)
{
	if ((t->state == TRANSFER_RUNNING || t->state == TRANSFER_WAITING) &&
	    now_ms >= t->deadline_ms) {
		give_up(t);
		return;
	}
	if (t->state == TRANSFER_WAITING && now_ms >= t->wait_until_ms) {
		start_attempt(t);
		return;
	}
	if (t->state != TRANSFER_RUNNING || now_ms < t->window_start_ms + t->env->stall_ms)
		return;
	if (t->window_bytes < WINDOW_MIN_BYTES) {
		transfer_drop_request(t);
		transfer_set_failure(t, FETCH_CAUSE_STALLED, true,
				     "the server sent %llu bytes in %u ms",
				     (unsigned long long)t->window_bytes, t->env->stall_ms);
		retry_or_next(t);
		return;
	}
	t->window_start_ms = now_ms;
	t->window_bytes = 0;
}

void transfer_start(struct transfer *t, const struct transfer_env *env,
		    const struct fetch_job *job, uint32_t job_index, int fd)
{
	memset(t, 0, sizeof(*t));
	t->env = env;
	t->job = job;
	t->job_index = job_index;
	t->fd = fd;
	t->deadline_ms = clock_monotonic_ms() + env->total_ms;
	t->reasons = (struct buf)BUF_INIT(FETCH_TEXT_MAX);
	BUG_IF(job->urls.len == 0);
	digest_stream_init(&t->hash, hash_alg(job));
	start_attempt(t);
}

void transfer_format_failure(const struct transfer *t, struct buf *out)
{
	char text[DIGEST_TEXT_MAX];

	if (t->job->urls.len == 1) {
		buf_addf(out, "cannot fetch %s", buf_text(&t->reasons));
		return;
	}
	if (t->job->hash.alg == DIGEST_NONE) {
		buf_addf(out, "cannot fetch a file from any of %zu URLs: %s", t->job->urls.len,
			 buf_text(&t->reasons));
		return;
	}
	digest_format(&t->job->hash, text);
	buf_addf(out, "cannot fetch %.19s... from any of %zu URLs: %s", text, t->job->urls.len,
		 buf_text(&t->reasons));
}

void transfer_cleanup(struct transfer *t)
{
	transfer_drop_request(t);
	mem_close_cleanup(&t->fd);
	digest_stream_cleanup(&t->hash);
	url_cleanup(&t->first);
	url_cleanup(&t->current);
	buf_cleanup(&t->reasons);
	t->state = TRANSFER_FREE;
}
