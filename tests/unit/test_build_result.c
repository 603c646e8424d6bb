/* Chain ids, and a cache that believes nothing it cannot check. */
#include "util_test.h"

#include "build/result.h"
#include "util/atomic_file.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/path.h"

struct fixture {
	struct scratch *scratch;
	struct build_context c;
};

static int set_up(void **state)
{
	const struct log_options silent = {.level = LOG_ERROR, .fd = 2};
	log_setup(&silent);
	struct fixture *f = mem_zalloc(1, sizeof(*f));
	struct err e = ERR_INIT;
	f->c = (struct build_context)BUILD_CONTEXT_INIT;
	void *scratch;
	if (scratch_setup(&scratch) < 0)
		return -1;
	f->scratch = scratch;
	if (path_make_private_dir(f->scratch->fd, "state", &f->c.state_fd, &e) < 0 ||
	    store_open(f->c.state_fd, &f->c.store, &e) < 0 ||
	    path_make_private_dir(f->c.state_fd, "cache", &f->c.cache_fd, &e) < 0)
		return -1;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	void *scratch = f->scratch;
	build_context_cleanup(&f->c);
	free(f);
	return scratch_teardown(&scratch);
}

static struct digest digest_of(const char *text)
{
	struct digest d;
	digest_bytes(DIGEST_SHA256, text, strlen(text), &d);
	return d;
}

static struct descriptor put(struct fixture *f, const char *text)
{
	struct err e = ERR_INIT;
	struct descriptor d = {.media_type = mem_strdup(OCI_LAYER_TAR_TYPE),
			       .size = strlen(text)};
	assert_int_equal(store_put(&f->c.store, text, strlen(text), &d.digest, &e), 0);
	return d;
}

/* Of the recipe "recipe", as image.c writes it. */
static struct descriptor put_manifest(struct fixture *f, const struct image_result *r,
				      const char *recipe)
{
	AUTO(buf) text = BUF_INIT(65536);
	struct digest of_recipe = digest_of(recipe);
	char shown[DIGEST_TEXT_MAX];
	struct manifest m = {.config = r->config, .annotations = MAP_INIT(free)};
	digest_format(&of_recipe, shown);
	map_set_text(&m.annotations, "io.stackeroci.stacker.recipe", shown);
	for (size_t i = 0; i < r->layers.len; i++)
		vec_push(&m.layers, r->layers.items[i].blob);
	manifest_write(&m, &text);
	map_cleanup(&m.annotations);
	vec_free(&m.layers);
	return put(f, buf_text(&text));
}

static struct image_result sample(struct fixture *f)
{
	struct image_result r = {.recipe = digest_of("recipe"),
				 .inherit_annotations = MAP_INIT(free)};
	struct result_layer layer = {.blob = put(f, "layer"),
				     .diff_id = digest_of("layer"),
				     .created_by = mem_strdup("stacker build of x")};
	result_chain_id(NULL, &layer.diff_id, &layer.chain_id);
	vec_push(&r.layers, layer);
	map_set_text(&r.inherit_annotations, "a key with spaces", "\xc3\xa9");
	r.config = put(f, "config");
	r.manifest = put_manifest(f, &r, "recipe");
	return r;
}

static void test_chain_id_follows_the_spec(void **state)
{
	(void)state;
	struct digest a = digest_of("a");
	struct digest b = digest_of("b");
	struct digest one;
	struct digest two;
	result_chain_id(NULL, &a, &one);
	assert_true(digest_eq(&one, &a));
	result_chain_id(&one, &b, &two);
	/* sha256 over "sha256:<a> sha256:<b>", computed with sha256sum */
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(&two, hex);
	assert_string_equal(hex,
			    "51c0c8ace48498d6f5fee6b0592cc06f2da0f3cbe09c5a34a97dce85c3889676");
}

