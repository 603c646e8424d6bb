/* Packing what a layer changed: a worker writes the blob, and what it says of it is checked. */
#include "build/job.h"

#include <inttypes.h>
#include <string.h>

#include "build/evidence.h"
#include "image/layer.h"
#include "sandbox/worker.h"
#include "util/clock.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/proc.h"
#include "util/str.h"

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
	job_tell_done(j);
	return job_limit_reached(j, e);
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
					    .keep_fds = &out,
					    .keep_fds_len = 1};
	AUTO(buf) reply = BUF_INIT(PACK_REPLY_BYTES);
	struct layer_packed packed;
	uint64_t start_ms = clock_monotonic_ms();
	if (roots_worker_run(&worker, &reply, e) < 0)
		return pack_failed(j, e);
	log_debug("packed %s: %" PRIu64 " ms", j->image->recipe->name,
		  clock_monotonic_ms() - start_ms);
	if (read_reply(j, &reply, &packed, e) < 0 || keep_notes(j, e) < 0)
		return -1;
	job_tell_done(j);
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
