/* stacker clean: the only way for an ordinary user to remove files of his subordinate ids. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "util/mem.h"
#include "util/path.h"

static int remove_named(const struct build_context *c, const char *path, struct err *e)
{
	AUTO_FREE char *parent_path = path_join(path, "..");
	AUTO_FREE char *name = path_base(path);
	AUTO_CLOSE int parent = -1;
	if (path_open_dir(AT_FDCWD, parent_path, &parent, e) < 0)
		return -1;
	return build_remove_tree(c, parent, name, e);
}

/* Only what stacker makes: a directory that holds something else is not emptied by mistake. */
static int remove_layout(const struct build_context *c, struct err *e)
{
	AUTO_CLOSE int dir = open(c->dirs.oci, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot open '%s'", c->dirs.oci);
	if (faccessat(dir, "oci-layout", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, ERR_POLICY, "clean/not-a-layout",
			       "directory '%s' is not an OCI layout; it is left alone",
			       c->dirs.oci);
	return remove_named(c, c->dirs.oci, e);
}

static const struct opt options[] = {
	{"all", 0, OPT_ACCEPTED, 0, NULL,
	 "accepted for the original's sake; means nothing more"},
	{0},
};

static int run_clean(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	int status = command_options(self, argc, argv, NULL, NULL);
	if (status >= 0)
		return status;
	struct err e = ERR_INIT;
	AUTO(build_context) c = BUILD_CONTEXT_INIT;
	/* Opening takes the lock, so no build is running on what goes away. */
	if (build_context_open(&cli->dirs, &c, &e) < 0 || build_context_be_alone(&c, &e) < 0 ||
	    remove_layout(&c, &e) < 0 || remove_named(&c, cli->dirs.roots, &e) < 0 ||
	    remove_named(&c, cli->dirs.state, &e) < 0)
		return command_failed(&e);
	return EXIT_OK;
}

const struct command command_clean = {
	.name = "clean",
	.summary = "Removes the state directory, the layer trees and the output layout.",
	.options = options,
	.help = "Files of subordinate ids, which their owner cannot remove by hand, go as well. A\n"
		"directory that is not an OCI layout is left alone. While another stacker works on\n"
		"them, nothing is removed. Exit status: 0 removed, 1 failed, 2 wrong usage.\n",
	.run = run_clean,
};
