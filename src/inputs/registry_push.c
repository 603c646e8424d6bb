/*
 * Pushing one blob: is it there already; can it be mounted from another repository; else by one
 * PUT, or, if it is large, by chunks that are continued after a fault from where the registry
 * says that it is (distribution-spec "Pushing blobs"). Each answer's Location is where the next
 * request goes; at another server it gets no credentials.
 */
#include <string.h>

#include "inputs/registry_exchange_internal.h"
#include "util/mem.h"
#include "util/str.h"

/* A small blob goes along with the request for its upload, which saves a round trip. */
#define SINGLE_POST_BYTES (16 * KIB)

struct push {
	struct registry_lane *lane;
	const struct registry_request *q;
	int fd;
	char scope[3 * REGISTRY_TYPE_MAX];
	char *location; /* of the upload, once it is open */
	uint64_t uploaded;
	uint64_t chunk_bytes;
	unsigned attempts; /* of the whole upload; each request has its own, too */
	uint64_t waited_ms;
	struct registry_exchange x;
};

static void push_cleanup(struct push *p)
{
	registry_exchange_cleanup(&p->x);
	mem_free_cleanup(&p->location);
}

/* A fresh request of the push. */
static struct registry_exchange *begin(struct push *p, const char *method)
{
	struct registry_exchange old = p->x;
	struct registry_exchange *x = &p->x;

	url_cleanup(&old.url);
	*x = (struct registry_exchange)REGISTRY_EXCHANGE_INIT(p->lane);
	x->deadline_ms = old.deadline_ms;
	x->method = method;
	x->scope = p->scope;
	return x;
}

static void set_body(struct push *p, uint64_t from, uint64_t len)
{
	p->x.has_body = true;
	p->x.content_type = "application/octet-stream";
	p->x.body_fd = p->fd;
	p->x.body_from = from;
	p->x.body_len = len;
}

/* Takes the newest Location. */
static int take_location(struct push *p)
{
	struct registry_exchange *x = &p->x;
	struct err e = ERR_INIT;
	AUTO(url) next = {0};

	if (!x->head.http.has_location) {
		registry_fail(&x->fail, REGISTRY_CAUSE_UPLOAD, false,
			      "the registry does not say where the upload goes on");
		return -1;
	}
	if (url_redirect(&x->url, x->head.http.location, &next, &e) < 0) {
		registry_fail(&x->fail, REGISTRY_CAUSE_UPLOAD, false, "%s", e.message);
		return -1;
	}
	mem_free_cleanup(&p->location);
	p->location = mem_strdup(next.text);
	return 0;
}

/* LOCATION?digest=... */
static char *final_url(const struct push *p)
{
	AUTO(buf) url = BUF_INIT(2 * LIMIT_URL_BYTES);

	buf_addf(&url, "%s%cdigest=%s", p->location, strchr(p->location, '?') ? '&' : '?',
		 p->q->ref);
	return buf_take(&url);
}

/* A 202: the upload is open. */
static int take_upload(struct push *p)
{
	/* What a chunk must have at least, by the registry; one byte has an ambiguous Range. */
	p->chunk_bytes = p->lane->fetcher->config->chunk_bytes;
	if (p->chunk_bytes < p->x.head.chunk_min)
		p->chunk_bytes = p->x.head.chunk_min;
	if (p->chunk_bytes < 2)
		p->chunk_bytes = 2;
	p->uploaded = 0;
	return take_location(p);
}

/* *ret_done: the registry has the blob now. */
static int try_mount(struct push *p, bool *ret_done)
{
	struct registry_exchange *x = begin(p, "POST");
	AUTO_FREE char *url = registry_url(p->lane->fetcher, "blobs/uploads/?mount=%s&from=%s",
					   p->q->ref, p->q->mount_from);

	x->has_body = true;
	x->body_text = "";
	if (registry_exchange_run(x, url) < 0)
		return -1;
	*ret_done = x->head.http.status == 201;
	if (*ret_done || x->head.http.status != 202)
		return 0; /* whatever else it says: then it is not to be mounted */
	return take_upload(p);
}

static int open_upload(struct push *p, bool *ret_done)
{
	struct registry_exchange *x = begin(p, "POST");
	bool single = p->q->size <= SINGLE_POST_BYTES;
	AUTO_FREE char *url =
		single ? registry_url(p->lane->fetcher, "blobs/uploads/?digest=%s", p->q->ref)
		       : registry_url(p->lane->fetcher, "blobs/uploads/");

	if (single)
		set_body(p, 0, p->q->size);
	else
		set_body(p, 0, 0);
	if (registry_exchange_run(x, url) < 0)
		return -1;
	*ret_done = single && x->head.http.status == 201;
	if (*ret_done)
		return 0;
	if (x->head.http.status != 202)
		return registry_exchange_unexpected(x, "of an upload");
	return take_upload(p);
}

/* Asks how far an upload is, after a fault. -1: it is lost. */
static int ask_state(struct push *p)
{
	struct registry_exchange *x = begin(p, "GET");

	if (registry_exchange_run(x, p->location) < 0)
		return -1;
	if (x->head.http.status != 204 ||
	    (x->head.has_uploaded && x->head.uploaded > p->q->size))
		return -1;
	p->uploaded = x->head.has_uploaded ? x->head.uploaded : 0;
	return x->head.http.has_location ? take_location(p) : 0;
}

