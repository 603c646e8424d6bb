/* From options to what is to be planned. */
#include "cli/plan_args.h"

#include "build/substitutions.h"

void plan_args_cleanup(struct plan_args *a)
{
	strvec_cleanup(&a->substitute);
	substitution_vec_cleanup(&a->substitutions);
	strvec_cleanup(&a->found);
}

static int search(const struct cli *cli, struct plan_args *a, struct plan_options *plan,
		  struct err *e)
{
	const struct search_options options = {
		.dir = a->search_dir, .pattern = a->pattern, .skip = &cli->dirs};
	if (search_stackerfiles(&options, &a->found, e) < 0)
		return -1;
	plan->files = (const char *const *)a->found.items;
	plan->files_len = a->found.len;
	return 0;
}

int plan_args_read(const struct cli *cli, struct plan_args *a, struct plan_options *ret,
		   struct err *e)
{
	const struct substitutions_options options = {
		.pairs = (const char *const *)a->substitute.items,
		.pairs_len = a->substitute.len,
		.file = a->substitute_file,
		.dirs = &cli->dirs,
	};
	if (substitutions_collect(&options, &a->substitutions, e) < 0)
		return -1;
	*ret = (struct plan_options){
		.files = &a->file,
		.files_len = 1,
		.substitutions = &a->substitutions,
		.annotations_namespace = a->annotations_namespace,
	};
	return a->search_dir ? search(cli, a, ret, e) : 0;
}
