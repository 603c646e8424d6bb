/* The `imports` directive, its older form `import`, and `overlay_dirs`: what is brought in. */
#include "recipe/import.h"

#include <stdlib.h>
#include <string.h>

#include "recipe/directive.h"
#include "recipe/schema.h"
#include "recipe/source.h"
#include "recipe/value.h"
#include "util/num.h"
#include "util/str.h"

/* User namespaces of builds map 65536 ids. */
enum { ID_MAX = 65535 };

void recipe_import_cleanup(struct recipe_import *i)
{
	recipe_source_cleanup(&i->source);
	free(i->dest);
	i->dest = NULL;
}

static int read_mode(const struct node *n, int32_t *ret, struct err *e)
{
	uint32_t mode;

	if (n->kind != NODE_SCALAR)
		return value_wrong_type(n, "mode", "an octal number", e);
	if (!n->quoted && num_parse_mode(n->text, strlen(n->text), &mode)) {
		*ret = (int32_t)mode;
		return 0;
	}
	AUTO_FREE char *shown = str_printable(n->text, strlen(n->text));

	if (n->quoted) {
		err_at(e, &n->pos, "recipe/bad-mode",
		       "'mode' is not an integer but the text '%s'", shown);
		return err_hint(e, "write the number without quotes");
	}
	err_at(e, &n->pos, "recipe/bad-mode",
	       "'mode' value '%s' is not an octal number of 0 to 07777", shown);
	if (n->text[0] != '\0' && strspn(n->text, "01234567") == strlen(n->text))
		return err_hint(e, "write 0%s", shown);
	return err_hint(e, "write it with a leading 0, as in 0755");
}

static int read_id(const struct node *n, const char *what, int64_t *ret, struct err *e)
{
	return n ? value_integer(n, what, ID_MAX, ret, e) : 0;
}

static int read_dest(const struct node *n, struct recipe_import *import, struct err *e)
{
	if (!n)
		return 0;
	if (value_absolute_path(n, "dest", e) != 0)
		return -1;
	import->dest = mem_strdup(n->text);
	return 0;
}

static int read_unpack(const struct node *n, struct recipe_import *import, struct err *e)
{
	if (!n)
		return 0;
	if (value_bool(n, "unpack", &import->unpack, e) != 0)
		return -1;
	if (!import->unpack)
		return 0;
	if (!import->dest) {
		err_at(e, &n->pos, "recipe/missing-dest", "'unpack' needs 'dest'");
		return err_hint(e, "add 'dest: /DIR', where the archive is to be expanded");
	}
	if (import->source.contents) {
		return err_at(e, &n->pos, "recipe/no-effect",
			      "'unpack' has no effect on directory '%s'", import->source.text);
	}
	return 0;
}

/* Takes ownership into `import` step by step; the caller cleans up on failure. */
static int read_map(const struct node *n, struct recipe_import *import, struct err *e)
{
	if (schema_check(SCHEMA_IMPORT, n, e) != 0)
		return -1;
	const struct source_nodes nodes = {
		.path = schema_get(n, "path"),
		.hash = schema_get(n, "hash"),
		.urls = schema_get(n, "urls"),
		.size = schema_get(n, "size"),
		.path_key = "path",
	};
	const struct node *mode = schema_get(n, "mode");

	if (!nodes.path) {
		err_at(e, &n->pos, "recipe/missing-path", "import without 'path'");
		return err_hint(e, "add 'path: FILE'");
	}
	if (source_parse(&nodes, &import->source, e) != 0 ||
	    read_dest(schema_get(n, "dest"), import, e) != 0 ||
	    read_unpack(schema_get(n, "unpack"), import, e) != 0 ||
	    read_id(schema_get(n, "uid"), "uid", &import->uid, e) != 0 ||
	    read_id(schema_get(n, "gid"), "gid", &import->gid, e) != 0)
		return -1;
	return mode ? read_mode(mode, &import->mode, e) : 0;
}

