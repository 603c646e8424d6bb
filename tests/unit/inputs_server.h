/* Starts tests/lib/fault_server.py for a test; it ends when its stdin closes, so with the test.
 */
#ifndef INPUTS_SERVER_H
#define INPUTS_SERVER_H

#include "util_test.h"

#include <poll.h>
#include <spawn.h>

struct server {
	pid_t pid;
	int stdin_fd;
	unsigned port;
};

static inline unsigned read_port(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char text[16] = "";

	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	unsigned port = 0;

	assert_int_equal(sscanf(text, "%u", &port), 1);
	return port;
}

/* `tls`: a PEM file, or NULL. Runs from the top of the source tree, as `make unit` does. */
static inline void server_start(struct server *s, const char *root, const char *log,
				const char *tls)
{
	const char *const argv[] = {"/usr/bin/python3",
				    "tests/lib/fault_server.py",
				    "--root",
				    root,
				    "--log",
				    log,
				    tls ? "--tls" : NULL,
				    tls,
				    NULL};
	static char *const no_env[] = {NULL};
	posix_spawn_file_actions_t actions;
	int in[2];
	int out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	char *args[ARRAY_LEN(argv)];

	memcpy(args, argv, sizeof(argv));
	assert_int_equal(posix_spawn(&s->pid, argv[0], &actions, NULL, args, no_env), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	s->stdin_fd = in[1];
	s->port = read_port(out[0]);
	close(out[0]);
}

static inline void server_stop(struct server *s)
{
	close(s->stdin_fd);
	assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
}

#endif
