/* Running the script of an image. */
#include "build/job.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "build/evidence.h"
#include "build/shell.h"
#include "sandbox/run.h"
#include "util/atomic_file.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

/* A step's output: whole to the log file, line by line to the user. */
struct step_log {
	int fd;
	const char *image;
	bool quiet;
	struct buf line;
	struct err failed; /* the first failure to write, reported at the end */
};

enum { STEP_LINE_MAX = 8192 }; /* longer lines are shown in pieces */

static void flush_line(struct step_log *log)
{
	if (!log->quiet)
		log_output_line(log->image, buf_text(&log->line), log->line.len);
	buf_clear(&log->line);
}

static void take_output(void *ctx, const char *bytes, size_t len)
{
	struct step_log *log = ctx;
	if (log->failed.code == ERR_NONE) {
		struct err why = ERR_INIT;
		if (path_write_all(log->fd, bytes, len, "step log", &why) < 0)
			log->failed = why;
	}
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n' || log->line.len == STEP_LINE_MAX)
			flush_line(log);
		if (bytes[i] != '\n')
			buf_add_byte(&log->line, bytes[i]);
	}
}

static void add_env(struct map *env, const char *key, const char *value)
{
	map_set_text(env, key, value);
}

/* Everything the step finds in its environment; entries without a value are dropped. */
static void step_environment(const struct job *j, struct strvec *ret)
{
	const struct recipe_image *r = j->image->recipe;
	char epoch[24];
	snprintf(epoch, sizeof(epoch), "%" PRId64, j->epoch_s);
	AUTO(map) env = MAP_INIT(free);
	add_env(&env, "PATH", JOB_STEP_PATH);
	add_env(&env, "container", "stacker");
	add_env(&env, "STACKER_LAYER_NAME", r->name);
	add_env(&env, "SOURCE_DATE_EPOCH", epoch);
	add_env(&env, "TZ", "UTC");
	add_env(&env, "LC_ALL", "C.UTF-8");
	for (size_t i = 0; !j->makes_labels && i < r->build_env.len; i++)
		add_env(&env, r->build_env.entries[i].key, r->build_env.entries[i].value);
	for (size_t i = 0; i < env.len; i++) {
		const char *value = env.entries[i].value;
		if (value[0] == '\0')
			continue;
		AUTO_FREE char *text = mem_printf("%s=%s", env.entries[i].key, value);
		strvec_push(ret, text);
	}
	vec_push(ret, NULL);
}

/* "<recipe hex>.log"; the script of generate_labels has a log of its own. */
static void job_log_name(const struct job *j, char out[JOB_FILE_MAX])
{
	char hex[DIGEST_TEXT_MAX];
	if (!j->makes_labels) {
		cache_log_name(&j->image->digest, out);
		return;
	}
	digest_format_hex(&j->image->digest, hex);
	snprintf(out, JOB_FILE_MAX, "%s.labels.log", hex);
}

static int keep_log(const struct job *j, struct step_log *log, struct err *e)
{
	if (log->line.len > 0)
		flush_line(log);
	if (log->failed.code != ERR_NONE) {
		*e = log->failed;
		return -1;
	}
	char name[JOB_FILE_MAX];
	job_log_name(j, name);
	return atomic_file_commit(j->c->cache_fd, name, log->fd, e);
}

static int hint_at_log(const struct job *j, struct err *e)
{
	char log[JOB_FILE_MAX], first[ERR_HINT_MAX];
	job_log_name(j, log);
	snprintf(first, sizeof(first), "%s", e->hint);
	return err_hint(e, "%s%sits output is kept in '%s/cache/%s'", first,
			first[0] ? "; " : "", j->c->dirs.state, log);
}

/* What a person wants to see before it goes away. That this fails, too, is no reason to hide
 * why the step failed. */
