/*
 * The walk over a stackerfile's tree: each image is read until nothing is wrong with it any
 * more, then all are put in order, then the scripts are looked at.
 */
#include "recipe/lint.h"

#include <stdlib.h>
#include <string.h>

#include "recipe/lint_internal.h"
#include "recipe/lint_script.h"
#include "recipe/lint_tree.h"
#include "recipe/order.h"
#include "recipe/schema.h"
#include "recipe/stackerfile_internal.h"
#include "util/str.h"

struct line_vec VEC_OF(uint32_t);

struct linter {
	const struct lint_options *options;
	struct lint_report *report;
	struct recipe_image_vec images;
	struct line_vec stand_ins; /* lines of placeholders that had no value */
};

static void linter_cleanup(struct linter *l)
{
	for (size_t i = 0; i < l->images.len; i++)
		recipe_image_cleanup(&l->images.items[i]);
	vec_free(&l->images);
	vec_free(&l->stand_ins);
}

static void finding_cleanup(struct lint_finding *f)
{
	free(f->file);
	free(f->id);
	free(f->message);
	free(f->hint);
	free(f->snippet);
}

void lint_report_cleanup(struct lint_report *r)
{
	for (size_t i = 0; i < r->findings.len; i++)
		finding_cleanup(&r->findings.items[i]);
	vec_free(&r->findings);
}

static char *copy(const char *text)
{
	return mem_strdup(text ? text : "");
}

void lint_add(struct lint_report *r, const struct pos *pos, enum lint_severity severity,
	      const struct lint_text *text)
{
	const struct lint_finding f = {
		.line = pos->line,
		.column = pos->column,
		.severity = severity,
		.id = copy(text->id),
		.message = copy(text->message),
		.hint = copy(text->hint),
		.snippet = copy(text->snippet),
	};

	vec_push(&r->findings, f);
	r->errors += severity == LINT_ERROR;
	r->warnings += severity == LINT_WARNING;
}

void lint_add_error(struct lint_report *r, const struct err *e)
{
	const struct pos pos = {.line = e->line, .column = e->column};
	const struct lint_text text = {e->id, e->message, e->hint, e->snippet};

	lint_add(r, &pos, LINT_ERROR, &text);
	if (e->file[0] != '\0')
		r->findings.items[r->findings.len - 1].file = mem_strdup(e->file);
}

static bool is_full(const struct lint_report *r)
{
	return r->findings.len >= LINT_FINDINGS_MAX;
}

/* Whether the user's line is one that a stand-in for a missing value got into. */
static bool has_stand_in(const struct linter *l, uint32_t line)
{
	for (size_t i = 0; i < l->stand_ins.len; i++) {
		if (l->stand_ins.items[i] == line)
			return true;
	}
	return false;
}

static void add_found(struct linter *l, const struct err *e)
{
	if (!has_stand_in(l, e->line))
		lint_add_error(l->report, e);
}

static void check_pins(struct linter *l, struct recipe_image *image)
{
	static const struct pin_locks none;
	struct pin_site site;

	for (size_t i = 0; pin_site(image, i, &site) && !is_full(l->report); i++) {
		struct err e = ERR_INIT;

		if (pin_settle(&site, l->options->locks ? l->options->locks : &none, &e) != 0)
			add_found(l, &e);
	}
}

/* The image's name has to be sound before anything else of it is read. */
static void mend_name(struct node *key)
{
	free(key->text);
	key->text = mem_printf("lint-%u-%u", key->pos.line, key->pos.column);
}

static void check_image(struct linter *l, struct node *key, struct node *value)
{
	bool going_on = true;

	while (going_on && !is_full(l->report)) {
		struct err e = ERR_INIT;
		AUTO(recipe_image) image = RECIPE_IMAGE_INIT;

		if (stackerfile_read_image(key, value, l->options->source.default_arch, &image,
					   &e) == 0) {
			check_pins(l, &image);
			vec_push(&l->images, image);
			image = (struct recipe_image){0};
			return;
		}
		add_found(l, &e);
		if (str_same(e.id, "recipe/bad-name") && lint_is_at(key, &e)) {
			mend_name(key);
			continue;
		}
		going_on = value->kind == NODE_MAPPING && lint_take_out(value, &e);
		if (going_on)
			continue;
		/* Others may need it: it stays as a name, so that they are not blamed. */
		image.from = FROM_SCRATCH;
		if (image.name) {
			vec_push(&l->images, image);
			image = (struct recipe_image){0};
		}
	}
}

static void check_config(struct linter *l, struct node *config, struct stackerfile *s)
{
	bool going_on = true;

	while (going_on && !is_full(l->report)) {
		struct err e = ERR_INIT;

		if (stackerfile_read_config(config, s, &e) == 0)
			return;
		add_found(l, &e);
		going_on = config->kind == NODE_MAPPING && lint_take_out(config, &e);
	}
}

/* An image that cannot be placed needs nothing any more, so that the next one is found. */
static bool release(struct recipe_image_vec *images, const struct err *e)
{
	for (size_t i = 0; i < images->len; i++) {
		struct recipe_image *image = &images->items[i];

		if (image->pos.line != e->line || image->pos.column != e->column)
			continue;
		recipe_image_forget_needs(image);
		return true;
	}
	return false;
}

static void check_order(struct linter *l)
{
	bool going_on = l->images.len > 0;

	while (going_on && !is_full(l->report)) {
		struct err e = ERR_INIT;

		if (order_images(&l->images, l->options->elsewhere, &e) == 0)
			return;
		add_found(l, &e);
		going_on = release(&l->images, &e);
	}
}

