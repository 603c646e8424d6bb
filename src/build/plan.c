/* Evaluating stackerfiles: which images are needed, what each is made of, its recipe digest.
 */
#include "build/plan.h"

#include <fcntl.h>
#include <string.h>

#include "build/annotation.h"
#include "build/limits.h"
#include "image/compress.h"
#include "image/layout.h"
#include "inputs/local.h"
#include "inputs/reference.h"
#include "inputs/url.h"
#include "recipe/canon.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

void plan_cleanup(struct plan *p)
{
	free(p->annotations_namespace);
	for (size_t i = 0; i < p->len; i++) {
		free(p->images[i].canonical);
		free(p->images[i].imports);
		free(p->images[i].needs);
	}
	free(p->images);
	free(p->limits);
	free(p->names);
	project_cleanup(&p->project);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct plan_name *)a)->text, ((const struct plan_name *)b)->text);
}

/* By bisection: unlike hashing, no choice of names makes that slow. */
size_t plan_index(const struct plan *p, const char *name)
{
	const struct plan_name key = {.text = name};
	const struct plan_name *found =
		p->len ? bsearch(&key, p->names, p->len, sizeof(key), compare_names) : NULL;
	return found ? found->index : p->len;
}

static int compare_index(const void *a, const void *b)
{
	size_t x = *(const size_t *)a;
	size_t y = *(const size_t *)b;
	return (x > y) - (x < y);
}

static void add_need(struct plan_image *image, size_t need)
{
	for (size_t i = 0; i < image->needs_len; i++)
		if (image->needs[i] == need)
			return;
	image->needs = mem_realloc_array(image->needs, image->needs_len + 1, sizeof(size_t));
	image->needs[image->needs_len++] = need;
}

/* Names are known to exist: project_read ordered the images by them. */
static void link_images(struct plan *p)
{
	for (size_t i = 0; i < p->len; i++) {
		struct plan_image *image = &p->images[i];
		const struct recipe_image *r = image->recipe;
		if (r->from == FROM_BUILT)
			add_need(image, plan_index(p, r->from_image));
		if (r->from == FROM_TAR && r->from_source.kind == SOURCE_STACKER)
			add_need(image, plan_index(p, r->from_source.image));
		for (size_t j = 0; j < r->imports.len; j++) {
			const struct recipe_source *s = &r->imports.items[j].source;
			if (s->kind == SOURCE_STACKER)
				add_need(image, plan_index(p, s->image));
		}
		if (image->needs_len > 1) /* qsort may not be handed NULL */
			qsort(image->needs, image->needs_len, sizeof(size_t), compare_index);
	}
}

static void mark_needed(struct plan *p)
{
	/* Dependencies come first in build order, so one pass from the end reaches all. */
	for (size_t i = p->len; i-- > 0;) {
		struct plan_image *image = &p->images[i];
		image->needed = image->needed || image->wanted;
		for (size_t j = 0; image->needed && j < image->needs_len; j++)
			p->images[image->needs[j]].needed = true;
	}
}

static int no_such_image(const struct plan *p, const struct plan_options *options,
			 const char *name, struct err *e)
{
	AUTO(buf) names = BUF_INIT(ERR_HINT_MAX);
	for (size_t i = 0; i < p->len; i++)
		buf_addf(&names, "%s%s", i ? ", " : "", p->images[i].recipe->name);
	err_set(e, ERR_USAGE, "build/no-such-image", "image '%s' is not in '%s'%s", name,
		options->files[0],
		p->project.files.len > 1 ? ", its prerequisites or the other stackerfiles"
					 : "");
	return err_hint(e, "it has: %s", buf_text(&names));
}

static int mark_wanted(struct plan *p, const struct plan_options *options, struct err *e)
{
	for (size_t i = 0; i < options->names_len; i++) {
		size_t index = plan_index(p, options->names[i]);
		if (index == p->len)
			return no_such_image(p, options, options->names[i], e);
		p->images[index].wanted = true;
	}
	for (size_t i = 0; options->names_len == 0 && i < p->len; i++)
		p->images[i].wanted = true;
	mark_needed(p);
	return 0;
}

