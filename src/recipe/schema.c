/* The table of directives and its one reader. */
#include "recipe/schema.h"

#include <string.h>

#include "recipe/directive.h"
#include "recipe/hidden.h"
#include "util/mem.h"
#include "util/str.h"

enum schema_status {
	SCHEMA_WORKS,
	SCHEMA_NEVER, /* would be a hidden input */
};

#define INNER(scope) ((unsigned)(scope) + 1)

/* Shapes a value may have, as bits. */
enum { SCALAR = 1 << NODE_SCALAR, LIST = 1 << NODE_SEQUENCE, MAP = 1 << NODE_MAPPING };

struct directive {
	enum schema_scope scope;
	const char *name;
	unsigned shapes;
	enum schema_status status;
	bool keeps_null; /* null does not mean absent but is handed to the reader */

	enum schema_value value;
	/* The scope of the map, or of the maps in the list, + 1; 0: neither is there. */
	unsigned inner;
	const char *about;     /* for editors */
	hidden_refuse *refuse; /* NEVER */
	directive_read *read;  /* images; other scopes are read as a whole by their owners */
};

static const struct directive directives[] = {
	{SCHEMA_CONFIG, "source_date_epoch", SCALAR, .status = SCHEMA_WORKS,
	 .value = SCHEMA_NUMBER,
	 .about = "the newest time of files and history, in seconds since 1970"},
	{SCHEMA_CONFIG, "limits", MAP, .status = SCHEMA_WORKS, .inner = INNER(SCHEMA_LIMITS),
	 .about = "what a step may use of the machine"},
	{SCHEMA_CONFIG, "prerequisites", LIST, .status = SCHEMA_WORKS,
	 .about = "stackerfiles whose images this one uses"},

	{SCHEMA_LIMITS, "memory", SCALAR, .status = SCHEMA_WORKS, .about = "as in 2GiB"},
	{SCHEMA_LIMITS, "processes", SCALAR, .status = SCHEMA_WORKS, .value = SCHEMA_NUMBER,
	 .about = "threads count"},
	{SCHEMA_LIMITS, "disk", SCALAR, .status = SCHEMA_WORKS,
	 .about = "of the layer in the making, as in 2GiB"},
	{SCHEMA_LIMITS, "files", SCALAR, .status = SCHEMA_WORKS, .value = SCHEMA_NUMBER,
	 .about = "of the layer in the making"},
	{SCHEMA_LIMITS, "time", SCALAR, .status = SCHEMA_WORKS, .about = "as in 30m"},
	{SCHEMA_LIMITS, "log", SCALAR, .status = SCHEMA_WORKS,
	 .about = "of the step's output, as in 64MiB"},

	{SCHEMA_IMAGE, "os", SCALAR, .keeps_null = true, .read = directive_os,
	 .about = "linux by default"},
	{SCHEMA_IMAGE, "arch", SCALAR, .keeps_null = true, .read = directive_arch,
	 .about = "as OCI has it; the machine's by default"},
	{SCHEMA_IMAGE, "from", MAP, .read = directive_from, .inner = INNER(SCHEMA_FROM),
	 .about = "what the image starts from"},
	{SCHEMA_IMAGE, "overlay_dirs", LIST, .read = directive_overlay_dirs,
	 .inner = INNER(SCHEMA_OVERLAY),
	 .about = "directories of yours that are laid over the base"},
	{SCHEMA_IMAGE, "imports", SCALAR | LIST, .read = directive_imports,
	 .value = SCHEMA_TEXT_OR_MAP, .inner = INNER(SCHEMA_IMPORT),
	 .about = "files for the step, or with dest for the image"},
	{SCHEMA_IMAGE, "import", SCALAR | LIST, .read = directive_import,
	 .value = SCHEMA_TEXT_OR_MAP, .inner = INNER(SCHEMA_IMPORT),
	 .about = "deprecated: imports"},
	{SCHEMA_IMAGE, "run", SCALAR | LIST, .read = directive_run,
	 .about = "the script that makes the image"},
	{SCHEMA_IMAGE, "build_env", MAP, .read = directive_build_env,
	 .about = "variables of the script"},
	{SCHEMA_IMAGE, "build_only", SCALAR, .read = directive_build_only, .value = SCHEMA_FLAG,
	 .about = "a stage for other images, not published"},
	{SCHEMA_IMAGE, "compression", SCALAR, .read = directive_compression,
	 .about = "of layers: gzip, zstd or none"},
	{SCHEMA_IMAGE, "normalize", SCALAR, .read = directive_normalize,
	 .about = "none: leave volatile files as they are"},
	{SCHEMA_IMAGE, "environment", MAP, .read = directive_environment,
	 .about = "variables of the image"},
	{SCHEMA_IMAGE, "cmd", SCALAR | LIST, .read = directive_cmd,
	 .about = "Cmd of the image"},
	{SCHEMA_IMAGE, "entrypoint", SCALAR | LIST, .read = directive_entrypoint,
	 .about = "Entrypoint of the image"},
	{SCHEMA_IMAGE, "full_command", SCALAR | LIST, .read = directive_full_command,
	 .about = "Entrypoint, and no Cmd"},
	{SCHEMA_IMAGE, "labels", MAP, .read = directive_labels, .about = "Labels of the image"},
	{SCHEMA_IMAGE, "annotations", MAP, .read = directive_annotations,
	 .about = "annotations of the manifest"},
	{SCHEMA_IMAGE, "volumes", LIST, .read = directive_volumes, .about = "absolute paths"},
	{SCHEMA_IMAGE, "working_dir", SCALAR, .read = directive_working_dir,
	 .about = "an absolute path"},
	{SCHEMA_IMAGE, "runtime_user", SCALAR, .read = directive_runtime_user,
	 .about = "USER or USER:GROUP"},
	{SCHEMA_IMAGE, "generate_labels", SCALAR | LIST, .read = directive_generate_labels,
	 .about = "a script that writes labels to /stacker/oci-labels"},
	{SCHEMA_IMAGE, "bom", MAP, .read = directive_bom, .value = SCHEMA_ANYTHING,
	 .about = "has no effect"},
	{SCHEMA_IMAGE, "binds", LIST, SCHEMA_NEVER, .refuse = hidden_binds,
	 .about = "refused: a hidden input"},
	{SCHEMA_IMAGE, "build_env_passthrough", LIST, SCHEMA_NEVER,
	 .refuse = hidden_passthrough, .about = "refused: a hidden input"},

	{SCHEMA_FROM, "type", SCALAR, .status = SCHEMA_WORKS,
	 .about = "scratch, built, oci, tar or docker"},
	{SCHEMA_FROM, "url", SCALAR, .status = SCHEMA_WORKS, .about = "where the base is"},
	{SCHEMA_FROM, "tag", SCALAR, .status = SCHEMA_WORKS,
	 .about = "of type built: the image to build upon"},
	{SCHEMA_FROM, "hash", SCALAR, .status = SCHEMA_WORKS,
	 .about = "of the archive: sha256:HEX"},
	{SCHEMA_FROM, "urls", LIST, .status = SCHEMA_WORKS,
	 .about = "further places of the same bytes"},
	{SCHEMA_FROM, "size", SCALAR, .status = SCHEMA_WORKS, .value = SCHEMA_NUMBER,
	 .about = "in bytes"},
	{SCHEMA_FROM, "insecure", SCALAR, .status = SCHEMA_WORKS, .value = SCHEMA_FLAG,
	 .about = "http, or https whose certificate is not checked"},
	{SCHEMA_FROM, "variant", SCALAR, .status = SCHEMA_WORKS,
	 .about = "of the architecture, such as v8"},

	{SCHEMA_OVERLAY, "source", SCALAR, .status = SCHEMA_WORKS, .about = "a directory"},
	{SCHEMA_OVERLAY, "dest", SCALAR, .status = SCHEMA_WORKS,
	 .about = "where in the image; / by default"},

	{SCHEMA_IMPORT, "path", SCALAR, .status = SCHEMA_WORKS,
	 .about = "a path, an http(s) URL or stacker://IMAGE/PATH"},
	{SCHEMA_IMPORT, "hash", SCALAR, .status = SCHEMA_WORKS,
	 .about = "sha256:HEX or sha512:HEX"},
	{SCHEMA_IMPORT, "urls", LIST, .status = SCHEMA_WORKS,
	 .about = "further places of the same bytes"},
	{SCHEMA_IMPORT, "size", SCALAR, .status = SCHEMA_WORKS, .value = SCHEMA_NUMBER,
	 .about = "in bytes"},
	{SCHEMA_IMPORT, "dest", SCALAR, .status = SCHEMA_WORKS,
	 .about = "where in the image; without it, /stacker/imports of the step"},
	{SCHEMA_IMPORT, "mode", SCALAR, .status = SCHEMA_WORKS, .value = SCHEMA_OCTAL,
	 .about = "of files, as in 0755"},
	{SCHEMA_IMPORT, "uid", SCALAR, .status = SCHEMA_WORKS, .value = SCHEMA_NUMBER,
	 .about = "owner"},
	{SCHEMA_IMPORT, "gid", SCALAR, .status = SCHEMA_WORKS, .value = SCHEMA_NUMBER,
	 .about = "group"},
	{SCHEMA_IMPORT, "unpack", SCALAR, .status = SCHEMA_WORKS, .value = SCHEMA_FLAG,
	 .about = "expand the archive into dest"},

	{SCHEMA_LOCK, "version", SCALAR, .status = SCHEMA_WORKS},
	{SCHEMA_LOCK, "source_date_epoch", SCALAR, .status = SCHEMA_WORKS},
	{SCHEMA_LOCK, "pins", LIST, .status = SCHEMA_WORKS},

	{SCHEMA_PIN, "url", SCALAR, .status = SCHEMA_WORKS},
	{SCHEMA_PIN, "hash", SCALAR, .status = SCHEMA_WORKS},
	{SCHEMA_PIN, "size", SCALAR, .status = SCHEMA_WORKS},
	{SCHEMA_PIN, "locked", SCALAR, .status = SCHEMA_WORKS},
};

