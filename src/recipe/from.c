/* The `from` directive: what an image starts from. */
#include <stdlib.h>
#include <string.h>

#include "recipe/directive.h"
#include "recipe/schema.h"
#include "recipe/source.h"
#include "recipe/value.h"
#include "util/mem.h"
#include "util/str.h"

/* A key that the type does not use would mislead whoever wrote it. */
static int refuse_others(const struct node *from, const char *type, const char *const *used,
			 struct err *e)
{
	for (size_t i = 0; i < from->len; i++) {
		const struct node *key = from->keys[i];
		bool is_used = str_same(key->text, "type") || node_is_null(from->items[i]);

		for (size_t k = 0; used[k] && !is_used; k++)
			is_used = str_same(key->text, used[k]);
		if (is_used)
			continue;
		err_at(e, &key->pos, "recipe/no-effect",
		       "'%s' has no effect with from type '%s'", key->text, type);
		if (str_same(type, "oci"))
			return err_hint(e, "write it as 'url: PATH:TAG'");
		if (str_same(type, "built"))
			return err_hint(e, "name the image with 'tag: NAME'");
		return err_hint(e, "remove it");
	}
	return 0;
}

static int read_scratch(const struct node *from, struct recipe_image *image, struct err *e)
{
	static const char *const used[] = {NULL};

	image->from = FROM_SCRATCH;
	return refuse_others(from, "scratch", used, e);
}

static const struct node *need_url(const struct node *from, const char *type, struct err *e)
{
	const struct node *url = schema_get(from, "url");

	if (url && url->text[0] != '\0')
		return url;
	err_at(e, &from->pos, "recipe/missing-url", "from type '%s' needs 'url'", type);
	return NULL;
}

static int read_tar(const struct node *from, struct recipe_image *image, struct err *e)
{
	static const char *const used[] = {"url", "hash", "urls", "size", NULL};
	const struct source_nodes nodes = {
		.path = schema_get(from, "url"),
		.hash = schema_get(from, "hash"),
		.urls = schema_get(from, "urls"),
		.size = schema_get(from, "size"),
		.path_key = "url",
	};

	image->from = FROM_TAR;
	if (!need_url(from, "tar", e) || refuse_others(from, "tar", used, e) != 0 ||
	    source_parse(&nodes, &image->from_source, e) != 0)
		return -1;
	if (!image->from_source.contents)
		return 0;
	return err_at(e, &nodes.path->pos, "recipe/bad-path",
		      "'%s' is a directory, not an archive", nodes.path->text);
}

/* PATH:TAG is split at the first ':', so that tags may hold more of them; PATH@sha256:HEX names
 * a manifest. Nothing else than 64 lower-case digits may follow "sha256:" in either form, since
 * a reference that looks like a digest must be one. */
static int split_oci_url(const struct node *url, struct recipe_image *image, struct err *e)
{
	const char *text = url->text;
	const char *at = strstr(text, "@sha256:");
	const char *colon = strchr(text, ':');
	const char *end = at && at < colon ? at : colon;
	struct digest ignored;

	if (!colon || end == text || end[1] == '\0') {
		err_at(e, &url->pos, "recipe/bad-url", "'%s' does not name a layout and a tag",
		       text);
		return err_hint(e, "write 'url: PATH:TAG' or 'url: PATH@sha256:HEX'");
	}
	image->from_pos = url->pos;
	image->from_layout = mem_strndup(text, (size_t)(end - text));
	image->from_ref = mem_strdup(end + 1);
	if (str_has_prefix(image->from_ref, "sha256:") &&
	    digest_parse(image->from_ref, &ignored, e) != 0) {
		err_recode(e, ERR_RECIPE, "recipe/bad-hash");
		return err_locate(e, &url->pos);
	}
	return 0;
}

static int read_oci(const struct node *from, struct recipe_image *image, struct err *e)
{
	static const char *const used[] = {"url", NULL};
	const struct node *url = need_url(from, "oci", e);

	image->from = FROM_OCI;
	if (!url || refuse_others(from, "oci", used, e) != 0 || value_path(url, "url", e) != 0)
		return -1;
	if (strstr(url->text, "://")) {
		err_at(e, &url->pos, "recipe/bad-url", "'%s' is not a local OCI layout",
		       url->text);
		return err_hint(e, "use 'type: docker' for an image in a registry");
	}
	return split_oci_url(url, image, e);
}

