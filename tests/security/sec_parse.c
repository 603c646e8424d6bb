/*
 * The parsers alone: reads LIST, as parse_vectors.py describes it, and prints a line for each
 * vector, fields separated by "|": row, name, "ok" or "FAIL", what came of it.
 *
 * usage: sec_parse LIST DIR
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/config.h"
#include "image/layout_index.h"
#include "image/manifest.h"
#include "recipe/yaml.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

enum { FIELDS = 5 };

static int parse(const char *kind, const char *text, size_t len, struct err *e)
{
	AUTO(manifest) m = {0};
	AUTO(image_config) c = {0};
	AUTO(layout_index) x = {0};
	AUTO(yaml_document) y = {0};
	if (str_same(kind, "manifest"))
		return manifest_parse(text, len, "vector", &m, e);
	if (str_same(kind, "config"))
		return image_config_parse(text, len, "vector", &c, e);
	if (str_same(kind, "index"))
		return layout_index_parse(text, len, "vector", &x, e);
	const struct yaml_source source = {
		.text = text, .len = len, .file = "vector", .aliases = true};
	return yaml_parse_source(&source, &y, e);
}

static bool expected(const char *alternatives, const char *id)
{
	size_t len = strlen(id);
	for (const char *at = alternatives; *at; at += strcspn(at, ","), at += *at == ',')
		if (strcspn(at, ",") == len && memcmp(at, id, len) == 0)
			return true;
	return false;
}

static int try_vector(char *const fields[FIELDS], int dir_fd)
{
	AUTO(buf) text = BUF_INIT(16 * MIB);
	struct err e = ERR_INIT;
	if (str_same(fields[3], "-"))
		return 0;
	if (path_read_file(dir_fd, fields[1], &text, &e) < 0) {
		fprintf(stderr, "sec_parse: %s\n", e.message);
		exit(2);
	}
	/* An exact copy: the sanitizers see a read beyond its end. */
	AUTO_FREE char *copy = mem_alloc(text.len + 1);
	memcpy(copy, buf_text(&text), text.len);
	const char *id = parse(fields[2], copy, text.len, &e) < 0 ? e.id : "accept";
	bool ok = expected(fields[3], id);
	printf("%s|%s|%s|%s\n", fields[0], fields[1], ok ? "ok" : "FAIL", id);
	return ok ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	AUTO(buf) list = BUF_INIT(MIB);
	AUTO_CLOSE int dir = -1;
	int failed = 0;
	if (argc != 3) {
		fprintf(stderr, "usage: sec_parse LIST DIR\n");
		return 2;
	}
	if (path_read_file(AT_FDCWD, argv[1], &list, &e) < 0 ||
	    path_open_dir(AT_FDCWD, argv[2], &dir, &e) < 0) {
		fprintf(stderr, "sec_parse: %s\n", e.message);
		return 2;
	}
	const char *stop = buf_text(&list) + list.len;
	for (char *line = list.data, *end; (end = memchr(line, '\n', (size_t)(stop - line)));
	     line = end + 1) {
		char *fields[FIELDS];
		size_t n = 0;
		*end = '\0';
		for (char *at = line; n < FIELDS && at; n++) {
			fields[n] = at;
			at = strchr(at, '|');
			if (at)
				*at++ = '\0';
		}
		BUG_IF(n != FIELDS);
		failed |= try_vector(fields, dir);
	}
	return failed ? 1 : 0;
}
