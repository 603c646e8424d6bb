/* From rebuilds and comparisons to one verdict an image. */
#include "verify/verify.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "build/annotation.h"
#include "build/form.h"
#include "build/plan.h"
#include "build/result.h"
#include "inputs/local.h"
#include "util/clock.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/proc.h"
#include "util/str.h"
#include "verify/lister.h"
#include "verify/rebuild.h"

struct verification {
	struct build_context *c;
	struct plan plan;
	struct layout published;
	struct rebuild runs[2];
};

static void verification_cleanup(struct verification *v)
{
	rebuild_cleanup(&v->runs[0]);
	rebuild_cleanup(&v->runs[1]);
	layout_cleanup(&v->published);
	plan_cleanup(&v->plan);
}

static void verify_image_free(struct verify_image *i)
{
	free(i->name);
	free(i->detail);
	comparison_cleanup(&i->comparison);
}

void verify_report_cleanup(struct verify_report *r)
{
	for (size_t i = 0; i < r->images.len; i++)
		verify_image_free(&r->images.items[i]);
	vec_free(&r->images);
}

static void conclude(struct verify_image *image, enum verify_verdict verdict,
		     const char *reason, const char *detail)
{
	image->verdict = verdict;
	image->reason = reason;
	free(image->detail);
	image->detail = detail ? mem_strdup(detail) : NULL;
}

/* Another machine, or more room, may do better. */
static bool is_resource_limit(const char *id)
{
	static const char *const ids[] = {"sandbox/memory-limit", "sandbox/process-limit",
					  "sandbox/disk-limit",	  "sandbox/file-limit",
					  "sandbox/log-limit",	  "sandbox/disk-reserve"};
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		if (str_same(id, ids[i]))
			return true;
	return false;
}

/* A failed rebuild is no verdict on the image, unless an input was there with wrong bytes. */
static int conclude_failure(struct verify_image *image, const struct err *why, struct err *e)
{
	if (why->code == ERR_INTERRUPTED || why->code == ERR_USAGE || why->code == ERR_BUG) {
		*e = *why;
		return -1;
	}
	if (why->code == ERR_MISMATCH) {
		conclude(image, VERIFY_TAMPERED_INPUT, NULL, why->message);
		return 0;
	}
	const char *reason = "build-failed";
	if (why->code == ERR_INPUT && str_has_prefix(why->id, "fetch/"))
		reason = "input-gone";
	else if (str_same(why->id, "sandbox/time-limit"))
		reason = "timeout";
	else if (is_resource_limit(why->id))
		reason = "resource";
	else if (why->code == ERR_SANDBOX && !str_same(why->id, "step/failed"))
		reason = "platform-unsupported";
	conclude(image, VERIFY_CANNOT_REBUILD, reason, why->message);
	return 0;
}

static int check_blob(const struct verification *v, const struct digest *d, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	if (!store_has(&v->c->store, d))
		return 0; /* absent: the rebuild fetches it */
	return store_blob_open_checked(&v->c->store, d, &fd, NULL, e);
}

static int check_source(const struct verification *v, const struct recipe_source *s,
			const struct digest *d, struct err *e)
{
	if (s->kind == SOURCE_STACKER)
		return 0;
	if (check_blob(v, d, e) < 0)
		return err_wrap(e, "input '%s'", s->text);
	if (s->kind == SOURCE_URL)
		return 0;
	AUTO(local_tree) tree = {0};
	if (local_tree_load(&v->c->store, d, &tree, e) < 0)
		return -1;
	for (size_t i = 0; i < tree.len; i++)
		if (tree.items[i].type == LOCAL_FILE &&
		    check_blob(v, &tree.items[i].digest, e) < 0)
			return err_wrap(e, "input '%s'", s->text);
	return 0;
}

