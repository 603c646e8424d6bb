/*
 * libyaml's events into a node tree. libyaml itself accepts much that a recipe must not hold
 * (SEC PF06), so every event is checked here, and the loop stops at the first node too deep or
 * too many: libyaml's scanner takes time proportional to tokens times flow depth (30 s CPU for
 * 100 kB of '[', SEC PF08) but runs at most 1024 characters ahead of its events.
 */
#include "recipe/yaml.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "recipe/yaml_text.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/str.h"
#include "util/vec.h"

/* An open collection. The node hangs in the tree already, so one node_free frees all. */
struct frame {
	struct node *node;
	size_t cap;
	struct node *key; /* mapping: owned, waits for its value */
};

struct anchor {
	char *name;
	const struct node *node; /* in the tree */
};
struct anchor_vec VEC_OF(struct anchor);

struct builder {
	const struct yaml_source *source;
	const char *text; /* the source's */
	size_t len;
	const char *file; /* the document's: positions outlive the source */
	struct anchor_vec anchors;
	size_t aliased_nodes, aliased_bytes;
	struct node *root;
	struct frame open[LIMIT_YAML_DEPTH];
	size_t depth;
	size_t nodes;
	bool has_document;
	/* Where the last scalar began: libyaml counts characters, the text is bytes. */
	size_t cursor_byte;
	size_t cursor_char;
};

static void builder_cleanup(struct builder *b)
{
	for (size_t i = 0; i < b->depth; i++)
		node_free(b->open[i].key);
	node_free(b->root);
	for (size_t i = 0; i < b->anchors.len; i++)
		free(b->anchors.items[i].name);
	vec_free(&b->anchors);
}

static struct pos pos_of(const struct builder *b, const yaml_mark_t *mark)
{
	const struct yaml_source *s = b->source;

	if (s->places) {
		BUG_IF(s->places_len == 0);
		size_t at = mark->index < s->places_len ? mark->index : s->places_len - 1;

		return (struct pos){b->file, s->places[at].line, s->places[at].column};
	}
	return (struct pos){
		.file = b->file,
		.line = (uint32_t)mark->line + 1,
		.column = (uint32_t)mark->column + 1,
	};
}

static int new_node(struct builder *b, enum node_kind kind, const yaml_mark_t *mark,
		    struct node **ret, struct err *e)
{
	struct pos pos = pos_of(b, mark);

	if (++b->nodes > LIMIT_JSON_NODES) {
		return err_at(e, &pos, "yaml/too-many-nodes", "more than %d values in one file",
			      LIMIT_JSON_NODES);
	}
	*ret = mem_zalloc(1, sizeof(**ret));
	(*ret)->kind = kind;
	(*ret)->pos = pos;
	return 0;
}

static void push(struct frame *f, struct node *value)
{
	struct node *n = f->node;

	if (n->len == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 4;
		n->items = mem_realloc_array(n->items, f->cap, sizeof(*n->items));
		if (n->kind == NODE_MAPPING)
			n->keys = mem_realloc_array(n->keys, f->cap, sizeof(*n->keys));
	}
	if (n->kind == NODE_MAPPING)
		n->keys[n->len] = TAKE_PTR(f->key);
	n->items[n->len++] = value;
}

static int attach_key(struct frame *f, struct node *key, struct err *e)
{
	int rc = 0;

	if (key->kind != NODE_SCALAR) {
		rc = err_at(e, &key->pos, "yaml/complex-key", "%s cannot be a key",
			    node_kind_name(key->kind));
	} else if (!key->quoted && str_same(key->text, "<<")) {
		err_at(e, &key->pos, "yaml/merge-key", "merge key '<<' is not supported");
		rc = err_hint(e, "write the merged values out");
	}
	if (rc != 0)
		node_free(key);
	else
		f->key = key;
	return rc;
}

/* Takes `n`, also on failure. */
static int attach(struct builder *b, struct node *n, struct err *e)
{
	if (b->depth == 0) {
		BUG_IF(b->root);
		b->root = n;
		return 0;
	}
	struct frame *f = &b->open[b->depth - 1];

	if (f->node->kind == NODE_MAPPING && !f->key)
		return attach_key(f, n, e);
	push(f, n);
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	const struct node *x = *(const struct node *const *)a;
	const struct node *y = *(const struct node *const *)b;
	int order = strcmp(x->text, y->text);

	if (order != 0)
		return order;
	if (x->pos.line != y->pos.line)
		return x->pos.line < y->pos.line ? -1 : 1;
	return (x->pos.column > y->pos.column) - (x->pos.column < y->pos.column);
}

