/*
 * Credential helpers: docker-credential-NAME get, with the server's name on standard input and
 * a JSON object on standard output. They are the user's programs and get the user's environment
 * (a keyring's socket, an agent's), which is the one exception to passing nothing on.
 */
#include "inputs/auth_internal.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/json_read.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/proc.h"
#include "util/str.h"

/* Long enough for a person to type a password into a dialogue. */
#define HELPER_MAX_MS 120000

static int err_helper(const char *name, const char *why, struct err *e)
{
	err_set(e, ERR_SYSTEM, "registry/auth-helper", "'docker-credential-%s' %s", name, why);
	return err_hint(e,
			"your auth.json or config.json names it; try it by hand: "
			"echo HOST | docker-credential-%s get",
			name);
}

/* The caller frees; NULL if no directory of PATH has it. Relative ones do not count. */
static char *find_program(const char *name, const char *path)
{
	while (path && *path) {
		size_t len = strcspn(path, ":");
		AUTO_FREE char *program =
			mem_printf("%.*s/docker-credential-%s", (int)len, path, name);

		if (path[0] == '/' && access(program, X_OK) == 0)
			return TAKE_PTR(program);
		path += len + (path[len] == ':');
	}
	return NULL;
}

/* In the child; never comes back. */
_Noreturn static void become(const char *program, const char *const *environment, int in,
			     int out)
{
	const char *const argv[] = {program, "get", NULL};
	char *const *args, *const *env;
	const char *const *arg_list = argv;
	sigset_t none;

	memcpy(&args, &arg_list,
	       sizeof(args)); /* execve() promises not to write, but not in C */
	memcpy(&env, &environment, sizeof(env));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
		execve(program, args, env);
	_exit(127);
}

static int read_all(int fd, const char *name, struct buf *out, struct err *e)
{
	uint64_t end_ms = clock_monotonic_ms() + HELPER_MAX_MS;
	char bytes[4096];

	for (;;) {
		struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
				       {.fd = proc_interrupt_fd(), .events = POLLIN}};

		if (poll(fds, ARRAY_LEN(fds), 1000) < 0 && errno != EINTR)
			return err_sys(e, "cannot wait for a credential helper");
		if (proc_interrupted(e))
			return -1;
		if (clock_monotonic_ms() > end_ms)
			return err_helper(name, "does not end", e);
		if (!fds[0].revents)
			continue;
		ssize_t n = read(fd, bytes, sizeof(bytes));

		if (n < 0 && errno != EINTR)
			return err_sys(e, "cannot hear a credential helper");
		if (n == 0)
			return 0;
		if (n > 0)
			buf_add(out, bytes, (size_t)n);
		if (buf_check(out, "answer of a credential helper", e) < 0)
			return -1;
	}
}

/* *ret_status is what it ended with. */
static int ask(const char *program, const char *name, const char *const *environment,
	       const char *question, struct buf *answer, struct proc_status *ret_status,
	       struct err *e)
{
	AUTO(proc) child = PROC_INIT;
	bool is_child, ended = false;
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) < 0)
		return err_sys(e, "cannot make a pipe");
	AUTO_CLOSE int in_read = in[0];
	AUTO_CLOSE int in_write = in[1];
	if (pipe2(out, O_CLOEXEC) < 0)
		return err_sys(e, "cannot make a pipe");
	AUTO_CLOSE int out_read = out[0];
	AUTO_CLOSE int out_write = out[1];

	/* A host's name fits into a pipe that nobody reads yet. */
	if (path_write_all(in_write, question, strlen(question), "pipe", e) < 0 ||
	    proc_fork(&child, &is_child, e) < 0)
		return -1;
	if (is_child)
		become(program, environment, in_read, out_write);
	close(TAKE_FD(in_write));
	close(TAKE_FD(out_write));
	if (read_all(out_read, name, answer, e) < 0 ||
	    proc_wait(&child, HELPER_MAX_MS, &ended, ret_status, e) < 0)
		return -1;
	return ended ? 0 : err_helper(name, "does not end", e);
}

int auth_helper_read(const char *text, size_t len, const char *name, struct credential *ret,
		     struct err *e)
{
	AUTO(json_doc) doc = {0};
	const char *user, *secret;

	AUTO_FREE char *what = mem_printf("answer of docker-credential-%s", name);

	if (json_read(text, len, LIMIT_REGISTRY_TOKEN_BYTES, what, &doc, e) < 0 ||
	    json_get_text(doc.root, "Username", what, &user, e) < 0 ||
	    json_get_text(doc.root, "Secret", what, &secret, e) < 0)
		return -1;
	bool is_token = str_same(user, "<token>");

	if (!*secret && !*user)
		return 0;
	if (!auth_is_secret(user) || !auth_is_secret(secret) ||
	    (!is_token && strchr(user, ':')))
		return err_helper(name, "gives a secret that cannot be sent", e);
	if (is_token) {
		ret->identity_token = mem_strdup(secret);
		return 0;
	}
	ret->username = mem_strdup(user);
	ret->password = mem_strdup(secret);
	return 0;
}

int auth_helper_get(const char *name, const char *const *environment, const char *host,
		    struct credential *ret, struct err *e)
{
	AUTO(buf) answer = BUF_INIT(LIMIT_REGISTRY_TOKEN_BYTES);
	struct proc_status status = {0};
	AUTO_FREE char *program = find_program(name, auth_environment_get(environment, "PATH"));
	/* Under this name Docker keeps its own. */
	bool is_hub = str_same(host, "docker.io");

	if (!program)
		return err_helper(name, "is in no directory of PATH", e);
	if (ask(program, name, environment, is_hub ? "https://index.docker.io/v1/" : host,
		&answer, &status, e) < 0)
		return -1;
	if (status.exited && status.code != 0 &&
	    strstr(buf_text(&answer), "credentials not found"))
		return 0;
	if (!status.exited || status.code != 0)
		return err_helper(name, "failed", e);
	int result = auth_helper_read(buf_text(&answer), answer.len, name, ret, e);

	if (answer.data)
		OPENSSL_cleanse(answer.data, answer.len);
	return result;
}
