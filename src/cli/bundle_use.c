/* Bundles for commands; see bundle_use.h. */
#include "cli/bundle_use.h"

#include <stdlib.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

void bundle_use_cleanup(struct bundle_use *u)
{
	free(u->state);
	free(u->roots);
	free(u->oci);
	bundle_cleanup(&u->bundle);
}

static const char *other_source(const struct plan_args *a)
{
	if (!str_same(a->file, PLAN_ARGS_FILE))
		return "--stacker-file";
	if (a->search_dir)
		return "--search-dir";
	if (a->substitute.len > 0)
		return "--substitute";
	if (a->substitute_file)
		return "--substitute-file";
	return a->annotations_namespace ? "--annotations-namespace" : NULL;
}

int bundle_use_prepare(const struct cli *cli, const struct plan_args *args,
		       struct bundle_use *ret, struct err *e)
{
	const char *other = other_source(args);
	if (other) {
		err_set(e, ERR_USAGE, "cli/usage", "--bundle excludes '%s'", other);
		return err_hint(e,
				"a bundle has its stackerfiles and what they were read with");
	}
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
