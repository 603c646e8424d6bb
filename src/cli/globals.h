/* The options before the command, with what conf.yaml and the environment add to them. */
#ifndef CLI_GLOBALS_H
#define CLI_GLOBALS_H

#include "cli/command.h"
#include "cli/conf.h"

struct globals {
	const char *config, *work, *state, *roots, *oci;
	const char *log_file, *log_format, *storage_type, *ca_file;
	struct strvec token_hosts;
	const char **token_host_list; /* the same, NULL-terminated */
	bool debug, quiet, log_timestamp, progress, no_progress, version;
	struct conf conf;
	char *state_path, *roots_path, *oci_path; /* what struct cli borrows */
	int log_fd;				  /* of --log-file, or -1 */
};
#define GLOBALS_INIT                                                                           \
	{                                                                                      \
		.log_fd = -1                                                                   \
	}
void globals_cleanup(struct globals *g);

extern const struct opt globals_options[];

/* Parses argv up to the command, which is argv[*ret_first] unless that is argc. */
enum opt_outcome globals_parse(struct globals *g, int argc, char **argv, int *ret_first,
			       struct err *e);
/* Checks what was given, reads conf.yaml, sets up the log and fills `ret`. */
int globals_apply(struct globals *g, struct cli *ret, struct err *e) WARN_UNUSED;
/* How messages look before any option was read. */
void globals_log_default(void);

#endif
