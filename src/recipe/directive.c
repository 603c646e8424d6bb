/* The directives that say how an image is run, at build time and later. */
#include "recipe/directive.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "recipe/value.h"
#include "recipe/words.h"
#include "util/buf.h"
#include "util/limits.h"
#include "util/num.h"
#include "util/str.h"

#define SHEBANG "#!/bin/sh -xe\n"

/* Ids a user of an image may have: what a build's user namespace maps. */
enum { ID_MAX = 65535 };

/* *ret stays NULL if there is nothing to run. */
static int read_script(const struct node *value, const char *what, char **ret, struct err *e)
{
	AUTO(strvec) parts = {0};
	AUTO(buf) script = BUF_INIT(LIMIT_SCRIPT_BYTES);

	if (value->kind == NODE_SEQUENCE) {
		if (value_texts(value, what, &parts, e) != 0)
			return -1;
	} else if (value->text[0] != '\0') {
		strvec_push(&parts, value->text);
	}
	if (parts.len == 0)
		return 0;
	if (!str_has_prefix(parts.items[0], "#!"))
		buf_add_c(&script, SHEBANG);
	for (size_t i = 0; i < parts.len; i++) {
		if (i > 0)
			buf_add_byte(&script, '\n');
		buf_add_c(&script, parts.items[i]);
	}
	if (script.len == 0 || script.data[script.len - 1] != '\n')
		buf_add_byte(&script, '\n');
	if (script.overflowed) {
		return err_at(e, &value->pos, "recipe/too-big",
			      "script of '%s' is over the limit of %" PRIu64 " bytes", what,
			      (uint64_t)LIMIT_SCRIPT_BYTES);
	}
	*ret = buf_take(&script);
	return 0;
}

int directive_run(const struct node *value, struct recipe_image *image, struct err *e)
{
	return read_script(value, "run", &image->run, e);
}

int directive_generate_labels(const struct node *value, struct recipe_image *image,
			      struct err *e)
{
	return read_script(value, "generate_labels", &image->generate_labels, e);
}

/* Upstream, too, does nothing with it any more but warn. */
int directive_bom(const struct node *value, struct recipe_image *image, struct err *e)
{
	(void)e;
	image->bom_pos = value->pos;
	return 0;
}

/* Variables reach a process as one "K=V" string each, which Linux bounds. */
static int read_variables(const struct node *value, const char *what, struct map *ret,
			  struct err *e)
{
	if (value_text_map(value, what, ret, e) != 0)
		return -1;
	for (size_t i = 0; i < ret->len; i++) {
		const char *key = ret->entries[i].key;
		size_t len = strlen(key) + strlen((const char *)ret->entries[i].value) + 2;

		if (len <= LIMIT_ENV_BYTES)
			continue;
		return err_at(e, &node_get(value, key)->pos, "recipe/too-big",
			      "variable '%.64s' of '%s' is over the limit of %" PRIu64 " bytes",
			      key, what, (uint64_t)LIMIT_ENV_BYTES);
	}
	return 0;
}

int directive_environment(const struct node *value, struct recipe_image *image, struct err *e)
{
	return read_variables(value, "environment", &image->environment, e);
}

int directive_build_env(const struct node *value, struct recipe_image *image, struct err *e)
{
	return read_variables(value, "build_env", &image->build_env, e);
}

int directive_labels(const struct node *value, struct recipe_image *image, struct err *e)
{
	return value_text_map(value, "labels", &image->labels, e);
}

int directive_annotations(const struct node *value, struct recipe_image *image, struct err *e)
{
	return value_text_map(value, "annotations", &image->annotations, e);
}

static int read_command(const struct node *value, const char *what, struct strvec *ret,
			bool *ret_has, struct err *e)
{
	*ret_has = true;
	if (value->kind == NODE_SEQUENCE)
		return value_texts(value, what, ret, e);
	if (words_split(value->text, ret, e) == 0)
		return 0;
	err_wrap(e, "'%s'", what);
	return err_locate(e, &value->pos);
}

int directive_cmd(const struct node *value, struct recipe_image *image, struct err *e)
{
	return read_command(value, "cmd", &image->cmd, &image->has_cmd, e);
}

int directive_entrypoint(const struct node *value, struct recipe_image *image, struct err *e)
{
	return read_command(value, "entrypoint", &image->entrypoint, &image->has_entrypoint, e);
}

int directive_full_command(const struct node *value, struct recipe_image *image, struct err *e)
{
	return read_command(value, "full_command", &image->full_command,
			    &image->has_full_command, e);
}

int directive_volumes(const struct node *value, struct recipe_image *image, struct err *e)
{
	for (size_t i = 0; i < value->len; i++) {
		if (value_absolute_path(value->items[i], "volumes", e) != 0)
			return -1;
		strvec_push(&image->volumes, value->items[i]->text);
	}
	return 0;
}

