/* The recipe's bytes: golden text, what must change the digest, and what must not. */
#include "recipe_fixture.h"

#include "recipe/canon.h"
#include "util/limits.h"

/* What the caller would have resolved: digests that stand for the inputs' contents. */
struct resolved {
	struct recipe_resolution r;
	struct digest imports[8];
};

static void resolve(const struct recipe_image *image, struct resolved *ret)
{
	*ret = (struct resolved){.r.source_date_epoch = RECIPE_DEFAULT_EPOCH,
				 .r.zstd_version = "1.2.3"};
	digest_bytes(DIGEST_SHA256, "policy", 6, &ret->r.policy);
	if (image->from != FROM_SCRATCH)
		digest_bytes(DIGEST_SHA256, "base", 4, &ret->r.base);
	assert_true(image->imports.len <= ARRAY_LEN(ret->imports));
	for (size_t i = 0; i < image->imports.len; i++)
		digest_bytes(DIGEST_SHA256, &i, 1, &ret->imports[i]);
	ret->r.imports = ret->imports;
	ret->r.imports_len = image->imports.len;
}

static char *canon(const struct recipe_image *image, const struct recipe_resolution *r)
{
	AUTO(buf) out = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	struct err e = ERR_INIT;

	if (recipe_canon(image, r, &out, &e) != 0)
		fail_msg("%s", e.message);
	return buf_take(&out);
}

/* Of the image `a`. */
static char *canon_of(const char *text)
{
	AUTO(stackerfile) s = expect_parses(text);
	struct resolved resolved;
	const struct recipe_image *a = stackerfile_find(&s, "a");

	resolve(a, &resolved);
	return canon(a, &resolved.r);
}

static void test_golden(void **state)
{
	(void)state;
	AUTO_FREE char *small = canon_of("a: {from: {type: scratch}}");

	assert_string_equal(
		small,
		"{\"arch\":\"amd64\",\"build_only\":false,\"format\":1,\"from\":{\"type\":"
		"\"scratch\"},"
		"\"name\":\"a\",\"os\":\"linux\",\"policy\":"
		"\"sha256:823412d1eacb67956220e532959f0104603057c88704863ca38e7cd188fda812\","
		"\"schema\":\"https://stacker-hermetic.invalid/recipe/v1\","
		"\"source_date_epoch\":315532800}");
}

static void test_members(void **state)
{
	(void)state;
	AUTO_FREE char *text = canon_of("b: {from: {type: scratch}}\n"
					"a:\n  from: {type: built, tag: b}\n"
					"  imports:\n  - d/\n"
					"  - {path: 'https://h/x%20y?q', hash: " HEX64
					", size: 7, dest: /o/,\n"
					"     unpack: true, mode: 0755, uid: 0, gid: 5}\n"
					"  - stacker://b/p/q\n"
					"  run: x\n  cmd: []\n  entrypoint: a b\n"
					"  volumes: [/v, /u, /v]\n  environment: {B: 1, A: 2}\n"
					"  runtime_user: u\n  working_dir: /w\n");
	static const char *const parts[] = {
		"\"from\":{\"digest\":\"sha256:",
		"\",\"type\":\"built\"}",
		"\"imports\":[{\"contents\":true,\"digest\":\"sha256:",
		"\",\"kind\":\"local\"},{\"dest\":\"/o/\",\"digest\":\"sha256:",
		"\",\"gid\":5,\"kind\":\"url\",\"mode\":493,\"name\":\"x y\",",
		"\"uid\":0,\"unpack\":true},",
		"\",\"kind\":\"stacker\",\"name\":\"q\",\"path\":\"/p/q\"}]",
		"\"run\":\"#!/bin/sh -xe\\nx\\n\"",
		"\"cmd\":[],",
		"\"entrypoint\":[\"a\",\"b\"],\"environment\":{\"A\":\"2\",\"B\":\"1\"},",
		"\"volumes\":[\"/u\",\"/v\"],\"working_dir\":\"/w\"}",
		"\"runtime_user\":\"u\"",
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (!strstr(text, parts[i]))
			fail_msg("no '%s' in %s", parts[i], text);
	}
	assert_null(strstr(text, "full_command"));
	assert_null(strstr(text, "https://h"));
	assert_null(strstr(text, "labels"));
}

#define OTHERS "b: {from: {type: scratch}}\nc: {from: {type: scratch}}\n"
#define PIN "hash: " HEX64
#define FROM "from: {type: scratch}, "

