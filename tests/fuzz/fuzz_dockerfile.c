/*
 * Dockerfiles: bytes to instructions, to a stackerfile. Whatever converts is YAML that the
 * stackerfile's own reader takes, but for values that only the Dockerfile can be blamed for, such
 * as a URL that is none.
 */
#include <stdint.h>
#include <string.h>

#include "recipe/convert.h"
#include "recipe/stackerfile.h"
#include "util/limits.h"
#include "util/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A small context: d/ with two files, f at the top. */
static enum convert_kind kind(void *ctx, const char *path)
{
	(void)ctx;
	if (path[0] == '\0' || str_same(path, "d"))
		return CONVERT_DIR;
	return str_same(path, "f") || str_same(path, "d/a") || str_same(path, "d/b.tar")
		       ? CONVERT_FILE
		       : CONVERT_ABSENT;
}

static int list(void *ctx, const char *path, struct strvec *ret, struct err *e)
{
	(void)ctx;
	(void)e;
	strvec_push(ret, path[0] ? "a" : "d");
	strvec_push(ret, path[0] ? "b.tar" : "f");
	return 0;
}

static bool is_blameless(const char *id)
{
	static const char *const ids[] = {
		"recipe/bad-url",  "recipe/bad-hash",	     "recipe/bad-platform",
		"recipe/bad-name", "recipe/no-substitution", "recipe/too-big",
		"recipe/bad-path", "recipe/bad-placeholder", "recipe/unpinned"};

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		if (str_same(id, ids[i]))
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct convert_files files = {NULL, kind, list};
	const struct convert_options options = {.file = "Dockerfile",
						.prefix = "",
						.name = "image",
						.ignore = "d/a\n!d/b*\n",
						.files = &files};
	AUTO(dockerfile) d = {0};
	AUTO(convert_result) result = {0};
	AUTO(stackerfile) s = {0};
	struct err e = ERR_INIT;

	if (dockerfile_parse((const char *)data, size, "Dockerfile", &d, &e) != 0) {
		BUG_IF(e.code != ERR_RECIPE || e.line == 0);
		return 0;
	}
	if (convert_dockerfile(&d, &options, &result, &e) != 0) {
		BUG_IF(e.code != ERR_RECIPE || e.line == 0);
		return 0;
	}
	const struct stackerfile_source source = {.text = buf_text(&result.stackerfile),
						  .len = result.stackerfile.len,
						  .file = "stacker.yaml",
						  .default_arch = "amd64"};

	if (stackerfile_read(&source, &s, &e) != 0)
		BUG_IF(!is_blameless(e.id));
	else
		BUG_IF(stackerfile_order(&s, NULL, &e) != 0);
	return 0;
}
