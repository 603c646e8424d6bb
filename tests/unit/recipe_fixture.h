/* What the tests of the recipe module share: parsing, and refusals with id, place and wording.
 */
#ifndef RECIPE_FIXTURE_H
#define RECIPE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recipe_parse.h"
#include "util/mem.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

__attribute__((unused)) static struct stackerfile expect_parses(const char *text)
{
	struct stackerfile s = {0};
	struct err e = ERR_INIT;

	if (recipe_parse(text, strlen(text), &s, &e) != 0)
		fail_msg("refused: %u:%u %s [%s]\n%s", e.line, e.column, e.message, e.id, text);
	return s;
}

/* Also that the error names the file and that nothing was half returned. */
__attribute__((unused)) static struct err expect_refused(const char *text, const char *id,
							 const char *part)
{
	struct stackerfile s = {0};
	struct err e = ERR_INIT;

	if (recipe_parse(text, strlen(text), &s, &e) == 0) {
		stackerfile_cleanup(&s);
		fail_msg("accepted, but %s was expected:\n%s", id, text);
	}
	if (strcmp(e.id, id) != 0 || !strstr(e.message, part))
		fail_msg("got '%s' [%s], expected '%s' [%s]:\n%s", e.message, e.id, part, id,
			 text);
	assert_int_equal(e.code, ERR_RECIPE);
	assert_string_equal(e.file, "f.yaml");
	assert_true(e.line >= 1 && e.column >= 1);
	assert_null(s.document.root);
	return e;
}

struct refusal {
	const char *text;
	const char *id;
	const char *part;
};

__attribute__((unused)) static void expect_all_refused(const struct refusal *cases, size_t len)
{
	for (size_t i = 0; i < len; i++)
		(void)expect_refused(cases[i].text, cases[i].id, cases[i].part);
}

/* One image from scratch with `directives`, each line indented already. */
__attribute__((unused)) static char *image_with(const char *directives)
{
	return mem_printf("a:\n  from: {type: scratch}\n%s\n", directives);
}

__attribute__((unused)) static struct stackerfile expect_image(const char *directives)
{
	AUTO_FREE char *text = image_with(directives);

	return expect_parses(text);
}

__attribute__((unused)) static struct err expect_image_refused(const char *directives,
							       const char *id, const char *part)
{
	AUTO_FREE char *text = image_with(directives);

	return expect_refused(text, id, part);
}

#endif