static void look_around(struct job *j)
{
	const struct recipe_image *r = j->image->recipe;
	AUTO_FREE char *upper = path_join(j->work, "upper");
	AUTO_FREE char *imports = path_join(j->work, "imports");
	AUTO(strvec) lowers = {0};
	struct err e = ERR_INIT;
	int code = 0;
	if (!j->c->on_failure)
		return;
	strvec_push(&lowers, upper);
	for (size_t i = 0; i < j->lowers.len; i++)
		strvec_push(&lowers, j->lowers.items[i]);
	const struct shell_place place = {
		.label = r->name,
		.lowers = &lowers,
		.imports = j->makes_labels ? NULL : imports,
		.imports_beside = !j->makes_labels && r->legacy_import,
		.env = &r->build_env,
	};
	log_note("run commands failed for image '%s' (exit code %d); running '%s' in what it "
		 "left",
		 r->name, j->step.exit_code, j->c->on_failure->words[0]);
	if (shell_run(j->c, &place, j->c->on_failure, &code, &e) < 0)
		log_err(&e);
}

static int step_failed(const struct job *j, struct err *e)
{
	err_set(e, ERR_SANDBOX, "step/failed",
		"%s commands failed for image '%s': exit code %d",
		j->makes_labels ? "generate_labels" : "run", j->image->recipe->name,
		j->step.exit_code);
	err_locate(e, &j->image->recipe->pos);
	return hint_at_log(j, e);
}

int job_limit_reached(const struct job *j, struct err *e)
{
	err_locate(e, &j->image->recipe->pos);
	return hint_at_log(j, e);
}

void job_tell_done(const struct job *j)
{
	if (j->has_step && !j->makes_labels && j->c->step_done)
		j->c->step_done(j->c->step_done_ctx, &j->image->digest);
}

static int run_in_sandbox(struct job *j, struct step_log *log, struct err *e)
{
	const struct recipe_image *r = j->image->recipe;
	AUTO_FREE char *upper = path_join(j->work, "upper");
	AUTO_FREE char *work = path_join(j->work, "work");
	AUTO_FREE char *imports = path_join(j->work, "imports");
	AUTO(strvec) env = {0};
	step_environment(j, &env);
	const struct sandbox_spec spec = {
		.idmap = &j->c->idmap,
		.policy = &j->c->policy,
		.roots_fd = j->c->roots_fd,
		.lowers = (const char *const *)j->lowers.items,
		.lowers_len = j->lowers.len,
		.upper = upper,
		.work = work,
		.imports = j->makes_labels ? NULL : imports,
		.imports_beside = !j->makes_labels && r->legacy_import,
		.labels = j->makes_labels ? "/" JOB_LABELS_DIR : NULL,
		.script = j->makes_labels ? r->generate_labels : r->run,
		.env = (const char *const *)env.items,
		.label = r->name,
		.output = take_output,
		.ctx = log,
		.limits = j->image->limits,
	};
	return sandbox_run(&spec, &j->step, e);
}

int job_run_step(struct job *j, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	if (atomic_file_open(j->c->cache_fd, 0644, &fd, e) < 0)
		return -1;
	AUTO(buf) line = BUF_INIT(STEP_LINE_MAX + 1);
	struct step_log log = {.fd = fd,
			       .image = j->image->recipe->name,
			       .quiet = j->c->quiet_steps,
			       .line = line};
	int ran = run_in_sandbox(j, &log, e);
	struct err late = ERR_INIT;
	int kept = keep_log(j, &log, &late);
	line = log.line; /* the cleanup frees what the log grew */
	bool limited = j->step.evidence.limit != SANDBOX_LIMIT_NONE;
	j->has_step = true;
	if (ran < 0 && !limited) {
		/* The recipe's fault, not that of the machine. */
		if (str_same(e->id, "sandbox/exec"))
			err_locate(e, &j->image->recipe->pos);
		return err_wrap(e, "image '%s'", j->image->recipe->name);
	}
	if (kept < 0 || evidence_save(j, &late) < 0) {
		*e = late;
		return -1;
	}
	log_debug("step %s: %" PRIu64 " ms", j->image->recipe->name, j->step.wall_ms);
	if (!limited && j->step.exit_code == 0)
		return 0; /* packing may add to the evidence */
	job_tell_done(j);
	if (limited)
		return job_limit_reached(j, e);
	look_around(j);
	return step_failed(j, e);
}
