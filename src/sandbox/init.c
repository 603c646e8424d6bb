/*
 * Pid 1 of a step's sandbox and the step itself. Pid 1 keeps more capabilities than the step
 * and is not dumpable, so that the step can neither trace nor read it; it forks, reaps, reports
 * and ends, and the kernel then kills whatever else the step left running.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "sandbox/step_internal.h"
#include "sandbox/wire_internal.h"

enum { FAILED = 120 };

static const char script_path[] = "/stacker/run";

/* The interpreter named by the script's first line: what the error has to name. */
static int interpreter_len(const char *script)
{
	return (int)strcspn(script, " \t\n");
}

static int exec_failed(const char *script, struct err *e)
{
	int saved = errno;
	bool has_line = script[0] == '#' && script[1] == '!';
	const char *name = has_line ? script + 2 + strspn(script + 2, " \t") : "";
	int len = interpreter_len(name);
	if (!has_line && saved == ENOEXEC) {
		err_set(e, ERR_SANDBOX, "sandbox/exec",
			"the script of a step has no interpreter line");
		return err_hint(e, "begin it with '#!/bin/sh'");
	}
	if (saved == ENOENT || saved == ENOTDIR) {
		err_set(e, ERR_SANDBOX, "sandbox/exec",
			"script interpreter '%.*s' not found in the image", len, name);
		return err_hint(
			e, "build from an image that has it, or name another one after '#!'; "
			   "a program whose loader is missing is not found either");
	}
	if (saved == ENOEXEC || saved == EACCES) {
		err_set(e, ERR_SANDBOX, "sandbox/exec",
			"script interpreter '%.*s' cannot be executed", len, name);
		return err_hint(e, saved == EACCES ? "it is not marked as executable"
						   : "it is built for another architecture");
	}
	errno = saved;
	err_sys(e, "cannot execute the script of a step");
	return err_recode(e, ERR_SANDBOX, "sandbox/exec");
}

static void reset_signals(void)
{
	sigset_t none;
	sigemptyset(&none);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int take_stdio(const struct init_fds *fds, struct err *e)
{
	if (dup2(fds->null_fd, 0) < 0 || dup2(fds->output_fd, 1) < 0 ||
	    dup2(fds->output_fd, 2) < 0)
		return err_sys(e, "cannot connect the output of a step");
	return 0;
}

/* Runs in the step; returns only on failure. The last steps allocate nothing and open nothing:
 * the filter is the step's own. */
static void step_exec(const struct sandbox_spec *spec, const struct seccomp_program *filter,
		      struct err *e)
{
	char *const argv[] = {(char *)(uintptr_t)script_path, NULL};
	char *const *env = (char *const *)(uintptr_t)spec->env;
	if (setsid() < 0) {
		err_sys(e, "cannot start a session");
		return;
	}
	reset_signals();
	if (limits_apply(spec->policy, e) < 0 ||
	    caps_restrict(spec->policy->step_caps, e) < 0 ||
	    seccomp_program_install(filter, e) < 0)
		return;
	execve(script_path, argv, env);
	exec_failed(spec->script, e);
}

static _Noreturn void report_and_exit(int fd, const struct err *e)
{
	wire_err_send(fd, e);
	_exit(FAILED);
}

static _Noreturn void reap(pid_t step, int status_fd)
{
	for (;;) {
		int status;
		pid_t pid = wait4(-1, &status, 0, NULL);
		if (pid < 0 && errno != EINTR)
			_exit(FAILED);
		if (pid != step)
			continue;
		ssize_t n = write(status_fd, &status, sizeof(status));
		_exit(n == (ssize_t)sizeof(status) ? 0 : FAILED);
	}
}

/* Leaves 0 to 2, which are the null device or the output, and one more at `*fd`. */
static int keep_only(int *fd, struct err *e)
{
	enum { FIRST = 3 };
	if (*fd != FIRST && dup3(*fd, FIRST, O_CLOEXEC) < 0)
		return err_sys(e, "cannot move a file descriptor");
	*fd = FIRST;
	if (close_range(FIRST + 1, ~0u, 0) < 0)
		return err_sys(e, "cannot close the files of a sandbox process");
	return 0;
}

void init_main(const struct sandbox_spec *spec, const struct init_programs *programs,
	       const struct init_fds *fds)
{
	struct err e = ERR_INIT;
	int error_fd = fds->error_fd, status_fd = fds->status_fd;
	pid_t step = fork();
	if (step == 0) {
		if (take_stdio(fds, &e) == 0 && keep_only(&error_fd, &e) == 0)
			step_exec(spec, programs->step, &e);
		report_and_exit(error_fd, &e);
	}
	if (step < 0) {
		err_sys(&e, "cannot start the step");
		report_and_exit(error_fd, &e);
	}
	for (int fd = 0; fd < 3; fd++)
		if (dup2(fds->null_fd, fd) < 0)
			_exit(FAILED);
	/* error_fd closes with the rest, so that the step's exec is what ends it. */
	if (keep_only(&status_fd, &e) < 0 || seccomp_program_install(programs->init, &e) < 0)
		_exit(FAILED);
	reap(step, status_fd);
}
