/* stacker lint */
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include "build/context.h"
#include "build/project.h"
#include "build/substitutions.h"
#include "cli/plan_args.h"
#include "recipe/lint.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/path.h"
#include "util/str.h"

enum { REPORT_BYTES = 64 * 1024 * 1024 };

struct lint_command {
	struct strvec substitute;
	const char *substitute_file;
	struct substitution_vec substitutions;
	bool json;
	bool strict;
	size_t errors, warnings;
	json_t *array; /* with --json */
	struct buf out;
};

static const struct opt options[] = {
	{"substitute", 0, OPT_TEXTS, offsetof(struct lint_command, substitute), "KEY=VALUE",
	 PLAN_ARGS_SUBSTITUTE_HELP},
	{"substitute-file", 0, OPT_TEXT, offsetof(struct lint_command, substitute_file), "FILE",
	 "a YAML map of further substitutions"},
	{"strict", 0, OPT_FLAG, offsetof(struct lint_command, strict), NULL,
	 "fail on warnings, too"},
	{"json", 0, OPT_FLAG, offsetof(struct lint_command, json), NULL,
	 "print the findings as a JSON array"},
	{0},
};

static void lint_command_cleanup(struct lint_command *l)
{
	strvec_cleanup(&l->substitute);
	substitution_vec_cleanup(&l->substitutions);
	json_decref(l->array);
	buf_cleanup(&l->out);
}

static const char *severity_name(enum lint_severity severity)
{
	return severity == LINT_ERROR ? "error" : "warning";
}

static void show_json(struct lint_command *l, const char *file, const struct lint_finding *f)
{
	json_t *item = json_pack("{s:s, s:I, s:I, s:s, s:s, s:s, s:s, s:s}", "file", file,
				 "line", (json_int_t)f->line, "column", (json_int_t)f->column,
				 "id", f->id, "severity", severity_name(f->severity), "message",
				 f->message, "hint", f->hint, "snippet", f->snippet);
	BUG_IF(!item || json_array_append_new(l->array, item) != 0);
}

/* As log_err() writes errors. */
static void show_text(struct lint_command *l, const char *file, const struct lint_finding *f)
{
	AUTO_FREE char *message = str_printable(f->message, strlen(f->message));
	AUTO_FREE char *hint = str_printable(f->hint, strlen(f->hint));
	AUTO_FREE char *place = f->line > 0 ? mem_printf(":%u:%u", f->line, f->column) : NULL;

	buf_addf(&l->out, "%s%s: %s: %s [%s]\n", file, place ? place : "",
		 severity_name(f->severity), message, f->id);
	if (hint[0])
		buf_addf(&l->out, "  hint: %s\n", hint);
	for (const char *at = f->snippet; *at;) {
		size_t len = strcspn(at, "\n");
		AUTO_FREE char *line = str_printable(at, len);

		buf_addf(&l->out, "    %s\n", line);
		at += len + (at[len] == '\n');
	}
}

static void show(struct lint_command *l, const char *file, const struct lint_report *report)
{
	AUTO_FREE char *shown = str_printable(file, strlen(file));

	for (size_t i = 0; i < report->findings.len; i++) {
		const struct lint_finding *f = &report->findings.items[i];

		if (l->json)
			show_json(l, f->file ? f->file : file, f);
		else
			show_text(l, f->file ? f->file : shown, f);
	}
	if (report->truncated)
		log_warn("'%s' has more problems than the %d that are shown", file,
			 LINT_FINDINGS_MAX);
	l->errors += report->errors;
	l->warnings += report->warnings;
}

/* What only shows when a stackerfile's prerequisites are read as well. */
static void check_project(const struct lint_command *l, const char *file,
			  struct lint_report *report)
{
	const struct project_options o = {.files = &file,
					  .files_len = 1,
					  .default_arch = build_machine_arch(),
					  .substitutions = &l->substitutions};
	AUTO(project) p = {0};
	struct err e = ERR_INIT;