/* By sorting, not hashing: no choice of keys makes it slow. */
static int refuse_duplicates(const struct node *n, struct err *e)
{
	const struct node *second = NULL;

	if (n->len < 2)
		return 0;
	AUTO_FREE struct node **sorted = mem_realloc_array(NULL, n->len, sizeof(*sorted));

	memcpy(sorted, n->keys, n->len * sizeof(*sorted));
	qsort(sorted, n->len, sizeof(*sorted), compare_keys);
	for (size_t i = 1; i < n->len; i++) {
		if (!str_same(sorted[i - 1]->text, sorted[i]->text))
			continue;
		if (!second || sorted[i]->pos.line < second->pos.line)
			second = sorted[i];
	}
	if (!second)
		return 0;
	AUTO_FREE char *shown = str_printable(second->text, strlen(second->text));

	return err_at(e, &second->pos, "yaml/duplicate-key", "duplicate key '%s'", shown);
}

static int close_collection(struct builder *b, struct err *e)
{
	BUG_IF(b->depth == 0);
	struct frame *f = &b->open[--b->depth];

	BUG_IF(f->key);
	return f->node->kind == NODE_MAPPING ? refuse_duplicates(f->node, e) : 0;
}

/* libyaml drops the tag of `! text` without a trace in the event, but for where it began. */
static bool begins_with_bang(struct builder *b, const yaml_mark_t *mark)
{
	if (mark->index < b->cursor_char)
		return false; /* an empty scalar, set back to the token before it */
	while (b->cursor_char < mark->index && b->cursor_byte < b->len) {
		b->cursor_byte++;
		while (b->cursor_byte < b->len &&
		       ((uint8_t)b->text[b->cursor_byte] & 0xc0) == 0x80)
			b->cursor_byte++;
		b->cursor_char++;
	}
	return b->cursor_byte < b->len && b->text[b->cursor_byte] == '!';
}

static int refuse_decoration(const struct builder *b, const yaml_mark_t *mark,
			     const void *anchor, bool tagged, struct err *e)
{
	struct pos pos = pos_of(b, mark);

	if (anchor && !b->source->aliases) {
		err_at(e, &pos, "yaml/anchor", "anchors are not supported here");
		return err_hint(e, "write the value out where it is needed");
	}
	if (tagged) {
		err_at(e, &pos, "yaml/tag", "tags are not supported");
		return err_hint(e, "remove the '!...'; quote a text that begins with '!'");
	}
	return 0;
}

/* `&a ! text`: skips the anchor, where begins_with_bang() has moved the cursor, and what may
 * stand between. */
static bool bang_after_anchor(const struct builder *b)
{
	size_t at = b->cursor_byte;

	while (at < b->len && !strchr(" \t\r\n", b->text[at]))
		at++;
	while (at < b->len && strchr(" \t\r\n#", b->text[at])) {
		bool comment = b->text[at] == '#';

		while (comment && at < b->len && b->text[at] != '\n')
			at++;
		at += at < b->len;
	}
	return at < b->len && b->text[at] == '!';
}

/* A later anchor of the same name takes its place, as YAML has it. */
static int remember(struct builder *b, const void *name, const struct node *node, struct err *e)
{
	if (!name)
		return 0;
	if (b->anchors.len == LIMIT_YAML_ANCHORS)
		return err_at(e, &node->pos, "yaml/too-many-anchors",
			      "more than %d anchors in one file", LIMIT_YAML_ANCHORS);
	const struct anchor anchor = {.name = mem_strdup(name), .node = node};
	vec_push(&b->anchors, anchor);
	return 0;
}

static int open_collection(struct builder *b, enum node_kind kind, const yaml_mark_t *mark,
			   const void *anchor, struct err *e)
{
	struct pos pos = pos_of(b, mark);
	struct node *n;

	if (b->depth == LIMIT_YAML_DEPTH) {
		return err_at(e, &pos, "yaml/too-deep", "nested more than %d levels deep",
			      LIMIT_YAML_DEPTH);
	}
	if (new_node(b, kind, mark, &n, e) != 0 || attach(b, n, e) != 0)
		return -1;
	b->open[b->depth++] = (struct frame){.node = n};
	return remember(b, anchor, n, e);
}