static int resolve_oci_base(const struct recipe_image *r, struct digest *ret, struct err *e)
{
	AUTO(layout) layout = LAYOUT_INIT;
	AUTO(descriptor) found = {0};
	if (layout_open(AT_FDCWD, r->from_layout, &layout, e) < 0) {
		err_hint(e, "the path of a layout starts from the working directory");
		return err_locate(e, &r->from_pos);
	}
	if (layout_resolve(&layout, r->from_ref, r->os, r->arch, &found, e) < 0)
		return err_locate(e, &r->from_pos);
	*ret = found.digest;
	return 0;
}

/* By the digest as it is pinned, of an index or a manifest: nothing is looked up. */
static int resolve_docker_base(const struct recipe_image *r, struct digest *ret, struct err *e)
{
	AUTO(reference) where = {0};
	if (reference_parse(r->from_url, &where, e) < 0)
		return err_locate(e, &r->from_pos);
	BUG_IF(r->from_digest.alg == DIGEST_NONE); /* pins were settled */
	*ret = r->from_digest;
	return 0;
}

/* Also of what is in the store already: a URL with a password in it must not get into anything
 * that is printed or kept (SEC ST10). */
static int check_urls(const struct recipe_source *s, struct err *e)
{
	for (size_t i = 0; i < s->urls.len; i++) {
		AUTO(url) u = {0};
		if (url_parse(s->urls.items[i], &u, e) < 0)
			return err_locate(e, &s->pos);
	}
	return 0;
}

/* `dir_fd` is where a local path starts from. */
static int resolve_source(struct build_context *c, const struct plan *p, int dir_fd,
			  const struct recipe_source *s, struct digest *ret, struct err *e)
{
	switch (s->kind) {
	case SOURCE_LOCAL:
		if (local_snapshot(c->state_fd >= 0 ? &c->store : NULL, dir_fd, s->path,
				   s->contents, &s->hash, ret, e) < 0)
			return err_locate(e, &s->pos);
		return 0;
	case SOURCE_URL:
		if (check_urls(s, e) < 0)
			return -1;
		*ret = s->hash;
		return 0;
	case SOURCE_STACKER:
		*ret = p->images[plan_index(p, s->image)].digest;
		return 0;
	}
	BUG_IF(true);
}

static int resolve_base(struct build_context *c, const struct plan *p,
			const struct recipe_image *r, struct digest *ret, struct err *e)
{
	switch (r->from) {
	case FROM_SCRATCH:
		*ret = (struct digest){0};
		return 0;
	case FROM_DOCKER:
		return resolve_docker_base(r, ret, e);
	case FROM_OCI:
		return resolve_oci_base(r, ret, e);
	case FROM_BUILT:
		*ret = p->images[plan_index(p, r->from_image)].digest;
		return 0;
	case FROM_TAR: /* relative to the working directory, as upstream (U25) */
		return resolve_source(c, p, AT_FDCWD, &r->from_source, ret, e);
	}
	BUG_IF(true);
}

/* The recipe's bytes, of what is resolved already. */
static int canonicalise(const struct build_context *c, const struct plan *p,
			const struct plan_image *image, const struct recipe_layers *layers,
			struct buf *ret, struct err *e)
{
	const struct recipe_image *r = image->recipe;
	bool is_default = str_same(p->annotations_namespace, ANNOTATION_NAMESPACE);
	const struct recipe_resolution resolution = {
		.base = image->base,
		.imports = image->imports,
		.imports_len = r->imports.len,
		.policy = c->policy_digest,
		.source_date_epoch = image->file->stackerfile.source_date_epoch,
		.zstd_version = compress_zstd_version(),
		.annotations_namespace = is_default ? NULL : p->annotations_namespace,
		.layers = layers,
	};
	if (recipe_canon(r, &resolution, ret, e) < 0 || buf_check(ret, "recipe", e) < 0)
		return err_locate(e, &r->pos);
	return 0;
}

