/*
 * The life of a registry's fetcher: it closes what is not its own, loads what it will need from
 * disk, lets everything else be taken away, and only then starts its threads, each of which
 * takes a request from the socket, works on it and answers.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inputs/fetcher_io_internal.h"
#include "inputs/http_easy_internal.h"
#include "inputs/registry_exchange_internal.h"
#include "util/mem.h"

#define ALIVE_MS 200

static void send_message(struct registry_fetcher *f, const struct registry_message *m)
{
	while (fetcher_send(f->sock, m, sizeof(*m), -1) < 0)
		if (errno != EINTR)
			_exit(0); /* the supervisor is gone, and with it all need */
}

void registry_note(struct registry_lane *lane, const char *fmt, ...)
{
	AUTO_FREE struct registry_message *m = mem_zalloc(1, sizeof(*m));
	va_list args;

	m->kind = REGISTRY_SAYS_NOTE;
	m->index = lane->request->index;
	va_start(args, fmt);
	vsnprintf(m->text, sizeof(m->text), fmt, args);
	va_end(args);
	send_message(lane->fetcher, m);
}

/* The structs hold texts of kilobytes, so they live on the heap. */
struct lane_work {
	struct registry_request request;
	struct registry_message answer;
};

static void serve_one(struct registry_lane *lane, struct lane_work *w)
{
	int fd = -1;
	ssize_t n =
		fetcher_receive(lane->fetcher->sock, &w->request, sizeof(w->request), 0, &fd);

	if (n < 0 && errno == EINTR)
		return;
	if (n != (ssize_t)sizeof(w->request))
		_exit(0);
	memset(&w->answer, 0, sizeof(w->answer));
	w->answer.index = w->request.index;
	lane->request = &w->request;
	registry_answer(lane, &w->request, fd, &w->answer);
	/* Before the answer: by then the supervisor may check that nobody else has it. */
	mem_close_cleanup(&fd);
	BUG_IF(w->answer.kind == 0);
	send_message(lane->fetcher, &w->answer);
}

static void *serve(void *ctx)
{
	struct registry_lane *lane = ctx;
	AUTO_FREE struct lane_work *w = mem_zalloc(1, sizeof(*w));

	lane->own = curl_easy_init();
	BUG_IF(!lane->own);
	for (;;)
		serve_one(lane, w);
	return NULL;
}

/* Tells how it goes until the supervisor closes its end. */
static void watch(struct registry_fetcher *f)
{
	AUTO_FREE struct registry_message *m = mem_zalloc(1, sizeof(*m));
	struct pollfd p = {.fd = f->sock, .events = 0};

	m->kind = REGISTRY_SAYS_ALIVE;
	while (poll(&p, 1, ALIVE_MS) <= 0 || !(p.revents & (POLLHUP | POLLERR))) {
		m->bytes = atomic_load(&f->bytes);
		(void)send(f->sock, m, sizeof(*m), MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

/* Whether a registry that need not be secure speaks TLS at all. */
static bool speaks_tls(const struct registry_fetcher *f)
{
	CURL *easy = curl_easy_init();
	AUTO_FREE char *url = mem_printf("https://%s/v2/", f->config->authority);

	BUG_IF(!easy);
	http_easy_restrict(easy, f->config->stall_ms);
	EASY_SET(easy, CURLOPT_SSL_VERIFYPEER, 0L);
	EASY_SET(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	EASY_SET(easy, CURLOPT_CONNECT_ONLY, 1L);
	EASY_SET(easy, CURLOPT_URL, url);
	CURLcode rc = curl_easy_perform(easy);

	curl_easy_cleanup(easy);
	return rc == CURLE_OK;
}

static int find_origin(struct registry_fetcher *f, struct err *e)
{
	const char *scheme = f->config->options->insecure && !speaks_tls(f) ? "http" : "https";
	AUTO_FREE char *url = mem_printf("%s://%s/", scheme, f->config->authority);

	return url_parse(url, &f->origin, e);
}

/* The order is: load, confine, talk. */
static int prepare(struct registry_fetcher *f, struct buf *ca, struct err *e)
{
	const struct registry_options *o = f->config->options;

	if (fetcher_prepare(o->ca_file, ca, &f->ca, e) < 0)
		return -1;
	if (o->confine && o->confine(o->confine_ctx, e) < 0)
		return -1;
	return find_origin(f, e);
}

static void say_broken(struct registry_fetcher *f, const struct err *e)
{
	AUTO_FREE struct registry_message *m = mem_zalloc(1, sizeof(*m));

	m->kind = REGISTRY_SAYS_BROKEN;
	fetcher_copy_text(m->text, sizeof(m->text), e->message);
	fetcher_copy_text(m->hint, sizeof(m->hint), e->hint);
	send_message(f, m);
}

void registry_fetcher_main(int sock, const struct registry_config *config)
{
	AUTO(buf) ca = BUF_INIT(FETCHER_CA_BYTES);
	struct err e = ERR_INIT;
	struct registry_fetcher *f = mem_zalloc(1, sizeof(*f));
	struct registry_lane *lanes = mem_zalloc(config->parallel, sizeof(*lanes));

	if (fetcher_settle(sock) < 0)
		_exit(0);
	f->sock = FETCHER_FD;
	f->config = config;
	pthread_mutex_init(&f->auth.lock, NULL);
	if (prepare(f, &ca, &e) < 0) {
		say_broken(f, &e);
		_exit(0);
	}
	for (unsigned i = 0; i < config->parallel; i++) {
		lanes[i].fetcher = f;
		BUG_IF(pthread_create(&lanes[i].thread, NULL, serve, &lanes[i]) != 0);
	}
	watch(f);
	_exit(0); /* the threads work on what nobody waits for any more */
}
