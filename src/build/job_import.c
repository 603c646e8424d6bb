/*
 * Imports: everything a worker needs is looked up and copied into plain structs first, then the
 * worker writes through an overlay mount, so that parents, symlinks and merged /usr of the
 * layers beneath are honoured and only what changed lands in the upper directory.
 */
#include "build/job.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/import.h"
#include "image/unpack.h"
#include "inputs/local.h"
#include "sandbox/worker.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

/* One import, resolved to what the worker can use. */
struct import_task {
	const struct recipe_source *source;
	const char *what; /* of the stackerfile, for errors */
	const char *dest; /* never NULL */
	bool unpack;
	bool whiteouts;
	int32_t mode;
	int64_t uid, gid;
	struct local_tree tree;	       /* LOCAL */
	struct digest blob;	       /* URL, or an archive: the blob itself */
	struct strvec producer_lowers; /* STACKER */
	char producer[32];	       /* STACKER: where they are mounted */
	locale_t charset;	       /* unpack: opened before the worker loses sight of it */
};

struct import_job {
	const struct job *job;
	struct import_task *tasks;
	size_t len;
	bool onto_overlay; /* else into the staging directory */
};

static void import_job_cleanup(struct import_job *ij)
{
	for (size_t i = 0; i < ij->len; i++) {
		local_tree_cleanup(&ij->tasks[i].tree);
		strvec_cleanup(&ij->tasks[i].producer_lowers);
		if (ij->tasks[i].charset)
			freelocale(ij->tasks[i].charset);
	}
	free(ij->tasks);
}

void job_cleanup(struct job *j)
{
	strvec_cleanup(&j->lowers);
	strvec_cleanup(&j->normalised);
}

static int resolve_local(const struct job *j, struct import_task *task,
			 const struct digest *digest, struct err *e)
{
	if (local_tree_load(&j->c->store, digest, &task->tree, e) < 0)
		return -1;
	if (!task->unpack)
		return 0;
	if (task->tree.len != 1 || task->tree.items[0].type != LOCAL_FILE)
		return err_at(e, &task->source->pos, "recipe/unpack-not-a-file",
			      "cannot unpack '%s': it is not a regular file",
			      task->source->text);
	task->blob = task->tree.items[0].digest;
	return 0;
}

static int resolve_task(const struct job *j, struct import_task *task,
			const struct digest *digest, struct err *e)
{
	const struct recipe_source *s = task->source;
	if (task->unpack && unpack_charset_open(&task->charset, e) < 0)
		return -1;
	switch (s->kind) {
	case SOURCE_LOCAL:
		return resolve_local(j, task, digest, e);
	case SOURCE_URL:
		task->blob = *digest;
		return 0;
	case SOURCE_STACKER: {
		const struct image_result *from = &j->results[plan_index(j->plan, s->image)];
		if (roots_ensure(j->c, &from->layers, e) < 0)
			return -1;
		roots_lower_names(&from->layers, &task->producer_lowers);
		return 0;
	}
	}
	BUG_IF(true);
}

