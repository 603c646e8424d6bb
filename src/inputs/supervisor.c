/* A fetcher's life as its supervisor sees it. */
#include "inputs/supervisor_internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "inputs/fetcher_io_internal.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/str.h"

/* A fetcher at work speaks five times a second; beyond this it hangs. */
#define SILENCE_MAX_MS 60000

int supervisor_start(struct supervisor *s, int *ret_sock, struct err *e)
{
	AUTO_CLOSE int theirs = -1;
	int pair[2];
	bool is_child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "cannot make the fetcher's socket");
	s->sock = pair[0];
	theirs = pair[1];
	if (proc_fork(&s->proc, &is_child, e) < 0) {
		supervisor_stop(s);
		return -1;
	}
	*ret_sock = is_child ? TAKE_FD(theirs) : -1;
	return 0;
}

void supervisor_stop(struct supervisor *s)
{
	mem_close_cleanup(&s->sock);
	s->sock = -1;
	proc_cleanup(&s->proc);
	s->proc = (struct proc)PROC_INIT;
}

int supervisor_ask(struct supervisor *s, const void *request, size_t len, int fd, struct err *e)
{
	if (fetcher_send(s->sock, request, len, fd) < 0 && errno != EPIPE &&
	    errno != ECONNRESET && errno != ECONNREFUSED)
		return err_sys(e, "cannot ask the fetcher");
	return 0;
}

int supervisor_err_confused(const struct supervisor *s, struct err *e)
{
	return err_set(e, ERR_SYSTEM, s->ids->confused, "%s says what makes no sense", s->name);
}

int supervisor_err_broken(const struct supervisor *s, const char *text, size_t text_size,
			  const char *hint, size_t hint_size, struct err *e)
{
	AUTO_FREE char *why = str_printable(text, strnlen(text, text_size));
	AUTO_FREE char *advice = str_printable(hint, strnlen(hint, hint_size));

	err_set(e, ERR_SANDBOX, s->ids->broken, "%s cannot start: %s", s->name, why);
	return *advice ? err_hint(e, "%s", advice) : -1;
}

static int err_died(struct supervisor *s, struct err *e)
{
	struct proc_status status = {0};
	bool ended = false;

	if (proc_wait(&s->proc, 1000, &ended, &status, e) < 0)
		return -1;
	if (!ended)
		return supervisor_err_confused(s, e);
	return err_set(e, ERR_SYSTEM, s->ids->died, "%s ended early (%s %d)", s->name,
		       status.exited ? "status" : "signal", status.code);
}

/* *ret_more says whether a message was there. */
static int receive(struct supervisor *s, const struct supervisor_work *work,
		   uint64_t *heard_at_ms, bool *ret_more, struct err *e)
{
	ssize_t n = recv(s->sock, work->message, work->message_len, MSG_DONTWAIT | MSG_TRUNC);

	*ret_more = false;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n == 0)
		return err_died(s, e);
	*ret_more = true;
	/* Reported once, before what it said last: it left a request unread. */
	if (n < 0 && errno == ECONNRESET)
		return 0;
	if (n < 0)
		return err_sys(e, "cannot hear the fetcher");
	if (n != (ssize_t)work->message_len)
		return supervisor_err_confused(s, e);
	if (work->take(work->ctx, e) < 0)
		return -1;
	/* After the work, since hashing a large file may take long. */
	*heard_at_ms = clock_monotonic_ms();
	return 0;
}

static int wait_and_receive(struct supervisor *s, const struct supervisor_work *work,
			    uint64_t *heard_at_ms, struct err *e)
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
	while (more && work->done < work->len)
		if (receive(s, work, heard_at_ms, &more, e) < 0)
			return -1;
	if (clock_monotonic_ms() > *heard_at_ms + work->idle_ms + SILENCE_MAX_MS)
		return err_set(e, ERR_SYSTEM, s->ids->hangs,
			       "%s has said nothing for more than a minute", s->name);
	return 0;
}

int supervisor_run(struct supervisor *s, struct supervisor_work *work, struct err *e)
{
	uint64_t heard_at_ms = clock_monotonic_ms();
	size_t next = 0; /* what was handed out and is not done, runs */

	while (work->done < work->len) {
		for (; next < work->len && next - work->done < work->parallel; next++)
			if (work->hand_out(work->ctx, next, e) < 0)
				return -1;
		if (wait_and_receive(s, work, &heard_at_ms, e) < 0)
			return -1;
		work->report(work->ctx, false);
	}
	work->report(work->ctx, true);
	return 0;
}
