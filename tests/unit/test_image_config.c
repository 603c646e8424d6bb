/* Image configurations: what is kept of a base, how a recipe changes it, the one form written.
 */
#include "image_test.h"

#include "image/config.h"
#include "util/limits.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char base_text[] =
	"{\"architecture\":\"amd64\",\"author\":\"someone\",\"config\":{\"Cmd\":[\"sh\"],"
	"\"Entrypoint\":[\"/init\"],\"Env\":[\"PATH=/bin\",\"A=1\"],\"ExposedPorts\":{\"80/"
	"tcp\":{}},\"Labels\":{\"a\":\"base\",\"z\":\"base\"},\"StopSignal\":\"SIGINT\","
	"\"User\":"
	"\"nobody\",\"Volumes\":{\"/data\":{}},\"WorkingDir\":\"/"
	"srv\"},\"created\":\"2020-01-01T00:"
	"00:00Z\",\"history\":[{\"comment\":\"c\",\"created\":\"2020-01-01T00:00:00Z\","
	"\"created_"
	"by\":\"b\"},{\"created_by\":\"e\",\"empty_layer\":true}],\"os\":\"linux\",\"os."
	"features\":["
	"\"f\"],\"os.version\":\"1\",\"rootfs\":{\"diff_ids\":[\"sha256:" HEX_A
	"\"],\"type\":\"layers\"},\"variant\":\"v8\"}";

static void parse(const char *text, struct image_config *ret)
{
	struct err e = ERR_INIT;

	assert_int_equal(image_config_parse(text, strlen(text), "test", ret, &e), 0);
}

static void expect_written(const struct image_config *c, const char *wanted)
{
	AUTO(buf) out = BUF_INIT(LIMIT_CONFIG_BYTES);

	image_config_write(c, &out);
	assert_string_equal(buf_text(&out), wanted);
}

static void expect_refused(const char *text, const char *id)
{
	AUTO(image_config) c = {0};
	struct err e = ERR_INIT;

	assert_int_equal(image_config_parse(text, strlen(text), "test", &c, &e), -1);
	expect_err(&e, ERR_INPUT, id);
}

static void test_what_is_known_is_kept(void **state)
{
	AUTO(image_config) c = {0};

	(void)state;
	parse(base_text, &c);
	assert_true(c.has_cmd && c.has_entrypoint);
	expect_written(&c, base_text);
}

static void test_what_is_unknown_is_dropped(void **state)
{
	AUTO(image_config) c = {0};

	(void)state;
	parse("{\"os\":\"linux\",\"architecture\":\"arm64\",\"docker_version\":\"20\","
	      "\"config\":"
	      "{\"Healthcheck\":{\"Test\":[\"x\"]},\"Cmd\":null,\"Env\":[],\"Labels\":null},"
	      "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":null},\"history\":null}",
	      &c);
	assert_false(c.has_cmd);
	expect_written(&c, "{\"architecture\":\"arm64\",\"config\":{},\"os\":\"linux\","
			   "\"rootfs\":{\"diff_ids\":[],\"type\":\"layers\"}}");
}

static void test_malformed_is_refused(void **state)
{
	static const char *const env[] = {"AWS_SECRET", "=x", ""};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(env); i++) {
		AUTO_FREE char *text =
			mem_printf("{\"config\":{\"Env\":[\"A=1\",\"%s\"]},\"rootfs\":"
				   "{\"type\":\"layers\",\"diff_ids\":[]}}",
				   env[i]);
		expect_refused(text, "image/env");
	}
	expect_refused("{}", "json/missing");
	expect_refused("{\"rootfs\":{\"type\":\"layer\",\"diff_ids\":[]}}", "image/rootfs");
	expect_refused("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"md5:00\"]}}",
		       "digest/malformed");
	expect_refused("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[7]}}",
		       "digest/malformed");
	expect_refused("{\"rootfs\":{\"type\":\"layers\"},\"history\":[7]}", "image/history");
	expect_refused("{\"rootfs\":{\"type\":\"layers\"},\"history\":[{\"created\":\"c\"},{"
		       "\"created\":7}]}",
		       "json/type");
	expect_refused("{\"rootfs\":{\"type\":\"layers\"},\"config\":{\"Labels\":{\"a\":{}}}}",
		       "image/not-text");
	expect_refused("{\"rootfs\":{\"type\":\"layers\"},\"config\":{\"Cmd\":\"sh -c x\"}}",
		       "json/type");
}

