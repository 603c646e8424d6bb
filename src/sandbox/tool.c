/*
 * The worker's function forks, becomes the program, and collects what it prints. The worker is
 * pid 1 of its namespace, so that nothing of the program outlives it.
 */
#include "sandbox/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/path.h"

enum { HOST_DIRS = 3, LAST_WORDS_BYTES = 400, EXIT_NO_EXEC = 127 };

/* Where a program, its loader and its libraries lie. On most machines the others are links to
 * directories of the first. */
static const char *const host_dirs[HOST_DIRS] = {"usr", "lib", "lib64"};

struct tool_run {
	const struct sandbox_tool *tool;
	char *path;		/* of the program */
	char *links[HOST_DIRS]; /* targets of those that are links */
	struct sandbox_bind *binds;
	size_t binds_len;
	int dir_fds[HOST_DIRS];
	int in_fd; /* standard input */
};

static void tool_run_cleanup(struct tool_run *r)
{
	free(r->path);
	free(r->binds);
	for (size_t i = 0; i < HOST_DIRS; i++) {
		free(r->links[i]);
		mem_close_cleanup(&r->dir_fds[i]);
	}
}

static int find_program(struct tool_run *r, struct err *e)
{
	static const char *const dirs[] = {"/usr/bin", "/usr/sbin"};
	const struct sandbox_tool *t = r->tool;
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		AUTO_FREE char *path = mem_printf("%s/%s", dirs[i], t->program);
		struct stat st;
		if (fstatat(AT_FDCWD, path, &st, 0) == 0 && S_ISREG(st.st_mode) &&
		    (st.st_mode & 0111)) {
			r->path = TAKE_PTR(path);
			return 0;
		}
	}
	err_set(e, ERR_SANDBOX, "sandbox/tool-missing", "'%s' is not installed", t->program);
	return err_hint(e, "install the package %s", t->package);
}

static int bind_host_dir(struct tool_run *r, size_t i, struct err *e)
{
	char target[256];
	AUTO_FREE char *path = mem_printf("/%s", host_dirs[i]);
	ssize_t len = readlinkat(AT_FDCWD, path, target, sizeof(target) - 1);
	if (len > 0) {
		r->links[i] = mem_strndup(target, (size_t)len);
		return 0;
	}
	if (errno == ENOENT && i > 0)
		return 0;
	if (path_open_dir(AT_FDCWD, path, &r->dir_fds[i], e) < 0)
		return -1;
	r->binds[r->binds_len++] = (struct sandbox_bind){.fd = r->dir_fds[i],
							 .name = host_dirs[i],
							 .read_only = true,
							 .executable = true};
	return 0;
}

static int collect_binds(struct tool_run *r, struct err *e)
{
	const struct sandbox_tool *t = r->tool;
	r->binds = mem_zalloc(t->binds_len + HOST_DIRS, sizeof(*r->binds));
	for (size_t i = 0; i < t->binds_len; i++)
		r->binds[r->binds_len++] = t->binds[i];
	for (size_t i = 0; i < HOST_DIRS; i++)
		if (bind_host_dir(r, i, e) < 0)
			return -1;
	return 0;
}

static int make_links(void *ctx, struct err *e)
{
	const struct tool_run *r = ctx;
	for (size_t i = 0; i < HOST_DIRS; i++)
		if (r->links[i] && symlinkat(r->links[i], AT_FDCWD, host_dirs[i]) < 0)
			return err_sys(e, "cannot link '%s' in a sandbox", host_dirs[i]);
	return 0;
}

static bool limit(int what, uint64_t most)
{
	struct rlimit now;
	if (getrlimit((__rlimit_resource_t)what, &now) < 0)
		return false;
	if (now.rlim_max != RLIM_INFINITY && now.rlim_max < most)
		most = now.rlim_max;
	struct rlimit wanted = {.rlim_cur = most, .rlim_max = most};
	return setrlimit((__rlimit_resource_t)what, &wanted) == 0;
}