/* Bodies of the image `a`: the two of a row must give different recipes. */
static const char *const changes[][2] = {
	{FROM "os: linux", FROM "os: darwin"},
	{FROM "arch: amd64", FROM "arch: arm64"},
	{FROM "build_only: false", FROM "build_only: true"},
	{FROM "compression: gzip", FROM "compression: zstd"},
	{FROM "compression: zstd", FROM "compression: none"},
	{FROM "normalize: none", FROM},
	{"from: {type: scratch}", "from: {type: built, tag: b}"},
	{"from: {type: built, tag: b}", "from: {type: oci, url: 'o:t'}"},
	{"from: {type: tar, url: x}", "from: {type: oci, url: 'o:t'}"},
	{"from: {type: tar, url: x}", "from: {type: tar, url: 'http://h/x', " PIN "}"},
	{"from: {type: tar, url: 'stacker://b/x'}",
	 "from: {type: tar, url: 'stacker://b/y/x'}"},
	{FROM "run: x", FROM},
	{FROM "run: x", FROM "run: y"},
	{FROM "run: [x, y]", FROM "run: [y, x]"},
	{FROM "run: '#!/bin/sh'", FROM "run: ' #!/bin/sh'"},
	{FROM "build_env: {A: b}", FROM},
	{FROM "build_env: {A: b}", FROM "build_env: {A: c}"},
	{FROM "build_env: {A: b}", FROM "build_env: {C: b}"},
	{FROM "build_env: {A: b}", FROM "environment: {A: b}"},
	{FROM "environment: {A: b}", FROM "environment: {A: ''}"},
	{FROM "environment: {A: 3.1}", FROM "environment: {A: 3.10}"},
	{FROM "labels: {A: b}", FROM "labels: {A: c}"},
	{FROM "labels: {A: b}", FROM "annotations: {A: b}"},
	{FROM "annotations: {A: b}", FROM "annotations: {A: c}"},
	{FROM "cmd: x", FROM},
	{FROM "cmd: []", FROM},
	{FROM "cmd: [x, y]", FROM "cmd: [y, x]"},
	{FROM "cmd: ['x y']", FROM "cmd: [x, y]"},
	{FROM "cmd: [x, '']", FROM "cmd: [x]"},
	{FROM "cmd: x", FROM "entrypoint: x"},
	{FROM "entrypoint: ''", FROM},
	{FROM "entrypoint: x", FROM "full_command: x"},
	{FROM "full_command: ''", FROM},
	{FROM "full_command: x", FROM "full_command: y"},
	{FROM "volumes: [/x]", FROM},
	{FROM "volumes: [/x]", FROM "volumes: [/x, /y]"},
	{FROM "working_dir: /x", FROM},
	{FROM "working_dir: /x", FROM "working_dir: /y"},
	{FROM "runtime_user: x", FROM},
	{FROM "runtime_user: x", FROM "runtime_user: x:0"},
	{FROM "imports: [x]", FROM},
	{FROM "imports: [x]", FROM "imports: [x, x]"},
	{FROM "imports: [x]", FROM "import: [x]"}, /* steps see it elsewhere, too */
	{FROM "overlay_dirs: [{source: x}]", FROM},
	{FROM "overlay_dirs: [{source: x}]", FROM "overlay_dirs: [{source: x, dest: /x}]"},
	{FROM "generate_labels: x", FROM},
	{FROM "generate_labels: x", FROM "run: x"},
	{FROM "imports: [x]", FROM "imports: [y]"},
	{FROM "imports: [x, y]", FROM "imports: [y, x]"},
	{FROM "imports: [x]", FROM "imports: [x/]"},
	{FROM "imports: [x]", FROM "imports: ['stacker://b/x']"},
	{FROM "imports: ['stacker://b/d/x']", FROM "imports: ['stacker://b/e/x']"},
	{FROM "imports: ['stacker://b/d/']", FROM "imports: ['stacker://b/e/']"},
	{FROM "imports: [{path: x, dest: /x}]", FROM "imports: [x]"},
	{FROM "imports: [{path: x, dest: /x}]", FROM "imports: [{path: x, dest: /x/}]"},
	{FROM "imports: [{path: x, dest: /x}]", FROM "imports: [{path: x, dest: /y}]"},
	{FROM "imports: [{path: x, mode: 0644}]", FROM "imports: [x]"},
	{FROM "imports: [{path: x, mode: 0644}]", FROM "imports: [{path: x, mode: 0600}]"},
	{FROM "imports: [{path: x, uid: 0}]", FROM "imports: [x]"},
	{FROM "imports: [{path: x, uid: 0}]", FROM "imports: [{path: x, uid: 1}]"},
	{FROM "imports: [{path: x, uid: 1}]", FROM "imports: [{path: x, gid: 1}]"},
	{FROM "imports: [{path: x, gid: 1}]", FROM "imports: [{path: x, gid: 2}]"},
	{FROM "imports: [{path: x, dest: /x, unpack: true}]",
	 FROM "imports: [{path: x, dest: /x}]"},
	{FROM "imports: [{path: 'http://h/x', " PIN "}]",
	 FROM "imports: [{path: 'http://h/y', " PIN "}]"},
};

