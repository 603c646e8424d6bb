/*
 * One step from both sides: the child builds the sandbox and becomes its pid 1; the supervisor
 * maps its ids, passes its output on, watches the clock, and knows that nothing is left when
 * the pidfd of pid 1 becomes readable. The order of construction is that of
 * reference/security.md section 5; what the steps before leave behind is what the next one
 * needs.
 */
#include "sandbox/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>

#include "sandbox/attach_internal.h"
#include "sandbox/cgroup_internal.h"
#include "sandbox/evidence_internal.h"
#include "sandbox/meter_internal.h"
#include "sandbox/mount_internal.h"
#include "sandbox/namespace_internal.h"
#include "sandbox/notify_internal.h"
#include "sandbox/seccomp_internal.h"
#include "sandbox/step_internal.h"
#include "sandbox/wire_internal.h"
#include "util/clock.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/proc.h"

#define SCRATCH_BYTES (4 * MIB) /* the skeleton and the links of an overlay */

enum { READ_END, WRITE_END };

/* The supervisor's reading ends and the child's writing ends. */
struct channels {
	int output[2], error[2], status[2];
};
#define CHANNELS_INIT                                                                          \
	{                                                                                      \
		{-1, -1}, {-1, -1},                                                            \
		{                                                                              \
			-1, -1                                                                 \
		}                                                                              \
	}

struct step {
	const struct sandbox_spec *spec;
	const struct sandbox_limits *limits;
	struct seccomp_program step_filter, watched_filter, init_filter;
	struct mount_source roots;
	struct channels channels;
	struct attach attach;
	struct proc child;
	int line; /* the socket of namespace_spawn */
	struct cgroup cgroup;
	struct meter meter;
	struct notify notify;
	uint64_t started_ms;
	uint64_t log_bytes;
	bool log_overflow;
	struct sandbox_result result;
};
#define STEP_INIT(s)                                                                           \
	{                                                                                      \
		.spec = (s), .limits = (s)->limits ? (s)->limits : &(s)->policy->defaults,     \
		.roots = MOUNT_SOURCE_INIT, .channels = CHANNELS_INIT, .attach = ATTACH_INIT,  \
		.child = PROC_INIT, .line = -1, .cgroup = CGROUP_INIT, .meter = METER_INIT,    \
		.notify = NOTIFY_INIT                                                          \
	}

static void close_side(struct channels *c, int side)
{
	mem_close_cleanup(&c->output[side]);
	mem_close_cleanup(&c->error[side]);
	mem_close_cleanup(&c->status[side]);
	c->output[side] = c->error[side] = c->status[side] = -1;
}

static void step_cleanup(struct step *s)
{
	proc_cleanup(&s->child);
	attach_cleanup(&s->attach);
	cgroup_cleanup(&s->cgroup);
	meter_cleanup(&s->meter);
	notify_cleanup(&s->notify);
	seccomp_program_cleanup(&s->step_filter);
	seccomp_program_cleanup(&s->watched_filter);
	seccomp_program_cleanup(&s->init_filter);
	mount_source_cleanup(&s->roots);
	mem_close_cleanup(&s->line);
	close_side(&s->channels, READ_END);
	close_side(&s->channels, WRITE_END);
}

static int make_dir(const char *name, struct err *e)
{
	if (mkdirat(AT_FDCWD, name, 0755) < 0)
		return err_sys(e, "cannot make '%s' of the sandbox", name);
	return 0;
}