static const struct {
	const char *name;  /* of the definition for editors; NULL: not of a stackerfile */
	const char *noun;  /* what a key of it is called */
	const char *place; /* what the map is called */
} scopes[] = {
	[SCHEMA_CONFIG] = {"config", "config directive", "config"},
	[SCHEMA_LIMITS] = {"limits", "limit", "limits"},
	[SCHEMA_IMAGE] = {"image", "directive", "an image"},
	/* upstream's words, which tests look for */
	[SCHEMA_FROM] = {"from", "image source directive", "from"},
	[SCHEMA_OVERLAY] = {"overlay", "overlay_dirs directive", "an item of overlay_dirs"},
	[SCHEMA_IMPORT] = {"import", "import directive", "an import"},
	[SCHEMA_LOCK] = {NULL, "key of a lock", "a lock"},
	[SCHEMA_PIN] = {NULL, "key of a pin", "a pin"},
};

static const char *shapes_expected(unsigned shapes)
{
	switch (shapes) {
	case SCALAR:
		return "a scalar";
	case LIST:
		return "a list";
	case MAP:
		return "a map";
	case SCALAR | LIST:
		return "a text or a list";
	default:
		err_bug("unknown shapes", __FILE__, __LINE__);
	}
}

static const struct directive *find(enum schema_scope scope, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(directives); i++) {
		if (directives[i].scope == scope && str_same(directives[i].name, name))
			return &directives[i];
	}
	return NULL;
}

