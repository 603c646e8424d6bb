/*
 * The worker: a child in its own namespaces whose root is a small tmpfs with the bind mounts.
 * Its reply is written to a pipe: one byte that says which, then the reply or a struct err.
 */
#include "sandbox/worker.h"

#include <errno.h>
#include <linux/close_range.h>
#include <poll.h>
#include <string.h>
#include <sys/mount.h>

#include "sandbox/landlock_internal.h"
#include "sandbox/mount_internal.h"
#include "sandbox/namespace_internal.h"
#include "sandbox/seccomp_internal.h"
#include "sandbox/step_internal.h"
#include "sandbox/wire_internal.h"
#include "util/clock.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/proc.h"

#define WORKER_REPLY_BYTES (256 * MIB)
#define WORKER_ROOT_BYTES (4 * MIB) /* names of mount points, links of overlays */

enum { REPLY_OK = 'r', REPLY_ERR = 'e', TOP_FDS = 3 };

static const char empty_name[] = ".empty";

struct worker_child {
	const struct sandbox_worker *w;
	const struct seccomp_program *filter;
	struct mount_source *sources; /* one for each bind */
	int channel;
	int reply_fd;
};

static int attach_bind(const struct sandbox_bind *b, const struct mount_source *s,
		       struct err *e)
{
	uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	if (b->read_only)
		attributes |= MOUNT_ATTR_RDONLY;
	if (b->read_only && !b->executable)
		attributes |= MOUNT_ATTR_NOEXEC;
	if (mkdirat(AT_FDCWD, b->name, 0755) < 0)
		return err_sys(e, "cannot make the mount point '%s'", b->name);
	AUTO_CLOSE int target = openat(AT_FDCWD, b->name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (target < 0)
		return err_sys(e, "cannot open the mount point '%s'", b->name);
	if (mount_restrict(s->tree_fd, attributes, b->name, e) < 0)
		return -1;
	return mount_attach(s->tree_fd, target, b->name, e);
}

static int build_root(struct worker_child *c, struct err *e)
{
	for (size_t i = 0; i < c->w->binds_len; i++)
		if (mount_source_open(&c->sources[i], e) < 0)
			return -1;
	if (namespace_become_root(c->channel, e) < 0 || mount_scratch(WORKER_ROOT_BYTES, e) < 0)
		return -1;
	for (size_t i = 0; i < c->w->binds_len; i++)
		if (attach_bind(&c->w->binds[i], &c->sources[i], e) < 0)
			return -1;
	/* The lowest layer of a read-only overlay of one; it must stay while that is mounted.
	 */
	if (mkdirat(AT_FDCWD, empty_name, 0755) < 0)
		return err_sys(e, "cannot make an empty directory");
	if (namespace_settle(e) < 0)
		return -1;
	return mount_switch_root(e);
}

/* What is mounted stays as it is, and the tmpfs between the mounts holds nothing new. */
static int freeze_root(struct err *e)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC};
	if (mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) < 0)
		return err_sys(e, "cannot make the root of a sandbox process read-only");
	return 0;
}

static int compare_fds(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;
	return x < y ? -1 : x > y;
}

/* Everything but 0, 1, 2, `keep` and the reply. */
static int close_others(const int *keep, size_t keep_len, int reply_fd, struct err *e)
{
	AUTO_FREE int *fds = mem_zalloc(keep_len + 1, sizeof(*fds));
	if (keep_len > 0)
		memcpy(fds, keep, keep_len * sizeof(*fds));
	fds[keep_len] = reply_fd;
	qsort(fds, keep_len + 1, sizeof(*fds), compare_fds);
	unsigned from = TOP_FDS;
	for (size_t i = 0; i <= keep_len; i++) {
		if (fds[i] < (int)from)
			continue;
		unsigned fd = (unsigned)fds[i];
		if (fd > from && close_range(from, fd - 1, 0) < 0)
			return err_sys(e, "cannot close the files of a sandbox process");
		from = fd + 1;
	}
	if (close_range(from, ~0u, 0) < 0)
		return err_sys(e, "cannot close the files of a sandbox process");
	return 0;
}