static int attach_roots(struct mount_source *roots, struct err *e)
{
	if (make_dir("roots", e) < 0 || make_dir("root", e) < 0 || make_dir("empty", e) < 0)
		return -1;
	AUTO_CLOSE int target = openat(AT_FDCWD, "roots", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (target < 0)
		return err_sys(e, "cannot open 'roots' of the sandbox");
	if (mount_restrict(roots->tree_fd, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, "roots", e) <
	    0)
		return -1;
	return mount_attach(roots->tree_fd, target, "roots", e);
}

static int mount_root(const struct sandbox_spec *spec, struct err *e)
{
	struct mount_overlay o = {
		.prefix = "../roots/",
		.lowers = spec->lowers,
		.lowers_len = spec->lowers_len,
		.bottom = "../skel",
		.upper = spec->upper,
		.work = spec->work,
		.target = "../root",
		.is_volatile = true,
	};
	return mount_overlay(&o, e);
}

static int build_sandbox(struct step *s, struct err *e)
{
	if (mount_source_open(&s->roots, e) < 0 || namespace_become_root(s->line, e) < 0 ||
	    proc_forbid_namespaces(e) < 0 || mount_scratch(SCRATCH_BYTES, e) < 0 ||
	    attach_roots(&s->roots, e) < 0 || skeleton_make(e) < 0 ||
	    mount_root(s->spec, e) < 0)
		return -1;
	AUTO_CLOSE int root = openat(AT_FDCWD, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(e, "cannot open the root of the sandbox");
	if (skeleton_fill(s->spec, root, e) < 0 || namespace_settle(e) < 0)
		return -1;
	if (fchdir(root) < 0)
		return err_sys(e, "cannot enter the root of the sandbox");
	return mount_switch_root(e);
}

/* With the root of the sandbox as cwd. */
static int show_places(int line, struct err *e)
{
	static const struct {
		const char *path;
		int flags;
	} places[METER_PLACES] = {[METER_PROC] = {"proc", O_RDONLY},
				  [METER_TMP] = {"tmp", O_PATH},
				  [METER_RUN] = {"run", O_PATH},
				  [METER_SHM] = {"dev/shm", O_PATH}};
	int fds[METER_PLACES];
	_Static_assert((int)METER_PLACES <= (int)WIRE_FDS_MAX, "sent in one message");
	for (size_t i = 0; i < METER_PLACES; i++) {
		fds[i] = openat(AT_FDCWD, places[i].path,
				places[i].flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fds[i] < 0)
			return err_sys(e, "cannot open '/%s' of the sandbox", places[i].path);
	}
	/* What is open here closes with pid 1's other files. */
	return wire_fds_send(line, LINE_PLACES, fds, METER_PLACES, e);
}

static _Noreturn void child_main(struct step *s, const struct err *spawn_error)
{
	struct err e = ERR_INIT;
	struct init_fds fds = {
		.null_fd = -1,
		.input_fd = s->attach.step_fd,
		.output_fd = s->channels.output[WRITE_END],
		.error_fd = s->channels.error[WRITE_END],
		.status_fd = s->channels.status[WRITE_END],
		.line_fd = s->line,
	};
	struct init_programs programs = {.step = &s->step_filter, .init = &s->init_filter};
	if (s->watched_filter.len > 0)
		programs.watched = &s->watched_filter;
	if (spawn_error != NULL)
		e = *spawn_error;
	else if (build_sandbox(s, &e) == 0 && show_places(s->line, &e) == 0) {
		fds.null_fd = openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
		if (fds.null_fd < 0)
			err_sys(&e, "cannot open '/dev/null' of the sandbox");
	}
	if (fds.null_fd < 0) {
		wire_err_send(fds.error_fd, &e);
		_exit(1);
	}
	init_main(s->spec, &programs, &fds);
}

static int reached(struct step *s, enum sandbox_limit limit, struct err *e)
{
	s->result.evidence.limit = limit;
	return sandbox_limit_reached(limit, s->spec->label, s->limits, &s->spec->policy->most,
				     e);
}

/* The line brings what the child opened for us, then the end of the filter's loading. */
static void take_line(struct step *s)
{
	char kind;
	int fds[WIRE_FDS_MAX];
	size_t len;
	bool ended;
	if (!wire_fds_receive(s->line, &kind, fds, &len, &ended)) {
		if (ended)
			close(TAKE_FD(s->line));
		return;
	}
	if (kind == LINE_PLACES && len == METER_PLACES && s->meter.places[METER_PROC] < 0) {
		memcpy(s->meter.places, fds, sizeof(s->meter.places));
		return;
	}
	if (kind == LINE_LISTENER && len == 1 && s->notify.fd < 0) {
		notify_start(&s->notify, fds[0]);
		s->result.evidence.watched = true;
		return;
	}
	for (size_t i = 0; i < len; i++)
		close(fds[i]);
}

/* Passes on what is there; false at the end or, for now, at nothing more. */
static bool pass_output(struct step *s)
{
	char bytes[65536];
	ssize_t n = read(s->channels.output[READ_END], bytes, sizeof(bytes));
	if (n <= 0)
		return n < 0 && errno == EINTR;
	uint64_t room = s->limits->log_bytes ? s->limits->log_bytes - s->log_bytes : UINT64_MAX;
	size_t len = (uint64_t)n > room ? (size_t)room : (size_t)n;
	s->log_overflow |= (uint64_t)n > room;
	s->log_bytes += len;
	if (len > 0 && s->spec->output != NULL)
		s->spec->output(s->spec->ctx, bytes, len);
	return !s->log_overflow;
}

/* Milliseconds to the end of the step's time or to the next look at what it uses. */
static int time_left(const struct step *s)
{
	uint64_t limit = s->limits->wall_ms;
	uint64_t used = clock_monotonic_ms() - s->started_ms;
	int look = meter_timeout(&s->meter);
	if (limit == 0)
		return look;
	if (used >= limit)
		return 0;
	return limit - used < (uint64_t)look ? (int)(limit - used) : look;
}

static int check_limits(struct step *s, struct err *e)
{
	enum sandbox_limit limit = SANDBOX_LIMIT_NONE;
	if (s->log_overflow)
		return reached(s, SANDBOX_LIMIT_LOG, e);
	s->meter.count_memfds = s->result.evidence.has_memfds || !s->result.evidence.watched;
	if (meter_look(&s->meter, &limit, e) < 0)
		return -1;
	if (limit != SANDBOX_LIMIT_NONE)
		return reached(s, limit, e);
	if (s->limits->wall_ms > 0 &&
	    clock_monotonic_ms() - s->started_ms >= s->limits->wall_ms)
		return reached(s, SANDBOX_LIMIT_TIME, e);
	return 0;
}

enum {
	WATCH_OUTPUT,
	WATCH_CHILD,
	WATCH_INTERRUPT,
	WATCH_LINE,
	WATCH_NOTIFY,
	WATCH_INPUT,
	WATCH_ROOM,
	WATCHED
};

static int serve(struct step *s, const struct pollfd p[WATCHED], bool *ret_ended, struct err *e)
{
	if (p[WATCH_INTERRUPT].revents != 0 && proc_interrupted(e))
		return -1;
	if (p[WATCH_LINE].revents != 0)
		take_line(s);
	if (p[WATCH_NOTIFY].revents != 0)
		notify_answer(&s->notify, &s->step_filter, &s->result.evidence);
	if (p[WATCH_INPUT].revents != 0 || p[WATCH_ROOM].revents != 0)
		attach_carry(&s->attach, p[WATCH_INPUT].revents != 0);
	if (p[WATCH_OUTPUT].revents != 0)
		pass_output(s);
	/* A step that closed its output while it runs on must not make the loop spin. */
	if (p[WATCH_OUTPUT].revents == POLLHUP)
		close(TAKE_FD(s->channels.output[READ_END]));
	*ret_ended = p[WATCH_CHILD].revents != 0;
	return 0;
}

/* Until pid 1 is gone, or must go: the caller's cleanup kills it. */
static int watch(struct step *s, struct err *e)
{
	for (bool ended = false; !ended;) {
		struct pollfd p[WATCHED] = {
			[WATCH_OUTPUT] = {.fd = s->channels.output[READ_END], .events = POLLIN},
			[WATCH_CHILD] = {.fd = s->child.pidfd, .events = POLLIN},
			[WATCH_INTERRUPT] = {.fd = proc_interrupt_fd(), .events = POLLIN},
			[WATCH_LINE] = {.fd = s->line, .events = POLLIN},
			[WATCH_NOTIFY] = {.fd = s->notify.fd, .events = POLLIN},
			[WATCH_INPUT] = {.fd = attach_wait_input(&s->attach), .events = POLLIN},
			[WATCH_ROOM] = {.fd = attach_wait_room(&s->attach), .events = POLLOUT},
		};
		int n = poll(p, WATCHED, time_left(s));
		if (n < 0 && errno != EINTR)
			return err_sys(e, "cannot wait for a step");
		if (n >= 0 && serve(s, p, &ended, e) < 0)
			return -1;
		if (!ended && check_limits(s, e) < 0)
			return -1;
	}
	return 0;
}

static int init_died(const struct step *s, const struct proc_status *status, struct err *e)
{
	err_set(e, ERR_SANDBOX, "sandbox/init-died", "the sandbox of '%s' was %s (%d)",
		s->spec->label, status->exited ? "given up" : "killed by a signal",
		status->code);
	return err_hint(e, "it was killed from outside, or the machine ran out of memory");
}

/* Everything in the pid namespace is dead: whatever the pipes hold is all there will ever be.
 */
static int conclude(struct step *s, struct err *e)
{
	struct proc_status init;
	struct err theirs = ERR_INIT;
	bool ended;
	struct init_report report = {0};
	while (s->channels.output[READ_END] >= 0 && pass_output(s))
		;
	if (s->log_overflow)
		return reached(s, SANDBOX_LIMIT_LOG, e);
	if (proc_wait(&s->child, -1, &ended, &init, e) < 0)
		return -1;
	bool reported = read(s->channels.status[READ_END], &report, sizeof(report)) ==
			(ssize_t)sizeof(report);
	enum sandbox_limit limit =
		meter_last(&s->meter, reported ? report.largest_rss_bytes : 0);
	if (limit != SANDBOX_LIMIT_NONE)
		return reached(s, limit, e);
	if (wire_err_receive(s->channels.error[READ_END], &theirs)) {
		*e = theirs;
		return err_wrap(e, "step of '%s'", s->spec->label);
	}
	if (!reported)
		return init_died(s, &init, e);
	s->result.exit_code = WIFEXITED(report.status) ? WEXITSTATUS(report.status)
						       : 128 + WTERMSIG(report.status);
	return 0;
}

static int prepare(struct step *s, struct err *e)
{
	const struct sandbox_spec *spec = s->spec;
	struct channels *c = &s->channels;
	if (spec->script && strlen(spec->script) > LIMIT_SCRIPT_BYTES)
		return err_set(e, ERR_SANDBOX, "sandbox/script-too-big",
			       "the script of '%s' is longer than %llu bytes", spec->label,
			       (unsigned long long)LIMIT_SCRIPT_BYTES);
	if (seccomp_program_compile(&spec->policy->seccomp[POLICY_STEP], &s->step_filter, e) <
		    0 ||
	    seccomp_program_compile(&spec->policy->seccomp[POLICY_INIT], &s->init_filter, e) <
		    0 ||
	    (notify_supported() &&
	     seccomp_program_compile_watched(&spec->policy->seccomp[POLICY_STEP],
					     &s->watched_filter, e) < 0) ||
	    mount_source_prepare(spec->roots_fd, &s->roots, e) < 0)
		return -1;
	if (spec->attached && attach_open(&s->attach, STDIN_FILENO, c->output, e) < 0)
		return -1;
	if ((!spec->attached && pipe2(c->output, O_CLOEXEC) < 0) ||
	    pipe2(c->error, O_CLOEXEC) < 0 || pipe2(c->status, O_CLOEXEC) < 0)
		return err_sys(e, "cannot create a pipe");
	if (fcntl(c->output[READ_END], F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, "cannot prepare a pipe");
	return 0;
}

static int run(struct step *s, struct err *e)
{
	struct namespace_spec spec = {.idmap = s->spec->idmap,
				      .nproc = s->spec->policy->limits.nproc,
				      .cgroup = &s->cgroup};
	bool is_child = false;
	s->started_ms = clock_monotonic_ms();
	if (prepare(s, e) < 0 || meter_start(&s->meter, s->spec, &s->cgroup, e) < 0)
		return -1;
	cgroup_create_here(&s->cgroup, s->limits);
	int r = namespace_spawn(&spec, &s->child, &is_child, &s->line, e);
	if (is_child)
		child_main(s, r < 0 ? e : NULL);
	if (r < 0)
		return -1;
	close_side(&s->channels, WRITE_END);
	r = s->spec->attached ? attach_begin(&s->attach, e) : 0;
	if (r == 0)
		r = watch(s, e);
	if (r == 0)
		r = conclude(s, e);
	meter_finish(&s->meter, &s->result.evidence);
	s->result.wall_ms = clock_monotonic_ms() - s->started_ms;
	return r;
}

int sandbox_run(const struct sandbox_spec *spec, struct sandbox_result *ret, struct err *e)
{
	struct step s = STEP_INIT(spec);
	BUG_IF(spec->upper == NULL || spec->work == NULL || spec->env == NULL ||
	       (spec->script == NULL) == (spec->argv == NULL));
	evidence_note_machine(&s.result.evidence);
	s.result.evidence.dedicated_ids = spec->idmap->uid_first == SANDBOX_ROOT_ID_BASE;
	int r = run(&s, e);
	step_cleanup(&s);
	*ret = s.result;
	return r;
}