/* SEC PF15 */
static void test_check_against_the_manifest(void **state)
{
	char type[] = OCI_CONFIG_TYPE, other[] = "application/octet-stream";
	struct descriptor layers[2] = {0};
	struct manifest m = {.config = {.media_type = type},
			     .layers = {.items = layers, .len = 1}};
	AUTO(image_config) c = {0};
	struct err e = ERR_INIT;

	(void)state;
	parse(base_text, &c);
	assert_int_equal(image_config_check(&c, &m, &e), 0);
	m.layers.len = 2;
	assert_int_equal(image_config_check(&c, &m, &e), -1);
	expect_err(&e, ERR_INPUT, "image/config-mismatch");
	m.layers.len = 1;
	c.history.items[0].empty_layer = true;
	assert_int_equal(image_config_check(&c, &m, &e), -1);
	expect_err(&e, ERR_INPUT, "image/config-mismatch");
	c.history.items[0].empty_layer = false;
	m.config.media_type = other;
	assert_int_equal(image_config_check(&c, &m, &e), -1);
	expect_err(&e, ERR_INPUT, "image/media-type");
}

static void test_scratch_image(void **state)
{
	AUTO(image_config) c = {0};
	AUTO(map) environment = MAP_INIT(free);
	const struct config_directives d = {.environment = &environment,
					    .os = "linux",
					    .architecture = "amd64",
					    .created_s = 315532800};
	struct digest diff_id = {.alg = DIGEST_SHA256};

	(void)state;
	memset(diff_id.bytes, 0xbb, 32);
	map_set_text(&environment, "Z", "");
	map_set_text(&environment, "A", "b=c");
	image_config_add_layer(&c, &diff_id, "stacker build of x", 315532800);
	image_config_apply(&c, &d);
	expect_written(
		&c,
		"{\"architecture\":\"amd64\",\"author\":\"stacker\",\"config\":{\"Env\":[\"A=b="
		"c\","
		"\"Z=\",\"" DEFAULT_PATH
		"\"]},\"created\":\"1980-01-01T00:00:00Z\",\"history\":[{"
		"\"created\":\"1980-01-01T00:00:00Z\",\"created_by\":\"stacker build of x\"},{"
		"\"author\":\"stacker\",\"created\":\"1980-01-01T00:00:00Z\",\"created_by\":"
		"\"stacker "
		"build\",\"empty_layer\":true}],\"os\":\"linux\",\"rootfs\":{\"diff_ids\":["
		"\"sha256:" HEX_B "\"],\"type\":\"layers\"}}");
}

static struct strvec list_of(const char *a, const char *b)
{
	struct strvec v = {0};

	if (a)
		strvec_push(&v, a);
	if (b)
		strvec_push(&v, b);
	return v;
}

static void test_unset_directives_inherit(void **state)
{
	AUTO(image_config) c = {0};
	const struct config_directives d = {.os = "linux", .architecture = "amd64"};

	(void)state;
	parse(base_text, &c);
	image_config_apply(&c, &d);
	assert_string_equal(c.cmd.items[0], "sh");
	assert_string_equal(c.entrypoint.items[0], "/init");
	assert_string_equal(c.working_dir, "/srv");
	assert_string_equal(c.user, "nobody");
	assert_int_equal(c.env.len, 2); /* PATH is there already */
	assert_string_equal(c.stop_signal, "SIGINT");
	assert_string_equal(c.variant, "v8");
	assert_int_equal(c.history.len, 3);
	assert_string_equal(c.created, "1970-01-01T00:00:00Z");
}