/* Blobs that an earlier build left in the store and that a later one would use. */
static int check_cached(const struct verification *v, const char *name,
			const struct digest *recipe, struct err *e)
{
	AUTO(image_result) cached = {0};
	bool hit = false;
	if (cache_load(v->c, recipe, &cached, &hit, e) < 0)
		return -1;
	if (!hit)
		return 0;
	for (size_t i = 0; i < cached.layers.len; i++)
		if (check_blob(v, &cached.layers.items[i].blob.digest, e) < 0)
			return err_wrap(e, "cached layer of image '%s'", name);
	if (cached.inherit_config.alg != DIGEST_NONE &&
	    check_blob(v, &cached.inherit_config, e) < 0)
		return err_wrap(e, "cached config of image '%s'", name);
	if (!cached.build_only && (check_blob(v, &cached.config.digest, e) < 0 ||
				   check_blob(v, &cached.manifest.digest, e) < 0))
		return err_wrap(e, "cached image '%s'", name);
	return 0;
}

/* Hashes everything in the store that the image is made from. */
static int check_store(const struct verification *v, size_t index, struct err *e)
{
	struct plan_closure closure = {0};
	plan_closure_of(&v->plan, index, &closure);
	int result = 0;
	for (size_t k = 0; k < closure.len && result == 0; k++) {
		const struct plan_image *image = &v->plan.images[closure.items[k]];
		const struct recipe_image *r = image->recipe;
		if (r->from == FROM_TAR)
			result = check_source(v, &r->from_source, &image->base, e);
		for (size_t j = 0; result == 0 && j < r->imports.len; j++)
			result = check_source(v, &r->imports.items[j].source,
					      &image->imports[j], e);
		if (result == 0)
			result = check_cached(v, r->name, &image->digest, e);
	}
	vec_free(&closure);
	return result;
}

static int compare_with(const struct verification *v, const struct recipe_image *r,
			const char *tag, const struct layout *a, const struct layout *b,
			struct comparison *ret, struct err *e)
{
	const struct compare_side sa = {.layout = a, .tag = tag, .os = r->os, .arch = r->arch};
	const struct compare_side sb = {.layout = b, .tag = tag, .os = r->os, .arch = r->arch};
	return compare_images(v->c, &sa, &sb, ret, e);
}

/* Trees in roots/ that a later build would run on, against those just unpacked. */
static int check_roots(const struct verification *v, struct verify_image *image, struct err *e)
{
	AUTO_CLOSE int fresh = -1;
	if (path_open_dir(AT_FDCWD, v->runs[0].roots, &fresh, e) < 0)
		return -1;
	struct finding_vec damaged = {0};
	if (lister_compare_roots(v->c, v->c->roots_fd, fresh, &damaged, e) < 0) {
		findings_cleanup(&damaged);
		return -1;
	}
	if (damaged.len == 0)
		return 0;
	AUTO_FREE char *detail = mem_printf(
		"%zu cached file(s) differ from their layers, first '%s'; remove '%s'",
		damaged.len, damaged.items[0].path, v->c->dirs.roots);
	findings_cleanup(&image->comparison.findings);
	image->comparison.findings = damaged;
	conclude(image, VERIFY_TAMPERED_INPUT, NULL, detail);
	return 0;
}

static bool only_config_differs(const struct comparison *c)
{
	for (size_t i = 0; i < c->layers.len; i++)
		if (!c->layers.items[i].diff_id_equal)
			return false;
	return !c->config_equal && !c->damaged;
}

/* What the published manifest says it was made from, if it says so. */
static bool recipe_differs(const struct verification *v, const struct verify_image *image,
			   struct digest *ret_claimed)
{
	AUTO(buf) text = BUF_INIT(LIMIT_MANIFEST_BYTES);
	AUTO(manifest) manifest = {0};
	struct err ignored = ERR_INIT; /* an unreadable manifest is a finding already */
	if (layout_blob_read(&v->published, &image->published, &text, &ignored) < 0 ||
	    manifest_parse(buf_text(&text), text.len, "manifest", &manifest, &ignored) < 0)
		return false;
	const char *claimed = annotation_recipe(&manifest.annotations);
	return claimed && digest_parse(claimed, ret_claimed, &ignored) == 0 &&
	       !digest_eq(ret_claimed, &image->recipe);
}

