/* Running the script of an image, and packing what a layer changed. */
#include "build/job.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "build/evidence.h"
#include "build/shell.h"
#include "image/layer.h"
#include "sandbox/run.h"
#include "sandbox/worker.h"
#include "util/atomic_file.h"
#include "util/clock.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/proc.h"
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

static int limit_reached(const struct job *j, struct err *e)
{
	err_locate(e, &j->image->recipe->pos);
	return hint_at_log(j, e);
}

/* Once nothing can be added to the step's evidence. */
static void tell_done(const struct job *j)
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
	tell_done(j);
	if (limited)
		return limit_reached(j, e);
	look_around(j);
	return step_failed(j, e);
}

/* Volatile files that the evidence names, and how much of each name; an installation has some
 * dozens, but for compiled Python. */
enum { NORMALISED_MAX = 64, NORMALISED_NAME_MAX = 512 };
#define PACK_TEXTS_BYTES ((size_t)NORMALISED_MAX * (NORMALISED_NAME_MAX + 32))

/* Of the packer's reply: layer_packed, the numbers, then so many texts, each with its NUL. */
struct pack_notes {
	uint64_t len, more;
	struct buf texts;
};
#define PACK_REPLY_BYTES (sizeof(struct layer_packed) + 2 * sizeof(uint64_t) + PACK_TEXTS_BYTES)

struct pack_job {
	const struct job *job;
	int out_fd;
	unsigned cpus;
	enum layer_compression compression;
};

static enum layer_compression compression_of(const struct recipe_image *r)
{
	switch (r->compression) {
	case COMPRESSION_GZIP:
		return LAYER_GZIP;
	case COMPRESSION_NONE:
		return LAYER_TAR;
	case COMPRESSION_ZSTD:
		return LAYER_ZSTD;
	}
	BUG_IF(true);
}

static int pack_prepare(void *ctx, struct err *e)
{
	const struct pack_job *pj = ctx;
	return roots_mount_lowers(&pj->job->lowers, e);
}

/* The last word on what a step may leave behind: while it ran, it was counted only when the
 * file system gave reason to. */
static int check_size(const struct job *j, int upper_fd, struct err *e)
{
	const struct sandbox_limits *limits = j->image->limits;
	enum sandbox_limit exceeded;
	struct sandbox_usage usage;
	if (!j->has_step)
		return 0;
	if (sandbox_usage_count(upper_fd, limits, &usage, &exceeded, e) < 0)
		return -1;
	if (exceeded == SANDBOX_LIMIT_NONE)
		return 0;
	return sandbox_limit_reached(exceeded, j->image->recipe->name, limits,
				     &j->c->policy.most, e);
}

static void note_normalised(void *ctx, const char *path, const struct volatile_file *file)
{
	struct pack_notes *notes = ctx;
	if (notes->len == NORMALISED_MAX) {
		notes->more++;
		return;
	}
	buf_addf(&notes->texts, "%s %.*s", volatile_rule_name(file->rule), NORMALISED_NAME_MAX,
		 path);
	buf_add_byte(&notes->texts, 0);
	notes->len++;
}

static int pack_work(void *ctx, struct buf *reply, struct err *e)
{
	const struct pack_job *pj = ctx;
	const struct job *j = pj->job;
	AUTO_CLOSE int roots = -1;
	AUTO_CLOSE int upper = -1;
	AUTO_CLOSE int lower = -1;
	AUTO_FREE char *upper_name = path_join(j->work, "upper");
	if (path_open_dir(AT_FDCWD, "/roots", &roots, e) < 0 ||
	    path_open_beneath(roots, upper_name, O_RDONLY | O_DIRECTORY, 0, &upper, e) < 0 ||
	    roots_open_lowers(&j->lowers, &lower, e) < 0)
		return -1;
	struct pack_notes notes = {.texts = BUF_INIT(PACK_TEXTS_BYTES)};
	bool normalise = j->has_step && !j->image->recipe->keeps_volatile;
	const struct layer_pack_options options = {
		.upper_fd = upper,
		.lower_fd = lower,
		.epoch_s = j->epoch_s,
		/* What is imported is wanted as it is. */
		.volatile_files = normalise ? &j->c->volatile_files : NULL,
		.normalised = note_normalised,
		.normalised_ctx = &notes,
		.out_fd = pj->out_fd,
		.compression = pj->compression,
		.threads = pj->cpus};
	struct layer_packed packed = {0};
	int r = check_size(j, upper, e);
	if (r == 0)
		r = layer_pack(&options, &packed, e);
	buf_add(reply, &packed, sizeof(packed));
	buf_add(reply, &notes.len, sizeof(notes.len));
	buf_add(reply, &notes.more, sizeof(notes.more));
	buf_add(reply, buf_text(&notes.texts), notes.texts.len);
	buf_cleanup(&notes.texts);
	return r;
}