static void test_set_directives_replace_and_merge(void **state)
{
	AUTO(image_config) c = {0};
	AUTO(map) environment = MAP_INIT(free);
	AUTO(map) labels = MAP_INIT(free);
	AUTO(strvec) cmd = list_of("run", NULL);
	AUTO(strvec) volumes = list_of("/data", "/a");
	const struct config_directives d = {.environment = &environment,
					    .labels = &labels,
					    .cmd = &cmd,
					    .has_cmd = true,
					    .volumes = &volumes,
					    .working_dir = "/w",
					    .runtime_user = "",
					    .os = "linux",
					    .architecture = "arm64"};

	(void)state;
	map_set_text(&environment, "A", "2");
	map_set_text(&labels, "z", "ours");
	parse(base_text, &c);
	image_config_apply(&c, &d);
	assert_string_equal(c.cmd.items[0], "run");
	assert_string_equal(c.entrypoint.items[0], "/init");
	assert_string_equal(c.working_dir, "/w");
	assert_string_equal(c.user, "nobody");
	assert_string_equal(c.architecture, "arm64");
	assert_int_equal(c.env.len, 3); /* appended, the inherited one is kept */
	assert_string_equal(c.env.items[2], "A=2");
	assert_string_equal(map_get(&c.labels, "z"), "ours");
	assert_string_equal(map_get(&c.labels, "a"), "base");
	assert_int_equal(c.volumes.len, 2);
	AUTO(buf) out = BUF_INIT(LIMIT_CONFIG_BYTES);
	image_config_write(&c, &out);
	assert_non_null(strstr(buf_text(&out), "\"Volumes\":{\"/a\":{},\"/data\":{}}"));
}

static void test_full_command_wins(void **state)
{
	AUTO(image_config) c = {0};
	AUTO(strvec) other = list_of("other", NULL);
	AUTO(strvec) full = list_of("/bin/app", "-x");
	struct strvec none = {0};
	struct config_directives d = {.cmd = &other,
				      .has_cmd = true,
				      .entrypoint = &other,
				      .has_entrypoint = true,
				      .full_command = &full,
				      .has_full_command = true};

	(void)state;
	parse(base_text, &c);
	image_config_apply(&c, &d);
	assert_int_equal(c.entrypoint.len, 2);
	assert_int_equal(c.cmd.len, 0);
	assert_false(c.has_cmd);
	d.full_command = &none; /* set to nothing: both go */
	image_config_apply(&c, &d);
	assert_false(c.has_entrypoint || c.has_cmd);
}

/* OCI wants an entry for every layer or no history at all. */
static void test_missing_history_is_filled(void **state)
{
	AUTO(image_config) c = {0};
	struct digest diff_id = {.alg = DIGEST_SHA256};
	const struct config_directives d = {.os = "linux", .architecture = "amd64"};
	size_t layers = 0;

	(void)state;
	parse("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX_A
	      "\",\"sha256:" HEX_B "\"]}}",
	      &c);
	image_config_add_layer(&c, &diff_id, "stacker build of x", 0);
	image_config_apply(&c, &d);
	for (size_t i = 0; i < c.history.len; i++)
		layers += !c.history.items[i].empty_layer;
	assert_int_equal(c.history.len, 4);
	assert_int_equal(layers, 3);
	assert_string_equal(c.history.items[0].comment, "no history recorded");
	assert_string_equal(c.history.items[2].created_by, "stacker build of x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_known_is_kept),
		cmocka_unit_test(test_what_is_unknown_is_dropped),
		cmocka_unit_test(test_malformed_is_refused),
		cmocka_unit_test(test_check_against_the_manifest),
		cmocka_unit_test(test_scratch_image),
		cmocka_unit_test(test_unset_directives_inherit),
		cmocka_unit_test(test_set_directives_replace_and_merge),
		cmocka_unit_test(test_full_command_wins),
		cmocka_unit_test(test_missing_history_is_filled),
	};
	return cmocka_run_group_tests_name("image config", tests, NULL, NULL);
}
