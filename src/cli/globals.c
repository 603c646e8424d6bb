/* See globals.h. A flag beats conf.yaml, which beats the default. */
#include "cli/globals.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

const struct opt globals_options[] = {
	{"config", 0, OPT_TEXT, offsetof(struct globals, config), "FILE",
	 "read this instead of ~/.config/stacker/conf.yaml"},
	{"work-dir", 0, OPT_TEXT, offsetof(struct globals, work), "DIR",
	 "parent of the three directories below, where they are not given"},
	{"stacker-dir", 0, OPT_TEXT, offsetof(struct globals, state), "DIR",
	 "store and cache (default: .stacker)"},
	{"roots-dir", 0, OPT_TEXT, offsetof(struct globals, roots), "DIR",
	 "unpacked layer trees (default: roots)"},
	{"oci-dir", 0, OPT_TEXT, offsetof(struct globals, oci), "DIR",
	 "the OCI layout that images go to (default: oci)"},
	{"storage-type", 0, OPT_TEXT, offsetof(struct globals, storage_type), "overlay",
	 "how trees are mounted; there is one way"},
	{"ca-file", 0, OPT_TEXT, offsetof(struct globals, ca_file), "FILE",
	 "certificates (PEM) to trust beside the system's"},
	{"token-host", 0, OPT_TEXTS, offsetof(struct globals, token_hosts), "HOST",
	 "send a registry's password to this token service, too, if the registry names it"},
	{"debug", 0, OPT_FLAG, offsetof(struct globals, debug), NULL,
	 "more about what is done, and where in the program an error was raised"},
	{"quiet", 'q', OPT_FLAG, offsetof(struct globals, quiet), NULL,
	 "errors and warnings only"},
	{"log-file", 0, OPT_TEXT, offsetof(struct globals, log_file), "FILE",
	 "write messages there, from its beginning; errors go to standard error as well"},
	{"log-timestamp", 0, OPT_FLAG, offsetof(struct globals, log_timestamp), NULL,
	 "begin each message with the time"},
	{"log-format", 0, OPT_TEXT, offsetof(struct globals, log_format), "text|json",
	 "how messages are written"},
	{"progress", 0, OPT_FLAG, offsetof(struct globals, progress), NULL,
	 "show progress also without a terminal"},
	{"no-progress", 0, OPT_FLAG, offsetof(struct globals, no_progress), NULL,
	 "show no progress"},
	{"version", 0, OPT_FLAG, offsetof(struct globals, version), NULL, "print the version"},
	{0},
};

void globals_cleanup(struct globals *g)
{
	conf_cleanup(&g->conf);
	mem_free_cleanup(&g->state_path);
	mem_free_cleanup(&g->roots_path);
	mem_free_cleanup(&g->oci_path);
	mem_close_cleanup(&g->log_fd);
	strvec_cleanup(&g->token_hosts);
	mem_free_cleanup(&g->token_host_list);
}

/* The few variables that may matter; everything else of the environment is ignored. */
static const char *environment(const char *name)
{
	size_t len = strlen(name);
	for (char **entry = environ; *entry; entry++)
		if (strncmp(*entry, name, len) == 0 && (*entry)[len] == '=')
			return *entry + len + 1;
	return NULL;
}

/* The first command that has this option, or NULL. */
static const char *command_with(const char *option)
{
	for (size_t i = 0; i < commands_len; i++)
		if (opt_find(commands[i]->options, option))
			return commands[i]->name;
	return NULL;
}

enum opt_outcome globals_parse(struct globals *g, int argc, char **argv, int *ret_first,
			       struct err *e)
{
	enum opt_outcome outcome =
		opt_parse(globals_options, true, argc, argv, g, ret_first, e);
	if (outcome != OPT_WRONG)
		return outcome;
	const char *command = *ret_first > 0 ? command_with(argv[*ret_first]) : NULL;
	if (command)
		err_hint(e, "it stands after the command: stacker %s %s", command,
			 argv[*ret_first]);
	else if (!e->hint[0])
		err_hint(e, "see 'stacker --help'");
	return outcome;
}

static int wrong(struct err *e, const char *what, const char *subject)
{
	err_set(e, ERR_USAGE, "cli/usage", "%s '%s'", what, subject);
	return err_hint(e, "see 'stacker --help'");
}