int job_make_work(const char *work, int *ret_fd, struct err *e)
{
	AUTO_CLOSE int roots = -1;
	AUTO_CLOSE int dir = -1;
	AUTO_CLOSE int sub = -1;
	static const char *const names[] = {"upper", "work", "imports"};
	if (path_open_dir(AT_FDCWD, "/roots", &roots, e) < 0 ||
	    path_make_dir(roots, work, 0700, &dir, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		mem_close_cleanup(&sub);
		sub = -1;
		if (path_make_dir(dir, names[i], 0755, &sub, e) < 0)
			return -1;
	}
	*ret_fd = TAKE_FD(dir);
	return 0;
}

static int mount_job(const struct job *j, struct err *e)
{
	AUTO_FREE char *upper = path_join(j->work, "upper");
	AUTO_FREE char *work = path_join(j->work, "work");
	const struct sandbox_overlay overlay = {
		.base = "/roots",
		.lowers = (const char *const *)j->lowers.items,
		.lowers_len = j->lowers.len,
		.upper = upper,
		.work = work,
		.target = "/merged",
	};
	return sandbox_overlay_mount(&overlay, e);
}

static int open_blob(int blobs, const struct digest *d, int *ret_fd, struct err *e)
{
	char name[DIGEST_TEXT_MAX + 8];
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(d, hex);
	snprintf(name, sizeof(name), "%s/%s", digest_alg_name(d->alg), hex);
	return path_open_beneath(blobs, name, O_RDONLY, 0, ret_fd, e);
}

static int unpack_blob(const struct import_task *t, int blob, int64_t epoch_s, int root,
		       struct err *e)
{
	const struct unpack_archive_options options = {
		.name = t->source->name,
		.charset = t->charset,
		.dest = t->dest,
		.whiteouts = t->whiteouts,
		.uid = t->uid,
		.gid = t->gid,
		.mode = t->mode,
		.epoch_s = epoch_s,
	};
	return unpack_archive(blob, &options, &unpack_default_limits, root, e);
}

static int apply_archive(const struct import_task *t, int blobs, int64_t epoch_s, int root,
			 struct err *e)
{
	AUTO_CLOSE int blob = -1;
	if (open_blob(blobs, &t->blob, &blob, e) < 0)
		return -1;
	return unpack_blob(t, blob, epoch_s, root, e);
}

/* The image that a stacker:// source names, as a read-only view of its own. */
static int mount_producer(const struct import_task *t, struct err *e)
{
	const struct sandbox_overlay view = {
		.base = "/roots",
		.lowers = (const char *const *)t->producer_lowers.items,
		.lowers_len = t->producer_lowers.len,
		.target = t->producer,
	};
	if (t->producer_lowers.len == 0)
		return err_set(e, ERR_INPUT, "import/empty-image", "image '%s' has no files",
			       t->source->image);
	return sandbox_overlay_mount(&view, e);
}

static int apply_producer(const struct import_task *t, const struct import_options *options,
			  int root, struct err *e)
{
	AUTO_CLOSE int from = -1;
	AUTO_CLOSE int archive = -1;
	if (path_open_dir(AT_FDCWD, t->producer, &from, e) < 0)
		return -1;
	if (!t->unpack)
		return import_from_root(from, t->source->path, options, root, e);
	if (path_open_in_root(from, t->source->path, O_RDONLY, 0, &archive, e) < 0)
		return -1;
	return unpack_blob(t, archive, options->epoch_s, root, e);
}

static int apply_entries(const struct import_task *t, const struct import_options *options,
			 int root, struct err *e)
{
	if (t->source->kind == SOURCE_URL) {
		/* A downloaded file has no mode of its own. */
		const struct import_entry entry = {
			.path = "", .type = IMPORT_FILE, .mode = 0644, .digest = t->blob};
		return import_entries(&entry, 1, options, root, e);
	}
	static const enum import_type types[] = {
		[LOCAL_FILE] = IMPORT_FILE,
		[LOCAL_DIR] = IMPORT_DIR,
		[LOCAL_SYMLINK] = IMPORT_SYMLINK,
	};
	AUTO_FREE struct import_entry *entries = mem_zalloc(t->tree.len, sizeof(*entries));
	for (size_t i = 0; i < t->tree.len; i++) {
		const struct local_entry *l = &t->tree.items[i];
		entries[i] = (struct import_entry){.path = l->path,
						   .type = types[l->type],
						   .mode = l->mode,
						   .digest = l->digest,
						   .target = l->target};
	}
	return import_entries(entries, t->tree.len, options, root, e);
}

/* Of the import that failed. */
static int err_import(const struct import_task *t, struct err *e)
{
	err_locate(e, &t->source->pos);
	return err_wrap(e, "%s '%s'", t->what, t->source->text);
}

static int apply_task(const struct import_job *ij, const struct import_task *t, int blobs,
		      int root, struct err *e)
{
	const struct import_options options = {
		.name = t->source->name,
		.contents = t->source->contents,
		.dest = t->dest,
		.mode = t->mode,
		.uid = t->uid,
		.gid = t->gid,
		.epoch_s = ij->job->epoch_s,
		.blobs_fd = blobs,
	};
	int result;
	if (t->source->kind == SOURCE_STACKER)
		result = apply_producer(t, &options, root, e);
	else if (t->unpack)
		result = apply_archive(t, blobs, ij->job->epoch_s, root, e);
	else
		result = apply_entries(t, &options, root, e);
	return result < 0 ? err_import(t, e) : 0;
}

static int import_prepare(void *ctx, struct err *e)
{
	const struct import_job *ij = ctx;
	AUTO_CLOSE int work = -1;
	if (job_make_work(ij->job->work, &work, e) < 0 ||
	    (ij->onto_overlay && mount_job(ij->job, e) < 0))
		return -1;
	for (size_t i = 0; i < ij->len; i++) {
		struct import_task *t = &ij->tasks[i];
		if (t->source->kind != SOURCE_STACKER)
			continue;
		snprintf(t->producer, sizeof(t->producer), "/producer-%zu", i);
		if (mount_producer(t, e) < 0)
			return err_import(t, e);
	}
	return 0;
}

/* The older `import` puts everything into /stacker, where these two are stacker's own; recipe/
 * knows the names of imports but not what a directory's contents bring. */
static int check_beside(const struct import_job *ij, int root, struct err *e)
{
	static const char *const reserved[] = {"run", "imports"};
	const struct recipe_image *r = ij->job->image->recipe;
	struct stat st;
	for (size_t i = 0; r->legacy_import && i < ARRAY_LEN(reserved); i++) {
		if (fstatat(root, reserved[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		err_set(e, ERR_INPUT, "import/reserved-name",
			"an import of image '%s' would be '/stacker/%s', which is stacker's own",
			r->name, reserved[i]);
		err_hint(e, "use 'imports'; it is at /stacker/imports/%s then", reserved[i]);
		return err_locate(e, &r->legacy_import_pos);
	}
	return 0;
}

static int import_work(void *ctx, struct buf *reply, struct err *e)
{
	(void)reply;
	const struct import_job *ij = ctx;
	AUTO_CLOSE int root = -1;
	AUTO_CLOSE int blobs = -1;
	AUTO_FREE char *staging = mem_printf("/roots/%s/imports", ij->job->work);
	if (path_open_dir(AT_FDCWD, "/blobs", &blobs, e) < 0 ||
	    path_open_dir(AT_FDCWD, ij->onto_overlay ? "/merged" : staging, &root, e) < 0)
		return -1;
	for (size_t i = 0; i < ij->len; i++)
		if (apply_task(ij, &ij->tasks[i], blobs, root, e) < 0)
			return -1;
	return ij->onto_overlay ? 0 : check_beside(ij, root, e);
}

static int run_import(struct import_job *ij, struct err *e)
{
	const struct roots_worker worker = {.c = ij->job->c,
					    .role = POLICY_UNPACKER,
					    .prepare = import_prepare,
					    .run = import_work,
					    .ctx = ij};
	return roots_worker_run(&worker, NULL, e);
}

int job_unpack_base(struct job *j, struct err *e)
{
	AUTO(import_job) ij = {.job = j, .onto_overlay = true, .len = 1};
	ij.tasks = mem_zalloc(1, sizeof(*ij.tasks));
	ij.tasks[0] = (struct import_task){
		.source = &j->image->recipe->from_source,
		.what = "base",
		.dest = "/",
		.unpack = true,
		.whiteouts = true,
		.mode = RECIPE_ID_UNSET,
		.uid = RECIPE_ID_UNSET,
		.gid = RECIPE_ID_UNSET,
	};
	if (resolve_task(j, &ij.tasks[0], &j->image->base, e) < 0)
		return -1;
	return run_import(&ij, e);
}

static struct import_task task_of(const struct recipe_import *import)
{
	return (struct import_task){
		.source = &import->source,
		.what = import->overlay ? "overlay_dir" : "import",
		.dest = import->dest ? import->dest : "/",
		.unpack = import->unpack,
		.mode = import->mode,
		.uid = import->uid,
		.gid = import->gid,
	};
}

int job_import(struct job *j, struct import_range range, struct err *e)
{
	AUTO(import_job) ij = {.job = j, .onto_overlay = true};
	ij.tasks = mem_zalloc(range.len, sizeof(*ij.tasks));
	for (size_t i = range.first; i < range.first + range.len; i++) {
		struct import_task *task = &ij.tasks[ij.len++];
		*task = task_of(&j->image->recipe->imports.items[i]);
		if (resolve_task(j, task, &j->image->imports[i], e) < 0)
			return -1;
	}
	return run_import(&ij, e);
}

/* Of imports that the step would see under one name, the last one counts, whole: a directory is
 * not merged into an earlier one. */
static bool is_replaced(const struct recipe_import_vec *imports, size_t index)
{
	const char *name = imports->items[index].source.name;
	for (size_t i = index + 1; name[0] && i < imports->len; i++)
		if (!imports->items[i].dest && str_same(imports->items[i].source.name, name))
			return true;
	return false;
}

int job_stage(struct job *j, struct err *e)
{
	const struct recipe_import_vec *imports = &j->image->recipe->imports;
	AUTO(import_job) ij = {.job = j};
	ij.tasks = mem_zalloc(imports->len + 1, sizeof(*ij.tasks));
	for (size_t i = 0; i < imports->len; i++) {
		if (imports->items[i].dest || is_replaced(imports, i))
			continue;
		struct import_task *task = &ij.tasks[ij.len++];
		*task = task_of(&imports->items[i]);
		if (resolve_task(j, task, &j->image->imports[i], e) < 0)
			return -1;
	}
	return run_import(&ij, e);
}
