/*
 * The supervisor's half of fetching: which pins are missing, the fetcher's life, and what to
 * make of what it says. Nothing it says is believed: a finished file is taken back so that
 * nobody else can write to it, hashed again, and only then linked into the store.
 */
#include "inputs/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inputs/fetcher_internal.h"
#include "inputs/fetcher_io_internal.h"
#include "inputs/url.h"
#include "util/clock.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/map.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/proc.h"
#include "util/str.h"

#define BACKOFF_DEFAULT_MS 500
#define PROGRESS_MS 100
/* A fetcher at work speaks five times a second; beyond this it hangs. */
#define SILENCE_MAX_MS 60000
/* Notes and warnings that one job may cause; each URL has its attempts, so honest ones stay far
 * below for any sane number of URLs. */
#define SAID_MAX 200

static const struct {
	enum err_code code;
	const char *id;
	const char *hint;
} causes[FETCH_CAUSES] = {
	[FETCH_CAUSE_NETWORK] = {ERR_INPUT, "fetch/network",
				 "check the network, or name a second URL for the same hash"},
	[FETCH_CAUSE_TLS] = {ERR_INPUT, "fetch/tls",
			     "check that the URL is right, and that the package "
			     "'ca-certificates' is installed; --ca-file FILE names another "
			     "certificate authority"},
	[FETCH_CAUSE_STALLED] = {ERR_INPUT, "fetch/stalled",
				 "try again later, or name a second URL for the same hash"},
	[FETCH_CAUSE_STATUS] = {ERR_INPUT, "fetch/http-status",
				"check the URL, or name a second one for the same hash"},
	[FETCH_CAUSE_REDIRECT] = {ERR_INPUT, "fetch/redirect",
				  "pin the URL that the server means, if you trust it"},
	[FETCH_CAUSE_RESPONSE] = {ERR_INPUT, "fetch/bad-response",
				  "the server is broken or hostile; name another URL"},
	[FETCH_CAUSE_SIZE] = {ERR_MISMATCH, "fetch/wrong-size",
			      "what the URL serves has changed, or the pin is wrong; check "
			      "what is there before you change the pin"},
	[FETCH_CAUSE_HASH] = {ERR_MISMATCH, "fetch/wrong-hash",
			      "what the URL serves has changed, or the pin is wrong; check "
			      "what is there before you change the pin"},
	[FETCH_CAUSE_DISK] = {ERR_SYSTEM, "fetch/disk", "make room in the state directory"},
};

/* What the supervisor knows of a job, beside what the fetcher may know. */
struct job_state {
	int fd; /* the staged file while the fetcher has the job, else -1 */
	bool handed_out;
	bool done;
	unsigned said;
	uint64_t bytes;
};

struct session {
	const struct store *store;
	const struct fetch_options *options;
	struct fetcher_config config;
	struct fetch_jobs jobs;
	struct job_state *states;  /* jobs.len */
	struct fetch_found *found; /* jobs.len, the caller's; NULL if all jobs have a hash */
	size_t next;		   /* job to hand out */
	size_t running, done;
	struct proc proc;
	int sock;
	uint64_t progress_at_ms;
	uint64_t heard_at_ms;
};

static void session_cleanup(struct session *s)
{
	mem_close_cleanup(&s->sock);
	proc_cleanup(&s->proc);
	for (size_t i = 0; s->states && i < s->jobs.len; i++)
		mem_close_cleanup(&s->states[i].fd);
	for (size_t i = 0; i < s->jobs.len; i++)
		vec_free(&s->jobs.items[i].urls);
	vec_free(&s->jobs);
	mem_free_cleanup(&s->states);
}

static void add_urls(struct fetch_job *job, const struct pin *pin)
{
	for (size_t i = 0; i < pin->urls_len; i++) {
		bool known = false;

		for (size_t k = 0; k < job->urls.len && !known; k++)
			known = str_same(job->urls.items[k], pin->urls[i]);
		if (!known)
			vec_push(&job->urls, pin->urls[i]);
	}
}

static int check_urls(const struct pin *pin, struct err *e)
{
	if (pin->urls_len == 0) {
		err_set(e, ERR_INPUT, "fetch/no-url", "a pinned input has no URL");
		return err_locate(e, &pin->pos);
	}
	for (size_t i = 0; i < pin->urls_len; i++) {
		AUTO(url) u = {0};

		if (url_parse(pin->urls[i], &u, e) < 0)
			return err_locate(e, &pin->pos);
	}
	return 0;
}

