/* See explain.h. Both recipes are canonical JSON, so equal members are equal in every byte. */
#include "build/explain.h"

#include <string.h>

#include "build/explain_internal.h"
#include "util/json_read.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

enum { VALUE_BYTES = 160 }; /* of a value that is shown; longer ones are cut */

static void change_cleanup(struct explain_change *x)
{
	free(x->field);
	free(x->subject);
	free(x->before);
	free(x->after);
	for (size_t i = 0; i < x->files.len; i++)
		free(x->files.items[i].path);
	vec_free(&x->files);
}

void explanation_cleanup(struct explanation *x)
{
	for (size_t i = 0; i < x->changes.len; i++)
		change_cleanup(&x->changes.items[i]);
	vec_free(&x->changes);
}

const char *explain_state_name(enum explain_state state)
{
	switch (state) {
	case EXPLAIN_CACHED:
		return "cached";
	case EXPLAIN_NEW:
		return "new";
	case EXPLAIN_GONE:
		return "gone";
	case EXPLAIN_CHANGED:
		return "changed";
	}
	BUG_IF(true);
}

static char *cut(const char *text, size_t len)
{
	AUTO_FREE char *shown = str_printable(text, len < VALUE_BYTES ? len : VALUE_BYTES);
	return mem_printf("%s%s", shown, len > VALUE_BYTES ? "..." : "");
}

char *explain_value(const json_t *value)
{
	AUTO(buf) text = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	if (!value)
		return NULL;
	if (json_is_string(value))
		return cut(json_string_value(value), json_string_length(value));
	if (json_is_array(value) || json_is_object(value))
		json_write(value, &text);
	else if (json_is_integer(value))
		buf_addf(&text, "%lld", (long long)json_integer_value(value));
	else
		buf_add_c(&text, json_is_true(value) ? "true" : "false");
	return cut(buf_text(&text), text.len);
}

/* Where the image says `key`, and within it, if that is a map, `sub`. */
static struct pos position(const struct comparison *x, const char *key, const char *sub)
{
	const struct node *root = x->image->file->stackerfile.document.root;
	const struct node *image = root && root->kind == NODE_MAPPING
					   ? node_get(root, x->image->recipe->name)
					   : NULL;
	if (!image || image->kind != NODE_MAPPING)
		return x->image->recipe->pos;
	for (size_t i = 0; i < image->len; i++) {
		const struct node *value = image->items[i];
		if (!str_same(image->keys[i]->text, key))
			continue;
		for (size_t j = 0; sub && value->kind == NODE_MAPPING && j < value->len; j++)
			if (str_same(value->keys[j]->text, sub))
				return value->keys[j]->pos;
		return image->keys[i]->pos;
	}
	return x->image->recipe->pos;
}

struct explain_change *explain_add(struct comparison *x, enum explain_kind kind,
				   const char *field, struct pos pos)
{
	vec_push(&x->ret->changes, ((struct explain_change){.kind = kind,
							    .field = mem_strdup(field),
							    .pos = pos,
							    .image = x->plan->len}));
	return &x->ret->changes.items[x->ret->changes.len - 1];
}

static void add_values(struct explain_change *change, const json_t *before, const json_t *after)
{
	change->before = explain_value(before);
	change->after = explain_value(after);
}

/* The first line in which two scripts differ. */
static void compare_scripts(struct comparison *x, const char *key, const char *before,
			    const char *after)
{
	const char *a = before, *b = after;
	size_t line = 1;
	for (;; line++) {
		size_t a_len = strcspn(a, "\n"), b_len = strcspn(b, "\n");
		if (a_len != b_len || memcmp(a, b, a_len) != 0 || !a[a_len] || !b[b_len])
			break;
		a += a_len + 1;
		b += b_len + 1;
	}
	struct explain_change *change =
		explain_add(x, EXPLAIN_DEFINITION, key, position(x, key, NULL));
	change->subject = mem_printf("line %zu of the script", line);
	change->before = *a ? cut(a, strcspn(a, "\n")) : NULL;
	change->after = *b ? cut(b, strcspn(b, "\n")) : NULL;
}

static void compare_entries(struct comparison *x, const char *key, json_t *before,
			    json_t *after)
{
	for (int removed = 0; removed < 2; removed++) {
		json_t *from = removed ? before : after;
		json_t *other = removed ? after : before;
		for (void *at = json_object_iter(from); at;
		     at = json_object_iter_next(from, at)) {
			const char *name = json_object_iter_key(at);
			json_t *value = json_object_iter_value(at);
			json_t *there = json_object_get(other, name);
			if (there && (removed || json_equal(value, there)))
				continue;
			AUTO_FREE char *field = mem_printf("%s.%s", key, name);
			add_values(explain_add(x, EXPLAIN_DEFINITION, field,
					       position(x, key, name)),
				   removed ? value : there, removed ? NULL : value);
		}
	}
}

static void compare_base(struct comparison *x, const json_t *before, const json_t *after)
{
	const struct recipe_image *r = x->image->recipe;
	bool same_type = explain_member_same(before, after, "type") &&
			 explain_member_same(before, after, "kind");
	struct explain_change *change =
		explain_add(x, same_type ? EXPLAIN_BASE : EXPLAIN_DEFINITION, "from",
			    position(x, "from", NULL));
	add_values(change, json_object_get(before, same_type ? "digest" : "type"),
		   json_object_get(after, same_type ? "digest" : "type"));
	if (r->from == FROM_BUILT)
		change->image = plan_index(x->plan, r->from_image);
	else if (r->from == FROM_TAR && r->from_source.kind == SOURCE_STACKER)
		change->image = plan_index(x->plan, r->from_source.image);
	else if (r->from == FROM_TAR && same_type && r->from_source.kind == SOURCE_LOCAL)
		explain_files(x, before, after, change);
	if (change->image < x->plan->len)
		change->subject = mem_strdup(x->plan->images[change->image].recipe->name);
}

