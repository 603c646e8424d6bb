/* The order of a build: evaluate, look up, fetch everything, build, then publish by tag. */
#include "build/build.h"

#include <fcntl.h>
#include <inttypes.h>

#include "build/explain.h"
#include "build/form.h"
#include "build/image.h"
#include "build/input.h"
#include "build/last.h"
#include "build/output.h"
#include "build/remote_cache.h"
#include "image/layout.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/proc.h"
#include "util/str.h"

struct build_done_vec VEC_OF(struct build_done);

/* The state of one build_run. */
struct run {
	struct build_context *c;
	struct plan plan;
	struct image_result *results; /* indexed like the plan */
	bool *have;		      /* results[i] is filled in */
	bool *cached;
	struct remote_caches remote;
	struct forms forms; /* what the wanted images are published as, beside tar */
};

static void run_cleanup(struct run *r)
{
	for (size_t i = 0; r->results && i < r->plan.len; i++)
		image_result_cleanup(&r->results[i]);
	free(r->results);
	free(r->have);
	free(r->cached);
	remote_caches_cleanup(&r->remote);
	forms_cleanup(&r->forms);
	plan_cleanup(&r->plan);
}

/* In the local cache, then in the registries' whose results are accepted. */
static int look_up_one(struct run *r, size_t i, const struct build_options *o,
		       struct digest_set *present, struct err *e)
{
	const struct plan_image *image = &r->plan.images[i];
	if (o->no_cache)
		return 0;
	if (cache_load_seen(r->c, &image->digest, present, &r->results[i], &r->have[i], e) < 0)
		return -1;
	if (r->have[i] || !o->trust_cache || image->recipe->build_only)
		return 0;
	if (remote_cache_load(&r->remote, &image->digest, &r->results[i], &r->have[i], e) < 0)
		return -1;
	if (r->have[i])
		log_note("took %s from a registry's cache", image->recipe->name);
	return 0;
}

/* Images that nobody asked for by name and that are there for others alone: where all of those
 * are at hand, they need not be built. */
static void mark_stages(const struct plan *p, const struct build_options *o, bool *ret)
{
	for (size_t i = 0; i < p->len; i++)
		for (size_t j = 0; j < p->images[i].needs_len; j++)
			ret[p->images[i].needs[j]] = true;
	for (size_t i = 0; i < p->len; i++)
		ret[i] = ret[i] && p->images[i].recipe->build_only && o->plan.names_len == 0;
}

/* Fills results from the cache and marks in `todo` what must be built, from the wanted images
 * down: what a cached image was made from is not looked at. */
static int look_up(struct run *r, const struct build_options *o, bool *todo, struct err *e)
{
	AUTO_FREE bool *need = mem_zalloc(r->plan.len + 1, sizeof(bool));
	AUTO(digest_set) present = {0};
	AUTO_FREE bool *is_stage = mem_zalloc(r->plan.len + 1, sizeof(bool));
	mark_stages(&r->plan, o, is_stage);
	for (size_t i = r->plan.len; i-- > 0;) {
		const struct plan_image *image = &r->plan.images[i];
		bool is_needed = need[i] || (image->wanted && !is_stage[i] &&
					     forms_need_tar(&r->forms, i));
		if (!is_needed && !(image->wanted && is_stage[i]))
			continue;
		if (look_up_one(r, i, o, &present, e) < 0)
			return -1;
		r->cached[i] = r->have[i];
		todo[i] = is_needed && !r->have[i];
		for (size_t j = 0; todo[i] && j < image->needs_len; j++)
			need[image->needs[j]] = true;
	}
	return 0;
}

static void tell_miss(const struct run *r, size_t i, const struct last_builds *last)
{
	enum { REASON_BYTES = 4096 };
	AUTO(explanation) x = {0};
	AUTO(buf) reason = BUF_INIT(REASON_BYTES);
	const char *name = r->plan.images[i].recipe->name;
	struct err why = ERR_INIT;
	if (explain_image(r->c, &r->plan, i, last, &x, &why) < 0) {
		log_debug("%s: cache miss that cannot be explained: %s", name, why.message);
		return;
	}
	if (x.state != EXPLAIN_CHANGED && x.state != EXPLAIN_GONE)
		return;
	explain_reason(&x, &reason);
	log_note("%s: cache miss because %s", name, buf_text(&reason));
}

