/*
 * The supervisor's half of a registry: who it is, the fetcher's life, and what to make of what
 * it says. As with pins, nothing it says is believed where bytes can be looked at.
 */
#include "inputs/registry.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "inputs/auth_internal.h"
#include "inputs/registry_internal.h"
#include "inputs/supervisor_internal.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#define BACKOFF_DEFAULT_MS 500
#define PROGRESS_MS 100
/* Notes that one call may cause: a blob in chunks may have a few for each. */
#define NOTES_MAX 1000

static const struct supervisor_ids ids = {
	.broken = "registry/fetcher-broken",
	.confused = "registry/fetcher-confused",
	.died = "registry/fetcher-died",
	.hangs = "registry/fetcher-hangs",
};

static const struct {
	enum err_code code;
	const char *id;
	const char *hint; /* NULL: there is nothing to advise */
} causes[REGISTRY_CAUSES] = {
	[REGISTRY_CAUSE_NETWORK] = {ERR_INPUT, "registry/network",
				    "check the registry's name and the network; what was "
				    "transferred already is not transferred again"},
	[REGISTRY_CAUSE_TLS] = {ERR_INPUT, "registry/tls",
				"give the registry's own certificate authority with "
				"--ca-file, or, for a test, say 'insecure: true', --insecure "
				"or, to publish, --skip-tls"},
	[REGISTRY_CAUSE_STALLED] = {ERR_INPUT, "registry/stalled", "try again later"},
	[REGISTRY_CAUSE_STATUS] = {ERR_INPUT, "registry/status",
				   "check the name; is this a registry?"},
	[REGISTRY_CAUSE_BUSY] = {ERR_INPUT, "registry/busy",
				 "try again later; a login often has a higher limit"},
	[REGISTRY_CAUSE_REDIRECT] = {ERR_INPUT, "registry/redirect",
				     "the registry is misconfigured or hostile"},
	[REGISTRY_CAUSE_RESPONSE] = {ERR_INPUT, "registry/bad-response",
				     "the registry is broken or hostile"},
	[REGISTRY_CAUSE_SIZE] = {ERR_MISMATCH, "registry/wrong-size",
				 "the registry is broken or hostile; nothing was kept"},
	[REGISTRY_CAUSE_DENIED] = {ERR_INPUT, "registry/denied",
				   "log in with 'skopeo login HOST' or any other tool that "
				   "writes auth.json or config.json, and check the name: many "
				   "registries say so of what is not there"},
	[REGISTRY_CAUSE_REALM] = {ERR_INPUT, "registry/token-host",
				  "if that host may see your password, name it with "
				  "--token-host HOST"},
	[REGISTRY_CAUSE_TOKEN] = {ERR_INPUT, "registry/token",
				  "the registry's token service is broken or hostile"},
	[REGISTRY_CAUSE_INSECURE] = {ERR_POLICY, "registry/insecure-login",
				     "give the registry's own certificate authority with "
				     "--ca-file instead of --insecure"},
	[REGISTRY_CAUSE_UPLOAD] = {ERR_INPUT, "registry/upload",
				   "the registry is broken or does not take pushes"},
	[REGISTRY_CAUSE_DISK] = {ERR_SYSTEM, "registry/disk", "make room on the disk"},
};

struct registry {
	struct registry_config config;
	struct reference where; /* a copy of host and repository */
	struct registry_options options;
	struct supervisor supervisor;
	char *fetcher_name; /* in messages */
	uint64_t progress_at_ms;
	unsigned notes;
	uint64_t bytes_before; /* of the fetcher, when the call began */
	uint64_t bytes;
};

void registry_call_cleanup(struct registry_call *c)
{
	mem_close_cleanup(&c->fd);
	c->fd = -1;
}

const char *registry_name(const struct registry *r)
{
	return r->config.name;
}

/* The API of Docker Hub has a host of its own. */
static char *authority_of(const char *host)
{
	return mem_strdup(str_same(host, "docker.io") ? "registry-1.docker.io" : host);
}

static bool host_is_loopback(const char *host)
{
	return str_has_prefix(host, "127.") || str_has_prefix(host, "[::1]") ||
	       str_same(host, "localhost") || str_has_prefix(host, "localhost:");
}