/* One PATCH. The registry's word counts for how far it is now. */
static int send_chunk(struct push *p)
{
	uint64_t left = p->q->size - p->uploaded;
	uint64_t len = left < p->chunk_bytes ? left : p->chunk_bytes;
	char range[64];
	struct registry_exchange *x = begin(p, "PATCH");

	snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)p->uploaded,
		 (unsigned long long)(p->uploaded + len - 1));
	x->content_range = range;
	x->once = true;
	set_body(p, p->uploaded, len);
	if (registry_exchange_run(x, p->location) < 0)
		return -1;
	if (x->head.http.status == 416) {
		registry_fail(&x->fail, REGISTRY_CAUSE_UPLOAD, true,
			      "the registry wants another part of the blob (416)");
		return -1;
	}
	if (x->head.http.status != 202)
		return registry_exchange_unexpected(x, "of a chunk");
	uint64_t uploaded = x->head.has_uploaded ? x->head.uploaded : p->uploaded + len;

	if (uploaded <= p->uploaded || uploaded > p->uploaded + len) {
		registry_fail(&x->fail, REGISTRY_CAUSE_UPLOAD, true,
			      "the registry has %llu bytes after a chunk up to %llu",
			      (unsigned long long)uploaded,
			      (unsigned long long)(p->uploaded + len));
		return -1;
	}
	p->uploaded = uploaded;
	atomic_fetch_add(&p->lane->fetcher->bytes, len);
	return take_location(p);
}

static int send_chunks(struct push *p)
{
	while (p->uploaded < p->q->size)
		if (send_chunk(p) < 0)
			return -1;
	return 0;
}

/* The rest, or after chunks nothing, and the digest. */
static int close_upload(struct push *p)
{
	struct registry_exchange *x = begin(p, "PUT");
	AUTO_FREE char *url = final_url(p);
	uint64_t len = p->q->size - p->uploaded;

	x->once = true;
	set_body(p, p->uploaded, len);
	if (registry_exchange_run(x, url) < 0)
		return -1;
	if (x->head.http.status != 201)
		return registry_exchange_unexpected(x, "of a blob");
	atomic_fetch_add(&p->lane->fetcher->bytes, len);
	return 0;
}

static int upload(struct push *p)
{
	bool done = false;

	if (!p->location && open_upload(p, &done) < 0)
		return -1;
	if (done) {
		atomic_fetch_add(&p->lane->fetcher->bytes, p->q->size);
		return 0;
	}
	if (p->q->size > p->chunk_bytes && send_chunks(p) < 0)
		return -1;
	return close_upload(p);
}

static bool wait_for_retry(struct push *p)
{
	p->x.attempts = p->attempts;
	p->x.waited_ms = p->waited_ms;
	bool again = registry_exchange_wait(&p->x);

	p->attempts = p->x.attempts;
	p->waited_ms = p->x.waited_ms;
	return again;
}

/* After a fault the upload goes on where the registry says that it is, or, if it knows nothing of
 * it any more, from the start. */
static int upload_patiently(struct push *p)
{
	while (upload(p) < 0) {
		if (!p->x.fail.is_worth_retry || !wait_for_retry(p))
			return -1;
		if (p->location && ask_state(p) < 0)
			mem_free_cleanup(&p->location);
	}
	return 0;
}

static int is_present(struct push *p, bool *ret)
{
	struct registry_exchange *x = begin(p, "HEAD");
	AUTO_FREE char *url = registry_url(p->lane->fetcher, "blobs/%s", p->q->ref);

	if (registry_exchange_run(x, url) < 0)
		return -1;
	*ret = x->head.http.status == 200;
	return 0;
}

/* Nobody will send it; a registry need not keep it open for a week. */
static void cancel_upload(struct push *p)
{
	struct registry_exchange *x = begin(p, "DELETE");

	x->once = true;
	if (registry_exchange_run(x, p->location) < 0)
		x->fail = (struct registry_failure){0};
}

static int push(struct push *p, struct registry_message *m)
{
	bool done = false;

	if (is_present(p, &done) < 0)
		return -1;
	if (done) {
		m->facts |= REGISTRY_FOUND;
		return 0;
	}
	if (p->q->mount_from[0] && try_mount(p, &done) < 0)
		return -1;
	if (done)
		m->facts |= REGISTRY_MOUNTED;
	if (p->q->op == REGISTRY_MOUNT_BLOB && p->location)
		cancel_upload(p);
	if (done || p->q->op == REGISTRY_MOUNT_BLOB)
		return 0;
	if (upload_patiently(p) < 0)
		return -1;
	m->bytes = p->q->size;
	return 0;
}

void registry_push_blob(struct registry_lane *lane, const struct registry_request *q, int fd,
			struct registry_message *ret)
{
	const char *repository = lane->fetcher->config->repository;
	struct push *p = mem_zalloc(1, sizeof(*p));

	*p = (struct push){.lane = lane, .q = q, .fd = fd};
	if (q->mount_from[0])
		snprintf(p->scope, sizeof(p->scope),
			 "repository:%s:pull,push repository:%s:pull", repository,
			 q->mount_from);
	else
		snprintf(p->scope, sizeof(p->scope), "repository:%s:pull,push", repository);
	if (push(p, ret) < 0)
		registry_message_fail(ret, &p->x.fail);
	else
		ret->kind = REGISTRY_SAYS_DONE;
	push_cleanup(p);
	free(p);
}
