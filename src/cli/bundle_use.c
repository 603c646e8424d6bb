/* Bundles for commands; see bundle_use.h. */
#include "cli/bundle_use.h"

#include <stdlib.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/path.h"

void bundle_use_cleanup(struct bundle_use *u)
{
	free(u->state);
	free(u->roots);
	free(u->oci);
	bundle_cleanup(&u->bundle);
}

int bundle_use_prepare(const struct cli *cli, struct bundle_use *ret, struct err *e)
{
	AUTO_FREE char *cwd = realpath(".", NULL);
	if (!cwd)
		return err_sys(e, "cannot find the working directory");
	*ret = (struct bundle_use){.cli = *cli,
				   .state = path_join(cwd, cli->dirs.state),
				   .roots = path_join(cwd, cli->dirs.roots),
				   .oci = path_join(cwd, cli->dirs.oci)};
	ret->cli.dirs.state = ret->state;
	ret->cli.dirs.roots = ret->roots;
	ret->cli.dirs.oci = ret->oci;
	return 0;
}

int bundle_use_enter(struct bundle_use *u, struct build_context *c, const char *path,
		     struct plan_options *plan, struct err *e)
{
	const struct plan_options asked = *plan;
	if (bundle_open(c, path, &u->bundle, e) < 0)
		return -1;
	bundle_plan(&u->bundle, plan);
	if (asked.names_len > 0) {
		plan->names = asked.names;
		plan->names_len = asked.names_len;
	}
	if (chdir(u->bundle.cwd) < 0)
		return err_sys(e, "cannot change to '%s'", u->bundle.cwd);
	return 0;
}
