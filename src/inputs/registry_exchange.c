/*
 * From one request to an answer: a 401 is met with what the registry wants to see, redirects
 * are followed without credentials once they lead elsewhere, faults and busy registries are
 * waited out within limits, and a body that was cut is continued where it ended.
 */
#include "inputs/registry_exchange_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/json_read.h"
#include "util/mem.h"
#include "util/str.h"

#define BACKOFF_MAX_MS UINT64_C(30000)

void registry_fail(struct registry_failure *f, enum registry_cause cause, bool is_worth_retry,
		   const char *fmt, ...)
{
	va_list args;

	if (f->cause != REGISTRY_CAUSE_NONE)
		return;
	f->cause = cause;
	f->is_worth_retry = is_worth_retry;
	va_start(args, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, args);
	va_end(args);
}

bool registry_same_origin(const struct url *a, const struct url *b)
{
	return str_same(a->scheme, b->scheme) && str_same(a->host, b->host) &&
	       a->port == b->port;
}

void registry_exchange_cleanup(struct registry_exchange *x)
{
	url_cleanup(&x->url);
}

/* {"errors":[{"code":"X","message":"y"}]}, of which the first is told; any other body says
 * nothing that could be relied on. */
static void describe_error(const struct registry_exchange *x, char *out, size_t out_len)
{
	AUTO(json_doc) doc = {0};
	const char *code = NULL, *message = NULL;

	out[0] = '\0';
	if (json_read(x->error_body, x->error_len, REGISTRY_ERROR_BODY_MAX, "error", &doc,
		      NULL) < 0)
		return;
	const json_t *first = json_array_get(json_object_get(doc.root, "errors"), 0);

	code = json_string_value(json_object_get(first, "code"));
	message = json_string_value(json_object_get(first, "message"));
	if (code || message)
		snprintf(out, out_len, " (%s%s%s)", code ? code : "",
			 code && message ? ": " : "", message ? message : "");
}

int registry_exchange_unexpected(struct registry_exchange *x, const char *what)
{
	char said[256];
	unsigned status = x->head.http.status;

	describe_error(x, said, sizeof(said));
	registry_fail(&x->fail,
		      status == 401 || status == 403 ? REGISTRY_CAUSE_DENIED
						     : REGISTRY_CAUSE_STATUS,
		      false, "the registry answers %s %s with status %u%s", x->method, what,
		      status, said);
	return -1;
}

static bool is_redirect(unsigned status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 ||
	       status == 308;
}

static bool is_busy(unsigned status)
{
	return status == 408 || status == 429 || status >= 500;
}

/* What is sent is sent again only where the registry says so by 307 or 308. */
static int follow(struct registry_exchange *x, unsigned hops)
{
	struct err e = ERR_INIT;
	AUTO(url) next = {0};
	unsigned status = x->head.http.status;
	bool writes = !str_same(x->method, "GET") && !str_same(x->method, "HEAD");

	if (x->to_token_service)
		registry_fail(&x->fail, REGISTRY_CAUSE_REDIRECT, false,
			      "it redirects, which a token service has no reason to");
	else if (hops >= LIMIT_REDIRECTS)
		registry_fail(&x->fail, REGISTRY_CAUSE_REDIRECT, false,
			      "the registry redirects more than %d times", LIMIT_REDIRECTS);
	else if (!x->head.http.has_location)
		registry_fail(&x->fail, REGISTRY_CAUSE_REDIRECT, false,
			      "the registry redirects (%u) to nowhere", status);
	else if (writes && status != 307 && status != 308)
		registry_fail(&x->fail, REGISTRY_CAUSE_REDIRECT, false,
			      "the registry redirects a %s by %u", x->method, status);
	else if (url_redirect(&x->url, x->head.http.location, &next, &e) < 0)
		registry_fail(&x->fail, REGISTRY_CAUSE_REDIRECT, false, "%s", e.message);
	if (x->fail.cause != REGISTRY_CAUSE_NONE)
		return -1;
	url_cleanup(&x->url);
	x->url = next;
	next = (struct url){0};
	/* Once away, always away: whoever sends us back may have chosen what we then ask for. */
	x->left_origin |= !registry_same_origin(&x->url, &x->lane->fetcher->origin);
	return 0;
}

