/* Reading and writing of the lock file. */
#include "recipe/lockfile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "recipe/schema.h"
#include "recipe/value.h"
#include "util/clock.h"
#include "util/limits.h"
#include "util/str.h"

static void lockfile_pin_cleanup(struct lockfile_pin *p)
{
	free(p->url);
}

void lockfile_cleanup(struct lockfile *l)
{
	for (size_t i = 0; i < l->pins.len; i++)
		lockfile_pin_cleanup(&l->pins.items[i]);
	vec_free(&l->pins);
	yaml_document_cleanup(&l->document);
}

static int malformed(const struct pos *pos, const char *what, struct err *e)
{
	err_at(e, pos, "lock/malformed", "%s", what);
	return err_hint(e, "the file is written by 'stacker lock'; take it from version "
			   "control again, or make it anew");
}

static int need(const struct node *map, const char *key, const struct node **ret, struct err *e)
{
	*ret = schema_get(map, key);
	if (*ret)
		return 0;
	AUTO_FREE char *what = mem_printf("'%s' is missing", key);
	return malformed(&map->pos, what, e);
}

static int read_time(const struct node *n, int64_t *ret, struct err *e)
{
	if (n->kind == NODE_SCALAR && clock_parse_rfc3339(n->text, ret))
		return 0;
	return malformed(&n->pos, "'locked' is not a time like 2026-01-31T12:00:00Z", e);
}

static int read_url(const struct node *n, char **ret, struct err *e)
{
	const char *text;
	if (value_text(n, "url", &text, e) < 0)
		return -1;
	size_t len = strlen(text);
	if (len == 0 || len > LIMIT_URL_BYTES)
		return malformed(&n->pos, "'url' is empty or too long", e);
	for (size_t i = 0; i < len; i++)
		if (text[i] <= 0x20 || text[i] >= 0x7f)
			return malformed(&n->pos, "'url' holds what a URL cannot hold", e);
	*ret = mem_strdup(text);
	return 0;
}

static int read_pin(const struct node *map, struct lockfile_pin *p, struct err *e)
{
	const struct node *url, *hash, *size, *locked;
	if (schema_check(SCHEMA_PIN, map, e) < 0 || need(map, "url", &url, e) < 0 ||
	    need(map, "hash", &hash, e) < 0 || need(map, "size", &size, e) < 0 ||
	    need(map, "locked", &locked, e) < 0)
		return -1;
	p->pos = map->pos;
	if (digest_parse(hash->text, &p->hash, e) < 0) {
		err_recode(e, ERR_RECIPE, "lock/malformed");
		return err_locate(e, &hash->pos);
	}
	if (value_integer(size, "size", LIMIT_DOWNLOAD_BYTES, &p->size, e) < 0 ||
	    read_time(locked, &p->locked_s, e) < 0)
		return -1;
	return read_url(url, &p->url, e);
}

/* The order is checked, or a merge by hand could leave two pins of one URL. */
static int read_pins(const struct node *list, struct lockfile *l, struct err *e)
{
	for (size_t i = 0; i < list->len; i++) {
		AUTO(lockfile_pin) pin = {0};
		if (read_pin(list->items[i], &pin, e) < 0)
			return -1;
		if (i > 0 && strcmp(l->pins.items[i - 1].url, pin.url) >= 0)
			return malformed(&pin.pos, "pins are not in order of 'url', or twice",
					 e);
		vec_push(&l->pins, pin);
		pin = (struct lockfile_pin){0};
	}
	return 0;
}

static int read_root(const struct node *root, const char *file, struct lockfile *l,
		     struct err *e)
{
	const struct pos start = {.file = file, .line = 1, .column = 1};
	const struct node *version, *epoch, *pins;
	int64_t number;
	if (!root)
		return malformed(&start, "the lock is empty", e);
	if (schema_check(SCHEMA_LOCK, root, e) < 0 || need(root, "version", &version, e) < 0 ||
	    value_integer(version, "version", INT32_MAX, &number, e) < 0)
		return -1;
	if (number != LOCKFILE_VERSION) {
		err_at(e, &version->pos, "lock/malformed",
		       "version %" PRId64 " of the lock is not known", number);
		return err_hint(e, "a newer stacker wrote it; use that one");
	}
	if (need(root, "source_date_epoch", &epoch, e) < 0 || need(root, "pins", &pins, e) < 0)
		return -1;
	if (value_integer(epoch, "source_date_epoch", CLOCK_RFC3339_MAX_S,
			  &l->source_date_epoch, e) < 0)
		return -1;
	return read_pins(pins, l, e);
}