static int confine_and_run(struct worker_child *c, struct buf *reply, struct err *e)
{
	const struct sandbox_worker *w = c->w;
	if (build_root(c, e) < 0 || (w->prepare && w->prepare(w->ctx, e) < 0) ||
	    freeze_root(e) < 0 ||
	    close_others(w->keep_fds, w->keep_fds_len, c->reply_fd, e) < 0 ||
	    caps_restrict(w->policy->worker_caps[w->role], e) < 0 ||
	    landlock_worker(w->role, e) < 0 || seccomp_program_install(c->filter, e) < 0)
		return -1;
	if (w->run(w->ctx, reply, e) < 0)
		return -1;
	return buf_check(reply, "the reply of a sandbox process", e);
}

static _Noreturn void child_main(struct worker_child *c, const struct err *spawn_error)
{
	struct err e = ERR_INIT, late = ERR_INIT;
	char kind = REPLY_ERR;
	struct buf reply = BUF_INIT(WORKER_REPLY_BYTES);
	if (spawn_error != NULL)
		e = *spawn_error;
	else if (confine_and_run(c, &reply, &e) == 0)
		kind = REPLY_OK;
	if (path_write_all(c->reply_fd, &kind, 1, "reply", &late) < 0)
		_exit(1);
	if (kind == REPLY_ERR)
		wire_err_send(c->reply_fd, &e);
	else if (path_write_all(c->reply_fd, buf_text(&reply), reply.len, "reply", &late) < 0)
		_exit(1);
	_exit(0); /* no exit handlers: they are the supervisor's */
}

static int read_some(int fd, struct buf *b, bool *ret_ended, struct err *e)
{
	char bytes[65536];
	ssize_t n = read(fd, bytes, sizeof(bytes));
	if (n < 0 && errno != EINTR && errno != EAGAIN)
		return err_sys(e, "cannot read from a sandbox process");
	if (n > 0)
		buf_add(b, bytes, (size_t)n);
	*ret_ended = n == 0;
	return buf_check(b, "the reply of a sandbox process", e);
}

/* Until the worker closed its end, which happens no later than at its death. */
static int collect(const struct sandbox_worker *w, int reply_fd, struct buf *raw, struct err *e)
{
	uint64_t start_ms = clock_monotonic_ms();
	for (bool ended = false; !ended;) {
		struct pollfd p[] = {{.fd = reply_fd, .events = POLLIN},
				     {.fd = proc_interrupt_fd(), .events = POLLIN}};
		uint64_t used_ms = clock_monotonic_ms() - start_ms;
		if (w->time_limit_ms > 0 && used_ms >= w->time_limit_ms)
			return err_set(e, ERR_SANDBOX, "sandbox/worker-time",
				       "the %s took longer than %u seconds",
				       policy_role_name(w->role), w->time_limit_ms / 1000);
		int wait_ms = w->time_limit_ms > 0 ? (int)(w->time_limit_ms - used_ms) : -1;
		if (poll(p, ARRAY_LEN(p), wait_ms) < 0 && errno != EINTR)
			return err_sys(e, "cannot wait for a sandbox process");
		if (p[1].revents != 0 && proc_interrupted(e))
			return -1;
		if (p[0].revents != 0 && read_some(reply_fd, raw, &ended, e) < 0)
			return -1;
	}
	return 0;
}

static int died(const char *role, const struct proc_status *status, struct err *e)
{
	if (status->exited)
		return err_set(e, ERR_SANDBOX, "sandbox/worker-died",
			       "the %s ended without an answer (exit code %d)", role,
			       status->code);
	return err_set(e, ERR_SANDBOX, "sandbox/worker-died",
		       "the %s was killed by signal %d (%s)", role, status->code,
		       strsignal(status->code));
}