static void test_what_is_saved_comes_back(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	AUTO(image_result) saved = sample(f);
	AUTO(image_result) found = {0};
	bool hit = false;
	assert_int_equal(cache_save(&f->c, &saved, &e), 0);
	assert_int_equal(cache_load(&f->c, &saved.recipe, &found, &hit, &e), 0);
	assert_true(hit);
	assert_int_equal(found.layers.len, 1);
	assert_true(
		digest_eq(&found.layers.items[0].chain_id, &saved.layers.items[0].chain_id));
	assert_string_equal(found.layers.items[0].created_by, "stacker build of x");
	assert_string_equal(map_get(&found.inherit_annotations, "a key with spaces"),
			    "\xc3\xa9");
	assert_true(digest_eq(&found.manifest.digest, &saved.manifest.digest));
	assert_false(found.build_only);
}

static void test_a_missing_blob_is_a_miss(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	AUTO(image_result) saved = sample(f);
	AUTO(image_result) found = {0};
	bool hit = true;
	assert_int_equal(cache_save(&f->c, &saved, &e), 0);
	assert_int_equal(
		store_blob_discard(&f->c.store, &saved.layers.items[0].blob.digest, &e), 0);
	assert_int_equal(cache_load(&f->c, &saved.recipe, &found, &hit, &e), 0);
	assert_false(hit);
}

static void expect_unusable(struct fixture *f, const char *text)
{
	struct err e = ERR_INIT;
	struct digest recipe = digest_of("recipe");
	char name[DIGEST_TEXT_MAX + 8];
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(&recipe, hex);
	snprintf(name, sizeof(name), "%s.json", hex);
	assert_int_equal(atomic_file_write(f->c.cache_fd, name, 0644, text, strlen(text), &e),
			 0);
	AUTO(image_result) found = {0};
	bool hit = true;
	assert_int_equal(cache_load(&f->c, &recipe, &found, &hit, &e), 0);
	assert_false(hit);
}

static void test_a_damaged_entry_is_a_miss(void **state)
{
	struct fixture *f = *state;
	expect_unusable(f, "");
	expect_unusable(f, "{}");
	expect_unusable(f, "[]");
	expect_unusable(f, "{\"schema\":\"https://stacker-hermetic.invalid/cache-entry/v1\"}");
}

static void test_an_entry_under_another_name_is_a_miss(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	AUTO(image_result) saved = sample(f);
	saved.recipe = digest_of("another recipe");
	assert_int_equal(cache_save(&f->c, &saved, &e), 0);
	AUTO(buf) text = BUF_INIT(65536);
	char name[DIGEST_TEXT_MAX + 8];
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(&saved.recipe, hex);
	snprintf(name, sizeof(name), "%s.json", hex);
	assert_int_equal(path_read_file(f->c.cache_fd, name, &text, &e), 0);
	expect_unusable(f, buf_text(&text));
}

static void expect_no_hit(struct fixture *f, const struct image_result *r)
{
	struct err e = ERR_INIT;
	AUTO(image_result) found = {0};
	bool hit = true;
	assert_int_equal(cache_save(&f->c, r, &e), 0);
	assert_int_equal(cache_load(&f->c, &r->recipe, &found, &hit, &e), 0);
	assert_false(hit);
}

/* SEC ST04 */
static void test_an_entry_that_contradicts_its_manifest_is_a_miss(void **state)
{
	struct fixture *f = *state;
	AUTO(image_result) another = sample(f);
	AUTO(image_result) config = sample(f);
	AUTO(image_result) layer = sample(f);
	AUTO(image_result) more = sample(f);
	descriptor_cleanup(&another.manifest);
	another.manifest = put_manifest(f, &another, "another recipe");
	expect_no_hit(f, &another);
	config.config.digest = config.manifest.digest;
	expect_no_hit(f, &config);
	layer.layers.items[0].blob.digest = layer.manifest.digest;
	expect_no_hit(f, &layer);
	struct result_layer added = {.blob = put(f, "layer"), .diff_id = digest_of("layer")};
	vec_push(&more.layers, added);
	expect_no_hit(f, &more);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain_id_follows_the_spec),
		cmocka_unit_test_setup_teardown(test_what_is_saved_comes_back, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_missing_blob_is_a_miss, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_damaged_entry_is_a_miss, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_an_entry_under_another_name_is_a_miss,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_an_entry_that_contradicts_its_manifest_is_a_miss, set_up,
			tear_down),
	};
	return cmocka_run_group_tests_name("build/result", tests, NULL, NULL);
}
