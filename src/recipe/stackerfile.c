/* From text to images: substitution, the document's top level, image names, defaults. */
#include "recipe/stackerfile.h"

#include <stdlib.h>
#include <string.h>

#include "recipe/import.h"
#include "recipe/order.h"
#include "recipe/pin.h"
#include "recipe/schema.h"
#include "recipe/source.h"
#include "recipe/stackerfile_internal.h"
#include "recipe/value.h"
#include "recipe/yaml_text.h"
#include "util/limits.h"
#include "util/str.h"

#define EPOCH_MAX                                                                              \
	INT64_C(253402300799) /* 9999-12-31T23:59:59Z, the last that RFC 3339 holds            \
			       */
#define CONFIG_KEY "config"

void recipe_image_cleanup(struct recipe_image *image)
{
	free(image->name);
	recipe_source_cleanup(&image->from_source);
	free(image->from_layout);
	free(image->from_ref);
	free(image->from_image);
	free(image->from_url);
	free(image->from_variant);
	for (size_t i = 0; i < image->imports.len; i++)
		recipe_import_cleanup(&image->imports.items[i]);
	vec_free(&image->imports);
	free(image->run);
	free(image->generate_labels);
	map_cleanup(&image->environment);
	map_cleanup(&image->build_env);
	map_cleanup(&image->labels);
	map_cleanup(&image->annotations);
	strvec_cleanup(&image->cmd);
	strvec_cleanup(&image->entrypoint);
	strvec_cleanup(&image->full_command);
	strvec_cleanup(&image->volumes);
	free(image->working_dir);
	free(image->runtime_user);
	free(image->os);
	free(image->arch);
}

void recipe_image_forget_needs(struct recipe_image *image)
{
	image->from = FROM_SCRATCH;
	recipe_source_cleanup(&image->from_source);
	mem_free_cleanup(&image->from_image);
	for (size_t i = 0; i < image->imports.len; i++)
		recipe_import_cleanup(&image->imports.items[i]);
	vec_free(&image->imports);
}