/* "oci:PATH:TAG" is upstream's other form: an image of a local layout. */
static int read_docker_layout(const struct node *url, struct recipe_image *image, struct err *e)
{
	struct node rest = *url;

	rest.text += strlen("oci:");
	image->from = FROM_OCI;
	return split_oci_url(&rest, image, e);
}

/* docker://HOST/REPOSITORY[:TAG][@DIGEST]; without a digest a lock must have it. The grammar of
 * names is checked where registries are known, in build/plan.c. */
static int split_docker_url(const struct node *url, struct recipe_image *image, struct err *e)
{
	const char *at = strchr(url->text, '@');
	const char *slash = strrchr(url->text, '/');
	bool has_tag = slash && strchr(slash, ':') && !at;

	image->from_url =
		mem_strndup(url->text, at ? (size_t)(at - url->text) : strlen(url->text));
	image->from_size = -1;
	image->from_pos = url->pos;
	if (at && digest_parse(at + 1, &image->from_digest, e) != 0) {
		err_recode(e, ERR_RECIPE, "recipe/bad-hash");
		return err_locate(e, &url->pos);
	}
	if (at || has_tag)
		return 0;
	err_at(e, &url->pos, "recipe/bad-url", "'%s' names no tag and no digest", url->text);
	return err_hint(e,
			"write 'url: %.300s@sha256:HEX', or add a tag and run 'stacker lock'",
			url->text);
}

static int read_docker(const struct node *from, struct recipe_image *image, struct err *e)
{
	static const char *const used[] = {"url", "insecure", "variant", NULL};
	const struct node *url = need_url(from, "docker", e);
	const struct node *insecure = schema_get(from, "insecure");
	const struct node *variant = schema_get(from, "variant");

	image->from = FROM_DOCKER;
	if (!url || refuse_others(from, "docker", used, e) != 0 ||
	    value_path(url, "url", e) != 0 ||
	    (insecure && value_bool(insecure, "insecure", &image->from_insecure, e) != 0))
		return -1;
	if (variant)
		image->from_variant = mem_strdup(variant->text);
	if (str_has_prefix(url->text, "oci:"))
		return read_docker_layout(url, image, e);
	if (str_has_prefix(url->text, "docker://"))
		return split_docker_url(url, image, e);
	err_at(e, &url->pos, "recipe/bad-url", "'%s' is not an image in a registry", url->text);
	return err_hint(e, "write 'url: docker://HOST/REPOSITORY@sha256:HEX'");
}

static int read_built(const struct node *from, struct recipe_image *image, struct err *e)
{
	static const char *const used[] = {"tag", NULL};
	const struct node *tag = schema_get(from, "tag");

	image->from = FROM_BUILT;
	if (refuse_others(from, "built", used, e) != 0)
		return -1;
	if (!tag || tag->text[0] == '\0') {
		err_at(e, &from->pos, "recipe/missing-tag", "from tag cannot be empty");
		return err_hint(e, "add 'tag: NAME', the image to build upon");
	}
	image->from_image = mem_strdup(tag->text);
	return 0;
}

int directive_from(const struct node *value, struct recipe_image *image, struct err *e)
{
	static const char *const types[] = {"scratch", "tar", "oci", "docker", "built"};

	if (schema_check(SCHEMA_FROM, value, e) != 0)
		return -1;
	const struct node *type = schema_get(value, "type");

	if (!type) {
		err_at(e, &value->pos, "recipe/missing-type", "from without 'type'");
		return err_hint(e, "add 'type: scratch', 'tar', 'oci', 'docker' or 'built'");
	}
	if (str_same(type->text, "scratch"))
		return read_scratch(value, image, e);
	if (str_same(type->text, "tar"))
		return read_tar(value, image, e);
	if (str_same(type->text, "oci"))
		return read_oci(value, image, e);
	if (str_same(type->text, "built"))
		return read_built(value, image, e);
	if (str_same(type->text, "docker"))
		return read_docker(value, image, e);
	AUTO_FREE char *shown = str_printable(type->text, strlen(type->text));
	const char *nearest = str_nearest(type->text, types, ARRAY_LEN(types));

	err_at(e, &type->pos, "recipe/unknown-type", "unknown layer type '%s'", shown);
	if (nearest)
		return err_hint(e, "did you mean '%s'?", nearest);
	return err_hint(e, "use 'scratch', 'tar', 'oci', 'docker' or 'built'");
}
