/* The verdict as an exit code and as JSON (reference/audit.md 5.4). */
#include <jansson.h>
#include <stdio.h>

#include "recipe/canon.h"
#include "util/json_write.h"
#include "util/mem.h"
#include "util/str.h"
#include "verify/verify.h"

#define REPORT_SCHEMA STACKER_BASE_URI "rebuild-report/v1"

static const struct {
	const char *name;
	int exit_code;
	int rank; /* of several images, the highest decides */
} verdicts[] = {
	[VERIFY_REPRODUCED] = {"reproduced", 0, 0},
	[VERIFY_REPRODUCED_CONTENT] = {"reproduced-content", 3, 1},
	[VERIFY_CANNOT_REBUILD] = {"cannot-rebuild", 4, 2},
	[VERIFY_DIFFERS] = {"differs", 1, 3},
	[VERIFY_TAMPERED_INPUT] = {"tampered-input", 6, 4},
};

const char *verify_verdict_name(enum verify_verdict v)
{
	BUG_IF((size_t)v >= ARRAY_LEN(verdicts));
	return verdicts[v].name;
}

int verify_exit_code(const struct verify_report *r)
{
	size_t worst = VERIFY_REPRODUCED;
	for (size_t i = 0; i < r->images.len; i++)
		if (verdicts[r->images.items[i].verdict].rank > verdicts[worst].rank)
			worst = r->images.items[i].verdict;
	return verdicts[worst].exit_code;
}

static void set_text(json_t *object, const char *key, const char *text)
{
	if (text)
		json_object_set_new(object, key, json_string(text));
}

static void set_digest(json_t *object, const char *key, const struct digest *d)
{
	char text[DIGEST_TEXT_MAX];
	if (d->alg == DIGEST_NONE)
		return;
	digest_format(d, text);
	set_text(object, key, text);
}

static void set_equal(json_t *object, const char *key, bool equal)
{
	set_text(object, key, equal ? "equal" : "differs");
}

static json_t *layers_json(const struct comparison *c)
{
	json_t *list = json_array();
	for (size_t i = 0; i < c->layers.len; i++) {
		const struct layer_comparison *l = &c->layers.items[i];
		json_t *item = json_object();
		AUTO_FREE char *n = mem_printf("%zu", i);
		set_text(item, "n", n);
		set_text(item, "step", l->step);
		set_equal(item, "diffId", l->diff_id_equal);
		set_equal(item, "blob", l->blob_equal);
		json_object_set_new(item, "files", json_integer((json_int_t)l->findings));
		json_array_append_new(list, item);
	}
	return list;
}

static json_t *findings_json(const struct finding_vec *findings)
{
	json_t *list = json_array();
	for (size_t i = 0; i < findings->len; i++) {
		const struct finding *f = &findings->items[i];
		json_t *item = json_object();
		/* Names of files are bytes; JSON is text. */
		AUTO_FREE char *path = str_printable(f->path, strlen(f->path));
		AUTO_FREE char *evidence =
			f->evidence ? str_printable(f->evidence, strlen(f->evidence)) : NULL;
		set_text(item, "path", path);
		if (f->layer >= 0)
			json_object_set_new(item, "layer", json_integer(f->layer));
		set_text(item, "kind", f->kind);
		set_text(item, "field", f->field);
		set_text(item, "cause", f->cause);
		set_text(item, "confidence", f->confidence);
		set_text(item, "evidence", evidence);
		json_array_append_new(list, item);
	}
	return list;
}

static json_t *runs_json(const struct verify_image *image)
{
	json_t *list = json_array();
	for (size_t i = 0; i < ARRAY_LEN(image->runs); i++) {
		if (image->runs[i].alg == DIGEST_NONE)
			continue;
		json_t *item = json_object();
		set_text(item, "id", i ? "B" : "A");
		set_digest(item, "manifest", &image->runs[i]);
		json_array_append_new(list, item);
	}
	return list;
}

static json_t *image_json(const struct verify_image *image)
{
	json_t *object = json_object();
	json_t *ref = json_object();
	json_t *compare = json_object();
	const struct comparison *c = &image->comparison;
	set_text(ref, "ref", image->name);
	set_digest(ref, "digest", &image->published);
	json_object_set_new(object, "image", ref);
	set_digest(object, "recipe", &image->recipe);
	set_text(object, "verdict", verify_verdict_name(image->verdict));
	set_text(object, "reason", image->reason);
	set_text(object, "detail", image->detail);
	json_object_set_new(object, "runs", runs_json(image));
	if (c->b.alg != DIGEST_NONE) {
		set_text(compare, "sides",
			 str_same(image->reason, "unstable") ? "A and B" : "published and A");
		set_equal(compare, "index", c->index_equal);
		set_equal(compare, "manifest", c->manifest_equal);
		set_equal(compare, "config", c->config_equal);
		json_object_set_new(compare, "layers", layers_json(c));
		json_object_set_new(object, "compare", compare);
	} else {
		json_decref(compare);
	}
	json_object_set_new(object, "findings", findings_json(&c->findings));
	json_object_set_new(object, "truncated", json_false());
	return object;
}

void verify_report_json(const struct verify_report *r, struct buf *out)
{
	json_t *images = json_array();
	for (size_t i = 0; i < r->images.len; i++)
		json_array_append_new(images, image_json(&r->images.items[i]));
	json_t *root = json_object();
	set_text(root, "schema", REPORT_SCHEMA);
	json_object_set_new(root, "images", images);
	json_object_set_new(
		root, "tool",
		json_pack("{s:s, s:s}", "name", "stacker", "version", STACKER_VERSION));
	json_write(root, out);
	json_decref(root);
}