static void conclude_comparison(const struct verification *v, struct verify_image *image)
{
	const struct comparison *c = &image->comparison;
	struct digest claimed;
	if (comparison_equal(c)) {
		conclude(image, VERIFY_REPRODUCED, NULL, NULL);
	} else if (comparison_content_equal(c)) {
		conclude(image, VERIFY_REPRODUCED_CONTENT, NULL,
			 "only the layers' compression or the manifest's bytes differ");
	} else if (c->damaged) {
		conclude(image, VERIFY_DIFFERS, "mismatch",
			 "a blob in the layout does not hash to its name");
	} else if (recipe_differs(v, image, &claimed)) {
		char text[DIGEST_TEXT_MAX];
		digest_format(&claimed, text);
		AUTO_FREE char *detail = mem_printf("the image names recipe %s, which is not "
						    "what the stackerfile evaluates to",
						    text);
		conclude(image, VERIFY_DIFFERS, "mismatch", detail);
	} else if (only_config_differs(c)) {
		conclude(image, VERIFY_DIFFERS, "metadata-only", NULL);
	} else {
		conclude(image, VERIFY_DIFFERS, "mismatch",
			 "both rebuilds agree with each other: the published bytes do not come "
			 "from "
			 "these inputs");
	}
}

static int judge(struct verification *v, const struct recipe_image *r,
		 struct verify_image *image, struct err *e)
{
	AUTO(layout) a = LAYOUT_INIT;
	AUTO(layout) b = LAYOUT_INIT;
	AUTO(comparison) runs = {0};
	if (layout_open(AT_FDCWD, v->runs[0].oci, &a, e) < 0 ||
	    layout_open(AT_FDCWD, v->runs[1].oci, &b, e) < 0 ||
	    compare_with(v, r, image->name, &a, &b, &runs, e) < 0)
		return -1;
	image->runs[0] = runs.a;
	image->runs[1] = runs.b;
	if (!comparison_equal(&runs)) {
		image->comparison = runs;
		runs = (struct comparison){0};
		conclude(image, VERIFY_DIFFERS, "unstable",
			 "two rebuilds of one recipe differ: a step is not deterministic");
		return 0;
	}
	if (compare_with(v, r, image->name, &v->published, &a, &image->comparison, e) < 0)
		return -1;
	conclude_comparison(v, image);
	return image->verdict == VERIFY_REPRODUCED ? check_roots(v, image, e) : 0;
}

/* Time of day cannot be varied, only passed: no step of the second rebuild may run in a second
 * in which one of the first did, or `date > file` would look stable on a fast machine. */
static int wait_for_next_second(struct err *e)
{
	int64_t now = clock_wall_s();
	struct pollfd interrupt = {.fd = proc_interrupt_fd(), .events = POLLIN};
	while (clock_wall_s() == now)
		if (poll(&interrupt, 1, 20) > 0 && proc_interrupted(e))
			return -1;
	return 0;
}

/* The images of one recipe: one a layer type. */
struct verify_set {
	struct layer_types types;
	struct verify_image *images[LAYER_TYPES]; /* one a type */
};

/* Whether the image says that it was built with --no-verity: by its recipe, since a base's
 * layers, which are taken as they are, tell nothing. */
static int find_verity(const struct verification *v, size_t index, enum layer_type type,
		       const struct descriptor *published, bool *ret_none, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_MANIFEST_BYTES);
	AUTO(manifest) manifest = {0};
	AUTO(forms) without = {.c = NULL};
	struct err ignored = ERR_INIT; /* what cannot be read is a finding later */
	struct layer_types types = {.items = {type}, .len = 1};
	struct digest claimed;
	types.no_verity[type] = true;
	*ret_none = false;
	if (layout_blob_read(&v->published, &published->digest, &text, &ignored) < 0 ||
	    manifest_parse(buf_text(&text), text.len, "manifest", &manifest, &ignored) < 0)
		return 0;
	const char *claim = annotation_recipe(&manifest.annotations);
	if (!claim || digest_parse(claim, &claimed, &ignored) < 0)
		return 0;
	if (forms_open(&without, v->c, &v->plan, &types, e) < 0)
		return -1;
	*ret_none = digest_eq(&form_of(&without, index, type)->recipe, &claimed);
	return 0;
}