/* What it says is the word of one who read hostile files: texts for people, nothing else. */
static int read_reply(struct job *j, const struct buf *reply, struct layer_packed *ret,
		      struct err *e)
{
	uint64_t len;
	size_t at = sizeof(*ret) + sizeof(len) + sizeof(j->more_normalised);
	bool whole = reply->len >= at;
	if (whole) {
		memcpy(ret, reply->data, sizeof(*ret));
		memcpy(&len, reply->data + sizeof(*ret), sizeof(len));
		memcpy(&j->more_normalised, reply->data + sizeof(*ret) + sizeof(len),
		       sizeof(j->more_normalised));
	}
	for (uint64_t i = 0; whole && i < len; i++) {
		const char *text = reply->data + at;
		whole = at < reply->len && memchr(text, 0, reply->len - at) != NULL;
		if (!whole)
			break;
		AUTO_FREE char *shown = str_printable(text, strlen(text));
		strvec_push(&j->normalised, shown);
		at += strlen(text) + 1;
	}
	if (!whole)
		return err_set(e, ERR_SANDBOX, "sandbox/worker-died",
			       "the packer ended with half an answer");
	return 0;
}

static int keep_notes(struct job *j, struct err *e)
{
	uint64_t count = j->normalised.len + j->more_normalised;
	for (size_t i = 0; i < j->normalised.len; i++)
		log_debug("normalised: %s", j->normalised.items[i]);
	if (count > 0)
		log_debug("%" PRIu64 " volatile file(s) of image '%s' normalised", count,
			  j->image->recipe->name);
	return count > 0 ? evidence_save(j, e) : 0;
}

static int pack_failed(struct job *j, struct err *e)
{
	struct err late = ERR_INIT;
	if (str_same(e->id, "sandbox/disk-limit"))
		j->step.evidence.limit = SANDBOX_LIMIT_DISK;
	else if (str_same(e->id, "sandbox/file-limit"))
		j->step.evidence.limit = SANDBOX_LIMIT_FILES;
	else
		return err_wrap(e, "packing image '%s'", j->image->recipe->name);
	if (evidence_save(j, &late) < 0) {
		*e = late;
		return -1;
	}
	tell_done(j);
	return limit_reached(j, e);
}

/* The packer read hostile files; what it says of its output is checked, but for the diff_id of a
 * compressed layer: whoever unpacks it, we first of all, checks that. */
static int keep_packed(const struct pack_job *pj, const struct layer_packed *packed,
		       struct result_layer *ret, struct err *e)
{
	const struct digest *expected = pj->compression == LAYER_TAR ? &packed->diff_id : NULL;
	struct digest digest;
	uint64_t size = 0;
	if (store_stage_commit(&pj->job->c->store, pj->out_fd, expected,
			       (int64_t)packed->blob_size, &digest, &size, e) < 0)
		return -1;
	ret->blob.media_type = mem_strdup(layer_media_type_of(pj->compression));
	ret->blob.digest = digest;
	ret->blob.size = size;
	ret->diff_id = packed->diff_id;
	return 0;
}

int job_pack(struct job *j, struct result_layer *ret, bool *ret_empty, struct err *e)
{
	AUTO_CLOSE int out = -1;
	if (store_stage_open(&j->c->store, &out, e) < 0)
		return -1;
	struct pack_job pj = {.job = j,
			      .out_fd = out,
			      .cpus = proc_cpus(),
			      .compression = compression_of(j->image->recipe)};
	const struct roots_worker worker = {.c = j->c,
					    .role = POLICY_PACKER,
					    .prepare = pack_prepare,
					    .run = pack_work,
					    .ctx = &pj,
					    .keep_fd = out};
	AUTO(buf) reply = BUF_INIT(PACK_REPLY_BYTES);
	struct layer_packed packed;
	uint64_t start_ms = clock_monotonic_ms();
	if (roots_worker_run(&worker, &reply, e) < 0)
		return pack_failed(j, e);
	log_debug("packed %s: %" PRIu64 " ms", j->image->recipe->name,
		  clock_monotonic_ms() - start_ms);
	if (read_reply(j, &reply, &packed, e) < 0 || keep_notes(j, e) < 0)
		return -1;
	tell_done(j);
	/* The packer cannot change anything below roots/. */
	if (build_remove_hostile(j->c, j->c->roots_fd, j->work, e) < 0)
		return -1;
	if (packed.sockets_dropped > 0)
		log_note("note: %" PRIu64 " socket(s) left out of image '%s'",
			 packed.sockets_dropped, j->image->recipe->name);
	*ret_empty = packed.entries == 0;
	if (*ret_empty)
		return 0;
	return keep_packed(&pj, &packed, ret, e);
}