static int err_size(const struct pin *pin, int64_t other, struct err *e)
{
	char text[DIGEST_TEXT_MAX];

	digest_format(&pin->hash, text);
	err_set(e, ERR_MISMATCH, "fetch/wrong-size", "'%s' has %lld bytes, the pin says %lld",
		text, (long long)other, (long long)pin->size);
	err_hint(e, "correct the size of the pin, or leave it out");
	return err_locate(e, &pin->pos);
}

/* A length that differs from the pin's says that one of the two is wrong; the hash says which.
 * A damaged blob is removed, so that it is fetched again. */
static int check_present(const struct store *store, const struct pin *pin, bool *ret_present,
			 struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct err damage = ERR_INIT;
	uint64_t len;

	*ret_present = store_blob_stat(store, &pin->hash, &len);
	if (!*ret_present || pin->size < 0 || (uint64_t)pin->size == len)
		return 0;
	if (store_blob_open_checked(store, &pin->hash, &fd, NULL, &damage) == 0)
		return err_size(pin, (int64_t)len, e);
	if (damage.code != ERR_MISMATCH) {
		*e = damage;
		return err_locate(e, &pin->pos);
	}
	log_warn("%s; fetching it again", damage.message);
	*ret_present = false;
	return store_blob_discard(store, &pin->hash, e);
}

static int add_pin(struct session *s, struct map *by_hash, const struct pin *pin, struct err *e)
{
	char text[DIGEST_TEXT_MAX];
	bool present;

	if (check_present(s->store, pin, &present, e) < 0)
		return -1;
	if (present)
		return 0;
	if (check_urls(pin, e) < 0)
		return -1;
	digest_format(&pin->hash, text);
	size_t *index = map_get(by_hash, text);

	if (!index) {
		struct fetch_job job = {.hash = pin->hash, .size = pin->size, .pos = pin->pos};

		index = mem_alloc(sizeof(*index));
		*index = s->jobs.len;
		vec_push(&s->jobs, job);
		map_add(by_hash, text, index);
	}
	BUG_IF(*index >= s->jobs.len);
	struct fetch_job *job = &s->jobs.items[*index];

	if (job->size >= 0 && pin->size >= 0 && job->size != pin->size) {
		err_size(pin, job->size, e);
		return err_wrap(e, "two pins of one hash differ in size");
	}
	if (job->size < 0)
		job->size = pin->size;
	add_urls(job, pin);
	return 0;
}

static int collect_jobs(struct session *s, const struct pin *pins, size_t pins_len,
			struct err *e)
{
	AUTO(map) by_hash = MAP_INIT(free);

	for (size_t i = 0; i < pins_len; i++)
		if (add_pin(s, &by_hash, &pins[i], e) < 0)
			return -1;
	return 0;
}

/* One job a pin, so that their numbers agree. */
static int collect_unpinned(struct session *s, const struct pin *pins, size_t pins_len,
			    struct err *e)
{
	for (size_t i = 0; i < pins_len; i++) {
		struct fetch_job job = {.size = -1, .pos = pins[i].pos};

		BUG_IF(pins[i].hash.alg != DIGEST_NONE);
		if (check_urls(&pins[i], e) < 0)
			return -1;
		add_urls(&job, &pins[i]);
		vec_push(&s->jobs, job);
	}
	return 0;
}

static void report_progress(struct session *s, bool is_last)
{
	struct fetch_progress p = {.done = s->done, .total = s->jobs.len};
	uint64_t now = clock_monotonic_ms();
	bool all_known = true;

	/* That all is done is told once, at the end. */
	bool is_due = now >= s->progress_at_ms && p.done < p.total;
	if (!s->options->progress || (!is_last && !is_due))
		return;
	s->progress_at_ms = now + PROGRESS_MS;
	for (size_t i = 0; i < s->jobs.len; i++) {
		int64_t size = s->jobs.items[i].size;

		p.bytes += s->states[i].bytes;
		all_known &= size >= 0;
		p.bytes_expected += size >= 0 ? (uint64_t)size : 0;
	}
	if (!all_known)
		p.bytes_expected = 0;
	s->options->progress(s->options->ctx, &p);
}

