/*
 * One image: take over the base, add a layer per range of imports, run the step, and describe
 * the outcome. What the step saw is what ships: the layers are stacked in the order they were
 * made, each on the trees of those before.
 */
#include "build/image.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "build/annotation.h"
#include "build/fs_base.h"
#include "build/job.h"
#include "build/remote.h"
#include "build/roots.h"
#include "image/layout.h"
#include "recipe/canon.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

static void add_layer(struct image_result *r, struct result_layer layer)
{
	const struct digest *parent =
		r->layers.len ? &r->layers.items[r->layers.len - 1].chain_id : NULL;
	result_chain_id(parent, &layer.diff_id, &layer.chain_id);
	vec_push(&r->layers, layer);
}

static void inherit(struct image_result *to, const struct image_result *from)
{
	for (size_t i = 0; i < from->layers.len; i++) {
		const struct result_layer *l = &from->layers.items[i];
		add_layer(to, (struct result_layer){
				      .blob = descriptor_copy(&l->blob),
				      .diff_id = l->diff_id,
				      .origin = descriptor_copy(&l->origin),
				      .created_by = l->created_by ? mem_strdup(l->created_by)
								  : NULL});
	}
	/* U3: a build_only ancestor hands on what it inherited itself. */
	to->inherit_config = from->build_only ? from->inherit_config : from->config.digest;
	annotation_inherit(&from->inherit_annotations, &to->inherit_annotations);
}

/* A blob that is here already need not be what this descriptor says in every respect. */
static int check_size(const struct build_context *c, const struct layout *from,
		      const struct descriptor *d, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;
	char digest[DIGEST_TEXT_MAX];
	if (store_blob_open(&c->store, &d->digest, &fd, e) < 0)
		return -1;
	digest_format(&d->digest, digest);
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot stat the stored blob %s", digest);
	if ((uint64_t)st.st_size != d->size)
		return err_set(e, ERR_MISMATCH, "layout/damaged",
			       "blob '%s' of '%s' is said to have %" PRIu64
			       " bytes, it has %lld",
			       digest, from->name, d->size, (long long)st.st_size);
	return 0;
}

static int take_blob(struct build_context *c, const struct layout *from,
		     const struct descriptor *d, struct err *e)
{
	if (store_has(&c->store, &d->digest))
		return check_size(c, from, d, e);
	AUTO_CLOSE int in = -1;
	AUTO_CLOSE int out = -1;
	struct digest ignored;
	uint64_t len;
	build_tell_copy(c, &d->digest);
	if (layout_blob_open(from, &d->digest, (int64_t)d->size, &in, e) < 0 ||
	    store_stage_open(&c->store, &out, e) < 0 ||
	    path_copy_fd(in, out, from->name, e) < 0)
		return -1;
	if (store_stage_commit(&c->store, out, &d->digest, (int64_t)d->size, &ignored, &len,
			       e) < 0)
		return err_wrap(e, "base image in '%s'", from->name);
	return 0;
}

/* By what its descriptor says, so that nothing is copied or hashed that is too big to be read.
 */
static int take_document(struct build_context *c, const struct layout *from,
			 const struct descriptor *d, uint64_t max_bytes, struct err *e)
{
	char digest[DIGEST_TEXT_MAX];
	digest_format(&d->digest, digest);
	if (d->size > max_bytes)
		return err_set(e, ERR_INPUT, "input/too-big",
			       "document '%s' of '%s' has %" PRIu64 " bytes, over %" PRIu64,
			       digest, from->name, d->size, max_bytes);
	return take_blob(c, from, d, e);
}

