/* The refusals of binds and build_env_passthrough. */
#include "recipe/hidden.h"

#include <string.h>

#include "util/buf.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

/* Items that a snippet shows; it is an example, not a translation. */
enum { SHOWN_MAX = 3 };

/* A scalar that would not be read back as itself is quoted. */
static void add_scalar(struct buf *out, const char *text, size_t len)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789._/+-";
	AUTO_FREE char *shown = str_printable(text, len);
	bool is_plain = len > 0 && shown[strspn(shown, plain)] == '\0' && shown[0] != '-';

	buf_addf(out, is_plain ? "%s" : "'%s'", shown);
}

/* "/a", "/a -> /b" or {source: /a, dest: /b}: `dest` may come out empty. */
static void split_bind(const struct node *n, const char **source, size_t *source_len,
		       const char **dest)
{
	const struct node *s = n->kind == NODE_MAPPING ? node_get(n, "source") : n;
	const struct node *d = n->kind == NODE_MAPPING ? node_get(n, "dest") : NULL;

	*source = s && s->kind == NODE_SCALAR ? s->text : "DIR";
	*source_len = strlen(*source);
	*dest = d && d->kind == NODE_SCALAR ? d->text : "";
	const char *arrow = n->kind == NODE_SCALAR ? strstr(n->text, " -> ") : NULL;

	if (!arrow)
		return;
	*source_len = (size_t)(arrow - *source);
	*dest = arrow + strlen(" -> ");
}

int hidden_binds(const struct node *key, const struct node *value, struct err *e)
{
	AUTO(buf) lines = BUF_INIT(ERR_SNIPPET_MAX);

	err_at(e, &key->pos, "recipe/not-hermetic",
	       "directive 'binds' would let in files of this machine that are no part of the "
	       "recipe");
	err_hint(
		e,
		"import them; for 'run' they are then in /stacker/imports, or with 'dest' in the "
		"image; take results out of the image with 'stacker://IMAGE/PATH'");
	buf_add_c(&lines, "imports:\n");
	for (size_t i = 0; i < value->len && i < SHOWN_MAX; i++) {
		const char *source, *dest;
		size_t len;

		split_bind(value->items[i], &source, &len, &dest);
		buf_add_c(&lines, "  - path: ");
		add_scalar(&lines, source, len);
		buf_add_c(&lines, "\n");
		if (!*dest)
			continue;
		buf_add_c(&lines, "    dest: ");
		add_scalar(&lines, dest, strlen(dest));
		buf_add_c(&lines, "\n");
	}
	return err_snippet(e, "%s", buf_text(&lines));
}

static bool is_variable(const char *text)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

	return *text && text[strspn(text, allowed)] == '\0';
}

int hidden_passthrough(const struct node *key, const struct node *value, struct err *e)
{
	AUTO(buf) lines = BUF_INIT(ERR_SNIPPET_MAX);

	err_at(e, &key->pos, "recipe/not-hermetic",
	       "directive 'build_env_passthrough' would let in variables of this machine that are "
	       "no part of the recipe");
	err_hint(e, "write them with their values; SOURCE_DATE_EPOCH is always there, from "
		    "'config: source_date_epoch'");
	buf_add_c(&lines, "build_env:\n");
	size_t shown = 0;

	for (size_t i = 0; i < value->len && shown < SHOWN_MAX; i++) {
		const struct node *n = value->items[i];

		if (n->kind == NODE_SCALAR && is_variable(n->text) && strlen(n->text) < 64)
			buf_addf(&lines, "%s  %s: VALUE", shown++ ? "\n" : "", n->text);
	}
	if (shown == 0)
		buf_add_c(&lines, "  NAME: VALUE");
	return err_snippet(e, "%s", buf_text(&lines));
}