static int finish_job(struct session *s, uint32_t index, struct err *e)
{
	const struct fetch_job *job = &s->jobs.items[index];
	const struct digest *expected = job->hash.alg == DIGEST_NONE ? NULL : &job->hash;
	struct job_state *state = &s->states[index];
	struct digest found;
	AUTO_CLOSE int fd = -1;

	if (fetcher_take_back(s->store, &state->fd, &fd, e) < 0)
		return err_locate(e, &job->pos);
	if (store_stage_commit(s->store, fd, expected, job->size, &found, &state->bytes, e) <
	    0) {
		if (e && e->code == ERR_MISMATCH) {
			err_wrap(e, "the fetcher delivered something else than it said");
			err_recode(e, ERR_MISMATCH, "fetch/wrong-hash");
		}
		return err_locate(e, &job->pos);
	}
	if (s->found)
		s->found[index] = (struct fetch_found){.hash = found, .len = state->bytes};
	state->done = true;
	s->done++;
	s->running--;
	return 0;
}

static int fail_job(const struct fetch_job *job, uint32_t cause, const char *text,
		    struct err *e)
{
	if (cause == FETCH_CAUSE_NONE || cause >= FETCH_CAUSES)
		cause = FETCH_CAUSE_RESPONSE;
	err_set(e, causes[cause].code, causes[cause].id, "%s", text);
	err_hint(e, "%s", causes[cause].hint);
	return err_locate(e, &job->pos);
}

static int err_confused(struct err *e)
{
	return err_set(e, ERR_SYSTEM, "fetch/fetcher-confused",
		       "the fetcher says what makes no sense");
}

/* The job of a message, if the fetcher has it. */
static struct job_state *job_of(struct session *s, const struct fetch_message *m)
{
	if (m->job >= s->jobs.len)
		return NULL;
	struct job_state *state = &s->states[m->job];

	return state->handed_out && !state->done ? state : NULL;
}

static int take_message(struct session *s, const struct fetch_message *m, struct err *e)
{
	AUTO_FREE char *text = str_printable(m->text, strnlen(m->text, sizeof(m->text)));
	struct job_state *state = job_of(s, m);

	if (m->kind == FETCH_SAYS_BROKEN) {
		AUTO_FREE char *hint =
			str_printable(m->hint, strnlen(m->hint, sizeof(m->hint)));

		err_set(e, ERR_SANDBOX, "fetch/fetcher-broken", "the fetcher cannot start: %s",
			text);
		return *hint ? err_hint(e, "%s", hint) : -1;
	}
	if (!state)
		return err_confused(e);
	if (m->kind == FETCH_SAYS_DONE)
		return finish_job(s, m->job, e);
	if (m->kind == FETCH_SAYS_FAILED)
		return fail_job(&s->jobs.items[m->job], m->cause, text, e);
	if (m->kind == FETCH_SAYS_PROGRESS) {
		state->bytes = m->bytes <= LIMIT_DOWNLOAD_BYTES ? m->bytes : 0;
		return 0;
	}
	if ((m->kind != FETCH_SAYS_NOTE && m->kind != FETCH_SAYS_WARNING) ||
	    ++state->said > SAID_MAX)
		return err_confused(e);
	if (m->kind == FETCH_SAYS_WARNING)
		log_warn("%s", text);
	else
		log_note("%s", text);
	return 0;
}

static int err_died(struct session *s, struct err *e)
{
	struct proc_status status = {0};
	bool ended = false;

	if (proc_wait(&s->proc, 1000, &ended, &status, e) < 0)
		return -1;
	if (!ended)
		return err_confused(e);
	return err_set(e, ERR_SYSTEM, "fetch/fetcher-died", "the fetcher ended early (%s %d)",
		       status.exited ? "status" : "signal", status.code);
}

static bool is_gone(int error)
{
	return error == EPIPE || error == ECONNRESET || error == ECONNREFUSED;
}

static int hand_out(struct session *s, uint32_t index, struct err *e)
{
	struct job_state *state = &s->states[index];
	struct fetch_request r = {index};

	if (store_stage_open(s->store, &state->fd, e) < 0)
		return -1;
	/* Of a fetcher that is gone, its last words are of interest: receive() has them. */
	if (fetcher_send(s->sock, &r, sizeof(r), state->fd) < 0 && !is_gone(errno))
		return err_sys(e, "cannot ask the fetcher");
	state->handed_out = true;
	s->running++;
	return 0;
}

/* *ret_more says whether a message was there. */
static int receive(struct session *s, bool *ret_more, struct err *e)
{
	struct fetch_message m;
	ssize_t n = recv(s->sock, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC);

	*ret_more = false;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n == 0)
		return err_died(s, e);
	/* Reported once, before what it said last: it left a request unread. */
	if (n < 0 && errno == ECONNRESET) {
		*ret_more = true;
		return 0;
	}
	if (n < 0)
		return err_sys(e, "cannot hear the fetcher");
	if (n != (ssize_t)sizeof(m))
		return err_confused(e);
	*ret_more = true;
	if (take_message(s, &m, e) < 0)
		return -1;
	/* After the work, since hashing a large file may take long. */
	s->heard_at_ms = clock_monotonic_ms();
	return 0;
}