/* The two of a row must give the same recipe. */
static const char *const no_changes[][2] = {
	{FROM, FROM "os: linux, arch: amd64, build_only: false"},
	{FROM, FROM "compression: gzip"},
	{FROM, FROM "imports: [], run: '', labels: {}, cmd: ~, volumes: []"},
	{FROM "run: x", FROM "\n  run: [x], # why\n  "},
	{FROM "run: x", "run: 'x', from: {type: scratch}"},
	{FROM "cmd: a b", FROM "cmd: [a, b]"},
	{FROM "volumes: [/x, /y]", FROM "volumes: [/y, /x, /y]"},
	{FROM "environment: {A: b, C: d}", FROM "environment: {C: d, A: 'b'}"},
	{FROM "working_dir: '', runtime_user: ''", FROM},
	{FROM "imports: [x]", FROM "imports: x"},
	{FROM "import: [], bom: {generate: true}, overlay_dirs: []", FROM},
	{FROM "overlay_dirs: [{source: d}]", FROM "overlay_dirs: [{source: e/, dest: /}]"},
	{FROM "overlay_dirs: [{source: d, dest: /x}]", FROM "imports: [{path: d/, dest: /x}]"},
	{FROM "imports: [d/x]", FROM "imports: [/e/f/x]"},
	{FROM "imports: [d/]", FROM "imports: [../e/]"},
	{FROM "imports: [x]", FROM "imports: [{path: x, " PIN "}]"},
	{FROM "imports: [{path: x, mode: 0644}]", FROM "imports: [{path: x, mode: 0o644}]"},
	{FROM "imports: [{path: x, dest: /x}]",
	 FROM "imports: [{path: x, dest: /x, unpack: false}]"},
	{FROM "imports: [{path: 'http://h/x', " PIN "}]",
	 FROM "imports: [{path: 'https://g/p/%78?q', size: 5, urls: ['http://m/z'], " PIN "}]"},
	{"from: {type: tar, url: 'http://h/x', " PIN "}",
	 "from: {type: tar, url: 'http://g/y', urls: ['http://m/z'], size: 1, " PIN "}"},
	{"from: {type: tar, url: x}", "from: {type: tar, url: d/y}"},
	{"from: {type: built, tag: b}",
	 "from: {type: built, tag: c}"}, /* by digest, not by name */
	{"from: {type: oci, url: 'o:t'}", "from: {type: oci, url: 'p:u'}"},
};

static char *canon_of_body(const char *body)
{
	AUTO_FREE char *text = mem_printf(OTHERS "a: {%s}\n", body);

	return canon_of(text);
}

static void test_what_changes_bytes_changes_the_recipe(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		AUTO_FREE char *x = canon_of_body(changes[i][0]);
		AUTO_FREE char *y = canon_of_body(changes[i][1]);

		if (strcmp(x, y) == 0)
			fail_msg("'%s' and '%s' both give %s", changes[i][0], changes[i][1], x);
	}
}

static void test_what_changes_no_bytes_does_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(no_changes); i++) {
		AUTO_FREE char *x = canon_of_body(no_changes[i][0]);
		AUTO_FREE char *y = canon_of_body(no_changes[i][1]);

		if (strcmp(x, y) != 0)
			fail_msg("'%s' gives\n%s\n'%s' gives\n%s", no_changes[i][0], x,
				 no_changes[i][1], y);
	}
}

static void test_the_name_is_part_of_it(void **state)
{
	(void)state;
	AUTO(stackerfile)
	s = expect_parses("a: {from: {type: scratch}}\nb: {from: {type: scratch}}\n");
	struct resolved r;

	resolve(&s.images.items[0], &r);
	AUTO_FREE char *a = canon(&s.images.items[0], &r.r);
	AUTO_FREE char *b = canon(&s.images.items[1], &r.r);

	assert_string_not_equal(a, b);
}

