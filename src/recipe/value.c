/* Scalars, lists and maps as the texts, numbers and flags that directives ask for. */
#include "recipe/value.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "recipe/stackerfile.h"
#include "util/limits.h"
#include "util/num.h"
#include "util/path.h"
#include "util/str.h"

int value_wrong_type(const struct node *n, const char *what, const char *expected,
		     struct err *e)
{
	return err_at(e, &n->pos, "recipe/wrong-type", "'%s' must be %s, not %s", what,
		      expected, node_is_null(n) ? "null" : node_kind_name(n->kind));
}

int value_text(const struct node *n, const char *what, const char **ret, struct err *e)
{
	if (n->kind != NODE_SCALAR)
		return value_wrong_type(n, what, "a text", e);
	/* `K:` plainly means the empty text; `K: null` might mean that or "null". */
	if (node_is_null(n) && n->text[0] != '\0') {
		err_at(e, &n->pos, "recipe/null-value", "null value '%s' in '%s'", n->text,
		       what);
		return err_hint(e, "quote it if the text is meant, or write \"\" for none");
	}
	*ret = n->text;
	return 0;
}

int value_bool(const struct node *n, const char *what, bool *ret, struct err *e)
{
	if (n->kind == NODE_SCALAR && !n->quoted && str_same(n->text, "true")) {
		*ret = true;
		return 0;
	}
	if (n->kind == NODE_SCALAR && !n->quoted && str_same(n->text, "false")) {
		*ret = false;
		return 0;
	}
	if (n->kind != NODE_SCALAR)
		return value_wrong_type(n, what, "true or false", e);
	AUTO_FREE char *shown = str_printable(n->text, strlen(n->text));

	err_at(e, &n->pos, "recipe/wrong-type", "'%s' must be true or false, not %s'%s'", what,
	       n->quoted ? "the text " : "", shown);
	return err_hint(e, "write true or false, in lower case and without quotes");
}

int value_integer(const struct node *n, const char *what, uint64_t max, int64_t *ret,
		  struct err *e)
{
	uint64_t number;

	BUG_IF(max > INT64_MAX);
	if (n->kind != NODE_SCALAR)
		return value_wrong_type(n, what, "an integer", e);
	if (!n->quoted && num_parse_u64(n->text, strlen(n->text), max, &number)) {
		*ret = (int64_t)number;
		return 0;
	}
	AUTO_FREE char *shown = str_printable(n->text, strlen(n->text));

	if (n->quoted) {
		err_at(e, &n->pos, "recipe/not-an-integer",
		       "'%s' is not an integer but the text '%s'", what, shown);
		return err_hint(e, "write the number without quotes");
	}
	if (num_parse_u64(n->text, strlen(n->text), UINT64_MAX, &number)) {
		return err_at(e, &n->pos, "recipe/out-of-range",
			      "'%s' is %s, over the limit of %" PRIu64, what, shown, max);
	}
	err_at(e, &n->pos, "recipe/not-an-integer",
	       "'%s' value '%s' is not an integer of 0 to %" PRIu64, what, shown, max);
	return err_hint(e, "write decimal digits only: no sign, no leading zero");
}

int value_texts(const struct node *n, const char *what, struct strvec *ret, struct err *e)
{
	if (n->kind != NODE_SEQUENCE)
		return value_wrong_type(n, what, "a list of texts", e);
	for (size_t i = 0; i < n->len; i++) {
		const char *text;

		if (node_is_null(n->items[i])) {
			err_at(e, &n->items[i]->pos, "recipe/null-value", "null item in '%s'",
			       what);
			return err_hint(e, "quote the item if the text is meant");
		}
		if (value_text(n->items[i], what, &text, e) != 0)
			return -1;
		strvec_push(ret, text);
	}
	return 0;
}

bool value_key_fits(const char *key)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._/:@+-";

	return key[0] != '\0' && key[strspn(key, allowed)] == '\0';
}

int value_text_map(const struct node *n, const char *what, struct map *ret, struct err *e)
{
	if (n->kind != NODE_MAPPING)
		return value_wrong_type(n, what, "a map of texts", e);
	if (n->len > RECIPE_MAP_ENTRIES_MAX) {
		return err_at(e, &n->pos, "recipe/too-big",
			      "'%s' has %zu entries, over the limit of %d", what, n->len,
			      RECIPE_MAP_ENTRIES_MAX);
	}
	for (size_t i = 0; i < n->len; i++) {
		const char *text;

		if (!value_key_fits(n->keys[i]->text)) {
			AUTO_FREE char *shown =
				str_printable(n->keys[i]->text, strlen(n->keys[i]->text));

			err_at(e, &n->keys[i]->pos, "recipe/bad-key",
			       "key '%s' of '%s' is not valid", shown, what);
			return err_hint(e, "use letters, digits and . _ / : @ + - only");
		}
		if (value_text(n->items[i], what, &text, e) != 0)
			return -1;
		map_set_text(ret, n->keys[i]->text, text);
	}
	return 0;
}

int value_path(const struct node *n, const char *what, struct err *e)
{
	if (n->kind != NODE_SCALAR)
		return value_wrong_type(n, what, "a path", e);
	size_t len = strlen(n->text);

	if (len > LIMIT_PATH_BYTES) {
		return err_at(e, &n->pos, "recipe/too-big",
			      "'%s' of %zu bytes is over the limit of %d", what, len,
			      LIMIT_PATH_BYTES);
	}
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)n->text[i] >= 0x20 && n->text[i] != 0x7f)
			continue;
		AUTO_FREE char *shown = str_printable(n->text, len);

		return err_at(e, &n->pos, "recipe/bad-path", "control character in '%s' '%s'",
			      what, shown);
	}
	return 0;
}

int value_absolute_path(const struct node *n, const char *what, struct err *e)
{
	if (value_path(n, what, e) != 0)
		return -1;
	AUTO_FREE char *shown = str_printable(n->text, strlen(n->text));

	if (n->text[0] != '/') {
		err_at(e, &n->pos, "recipe/relative-path", "'%s' '%s' cannot be relative", what,
		       shown);
		return err_hint(e, "begin it with '/'");
	}
	if (path_has_dotdot(n->text)) {
		return err_at(e, &n->pos, "recipe/bad-path", "'%s' '%s' holds '..'", what,
			      shown);
	}
	return 0;
}