static int read_base(struct build_context *c, const struct recipe_image *r,
		     const struct descriptor *found, const struct layout *layout,
		     struct manifest *manifest, struct image_config *config, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_MANIFEST_BYTES);
	if (take_document(c, layout, found, LIMIT_MANIFEST_BYTES, e) < 0 ||
	    store_blob_read(&c->store, &found->digest, &text, e) < 0 ||
	    manifest_parse(buf_text(&text), text.len, "base manifest", manifest, e) < 0 ||
	    take_document(c, layout, &manifest->config, LIMIT_CONFIG_BYTES, e) < 0)
		return -1;
	AUTO(buf) config_text = BUF_INIT(LIMIT_CONFIG_BYTES);
	if (store_blob_read(&c->store, &manifest->config.digest, &config_text, e) < 0 ||
	    image_config_parse(buf_text(&config_text), config_text.len, "base config", config,
			       e) < 0 ||
	    image_config_check(config, manifest, e) < 0)
		return -1;
	if (!str_same(config->os, r->os) || !str_same(config->architecture, r->arch))
		return err_set(e, ERR_INPUT, "image/platform",
			       "base image is for %s/%s, the recipe asks for %s/%s", config->os,
			       config->architecture, r->os, r->arch);
	return 0;
}

static int add_base_layer(struct build_context *c, const struct descriptor *d,
			  const struct digest *diff_id, struct image_result *ret, struct err *e)
{
	struct result_layer layer = {0};
	if (layer_fs_of(d->media_type) == LAYER_FS_NONE) {
		layer.blob = descriptor_copy(d);
		layer.diff_id = *diff_id;
	} else if (!digest_eq(&d->digest, diff_id)) {
		return err_set(e, ERR_MISMATCH, "image/fs-diff-id",
			       "the diff_id of a %s layer is not its digest", d->media_type);
	} else if (fs_base_convert(c, d, &ret->layers, &layer, e) < 0) {
		return -1;
	}
	add_layer(ret, layer);
	return 0;
}

/* Copies the base's manifest, config and layers into the store, every blob hash-checked. */
static int take_base(struct build_context *c, const struct recipe_image *r,
		     const struct layout *layout, const struct descriptor *found,
		     struct image_result *ret, struct err *e)
{
	AUTO(manifest) manifest = {0};
	AUTO(image_config) config = {0};
	if (read_base(c, r, found, layout, &manifest, &config, e) < 0)
		return err_locate(e, &r->pos);
	for (size_t i = 0; i < manifest.layers.len; i++) {
		struct descriptor *d = &manifest.layers.items[i];
		if (take_blob(c, layout, d, e) < 0 ||
		    add_base_layer(c, d, &config.diff_ids.items[i], ret, e) < 0)
			return err_locate(e, &r->pos);
	}
	/* What is handed on in our name is proved to be what it claims, even if nothing here
	 * looks into it: unpacking checks the layers' form and diff_ids (SEC UN22). */
	if (roots_ensure(c, &ret->layers, e) < 0)
		return err_locate(e, &r->pos);
	ret->inherit_config = manifest.config.digest;
	annotation_inherit(&manifest.annotations, &ret->inherit_annotations);
	return 0;
}

static int take_oci_base(struct build_context *c, const struct plan_image *image,
			 struct image_result *ret, struct err *e)
{
	const struct recipe_image *r = image->recipe;
	AUTO(layout) layout = LAYOUT_INIT;
	AUTO(descriptor) found = {0};
	char digest[DIGEST_TEXT_MAX];
	digest_format(&image->base, digest);
	if (layout_open(AT_FDCWD, r->from_layout, &layout, e) < 0 ||
	    layout_resolve(&layout, digest, r->os, r->arch, &found, e) < 0)
		return err_locate(e, &r->pos);
	return take_base(c, r, &layout, &found, ret, e);
}

/* It was brought into the store, which is a layout, too. */
static int take_docker_base(struct build_context *c, const struct plan_image *image,
			    struct image_result *ret, struct err *e)
{
	const struct recipe_image *r = image->recipe;
	const struct remote_platform platform = {r->os, r->arch, r->from_variant};
	AUTO(layout) store = LAYOUT_INIT;
	AUTO(descriptor) top = {0};
	AUTO(descriptor) found = {0};
	if (layout_open(c->state_fd, "store", &store, e) < 0 ||
	    remote_describe(&c->store, &image->base, &top, e) < 0 ||
	    remote_find_image(&c->store, &top, &platform, &found, e) < 0)
		return err_locate(e, &r->pos);
	return take_base(c, r, &store, &found, ret, e);
}

