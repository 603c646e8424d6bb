/*
 * Every NAME.recipe.yaml of vectors/format-1 becomes the recipe and the digest written in
 * NAME.recipe.json.txt. What a recipe takes from outside its text is fixed: the digests of base,
 * imports and policy are those of the texts "base", "import 0" ... and "policy". With the
 * argument "facts" the recipes are printed, for new vectors.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "recipe_fixture.h"

#include "recipe/canon.h"
#include "util/limits.h"
#include "util/path.h"

#define VECTORS_DIR "vectors/format-1/"

enum { IMPORTS_MAX = 8 };

static char *read_text(const char *name)
{
	AUTO_FREE char *path = mem_printf(VECTORS_DIR "%s", name);
	AUTO(buf) text = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	if (path_read_file(AT_FDCWD, path, &text, &e) < 0)
		fail_msg("%s", e.message);
	return buf_take(&text);
}

static char *canonical(const struct stackerfile *s)
{
	const struct recipe_image *app = stackerfile_find(s, "app");
	struct digest imports[IMPORTS_MAX];
	struct recipe_resolution r = {.source_date_epoch = s->source_date_epoch,
				      .zstd_version = "1.5.4",
				      .imports = imports};
	AUTO(buf) out = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	struct err e = ERR_INIT;

	assert_non_null(app);
	digest_bytes(DIGEST_SHA256, "policy", 6, &r.policy);
	if (app->from != FROM_SCRATCH)
		digest_bytes(DIGEST_SHA256, "base", 4, &r.base);
	assert_true(app->imports.len <= IMPORTS_MAX);
	for (; r.imports_len < app->imports.len; r.imports_len++) {
		char text[16];
		int len = snprintf(text, sizeof(text), "import %zu", r.imports_len);
		digest_bytes(DIGEST_SHA256, text, (size_t)len, &imports[r.imports_len]);
	}
	if (recipe_canon(app, &r, &out, &e) < 0)
		fail_msg("%s", e.message);
	return buf_take(&out);
}

static void check(const char *name, bool shows)
{
	AUTO_FREE char *text = read_text(name);
	AUTO_FREE char *stem = mem_strndup(name, strlen(name) - strlen(".yaml"));
	AUTO_FREE char *wanted_name = mem_printf("%s.json.txt", stem);
	AUTO(stackerfile) s = expect_parses(text);
	AUTO_FREE char *recipe = canonical(&s);
	struct digest digest;
	char hex[DIGEST_TEXT_MAX];

	digest_bytes(DIGEST_SHA256, recipe, strlen(recipe), &digest);
	digest_format_hex(&digest, hex);
	AUTO_FREE char *found = mem_printf("json %s\nas %s\nsha256 %s\n", recipe, recipe, hex);
	print_message("%s\n", name);
	if (shows) {
		printf("%s\n%s", name, found); /* print_message() cuts */
		return;
	}
	AUTO_FREE char *wanted = read_text(wanted_name);
	assert_string_equal(found, wanted);
}

static void test_every_recipe(void **state)
{
	const bool *shows = *state;
	DIR *dir = opendir(VECTORS_DIR);
	unsigned count = 0;

	assert_non_null(dir);
	for (const struct dirent *x; (x = readdir(dir));) {
		const char *end = strstr(x->d_name, ".recipe.yaml");
		if (!end || strcmp(end, ".recipe.yaml") != 0)
			continue;
		check(x->d_name, *shows);
		count++;
	}
	closedir(dir);
	assert_true(count >= 3);
}

int main(int argc, char **argv)
{
	bool shows = argc > 1 && strcmp(argv[1], "facts") == 0;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_every_recipe, &shows),
	};

	return cmocka_run_group_tests_name("recipe vectors", tests, NULL, NULL);
}