/* In a line each, why what was built before must be built again; explain-miss tells more. */
static int tell_misses(const struct run *r, const bool *todo, struct err *e)
{
	for (size_t f = 0; f < r->plan.project.files.len; f++) {
		const struct project_file *file = &r->plan.project.files.items[f];
		AUTO(last_builds) last = {0};
		if (last_load(r->c, file->absolute, &last, e) < 0)
			return -1;
		for (size_t i = 0; last.len > 0 && i < r->plan.len; i++)
			if (todo[i] && r->plan.images[i].file == file)
				tell_miss(r, i, &last);
	}
	return 0;
}

static int build_missing(struct run *r, const bool *todo, struct err *e)
{
	for (size_t i = 0; i < r->plan.len; i++) {
		if (!todo[i])
			continue;
		log_note("preparing image %s...", r->plan.images[i].recipe->name);
		if (proc_interrupted(e))
			return -1;
		if (image_build(r->c, &r->plan, i, r->results, &r->results[i], e) < 0)
			return -1;
		r->have[i] = true;
	}
	return 0;
}

static int refuse_to_build(const struct run *r, const bool *todo, struct err *e)
{
	AUTO(buf) names = BUF_INIT(ERR_HINT_MAX);
	for (size_t i = 0; i < r->plan.len; i++)
		if (todo[i])
			buf_addf(&names, "%s%s", names.len ? ", " : "",
				 r->plan.images[i].recipe->name);
	if (names.len == 0)
		return 0;
	err_set(e, ERR_INPUT, "build/not-cached", "not in the cache, and not to be built: %s%s",
		buf_text(&names), names.overflowed ? ", ..." : "");
	return err_hint(e, "'stacker explain-miss' says why; --trust-cache takes what the "
			   "registries of conf.yaml have, and without --cache-only they are "
			   "built");
}

/* Each image that was built or asked for, to the caches that lack it. */
static int save_remote(struct run *r, struct err *e)
{
	for (size_t i = 0; i < r->plan.len; i++) {
		bool is_news = r->plan.images[i].wanted || !r->cached[i];
		if (!r->have[i] || r->results[i].build_only || !is_news)
			continue;
		if (remote_cache_save(&r->remote, &r->results[i], e) < 0)
			return -1;
	}
	return 0;
}

/* What is published, in the order of the layout's entries. */
struct publication {
	struct build_done_vec reports;
	struct strvec tags; /* what the reports borrow */
};

static void publication_cleanup(struct publication *p)
{
	vec_free(&p->reports);
	strvec_cleanup(&p->tags);
}

static int publish_form(const struct run *r, size_t i, enum layer_type type, struct output *out,
			struct build_done *done, struct err *e)
{
	const struct recipe_image *image = r->plan.images[i].recipe;
	const struct form *form = form_of(&r->forms, i, type);
	done->result = form ? &form->result : &r->results[i];
	done->cached = form ? form->cached : r->cached[i];
	return image->build_only ? 0 : output_put(out, done->name, image, done->result, e);
}

static int publish_image(const struct run *r, size_t i, struct output *out,
			 struct publication *p, struct err *e)
{
	const struct recipe_image *image = r->plan.images[i].recipe;
	const struct layer_types *types = &r->forms.types;
	/* A build_only image has no form but the one that it is built in. */
	size_t len = image->build_only ? 1 : types->len;
	if (image->build_only && !r->have[i]) /* a stage that nobody needed */
		return 0;
	for (size_t t = 0; t < len; t++) {
		enum layer_type type = image->build_only ? LAYER_TYPE_TAR : types->items[t];
		AUTO_FREE char *tag = layer_type_tag(image->name, type);
		strvec_push(&p->tags, tag);
		struct build_done report = {.name = p->tags.items[p->tags.len - 1]};
		if (publish_form(r, i, type, out, &report, e) < 0)
			return -1;
		vec_push(&p->reports, report);
	}
	return 0;
}

static int publish_wanted(struct run *r, void (*done)(void *ctx, const struct build_done *d),
			  void *ctx, struct err *e)
{
	AUTO(output) out = OUTPUT_INIT;
	AUTO(publication) p = {0};
	if (output_open(r->c, &out, e) < 0)
		return -1;
	for (size_t i = 0; i < r->plan.len; i++)
		if (r->plan.images[i].wanted && publish_image(r, i, &out, &p, e) < 0)
			return -1;
	if (output_commit(&out, e) < 0)
		return -1;
	for (size_t i = 0; done && i < p.reports.len; i++)
		done(ctx, &p.reports.items[i]);
	return 0;
}