/* Readies a job on top of what `r` has so far. */
static int start_job(struct build_context *c, const struct plan *p, size_t index,
		     const struct image_result *results, const struct image_result *r,
		     struct job *ret, struct err *e)
{
	*ret = (struct job){.c = c,
			    .plan = p,
			    .results = results,
			    .image = &p->images[index],
			    .epoch_s = p->images[index].file->stackerfile.source_date_epoch};
	roots_work_name(c, ret->work);
	if (roots_ensure(c, &r->layers, e) < 0)
		return -1;
	roots_lower_names(&r->layers, &ret->lowers);
	return 0;
}

static int finish_job(struct job *j, const char *history, struct image_result *r, struct err *e)
{
	struct result_layer layer = {0};
	bool empty = false;
	if (job_pack(j, &layer, &empty, e) < 0)
		return -1;
	if (empty)
		return 0;
	layer.created_by = mem_printf("%s %s", history, j->image->recipe->name);
	add_layer(r, layer);
	return 0;
}

/* Imports with `dest` are layers of their own; neighbours that unpack to one dest share one. */
static struct import_range next_range(const struct recipe_import_vec *imports, size_t first)
{
	struct import_range range = {.first = first, .len = 1};
	const struct recipe_import *head = &imports->items[first];
	while (head->unpack && first + range.len < imports->len) {
		const struct recipe_import *next = &imports->items[first + range.len];
		if (!next->unpack || !str_same(next->dest, head->dest))
			break;
		range.len++;
	}
	return range;
}

static int add_imports(struct build_context *c, const struct plan *p, size_t index,
		       const struct image_result *results, struct image_result *r,
		       struct err *e)
{
	const struct recipe_import_vec *imports = &p->images[index].recipe->imports;
	for (size_t i = 0; i < imports->len;) {
		if (!imports->items[i].dest) {
			i++;
			continue;
		}
		struct import_range range = next_range(imports, i);
		AUTO(job) job = {0};
		if (start_job(c, p, index, results, r, &job, e) < 0 ||
		    job_import(&job, range, e) < 0 ||
		    finish_job(&job, "stacker overlay dir for", r, e) < 0)
			return -1;
		i += range.len;
	}
	return 0;
}

static int add_base(struct build_context *c, const struct plan *p, size_t index,
		    const struct image_result *results, struct image_result *r, struct err *e)
{
	const struct plan_image *image = &p->images[index];
	switch (image->recipe->from) {
	case FROM_SCRATCH:
		return 0;
	case FROM_BUILT:
		inherit(r, &results[plan_index(p, image->recipe->from_image)]);
		return 0;
	case FROM_OCI:
		return take_oci_base(c, image, r, e);
	case FROM_DOCKER:
		return take_docker_base(c, image, r, e);
	case FROM_TAR: {
		AUTO(job) job = {0};
		if (start_job(c, p, index, results, r, &job, e) < 0 ||
		    job_unpack_base(&job, e) < 0)
			return -1;
		return finish_job(&job, "stacker build of", r, e);
	}
	}
	BUG_IF(true);
}

static int add_step(struct build_context *c, const struct plan *p, size_t index,
		    const struct image_result *results, struct image_result *r, struct err *e)
{
	if (!p->images[index].recipe->run)
		return 0;
	AUTO(job) job = {0};
	if (start_job(c, p, index, results, r, &job, e) < 0 || job_stage(&job, e) < 0 ||
	    job_run_step(&job, e) < 0)
		return -1;
	return finish_job(&job, "stacker build of", r, e);
}