/* "" leaves the base's, as upstream. */
int directive_working_dir(const struct node *value, struct recipe_image *image, struct err *e)
{
	if (value->text[0] == '\0')
		return 0;
	if (value_absolute_path(value, "working_dir", e) != 0)
		return -1;
	image->working_dir = mem_strdup(value->text);
	return 0;
}

/* A name as shadow's useradd takes it, or a decimal id. "0x0", "1:" or "4294967296" must never
 * become root by some reader's leniency (SEC SB51). */
static bool is_user(const char *text, size_t len)
{
	enum { NAME_MAX_BYTES = 32 };
	uint64_t id;

	if (num_parse_u64(text, len, ID_MAX, &id))
		return true;
	if (len == 0 || len > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool is_letter = (text[i] >= 'a' && text[i] <= 'z') ||
				 (text[i] >= 'A' && text[i] <= 'Z') || text[i] == '_';
		bool is_inner =
			(text[i] >= '0' && text[i] <= '9') || text[i] == '-' || text[i] == '.';

		if (!is_letter && !(i > 0 && is_inner))
			return false;
	}
	return true;
}

bool directive_is_user(const char *text)
{
	const char *colon = strchr(text, ':');
	size_t user_len = colon ? (size_t)(colon - text) : strlen(text);

	return is_user(text, user_len) && (!colon || is_user(colon + 1, strlen(colon + 1)));
}

int directive_runtime_user(const struct node *value, struct recipe_image *image, struct err *e)
{
	if (value->text[0] == '\0')
		return 0;
	if (directive_is_user(value->text)) {
		image->runtime_user = mem_strdup(value->text);
		return 0;
	}
	AUTO_FREE char *shown = str_printable(value->text, strlen(value->text));

	err_at(e, &value->pos, "recipe/bad-user", "'runtime_user' '%s' is not valid", shown);
	return err_hint(e, "write USER or USER:GROUP, each a name or a number of 0 to %d",
			ID_MAX);
}

/* The names that Go and OCI use: "linux", "arm64". */
static int read_platform(const struct node *value, const char *what, char **field,
			 struct err *e)
{
	enum { PLATFORM_MAX_BYTES = 32 };
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	const char *text = value->text;

	if (node_is_null(value) || text[0] == '\0') {
		err_at(e, &value->pos, "recipe/empty-value", "'%s' value cannot be empty",
		       what);
		return err_hint(e, "remove '%s' to get the default", what);
	}
	if (strlen(text) > PLATFORM_MAX_BYTES || text[strspn(text, allowed)] != '\0') {
		AUTO_FREE char *shown = str_printable(text, strlen(text));

		err_at(e, &value->pos, "recipe/bad-platform", "'%s' '%s' is not valid", what,
		       shown);
		return err_hint(e, "use a name such as 'linux' or 'amd64'");
	}
	free(*field);
	*field = mem_strdup(text);
	return 0;
}

int directive_os(const struct node *value, struct recipe_image *image, struct err *e)
{
	return read_platform(value, "os", &image->os, e);
}

int directive_arch(const struct node *value, struct recipe_image *image, struct err *e)
{
	return read_platform(value, "arch", &image->arch, e);
}

int directive_build_only(const struct node *value, struct recipe_image *image, struct err *e)
{
	return value_bool(value, "build_only", &image->build_only, e);
}

int directive_compression(const struct node *value, struct recipe_image *image, struct err *e)
{
	static const char *const names[] = {
		[COMPRESSION_GZIP] = "gzip",
		[COMPRESSION_NONE] = "none",
		[COMPRESSION_ZSTD] = "zstd",
	};
	const char *text = NULL;

	if (value_text(value, "compression", &text, e) != 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_same(text, names[i])) {
			image->compression = (enum recipe_compression)i;
			return 0;
		}
	}
	AUTO_FREE char *shown = str_printable(text, strlen(text));

	err_at(e, &value->pos, "recipe/bad-compression", "unknown compression '%s'", shown);
	return err_hint(e, "it is 'gzip', 'zstd' or 'none'");
}

int directive_normalize(const struct node *value, struct recipe_image *image, struct err *e)
{
	const char *text = NULL;

	if (value_text(value, "normalize", &text, e) != 0)
		return -1;
	image->keeps_volatile = str_same(text, "none");
	if (image->keeps_volatile || str_same(text, "policy"))
		return 0;
	AUTO_FREE char *shown = str_printable(text, strlen(text));

	err_at(e, &value->pos, "recipe/bad-normalize", "unknown value '%s' of 'normalize'",
	       shown);
	return err_hint(e, "it is 'none', or 'policy', which is the default");
}
