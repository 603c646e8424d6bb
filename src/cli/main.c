/*
 * The command line: options that come before the command, then the command. The only layer that
 * picks exit codes and writes results to standard output.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli/command.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/proc.h"
#include "util/str.h"

static const struct command *const commands[] = {
	&command_build, &command_verify, &command_check, &command_policy, &command_clean,
};

static const char global_help[] =
	"OPTIONS (before the command):\n"
	"      --work-dir DIR      parent of the three directories below, where not given\n"
	"      --stacker-dir DIR   store and cache (default: .stacker)\n"
	"      --roots-dir DIR     unpacked layer trees (default: roots)\n"
	"      --oci-dir DIR       the OCI layout that images go to (default: oci)\n"
	"      --debug             more about what is done\n"
	"  -q, --quiet             errors and warnings only\n"
	"      --log-format FORMAT text or json, for standard error\n"
	"      --version           print the version\n"
	"  -h, --help              print this; 'stacker COMMAND --help' tells more\n";

/* The few variables that may matter; everything else of the environment is ignored. */
static const char *environment(const char *name)
{
	size_t len = strlen(name);
	for (char **entry = environ; *entry; entry++)
		if (strncmp(*entry, name, len) == 0 && (*entry)[len] == '=')
			return *entry + len + 1;
	return NULL;
}

static int print_help(void)
{
	printf("usage: stacker [OPTIONS] COMMAND [ARGS]\n\n"
	       "Builds OCI images hermetically from stackerfiles, and proves what they are.\n\n"
	       "COMMANDS:\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
	printf("\n%s", global_help);
	return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}

static int usage_error(const char *what, const char *subject)
{
	struct err e = ERR_INIT;
	err_set(&e, ERR_USAGE, "cli/usage", "%s '%s'", what, subject);
	err_hint(&e, "see 'stacker --help'");
	log_err(&e);
	return EXIT_USAGE;
}

static int unknown_command(const char *name)
{
	const char *names[ARRAY_LEN(commands)];
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		names[i] = commands[i]->name;
	struct err e = ERR_INIT;
	err_set(&e, ERR_USAGE, "cli/unknown-command", "unknown command '%s'", name);
	const char *near = str_nearest(name, names, ARRAY_LEN(names));
	if (near)
		err_hint(&e, "did you mean '%s'?", near);
	else
		err_hint(&e, "see 'stacker --help'");
	log_err(&e);
	return EXIT_USAGE;
}

/* What the global options said. */
struct globals {
	const char *work, *state, *roots, *oci;
	bool debug, quiet, done;
	enum log_format format;
};

static void setup_log(const struct globals *g)
{
	bool terminal = isatty(STDERR_FILENO);
	const char *no_colour = environment("NO_COLOR");
	const struct log_options options = {
		.level = g->debug   ? LOG_DEBUG
			 : g->quiet ? LOG_WARN
				    : LOG_NOTE,
		.format = g->format,
		.colour =
			terminal && g->format == LOG_FORMAT_TEXT && !(no_colour && *no_colour),
		.fd = STDERR_FILENO,
	};
	log_setup(&options);
}

/* 0 to go on; an exit code + 1 to stop, so that 0 stays free. */
static int parse_globals(struct globals *g, int argc, char **argv)
{
	enum { WORK = 256, STATE, ROOTS, OCI, DEBUG, FORMAT, VERSION };
	static const struct option options[] = {
		{"work-dir", required_argument, NULL, WORK},
		{"stacker-dir", required_argument, NULL, STATE},
		{"roots-dir", required_argument, NULL, ROOTS},
		{"oci-dir", required_argument, NULL, OCI},
		{"debug", no_argument, NULL, DEBUG},
		{"quiet", no_argument, NULL, 'q'},
		{"log-format", required_argument, NULL, FORMAT},
		{"version", no_argument, NULL, VERSION},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int c;
	while ((c = getopt_long(argc, argv, "+:qh", options, NULL)) != -1) {
		switch (c) {
		case WORK:
			g->work = optarg;
			break;
		case STATE:
			g->state = optarg;
			break;
		case ROOTS:
			g->roots = optarg;
			break;
		case OCI:
			g->oci = optarg;
			break;
		case DEBUG:
			g->debug = true;
			break;
		case 'q':
			g->quiet = true;
			break;
		case FORMAT:
			if (!str_same(optarg, "json") && !str_same(optarg, "text"))
				return 1 +
				       usage_error("--log-format is text or json, not", optarg);
			g->format =
				str_same(optarg, "json") ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
			break;
		case VERSION:
			printf("stacker " STACKER_VERSION "\n");
			return 1 + (fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED);
		case 'h':
			return 1 + print_help();
		case ':':
			return 1 +
			       usage_error("a value is missing for option", argv[optind - 1]);
		default:
			return 1 + usage_error("unknown option", argv[optind - 1]);
		}
	}
	if (g->debug && g->quiet)
		return 1 + usage_error("--debug excludes", "--quiet");
	return 0;
}

static char *directory(const char *given, const char *work, const char *name)
{
	if (given)
		return mem_strdup(given);
	return work ? path_join(work, name) : mem_strdup(name);
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
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return err_sys(e, "cannot ignore SIGPIPE");
	(void)proc_interrupt_fd();
	return 0;
}

static int run_command(const struct globals *g, int argc, char **argv)
{
	const char *name = argv[0];
	struct cli cli = {.terminal = isatty(STDERR_FILENO) && !g->quiet,
			  .quiet = g->quiet,
			  .env_epoch = environment("SOURCE_DATE_EPOCH")};
	AUTO_FREE char *state = directory(g->state, g->work, ".stacker");
	AUTO_FREE char *roots = directory(g->roots, g->work, "roots");
	AUTO_FREE char *oci = directory(g->oci, g->work, "oci");
	cli.dirs = (struct build_dirs){.state = state, .roots = roots, .oci = oci};
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!str_same(commands[i]->name, name))
			continue;
		optind = 1; /* the command parses its own */
		return commands[i]->run(&cli, commands[i], argc, argv);
	}
	return unknown_command(name);
}

int main(int argc, char **argv)
{
	struct globals globals = {0};
	struct err e = ERR_INIT;
	setup_log(&globals);
	if (harden(&e) < 0)
		return command_failed(&e);
	int status = parse_globals(&globals, argc, argv);
	if (status > 0)
		return status - 1;
	setup_log(&globals);
	if (optind >= argc || str_same(argv[optind], "help"))
		return print_help();
	return run_command(&globals, argc - optind, argv + optind);
}
