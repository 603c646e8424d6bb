/* Everything is looked at first, so that a stale image stops the whole and not its half. */
#include "build/publish.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "build/annotation.h"
#include "build/copy.h"
#include "build/form.h"
#include "build/project.h"
#include "image/layout.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/str.h"

#define LAYOUT_SCHEME "oci:"
#define REGISTRY_SCHEME "docker://"

enum { TAG_BYTES_MAX = 128 };

struct publishing {
	struct build_context *c;
	const struct publish_options *options;
	struct plan plan;
	struct layout layout;
	struct forms forms[2]; /* of the types that are not tar: with dm-verity, and without */
};

static void publishing_cleanup(struct publishing *p)
{
	for (size_t i = 0; i < ARRAY_LEN(p->forms); i++)
		forms_cleanup(&p->forms[i]);
	plan_cleanup(&p->plan);
	layout_cleanup(&p->layout);
}

/* One image under one tag. */
struct publication {
	char *from_tag;
	char *dest;
};

static void publication_cleanup(struct publication *p)
{
	free(p->from_tag);
	free(p->dest);
}

static int check_url(const char *url, struct err *e)
{
	bool is_layout = str_has_prefix(url, LAYOUT_SCHEME);
	const char *rest = url + strlen(is_layout ? LAYOUT_SCHEME : REGISTRY_SCHEME);
	if ((is_layout && rest[0] && !strchr(rest, ':')) ||
	    (str_has_prefix(url, REGISTRY_SCHEME) && rest[0]))
		return 0;
	err_set(e, ERR_USAGE, "publish/url", "'%s' is no place to publish to", url);
	return err_hint(e, "write docker://HOST/PATH or oci:DIRECTORY");
}

/* The grammar of the OCI distribution specification. */
static int check_tag(const char *tag, struct err *e)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_.-";
	size_t len = strlen(tag);
	if (len > 0 && len <= TAG_BYTES_MAX && tag[strspn(tag, letters)] == '\0' &&
	    tag[0] != '.' && tag[0] != '-')
		return 0;
	AUTO_FREE char *shown = str_printable(tag, len);
	return err_set(e, ERR_USAGE, "publish/tag", "'%s' is not a tag", shown);
}

static int check_type(const char *type, struct err *e)
{
	static const char *const types[] = {"tar", "squashfs", "erofs"};
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_same(type, types[i]))
			return 0;
	err_set(e, ERR_USAGE, "publish/layer-type", "there is no layer type '%s'", type);
	return err_hint(e, "it is tar, squashfs or erofs");
}

static int check_options(const struct publish_options *o, struct err *e)
{
	if (check_url(o->url, e) < 0)
		return -1;
	for (size_t i = 0; i < o->tags_len; i++)
		if (check_tag(o->tags[i], e) < 0)
			return -1;
	for (size_t i = 0; i < o->layer_types_len; i++)
		if (check_type(o->layer_types[i], e) < 0)
			return -1;
	return 0;
}

static void describe(const struct publishing *p, const char *name, const char *type,
		     const char *tag, struct publication *ret)
{
	const char *url = p->options->url;
	bool is_tar = str_same(type, "tar");
	const char *dash = is_tar ? "" : "-", *suffix = is_tar ? "" : type;
	ret->from_tag = mem_printf("%s%s%s", name, dash, suffix);
	if (str_has_prefix(url, LAYOUT_SCHEME))
		ret->dest = mem_printf("%s:%s_%s%s%s", url, name, tag, dash, suffix);
	else
		ret->dest =
			mem_printf("%s%s%s:%s%s%s", url, str_has_suffix(url, "/") ? "" : "/",
				   name, tag, dash, suffix);
}

/* Only of the files that were named, not of their prerequisites. */
static int is_named(const struct publishing *p, const struct plan_image *image, bool *ret,
		    struct err *e)
{
	const struct plan_options *o = &p->options->plan;
	*ret = false;
	for (size_t i = 0; image->wanted && !*ret && i < o->files_len; i++) {
		AUTO_FREE char *absolute = NULL;
		if (project_absolute(o->files[i], &absolute, e) < 0)
			return -1;
		*ret = str_same(absolute, image->file->absolute);
	}
	return 0;
}

static int stale(const struct plan_image *image, const char *why, struct err *e)
{
	err_set(e, ERR_POLICY, "publish/stale", "image '%s' of the layout %s",
		image->recipe->name, why);
	err_locate(e, &image->recipe->pos);
	return err_hint(e, "build it first; --force publishes what is there");
}

/* By the recipe: that of the tar image, or of its conversion, with dm-verity or without. */
static bool is_current(const struct publishing *p, const struct plan_image *image,
		       const char *type, const char *claimed)
{
	size_t index = (size_t)(image - p->plan.images);
	char recipe[DIGEST_TEXT_MAX];
	digest_format(&image->digest, recipe);
	if (str_same(type, "tar"))
		return str_same(claimed, recipe);
	for (size_t i = 0; i < ARRAY_LEN(p->forms); i++)
		for (size_t t = 0; t < p->forms[i].types.len; t++) {
			enum layer_type have = p->forms[i].types.items[t];
			if (!str_same(layer_type_name(have), type))
				continue;
			digest_format(&form_of(&p->forms[i], index, have)->recipe, recipe);
			if (str_same(claimed, recipe))
				return true;
		}
	return false;
}

