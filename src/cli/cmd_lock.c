/* stacker lock: makes, updates, checks and compares stacker.lock. */
#include <fcntl.h>

#include "build/pinning.h"
#include "cli/command.h"
#include "cli/lock_report.h"
#include "cli/plan_args.h"
#include "util/clock.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

struct lock_command {
	struct plan_args args;
	bool update, check, write, json;
};

static void lock_command_cleanup(struct lock_command *l)
{
	plan_args_cleanup(&l->args);
}

static const struct opt options[] = {
	PLAN_ARGS_FILE_OPTION(struct lock_command, args),
	{"update", 'u', OPT_FLAG, offsetof(struct lock_command, update), NULL,
	 "look up again what is pinned already: the images and URLs named, else everything"},
	{"check", 0, OPT_FLAG, offsetof(struct lock_command, check), NULL,
	 "write nothing; exit 1 if an update would change something, and say what"},
	{"write", 0, OPT_FLAG, offsetof(struct lock_command, write), NULL,
	 "also write the pins into the stackerfiles themselves, leaving all else as it is"},
	{"json", 0, OPT_FLAG, offsetof(struct lock_command, json), NULL,
	 "print the changes as JSON"},
	PLAN_ARGS_OPTIONS(struct lock_command, args),
	{0},
};

static int print_changes(const struct lockfile *before, const struct lockfile *after, bool json,
			 struct err *e)
{
	AUTO(buf) out = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	if (json) {
		json_t *report = lock_report_json(before, after);
		json_write(report, &out);
		buf_add_byte(&out, '\n');
		json_decref(report);
	} else {
		lock_report_text(before, after, &out);
	}
	return command_print_buf(&out, e);
}

static int read_lock(const char *path, struct lockfile *ret, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	if (path_read_file(AT_FDCWD, path, &text, e) < 0)
		return -1;
	return lockfile_parse(buf_text(&text), text.len, path, ret, e);
}

static int run_diff(const struct command *self, const struct lock_command *l,
		    const struct command_args *args)
{
	AUTO(lockfile) before = {0};
	AUTO(lockfile) after = {0};
	struct err e = ERR_INIT;
	if (args->len != 3)
		return command_usage_error(self, "'stacker lock diff' compares two locks: OLD "
						 "NEW");
	if (l->check || l->write)
		return command_usage_error(self, "'diff' goes with --json only");
	if (read_lock(args->items[1], &before, &e) < 0 ||
	    read_lock(args->items[2], &after, &e) < 0 ||
	    print_changes(&before, &after, l->json, &e) < 0)
		return command_failed(&e);
	return EXIT_OK;
}

static int save(const struct lock_command *l, const struct pinning *p, struct err *e)
{
	size_t written = 0;
	const char *path = p->project.files.items[p->target].lock_path;
	if (p->is_changed && pinning_save(p, e) < 0)
		return -1;
	log_note(p->is_changed ? "wrote '%s'" : "'%s' is up to date", path);
	if (!l->write)
		return 0;
	if (pinning_write_into(p, &written, e) < 0)
		return -1;
	log_note("wrote %zu pins into stackerfiles", written);
	return 0;
}

static int make(const struct cli *cli, struct lock_command *l, const struct command_args *names,
		bool *ret_changed, struct err *e)
{
	struct plan_options plan;
	if (plan_args_read(cli, &l->args, &plan, e) < 0)
		return -1;
	const struct pinning_options pinning_options = {
		.project = {.files = plan.files,
			    .files_len = plan.files_len,
			    .default_arch = build_machine_arch(),
			    .substitutions = plan.substitutions},
		.check = l->check,
		.update = l->update,
		.names = names->items,
		.names_len = names->len,
		.now_s = clock_wall_s(),
	};
	AUTO(build_context) c = BUILD_CONTEXT_INIT;
	AUTO(pinning) p = PINNING_INIT;
	if (command_context_open(cli, &c, e) < 0 ||
	    pinning_make(&c, &pinning_options, &p, e) < 0)
		return -1;
	*ret_changed = p.is_changed;
	if (!l->check && save(l, &p, e) < 0)
		return -1;
	return print_changes(pinning_before(&p), &p.lock, l->json, e);
}

static int run_lock(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	AUTO(lock_command) l = {.args = PLAN_ARGS_INIT};
	struct command_args args;
	struct err e = ERR_INIT;
	bool changed = false;
	int status = command_options(self, argc, argv, &l, &args);
	if (status >= 0)
		return status;
	if (!l.update && args.len > 0 && str_same(args.items[0], "diff"))
		return run_diff(self, &l, &args);
	if (!l.update && args.len > 0)
		return command_usage_error(self,
					   "unexpected argument '%s'; did you mean "
					   "'--update %s'?",
					   args.items[0], args.items[0]);
	if (l.check && (l.update || l.write))
		return command_usage_error(self, "--check writes nothing, so it excludes "
						 "--update and --write");
	if (make(cli, &l, &args, &changed, &e) < 0)
		return command_failed(&e);
	return l.check && changed ? EXIT_FAILED : EXIT_OK;
}

const struct command command_lock = {
	.name = "lock",
	.summary = "Pins what a stackerfile leaves open: image tags and URLs without a hash.",
	.options = options,
	.args = "[--update [NAME...]] | diff OLD NEW",
	.help = "Looks up every image tag and URL of the stackerfile and its prerequisites that has\n"
		"no pin yet, and writes URL, hash, size and date to the lock beside it (stacker.yaml\n"
		"has stacker.lock), for you to commit. A build takes the bytes that the lock names,\n"
		"whatever the servers serve by then. What changed goes to standard output, a line\n"
		"each: '+' added, '-' removed, '~' changed. The lock's date is the default\n"
		"'source_date_epoch'; it moves when a pin that was there changes. 'stacker lock diff\n"
		"OLD NEW' compares two lock files. Exit status: 0 done, 1 failed or --check found a\n"
		"change, 2 wrong usage.\n",
	.run = run_lock,
};