/* All hops of one attempt. */
static int attempt(struct registry_exchange *x, const char *url)
{
	struct err e = ERR_INIT;
	bool renewed = false;
	unsigned hops = 0;

	url_cleanup(&x->url);
	if (url_parse(url, &x->url, &e) < 0) {
		registry_fail(&x->fail, REGISTRY_CAUSE_RESPONSE, false, "%s", e.message);
		return -1;
	}
	x->left_origin = !registry_same_origin(&x->url, &x->lane->fetcher->origin);
	for (;;) {
		if (registry_perform(x) < 0)
			return -1;
		unsigned status = x->head.http.status;

		if (status == 401 && !renewed && !x->left_origin && !x->to_token_service) {
			if (registry_auth_renew(x->lane, x->scope, x->head.challenges,
						x->auth_number, &x->fail) < 0)
				return -1;
			renewed = true;
		} else if (is_redirect(status)) {
			if (follow(x, hops++) < 0)
				return -1;
		} else {
			return 0;
		}
	}
}

/* Decides about an answer that ends the hops; -1 if it is none that the caller wants. */
static int judge(struct registry_exchange *x)
{
	unsigned status = x->head.http.status;

	if (status == 416 && x->sent_range) {
		/* What is there is longer than the blob; from the start, then. */
		x->out_len = 0;
		registry_fail(&x->fail, REGISTRY_CAUSE_STATUS, true,
			      "the registry cannot continue a blob (416)");
		return -1;
	}
	if (status == 401 && !x->left_origin && !x->to_token_service)
		return registry_auth_refused(x->lane, &x->fail);
	if (status == 401 || status == 403)
		return registry_exchange_unexpected(x, "to us");
	if (!is_busy(status))
		return 0;
	char said[256];

	describe_error(x, said, sizeof(said));
	registry_fail(&x->fail, REGISTRY_CAUSE_BUSY, true,
		      "the registry answers with status %u%s", status, said);
	return -1;
}

static void sleep_ms(uint64_t ms)
{
	struct timespec t = {.tv_sec = (time_t)(ms / 1000),
			     .tv_nsec = (long)(ms % 1000) * 1000000};

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

bool registry_exchange_wait(struct registry_exchange *x)
{
	const struct registry_config *config = x->lane->fetcher->config;
	uint64_t ms = (uint64_t)config->backoff_ms << x->attempts;

	x->attempts++;
	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	if (x->head.http.has_retry_after && x->head.http.retry_after_s * 1000 > ms)
		ms = x->head.http.retry_after_s * 1000;
	if (x->attempts >= LIMIT_REGISTRY_ATTEMPTS || x->waited_ms + ms > config->wait_max_ms ||
	    clock_monotonic_ms() + ms > x->deadline_ms)
		return false;
	registry_note(x->lane, "%s; trying again in %llu ms", x->fail.text,
		      (unsigned long long)ms);
	sleep_ms(ms);
	x->waited_ms += ms;
	return true;
}

/* Says why waiting was given up, where the registry asked for more than we give. */
static void explain_wait(struct registry_exchange *x)
{
	uint64_t s = x->head.http.retry_after_s;
	size_t len = strlen(x->fail.text);

	if (x->head.http.has_retry_after &&
	    s * 1000 > x->lane->fetcher->config->wait_max_ms - x->waited_ms)
		snprintf(x->fail.text + len, sizeof(x->fail.text) - len,
			 " and wants us to wait %llu s", (unsigned long long)s);
}

int registry_exchange_run(struct registry_exchange *x, const char *url)
{
	if (x->deadline_ms == 0)
		x->deadline_ms = clock_monotonic_ms() + LIMIT_DOWNLOAD_TOTAL_S * 1000ULL;
	for (;;) {
		x->fail = (struct registry_failure){0};
		if (attempt(x, url) == 0 && judge(x) == 0)
			return 0;
		if (!x->fail.is_worth_retry || x->once)
			return -1;
		if (!registry_exchange_wait(x)) {
			explain_wait(x);
			x->fail.is_worth_retry = false; /* that was all the patience there is */
			return -1;
		}
	}
}
