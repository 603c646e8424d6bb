/*
 * The supervisor's half of a registry: who it is, the fetcher's life, and what to make of what
 * it says. As with pins, nothing it says is believed where bytes can be looked at.
 */
#include "inputs/registry.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inputs/auth_internal.h"
#include "inputs/fetcher_io_internal.h"
#include "inputs/registry_internal.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/proc.h"
#include "util/str.h"

#define BACKOFF_DEFAULT_MS 500
#define PROGRESS_MS 100
/* A fetcher at work speaks five times a second; beyond this it hangs. */
#define SILENCE_MAX_MS 60000
/* Notes that one call may cause: a blob in chunks may have a few for each. */
#define NOTES_MAX 1000

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
	struct proc proc;
	int sock; /* -1: no fetcher runs */
	uint64_t heard_at_ms;
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

	*r = (struct registry){.proc = PROC_INIT, .sock = -1};
	r->where.host = mem_strdup(where->host);
	r->where.repository = mem_strdup(where->repository);
	r->config.host = r->where.host;
	r->config.repository = r->where.repository;
	r->config.authority = authority_of(where->host);
	r->config.name = mem_printf("%s/%s", where->host, where->repository);
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

static void stop_fetcher(struct registry *r)
{
	mem_close_cleanup(&r->sock);
	r->sock = -1;
	proc_cleanup(&r->proc);
	r->proc = (struct proc)PROC_INIT;
}

void registry_close(struct registry *r)
{
	if (!r)
		return;
	stop_fetcher(r);
	credential_cleanup(&r->config.credential);
	reference_cleanup(&r->where);
	mem_free_cleanup(&r->config.authority);
	mem_free_cleanup(&r->config.name);
	free(r);
}

void registry_close_cleanup(struct registry **r)
{
	registry_close(*r);
}

