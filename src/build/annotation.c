/* Annotations of our own, and keeping them apart from everybody else's. */
#include "build/annotation.h"

#include <string.h>

#include "recipe/canon.h"
#include "util/mem.h"
#include "util/str.h"

#define RECIPE_SUFFIX ".stacker.recipe"
#define FORMAT_SUFFIX ".stacker.format"

enum { NAMESPACE_BYTES_MAX = 128 };

int annotation_namespace_check(const char *name, struct err *e)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789.-_";
	if (name[0] != '\0' && name[strspn(name, allowed)] == '\0' &&
	    strlen(name) <= NAMESPACE_BYTES_MAX)
		return 0;
	AUTO_FREE char *shown = str_printable(name, strlen(name));
	err_set(e, ERR_USAGE, "build/bad-namespace", "annotations namespace '%s' is not valid",
		shown);
	return err_hint(e, "use a reversed domain name, such as 'org.example'");
}

static bool is_builders(const char *key)
{
	static const char *const suffixes[] = {RECIPE_SUFFIX, FORMAT_SUFFIX,
					       ".stacker.git_version", ".stacker.stacker_yaml",
					       ".stacker.stacker_version"};
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		if (str_has_suffix(key, suffixes[i]))
			return true;
	return false;
}

int annotation_check(const struct recipe_image *r, struct err *e)
{
	for (size_t i = 0; i < r->annotations.len; i++) {
		const char *key = r->annotations.entries[i].key;
		if (!is_builders(key))
			continue;
		err_at(e, &r->pos, "recipe/reserved-annotation",
		       "annotation '%s' of image '%s' is for builders to set", key, r->name);
		return err_hint(e, "give it another name");
	}
	return 0;
}

void annotation_inherit(const struct map *from, struct map *ret)
{
	for (size_t i = 0; i < from->len; i++)
		if (!is_builders(from->entries[i].key))
			map_set_text(ret, from->entries[i].key, from->entries[i].value);
}

void annotation_add(const char *name_space, const struct digest *recipe, struct map *ret)
{
	char digest[DIGEST_TEXT_MAX];
	digest_format(recipe, digest);
	AUTO_FREE char *format = mem_printf("%d", RECIPE_FORMAT);
	AUTO_FREE char *recipe_key = mem_printf("%s" RECIPE_SUFFIX, name_space);
	AUTO_FREE char *format_key = mem_printf("%s" FORMAT_SUFFIX, name_space);
	map_set_text(ret, recipe_key, digest);
	map_set_text(ret, format_key, format);
}

const char *annotation_recipe(const struct map *annotations)
{
	const char *found = NULL;
	for (size_t i = 0; i < annotations->len; i++) {
		if (!str_has_suffix(annotations->entries[i].key, RECIPE_SUFFIX))
			continue;
		if (found)
			return NULL;
		found = annotations->entries[i].value;
	}
	return found;
}