	if (project_read(&o, &p, &e) != 0)
		lint_add_error(report, &e);
}

static int read_lock(const char *file, struct lockfile *ret, struct err *e)
{
	AUTO_FREE char *path = project_lock_path(file);
	AUTO(buf) text = BUF_INIT(LIMIT_STACKERFILE_BYTES + 1);

	if (faccessat(AT_FDCWD, path, F_OK, 0) != 0)
		return 0;
	if (path_read_file(AT_FDCWD, path, &text, e) != 0)
		return -1;
	return lockfile_parse(buf_text(&text), text.len, path, ret, e);
}

static int lint_file(struct lint_command *l, const char *file, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_STACKERFILE_BYTES + 1);
	AUTO(lint_report) report = {0};
	AUTO(lockfile) lock = {0};
	struct err bad_lock = ERR_INIT;

	if (path_read_file(AT_FDCWD, file, &text, e) != 0)
		return err_hint(e, "name the stackerfiles; the default is " PLAN_ARGS_FILE);
	if (read_lock(file, &lock, &bad_lock) != 0)
		lint_add_error(&report, &bad_lock);
	const struct pin_locks locks = {.own = &lock};
	const struct lint_options o = {.source = {.text = buf_text(&text),
						  .len = text.len,
						  .file = file,
						  .default_arch = build_machine_arch(),
						  .substitutions = &l->substitutions},
				       .locks = &locks};

	lint_check(&o, &report);
	if (report.errors == 0)
		check_project(l, file, &report);
	show(l, file, &report);
	return 0;
}

static int collect_substitutions(const struct cli *cli, struct lint_command *l, struct err *e)
{
	const struct substitutions_options o = {
		.pairs = (const char *const *)l->substitute.items,
		.pairs_len = l->substitute.len,
		.file = l->substitute_file,
		.dirs = &cli->dirs};

	return substitutions_collect(&o, &l->substitutions, e);
}

static int run_lint(const struct cli *cli, const struct command *self, int argc, char **argv)
{
	static const char *const default_files[] = {PLAN_ARGS_FILE};
	AUTO(lint_command) l = {.out = BUF_INIT(REPORT_BYTES), .array = json_array()};
	struct command_args args;
	struct err e = ERR_INIT;
	int status = command_options(self, argc, argv, &l, &args);

	if (status >= 0)
		return status;
	if (collect_substitutions(cli, &l, &e) != 0)
		return command_failed(&e);
	if (args.len == 0)
		args = (struct command_args){default_files, 1};
	for (size_t i = 0; i < args.len; i++) {
		if (lint_file(&l, args.items[i], &e) < 0)
			return command_failed(&e);
	}
	if (l.json) {
		json_write(l.array, &l.out);
		buf_add_byte(&l.out, '\n');
	}
	if (command_print_buf(&l.out, &e) < 0)
		return command_failed(&e);
	log_note("%zu error%s, %zu warning%s", l.errors, l.errors == 1 ? "" : "s", l.warnings,
		 l.warnings == 1 ? "" : "s");
	return l.errors > 0 || (l.strict && l.warnings > 0) ? EXIT_FAILED : EXIT_OK;
}

const struct command command_lint = {
	.name = "lint",
	.summary = "Lists everything that is wrong or may not repeat in stackerfiles, at once.",
	.options = options,
	.args = "[FILE...]",
	.help = "Errors are what a build would refuse, each with the hermetic way as YAML to\n"
		"paste. Warnings are commands in 'run' whose result need not be the same tomorrow\n"
		"or elsewhere; '# lint:allow NAME' at the end of a line silences those of the id\n"
		"lint/NAME there. Without FILE, stacker.yaml is read.\n"
		"\n"
		"Exit status: 0 no errors (--strict: and no warnings), 1 there are some, 2 wrong\n"
		"usage.\n",
	.run = run_lint,
};