/* The environment is no input: a differing date there is more likely a mistake than a wish. */
static void warn_of_epoch(const struct plan *p, const char *env_epoch)
{
	for (size_t i = 0; env_epoch && i < p->project.files.len; i++) {
		const struct stackerfile *s = &p->project.files.items[i].stackerfile;
		AUTO_FREE char *ours = mem_printf("%" PRId64, s->source_date_epoch);
		if (str_same(env_epoch, ours))
			continue;
		log_warn("SOURCE_DATE_EPOCH=%s of the environment is not used; the recipe's is "
			 "%s "
			 "(set 'source_date_epoch' under 'config')",
			 env_epoch, ours);
		return;
	}
}

/* What is accepted for the sake of old stackerfiles. */
static void warn_of_old_directives(const struct plan *p)
{
	for (size_t i = 0; i < p->len; i++) {
		const struct recipe_image *r = p->images[i].recipe;
		if (!p->images[i].needed)
			continue;
		if (r->legacy_import)
			log_warn("%s:%u: 'import' is deprecated, use 'imports': files without "
				 "'dest' are then at /stacker/imports only",
				 r->legacy_import_pos.file, r->legacy_import_pos.line);
		if (r->bom_pos.line > 0)
			log_warn("%s:%u: 'bom' has no effect", r->bom_pos.file,
				 r->bom_pos.line);
	}
}

/* What is known to be in the cache after all: what was found or built, and what that was made
 * from; the first failure, if any, must not hide what was built before. */
static int record(const struct run *r, struct err *e)
{
	AUTO_FREE bool *known = mem_zalloc(r->plan.len + 1, sizeof(bool));
	if (!r->forms.items) /* it failed before anything could be built */
		return 0;
	for (size_t i = r->plan.len; i-- > 0;) {
		known[i] = known[i] || r->have[i];
		for (size_t j = 0; j < LAYER_TYPES; j++) {
			const struct form *form = form_of(&r->forms, i, (enum layer_type)j);
			known[i] = known[i] || (form && form->have);
		}
		for (size_t j = 0; known[i] && j < r->plan.images[i].needs_len; j++)
			known[r->plan.images[i].needs[j]] = true;
	}
	return last_save(r->c, &r->plan, known, &r->forms, e);
}

static int look_up_and_build(struct run *r, const struct build_options *o, struct err *e)
{
	AUTO_FREE bool *todo = mem_zalloc(r->plan.len + 1, sizeof(bool));
	if (forms_open(&r->forms, r->c, &r->plan, &o->layer_types, e) < 0 ||
	    forms_look_up(&r->forms, o->no_cache, e) < 0 || look_up(r, o, todo, e) < 0 ||
	    (!o->no_cache && tell_misses(r, todo, e) < 0) ||
	    (o->cache_only && refuse_to_build(r, todo, e) < 0))
		return -1;
	if (input_bring_all(r->c, &r->plan, todo, e) < 0 || build_missing(r, todo, e) < 0)
		return -1;
	return forms_make(&r->forms, r->results, e);
}

int build_run(struct build_context *c, const struct build_options *options,
	      void (*done)(void *ctx, const struct build_done *d), void *ctx, struct err *e)
{
	AUTO(run) r = {.c = c, .plan = PLAN_INIT};
	if (plan_make(c, &options->plan, &r.plan, e) < 0)
		return -1;
	warn_of_epoch(&r.plan, options->env_epoch);
	warn_of_old_directives(&r.plan);
	r.results = mem_zalloc(r.plan.len + 1, sizeof(*r.results));
	r.have = mem_zalloc(r.plan.len + 1, sizeof(bool));
	r.cached = mem_zalloc(r.plan.len + 1, sizeof(bool));
	remote_caches_open(c, &r.remote);
	int built = look_up_and_build(&r, options, e);
	struct err late = ERR_INIT;
	if (record(&r, &late) < 0 && built == 0) {
		*e = late;
		return -1;
	}
	if (built < 0 || publish_wanted(&r, done, ctx, e) < 0)
		return -1;
	return save_remote(&r, e);
}