/* Before anything is taken out. */
static void check_scripts(struct linter *l, const struct node *root)
{
	for (size_t i = 0; i < root->len && !is_full(l->report); i++) {
		const struct node *image = root->items[i];
		const struct node *run =
			image->kind == NODE_MAPPING ? schema_get(image, "run") : NULL;

		if (run)
			lint_script(run, l->options->source.text, l->options->source.len,
				    l->report);
	}
}

static int compare_findings(const void *a, const void *b)
{
	const struct lint_finding *x = a;
	const struct lint_finding *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->column != y->column)
		return x->column < y->column ? -1 : 1;
	return x->severity != y->severity ? (int)x->severity - (int)y->severity
					  : strcmp(x->id, y->id);
}

/* What an alias repeats is one place in the file. */
static void drop_repeated(struct lint_report *r)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->findings.len; i++) {
		struct lint_finding *f = &r->findings.items[i];
		const struct lint_finding *before =
			kept > 0 ? &r->findings.items[kept - 1] : NULL;

		if (before && compare_findings(before, f) == 0 &&
		    str_same(before->message, f->message)) {
			*(f->severity == LINT_ERROR ? &r->errors : &r->warnings) -= 1;
			finding_cleanup(f);
			continue;
		}
		r->findings.items[kept++] = *f;
	}
	r->findings.len = kept;
}

void lint_sort(struct lint_report *r)
{
	if (r->findings.len > 1)
		qsort(r->findings.items, r->findings.len, sizeof(*r->findings.items),
		      compare_findings);
	drop_repeated(r);
	while (r->findings.len > LINT_FINDINGS_MAX) {
		finding_cleanup(&r->findings.items[--r->findings.len]);
		r->truncated = true;
	}
}

static void check_root(struct linter *l, struct node *root)
{
	AUTO(stackerfile) s = {0};

	check_scripts(l, root);
	for (size_t i = 0; i < root->len; i++) {
		if (!str_same(root->keys[i]->text, "config"))
			check_image(l, root->keys[i], root->items[i]);
		else if (!node_is_null(root->items[i]))
			check_config(l, root->items[i], &s);
	}
	/* What other files define is not known here. */
	if (s.prerequisites.len == 0 || l->options->elsewhere)
		check_order(l);
}

/* The key of the placeholder at a position: an owned text, or NULL. */
static char *key_at(const struct stackerfile_source *source, uint32_t line, uint32_t column)
{
	const char *at = source->text;
	const char *end = source->text + source->len;

	for (uint32_t i = 1; i < line && at; i++) {
		at = memchr(at, '\n', (size_t)(end - at));
		at = at ? at + 1 : NULL;
	}
	for (uint32_t i = 1; at && i < column && at < end; i++) {
		at++;
		while (at < end && ((unsigned char)*at & 0xc0) == 0x80)
			at++;
	}
	if (!at || end - at < 4 || memcmp(at, "${{", 3) != 0)
		return NULL;
	const char *close = memmem(at, (size_t)(end - at), "}}", 2);

	return close ? mem_strndup(at + 3, (size_t)(close - at - 3)) : NULL;
}

/* Each placeholder without a value is an error, and gets one for what follows. */
static void stand_in(struct linter *l, struct substitution_vec *given, struct err *e)
{
	const struct stackerfile_source *source = &l->options->source;
	struct stackerfile_source tried = *source;
	AUTO(yaml_document) document = {0};

	tried.substitutions = given;
	while (!is_full(l->report)) {
		*e = (struct err)ERR_INIT;
		if (stackerfile_read_yaml(&tried, &document, e) == 0 ||
		    !str_same(e->id, "recipe/no-substitution"))
			return;
		AUTO_FREE char *key = key_at(source, e->line, e->column);

		if (!key || substitution_add_default(given, key, "0", NULL) != 0)
			return;
		lint_add_error(l->report, e);
		for (uint32_t line = 1, i = 0; i < source->len; i++) {
			size_t left = source->len - i;

			if (left > 3 + strlen(key) && memcmp(source->text + i, "${{", 3) == 0 &&
			    memcmp(source->text + i + 3, key, strlen(key)) == 0)
				vec_push(&l->stand_ins, line);
			line += source->text[i] == '\n';
		}
	}
}

void lint_check(const struct lint_options *options, struct lint_report *ret)
{
	AUTO(linter) l = {.options = options, .report = ret};
	AUTO(yaml_document) document = {0};
	AUTO(stackerfile) whole = {0};
	AUTO(substitution_vec) given = {0};
	struct stackerfile_source source = options->source;
	struct err e = ERR_INIT;

	for (size_t i = 0; source.substitutions && i < source.substitutions->len; i++)
		(void)!substitution_add_default(&given, source.substitutions->items[i].key,
						source.substitutions->items[i].value, NULL);
	stand_in(&l, &given, &e);
	source.substitutions = &given;
	if (stackerfile_read_yaml(&source, &document, &e) != 0 || !document.root ||
	    document.root->kind != NODE_MAPPING || document.root->len == 0) {
		/* No map of images: bad YAML, or an empty file. */
		e = (struct err)ERR_INIT;
		if (ret->errors == 0 && stackerfile_read(&source, &whole, &e) != 0)
			lint_add_error(ret, &e);
		lint_sort(ret);
		return;
	}
	check_root(&l, document.root);
	e = (struct err)ERR_INIT;
	/* Whatever a build refuses must not pass here. */
	if (ret->errors == 0 && stackerfile_read(&source, &whole, &e) != 0)
		lint_add_error(ret, &e);
	lint_sort(ret);
}
