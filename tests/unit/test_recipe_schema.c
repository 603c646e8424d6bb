/* What a stackerfile may not say: unknown, later, hidden and ill-typed directives. */
#include "recipe_fixture.h"

static void expect_hint(const char *text, const char *id, const char *part, const char *hint)
{
	struct err e = expect_refused(text, id, part);

	if (!strstr(e.hint, hint))
		fail_msg("hint '%s', expected '%s':\n%s", e.hint, hint, text);
}

static void test_unknown_directives_suggest(void **state)
{
	static const char unknown[] = "recipe/unknown-directive";

	(void)state;
	expect_hint("a:\n  from: {type: scratch}\n  enviroment: {A: b}\n", unknown,
		    "unknown directive 'enviroment'", "did you mean 'environment'?");
	expect_hint("a: {from: {type: tar, ulr: x}}\n", unknown,
		    "unknown image source directive 'ulr'", "did you mean 'url'?");
	expect_hint("a: {from: {type: scratch}, imports: [{path: x, dets: /}]}\n", unknown,
		    "unknown import directive 'dets'", "did you mean 'dest'?");
	expect_hint("config: {source_date_epoc: 1}\n", unknown,
		    "unknown config directive 'source_date_epoc'", "'source_date_epoch'");
	struct err e = expect_refused("a:\n  from: {type: scratch}\n  zzzzzz: 1\n", unknown,
				      "'zzzzzz'");

	assert_string_equal(e.hint, "");
	assert_int_equal(e.line, 3);
	assert_int_equal(e.column, 3);
	/* Even with a null value, and with control characters shown harmlessly. */
	expect_refused("a: {from: {type: scratch}, zzzzzz: }\n", unknown, "'zzzzzz'");
	expect_refused("a: {from: {type: scratch}, \"z\\e[31m\": }\n", unknown, "'z\\x1b[31m'");
}

static void test_hidden_inputs_are_refused(void **state)
{
	(void)state;
	expect_hint("a: {from: {type: scratch}, binds: [/x]}\n", "recipe/not-hermetic",
		    "directive 'binds'", "import them");
	expect_hint("a: {from: {type: scratch}, build_env_passthrough: [X]}\n",
		    "recipe/not-hermetic", "directive 'build_env_passthrough'",
		    "with their values");
}

