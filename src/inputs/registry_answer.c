/* What a registry's fetcher does for each kind of request, but for pushing blobs. */
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "inputs/fetcher_io_internal.h"
#include "inputs/registry_exchange_internal.h"
#include "util/mem.h"
#include "util/str.h"

#define ACCEPT_MANIFESTS                                                                       \
	REGISTRY_MANIFEST_TYPE ", " REGISTRY_INDEX_TYPE ", " DOCKER_MANIFEST_TYPE              \
			       ", " DOCKER_LIST_TYPE

char *registry_url(const struct registry_fetcher *f, const char *fmt, ...)
{
	AUTO(buf) url = BUF_INIT(LIMIT_URL_BYTES);
	char path[LIMIT_URL_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	buf_addf(&url, "%s://%s/v2/%s/%s", f->origin.scheme, f->config->authority,
		 f->config->repository, path);
	return buf_take(&url);
}

void registry_message_fail(struct registry_message *m, const struct registry_failure *f)
{
	m->kind = REGISTRY_SAYS_FAILED;
	m->cause = f->cause;
	fetcher_copy_text(m->text, sizeof(m->text), f->text);
}

/* `scope` is kept for as long as the exchange. */
static void pull_scope(const struct registry_lane *lane, char *out, size_t out_len)
{
	snprintf(out, out_len, "repository:%s:pull", lane->fetcher->config->repository);
}

/* Fills what every answer has; false if the exchange failed. */
static bool answered(struct registry_exchange *x, int result, struct registry_message *m)
{
	if (result < 0) {
		registry_message_fail(m, &x->fail);
		return false;
	}
	m->kind = REGISTRY_SAYS_DONE;
	m->bytes = x->out_len;
	fetcher_copy_text(m->media_type, sizeof(m->media_type), x->head.media_type);
	if (x->head.warning[0])
		registry_note(x->lane, "the registry warns: %s", x->head.warning);
	return true;
}

static void get_manifest(struct registry_lane *lane, const struct registry_request *q, int fd,
			 struct registry_exchange *x, struct registry_message *m)
{
	AUTO_FREE char *url = registry_url(lane->fetcher, "manifests/%s", q->ref);

	x->method = "GET";
	x->accept = ACCEPT_MANIFESTS;
	x->out_fd = fd;
	x->out_max = LIMIT_MANIFEST_BYTES;
	if (!answered(x, registry_exchange_run(x, url), m) || x->head.http.status == 404)
		return;
	if (x->head.http.status == 200) {
		m->facts |= REGISTRY_FOUND;
		return;
	}
	registry_exchange_unexpected(x, "of a manifest");
	registry_message_fail(m, &x->fail);
}

static void get_blob(struct registry_lane *lane, const struct registry_request *q, int fd,
		     struct registry_exchange *x, struct registry_message *m)
{
	AUTO_FREE char *url = registry_url(lane->fetcher, "blobs/%s", q->ref);

	x->method = "GET";
	x->out_fd = fd;
	x->out_size = (int64_t)q->size;
	x->out_max = q->size;
	if (!answered(x, registry_exchange_run(x, url), m) || x->head.http.status == 404)
		return;
	if (x->head.http.status == 200 || x->head.http.status == 206) {
		m->facts |= REGISTRY_FOUND | (x->resumed ? REGISTRY_RESUMED : 0);
		return;
	}
	registry_exchange_unexpected(x, "of a blob");
	registry_message_fail(m, &x->fail);
}

static void has_blob(struct registry_lane *lane, const struct registry_request *q,
		     struct registry_exchange *x, struct registry_message *m)
{
	AUTO_FREE char *url = registry_url(lane->fetcher, "blobs/%s", q->ref);

	x->method = "HEAD";
	if (answered(x, registry_exchange_run(x, url), m) && x->head.http.status == 200)
		m->facts |= REGISTRY_FOUND;
}

static void get_list(struct registry_lane *lane, const struct registry_request *q, int fd,
		     struct registry_exchange *x, struct registry_message *m)
{
	struct err e = ERR_INIT;
	AUTO(url) next = {0};
	bool is_url = str_has_prefix(q->path, "http://") || str_has_prefix(q->path, "https://");
	AUTO_FREE char *url =
		is_url ? mem_strdup(q->path) : registry_url(lane->fetcher, "%s", q->path);

	x->method = "GET";
	x->accept = q->media_type[0] ? q->media_type : "application/json";
	x->out_fd = fd;
	x->out_max = LIMIT_MANIFEST_BYTES;
	if (!answered(x, registry_exchange_run(x, url), m))
		return;
	if (x->head.http.status == 200)
		m->facts |= REGISTRY_FOUND;
	m->facts |= x->head.filtered ? REGISTRY_FILTERED : 0;
	if (x->head.http.status != 200 || !x->head.next[0])
		return;
	if (url_redirect(&x->url, x->head.next, &next, &e) == 0 && !x->left_origin &&
	    registry_same_origin(&next, &lane->fetcher->origin)) {
		fetcher_copy_text(m->next, sizeof(m->next), next.text);
		return;
	}
	registry_fail(&x->fail, REGISTRY_CAUSE_RESPONSE, false,
		      "the next part of the list is at another server");
	registry_message_fail(m, &x->fail);
}

static void put_manifest(struct registry_lane *lane, const struct registry_request *q, int fd,
			 struct registry_exchange *x, struct registry_message *m)
{
	AUTO_FREE char *url = registry_url(lane->fetcher, "manifests/%s", q->ref);

	x->method = "PUT";
	x->content_type = q->media_type;
	x->has_body = true;
	x->body_fd = fd;
	x->body_len = q->size;
	if (!answered(x, registry_exchange_run(x, url), m))
		return;
	if (x->head.http.status == 201 || x->head.http.status == 202) {
		m->facts |= REGISTRY_FOUND | (x->head.subject[0] ? REGISTRY_TRACKED : 0);
		return;
	}
	registry_exchange_unexpected(x, "of a manifest");
	registry_message_fail(m, &x->fail);
}

void registry_answer(struct registry_lane *lane, const struct registry_request *q, int fd,
		     struct registry_message *ret)
{
	char scope[2 * REGISTRY_TYPE_MAX];
	struct registry_exchange *x = mem_zalloc(1, sizeof(*x));

	*x = (struct registry_exchange)REGISTRY_EXCHANGE_INIT(lane);
	pull_scope(lane, scope, sizeof(scope));
	x->scope = scope;
	switch ((enum registry_op)q->op) {
	case REGISTRY_GET_MANIFEST:
		get_manifest(lane, q, fd, x, ret);
		break;
	case REGISTRY_GET_BLOB:
		get_blob(lane, q, fd, x, ret);
		break;
	case REGISTRY_HAS_BLOB:
		has_blob(lane, q, x, ret);
		break;
	case REGISTRY_GET_LIST:
		get_list(lane, q, fd, x, ret);
		break;
	case REGISTRY_PUT_MANIFEST:
		snprintf(scope, sizeof(scope), "repository:%s:pull,push",
			 lane->fetcher->config->repository);
		put_manifest(lane, q, fd, x, ret);
		break;
	case REGISTRY_MOUNT_BLOB:
	case REGISTRY_PUSH_BLOB:
		registry_push_blob(lane, q, fd, ret);
		break;
	}
	registry_exchange_cleanup(x);
	free(x);
}