static void test_everything_resolved_is_part_of_it(void **state)
{
	(void)state;
	AUTO(stackerfile) s = expect_parses("a: {from: {type: tar, url: x}, imports: [x, y]}");
	const struct recipe_image *a = &s.images.items[0];
	struct resolved plain, base, import, policy, epoch;

	resolve(a, &plain);
	AUTO_FREE char *before = canon(a, &plain.r);

	resolve(a, &base);
	base.r.base.bytes[31] ^= 1;
	AUTO_FREE char *other_base = canon(a, &base.r);

	resolve(a, &import);
	import.imports[1].bytes[0] ^= 1;
	AUTO_FREE char *other_import = canon(a, &import.r);

	resolve(a, &policy);
	policy.r.policy.bytes[0] ^= 1;
	AUTO_FREE char *other_policy = canon(a, &policy.r);

	resolve(a, &epoch);
	epoch.r.source_date_epoch++;
	AUTO_FREE char *other_epoch = canon(a, &epoch.r);

	assert_string_not_equal(before, other_base);
	assert_string_not_equal(before, other_import);
	assert_string_not_equal(before, other_policy);
	assert_string_not_equal(before, other_epoch);
}

/* Type, tool and verity each name another image; tar names none of them. */
static void test_layers_of_other_types(void **state)
{
	(void)state;
	AUTO(stackerfile) s = expect_parses("a: {from: {type: scratch}}");
	const struct recipe_image *a = stackerfile_find(&s, "a");
	static const struct recipe_layers layers[] = {
		{.type = "squashfs", .tool = "x 1"},
		{.type = "erofs", .tool = "x 1"},
		{.type = "squashfs", .tool = "x 2"},
		{.type = "squashfs", .tool = "x 1", .no_verity = true},
	};
	char *texts[ARRAY_LEN(layers) + 1];
	for (size_t i = 0; i <= ARRAY_LEN(layers); i++) {
		struct resolved r;
		resolve(a, &r);
		r.r.layers = i < ARRAY_LEN(layers) ? &layers[i] : NULL;
		texts[i] = canon(a, &r.r);
	}
	assert_non_null(strstr(texts[0], "\"layers\":{\"tool\":\"x 1\",\"type\":\"squashfs\","
					 "\"verity\":true}"));
	assert_null(strstr(texts[ARRAY_LEN(layers)], "layers"));
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(texts[i], texts[j]);
	}
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		free(texts[i]);
}

static void test_version_of_zstd_is_part_of_what_it_compresses(void **state)
{
	(void)state;
	static const char *const compressions[] = {"zstd", "gzip", "none"};

	for (size_t i = 0; i < ARRAY_LEN(compressions); i++) {
		AUTO_FREE char *text = mem_printf("a: {from: {type: scratch}, compression: %s}",
						  compressions[i]);
		AUTO(stackerfile) s = expect_parses(text);
		struct resolved r;

		resolve(&s.images.items[0], &r);
		AUTO_FREE char *before = canon(&s.images.items[0], &r.r);
		r.r.zstd_version = "1.2.4";
		AUTO_FREE char *after = canon(&s.images.items[0], &r.r);
		assert_int_equal(strcmp(before, after) != 0, i == 0);
	}
}

static void test_too_big_is_named(void **state)
{
	(void)state;
	AUTO(stackerfile) s = expect_parses("a: {from: {type: scratch}}");
	AUTO(buf) out = BUF_INIT(16);
	struct err e = ERR_INIT;
	struct resolved r;

	resolve(&s.images.items[0], &r);
	assert_int_equal(recipe_canon(&s.images.items[0], &r.r, &out, &e), -1);
	assert_string_equal(e.id, "input/too-big");
	assert_non_null(strstr(e.message, "recipe of image 'a'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_what_changes_bytes_changes_the_recipe),
		cmocka_unit_test(test_what_changes_no_bytes_does_not),
		cmocka_unit_test(test_the_name_is_part_of_it),
		cmocka_unit_test(test_everything_resolved_is_part_of_it),
		cmocka_unit_test(test_layers_of_other_types),
		cmocka_unit_test(test_version_of_zstd_is_part_of_what_it_compresses),
		cmocka_unit_test(test_too_big_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