int plan_layers_digest(const struct build_context *c, const struct plan *p, size_t index,
		       const struct recipe_layers *layers, struct digest *ret, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	if (canonicalise(c, p, &p->images[index], layers, &text, e) < 0)
		return -1;
	digest_bytes(DIGEST_SHA256, text.data, text.len, ret);
	return 0;
}

static int evaluate(struct build_context *c, struct plan *p, struct plan_image *image,
		    struct err *e)
{
	const struct recipe_image *r = image->recipe;
	if (annotation_check(r, e) < 0 || resolve_base(c, p, r, &image->base, e) < 0)
		return -1;
	image->imports = mem_zalloc(r->imports.len + 1, sizeof(struct digest));
	for (size_t i = 0; i < r->imports.len; i++)
		if (resolve_source(c, p, image->file->dir_fd, &r->imports.items[i].source,
				   &image->imports[i], e) < 0)
			return -1;
	AUTO(buf) text = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	if (canonicalise(c, p, image, NULL, &text, e) < 0)
		return -1;
	digest_bytes(DIGEST_SHA256, text.data, text.len, &image->digest);
	image->canonical = buf_take(&text);
	return 0;
}

static void collect_images(struct plan *p)
{
	const struct project_files *files = &p->project.files;
	for (size_t i = 0; i < files->len; i++)
		p->len += files->items[i].stackerfile.images.len;
	p->images = mem_zalloc(p->len + 1, sizeof(*p->images));
	p->names = mem_zalloc(p->len + 1, sizeof(*p->names));
	size_t n = 0;
	for (size_t i = 0; i < files->len; i++) {
		const struct recipe_image_vec *images = &files->items[i].stackerfile.images;
		for (size_t k = 0; k < images->len; k++, n++) {
			p->images[n].recipe = &images->items[k];
			p->images[n].file = &files->items[i];
			p->images[n].limits = &p->limits[i];
			p->names[n] = (struct plan_name){images->items[k].name, n};
		}
	}
	qsort(p->names, p->len, sizeof(*p->names), compare_names);
}

static int decide_limits(const struct build_context *c, struct plan *p, struct err *e)
{
	const struct project_files *files = &p->project.files;
	p->limits = mem_zalloc(files->len, sizeof(*p->limits));
	for (size_t i = 0; i < files->len; i++)
		if (limits_decide(&files->items[i].stackerfile.limits, &c->policy,
				  &p->limits[i], e) < 0)
			return -1;
	return 0;
}

int plan_make(struct build_context *c, const struct plan_options *options, struct plan *p,
	      struct err *e)
{
	const struct project_options project = {.files = options->files,
						.files_len = options->files_len,
						.default_arch = build_machine_arch(),
						.substitutions = options->substitutions};
	const char *name_space = options->annotations_namespace ? options->annotations_namespace
								: ANNOTATION_NAMESPACE;
	if (annotation_namespace_check(name_space, e) < 0 ||
	    project_read(&project, &p->project, e) < 0 || decide_limits(c, p, e) < 0)
		return -1;
	p->annotations_namespace = mem_strdup(name_space);
	collect_images(p);
	link_images(p);
	if (mark_wanted(p, options, e) < 0)
		return -1;
	for (size_t i = 0; i < p->len; i++)
		if (p->images[i].needed && evaluate(c, p, &p->images[i], e) < 0)
			return -1;
	return 0;
}

void plan_closure_of(const struct plan *p, size_t image, struct plan_closure *ret)
{
	AUTO_FREE bool *in = mem_zalloc(p->len + 1, sizeof(bool));
	in[image] = true;
	for (size_t i = image + 1; i-- > 0;)
		for (size_t j = 0; in[i] && j < p->images[i].needs_len; j++)
			in[p->images[i].needs[j]] = true;
	for (size_t i = 0; i <= image; i++)
		if (in[i])
			vec_push(ret, i);
}