static void resolve_options(struct registry_config *c, const struct registry_options *o)
{
	unsigned parallel = o->parallel ? o->parallel : LIMIT_DOWNLOAD_PARALLEL;
	uint64_t wait_s = o->wait_max_s ? o->wait_max_s : LIMIT_REGISTRY_WAIT_S;

	c->options = o;
	c->parallel = parallel < REGISTRY_PARALLEL_MAX ? parallel : REGISTRY_PARALLEL_MAX;
	c->stall_ms = o->stall_ms ? o->stall_ms : LIMIT_DOWNLOAD_STALL_S * 1000;
	c->backoff_ms = o->backoff_ms ? o->backoff_ms : BACKOFF_DEFAULT_MS;
	c->wait_max_ms = wait_s * 1000;
	c->chunk_bytes = o->chunk_bytes ? o->chunk_bytes : REGISTRY_CHUNK_BYTES;
}

static struct credential copy_credential(const struct credential *c)
{
	return (struct credential){
		.username = c->username ? mem_strdup(c->username) : NULL,
		.password = c->password ? mem_strdup(c->password) : NULL,
		.identity_token = c->identity_token ? mem_strdup(c->identity_token) : NULL,
	};
}

int registry_open(const struct reference *where, const struct registry_options *options,
		  struct registry **ret, struct err *e)
{
	struct registry *r = mem_zalloc(1, sizeof(*r));

	r->where.host = mem_strdup(where->host);
	r->where.repository = mem_strdup(where->repository);
	r->config.host = r->where.host;
	r->config.repository = r->where.repository;
	r->config.authority = authority_of(where->host);
	r->config.name = mem_printf("%s/%s", where->host, where->repository);
	r->fetcher_name = mem_printf("the fetcher for '%s'", r->config.name);
	r->supervisor = (struct supervisor)SUPERVISOR_INIT(&ids, r->fetcher_name);
	r->config.is_loopback = host_is_loopback(r->config.authority);
	r->options = *options;
	resolve_options(&r->config, &r->options);
	if (options->credential)
		r->config.credential = copy_credential(options->credential);
	else if (auth_find(options->environment, &r->where, &r->config.credential, e) < 0) {
		registry_close(r);
		return -1;
	}
	*ret = r;
	return 0;
}

void registry_close(struct registry *r)
{
	if (!r)
		return;
	supervisor_stop(&r->supervisor);
	credential_cleanup(&r->config.credential);
	reference_cleanup(&r->where);
	mem_free_cleanup(&r->config.authority);
	mem_free_cleanup(&r->config.name);
	mem_free_cleanup(&r->fetcher_name);
	free(r);
}

void registry_close_cleanup(struct registry **r)
{
	registry_close(*r);
}

static int start_fetcher(struct registry *r, struct err *e)
{
	int sock;

	if (r->supervisor.sock >= 0)
		return 0;
	if (supervisor_start(&r->supervisor, &sock, e) < 0)
		return -1;
	if (sock >= 0) {
		registry_fetcher_main(sock, &r->config);
		_exit(0);
	}
	r->bytes = 0;
	return 0;
}

int registry_scratch_open(int *ret_fd, struct err *e)
{
	int fd = memfd_create("registry", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "cannot make a file in memory");
	*ret_fd = fd;
	return 0;
}

/* A call's whole life in the supervisor. */
struct round {
	struct registry *r;
	const struct registry_calls *calls;
	struct supervisor_work work; /* an item is a call */
	struct registry_message message;
};

static int fail_call(const struct round *round, const struct registry_call *call,
		     uint32_t cause, const char *text, struct err *e)
{
	const char *subject = call->request.ref;

	if (cause == REGISTRY_CAUSE_NONE || cause >= REGISTRY_CAUSES)
		cause = REGISTRY_CAUSE_RESPONSE;
	err_set(e, causes[cause].code, causes[cause].id, "'%s%s%.80s': %s",
		round->r->config.name, *subject ? " " : "", subject, text);
	return err_hint(e, "%s", causes[cause].hint);
}

