/* The directives that work: what each yields, and what each refuses. */
#include "recipe_fixture.h"

#include "util/buf.h"
#include "util/limits.h"

static void expect_list(const struct strvec *v, const char *const *texts, size_t len)
{
	assert_int_equal(v->len, len);
	for (size_t i = 0; i < len; i++)
		assert_string_equal(v->items[i], texts[i]);
}

#define EXPECT_LIST(v, ...)                                                                    \
	do {                                                                                   \
		static const char *const texts_[] = {__VA_ARGS__};                             \
		expect_list((v), texts_, ARRAY_LEN(texts_));                                   \
	} while (0)

static void test_defaults(void **state)
{
	(void)state;
	AUTO(stackerfile) s = expect_parses("a: {from: {type: scratch}}\n");
	const struct recipe_image *a = stackerfile_find(&s, "a");

	assert_non_null(a);
	assert_null(stackerfile_find(&s, "b"));
	assert_int_equal(a->from, FROM_SCRATCH);
	assert_string_equal(a->os, "linux");
	assert_string_equal(a->arch, "amd64");
	assert_false(a->build_only || a->has_cmd || a->has_entrypoint || a->has_full_command);
	assert_null(a->run);
	assert_int_equal(s.source_date_epoch, RECIPE_DEFAULT_EPOCH);
	assert_int_equal(a->pos.line, 1);
	assert_string_equal(a->pos.file, "f.yaml");
}

static void test_no_images(void **state)
{
	static const struct refusal cases[] = {
		{"", "recipe/no-images", "no image"},
		{"config: {}\n", "recipe/no-images", "no image"},
		{"~", "recipe/no-images", "no image"},
		{"a: 1\na: 2\n", "yaml/duplicate-key", "duplicate layer name"},
		{"a: {run: x}\n", "recipe/no-base", "invalid layer: no base"},
		{"a: {from: }\n", "recipe/no-base", "invalid layer: no base"},
	};

	(void)state;
	expect_all_refused(cases, ARRAY_LEN(cases));
}

static void test_source_date_epoch(void **state)
{
	static const struct refusal cases[] = {
		{"config: {source_date_epoch: 253402300800}", "recipe/out-of-range",
		 "over the limit"},
		{"config: {source_date_epoch: -1}", "recipe/not-an-integer",
		 "is not an integer"},
		{"config: {source_date_epoch: '1'}", "recipe/not-an-integer",
		 "is not an integer"},
		{"config: {source_date_epoch: 01}", "recipe/not-an-integer",
		 "is not an integer"},
		{"config: {source_date_epoch: 1.0}", "recipe/not-an-integer",
		 "is not an integer"},
		{"config: {source_date_epoch: 0x1}", "recipe/not-an-integer",
		 "is not an integer"},
		{"config: {source_date_epoch: [1]}", "recipe/wrong-type",
		 "'source_date_epoch'"},
	};

	(void)state;
	expect_all_refused(cases, ARRAY_LEN(cases));
	AUTO(stackerfile)
	zero = expect_parses("config: {source_date_epoch: 0}\n"
			     "a: {from: {type: scratch}}\n");
	AUTO(stackerfile)
	most = expect_parses("a: {from: {type: scratch}}\n"
			     "config: {source_date_epoch: 253402300799}\n");

	assert_int_equal(zero.source_date_epoch, 0);
	assert_int_equal(most.source_date_epoch, INT64_C(253402300799));
	assert_int_equal(most.images.len, 1);
}