static int deliver(const struct sandbox_worker *w, const struct buf *raw,
		   const struct proc_status *status, struct buf *reply, struct err *e)
{
	struct err theirs = ERR_INIT;
	bool clean = status->exited && status->code == 0 && raw->len > 0;
	if (clean && raw->data[0] == REPLY_ERR &&
	    wire_err_read(raw->data + 1, raw->len - 1, &theirs)) {
		*e = theirs;
		return -1;
	}
	if (!clean || raw->data[0] != REPLY_OK)
		return died(policy_role_name(w->role), status, e);
	if (reply == NULL)
		return 0;
	buf_add(reply, raw->data + 1, raw->len - 1);
	return buf_check(reply, "the reply of a sandbox process", e);
}

static int supervise(const struct sandbox_worker *w, struct proc *child, int reply_fd,
		     struct buf *reply, struct err *e)
{
	AUTO(buf) raw = BUF_INIT(WORKER_REPLY_BYTES + 1);
	struct proc_status status;
	bool ended;
	if (collect(w, reply_fd, &raw, e) < 0)
		return -1;
	if (proc_wait(child, -1, &ended, &status, e) < 0)
		return -1;
	return deliver(w, &raw, &status, reply, e);
}

static int run_with(struct worker_child *c, struct buf *reply, struct err *e)
{
	int pipe_fds[2];
	AUTO(proc) child = PROC_INIT;
	struct namespace_spec spec = {.idmap = c->w->idmap};
	bool is_child = false;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(e, "cannot create a pipe");
	AUTO_CLOSE int ours = pipe_fds[0];
	AUTO_CLOSE int theirs = pipe_fds[1];
	c->reply_fd = theirs;
	int r = namespace_spawn(&spec, &child, &is_child, &c->channel, e);
	if (is_child)
		child_main(c, r < 0 ? e : NULL);
	if (r < 0)
		return -1;
	close(TAKE_FD(theirs));
	/* The channel stays open while the worker lives: its end tells the worker of ours. */
	r = supervise(c->w, &child, ours, reply, e);
	close(c->channel);
	return r;
}

int sandbox_worker_run(const struct sandbox_worker *w, struct buf *reply, struct err *e)
{
	AUTO(seccomp_program) filter = {0};
	struct worker_child c = {.w = w, .filter = &filter};
	int r = 0;
	BUG_IF(w->role < POLICY_UNPACKER || w->role > POLICY_REMOVER);
	if (seccomp_program_compile(&w->policy->seccomp[w->role], &filter, e) < 0)
		return -1;
	c.sources = mem_zalloc(w->binds_len + 1, sizeof(*c.sources));
	for (size_t i = 0; i < w->binds_len; i++)
		c.sources[i] = (struct mount_source)MOUNT_SOURCE_INIT;
	for (size_t i = 0; i < w->binds_len && r == 0; i++)
		r = mount_source_prepare(w->binds[i].fd, &c.sources[i], e);
	if (r == 0)
		r = run_with(&c, reply, e);
	for (size_t i = 0; i < w->binds_len; i++)
		mount_source_cleanup(&c.sources[i]);
	mem_free_cleanup(&c.sources);
	return r;
}

int sandbox_overlay_mount(const struct sandbox_overlay *o, struct err *e)
{
	BUG_IF(o->upper == NULL && o->lowers_len == 0);
	/* The kernel refuses an overlay of one directory. */
	bool alone = o->lowers_len == 0 || (o->upper == NULL && o->lowers_len == 1);
	AUTO_FREE char *prefix = mem_printf("../%s/", o->base);
	AUTO_FREE char *bottom = mem_printf("../%s", empty_name);
	AUTO_FREE char *target = mem_printf("../%s", o->target);
	struct mount_overlay m = {
		.prefix = prefix,
		.lowers = o->lowers,
		.lowers_len = o->lowers_len,
		.bottom = alone ? bottom : NULL,
		.upper = o->upper,
		.work = o->work,
		.target = target,
	};
	if (mkdirat(AT_FDCWD, o->target, 0755) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make the mount point '%s'", o->target);
	return mount_overlay(&m, e);
}

int sandbox_overlay_unmount(const char *target, struct err *e)
{
	if (umount2(target, UMOUNT_NOFOLLOW) < 0)
		return err_sys(e, "cannot unmount '%s'", target);
	return 0;
}