void stackerfile_cleanup(struct stackerfile *s)
{
	for (size_t i = 0; i < s->images.len; i++)
		recipe_image_cleanup(&s->images.items[i]);
	vec_free(&s->images);
	for (size_t i = 0; i < s->prerequisites.len; i++)
		free(s->prerequisites.items[i].path);
	vec_free(&s->prerequisites);
	yaml_document_cleanup(&s->document);
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The OCI ref-name grammar: runs of letters and digits, joined by one of -._:@+, by "--", or by
 * "/" (the ":" is refused before). */
static bool is_ref_name(const char *text)
{
	for (;;) {
		if (!is_alnum(*text))
			return false;
		while (is_alnum(*text))
			text++;
		if (*text == '\0')
			return true;
		if (!strchr("-._@+/", *text))
			return false;
		text += str_has_prefix(text, "--") ? 2 : 1;
	}
}

static int check_name(const struct node *key, struct err *e)
{
	size_t len = strlen(key->text);
	AUTO_FREE char *shown = str_printable(key->text, len);

	if (len > LIMIT_IMAGE_NAME_BYTES) {
		return err_at(e, &key->pos, "recipe/bad-name",
			      "image name of %zu bytes is over the limit of %d", len,
			      LIMIT_IMAGE_NAME_BYTES);
	}
	if (strchr(key->text, ':')) {
		return err_at(e, &key->pos, "recipe/bad-name",
			      "':' is forbidden in image name '%s'", shown);
	}
	if (!is_ref_name(key->text)) {
		err_at(e, &key->pos, "recipe/bad-name", "image name '%s' is not valid", shown);
		return err_hint(e,
				"use letters and digits, joined by one of - . _ @ + or by '/'");
	}
	return 0;
}

static int read_prerequisites(const struct node *list, struct stackerfile *s, struct err *e)
{
	for (size_t i = 0; i < list->len; i++) {
		const struct node *n = list->items[i];

		if (value_path(n, "prerequisites", e) != 0)
			return -1;
		if (n->text[0] == '\0' || str_has_suffix(n->text, "/")) {
			AUTO_FREE char *shown = str_printable(n->text, strlen(n->text));

			return err_at(e, &n->pos, "recipe/bad-path",
				      "prerequisite '%s' does not name a file", shown);
		}
		const struct recipe_prerequisite p = {.path = mem_strdup(n->text),
						      .pos = n->pos};
		vec_push(&s->prerequisites, p);
	}
	return 0;
}

int stackerfile_read_config(const struct node *config, struct stackerfile *s, struct err *e)
{
	s->source_date_epoch = RECIPE_DEFAULT_EPOCH;
	if (!config)
		return 0;
	if (schema_check(SCHEMA_CONFIG, config, e) != 0)
		return -1;
	const struct node *epoch = schema_get(config, "source_date_epoch");
	const struct node *limits = schema_get(config, "limits");
	const struct node *prerequisites = schema_get(config, "prerequisites");

	if ((limits && limits_read(limits, &s->limits, e) != 0) ||
	    (prerequisites && read_prerequisites(prerequisites, s, e) != 0))
		return -1;
	s->has_epoch = epoch;
	return epoch ? value_integer(epoch, "source_date_epoch", EPOCH_MAX,
				     &s->source_date_epoch, e)
		     : 0;
}

int stackerfile_read_image(const struct node *key, const struct node *value,
			   const char *default_arch, struct recipe_image *image, struct err *e)
{
	const struct node *from = NULL;

	if (check_name(key, e) != 0)
		return -1;
	image->name = mem_strdup(key->text);
	image->pos = key->pos;
	image->os = mem_strdup("linux");
	image->arch = mem_strdup(default_arch);
	if (value->kind == NODE_MAPPING)
		from = schema_get(value, "from");
	if (schema_read_image(value, image, e) != 0)
		return -1;
	if (from)
		return 0;
	err_at(e, &key->pos, "recipe/no-base", "invalid layer: no base for image '%s'",
	       image->name);
	return err_hint(e, "add 'from:', for example 'from: {type: scratch}'");
}

static int read_images(const struct node *root, const char *default_arch, struct stackerfile *s,
		       struct err *e)
{
	for (size_t i = 0; i < root->len; i++) {
		AUTO(recipe_image) image = RECIPE_IMAGE_INIT;

		if (str_same(root->keys[i]->text, CONFIG_KEY))
			continue;
		if (s->images.len == LIMIT_IMAGES) {
			return err_at(e, &root->keys[i]->pos, "recipe/too-big",
				      "more than %d images in one stackerfile", LIMIT_IMAGES);
		}
		if (stackerfile_read_image(root->keys[i], root->items[i], default_arch, &image,
					   e) != 0)
			return -1;
		vec_push(&s->images, image);
		image = (struct recipe_image){0};
	}
	return 0;
}

static int read_root(const struct node *root, const char *default_arch, struct stackerfile *s,
		     struct err *e)
{
	struct pos start = {.file = s->document.file, .line = 1, .column = 1};

	if (root && !node_is_null(root) && root->kind != NODE_MAPPING) {
		return err_at(e, &root->pos, "recipe/wrong-type",
			      "a stackerfile must be a map of images, not %s",
			      node_kind_name(root->kind));
	}
	if (root && root->kind == NODE_MAPPING) {
		if (stackerfile_read_config(schema_get(root, CONFIG_KEY), s, e) != 0 ||
		    read_images(root, default_arch, s, e) != 0)
			return -1;
	}
	if (s->images.len > 0 || s->prerequisites.len > 0)
		return 0;
	err_at(e, &start, "recipe/no-images", "no image in the stackerfile");
	return err_hint(e, "add one, for example 'NAME: {from: {type: scratch}}'");
}

/* Positions are those before substitution. */
int stackerfile_read_yaml(const struct stackerfile_source *source, struct yaml_document *ret,
			  struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	AUTO(text_places) places = {0};

	if (yaml_text_check(source->text, source->len, source->file, e) != 0 ||
	    substitute(source->substitutions, (struct str){source->text, source->len},
		       source->file, &text, &places, e) != 0)
		return -1;
	const struct yaml_source yaml = {.text = buf_text(&text),
					 .len = text.len,
					 .file = source->file,
					 .places = places.items,
					 .places_len = places.len,
					 .aliases = true};
	return yaml_parse_source(&yaml, ret, e);
}

int stackerfile_read(const struct stackerfile_source *source, struct stackerfile *ret,
		     struct err *e)
{
	AUTO(stackerfile) s = {0};

	if (stackerfile_read_yaml(source, &s.document, e) != 0) {
		/* Upstream's words; keys of the top level are image names. */
		if (str_same(e->id, "yaml/duplicate-key") && e->column == 1)
			err_wrap(e, "duplicate layer name");
		return -1;
	}
	if (read_root(s.document.root, source->default_arch, &s, e) != 0)
		return -1;
	*ret = s;
	s = (struct stackerfile){0};
	return 0;
}

int stackerfile_order(struct stackerfile *s, const struct map *elsewhere, struct err *e)
{
	return order_images(&s->images, elsewhere, e);
}

const struct recipe_image *stackerfile_find(const struct stackerfile *s, const char *name)
{
	for (size_t i = 0; i < s->images.len; i++) {
		if (str_same(s->images.items[i].name, name))
			return &s->images.items[i];
	}
	return NULL;
}