static void test_image_names(void **state)
{
	static const char *const good[] = {"a", "A9", "a-b", "a--b", "a.b_c@d+e", "a/b", "1.0"};
	static const char *const bad[] = {"''",	      "-a",   "a-",   "a---b", "a..b",
					  "/a",	      "a/",   "a//b", "a b",   "\"a\\nb\"",
					  "\xc3\xa9", "a/-b", "~"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		AUTO_FREE char *text = mem_printf("%s: {from: {type: scratch}}\n", good[i]);
		AUTO(stackerfile) s = expect_parses(text);

		assert_string_equal(s.images.items[0].name, good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_FREE char *text = mem_printf("? %s\n: {from: {type: scratch}}\n", bad[i]);

		expect_refused(text, "recipe/bad-name", "is not valid");
	}
	expect_refused("a:b: {from: {type: scratch}}\n", "recipe/bad-name", "forbidden");
}

static void test_image_name_length(void **state)
{
	char name[LIMIT_IMAGE_NAME_BYTES + 2] = "";

	(void)state;
	memset(name, 'a', LIMIT_IMAGE_NAME_BYTES);
	AUTO_FREE char *fits = mem_printf("%s: {from: {type: scratch}}\n", name);
	AUTO(stackerfile) s = expect_parses(fits);

	assert_string_equal(s.images.items[0].name, name);
	name[LIMIT_IMAGE_NAME_BYTES] = 'a';
	AUTO_FREE char *longer = mem_printf("%s: {from: {type: scratch}}\n", name);

	expect_refused(longer, "recipe/bad-name", "over the limit of 128");
}

static void test_image_count(void **state)
{
	AUTO(buf) b = BUF_INIT(LIMIT_STACKERFILE_BYTES);

	(void)state;
	for (int i = 0; i < LIMIT_IMAGES; i++)
		buf_addf(&b, "i%d: {from: {type: scratch}}\n", i);
	AUTO(stackerfile) s = expect_parses(buf_text(&b));

	assert_int_equal(s.images.len, LIMIT_IMAGES);
	buf_add_c(&b, "x: {from: {type: scratch}}\n");
	expect_refused(buf_text(&b), "recipe/too-big", "more than 4096 images");
}

static void test_from_tar(void **state)
{
	(void)state;
	AUTO(stackerfile)
	s = expect_parses(
		"l: {from: {type: tar, url: ./x/base.tar, hash: " HEX64 "}}\n"
		"u: {from: {type: tar, url: 'https://h/b%20c.tar?q#f', hash: 'sha256:" HEX64
		"', urls: ['http://m/c'], size: 12}}\n"
		"s: {from: {type: tar, url: 'stacker://l/out//x.tar'}}\n");
	const struct recipe_source *l = &stackerfile_find(&s, "l")->from_source;
	const struct recipe_source *u = &stackerfile_find(&s, "u")->from_source;
	const struct recipe_source *x = &stackerfile_find(&s, "s")->from_source;

	assert_int_equal(l->kind, SOURCE_LOCAL);
	assert_string_equal(l->name, "base.tar");
	assert_int_equal(l->hash.alg, DIGEST_SHA256);
	assert_int_equal(u->kind, SOURCE_URL);
	assert_string_equal(u->name, "b c.tar");
	assert_int_equal(u->size, 12);
	EXPECT_LIST(&u->urls, "https://h/b%20c.tar?q#f", "http://m/c");
	assert_int_equal(x->kind, SOURCE_STACKER);
	assert_string_equal(x->image, "l");
	assert_string_equal(x->path, "/out/x.tar");
	assert_int_equal(x->size, -1);
	assert_int_equal(x->hash.alg, DIGEST_NONE);
}

static void test_from_oci(void **state)
{
	(void)state;
	AUTO(stackerfile)
	s = expect_parses("a: {from: {type: oci, url: 'd/oci:v1:2:3'}}\n"
			  "b: {from: {type: oci, url: 'oci@sha256:" HEX64 "'}}\n"
			  "c: {from: {type: oci, url: 'oci:sha256:" HEX64 "'}}\n");
	const struct recipe_image *a = stackerfile_find(&s, "a");
	const struct recipe_image *b = stackerfile_find(&s, "b");
	const struct recipe_image *c = stackerfile_find(&s, "c");

	assert_int_equal(a->from, FROM_OCI);
	assert_string_equal(a->from_layout, "d/oci");
	assert_string_equal(a->from_ref, "v1:2:3");
	assert_string_equal(b->from_layout, "oci");
	assert_string_equal(b->from_ref, "sha256:" HEX64);
	assert_string_equal(c->from_layout, "oci");
	assert_string_equal(c->from_ref, "sha256:" HEX64);
}

static void test_from_refused(void **state)
{
	static const struct refusal cases[] = {
		{"a: {from: {}}", "recipe/missing-type", "from without 'type'"},
		{"a: {from: {type: dockre}}", "recipe/unknown-type",
		 "unknown layer type 'dockre'"},
		{"a: {from: {type: built}}", "recipe/missing-tag", "from tag cannot be empty"},
		{"a: {from: {type: built, tag: ''}}", "recipe/missing-tag",
		 "from tag cannot be empty"},
		{"a: {from: {type: built, tag: b, url: x}}", "recipe/no-effect",
		 "'url' has no effect"},
		{"a: {from: {type: scratch, url: x}}", "recipe/no-effect",
		 "'url' has no effect"},
		{"a: {from: {type: tar}}", "recipe/missing-url", "needs 'url'"},
		{"a: {from: {type: tar, tag: x, url: x}}", "recipe/no-effect",
		 "'tag' has no effect"},
		{"a: {from: {type: tar, url: x/}}", "recipe/bad-path", "is a directory"},
		{"a: {from: {type: tar, url: 'http://h/x'}}", "recipe/unpinned",
		 "'http://h/x' has no hash"},
		{"a: {from: {type: tar, url: 'ftp://h/x'}}", "recipe/bad-url",
		 "unsupported URL scheme"},
		{"a: {from: {type: oci}}", "recipe/missing-url", "needs 'url'"},
		{"a: {from: {type: oci, url: oci, tag: t}}", "recipe/no-effect",
		 "'tag' has no effect"},
		{"a: {from: {type: oci, url: oci}}", "recipe/bad-url", "a layout and a tag"},
		{"a: {from: {type: oci, url: 'oci:'}}", "recipe/bad-url", "a layout and a tag"},
		{"a: {from: {type: oci, url: ':t'}}", "recipe/bad-url", "a layout and a tag"},
		{"a: {from: {type: oci, url: 'docker://h/x:t'}}", "recipe/bad-url",
		 "not a local OCI layout"},
		{"a: {from: {type: oci, url: 'oci@sha256:12'}}", "recipe/bad-hash", ""},
		{"a: {from: {type: oci, url: 'oci:sha256:12'}}", "recipe/bad-hash", ""},
		{"a: {from: {type: oci, url: \"o\\x07:t\"}}", "recipe/bad-path",
		 "control character"},
	};

	(void)state;
	expect_all_refused(cases, ARRAY_LEN(cases));
}

static void expect_run(const char *directive, const char *script)
{
	AUTO(stackerfile) s = expect_image(directive);

	if (script)
		assert_string_equal(s.images.items[0].run, script);
	else
		assert_null(s.images.items[0].run);
}

static void test_run(void **state)
{
	(void)state;
	expect_run("  run: echo a", "#!/bin/sh -xe\necho a\n");
	expect_run("  run: |\n    a\n    b\n", "#!/bin/sh -xe\na\nb\n");
	expect_run("  run: [a, 'b c', 3.10]", "#!/bin/sh -xe\na\nb c\n3.10\n");
	expect_run("  run:\n  - '#!/usr/bin/python3'\n  - print(1)",
		   "#!/usr/bin/python3\nprint(1)\n");
	expect_run("  run: |\n    #!/bin/x\n    a\n", "#!/bin/x\na\n");
	expect_run("  run: ['']", "#!/bin/sh -xe\n");
	expect_run("  run: []", NULL);
	expect_run("  run: ''", NULL);
	expect_run("  run: 'null'", "#!/bin/sh -xe\nnull\n");
}

/* The file may be no longer than a script, so the added shebang makes it too long here, and
 * there is no room left for a base, which is asked for after. */
static void test_run_length(void **state)
{
	static const char before[] = "a:\n run: ";
	size_t body = LIMIT_SCRIPT_BYTES - strlen("#!/bin/sh -xe\n") - strlen("\n");
	AUTO(buf) b = BUF_INIT(LIMIT_STACKERFILE_BYTES);

	(void)state;
	buf_add_c(&b, before);
	for (size_t i = 0; i < body; i++)
		buf_add_byte(&b, 'x');
	expect_refused(buf_text(&b), "recipe/no-base", "no base");
	buf_add_byte(&b, 'x');
	expect_refused(buf_text(&b), "recipe/too-big", "script of 'run'");
}

static void test_variables(void **state)
{
	static const struct refusal cases[] = {
		{"  environment: {'A=B': x}", "recipe/bad-key", "key 'A=B' of 'environment'"},
		{"  environment: {'': x}", "recipe/bad-key", "key ''"},
		{"  labels: {'a b': x}", "recipe/bad-key", "of 'labels'"},
		{"  annotations: {\"\\xe9\": x}", "recipe/bad-key", "of 'annotations'"},
		{"  build_env: {'a\"': x}", "recipe/bad-key", "of 'build_env'"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect_image_refused(cases[i].text, cases[i].id, cases[i].part);
	AUTO(stackerfile)
	s = expect_image("  environment: {B: 3.10, A: \"x\\ny\", ON: yes}\n"
			 "  build_env: {X: 010}\n"
			 "  labels: {a.b/c@d+e-f:g: \xc3\xa9}\n"
			 "  annotations: {x: ''}");
	const struct recipe_image *a = &s.images.items[0];

	assert_string_equal(a->environment.entries[0].key, "B");
	assert_string_equal(map_get(&a->environment, "B"), "3.10");
	assert_string_equal(map_get(&a->environment, "A"), "x\ny");
	assert_string_equal(map_get(&a->environment, "ON"), "yes");
	assert_string_equal(map_get(&a->build_env, "X"), "010");
	assert_string_equal(map_get(&a->labels, "a.b/c@d+e-f:g"), "\xc3\xa9");
	assert_string_equal(map_get(&a->annotations, "x"), "");
}

/* "A=" and the final NUL count. */
static void test_variable_length(void **state)
{
	size_t len = LIMIT_ENV_BYTES - 3;
	AUTO_FREE char *value = mem_zalloc(LIMIT_ENV_BYTES, 1);

	(void)state;
	memset(value, 'x', len);
	AUTO_FREE char *fits =
		mem_printf("  environment: {A: %s}\n  build_env: {A: %s}", value, value);
	AUTO_FREE char *env = mem_printf("  environment: {A: %sx}", value);
	AUTO_FREE char *build = mem_printf("  build_env: {B: x, A: %sx}", value);
	AUTO(stackerfile) s = expect_image(fits);

	assert_string_equal(map_get(&s.images.items[0].environment, "A"), value);
	expect_image_refused(env, "recipe/too-big", "variable 'A' of 'environment'");
	expect_image_refused(build, "recipe/too-big", "variable 'A' of 'build_env'");
}

static void test_map_entries(void **state)
{
	AUTO(buf) b = BUF_INIT(LIMIT_STACKERFILE_BYTES);

	(void)state;
	buf_add_c(&b, "  labels:\n");
	for (int i = 0; i < RECIPE_MAP_ENTRIES_MAX; i++)
		buf_addf(&b, "    k%d: x\n", i);
	AUTO(stackerfile) s = expect_image(buf_text(&b));

	assert_int_equal(s.images.items[0].labels.len, RECIPE_MAP_ENTRIES_MAX);
	buf_add_c(&b, "    k: x\n");
	expect_image_refused(buf_text(&b), "recipe/too-big", "1025 entries");
}

static void test_commands(void **state)
{
	(void)state;
	AUTO(stackerfile)
	s = expect_image("  cmd: a 'b c' ''\n  entrypoint: [x, '', 'y z']\n"
			 "  full_command: ''");
	const struct recipe_image *a = &s.images.items[0];

	assert_true(a->has_cmd && a->has_entrypoint && a->has_full_command);
	EXPECT_LIST(&a->cmd, "a", "b c");
	EXPECT_LIST(&a->entrypoint, "x", "", "y z");
	assert_int_equal(a->full_command.len, 0);
	AUTO(stackerfile) empty = expect_image("  cmd: []");

	assert_true(empty.images.items[0].has_cmd);
	struct err e = expect_image_refused("  entrypoint: a 'b", "recipe/bad-command",
					    "'entrypoint'");

	assert_int_equal(e.line, 3);
	assert_int_equal(e.column, 15);
	expect_image_refused("  cmd: a\\", "recipe/bad-command", "backslash at the end");
}

static void test_users(void **state)
{
	static const char *const good[] = {"root", "0",	  "65535",	"www-data", "_apt",
					   "1:2",  "a:0", "1000:staff", "a.b"};
	static const char *const bad[] = {":",
					  "1:",
					  ":1",
					  "root:",
					  "-1",
					  "0x0",
					  "01",
					  "65536",
					  "4294967296",
					  "a:b:c",
					  "a b",
					  "1e3",
					  "+1",
					  "a:-1",
					  "1a",
					  "root:4294967296",
					  "abcdefghijklmnopqrstuvwxyzabcdefg"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		AUTO_FREE char *text = mem_printf("  runtime_user: %s", good[i]);
		AUTO(stackerfile) s = expect_image(text);

		assert_string_equal(s.images.items[0].runtime_user, good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_FREE char *text = mem_printf("  runtime_user: '%s'", bad[i]);

		expect_image_refused(text, "recipe/bad-user", "is not valid");
	}
}

static void test_other_metadata(void **state)
{
	static const struct refusal cases[] = {
		{"  os: ", "recipe/empty-value", "value cannot be empty"},
		{"  os: ''", "recipe/empty-value", "value cannot be empty"},
		{"  arch: ~", "recipe/empty-value", "value cannot be empty"},
		{"  arch: AMD64", "recipe/bad-platform", "'arch' 'AMD64' is not valid"},
		{"  os: a/b", "recipe/bad-platform", "is not valid"},
		{"  working_dir: x", "recipe/relative-path",
		 "'working_dir' 'x' cannot be relative"},
		{"  working_dir: /a/..", "recipe/bad-path", "holds '..'"},
		{"  volumes: [x]", "recipe/relative-path", "'volumes' 'x' cannot be relative"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect_image_refused(cases[i].text, cases[i].id, cases[i].part);
	AUTO(stackerfile)
	s = expect_image("  os: darwin\n  arch: arm64\n  working_dir: /w\n"
			 "  volumes: [/b, /a]\n  build_only: true");
	const struct recipe_image *a = &s.images.items[0];

	assert_string_equal(a->os, "darwin");
	assert_string_equal(a->arch, "arm64");
	assert_string_equal(a->working_dir, "/w");
	EXPECT_LIST(&a->volumes, "/b", "/a");
	assert_true(a->build_only);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),	  cmocka_unit_test(test_no_images),
		cmocka_unit_test(test_source_date_epoch), cmocka_unit_test(test_image_names),
		cmocka_unit_test(test_image_name_length), cmocka_unit_test(test_image_count),
		cmocka_unit_test(test_from_tar),	  cmocka_unit_test(test_from_oci),
		cmocka_unit_test(test_from_refused),	  cmocka_unit_test(test_run),
		cmocka_unit_test(test_run_length),	  cmocka_unit_test(test_variables),
		cmocka_unit_test(test_variable_length),	  cmocka_unit_test(test_map_entries),
		cmocka_unit_test(test_commands),	  cmocka_unit_test(test_users),
		cmocka_unit_test(test_other_metadata),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
