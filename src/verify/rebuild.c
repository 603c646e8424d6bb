/* The child that rebuilds, and the two bytes of protocol it needs to get ids and report. */
#include "verify/rebuild.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/build.h"
#include "sandbox/idmap.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/proc.h"

#define REBUILD_DIR "verify"

/* What the child sends: a plea for an id map, or its end. */
enum message_kind { MESSAGE_ASK_MAP, MESSAGE_DONE };
struct message {
	enum message_kind kind;
	struct err err; /* DONE: code NONE if the image was built */
};

struct build_target {
	const char *image;
	const struct layer_types *types;
};

void rebuild_cleanup(struct rebuild *r)
{
	free(r->state);
	free(r->roots);
	free(r->oci);
}

void rebuild_init(struct rebuild *r, const struct build_context *c,
		  const struct plan_options *plan, const char *variant, const struct vary *vary)
{
	AUTO_FREE char *base = mem_printf("%s/" REBUILD_DIR "/%s", c->dirs.state, variant);
	*r = (struct rebuild){.c = c, .plan = plan, .vary = vary};
	r->state = mem_printf("%s/state", base);
	r->roots = mem_printf("%s/roots", base);
	r->oci = mem_printf("%s/oci", base);
}

int rebuild_clear(const struct build_context *c, struct err *e)
{
	struct stat st;
	if (fstatat(c->state_fd, REBUILD_DIR, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return 0;
		return err_sys(e, "cannot stat '%s/" REBUILD_DIR "'", c->dirs.state);
	}
	return build_remove_tree(c, c->state_fd, REBUILD_DIR, e);
}

static int ask_map(void *ctx, struct err *e)
{
	int fd = *(int *)ctx;
	struct message ask = {.kind = MESSAGE_ASK_MAP};
	char answer;
	if (send(fd, &ask, sizeof(ask), MSG_NOSIGNAL) != (ssize_t)sizeof(ask) ||
	    recv(fd, &answer, 1, 0) != 1)
		return err_sys(e, "cannot get an id map for the rebuild");
	return 0;
}

static int build_in_child(const struct rebuild *r, const struct build_target *target, int fd,
			  struct err *e)
{
	if (vary_apply(r->vary, ask_map, &fd, e) < 0)
		return -1;
	const struct build_dirs dirs = {.state = r->state, .roots = r->roots, .oci = r->oci};
	AUTO(build_context) c = BUILD_CONTEXT_INIT;
	AUTO_CLOSE int parents = -1;
	AUTO_FREE char *base = mem_strdup(r->state);
	*strrchr(base, '/') = '\0';
	if (path_make_dir(AT_FDCWD, base, 0700, &parents, e) < 0 ||
	    build_context_open(&dirs, &c, e) < 0)
		return -1;
	c.seed = &r->c->store;
	c.fetch.ca_file = r->c->fetch.ca_file;
	c.registry.ca_file = r->c->registry.ca_file;
	c.registry.token_hosts = r->c->registry.token_hosts;
	c.registry.environment = r->c->registry.environment;
	c.quiet_steps = true;
	struct build_options options = {.plan = *r->plan, .layer_types = *target->types};
	options.plan.names = &target->image;
	options.plan.names_len = 1;
	return build_run(&c, &options, NULL, NULL, e);
}

static _Noreturn void child_main(const struct rebuild *r, const struct build_target *target,
				 int fd)
{
	struct message done = {.kind = MESSAGE_DONE};
	if (build_in_child(r, target, fd, &done.err) < 0)
		BUG_IF(done.err.code == ERR_NONE);
	bool sent = send(fd, &done, sizeof(done), MSG_NOSIGNAL) == (ssize_t)sizeof(done);
	_exit(sent ? 0 : 1);
}

/* Waits for one message; the child's death without one is an error. */
static int receive(int fd, struct message *ret, struct err *e)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
			       {.fd = proc_interrupt_fd(), .events = POLLIN}};
	while (poll(fds, ARRAY_LEN(fds), -1) < 0)
		if (errno != EINTR)
			return err_sys(e, "cannot wait for the rebuild");
	if (fds[1].revents && proc_interrupted(e))
		return -1;
	ssize_t len = recv(fd, ret, sizeof(*ret), 0);
	if (len != (ssize_t)sizeof(*ret))
		return err_set(e, ERR_SYSTEM, "verify/rebuild-died",
			       "the rebuild ended without a result");
	return 0;
}

static int supervise(const struct rebuild *r, struct proc *child, int fd, struct err *e)
{
	struct message message;
	for (;;) {
		if (receive(fd, &message, e) < 0)
			return -1;
		if (message.kind == MESSAGE_DONE)
			break;
		if (sandbox_idmap_write_identity(&r->c->idmap, child->pid, e) < 0)
			return -1;
		if (send(fd, "m", 1, MSG_NOSIGNAL) != 1)
			return err_sys(e, "cannot answer the rebuild");
	}
	bool ended;
	struct proc_status status;
	if (proc_wait(child, -1, &ended, &status, e) < 0)
		return -1;
	if (message.err.code == ERR_NONE)
		return 0;
	*e = message.err;
	return -1;
}

int rebuild_run(const struct rebuild *r, const char *image, const struct layer_types *types,
		struct err *e)
{
	const struct build_target target = {.image = image, .types = types};
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "cannot make a socket pair");
	AUTO_CLOSE int ours = pair[0];
	AUTO_CLOSE int theirs = pair[1];
	AUTO(proc) child = PROC_INIT;
	bool is_child = false;
	if (proc_fork(&child, &is_child, e) < 0)
		return -1;
	if (is_child) {
		close(ours);
		child_main(r, &target, theirs);
	}
	mem_close_cleanup(&theirs);
	theirs = -1;
	return supervise(r, &child, ours, e);
}