int lockfile_parse(const char *text, size_t len, const char *file, struct lockfile *ret,
		   struct err *e)
{
	AUTO(lockfile) l = {0};
	if (yaml_parse(text, len, file, &l.document, e) < 0 ||
	    read_root(l.document.root, l.document.file, &l, e) < 0)
		return -1;
	*ret = l;
	l = (struct lockfile){0};
	return 0;
}

/* A URL as a plain scalar, which any is that does not end in ':' or begin as something else. */
static void write_url(const char *url, struct buf *out)
{
	if (str_has_prefix(url, "http") || str_has_prefix(url, "docker:")) {
		if (!str_has_suffix(url, ":")) {
			buf_add_c(out, url);
			return;
		}
	}
	buf_add_byte(out, '\'');
	for (const char *c = url; *c; c++)
		buf_addf(out, *c == '\'' ? "''" : "%c", *c);
	buf_add_byte(out, '\'');
}

void lockfile_write(const struct lockfile *l, struct buf *out)
{
	buf_addf(out,
		 "# Made by 'stacker lock' from the stackerfile beside it; commit both.\n"
		 "version: %d\n"
		 "source_date_epoch: %" PRId64 "\n",
		 LOCKFILE_VERSION, l->source_date_epoch);
	buf_add_c(out, l->pins.len ? "pins:\n" : "pins: []\n");
	for (size_t i = 0; i < l->pins.len; i++) {
		const struct lockfile_pin *p = &l->pins.items[i];
		char hash[DIGEST_TEXT_MAX];
		char locked[32];
		digest_format(&p->hash, hash);
		clock_format_rfc3339(p->locked_s, locked);
		buf_add_c(out, "  - url: ");
		write_url(p->url, out);
		buf_addf(out, "\n    hash: %s\n    size: %" PRId64 "\n    locked: %s\n", hash,
			 p->size, locked);
	}
}

/* The index of the first pin whose URL is not before `url`. */
static size_t lower_bound(const struct lockfile *l, const char *url)
{
	size_t low = 0;
	size_t high = l->pins.len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(l->pins.items[middle].url, url) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct lockfile_pin *lockfile_find(const struct lockfile *l, const char *url)
{
	size_t i = lower_bound(l, url);
	return i < l->pins.len && str_same(l->pins.items[i].url, url) ? &l->pins.items[i]
								      : NULL;
}

void lockfile_set(struct lockfile *l, const struct lockfile_pin *pin)
{
	size_t i = lower_bound(l, pin->url);
	struct lockfile_pin copy = *pin;
	copy.url = mem_strdup(pin->url);
	if (i < l->pins.len && str_same(l->pins.items[i].url, pin->url)) {
		lockfile_pin_cleanup(&l->pins.items[i]);
		l->pins.items[i] = copy;
		return;
	}
	vec_push(&l->pins, copy);
	memmove(&l->pins.items[i + 1], &l->pins.items[i],
		(l->pins.len - 1 - i) * sizeof(*l->pins.items));
	l->pins.items[i] = copy;
}

static bool same_pin(const struct lockfile_pin *a, const struct lockfile_pin *b)
{
	return digest_eq(&a->hash, &b->hash) && a->size == b->size;
}

void lockfile_compare(const struct lockfile *before, const struct lockfile *after,
		      void (*report)(void *ctx, const struct lockfile_difference *d), void *ctx)
{
	size_t i = 0;
	size_t j = 0;
	while (i < before->pins.len || j < after->pins.len) {
		const struct lockfile_pin *b =
			i < before->pins.len ? &before->pins.items[i] : NULL;
		const struct lockfile_pin *a =
			j < after->pins.len ? &after->pins.items[j] : NULL;
		int order = !b ? 1 : !a ? -1 : strcmp(b->url, a->url);
		struct lockfile_difference d = {
			.change = LOCKFILE_CHANGED, .before = b, .after = a};
		if (order < 0) {
			d.change = LOCKFILE_REMOVED;
			d.after = NULL;
		} else if (order > 0) {
			d.change = LOCKFILE_ADDED;
			d.before = NULL;
		}
		i += order <= 0;
		j += order >= 0;
		if (order != 0 || !same_pin(a, b))
			report(ctx, &d);
	}
}