static int take_note(struct registry *r, const struct registry_message *m, struct err *e)
{
	AUTO_FREE char *text = str_printable(m->text, strnlen(m->text, sizeof(m->text)));

	if (++r->notes > NOTES_MAX)
		return supervisor_err_confused(&r->supervisor, e);
	log_note("'%s': %s", r->config.name, text);
	return 0;
}

static int take_answer(struct round *round, const struct registry_message *m, struct err *e)
{
	struct registry_call *call =
		m->index < round->calls->len ? &round->calls->items[m->index] : NULL;

	if (!call || !call->handed_out || call->done)
		return supervisor_err_confused(&round->r->supervisor, e);
	if (m->kind == REGISTRY_SAYS_FAILED) {
		AUTO_FREE char *text =
			str_printable(m->text, strnlen(m->text, sizeof(m->text)));

		return fail_call(round, call, m->cause, text, e);
	}
	call->answer = *m;
	call->answer.media_type[sizeof(m->media_type) - 1] = '\0';
	call->answer.next[sizeof(m->next) - 1] = '\0';
	call->done = true;
	round->work.done++;
	return round->calls->done ? round->calls->done(round->calls->ctx, call, e) : 0;
}

static int take_message(void *ctx, struct err *e)
{
	struct round *round = ctx;
	const struct registry_message *m = &round->message;
	struct registry *r = round->r;

	switch (m->kind) {
	case REGISTRY_SAYS_ALIVE:
		r->bytes = m->bytes;
		return 0;
	case REGISTRY_SAYS_NOTE:
		return take_note(r, m, e);
	case REGISTRY_SAYS_BROKEN:
		return supervisor_err_broken(&r->supervisor, m->text, sizeof(m->text), m->hint,
					     sizeof(m->hint), e);
	case REGISTRY_SAYS_DONE:
	case REGISTRY_SAYS_FAILED:
		return take_answer(round, m, e);
	default:
		return supervisor_err_confused(&r->supervisor, e);
	}
}

static void report_progress(void *ctx, bool is_last)
{
	const struct round *round = ctx;
	struct registry *r = round->r;
	const struct registry_options *o = r->config.options;
	uint64_t now = clock_monotonic_ms();
	struct registry_progress p = {.done = round->work.done,
				      .total = round->calls->len,
				      .bytes_expected = round->calls->bytes_expected};

	if (!o->progress || p.bytes_expected == 0 || (!is_last && now < r->progress_at_ms))
		return;
	r->progress_at_ms = now + PROGRESS_MS;
	if (r->bytes > r->bytes_before)
		p.bytes = r->bytes - r->bytes_before;
	if (is_last || p.bytes > p.bytes_expected)
		p.bytes = p.bytes_expected;
	o->progress(o->ctx, &p);
}

static int hand_out(void *ctx, size_t index, struct err *e)
{
	const struct round *round = ctx;
	struct registry_call *call = &round->calls->items[index];

	if (round->calls->ready && round->calls->ready(round->calls->ctx, call, e) < 0)
		return -1;
	call->request.index = (uint32_t)index;
	if (supervisor_ask(&round->r->supervisor, &call->request, sizeof(call->request),
			   call->fd, e) < 0)
		return -1;
	call->handed_out = true;
	return 0;
}

int registry_calls_make(struct registry *r, const struct registry_calls *calls, struct err *e)
{
	AUTO_FREE struct round *round = mem_zalloc(1, sizeof(*round));

	if (calls->len == 0)
		return 0;
	if (start_fetcher(r, e) < 0)
		return -1;
	round->r = r;
	round->calls = calls;
	round->work = (struct supervisor_work){
		.len = calls->len,
		.parallel = r->config.parallel,
		.message = &round->message,
		.message_len = sizeof(round->message),
		.hand_out = hand_out,
		.take = take_message,
		.report = report_progress,
		.ctx = round,
	};
	r->bytes_before = r->bytes;
	r->notes = 0;
	if (supervisor_run(&r->supervisor, &round->work, e) == 0)
		return 0;
	/* What its other threads do is of no interest any more. */
	supervisor_stop(&r->supervisor);
	return -1;
}

int registry_call_make(struct registry *r, struct registry_call *call, struct err *e)
{
	const struct registry_calls calls = {.items = call, .len = 1};

	return registry_calls_make(r, &calls, e);
}
