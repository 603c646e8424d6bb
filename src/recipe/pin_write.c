/*
 * The YAML tree says where things stand; the text is then changed by insertions from there. The
 * result is read again, and must hold the pins at the places they were meant for.
 */
#include "recipe/pin_write.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recipe/yaml.h"
#include "util/limits.h"
#include "util/str.h"

/* A URL without a pin, and what stands around it. */
struct site {
	const struct node *url;	   /* the scalar */
	const struct node *parent; /* the map or list that it is in */
	const struct node *key;	   /* its key there, or NULL in a list */
	bool is_image;		   /* docker://, in `from` */
	bool is_path;		   /* value of `path` or `url`: the hash goes beside it */
};

struct edit {
	size_t at;     /* byte of the text */
	size_t remove; /* bytes from there */
	char *insert;
};
struct edit_vec VEC_OF(struct edit);

struct writer {
	const char *text;
	size_t len;
	const struct lockfile *lock;
	struct VEC_OF(size_t) lines; /* where each begins */
	struct edit_vec edits;	     /* in the order of the text */
	size_t written;
};

static void writer_cleanup(struct writer *w)
{
	for (size_t i = 0; i < w->edits.len; i++)
		free(w->edits.items[i].insert);
	vec_free(&w->edits);
	vec_free(&w->lines);
}

/* Takes `insert`. */
static void add_edit(struct writer *w, size_t at, size_t remove, char *insert)
{
	vec_push(&w->edits, ((struct edit){.at = at, .remove = remove, .insert = insert}));
}

static void index_lines(struct writer *w)
{
	vec_push(&w->lines, (size_t)0);
	for (size_t i = 0; i < w->len; i++)
		if (w->text[i] == '\n')
			vec_push(&w->lines, i + 1);
}

/* Columns count characters. Past the end: the end. */
static size_t offset_of(const struct writer *w, const struct pos *pos)
{
	if (pos->line > w->lines.len)
		return w->len;
	size_t at = w->lines.items[pos->line - 1];
	for (uint32_t column = 1; column < pos->column && at < w->len; column++) {
		at++;
		while (at < w->len && ((uint8_t)w->text[at] & 0xc0) == 0x80)
			at++;
	}
	return at;
}

/* Where the text of a scalar stands: [start, end), with quotes around it or without. */
struct span {
	size_t start, end;
	bool quoted;
};

static int find_span(const struct writer *w, const struct node *n, struct span *ret,
		     struct err *e)
{
	size_t at = offset_of(w, &n->pos);
	size_t len = strlen(n->text);
	char quote = at < w->len ? w->text[at] : '\0';
	ret->quoted = quote == '"' || quote == '\'';
	ret->start = at + ret->quoted;
	ret->end = ret->start + len;
	bool is_there = ret->end + ret->quoted <= w->len &&
			memcmp(w->text + ret->start, n->text, len) == 0 &&
			(!ret->quoted || w->text[ret->end] == quote);
	if (is_there)
		return 0;
	err_at(e, &n->pos, "lock/cannot-write",
	       "the pin of '%s' cannot be put here, as the URL does not stand in the file as it "
	       "is meant",
	       n->text);
	return err_hint(e, "write the URL plainly, or leave the pin to the lock");
}

static bool is_flow(const struct writer *w, const struct node *collection)
{
	size_t at = offset_of(w, &collection->pos);
	return at < w->len && (w->text[at] == '{' || w->text[at] == '[');
}

/* A line of its own after the one that `at` is on, indented to `column`. */
static void add_line(struct writer *w, size_t at, uint32_t column, const char *line)
{
	const char *newline = memchr(w->text + at, '\n', w->len - at);
	size_t end = newline ? (size_t)(newline - w->text) : w->len;
	bool is_crlf = newline && end > at && w->text[end - 1] == '\r';
	end -= is_crlf;
	add_edit(w, end, 0,
		 mem_printf("%s%*s%s", is_crlf ? "\r\n" : "\n", (int)column - 1, "", line));
}

/* `imports: URL` has no place for a second line; a list in braces has. */
static int write_single(struct writer *w, const struct site *s, const struct span *span,
			const char *hash, struct err *e)
{
	if (strpbrk(s->url->text, "\"\\")) {
		err_at(e, &s->url->pos, "lock/cannot-write",
		       "the pin of '%s' cannot be put here", s->url->text);
		return err_hint(e, "write 'path: URL' as an item of a list");
	}
	add_edit(w, span->start - span->quoted,
		 span->end - span->start + 2 * (size_t)span->quoted,
		 mem_printf("[{path: \"%s\", hash: %s}]", s->url->text, hash));
	return 0;
}

static int write_pin(struct writer *w, const struct site *s, const struct lockfile_pin *pin,
		     struct err *e)
{
	char hash[DIGEST_TEXT_MAX];
	struct span span;
	if (find_span(w, s->url, &span, e) < 0)
		return -1;
	digest_format(&pin->hash, hash);
	w->written++;
	if (s->is_image) {
		add_edit(w, span.end, 0, mem_printf("@%s", hash));
		return 0;
	}
	size_t outer_end = span.end + span.quoted;
	AUTO_FREE char *line = mem_printf("hash: %s", hash);
	if (s->is_path && is_flow(w, s->parent)) {
		add_edit(w, outer_end, 0, mem_printf(", %s", line));
	} else if (s->is_path) {
		add_line(w, outer_end, s->key->pos.column, line);
	} else if (s->key) {
		return write_single(w, s, &span, hash, e);
	} else if (is_flow(w, s->parent)) {
		add_edit(w, span.start - span.quoted, 0, mem_strdup("{path: "));
		add_edit(w, outer_end, 0, mem_printf(", %s}", line));
	} else {
		add_edit(w, span.start - span.quoted, 0, mem_strdup("path: "));
		add_line(w, outer_end, s->url->pos.column, line);
	}
	return 0;
}

