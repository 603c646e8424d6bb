/*
 * Users and variables, from the recipe and from a base's configuration: lines of text, the
 * first a user, the others variables. What gets through has the form that a runtime takes for
 * it, numbers within the ids of an image among it, and no variable without a value.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/recipe_parse.h"
#include "image/config.h"
#include "util/buf.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/num.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Quoted as both JSON and YAML read it; NULL if it is no UTF-8. */
static char *quote(const char *text, size_t len)
{
	json_t *value = json_stringn(text, len);
	char *quoted = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
	json_decref(value);
	return quoted;
}

static void check_id(const char *text, size_t len)
{
	uint64_t id = 0;
	bool digits = len > 0 && strspn(text, "0123456789") >= len;
	BUG_IF(len == 0);
	BUG_IF(digits && !num_parse_u64(text, len, 65535, &id));
}

static void check_user(const char *user)
{
	const char *colon = strchr(user, ':');
	check_id(user, colon ? (size_t)(colon - user) : strlen(user));
	if (colon)
		check_id(colon + 1, strlen(colon + 1));
	BUG_IF(colon && strchr(colon + 1, ':'));
	BUG_IF(strpbrk(user, " \t\r\n/"));
}

static void try_recipe(const char *user, const char *variable)
{
	AUTO(buf) text = BUF_INIT(MIB);
	AUTO(stackerfile) s = {0};
	struct err e = ERR_INIT;
	buf_addf(&text, "a: {from: {type: scratch}, runtime_user: %s, environment: {A: %s}}\n",
		 user, variable);
	if (text.len > LIMIT_STACKERFILE_BYTES ||
	    recipe_parse(text.data, text.len, &s, &e) != 0)
		return;
	if (s.images.items[0].runtime_user)
		check_user(s.images.items[0].runtime_user);
}

static void try_config(const char *user, const char *variable)
{
	AUTO(buf) text = BUF_INIT(MIB);
	AUTO(image_config) c = {0};
	struct err e = ERR_INIT;
	buf_addf(
		&text,
		"{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"User\":%s,\"Env\":[%s]},"
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}",
		user, variable);
	if (image_config_parse(text.data, text.len, "input", &c, &e) < 0)
		return;
	for (size_t i = 0; i < c.env.len; i++)
		BUG_IF(strchr(c.env.items[i], '=') == NULL || c.env.items[i][0] == '=');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *newline = memchr(data, '\n', size);
	if (!newline || size > 64 * KIB)
		return 0;
	AUTO_FREE char *user = quote(text, (size_t)(newline - text));
	AUTO_FREE char *variable = quote(newline + 1, size - (size_t)(newline - text) - 1);
	if (!user || !variable)
		return 0;
	try_recipe(user, variable);
	try_config(user, variable);
	return 0;
}