static const struct node *find_anchor(const struct builder *b, const char *name)
{
	for (size_t i = b->anchors.len; i-- > 0;)
		if (str_same(b->anchors.items[i].name, name))
			return b->anchors.items[i].node;
	return NULL;
}

static int count_alias(struct builder *b, const struct node *n, const struct pos *pos,
		       struct err *e)
{
	b->aliased_bytes += n->text ? strlen(n->text) : 0;
	if (++b->aliased_nodes <= LIMIT_YAML_ALIASED_NODES &&
	    b->aliased_bytes <= LIMIT_YAML_ALIASED_BYTES)
		return 0;
	err_at(e, pos, "yaml/too-many-aliases",
	       "aliases stand for more than %d values or %" PRIu64 " bytes",
	       LIMIT_YAML_ALIASED_NODES, (uint64_t)LIMIT_YAML_ALIASED_BYTES);
	return err_hint(e, "repeat less, or write values out");
}

/* `depth` is how deep the copy will lie. The tree hangs together at any moment. */
static int copy_node(struct builder *b, const struct node *from, size_t depth,
		     const struct pos *alias, struct node **ret, struct err *e)
{
	if (depth > LIMIT_YAML_DEPTH)
		return err_at(e, alias, "yaml/too-deep", "nested more than %d levels deep",
			      LIMIT_YAML_DEPTH);
	if (count_alias(b, from, alias, e) != 0)
		return -1;
	struct node *n = mem_zalloc(1, sizeof(*n));

	*ret = n;
	n->kind = from->kind;
	n->pos = from->pos;
	n->quoted = from->quoted;
	n->text = from->text ? mem_strdup(from->text) : NULL;
	if (from->len == 0)
		return 0;
	n->items = mem_zalloc(from->len, sizeof(*n->items));
	n->keys = from->keys ? mem_zalloc(from->len, sizeof(*n->keys)) : NULL;
	n->len = from->len;
	for (size_t i = 0; i < from->len; i++) {
		if (n->keys && copy_node(b, from->keys[i], 0, alias, &n->keys[i], e) != 0)
			return -1;
		if (copy_node(b, from->items[i], depth + 1, alias, &n->items[i], e) != 0)
			return -1;
	}
	return 0;
}

static int on_alias(struct builder *b, const yaml_event_t *event, struct err *e)
{
	const char *name = (const char *)event->data.alias.anchor;
	struct pos pos = pos_of(b, &event->start_mark);
	AUTO_FREE char *shown = str_printable(name, strlen(name));

	if (refuse_decoration(b, &event->start_mark, name, false, e) != 0)
		return -1;
	const struct node *from = find_anchor(b, name);

	if (!from) {
		err_at(e, &pos, "yaml/unknown-alias", "no anchor '&%s' before '*%s'", shown,
		       shown);
		return err_hint(e, "quote a text that begins with '*'");
	}
	for (size_t i = 0; i < b->depth; i++) {
		if (b->open[i].node == from)
			return err_at(e, &pos, "yaml/alias-cycle",
				      "alias '*%s' stands inside of what it stands for", shown);
	}
	struct node *copy = NULL;
	size_t depth = b->depth + (from->kind != NODE_SCALAR);

	if (copy_node(b, from, depth, &pos, &copy, e) != 0) {
		node_free(copy);
		return -1;
	}
	return attach(b, copy, e);
}

static int on_scalar(struct builder *b, const yaml_event_t *event, struct err *e)
{
	bool quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	bool tagged = event->data.scalar.tag || (quoted && event->data.scalar.plain_implicit) ||
		      begins_with_bang(b, &event->start_mark);
	struct node *n;

	if (event->data.scalar.anchor && !quoted)
		tagged = tagged || bang_after_anchor(b);
	if (refuse_decoration(b, &event->start_mark, event->data.scalar.anchor, tagged, e) != 0)
		return -1;
	if (memchr(event->data.scalar.value, '\0', event->data.scalar.length)) {
		struct pos pos = pos_of(b, &event->start_mark);

		return err_at(e, &pos, "yaml/control-character", "NUL character in a scalar");
	}
	if (new_node(b, NODE_SCALAR, &event->start_mark, &n, e) != 0)
		return -1;
	n->quoted = quoted;
	n->text =
		mem_strndup((const char *)event->data.scalar.value, event->data.scalar.length);
	if (attach(b, n, e) != 0)
		return -1;
	return remember(b, event->data.scalar.anchor, n, e);
}