/* In the child: no memory is allocated and nothing is returned to. */
static _Noreturn void become(const struct tool_run *r, int output_fd)
{
	const struct sandbox_tool *t = r->tool;
	int out_fd = t->out_fd >= 0 ? t->out_fd : output_fd;
	if (dup2(r->in_fd, STDIN_FILENO) == STDIN_FILENO &&
	    dup2(out_fd, STDOUT_FILENO) == STDOUT_FILENO &&
	    dup2(output_fd, STDERR_FILENO) == STDERR_FILENO && limit(RLIMIT_CORE, 0) &&
	    limit(RLIMIT_AS, t->memory_bytes) && limit(RLIMIT_FSIZE, t->file_bytes))
		execve(r->path, (char *const *)(uintptr_t)t->argv,
		       (char *const *)(uintptr_t)t->env);
	_exit(EXIT_NO_EXEC);
}

/* Keeps the last bytes only, since a hostile image can make a program print without end. */
static int read_output(int fd, struct buf *reply, struct err *e)
{
	char bytes[4096];
	for (;;) {
		ssize_t got = read(fd, bytes, sizeof(bytes));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "cannot read what a program prints");
		if (got == 0)
			return 0;
		if (reply->len + (size_t)got > SANDBOX_TOOL_OUTPUT_BYTES)
			buf_clear(reply);
		buf_add(reply, bytes, (size_t)got);
	}
}

/* One line of printable text out of what may be anything. */
static void last_words(const struct buf *output, char out[LAST_WORDS_BYTES + 1])
{
	size_t len = output->len;
	while (len > 0 && (unsigned char)output->data[len - 1] <= ' ')
		len--;
	size_t from = len > LAST_WORDS_BYTES ? len - LAST_WORDS_BYTES : 0;
	for (size_t i = from; i < len; i++) {
		unsigned char c = (unsigned char)output->data[i];
		out[i - from] = c == '\n' ? ';' : c < ' ' || c > '~' ? '?' : (char)c;
	}
	out[len - from] = '\0';
}

static int judge(const struct tool_run *r, int status, const struct buf *output, struct err *e)
{
	char words[LAST_WORDS_BYTES + 1];
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	last_words(output, words);
	if (WIFEXITED(status))
		return err_set(e, ERR_SANDBOX, "sandbox/tool-failed",
			       "'%s' failed with exit code %d: %s", r->tool->program,
			       WEXITSTATUS(status), words);
	return err_set(e, ERR_SANDBOX, "sandbox/tool-failed",
		       "'%s' was killed by signal %d (%s): %s", r->tool->program,
		       WTERMSIG(status), strsignal(WTERMSIG(status)), words);
}

static int run_program(void *ctx, struct buf *reply, struct err *e)
{
	const struct tool_run *r = ctx;
	int pipe_fds[2], status;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(e, "cannot create a pipe");
	AUTO_CLOSE int ours = pipe_fds[0];
	AUTO_CLOSE int theirs = pipe_fds[1];
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(e, "cannot start '%s'", r->tool->program);
	if (pid == 0)
		become(r, theirs);
	mem_close_cleanup(&theirs);
	theirs = -1;
	if (read_output(ours, reply, e) < 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "cannot wait for '%s'", r->tool->program);
	return judge(r, status, reply, e);
}

int sandbox_tool_run(const struct sandbox_tool *t, struct buf *output, struct err *e)
{
	AUTO(tool_run) r = {.tool = t, .dir_fds = {-1, -1, -1}};
	AUTO_CLOSE int null_fd = openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC);
	if (null_fd < 0)
		return err_sys(e, "cannot open '/dev/null'");
	r.in_fd = t->in_fd >= 0 ? t->in_fd : null_fd;
	if (find_program(&r, e) < 0 || collect_binds(&r, e) < 0)
		return -1;
	const int keep[] = {r.in_fd, t->out_fd};
	const struct sandbox_worker worker = {
		.idmap = t->idmap,
		.policy = t->policy,
		.binds = r.binds,
		.binds_len = r.binds_len,
		.keep_fds = keep,
		.keep_fds_len = t->out_fd >= 0 ? 2 : 1,
		.role = POLICY_TOOL,
		.time_limit_ms = t->time_limit_ms,
		.prepare = make_links,
		.run = run_program,
		.ctx = &r,
	};
	return sandbox_worker_run(&worker, output, e);
}