/* The lines to paste are made from what was written, and parse. */
static void test_hidden_inputs_come_with_lines_to_paste(void **state)
{
	static const char *const cases[][2] = {
		{"binds: [/x, '/a -> /b', {source: 'd e', dest: /f}, /not-shown]",
		 "imports:\n  - path: /x\n  - path: /a\n    dest: /b\n  - path: 'd e'\n    dest: /f"},
		{"binds: [{dest: x}]", "imports:\n  - path: DIR\n    dest: x"},
		{"binds: [[x], '']", "imports:\n  - path: DIR\n  - path: ''"},
		{"build_env_passthrough: [A, '.*', B_2]",
		 "build_env:\n  A: VALUE\n  B_2: VALUE"},
		{"build_env_passthrough: ['.*']", "build_env:\n  NAME: VALUE"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *text = mem_printf("  %s", cases[i][0]);
		struct err e = expect_image_refused(text, "recipe/not-hermetic", "directive");

		if (strncmp(e.snippet, cases[i][1], strlen(cases[i][1])) != 0)
			fail_msg("got\n%s\nexpected\n%s", e.snippet, cases[i][1]);
	}
}

static void test_absent_later_directives_are_fine(void **state)
{
	(void)state;
	AUTO(stackerfile)
	s = expect_image("  binds: []\n  overlay_dirs:\n  import: ~\n"
			 "  build_env_passthrough: null\n  bom: {}");

	assert_int_equal(s.images.len, 1);
}

static void test_wrong_types_say_what_is_expected(void **state)
{
	static const struct refusal cases[] = {
		{"[a]", "recipe/wrong-type", "must be a map of images, not a list"},
		{"a", "recipe/wrong-type", "must be a map of images, not a scalar"},
		{"a: x", "recipe/wrong-type", "an image must be a map, not a scalar"},
		{"a: ", "recipe/wrong-type", "an image must be a map, not null"},
		{"a: [x]", "recipe/wrong-type", "an image must be a map, not a list"},
		{"a: {from: x}", "recipe/wrong-type", "'from' must be a map, not a scalar"},
		{"a: {from: [x]}", "recipe/wrong-type", "'from' must be a map, not a list"},
		{"config: [x]", "recipe/wrong-type", "config must be a map, not a list"},
		{"a: {from: {type: [x]}}", "recipe/wrong-type", "'type' must be a scalar"},
	};
	static const struct refusal directives[] = {
		{"  environment: [A=b]", "recipe/wrong-type",
		 "'environment' must be a map, not a list"},
		{"  environment: x", "recipe/wrong-type", "'environment' must be a map"},
		{"  environment: {A: [x]}", "recipe/wrong-type",
		 "'environment' must be a text, not a list"},
		{"  labels: [x]", "recipe/wrong-type", "'labels' must be a map"},
		{"  build_env: x", "recipe/wrong-type", "'build_env' must be a map"},
		{"  annotations: x", "recipe/wrong-type", "'annotations' must be a map"},
		{"  volumes: /x", "recipe/wrong-type",
		 "'volumes' must be a list, not a scalar"},
		{"  volumes: [[/x]]", "recipe/wrong-type",
		 "'volumes' must be a path, not a list"},
		{"  cmd: {a: b}", "recipe/wrong-type",
		 "'cmd' must be a text or a list, not a map"},
		{"  cmd: [[a]]", "recipe/wrong-type", "'cmd' must be a text, not a list"},
		{"  cmd: [a, ~]", "recipe/null-value", "null item in 'cmd'"},
		{"  run: {a: b}", "recipe/wrong-type", "'run' must be a text or a list"},
		{"  run: [a, {b: c}]", "recipe/wrong-type", "'run' must be a text"},
		{"  imports: {path: x}", "recipe/wrong-type",
		 "'imports' must be a text or a list"},
		{"  imports: [[x]]", "recipe/wrong-type",
		 "'imports' must be a list of texts and maps, not a list"},
		{"  imports: [~]", "recipe/wrong-type", "not null"},
		{"  working_dir: [/x]", "recipe/wrong-type", "'working_dir' must be a scalar"},
		{"  build_only: yes", "recipe/wrong-type", "must be true or false, not 'yes'"},
		{"  build_only: 'true'", "recipe/wrong-type", "not the text 'true'"},
		{"  build_only: True", "recipe/wrong-type", "not 'True'"},
		{"  build_only: [true]", "recipe/wrong-type", "'build_only' must be a scalar"},
		{"  compression: gz", "recipe/bad-compression", "unknown compression 'gz'"},
		{"  compression: [zstd]", "recipe/wrong-type",
		 "'compression' must be a scalar"},
	};

	(void)state;
	expect_all_refused(cases, ARRAY_LEN(cases));
	for (size_t i = 0; i < ARRAY_LEN(directives); i++)
		(void)expect_image_refused(directives[i].text, directives[i].id,
					   directives[i].part);
}

static void test_null_means_absent(void **state)
{
	(void)state;
	AUTO(stackerfile)
	s = expect_image("  imports:\n  run:\n  environment: ~\n  cmd: null\n"
			 "  full_command:\n  volumes:\n  working_dir:\n"
			 "  runtime_user:\n  build_only:\n  labels:");
	const struct recipe_image *image = &s.images.items[0];

	assert_false(image->has_cmd || image->has_full_command || image->build_only);
	assert_null(image->working_dir);
	assert_null(image->runtime_user);
	assert_null(image->run);
}

static void test_null_in_maps_is_ambiguous_unless_empty(void **state)
{
	(void)state;
	expect_image_refused("  environment: {A: null}", "recipe/null-value", "'null'");
	expect_image_refused("  labels: {A: ~}", "recipe/null-value", "'~'");
	AUTO(stackerfile) s = expect_image("  environment: {A: , B: 'null'}");

	assert_string_equal(map_get(&s.images.items[0].environment, "A"), "");
	assert_string_equal(map_get(&s.images.items[0].environment, "B"), "null");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_directives_suggest),
		cmocka_unit_test(test_hidden_inputs_are_refused),
		cmocka_unit_test(test_hidden_inputs_come_with_lines_to_paste),
		cmocka_unit_test(test_absent_later_directives_are_fine),
		cmocka_unit_test(test_wrong_types_say_what_is_expected),
		cmocka_unit_test(test_null_means_absent),
		cmocka_unit_test(test_null_in_maps_is_ambiguous_unless_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
