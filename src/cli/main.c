/*
 * The command line: options that come before the command, then the command. The only layer that
 * picks exit codes and writes results to standard output.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/globals.h"
#include "util/mem.h"
#include "util/proc.h"
#include "util/str.h"

enum { HELP_BYTES = 64 * 1024 };

static int print(const struct buf *text)
{
	struct err e = ERR_INIT;
	return command_print_buf(text, &e) < 0 ? command_failed(&e) : EXIT_OK;
}

static int print_help(void)
{
	AUTO(buf) out = BUF_INIT(HELP_BYTES);
	buf_add_c(
		&out,
		"usage: stacker [OPTIONS] COMMAND [ARGS]\n\n"
		"Builds OCI images hermetically from stackerfiles, and proves what they are.\n");
	for (size_t i = 0; i < commands_len; i++) {
		for (size_t k = 0; k < command_groups_len; k++)
			if (command_groups[k].first == commands[i])
				buf_addf(&out, "\n%s:\n", command_groups[k].title);
		buf_addf(&out, "  %-16s %s\n", commands[i]->name, commands[i]->summary);
	}
	buf_add_c(&out, "\nOPTIONS (before the command):\n");
	opt_help(globals_options, &out);
	buf_add_c(&out, "\n'stacker COMMAND --help' tells more about a command.\n");
	return print(&out);
}

static int unknown_command(const char *name)
{
	AUTO_FREE const char **names = mem_zalloc(commands_len, sizeof(*names));
	for (size_t i = 0; i < commands_len; i++)
		names[i] = commands[i]->name;
	struct err e = ERR_INIT;
	err_set(&e, ERR_USAGE, "cli/unknown-command", "unknown command '%s'", name);
	const char *near = str_nearest(name, names, commands_len);
	if (near)
		err_hint(&e, "did you mean '%s'?", near);
	else
		err_hint(&e, "see 'stacker --help'");
	return command_failed(&e);
}

/* Nothing of the caller's is trusted to be sane: descriptors, umask, signals. */
static int harden(struct err *e)
{
	if (getauxval(AT_SECURE))
		return err_set(e, ERR_POLICY, "cli/setuid",
			       "stacker must not be installed setuid");
	for (int fd = 0; fd < 3; fd++) {
		/* A result that goes nowhere is a failure: what is written there must fail. */
		int flags = fd == STDOUT_FILENO ? O_RDONLY : O_RDWR;
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags) != fd)
			return err_sys(e, "cannot open /dev/null");
	}
	if (close_range(3, ~0u, 0) < 0)
		return err_sys(e, "cannot close inherited descriptors");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(e, "cannot make the process undumpable");
	umask(022);
	/* Who ignores SIGCHLD has no dead children, and their numbers become others'. */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || signal(SIGCHLD, SIG_DFL) == SIG_ERR)
		return err_sys(e, "cannot set what signals do");
	(void)proc_interrupt_fd();
	return 0;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < commands_len; i++)
		if (str_same(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static int run_help(const char *name)
{
	if (!name)
		return print_help();
	const struct command *command = find_command(name);
	return command ? command_help(command) : unknown_command(name);
}

static int run_command(const struct cli *cli, int argc, char **argv)
{
	if (str_same(argv[0], "help"))
		return run_help(argv[1]);
	const struct command *command = find_command(argv[0]);
	return command ? command->run(cli, command, argc, argv) : unknown_command(argv[0]);
}

int main(int argc, char **argv)
{
	AUTO(globals) globals = GLOBALS_INIT;
	struct cli cli;
	struct err e = ERR_INIT;
	int first = 0;
	globals_log_default();
	if (harden(&e) < 0)
		return command_failed(&e);
	enum opt_outcome outcome = globals_parse(&globals, argc, argv, &first, &e);
	if (outcome == OPT_WRONG)
		return command_failed(&e);
	if (outcome == OPT_HELP)
		return print_help();
	if (globals.version) {
		AUTO(buf) version = BUF_INIT(HELP_BYTES);
		buf_add_c(&version, "stacker " STACKER_VERSION "\n");
		return print(&version);
	}
	if (globals_apply(&globals, &cli, &e) < 0)
		return command_failed(&e);
	if (first >= argc)
		return print_help();
	return run_command(&cli, argc - first, argv + first);
}