/* Whether the layout holds what the stackerfile says now. */
static int check_current(const struct publishing *p, const struct plan_image *image,
			 const char *type, const char *tag, struct err *e)
{
	AUTO(descriptor) d = {0};
	AUTO(buf) text = BUF_INIT(LIMIT_MANIFEST_BYTES);
	AUTO(manifest) m = {0};
	if (layout_resolve(&p->layout, tag, NULL, NULL, &d, e) < 0) {
		if (str_same(e->id, "layout/no-such-tag"))
			err_recode(e, ERR_INPUT, "publish/not-built");
		return -1;
	}
	if (p->options->force)
		return 0;
	if (layout_blob_read(&p->layout, &d.digest, &text, e) < 0 ||
	    manifest_parse(buf_text(&text), text.len, tag, &m, e) < 0)
		return -1;
	const char *claimed = annotation_recipe(&m.annotations);
	if (!claimed)
		return stale(image, "does not say what it was made from", e);
	return is_current(p, image, type, claimed)
		       ? 0
		       : stale(image, "is not what the stackerfile says any more", e);
}

static void tell(const struct publishing *p, enum publish_step step,
		 const struct plan_image *image, const char *dest, const struct digest *digest)
{
	const struct publish_event event = {.step = step,
					    .file = image->file->path,
					    .image = image->recipe->name,
					    .dest = dest,
					    .digest = digest};
	p->options->event(p->options->ctx, &event);
}

static int copy(const struct publishing *p, const struct plan_image *image,
		const struct publication *what, struct err *e)
{
	AUTO_FREE char *from =
		mem_printf(LAYOUT_SCHEME "%s:%s", p->c->dirs.oci, what->from_tag);
	const struct copy_options options = {
		.from = from, .to = what->dest, .to_insecure = p->options->insecure};
	struct copy_report report = {0};
	tell(p, PUBLISH_BEGUN, image, what->dest, NULL);
	if (copy_image(p->c, &options, &report, e) < 0)
		return -1;
	tell(p, PUBLISH_DONE, image, what->dest, &report.digest);
	return 0;
}

enum pass { PASS_CHECK, PASS_PUBLISH };

static int visit(const struct publishing *p, const struct plan_image *image, const char *type,
		 const char *tag, enum pass pass, struct err *e)
{
	AUTO(publication) what = {0};
	describe(p, image->recipe->name, type, tag, &what);
	if (p->options->show_only) {
		if (pass == PASS_PUBLISH)
			tell(p, PUBLISH_WOULD, image, what.dest, NULL);
		return 0;
	}
	return pass == PASS_CHECK ? check_current(p, image, type, what.from_tag, e)
				  : copy(p, image, &what, e);
}

static int visit_image(const struct publishing *p, const struct plan_image *image,
		       enum pass pass, struct err *e)
{
	static const char *const tar[] = {"tar"};
	const struct publish_options *o = p->options;
	const char *const *types = o->layer_types_len ? o->layer_types : tar;
	size_t types_len = o->layer_types_len ? o->layer_types_len : ARRAY_LEN(tar);
	bool named;
	if (is_named(p, image, &named, e) < 0)
		return -1;
	if (!named)
		return 0;
	if (image->recipe->build_only) {
		if (pass == PASS_PUBLISH)
			tell(p, PUBLISH_SKIPPED, image, NULL, NULL);
		return 0;
	}
	for (size_t i = 0; i < types_len; i++)
		for (size_t j = 0; j < o->tags_len; j++)
			if (visit(p, image, types[i], o->tags[j], pass, e) < 0)
				return -1;
	return 0;
}

static int visit_all(const struct publishing *p, enum pass pass, struct err *e)
{
	for (size_t i = 0; i < p->plan.len; i++)
		if (visit_image(p, &p->plan.images[i], pass, e) < 0)
			return -1;
	return 0;
}

/* The recipes of conversions name the tools that make them, which have to be here for that. */
static int open_forms(struct publishing *p, struct err *e)
{
	const struct publish_options *o = p->options;
	AUTO(strvec) names = {0};
	for (size_t i = 0; i < o->layer_types_len; i++)
		if (!str_same(o->layer_types[i], "tar"))
			strvec_push(&names, o->layer_types[i]);
	/* They are asked for their versions in a worker. */
	if (names.len > 0 && sandbox_idmap_find(&p->c->idmap, e) < 0)
		return -1;
	for (size_t i = 0; names.len > 0 && i < ARRAY_LEN(p->forms); i++) {
		struct layer_types types = {0};
		if (layer_types_add(&types, &names, i > 0, e) < 0 ||
		    forms_open(&p->forms[i], p->c, &p->plan, &types, e) < 0)
			return -1;
	}
	return 0;
}

int publish_run(struct build_context *c, const struct publish_options *options, struct err *e)
{
	AUTO(publishing)
	p = {.c = c, .options = options, .plan = PLAN_INIT, .layout = LAYOUT_INIT};
	if (check_options(options, e) < 0 || plan_make(c, &options->plan, &p.plan, e) < 0 ||
	    (!options->show_only && !options->force && open_forms(&p, e) < 0) ||
	    (!options->show_only && layout_open(AT_FDCWD, c->dirs.oci, &p.layout, e) < 0) ||
	    visit_all(&p, PASS_CHECK, e) < 0)
		return -1;
	c->registry.credential = options->credential;
	int r = visit_all(&p, PASS_PUBLISH, e);
	c->registry.credential = NULL;
	return r;
}
