/*
 * Conversion layer by layer. A converted layer is cached by itself under what it was made from,
 * so that images which share layers share the work.
 */
#include "build/form.h"

#include <inttypes.h>
#include <string.h>

#include "build/annotation.h"
#include "build/fs_image.h"
#include "build/roots.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/proc.h"

void forms_cleanup(struct forms *f)
{
	for (size_t i = 0; f->items && i < f->plan->len * f->types.len; i++)
		image_result_cleanup(&f->items[i].result);
	free(f->items);
	for (size_t i = 0; i < LAYER_TYPES; i++)
		free(f->tools[i]);
}

static struct form *form_at(const struct forms *f, size_t image, size_t type)
{
	return &f->items[image * f->types.len + type];
}

static bool is_form(const struct forms *f, size_t image, size_t type)
{
	const struct plan_image *p = &f->plan->images[image];
	return p->wanted && !p->recipe->build_only && f->types.items[type] != LAYER_TYPE_TAR;
}

const struct form *form_of(const struct forms *f, size_t image, enum layer_type type)
{
	for (size_t t = 0; t < f->types.len && type != LAYER_TYPE_TAR; t++)
		if (f->types.items[t] == type)
			return form_at(f, image, t);
	return NULL;
}

static int name_forms(struct forms *f, struct err *e)
{
	for (size_t i = 0; i < f->plan->len; i++) {
		for (size_t t = 0; t < f->types.len; t++) {
			enum layer_type type = f->types.items[t];
			if (!is_form(f, i, t))
				continue;
			const struct recipe_layers layers = {.type = layer_type_name(type),
							     .tool = f->tools[type],
							     .no_verity =
								     f->types.no_verity[type]};
			if (plan_layers_digest(f->c, f->plan, i, &layers,
					       &form_at(f, i, t)->recipe, e) < 0)
				return -1;
		}
	}
	return 0;
}

int forms_open(struct forms *f, struct build_context *c, const struct plan *plan,
	       const struct layer_types *types, struct err *e)
{
	*f = (struct forms){.c = c, .plan = plan, .types = *types};
	if (f->types.len == 0)
		f->types.items[f->types.len++] = LAYER_TYPE_TAR;
	for (size_t t = 0; t < f->types.len; t++) {
		enum layer_type type = f->types.items[t];
		if (type != LAYER_TYPE_TAR && fs_image_tool(c, type, &f->tools[type], e) < 0)
			return err_wrap(e, "layer type %s", layer_type_name(type));
	}
	f->items = mem_zalloc(plan->len * f->types.len + 1, sizeof(*f->items));
	return name_forms(f, e);
}

int forms_look_up(struct forms *f, bool no_cache, struct err *e)
{
	for (size_t i = 0; i < f->plan->len; i++) {
		for (size_t t = 0; t < f->types.len && !no_cache; t++) {
			struct form *form = form_at(f, i, t);
			if (!is_form(f, i, t))
				continue;
			if (cache_load(f->c, &form->recipe, &form->result, &form->have, e) < 0)
				return -1;
			form->cached = form->have;
		}
	}
	return 0;
}

bool forms_need_tar(const struct forms *f, size_t image)
{
	for (size_t t = 0; t < f->types.len; t++)
		if (!is_form(f, image, t) || !form_at(f, image, t)->have)
			return true;
	return false;
}

/* What the bytes of a converted layer depend on. */
static void layer_key(const struct fs_image_options *o, const char *tool, struct digest *ret)
{
	char chain[DIGEST_TEXT_MAX];
	digest_format(o->chain_id, chain);
	AUTO_FREE char *text = mem_printf("stacker layer %s\n%s\n%s\n%" PRId64 "\n%d\n",
					  layer_type_name(o->type), tool, chain, o->epoch_s,
					  (int)o->no_verity);
	digest_bytes(DIGEST_SHA256, text, strlen(text), ret);
}

