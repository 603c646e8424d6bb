/* Every YAML example of docs/stackerfile.md is a stackerfile that parses. Run from the top. */
#include "recipe_fixture.h"

#include <fcntl.h>

#include "util/limits.h"
#include "util/path.h"

static void test_examples_parse(void **state)
{
	static const char begin[] = "\n```yaml\n";
	static const char end[] = "\n```\n";
	AUTO(buf) b = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	struct err e = ERR_INIT;
	size_t examples = 0;

	(void)state;
	if (path_read_file(AT_FDCWD, "docs/stackerfile.md", &b, &e) != 0)
		fail_msg("%s", e.message);
	for (const char *at = strstr(buf_text(&b), begin); at; at = strstr(at, begin)) {
		at += strlen(begin);
		const char *stop = strstr(at, end);

		assert_non_null(stop);
		AUTO_FREE char *text = mem_strndup(at, (size_t)(stop + 1 - at));
		AUTO(stackerfile) s = {0};

		const struct stackerfile_source source = {
			.text = text,
			.len = strlen(text),
			.file = "f.yaml",
			.default_arch = "amd64",
		};

		if (stackerfile_read(&source, &s, &e) != 0 ||
		    (s.prerequisites.len == 0 && stackerfile_order(&s, NULL, &e) != 0))
			fail_msg("%s\n%s", e.message, text);
		examples++;
	}
	assert_int_equal(examples, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