static int refuse_unknown(enum schema_scope scope, const struct node *key, struct err *e)
{
	const char *names[ARRAY_LEN(directives)];
	size_t names_len = 0;
	AUTO_FREE char *shown = str_printable(key->text, strlen(key->text));

	for (size_t i = 0; i < ARRAY_LEN(directives); i++) {
		if (directives[i].scope == scope && directives[i].status == SCHEMA_WORKS)
			names[names_len++] = directives[i].name;
	}
	err_at(e, &key->pos, "recipe/unknown-directive", "unknown %s '%s'", scopes[scope].noun,
	       shown);
	const char *nearest = str_nearest(key->text, names, names_len);

	return nearest ? err_hint(e, "did you mean '%s'?", nearest) : -1;
}

static int check_directive(const struct directive *d, const struct node *key,
			   const struct node *value, struct err *e)
{
	switch (d->status) {
	case SCHEMA_WORKS:
		if (d->shapes & 1U << value->kind)
			return 0;
		return err_at(e, &value->pos, "recipe/wrong-type", "'%s' must be %s, not %s",
			      d->name, shapes_expected(d->shapes), node_kind_name(value->kind));
	case SCHEMA_NEVER:
		if (value->kind != NODE_SCALAR && value->len == 0)
			return 0;
		return d->refuse(key, value, e);
	}
	err_bug("unknown schema status", __FILE__, __LINE__);
}

int schema_check(enum schema_scope scope, const struct node *map, struct err *e)
{
	if (map->kind != NODE_MAPPING) {
		return err_at(e, &map->pos, "recipe/wrong-type", "%s must be a map, not %s",
			      scopes[scope].place,
			      node_is_null(map) ? "null" : node_kind_name(map->kind));
	}
	for (size_t i = 0; i < map->len; i++) {
		const struct node *key = map->keys[i];
		const struct directive *d = find(scope, key->text);

		if (!d)
			return refuse_unknown(scope, key, e);
		if (!node_is_null(map->items[i]) &&
		    check_directive(d, key, map->items[i], e) != 0)
			return -1;
	}
	return 0;
}

int schema_read_image(const struct node *map, struct recipe_image *image, struct err *e)
{
	if (schema_check(SCHEMA_IMAGE, map, e) != 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(directives); i++) {
		const struct directive *d = &directives[i];

		if (!d->read)
			continue;
		const struct node *value = node_get(map, d->name);

		if (!value || (node_is_null(value) && !d->keeps_null))
			continue;
		if (d->read(value, image, e) != 0)
			return -1;
	}
	return 0;
}

const struct node *schema_get(const struct node *map, const char *key)
{
	const struct node *value = node_get(map, key);

	return value && !node_is_null(value) ? value : NULL;
}

const char *schema_scope_name(enum schema_scope scope)
{
	return scopes[scope].name;
}

size_t schema_entries(void)
{
	return ARRAY_LEN(directives);
}

struct schema_entry schema_entry(size_t index)
{
	const struct directive *d = &directives[index];

	return (struct schema_entry){
		.scope = d->scope,
		.name = d->name,
		.may_be_scalar = d->shapes & SCALAR,
		.may_be_list = d->shapes & LIST,
		.may_be_map = d->shapes & MAP,
		.refused = d->status == SCHEMA_NEVER,
		.value = d->value,
		.has_inner = d->inner != 0,
		.inner = (enum schema_scope)(d->inner ? d->inner - 1 : 0),
		.about = d->about,
	};
}