static int wait_and_receive(struct session *s, struct err *e)
{
	struct pollfd fds[] = {
		{.fd = s->sock, .events = POLLIN},
		{.fd = proc_interrupt_fd(), .events = POLLIN},
	};
	bool more = true;

	if (poll(fds, ARRAY_LEN(fds), 1000) < 0 && errno != EINTR)
		return err_sys(e, "cannot wait for the fetcher");
	if (proc_interrupted(e))
		return -1;
	while (more)
		if (receive(s, &more, e) < 0)
			return -1;
	if (clock_monotonic_ms() > s->heard_at_ms + s->config.stall_ms + SILENCE_MAX_MS)
		return err_set(e, ERR_SYSTEM, "fetch/fetcher-hangs",
			       "the fetcher has said nothing for more than a minute");
	return 0;
}

static int supervise(struct session *s, struct err *e)
{
	s->heard_at_ms = clock_monotonic_ms();
	while (s->done < s->jobs.len) {
		while (s->running < s->config.parallel && s->next < s->jobs.len)
			if (hand_out(s, (uint32_t)s->next++, e) < 0)
				return -1;
		if (wait_and_receive(s, e) < 0)
			return -1;
		report_progress(s, false);
	}
	report_progress(s, true);
	return 0;
}

static int start_child(struct session *s,
		       void (*child)(int sock, const struct fetcher_config *config),
		       struct err *e)
{
	AUTO_CLOSE int theirs = -1;
	int pair[2];
	bool is_child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "cannot make the fetcher's socket");
	s->sock = pair[0];
	theirs = pair[1];
	if (proc_fork(&s->proc, &is_child, e) < 0)
		return -1;
	if (is_child) {
		child(theirs, &s->config);
		_exit(0);
	}
	return 0;
}

static void resolve_options(struct session *s, const struct fetch_options *o)
{
	unsigned parallel = o->parallel ? o->parallel : LIMIT_DOWNLOAD_PARALLEL;

	s->config.options = o;
	s->config.parallel = parallel < FETCH_PARALLEL_MAX ? parallel : FETCH_PARALLEL_MAX;
	s->config.stall_ms = o->stall_ms ? o->stall_ms : LIMIT_DOWNLOAD_STALL_S * 1000;
	s->config.total_ms = o->total_ms ? o->total_ms : LIMIT_DOWNLOAD_TOTAL_S * 1000ULL;
	s->config.backoff_ms = o->backoff_ms ? o->backoff_ms : BACKOFF_DEFAULT_MS;
}

/* Of a session whose jobs are collected. */
static int run_jobs(struct session *s,
		    void (*child)(int sock, const struct fetcher_config *config), struct err *e)
{
	if (s->jobs.len == 0)
		return 0;
	s->states = mem_zalloc(s->jobs.len, sizeof(*s->states));
	for (size_t i = 0; i < s->jobs.len; i++)
		s->states[i].fd = -1;
	resolve_options(s, s->options);
	s->config.jobs = s->jobs.items;
	s->config.jobs_len = s->jobs.len;
	if (start_child(s, child, e) < 0)
		return -1;
	return supervise(s, e);
}

int fetch_pins_by(const struct store *store, const struct pin *pins, size_t pins_len,
		  const struct fetch_options *options,
		  void (*child)(int sock, const struct fetcher_config *config), struct err *e)
{
	AUTO(session) s = {.store = store, .options = options, .proc = PROC_INIT, .sock = -1};

	if (collect_jobs(&s, pins, pins_len, e) < 0)
		return -1;
	return run_jobs(&s, child, e);
}

int fetch_pins(const struct store *store, const struct pin *pins, size_t pins_len,
	       const struct fetch_options *options, struct err *e)
{
	return fetch_pins_by(store, pins, pins_len, options, fetcher_main, e);
}

int fetch_unpinned(const struct store *store, const struct pin *pins, size_t pins_len,
		   const struct fetch_options *options, struct fetch_found *ret, struct err *e)
{
	AUTO(session)
	s = {.store = store, .options = options, .found = ret, .proc = PROC_INIT, .sock = -1};

	if (collect_unpinned(&s, pins, pins_len, e) < 0)
		return -1;
	return run_jobs(&s, fetcher_main, e);
}