/* The types under whose tags the layout holds the image; tar if under none, whose absence then
 * is the error. */
static int find_types(const struct verification *v, size_t index, struct layer_types *ret,
		      struct err *e)
{
	const struct recipe_image *r = v->plan.images[index].recipe;
	*ret = (struct layer_types){0};
	for (size_t i = 0; i < LAYER_TYPES; i++) {
		enum layer_type type = (enum layer_type)i;
		AUTO_FREE char *tag = layer_type_tag(r->name, type);
		AUTO(descriptor) entry = {0};
		struct err why = ERR_INIT;
		bool found =
			layout_resolve(&v->published, tag, r->os, r->arch, &entry, &why) == 0;
		if (!found && str_same(why.id, "layout/no-such-tag"))
			continue;
		if (!found && why.code != ERR_MISMATCH) {
			*e = why;
			return -1;
		}
		ret->items[ret->len++] = type;
		if (found && type != LAYER_TYPE_TAR &&
		    find_verity(v, index, type, &entry, &ret->no_verity[type], e) < 0)
			return -1;
	}
	if (ret->len == 0)
		ret->items[ret->len++] = LAYER_TYPE_TAR;
	return 0;
}

static int conclude_all(const struct verify_set *set, const struct err *why, struct err *e)
{
	for (size_t t = 0; t < set->types.len; t++)
		if (conclude_failure(set->images[t], why, e) < 0)
			return -1;
	return 0;
}

/* What is published, and what it should have been made from. */
static int identify(struct verification *v, size_t index, const struct forms *forms,
		    const struct verify_set *set, struct err *e)
{
	const struct plan_image *p = &v->plan.images[index];
	for (size_t t = 0; t < set->types.len; t++) {
		struct verify_image *image = set->images[t];
		const struct form *form = form_of(forms, index, set->types.items[t]);
		AUTO(descriptor) entry = {0};
		struct err why = ERR_INIT;
		image->recipe = form ? form->recipe : p->digest;
		if (layout_resolve(&v->published, image->name, p->recipe->os, p->recipe->arch,
				   &entry, &why) < 0 &&
		    why.code != ERR_MISMATCH) { /* not there: nothing to verify */
			*e = why;
			return -1;
		}
		image->published = entry.digest;
	}
	return 0;
}

static int check_forms(const struct verification *v, const struct verify_set *set,
		       struct err *e)
{
	for (size_t t = 0; t < set->types.len; t++)
		if (check_cached(v, set->images[t]->name, &set->images[t]->recipe, e) < 0)
			return -1;
	return 0;
}

static int rebuild_both(struct verification *v, const struct plan_image *p,
			const struct layer_types *types, const struct verify_options *options,
			struct err *e)
{
	for (int run = 0; run < 2; run++) {
		if (run > 0 && wait_for_next_second(e) < 0)
			return -1;
		if (options->progress)
			options->progress(options->ctx, p->recipe->name, run ? 'B' : 'A');
		if (rebuild_run(&v->runs[run], p->recipe->name, types, e) < 0)
			return -1;
	}
	return 0;
}

static int verify_set(struct verification *v, size_t index,
		      const struct verify_options *options, const struct verify_set *set,
		      struct err *e)
{
	const struct plan_image *p = &v->plan.images[index];
	AUTO(forms) forms = {.c = NULL};
	struct err why = ERR_INIT;
	if (forms_open(&forms, v->c, &v->plan, &set->types, &why) < 0)
		return conclude_all(set, &why, e);
	if (identify(v, index, &forms, set, e) < 0)
		return -1;
	if (check_store(v, index, &why) < 0 || check_forms(v, set, &why) < 0 ||
	    rebuild_both(v, p, &set->types, options, &why) < 0)
		return conclude_all(set, &why, e);
	for (size_t t = 0; t < set->types.len; t++)
		if (judge(v, p->recipe, set->images[t], e) < 0)
			return -1;
	return 0;
}

