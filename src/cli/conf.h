/*
 * conf.yaml: what would otherwise be given on every command line. Read strictly, like a
 * stackerfile: a key that means nothing is an error. Nothing in it can change what an image is.
 */
#ifndef CLI_CONF_H
#define CLI_CONF_H

#include "build/sources.h"
#include "util/err.h"

/* Owned texts; NULL where the file says nothing. */
struct conf {
	char *work_dir, *stacker_dir, *oci_dir, *roots_dir;
	struct build_sources sources;
};
void conf_cleanup(struct conf *c);

/* Where it lies if --config does not say: the variables are those of the environment, or NULL. */
struct conf_home {
	const char *xdg_config_home, *home;
};
/* `path` NULL: the first that exists of $XDG_CONFIG_HOME/stacker/conf.yaml,
 * $XDG_CONFIG_HOME/conf.yaml (the original's place) and ~/.config/stacker/conf.yaml; none is
 * fine. ERR_RECIPE "cli/conf-key", "cli/conf-type", "cli/conf-url", "yaml/..."; a named file that is absent is an
 * error as well. */
int conf_read(const char *path, const struct conf_home *home, struct conf *ret,
	      struct err *e) WARN_UNUSED;

#endif