static int start_fetcher(struct registry *r, struct err *e)
{
	AUTO_CLOSE int theirs = -1;
	int pair[2];
	bool is_child;

	if (r->sock >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "cannot make the fetcher's socket");
	r->sock = pair[0];
	theirs = pair[1];
	if (proc_fork(&r->proc, &is_child, e) < 0) {
		stop_fetcher(r);
		return -1;
	}
	if (is_child) {
		registry_fetcher_main(theirs, &r->config);
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

static int err_confused(const struct registry *r, struct err *e)
{
	return err_set(e, ERR_SYSTEM, "registry/fetcher-confused",
		       "the fetcher for '%s' says what makes no sense", r->config.name);
}

static int err_died(struct registry *r, struct err *e)
{
	struct proc_status status = {0};
	bool ended = false;

	if (proc_wait(&r->proc, 1000, &ended, &status, e) < 0)
		return -1;
	if (!ended)
		return err_confused(r, e);
	return err_set(e, ERR_SYSTEM, "registry/fetcher-died",
		       "the fetcher for '%s' ended early (%s %d)", r->config.name,
		       status.exited ? "status" : "signal", status.code);
}

/* A call's whole life in the supervisor. */
struct round {
	struct registry *r;
	const struct registry_calls *calls;
	size_t next, running, done;
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
		return err_confused(r, e);
	log_note("'%s': %s", r->config.name, text);
	return 0;
}

static int take_broken(const struct registry *r, const struct registry_message *m,
		       struct err *e)
{
	AUTO_FREE char *text = str_printable(m->text, strnlen(m->text, sizeof(m->text)));
	AUTO_FREE char *hint = str_printable(m->hint, strnlen(m->hint, sizeof(m->hint)));

	err_set(e, ERR_SANDBOX, "registry/fetcher-broken",
		"the fetcher for '%s' cannot start: %s", r->config.name, text);
	return *hint ? err_hint(e, "%s", hint) : -1;
}

static int take_answer(struct round *round, const struct registry_message *m, struct err *e)
{
	struct registry_call *call =
		m->index < round->calls->len ? &round->calls->items[m->index] : NULL;

	if (!call || !call->handed_out || call->done)
		return err_confused(round->r, e);
	if (m->kind == REGISTRY_SAYS_FAILED) {
		AUTO_FREE char *text =
			str_printable(m->text, strnlen(m->text, sizeof(m->text)));

		return fail_call(round, call, m->cause, text, e);
	}
	call->answer = *m;
	call->answer.media_type[sizeof(m->media_type) - 1] = '\0';
	call->answer.next[sizeof(m->next) - 1] = '\0';
	call->done = true;
	round->done++;
	round->running--;
	return round->calls->done ? round->calls->done(round->calls->ctx, call, e) : 0;
}

static int take_message(struct round *round, const struct registry_message *m, struct err *e)
{
	struct registry *r = round->r;

	switch (m->kind) {
	case REGISTRY_SAYS_ALIVE:
		r->bytes = m->bytes;
		return 0;
	case REGISTRY_SAYS_NOTE:
		return take_note(r, m, e);
	case REGISTRY_SAYS_BROKEN:
		return take_broken(r, m, e);
	case REGISTRY_SAYS_DONE:
	case REGISTRY_SAYS_FAILED:
		return take_answer(round, m, e);
	default:
		return err_confused(r, e);
	}
}

/* *ret_more says whether a message was there. */
static int receive(struct round *round, struct registry_message *m, bool *ret_more,
		   struct err *e)
{
	struct registry *r = round->r;
	ssize_t n = recv(r->sock, m, sizeof(*m), MSG_DONTWAIT | MSG_TRUNC);

	*ret_more = false;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n == 0)
		return err_died(r, e);
	*ret_more = true;
	/* Reported once, before what it said last: it left a request unread. */
	if (n < 0 && errno == ECONNRESET)
		return 0;
	if (n < 0)
		return err_sys(e, "cannot hear the fetcher");
	if (n != (ssize_t)sizeof(*m))
		return err_confused(r, e);
	if (take_message(round, m, e) < 0)
		return -1;
	/* After the work, since hashing a large file may take long. */
	r->heard_at_ms = clock_monotonic_ms();
	return 0;
}

static void report_progress(struct round *round, bool is_last)
{
	struct registry *r = round->r;
	const struct registry_options *o = r->config.options;
	uint64_t now = clock_monotonic_ms();
	struct registry_progress p = {.done = round->done,
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

static int wait_and_receive(struct round *round, struct registry_message *m, struct err *e)
{
	struct registry *r = round->r;
	struct pollfd fds[] = {
		{.fd = r->sock, .events = POLLIN},
		{.fd = proc_interrupt_fd(), .events = POLLIN},
	};
	bool more = true;

	if (poll(fds, ARRAY_LEN(fds), 1000) < 0 && errno != EINTR)
		return err_sys(e, "cannot wait for the fetcher");
	if (proc_interrupted(e))
		return -1;
	while (more && round->done < round->calls->len)
		if (receive(round, m, &more, e) < 0)
			return -1;
	if (clock_monotonic_ms() > r->heard_at_ms + SILENCE_MAX_MS)
		return err_set(e, ERR_SYSTEM, "registry/fetcher-hangs",
			       "the fetcher for '%s' has said nothing for more than a minute",
			       r->config.name);
	return 0;
}

static int hand_out(struct round *round, struct err *e)
{
	struct registry_call *call = &round->calls->items[round->next];

	if (round->calls->ready && round->calls->ready(round->calls->ctx, call, e) < 0)
		return -1;
	call->request.index = (uint32_t)round->next++;
	/* Of a fetcher that is gone, its last words are of interest: receive() has them. */
	if (fetcher_send(round->r->sock, &call->request, sizeof(call->request), call->fd) < 0 &&
	    errno != EPIPE && errno != ECONNRESET && errno != ECONNREFUSED)
		return err_sys(e, "cannot ask the fetcher");
	call->handed_out = true;
	round->running++;
	return 0;
}

static int run_round(struct round *round, struct registry_message *m, struct err *e)
{
	struct registry *r = round->r;

	r->heard_at_ms = clock_monotonic_ms();
	r->bytes_before = r->bytes;
	r->notes = 0;
	while (round->done < round->calls->len) {
		while (round->running < r->config.parallel && round->next < round->calls->len)
			if (hand_out(round, e) < 0)
				return -1;
		if (wait_and_receive(round, m, e) < 0)
			return -1;
		report_progress(round, false);
	}
	report_progress(round, true);
	return 0;
}

int registry_calls_make(struct registry *r, const struct registry_calls *calls, struct err *e)
{
	struct round round = {.r = r, .calls = calls};
	AUTO_FREE struct registry_message *m = mem_zalloc(1, sizeof(*m));

	if (calls->len == 0)
		return 0;
	if (start_fetcher(r, e) < 0)
		return -1;
	if (run_round(&round, m, e) == 0)
		return 0;
	/* What its other threads do is of no interest any more. */
	stop_fetcher(r);
	return -1;
}

int registry_call_make(struct registry *r, struct registry_call *call, struct err *e)
{
	const struct registry_calls calls = {.items = call, .len = 1};

	return registry_calls_make(r, &calls, e);
}
