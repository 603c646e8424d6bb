/*
 * A whole download from a server that answers anything: responses, divided by "\0\0", are given
 * to one connection each on loopback. Whatever it is, the transfer ends within its bounds, and
 * DONE only if the file has the bytes that were asked for.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "fuzz_blob.h"
#include "inputs/transfer_internal.h"
#include "util/clock.h"
#include "util/str.h"

static const char wanted[] = "inner\n";

struct server {
	int listener;
	pthread_t thread;
	const uint8_t *at, *end;
	atomic_bool stop;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next response; the last is repeated. */
static void answer(struct server *s, int fd)
{
	char request[4096];
	const uint8_t *stop = memmem(s->at, (size_t)(s->end - s->at), "\0\0", 2);
	const uint8_t *end = stop ? stop : s->end;
	if (recv(fd, request, sizeof(request), 0) > 0)
		(void)!send(fd, s->at, (size_t)(end - s->at), MSG_NOSIGNAL);
	if (stop && stop + 2 < s->end)
		s->at = stop + 2;
}

static void *serve(void *ctx)
{
	struct server *s = ctx;
	for (;;) {
		int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return NULL; /* shut down */
		answer(s, fd);
		close(fd);
	}
}

static unsigned server_start(struct server *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(a);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	BUG_IF(s->listener < 0 || bind(s->listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	       listen(s->listener, 16) < 0 ||
	       getsockname(s->listener, (struct sockaddr *)&a, &len) < 0 ||
	       pthread_create(&s->thread, NULL, serve, s) != 0);
	return ntohs(a.sin_port);
}

static void server_stop(struct server *s)
{
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
}

static void say(void *ctx, uint32_t job, enum fetch_message_kind kind, const char *text)
{
	(void)ctx;
	(void)job;
	BUG_IF(kind == 0 || text == NULL);
}

static void drive(struct transfer *t, CURLM *multi)
{
	while (t->state == TRANSFER_RUNNING || t->state == TRANSFER_WAITING) {
		int running = 0, left = 0;
		CURLMsg *m;
		BUG_IF(curl_multi_perform(multi, &running) != CURLM_OK);
		while ((m = curl_multi_info_read(multi, &left)))
			if (m->msg == CURLMSG_DONE)
				transfer_finished(t, m->data.result);
		if (t->state != TRANSFER_RUNNING && t->state != TRANSFER_WAITING)
			break;
		transfer_tick(t, clock_monotonic_ms());
		BUG_IF(curl_multi_poll(multi, NULL, 0, 2, NULL) != CURLM_OK);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > 64 * KIB)
		return 0;
	struct server s = {.at = data, .end = data + size};
	AUTO_FREE char *url = mem_printf("http://127.0.0.1:%u/f", server_start(&s));
	struct fetch_job job = {.size = data[0] & 1 ? -1 : (int64_t)strlen(wanted)};
	struct transfer_env env = {.multi = curl_multi_init(),
				   .stall_ms = 200,
				   .total_ms = 1000,
				   .backoff_ms = 1,
				   .say = say};
	AUTO_FREE struct transfer *t = mem_zalloc(1, sizeof(*t));
	AUTO_CLOSE int kept = fuzz_memory_fd("", 0);
	int fd = dup(kept);
	char bytes[64];
	BUG_IF(!env.multi || fd < 0);
	digest_bytes(DIGEST_SHA256, wanted, strlen(wanted), &job.hash);
	vec_push(&job.urls, (const char *)url);
	transfer_start(t, &env, &job, 0, fd);
	drive(t, env.multi);
	BUG_IF(t->state != TRANSFER_DONE && t->state != TRANSFER_FAILED);
	ssize_t n = pread(kept, bytes, sizeof(bytes), 0);
	BUG_IF(t->state == TRANSFER_DONE &&
	       (n != (ssize_t)strlen(wanted) || memcmp(bytes, wanted, strlen(wanted)) != 0));
	transfer_cleanup(t);
	curl_multi_cleanup(env.multi);
	vec_free(&job.urls);
	server_stop(&s);
	return 0;
}