static enum explain_kind kind_of(const char *key)
{
	static const char *const ours[] = {"format", "policy", "schema"};
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (str_same(key, ours[i]))
			return EXPLAIN_STACKER;
	return str_same(key, "source_date_epoch") ? EXPLAIN_EPOCH : EXPLAIN_DEFINITION;
}

static void compare_member(struct comparison *x, const char *key, json_t *before, json_t *after)
{
	if (before && after && json_equal(before, after))
		return;
	if (str_same(key, "from") && before && after)
		compare_base(x, before, after);
	else if (str_same(key, "imports"))
		explain_imports(x, before, after);
	else if (json_is_string(before) && json_is_string(after) &&
		 (strchr(json_string_value(before), '\n') ||
		  strchr(json_string_value(after), '\n')))
		compare_scripts(x, key, json_string_value(before), json_string_value(after));
	else if ((json_is_object(before) || !before) && (json_is_object(after) || !after))
		compare_entries(x, key, before, after);
	else
		add_values(explain_add(x, kind_of(key), key, position(x, key, NULL)), before,
			   after);
}

static void compare(struct comparison *x, json_t *before, json_t *after)
{
	for (void *at = json_object_iter(after); at; at = json_object_iter_next(after, at))
		compare_member(x, json_object_iter_key(at),
			       json_object_get(before, json_object_iter_key(at)),
			       json_object_iter_value(at));
	for (void *at = json_object_iter(before); at; at = json_object_iter_next(before, at))
		if (!json_object_get(after, json_object_iter_key(at)))
			compare_member(x, json_object_iter_key(at), json_object_iter_value(at),
				       NULL);
}

/* Against the recipe that `before` names, if that was kept. */
static int explain_change(struct comparison *x, const struct digest *before, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	AUTO(json_doc) old = {0};
	AUTO(json_doc) now = {0};
	const char *canonical = x->image->canonical;
	struct err why = ERR_INIT;
	if (cache_load_recipe(x->context, before, &text, &why) < 0) {
		log_debug("the last recipe cannot be read: %s", why.message);
		return 0;
	}
	if (text.len == 0)
		return 0;
	if (json_read(buf_text(&text), text.len, LIMIT_JSON_CANON_BYTES, "last recipe", &old,
		      e) < 0 ||
	    json_read(canonical, strlen(canonical), LIMIT_JSON_CANON_BYTES, "recipe", &now, e) <
		    0)
		return -1;
	x->ret->state = EXPLAIN_CHANGED;
	compare(x, old.root, now.root);
	return 0;
}

int explain_image(const struct build_context *c, const struct plan *p, size_t index,
		  const struct last_builds *last, struct explanation *ret, struct err *e)
{
	const struct plan_image *image = &p->images[index];
	struct comparison x = {.context = c, .plan = p, .image = image, .ret = ret};
	AUTO(image_result) result = {0};
	bool hit = false;
	if (cache_load(c, &image->digest, &result, &hit, e) < 0)
		return -1;
	ret->state = hit ? EXPLAIN_CACHED : EXPLAIN_NEW;
	const struct last_image *before = last_find(last, image->recipe->name);
	if (hit || !before)
		return 0;
	if (digest_eq(&before->recipe, &image->digest)) {
		ret->state = EXPLAIN_GONE;
		return 0;
	}
	return explain_change(&x, &before->recipe, e);
}

static const struct explain_change *first_of(const struct explanation *x,
					     enum explain_kind kind)
{
	for (size_t i = 0; i < x->changes.len; i++)
		if (x->changes.items[i].kind == kind)
			return &x->changes.items[i];
	return NULL;
}

static void import_reason(const struct explanation *x, const struct explain_change *change,
			  struct buf *out)
{
	size_t overlays = 0;
	for (size_t i = 0; i < x->changes.len; i++)
		overlays += x->changes.items[i].is_overlay;
	if (change->is_overlay)
		buf_addf(out, "content of %zu overlay dirs changed: %s", overlays,
			 change->subject);
	else
		buf_addf(out, "import %scontent changed: %s", change->is_dir ? "dir " : "",
			 change->subject);
}

/* What was written comes first, then what it stands on, then what is brought in. */
void explain_reason(const struct explanation *x, struct buf *out)
{
	const struct explain_change *change;
	if (x->state == EXPLAIN_GONE)
		buf_add_c(out, "what was built is no longer in the store");
	else if (first_of(x, EXPLAIN_STACKER))
		buf_addf(out, "stacker's %s changed", first_of(x, EXPLAIN_STACKER)->field);
	else if ((change = first_of(x, EXPLAIN_DEFINITION)))
		buf_addf(out, "layer definition was changed: %s", change->field);
	else if ((change = first_of(x, EXPLAIN_NEW_IMPORT)))
		buf_addf(out, "of new %s: %s", change->is_overlay ? "overlay_dir" : "import",
			 change->subject);
	else if (first_of(x, EXPLAIN_BASE))
		buf_add_c(out, "base layer was changed");
	else if (first_of(x, EXPLAIN_EPOCH))
		buf_add_c(out, "SOURCE_DATE_EPOCH changed");
	else if ((change = first_of(x, EXPLAIN_IMPORT)))
		import_reason(x, change, out);
	else
		buf_add_c(out, "layer definition was changed");
}