static int check(const struct globals *g, struct err *e)
{
	if (g->debug && g->quiet)
		return wrong(e, "--debug excludes", "--quiet");
	if (g->progress && g->no_progress)
		return wrong(e, "--progress excludes", "--no-progress");
	if (g->storage_type && !str_same(g->storage_type, "overlay"))
		return wrong(e, "--storage-type is overlay, not", g->storage_type);
	if (g->log_format && !str_same(g->log_format, "json") &&
	    !str_same(g->log_format, "text"))
		return wrong(e, "--log-format is text or json, not", g->log_format);
	return 0;
}

static void setup_log(const struct globals *g)
{
	int fd = g->log_fd >= 0 ? g->log_fd : STDERR_FILENO;
	bool json = str_same(g->log_format, "json");
	const char *no_colour = environment("NO_COLOR");
	const struct log_options options = {
		.level = g->debug   ? LOG_DEBUG
			 : g->quiet ? LOG_WARN
				    : LOG_NOTE,
		.format = json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT,
		.colour = isatty(fd) && !json && !(no_colour && *no_colour),
		.timestamp = g->log_timestamp,
		.errors_too = g->log_fd >= 0,
		.fd = fd,
	};
	log_setup(&options);
}

void globals_log_default(void)
{
	const struct globals none = GLOBALS_INIT;
	setup_log(&none);
}

static int open_log(struct globals *g, struct err *e)
{
	if (!g->log_file)
		return 0;
	g->log_fd = openat(AT_FDCWD, g->log_file,
			   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
	return g->log_fd < 0 ? err_sys(e, "cannot write the log file '%s'", g->log_file) : 0;
}

/* `flag` and `conf` may be NULL; `work` is where the default lies, or NULL. */
static char *directory(const char *flag, const char *conf, const char *work, const char *name)
{
	if (flag || conf)
		return mem_strdup(flag ? flag : conf);
	return work ? path_join(work, name) : mem_strdup(name);
}

static int set_directories(struct globals *g, struct err *e)
{
	const char *work = g->work ? g->work : g->conf.work_dir;
	g->state_path = directory(g->state, g->conf.stacker_dir, work, ".stacker");
	g->roots_path = directory(g->roots, g->conf.roots_dir, work, "roots");
	g->oci_path = directory(g->oci, g->conf.oci_dir, work, "oci");
	if (!strchr(g->roots_path, ':'))
		return 0;
	err_set(e, ERR_USAGE, "cli/roots-dir",
		"using ':' in the name of the roots directory is forbidden: '%s'",
		g->roots_path);
	return err_hint(e, "it separates directories where overlays are mounted by hand");
}

static void list_token_hosts(struct globals *g)
{
	g->token_host_list = mem_zalloc(g->token_hosts.len + 1, sizeof(char *));
	for (size_t i = 0; i < g->token_hosts.len; i++)
		g->token_host_list[i] = g->token_hosts.items[i];
}

int globals_apply(struct globals *g, struct cli *ret, struct err *e)
{
	const struct conf_home home = {environment("XDG_CONFIG_HOME"), environment("HOME")};
	if (check(g, e) < 0 || open_log(g, e) < 0)
		return -1;
	setup_log(g);
	log_debug("stacker version " STACKER_VERSION);
	if (conf_read(g->config, &home, &g->conf, e) < 0 || set_directories(g, e) < 0)
		return -1;
	list_token_hosts(g);
	*ret = (struct cli){
		.dirs = {.state = g->state_path,
			 .roots = g->roots_path,
			 .oci = g->oci_path,
			 .work = g->work ? g->work : g->conf.work_dir},
		.sources = &g->conf.sources,
		.terminal = isatty(g->log_fd >= 0 ? g->log_fd : STDERR_FILENO) && !g->quiet &&
			    !g->no_progress,
		.progress = g->progress,
		.quiet = g->quiet,
		.ca_file = g->ca_file,
		.token_hosts = g->token_host_list,
		.env_epoch = environment("SOURCE_DATE_EPOCH"),
		.env_term = environment("TERM"),
		.sudo_user = environment("SUDO_USER"),
		.sudo_uid = environment("SUDO_UID"),
		.sudo_gid = environment("SUDO_GID"),
	};
	return 0;
}
