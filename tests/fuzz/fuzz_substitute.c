/*
 * Substitution: pairs, one a line, up to a line "--", then the stackerfile's text. Whatever is put
 * in, the result is clean text within its limit, each character of it has a place that the user's
 * file has, and no placeholder is left.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "recipe/stackerfile.h"
#include "recipe/yaml_text.h"
#include "util/limits.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_lines(const char *text)
{
	size_t lines = 1;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void check(const struct substitution_vec *v, const char *text)
{
	AUTO(buf) out = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	AUTO(text_places) places = {0};
	struct err e = ERR_INIT;
	size_t lines = count_lines(text);

	if (substitute(v, str_of(text), "f", &out, &places, &e) != 0) {
		BUG_IF(e.code != ERR_RECIPE || e.line == 0 || e.line > lines);
		return;
	}
	BUG_IF(yaml_text_check(buf_text(&out), out.len, "f", &e) != 0);
	BUG_IF(strstr(buf_text(&out), "${{"));
	for (size_t i = 1; i < places.len; i++) {
		const struct text_place *a = &places.items[i - 1], *b = &places.items[i];

		BUG_IF(b->line < a->line || (b->line == a->line && b->column < a->column));
		BUG_IF(b->line > lines);
	}
}

static void read_all(const struct substitution_vec *v, const char *text)
{
	AUTO(stackerfile) s = {0};
	struct err e = ERR_INIT;
	const struct stackerfile_source source = {.text = text,
						  .len = strlen(text),
						  .file = "f",
						  .default_arch = "amd64",
						  .substitutions = v};

	if (stackerfile_read(&source, &s, &e) != 0)
		BUG_IF(e.code != ERR_RECIPE || e.line == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(substitution_vec) v = {0};
	AUTO_FREE char *text = mem_strndup((const char *)data, size);
	struct err e = ERR_INIT;
	char *line = text;

	for (;;) {
		char *end = strchr(line, '\n');

		if (!end)
			return 0;
		*end = '\0';
		bool last = strcmp(line, "--") == 0;

		if (!last && substitution_add(&v, line, &e) != 0)
			BUG_IF(e.code != ERR_USAGE);
		line = end + 1;
		if (last)
			break;
	}
	if (yaml_text_check(line, strlen(line), "f", &e) == 0)
		check(&v, line);
	read_all(&v, line);
	return 0;
}