static struct verify_image *add_image(struct verify_report *r, const char *name)
{
	vec_push(&r->images, ((struct verify_image){.name = mem_strdup(name)}));
	return &r->images.items[r->images.len - 1];
}

/* A local input that no longer has its pinned bytes stops evaluation before any rebuild. */
static int plan_failed(const struct verify_options *options, const struct err *why,
		       struct verify_report *ret, struct err *e)
{
	if (why->code != ERR_MISMATCH) {
		*e = *why;
		return -1;
	}
	const char *all = "*";
	const struct plan_options *plan = &options->plan;
	const char *const *names = plan->names_len ? plan->names : &all;
	size_t len = plan->names_len ? plan->names_len : 1;
	for (size_t i = 0; i < len; i++)
		conclude(add_image(ret, names[i]), VERIFY_TAMPERED_INPUT, NULL, why->message);
	return 0;
}

static int verify_one(struct verification *v, size_t index,
		      const struct verify_options *options, struct verify_report *ret,
		      struct err *e)
{
	const char *name = v->plan.images[index].recipe->name;
	struct verify_set set;
	struct err why = ERR_INIT;
	size_t first = ret->images.len;
	if (find_types(v, index, &set.types, &why) < 0) {
		if (why.code == ERR_SANDBOX) /* the tool is missing */
			return conclude_failure(add_image(ret, name), &why, e);
		*e = why;
		return -1;
	}
	for (size_t t = 0; t < set.types.len; t++) {
		AUTO_FREE char *tag = layer_type_tag(name, set.types.items[t]);
		add_image(ret, tag);
	}
	for (size_t t = 0; t < set.types.len; t++)
		set.images[t] = &ret->images.items[first + t];
	return verify_set(v, index, options, &set, e);
}

static int verify_wanted(struct verification *v, const struct verify_options *options,
			 struct verify_report *ret, struct err *e)
{
	for (size_t i = 0; i < v->plan.len; i++) {
		const struct plan_image *p = &v->plan.images[i];
		if (!p->wanted)
			continue;
		if (p->recipe->build_only) {
			if (options->plan.names_len == 0)
				continue;
			err_set(e, ERR_USAGE, "verify/build-only",
				"image '%s' is build_only: it is not published",
				p->recipe->name);
			return err_hint(e, "verify the images that are made from it");
		}
		if (verify_one(v, i, options, ret, e) < 0)
			return -1;
	}
	if (ret->images.len == 0)
		return err_set(e, ERR_USAGE, "verify/nothing", "'%s' publishes no image",
			       options->plan.files[0]);
	return 0;
}

int verify_run(struct build_context *c, const struct verify_options *options,
	       struct verify_report *ret, struct err *e)
{
	AUTO(verification) v = {.c = c, .plan = PLAN_INIT, .published = LAYOUT_INIT};
	struct err why = ERR_INIT;
	if (rebuild_clear(c, e) < 0)
		return -1;
	if (layout_open(AT_FDCWD, c->dirs.oci, &v.published, e) < 0)
		return err_hint(e, "'stacker build' makes it; --oci-dir names another one");
	if (plan_make(c, &options->plan, &v.plan, &why) < 0)
		return plan_failed(options, &why, ret, e);
	rebuild_init(&v.runs[0], c, &options->plan, "a", &vary_none);
	rebuild_init(&v.runs[1], c, &options->plan, "b/with-a-longer-path/than-the-first",
		     &vary_all);
	if (verify_wanted(&v, options, ret, e) < 0) {
		struct err ignored = ERR_INIT; /* the next verify clears what cannot be now */
		(void)!rebuild_clear(c, &ignored);
		return -1;
	}
	return rebuild_clear(c, e);
}