static int read_item(const struct node *n, struct recipe_image *image, struct err *e)
{
	AUTO(recipe_import)
	import = {
		.mode = RECIPE_ID_UNSET,
		.uid = RECIPE_ID_UNSET,
		.gid = RECIPE_ID_UNSET,
	};

	if (n->kind == NODE_SEQUENCE || node_is_null(n))
		return value_wrong_type(n, "imports", "a list of texts and maps", e);
	if (n->kind == NODE_MAPPING) {
		if (read_map(n, &import, e) != 0)
			return -1;
	} else {
		const struct source_nodes nodes = {.path = n, .path_key = "path"};

		if (source_parse(&nodes, &import.source, e) != 0)
			return -1;
	}
	vec_push(&image->imports, import);
	import = (struct recipe_import){0};
	return 0;
}

int directive_imports(const struct node *value, struct recipe_image *image, struct err *e)
{
	if (value->kind == NODE_SCALAR)
		return read_item(value, image, e);
	for (size_t i = 0; i < value->len; i++) {
		if (read_item(value->items[i], image, e) != 0)
			return -1;
	}
	return 0;
}

/* /stacker holds these two itself. */
static int refuse_reserved(const struct recipe_import *import, struct err *e)
{
	const char *name = import->source.name;

	if (import->dest || (!str_same(name, "run") && !str_same(name, "imports")))
		return 0;
	err_at(e, &import->source.pos, "recipe/reserved-name",
	       "'%s' cannot be put at /stacker/%s, which stacker needs itself",
	       import->source.text, name);
	return err_hint(e, "use 'imports'; it is at /stacker/imports/%s then", name);
}

int directive_import(const struct node *value, struct recipe_image *image, struct err *e)
{
	size_t before = image->imports.len;
	bool has_imports = before > 0 && !image->imports.items[before - 1].overlay;

	if (directive_imports(value, image, e) != 0)
		return -1;
	if (image->imports.len == before)
		return 0; /* an empty list asks for nothing */
	image->legacy_import = true;
	image->legacy_import_pos = value->pos;
	if (has_imports) {
		err_at(e, &value->pos, "recipe/import-twice",
		       "image '%s' has both 'import' and 'imports'", image->name);
		return err_hint(e, "move everything under 'imports'; without 'dest' it is at "
				   "/stacker/imports then");
	}
	for (size_t i = before; i < image->imports.len; i++) {
		if (refuse_reserved(&image->imports.items[i], e) != 0)
			return -1;
	}
	return 0;
}

static int read_overlay(const struct node *n, struct recipe_import *import, struct err *e)
{
	if (schema_check(SCHEMA_OVERLAY, n, e) != 0)
		return -1;
	const struct source_nodes nodes = {
		.path = schema_get(n, "source"),
		.path_key = "source",
		.is_local_dir = true,
	};

	if (!nodes.path) {
		err_at(e, &n->pos, "recipe/missing-path",
		       "item of overlay_dirs without 'source'");
		return err_hint(e, "add 'source: DIR'");
	}
	if (source_parse(&nodes, &import->source, e) != 0 ||
	    read_dest(schema_get(n, "dest"), import, e) != 0)
		return -1;
	if (!import->dest)
		import->dest = mem_strdup("/");
	return 0;
}

/* An overlay_dir is an import of a directory's contents that comes before all others. */
int directive_overlay_dirs(const struct node *value, struct recipe_image *image, struct err *e)
{
	for (size_t i = 0; i < value->len; i++) {
		AUTO(recipe_import)
		import = {
			.mode = RECIPE_ID_UNSET,
			.uid = RECIPE_ID_UNSET,
			.gid = RECIPE_ID_UNSET,
			.overlay = true,
		};

		if (read_overlay(value->items[i], &import, e) != 0)
			return -1;
		vec_push(&image->imports, import);
		import = (struct recipe_import){0};
	}
	return 0;
}
