/* Starts tests/lib/fake_registry.py for a test, with switches; it ends when its stdin closes. */
#ifndef REGISTRY_SERVER_H
#define REGISTRY_SERVER_H

#include "util_test.h"

#include <poll.h>
#include <spawn.h>

struct fake_registry {
	pid_t pid;
	int stdin_fd;
	unsigned port, other_port;
	char *log; /* path of its log, owned */
};

/* `switches`: words. Runs from the top of the source tree, as `make unit` does. */
static inline void fake_start(struct fake_registry *s, const char *dir, const char *auth,
			      const char *switches)
{
	enum { WORDS_MAX = 16 };
	AUTO_FREE char *words = mem_strdup(switches);
	char python[] = "/usr/bin/python3", script[] = "tests/lib/fake_registry.py";
	char log_flag[] = "--log", auth_flag[] = "--auth";
	AUTO_FREE char *auth_copy = mem_strdup(auth);
	static char *const no_env[] = {NULL};
	posix_spawn_file_actions_t actions;
	char text[64] = "";
	int in[2], out[2];

	s->log = mem_printf("%s/log", dir);
	char *args[WORDS_MAX] = {python, script, log_flag, s->log, auth_flag, auth_copy};
	size_t len = 6;

	for (char *p = words; *p && len < WORDS_MAX - 1;) {
		args[len++] = p;
		p += strcspn(p, " ");
		if (*p)
			*p++ = '\0';
	}
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	assert_int_equal(posix_spawn(&s->pid, args[0], &actions, NULL, args, no_env), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	s->stdin_fd = in[1];
	struct pollfd p = {.fd = out[0], .events = POLLIN};

	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_true(read(out[0], text, sizeof(text) - 1) > 0);
	assert_int_equal(sscanf(text, "%u %u", &s->port, &s->other_port), 2);
	close(out[0]);
}

static inline void fake_stop(struct fake_registry *s)
{
	close(s->stdin_fd);
	assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
	free(s->log);
}

#endif