static int on_document(struct builder *b, const yaml_event_t *event, struct err *e)
{
	struct pos pos = pos_of(b, &event->start_mark);

	if (event->data.document_start.version_directive ||
	    event->data.document_start.tag_directives.start !=
		    event->data.document_start.tag_directives.end) {
		err_at(e, &pos, "yaml/directive", "'%%' directives are not supported");
		return err_hint(e, "remove the line that begins with '%%'");
	}
	if (b->has_document) {
		return err_at(e, &pos, "yaml/several-documents",
			      "more than one document in the file");
	}
	b->has_document = true;
	return 0;
}

static int on_event(struct builder *b, const yaml_event_t *event, struct err *e)
{
	const yaml_mark_t *mark = &event->start_mark;

	switch (event->type) {
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return 0;
	case YAML_DOCUMENT_START_EVENT:
		return on_document(b, event, e);
	case YAML_ALIAS_EVENT:
		return on_alias(b, event, e);
	case YAML_SCALAR_EVENT:
		return on_scalar(b, event, e);
	case YAML_SEQUENCE_START_EVENT:
		if (refuse_decoration(b, mark, event->data.sequence_start.anchor,
				      event->data.sequence_start.tag, e) != 0)
			return -1;
		return open_collection(b, NODE_SEQUENCE, mark,
				       event->data.sequence_start.anchor, e);
	case YAML_MAPPING_START_EVENT:
		if (refuse_decoration(b, mark, event->data.mapping_start.anchor,
				      event->data.mapping_start.tag, e) != 0)
			return -1;
		return open_collection(b, NODE_MAPPING, mark, event->data.mapping_start.anchor,
				       e);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_collection(b, e);
	}
	err_bug("unknown YAML event", __FILE__, __LINE__);
}

/* The character at a line and column; NUL past the end. */
static char char_at(const struct builder *b, const yaml_mark_t *mark)
{
	const char *line = b->text;
	const char *end = b->text + b->len;

	for (size_t i = 0; i < mark->line; i++) {
		line = memchr(line, '\n', (size_t)(end - line));
		if (!line)
			return '\0';
		line++;
	}
	return (size_t)(end - line) > mark->column ? line[mark->column] : '\0';
}

static int refuse_syntax(const struct builder *b, const yaml_parser_t *parser, struct err *e)
{
	BUG_IF(parser->error == YAML_MEMORY_ERROR); /* see util/mem.h */
	struct pos pos = pos_of(b, &parser->problem_mark);

	err_at(e, &pos, "yaml/syntax", "%s%s%s", parser->problem ? parser->problem : "not YAML",
	       parser->context ? ", " : "", parser->context ? parser->context : "");
	if (char_at(b, &parser->problem_mark) == '\t')
		return err_hint(e, "indent with spaces, not with tabs");
	return -1;
}

static int build(struct builder *b, struct err *e)
{
	__attribute__((cleanup(yaml_parser_delete))) yaml_parser_t parser = {0};
	bool more = true;

	BUG_IF(!yaml_parser_initialize(&parser));
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)b->text, b->len);
	while (more) {
		__attribute__((cleanup(yaml_event_delete))) yaml_event_t event = {0};

		if (!yaml_parser_parse(&parser, &event))
			return refuse_syntax(b, &parser, e);
		if (on_event(b, &event, e) != 0)
			return -1;
		more = event.type != YAML_STREAM_END_EVENT;
	}
	return 0;
}

void yaml_document_cleanup(struct yaml_document *d)
{
	node_free(d->root);
	free(d->file);
	*d = (struct yaml_document){0};
}

int yaml_parse_source(const struct yaml_source *source, struct yaml_document *ret,
		      struct err *e)
{
	if (yaml_text_check(source->text, source->len, source->file, e) != 0)
		return -1;
	AUTO_FREE char *owned_file = mem_strdup(source->file);
	AUTO(builder)
	b = {.source = source, .text = source->text, .len = source->len, .file = owned_file};

	if (build(&b, e) != 0)
		return -1;
	ret->root = TAKE_PTR(b.root);
	ret->file = TAKE_PTR(owned_file);
	return 0;
}

int yaml_parse(const char *text, size_t len, const char *file, struct yaml_document *ret,
	       struct err *e)
{
	const struct yaml_source source = {.text = text, .len = len, .file = file};

	return yaml_parse_source(&source, ret, e);
}
