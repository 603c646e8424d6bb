/*
 * The supervisor's half of fetching: which pins are missing, the fetcher's life, and what to
 * make of what it says. Nothing it says is believed: a finished file is taken back so that
 * nobody else can write to it, hashed again, and only then linked into the store.
 */
#include "inputs/fetch.h"

#include <string.h>
#include <unistd.h>

#include "inputs/fetcher_internal.h"
#include "inputs/fetcher_io_internal.h"
#include "inputs/supervisor_internal.h"
#include "inputs/url.h"
#include "util/clock.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/map.h"
#include "util/mem.h"
#include "util/str.h"

#define BACKOFF_DEFAULT_MS 500
#define PROGRESS_MS 100
/* Notes and warnings that one job may cause; each URL has its attempts, so honest ones stay far
 * below for any sane number of URLs. */
#define SAID_MAX 200

static const struct supervisor_ids ids = {
	.broken = "fetch/fetcher-broken",
	.confused = "fetch/fetcher-confused",
	.died = "fetch/fetcher-died",
	.hangs = "fetch/fetcher-hangs",
};

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
	struct supervisor supervisor;
	struct supervisor_work work; /* an item is a job */
	struct fetch_message message;
	uint64_t progress_at_ms;
};
#define SESSION_INIT(store_, options_, found_)                                                 \
	{                                                                                      \
		.store = (store_), .options = (options_), .found = (found_),                   \
		.supervisor = SUPERVISOR_INIT(&ids, "the fetcher")                             \
	}

static void session_cleanup(struct session *s)
{
	supervisor_stop(&s->supervisor);
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

static void report_progress(void *ctx, bool is_last)
{
	struct session *s = ctx;
	struct fetch_progress p = {.done = s->work.done, .total = s->jobs.len};
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
	s->work.done++;
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

/* The job of a message, if the fetcher has it. */
static struct job_state *job_of(struct session *s, const struct fetch_message *m)
{
	if (m->job >= s->jobs.len)
		return NULL;
	struct job_state *state = &s->states[m->job];

	return state->handed_out && !state->done ? state : NULL;
}

static int take_message(void *ctx, struct err *e)
{
	struct session *s = ctx;
	const struct fetch_message *m = &s->message;
	AUTO_FREE char *text = str_printable(m->text, strnlen(m->text, sizeof(m->text)));
	struct job_state *state = job_of(s, m);

	if (m->kind == FETCH_SAYS_BROKEN)
		return supervisor_err_broken(&s->supervisor, m->text, sizeof(m->text), m->hint,
					     sizeof(m->hint), e);
	if (!state)
		return supervisor_err_confused(&s->supervisor, e);
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
		return supervisor_err_confused(&s->supervisor, e);
	if (m->kind == FETCH_SAYS_WARNING)
		log_warn("%s", text);
	else
		log_note("%s", text);
	return 0;
}

static int hand_out(void *ctx, size_t index, struct err *e)
{
	struct session *s = ctx;
	struct job_state *state = &s->states[index];
	struct fetch_request r = {(uint32_t)index};

	if (store_stage_open(s->store, &state->fd, e) < 0 ||
	    supervisor_ask(&s->supervisor, &r, sizeof(r), state->fd, e) < 0)
		return -1;
	state->handed_out = true;
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
	int sock;

	if (s->jobs.len == 0)
		return 0;
	s->states = mem_zalloc(s->jobs.len, sizeof(*s->states));
	for (size_t i = 0; i < s->jobs.len; i++)
		s->states[i].fd = -1;
	resolve_options(s, s->options);
	s->config.jobs = s->jobs.items;
	s->config.jobs_len = s->jobs.len;
	s->work = (struct supervisor_work){
		.len = s->jobs.len,
		.parallel = s->config.parallel,
		.idle_ms = s->config.stall_ms,
		.message = &s->message,
		.message_len = sizeof(s->message),
		.hand_out = hand_out,
		.take = take_message,
		.report = report_progress,
		.ctx = s,
	};
	if (supervisor_start(&s->supervisor, &sock, e) < 0)
		return -1;
	if (sock >= 0) {
		child(sock, &s->config);
		_exit(0);
	}
	return supervisor_run(&s->supervisor, &s->work, e);
}

int fetch_pins_by(const struct store *store, const struct pin *pins, size_t pins_len,
		  const struct fetch_options *options,
		  void (*child)(int sock, const struct fetcher_config *config), struct err *e)
{
	AUTO(session) s = SESSION_INIT(store, options, NULL);

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
	AUTO(session) s = SESSION_INIT(store, options, ret);

	if (collect_unpinned(&s, pins, pins_len, e) < 0)
		return -1;
	return run_jobs(&s, fetcher_main, e);
}
