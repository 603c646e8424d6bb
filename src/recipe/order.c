/*
 * Names are resolved to indexes once. Since done images stay done, each image remembers how far
 * its dependencies are met, and a pass costs one look per waiting image: 4096 images in the
 * worst order take 4096 passes of that, some milliseconds.
 */
#include "recipe/order.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/str.h"

enum { CYCLE_SHOWN_MAX = 16 };

struct index_vec VEC_OF(size_t);

struct waiting {
	struct index_vec needs; /* indexes into the file's images */
	size_t met;		/* so many of them are done */
	bool done;
};

struct name {
	const char *text; /* borrowed */
	size_t index;
};

/* Names are looked up by bisection: unlike hashing, no choice of names makes that slow. */
struct order {
	const struct recipe_image_vec *images;
	const struct map *elsewhere; /* names of images of other files, all done; or NULL */
	struct waiting *waiting;     /* one an image */
	struct name *names;	     /* sorted */
};

static void order_cleanup(struct order *o)
{
	for (size_t i = 0; o->waiting && i < o->images->len; i++)
		vec_free(&o->waiting[i].needs);
	free(o->waiting);
	free(o->names);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static const struct name *find(const struct order *o, const char *text)
{
	const struct name key = {.text = text};

	return bsearch(&key, o->names, o->images->len, sizeof(*o->names), compare_names);
}

static bool is_elsewhere(const struct order *o, const char *text)
{
	return o->elsewhere && map_has(o->elsewhere, text);
}

/* The k-th image that `image` needs by name, NULL if it does not need one there: its base comes
 * first, then each import. */
static const char *needed_name(const struct recipe_image *image, size_t k)
{
	if (k == 0)
		return image->from == FROM_BUILT ? image->from_image : image->from_source.image;
	return image->imports.items[k - 1].source.image;
}

static bool is_missing(const struct order *o, const char *name)
{
	return name && !find(o, name) && !is_elsewhere(o, name);
}

/* Upstream's words and order: imports as they stand, then the base. */
static void list_missing(const struct order *o, const struct recipe_image *image,
			 struct buf *out, const char **ret_first)
{
	size_t len = 0;

	for (size_t k = 1; k <= image->imports.len + 1; k++) {
		bool is_base = k > image->imports.len;
		const char *name = needed_name(image, is_base ? 0 : k);

		if (!is_missing(o, name))
			continue;
		AUTO_FREE char *shown = str_printable(name, strlen(name));

		buf_addf(out, "%s%s%.*s", len++ > 0 ? ", " : "",
			 is_base && image->from == FROM_BUILT ? "base layer " : "",
			 LIMIT_IMAGE_NAME_BYTES, shown);
		if (!*ret_first)
			*ret_first = name;
	}
}

/* Says what every image lacks, and which image may have been meant. */
static int refuse_missing(const struct order *o, size_t first, struct err *e)
{
	AUTO_FREE const char **names = mem_zalloc(o->images->len, sizeof(*names));
	AUTO(buf) missing = BUF_INIT(ERR_MESSAGE_MAX);
	AUTO(buf) existing = BUF_INIT(ERR_HINT_MAX / 2);
	const char *name = NULL;

	for (size_t i = 0; i < o->images->len; i++) {
		const struct recipe_image *image = &o->images->items[i];
		AUTO(buf) of_image = BUF_INIT(ERR_MESSAGE_MAX / 2);

		names[i] = image->name;
		buf_addf(&existing, "%s'%s'", i > 0 ? ", " : "", names[i]);
		if (i < first)
			continue;
		list_missing(o, image, &of_image, &name);
		if (of_image.len > 0)
			buf_addf(&missing, "%s%s: %s", missing.len > 0 ? "; " : "", image->name,
				 buf_text(&of_image));
	}
	err_at(e, &o->images->items[first].pos, "recipe/unresolved",
	       "couldn't resolve some dependencies: couldn't find dependencies for %s",
	       buf_text(&missing));
	const char *nearest = str_nearest(name, names, o->images->len);

	if (nearest)
		return err_hint(e, "did you mean '%s'?", nearest);
	return err_hint(
		e,
		"the stackerfile defines %s%s; other files' images need 'prerequisites' "
		"under 'config'",
		buf_text(&existing), existing.overflowed ? ", ..." : "");
}

static int resolve(struct order *o, struct err *e)
{
	for (size_t i = 0; i < o->images->len; i++)
		o->names[i] = (struct name){o->images->items[i].name, i};
	qsort(o->names, o->images->len, sizeof(*o->names), compare_names);
	for (size_t i = 0; i < o->images->len; i++) {
		const struct recipe_image *image = &o->images->items[i];

		for (size_t k = 0; k <= image->imports.len; k++) {
			const char *text = needed_name(image, k);
			const struct name *name = text ? find(o, text) : NULL;

			if (is_missing(o, text))
				return refuse_missing(o, i, e);
			if (name)
				vec_push(&o->waiting[i].needs, name->index);
		}
	}
	return 0;
}

static bool is_ready(struct order *o, struct waiting *w)
{
	while (w->met < w->needs.len && o->waiting[w->needs.items[w->met]].done)
		w->met++;
	return w->met == w->needs.len;
}

/* Every image left over waits for another one left over, so following them must come round. */
static int refuse_cycle(const struct order *o, struct err *e)
{
	AUTO_FREE bool *seen = mem_zalloc(o->images->len, sizeof(*seen));
	AUTO(buf) path = BUF_INIT(768);
	size_t at = 0;
	size_t shown = 0;

	while (o->waiting[at].done)
		at++;
	for (; !seen[at]; at = o->waiting[at].needs.items[o->waiting[at].met])
		seen[at] = true;
	size_t start = at;

	buf_add_c(&path, o->images->items[start].name);
	do {
		at = o->waiting[at].needs.items[o->waiting[at].met];
		if (++shown < CYCLE_SHOWN_MAX || at == start)
			buf_addf(&path, " -> %s", o->images->items[at].name);
		else if (shown == CYCLE_SHOWN_MAX)
			buf_add_c(&path, " -> ...");
	} while (at != start);
	err_at(e, &o->images->items[start].pos, "recipe/cycle",
	       "couldn't resolve some dependencies: images need each other: %s%s",
	       buf_text(&path), path.overflowed ? "..." : "");
	return err_hint(e, "move what the images share into an image of its own");
}

int order_images(struct recipe_image_vec *images, const struct map *elsewhere, struct err *e)
{
	AUTO(order) o = {.images = images, .elsewhere = elsewhere};
	AUTO_FREE struct recipe_image *sorted = mem_zalloc(images->len, sizeof(*sorted));
	size_t sorted_len = 0;
	size_t before;

	o.waiting = mem_zalloc(images->len, sizeof(*o.waiting));
	o.names = mem_zalloc(images->len, sizeof(*o.names));
	if (images->len == 0)
		return 0; /* a file of prerequisites only */
	if (resolve(&o, e) != 0)
		return -1;
	do {
		before = sorted_len;
		for (size_t i = 0; i < images->len; i++) {
			if (o.waiting[i].done || !is_ready(&o, &o.waiting[i]))
				continue;
			o.waiting[i].done = true;
			sorted[sorted_len++] = images->items[i];
		}
	} while (sorted_len > before);
	if (sorted_len < images->len)
		return refuse_cycle(&o, e);
	memcpy(images->items, sorted, sorted_len * sizeof(*sorted));
	return 0;
}