/* What the script of generate_labels leaves, and the stackerfile's own labels over it. */
static int make_labels(struct build_context *c, const struct plan *p, size_t index,
		       const struct image_result *results, const struct image_result *r,
		       struct map *ret, struct err *e)
{
	const struct recipe_image *recipe = p->images[index].recipe;
	if (recipe->generate_labels) {
		AUTO(job) job = {0};
		if (start_job(c, p, index, results, r, &job, e) < 0)
			return -1;
		job.makes_labels = true;
		if (job_stage_labels(&job, e) < 0 || job_run_step(&job, e) < 0 ||
		    job_read_labels(&job, ret, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < recipe->labels.len; i++)
		map_set_text(ret, recipe->labels.entries[i].key,
			     recipe->labels.entries[i].value);
	return 0;
}

static int write_config(struct build_context *c, const struct plan_image *image,
			const struct map *labels, struct image_result *ret, struct err *e)
{
	const struct recipe_image *r = image->recipe;
	AUTO(image_config) config = {0};
	AUTO(buf) base = BUF_INIT(LIMIT_CONFIG_BYTES);
	if (ret->inherit_config.alg != DIGEST_NONE &&
	    (store_blob_read(&c->store, &ret->inherit_config, &base, e) < 0 ||
	     image_config_parse(buf_text(&base), base.len, "inherited config", &config, e) < 0))
		return -1;
	int64_t epoch_s = image->file->stackerfile.source_date_epoch;
	/* Those of a base of file system images are not those of the tar layers made of it. */
	for (size_t i = 0; i < config.diff_ids.len && i < ret->layers.len; i++)
		config.diff_ids.items[i] = ret->layers.items[i].diff_id;
	for (size_t i = config.diff_ids.len; i < ret->layers.len; i++)
		image_config_add_layer(&config, &ret->layers.items[i].diff_id,
				       ret->layers.items[i].created_by, epoch_s);
	const struct config_directives directives = {
		.environment = &r->environment,
		.labels = labels,
		.cmd = &r->cmd,
		.entrypoint = &r->entrypoint,
		.full_command = &r->full_command,
		.has_cmd = r->has_cmd,
		.has_entrypoint = r->has_entrypoint,
		.has_full_command = r->has_full_command,
		.volumes = &r->volumes,
		.working_dir = r->working_dir,
		.runtime_user = r->runtime_user,
		.os = r->os,
		.architecture = r->arch,
		.created_s = epoch_s,
	};
	image_config_apply(&config, &directives);
	return result_put_config(c, &config, ret, e) < 0 ? err_locate(e, &r->pos) : 0;
}

static void set_annotations(const struct plan *p, const struct plan_image *image,
			    struct image_result *ret)
{
	const struct map *ours = &image->recipe->annotations;
	for (size_t i = 0; i < ours->len; i++)
		map_set_text(&ret->inherit_annotations, ours->entries[i].key,
			     ours->entries[i].value);
	annotation_add(p->annotations_namespace, &image->digest, &ret->inherit_annotations);
}

static int write_manifest(struct build_context *c, const struct plan *p,
			  const struct plan_image *image, struct image_result *ret,
			  struct err *e)
{
	set_annotations(p, image, ret);
	return result_put_manifest(c, ret, e) < 0 ? err_locate(e, &image->recipe->pos) : 0;
}

int image_build(struct build_context *c, const struct plan *p, size_t index,
		const struct image_result *results, struct image_result *ret, struct err *e)
{
	const struct plan_image *image = &p->images[index];
	AUTO(image_result)
	r = {.recipe = image->digest,
	     .build_only = image->recipe->build_only,
	     .inherit_annotations = MAP_INIT(free)};
	if (add_base(c, p, index, results, &r, e) < 0 ||
	    add_imports(c, p, index, results, &r, e) < 0 ||
	    add_step(c, p, index, results, &r, e) < 0)
		return -1;
	AUTO(map) labels = MAP_INIT(free);
	if (!r.build_only && (make_labels(c, p, index, results, &r, &labels, e) < 0 ||
			      write_config(c, image, &labels, &r, e) < 0 ||
			      write_manifest(c, p, image, &r, e) < 0))
		return -1;
	if (cache_save_with_recipe(c, &r, image->canonical, e) < 0)
		return -1;
	*ret = r;
	r = (struct image_result){0};
	return 0;
}
