/*
 * The fetcher: a loop over libcurl's multi interface and the socket to the supervisor. It is
 * the only process with a network, so before it talks to anyone it closes every other fd, loads
 * what it will need from disk, and lets everything else be taken away from it.
 */
#include "inputs/fetcher_internal.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inputs/fetcher_io_internal.h"
#include "inputs/transfer_internal.h"
#include "util/clock.h"
#include "util/mem.h"

#define PROGRESS_MS 200
/* How long a stall or a wait may be overlooked; transfers tick at least this often. */
#define TICK_MS 50

struct fetcher {
	int sock;
	const struct fetcher_config *config;
	struct transfer_env env;
	struct transfer slots[FETCH_PARALLEL_MAX];
	uint64_t progress_at_ms;
	bool gone; /* the supervisor closed its end */
};

/* Progress may get lost when the supervisor is busy; everything else waits for it. */
static void send_message(struct fetcher *f, const struct fetch_message *m)
{
	int flags = MSG_NOSIGNAL | (m->kind == FETCH_SAYS_PROGRESS ? MSG_DONTWAIT : 0);
	ssize_t n;

	do
		n = send(f->sock, m, sizeof(*m), flags);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		f->gone = true;
}

static void say(void *ctx, uint32_t job, enum fetch_message_kind kind, const char *text)
{
	struct fetch_message m = {.kind = kind, .job = job};

	fetcher_copy_text(m.text, sizeof(m.text), text);
	send_message(ctx, &m);
}

static void say_broken(struct fetcher *f, const struct err *e)
{
	struct fetch_message m = {.kind = FETCH_SAYS_BROKEN};

	fetcher_copy_text(m.text, sizeof(m.text), e->message);
	fetcher_copy_text(m.hint, sizeof(m.hint), e->hint);
	send_message(f, &m);
}

static void say_progress(struct fetcher *f)
{
	for (size_t i = 0; i < f->config->parallel; i++) {
		const struct transfer *t = &f->slots[i];
		struct fetch_message m = {.kind = FETCH_SAYS_PROGRESS, .job = t->job_index};

		if (t->state == TRANSFER_FREE)
			continue;
		m.bytes = t->len;
		send_message(f, &m);
	}
}

/* Gives the slot back first: by the time the supervisor hears of a result, the fetcher's fd of
 * the file is closed, which the supervisor checks. */
static void finish_slot(struct fetcher *f, struct transfer *t)
{
	struct fetch_message m = {.job = t->job_index, .bytes = t->len};
	AUTO(buf) text = BUF_INIT(2UL * FETCH_TEXT_MAX);

	m.kind = t->state == TRANSFER_DONE ? FETCH_SAYS_DONE : FETCH_SAYS_FAILED;
	if (t->state == TRANSFER_FAILED) {
		m.cause = t->final_cause;
		transfer_format_failure(t, &text);
		fetcher_copy_text(m.text, sizeof(m.text), buf_text(&text));
	}
	transfer_cleanup(t);
	send_message(f, &m);
}

static struct transfer *free_slot(struct fetcher *f)
{
	for (size_t i = 0; i < f->config->parallel; i++)
		if (f->slots[i].state == TRANSFER_FREE)
			return &f->slots[i];
	return NULL;
}

/* False if there is no request now. */
static bool receive_request(struct fetcher *f)
{
	struct fetch_request r;
	int fd = -1;
	ssize_t n = fetcher_receive(f->sock, &r, sizeof(r), MSG_DONTWAIT, &fd);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n != (ssize_t)sizeof(r)) {
		f->gone = true;
		return false;
	}
	struct transfer *t = free_slot(f);

	BUG_IF(fd < 0 || !t || r.job >= f->config->jobs_len);
	transfer_start(t, &f->env, &f->config->jobs[r.job], r.job, fd);
	return true;
}

static void collect_finished(struct fetcher *f)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(f->env.multi, &left))) {
		struct transfer *t = NULL;
		CURLcode rc = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		transfer_finished(t, rc);
	}
}

static bool tick_slots(struct fetcher *f)
{
	uint64_t now = clock_monotonic_ms();
	bool busy = false;

	for (size_t i = 0; i < f->config->parallel; i++) {
		struct transfer *t = &f->slots[i];

		transfer_tick(t, now);
		if (t->state == TRANSFER_DONE || t->state == TRANSFER_FAILED)
			finish_slot(f, t);
		busy |= t->state != TRANSFER_FREE;
	}
	if (busy && now >= f->progress_at_ms) {
		say_progress(f);
		f->progress_at_ms = now + PROGRESS_MS;
	}
	return busy;
}

static void loop(struct fetcher *f)
{
	struct curl_waitfd wait = {.fd = f->sock, .events = CURL_WAIT_POLLIN};
	int running;

	while (!f->gone) {
		while (receive_request(f))
			;
		BUG_IF(curl_multi_perform(f->env.multi, &running) != CURLM_OK);
		collect_finished(f);
		bool busy = tick_slots(f);

		BUG_IF(curl_multi_poll(f->env.multi, &wait, 1, busy ? TICK_MS : 1000, NULL) !=
		       CURLM_OK);
	}
}

static int take_away(const struct fetcher *f, struct err *e)
{
	const struct fetch_options *o = f->config->options;

	return o->confine ? o->confine(o->confine_ctx, e) : 0;
}

/* All that opens files happens here; the order is: load, confine, talk. */
static int prepare(struct fetcher *f, struct buf *ca, struct err *e)
{
	if (fetcher_prepare(f->config->options->ca_file, ca, &f->env.ca, e) < 0)
		return -1;
	f->env.multi = curl_multi_init();
	BUG_IF(!f->env.multi);
	curl_multi_setopt(f->env.multi, CURLMOPT_MAXCONNECTS, (long)f->config->parallel);
	return take_away(f, e);
}

void fetcher_main(int sock, const struct fetcher_config *config)
{
	AUTO(buf) ca = BUF_INIT(FETCHER_CA_BYTES);
	struct err e = ERR_INIT;
	AUTO_FREE struct fetcher *f = mem_zalloc(1, sizeof(*f));

	if (fetcher_settle(sock) < 0)
		return;
	f->sock = FETCHER_FD;
	f->config = config;
	f->env.stall_ms = config->stall_ms;
	f->env.total_ms = config->total_ms;
	f->env.backoff_ms = config->backoff_ms;
	f->env.say = say;
	f->env.ctx = f;
	if (prepare(f, &ca, &e) < 0) {
		say_broken(f, &e);
		return;
	}
	loop(f);
}
