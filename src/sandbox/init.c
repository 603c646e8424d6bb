/*
 * Pid 1 of a step's sandbox and the step itself. Pid 1 keeps more capabilities than the step
 * and is not dumpable, so that the step can neither trace nor read it; it forks, reaps, reports
 * and ends, and the kernel then kills whatever else the step left running.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "sandbox/guard_internal.h"
#include "sandbox/attach_internal.h"
#include "sandbox/step_internal.h"
#include "sandbox/wire_internal.h"
#include "util/limits.h"
#include "util/mem.h"

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

static int command_failed(const char *name, struct err *e)
{
	int saved = errno;
	err_set(e, ERR_SANDBOX, "sandbox/exec", "cannot execute '%s' in the image: %s", name,
		strerror(saved));
	if (saved == ENOENT || saved == ENOTDIR)
		return err_hint(e, "name another command that the image has; a program whose "
				   "loader is missing is not found either");
	return -1;
}

/* Like a shell: what is not there or must not be executed is looked for further on. */
static void exec_command(const struct sandbox_spec *spec, char *const *env)
{
	char *const *argv = (char *const *)(uintptr_t)spec->argv;
	int refused = 0;
	for (const char *const *program = spec->programs; *program; program++) {
		execve(*program, argv, env);
		if (errno != ENOENT && errno != ENOTDIR)
			refused = errno;
	}
	errno = refused ? refused : ENOENT;
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
	int input = fds->input_fd >= 0 ? fds->input_fd : fds->null_fd;
	if (dup2(input, 0) < 0 || dup2(fds->output_fd, 1) < 0 || dup2(fds->output_fd, 2) < 0)
		return err_sys(e, "cannot connect the output of a step");
	return 0;
}

/* The filter with a supervisor, or, where the kernel has none to give (an outer sandbox took
 * the only one), the same without: evidence is no protection. */
static int install_filter(const struct init_programs *programs, int line_fd, struct err *e)
{
	struct err ignored = ERR_INIT;
	int listener;
	if (programs->watched &&
	    seccomp_program_install_watched(programs->watched, &listener, &ignored) == 0)
		return wire_fds_send(line_fd, LINE_LISTENER, &listener, 1, e);
	return seccomp_program_install(programs->step, e);
}

/* Runs in the step; returns only on failure. The last steps allocate nothing and open nothing:
 * the filter is the step's own. */
static void step_exec(const struct sandbox_spec *spec, const struct init_programs *programs,
		      int line_fd, struct err *e)
{
	char *const argv[] = {(char *)(uintptr_t)script_path, NULL};
	char *const *env = (char *const *)(uintptr_t)spec->env;
	if (setsid() < 0) {
		err_sys(e, "cannot start a session");
		return;
	}
	if (spec->attached && attach_control(e) < 0)
		return;
	reset_signals();
	if (limits_apply(spec->policy, e) < 0 ||
	    caps_restrict(spec->policy->step_caps, e) < 0 ||
	    install_filter(programs, line_fd, e) < 0)
		return;
	if (spec->argv) {
		exec_command(spec, env);
		command_failed(spec->argv[0], e);
		return;
	}
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
	struct init_report report = {0};
	for (;;) {
		struct rusage usage = {0};
		pid_t pid = wait4(-1, &report.status, 0, &usage);
		if (pid < 0 && errno != EINTR)
			_exit(FAILED);
		uint64_t rss_bytes = (uint64_t)usage.ru_maxrss * KIB;
		if (pid > 0 && rss_bytes > report.largest_rss_bytes)
			report.largest_rss_bytes = rss_bytes;
		if (pid != step)
			continue;
		ssize_t n = write(status_fd, &report, sizeof(report));
		_exit(n == (ssize_t)sizeof(report) ? 0 : FAILED);
	}
}

/* Leaves 0 to 2, which are the null device or the output, and from 3 on those of `fds`. */
static int keep_only(int *fds[], int len, struct err *e)
{
	enum { FIRST = 3 };
	/* Out of the way first, or one would be moved over another. */
	for (int i = 0; i < len; i++) {
		*fds[i] = fcntl(*fds[i], F_DUPFD_CLOEXEC, FIRST + len);
		if (*fds[i] < 0)
			return err_sys(e, "cannot move a file descriptor");
	}
	for (int i = 0; i < len; i++) {
		if (dup3(*fds[i], FIRST + i, O_CLOEXEC) < 0)
			return err_sys(e, "cannot move a file descriptor");
		*fds[i] = FIRST + i;
	}
	if (close_range((unsigned)(FIRST + len), ~0u, 0) < 0)
		return err_sys(e, "cannot close the files of a sandbox process");
	return 0;
}

void init_main(const struct sandbox_spec *spec, const struct init_programs *programs,
	       const struct init_fds *fds)
{
	struct err e = ERR_INIT;
	int error_fd = fds->error_fd, status_fd = fds->status_fd, line_fd = fds->line_fd;
	int *of_step[] = {&error_fd, &line_fd}, *of_init[] = {&status_fd};
	/* Before the step is there: it covers both. */
	if (guard_install(&e) < 0)
		report_and_exit(error_fd, &e);
	pid_t step = fork();
	if (step == 0) {
		if (take_stdio(fds, &e) == 0 && keep_only(of_step, ARRAY_LEN(of_step), &e) == 0)
			step_exec(spec, programs, line_fd, &e);
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
	if (keep_only(of_init, ARRAY_LEN(of_init), &e) < 0 ||
	    seccomp_program_install(programs->init, &e) < 0)
		_exit(FAILED);
	reap(step, status_fd);
}