static int convert_layer(const struct forms *f, const struct fs_image_options *o,
			 const struct result_layer *tar, struct descriptor *ret, struct err *e)
{
	struct digest key;
	bool hit = false;
	if (tar->origin.media_type && layer_type_has(o->type, tar->origin.media_type)) {
		*ret = descriptor_copy(&tar->origin);
		return 0;
	}
	layer_key(o, f->tools[o->type], &key);
	if (cache_load_blob(f->c, &key, ret, &hit, e) < 0 || hit)
		return hit ? 0 : -1;
	if (fs_image_make(f->c, o, ret, e) < 0)
		return -1;
	return cache_save_blob(f->c, &key, ret, e);
}

static int convert_layers(const struct forms *f, enum layer_type type, int64_t epoch_s,
			  const struct image_result *tar, struct image_result *ret,
			  struct err *e)
{
	for (size_t i = 0; i < tar->layers.len; i++) {
		const struct result_layer *from = &tar->layers.items[i];
		const struct fs_image_options o = {.type = type,
						   .chain_id = &from->chain_id,
						   .epoch_s = epoch_s,
						   .no_verity = f->types.no_verity[type]};
		struct result_layer to = {0};
		if (proc_interrupted(e) || convert_layer(f, &o, from, &to.blob, e) < 0)
			return -1;
		to.diff_id = to.blob.digest;
		to.created_by = from->created_by ? mem_strdup(from->created_by) : NULL;
		result_chain_id(i ? &ret->layers.items[i - 1].chain_id : NULL, &to.diff_id,
				&to.chain_id);
		vec_push(&ret->layers, to);
	}
	return 0;
}

/* The tar image's, but for what it says of the layers' bytes. */
static int convert_config(const struct build_context *c, const struct image_result *tar,
			  struct image_result *ret, struct err *e)
{
	AUTO(image_config) config = {0};
	AUTO(buf) from = BUF_INIT(LIMIT_CONFIG_BYTES);
	if (store_blob_read(&c->store, &tar->config.digest, &from, e) < 0 ||
	    image_config_parse(buf_text(&from), from.len, "image config", &config, e) < 0)
		return -1;
	BUG_IF(config.diff_ids.len != ret->layers.len);
	for (size_t i = 0; i < ret->layers.len; i++)
		config.diff_ids.items[i] = ret->layers.items[i].diff_id;
	return result_put_config(c, &config, ret, e);
}

static int convert_manifest(const struct forms *f, const struct image_result *tar,
			    struct image_result *ret, struct err *e)
{
	const struct map *from = &tar->inherit_annotations;
	for (size_t i = 0; i < from->len; i++)
		map_set_text(&ret->inherit_annotations, from->entries[i].key,
			     from->entries[i].value);
	annotation_add(f->plan->annotations_namespace, &ret->recipe, &ret->inherit_annotations);
	return result_put_manifest(f->c, ret, e);
}

static int make_form(const struct forms *f, size_t image, enum layer_type type,
		     const struct image_result *tar, struct form *form, struct err *e)
{
	const struct plan_image *p = &f->plan->images[image];
	AUTO(image_result)
	r = {.recipe = form->recipe, .inherit_annotations = MAP_INIT(free)};
	log_note("making %s layers of image %s...", layer_type_name(type), p->recipe->name);
	if (roots_ensure(f->c, &tar->layers, e) < 0 ||
	    convert_layers(f, type, p->file->stackerfile.source_date_epoch, tar, &r, e) < 0 ||
	    convert_config(f->c, tar, &r, e) < 0 || convert_manifest(f, tar, &r, e) < 0 ||
	    cache_save(f->c, &r, e) < 0)
		return err_wrap(e, "image '%s' as %s", p->recipe->name, layer_type_name(type));
	form->result = r;
	form->have = true;
	r = (struct image_result){0};
	return 0;
}

int forms_make(struct forms *f, const struct image_result *results, struct err *e)
{
	for (size_t i = 0; i < f->plan->len; i++) {
		for (size_t t = 0; t < f->types.len; t++) {
			struct form *form = form_at(f, i, t);
			if (is_form(f, i, t) && !form->have &&
			    make_form(f, i, f->types.items[t], &results[i], form, e) < 0)
				return -1;
		}
	}
	return 0;
}