static int visit(struct writer *w, const struct site *s, struct err *e)
{
	const struct lockfile_pin *pin = lockfile_find(w->lock, s->url->text);
	return pin ? write_pin(w, s, pin, e) : 0;
}

static bool is_http(const struct node *n)
{
	return n && n->kind == NODE_SCALAR &&
	       (strncasecmp(n->text, "http://", 7) == 0 ||
		strncasecmp(n->text, "https://", 8) == 0);
}

static const struct node *key_of(const struct node *map, const struct node *value)
{
	for (size_t i = 0; i < map->len; i++)
		if (map->items[i] == value)
			return map->keys[i];
	err_bug("a value without a key", __FILE__, __LINE__);
}

/* A map with a URL under `name` and perhaps a hash. */
static int visit_map(struct writer *w, const struct node *map, const char *name, struct err *e)
{
	const struct node *url = node_get(map, name);
	const struct node *hash = node_get(map, "hash");
	if (!is_http(url) || (hash && !node_is_null(hash)))
		return 0;
	if (hash) {
		err_at(e, &hash->pos, "lock/cannot-write",
		       "the pin of '%s' cannot be put here, as 'hash' is there, but empty",
		       url->text);
		return err_hint(e, "remove the empty 'hash'");
	}
	const struct site s = {
		.url = url, .parent = map, .key = key_of(map, url), .is_path = true};
	return visit(w, &s, e);
}

static int visit_from(struct writer *w, const struct node *from, struct err *e)
{
	const struct node *url = node_get(from, "url");
	if (!url || url->kind != NODE_SCALAR)
		return 0;
	if (!str_has_prefix(url->text, "docker://"))
		return visit_map(w, from, "url", e);
	const struct site s = {.url = url, .parent = from, .is_image = true};
	return strchr(url->text, '@') ? 0 : visit(w, &s, e);
}

static int visit_imports(struct writer *w, const struct node *image, const char *name,
			 struct err *e)
{
	const struct node *imports = node_get(image, name);
	if (is_http(imports)) {
		const struct site s = {
			.url = imports, .parent = image, .key = key_of(image, imports)};
		return visit(w, &s, e);
	}
	if (!imports || imports->kind != NODE_SEQUENCE)
		return 0;
	for (size_t i = 0; i < imports->len; i++) {
		const struct node *item = imports->items[i];
		const struct site s = {.url = item, .parent = imports};
		if ((is_http(item) && visit(w, &s, e) < 0) ||
		    (item->kind == NODE_MAPPING && visit_map(w, item, "path", e) < 0))
			return -1;
	}
	return 0;
}

/* Anything of another shape is the reader's to refuse. */
static int visit_all(struct writer *w, const struct node *root, struct err *e)
{
	for (size_t i = 0; root && root->kind == NODE_MAPPING && i < root->len; i++) {
		const struct node *image = root->items[i];
		if (image->kind != NODE_MAPPING || str_same(root->keys[i]->text, "config"))
			continue;
		const struct node *from = node_get(image, "from");
		if ((from && from->kind == NODE_MAPPING && visit_from(w, from, e) < 0) ||
		    visit_imports(w, image, "imports", e) < 0 ||
		    visit_imports(w, image, "import", e) < 0)
			return -1;
	}
	return 0;
}

static int compare_edits(const void *a, const void *b)
{
	const struct edit *x = a;
	const struct edit *y = b;
	return (x->at > y->at) - (x->at < y->at);
}

static void apply(struct writer *w, struct buf *out)
{
	size_t at = 0;
	if (w->edits.len > 1) /* no two are at one place */
		qsort(w->edits.items, w->edits.len, sizeof(*w->edits.items), compare_edits);
	for (size_t i = 0; i < w->edits.len; i++) {
		const struct edit *d = &w->edits.items[i];
		buf_add(out, w->text + at, d->at - at);
		buf_add_c(out, d->insert);
		at = d->at + d->remove;
	}
	buf_add(out, w->text + at, w->len - at);
}

/* One pass: what there is to write, and the text with it written. */
static int rewrite(const char *text, size_t len, const char *file, const struct lockfile *lock,
		   struct buf *out, size_t *ret_written, struct err *e)
{
	AUTO(yaml_document) document = {0};
	AUTO(writer) w = {.text = text, .len = len, .lock = lock};
	if (yaml_parse(text, len, file, &document, e) < 0)
		return -1;
	index_lines(&w);
	if (visit_all(&w, document.root, e) < 0)
		return -1;
	apply(&w, out);
	*ret_written = w.written;
	return buf_check(out, "stackerfile", e);
}

int pin_write(const char *text, size_t len, const char *file, const struct lockfile *lock,
	      struct buf *out, size_t *ret_written, struct err *e)
{
	AUTO(buf) pinned = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	AUTO(buf) again = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	size_t written, left;
	if (rewrite(text, len, file, lock, &pinned, &written, e) < 0 ||
	    rewrite(buf_text(&pinned), pinned.len, file, lock, &again, &left, e) < 0)
		return -1;
	BUG_IF(left != 0); /* a pin went to another place than it was meant for */
	buf_add(out, pinned.data, pinned.len);
	*ret_written = written;
	return buf_check(out, "stackerfile", e);
}
