/* Manifests: one canonical form out, and nothing in that another reader could take otherwise.
 */
#include "image_test.h"

#include "image/manifest.h"
#include "util/limits.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define CONFIG_TEXT                                                                            \
	"{\"digest\":\"sha256:" HEX_A "\",\"mediaType\":\"" OCI_CONFIG_TYPE "\",\"size\":7}"
#define LAYER_TEXT                                                                             \
	"{\"digest\":\"sha256:" HEX_B "\",\"mediaType\":\"" OCI_LAYER_GZIP_TYPE "\",\"size\":" \
	"9}"
#define HEAD_TEXT "\"mediaType\":\"" OCI_MANIFEST_TYPE "\",\"schemaVersion\":2"
#define PLAIN_TEXT "{\"config\":" CONFIG_TEXT ",\"layers\":[" LAYER_TEXT "]," HEAD_TEXT "}"

static void expect_canonical(const char *text, const char *wanted)
{
	AUTO(manifest) m = {0};
	AUTO(buf) out = BUF_INIT(LIMIT_MANIFEST_BYTES);
	struct err e = ERR_INIT;

	assert_int_equal(manifest_parse(text, strlen(text), "test", &m, &e), 0);
	manifest_write(&m, &out);
	assert_string_equal(buf_text(&out), wanted);
}

static void expect_refused(const char *text, const char *id)
{
	AUTO(manifest) m = {0};
	struct err e = ERR_INIT;

	assert_int_equal(manifest_parse(text, strlen(text), "test", &m, &e), -1);
	expect_err(&e, ERR_INPUT, id);
	assert_null(m.config.media_type);
}

static void test_canonical_form(void **state)
{
	(void)state;
	expect_canonical(PLAIN_TEXT, PLAIN_TEXT);
	expect_canonical("{ \"schemaVersion\": 2, \"mediaType\": \"" OCI_MANIFEST_TYPE
			 "\", \"layers\": [], \"annotations\": {\"b\": \"2\", \"a\": \"1\"}, "
			 "\"config\": " CONFIG_TEXT "}\n",
			 "{\"annotations\":{\"a\":\"1\",\"b\":\"2\"},\"config\":" CONFIG_TEXT
			 ",\"layers\":[]," HEAD_TEXT "}");
	expect_canonical("{\"annotations\":null,\"config\":" CONFIG_TEXT
			 ",\"layers\":[" LAYER_TEXT "]," HEAD_TEXT ",\"later\":[1]}",
			 PLAIN_TEXT);
}

/* SEC PF14: neither may decide what the content is. */
static void test_urls_and_data_are_ignored(void **state)
{
	(void)state;
	expect_canonical("{\"config\":{\"data\":\"AAAA\",\"digest\":\"sha256:" HEX_A
			 "\",\"mediaType\":\"" OCI_CONFIG_TYPE
			 "\",\"size\":7,\"urls\":[\"ftp://attacker\"]},\"layers\":[" LAYER_TEXT
			 "]," HEAD_TEXT "}",
			 PLAIN_TEXT);
}

/* umoci 0.4.7 writes manifests without; they are unambiguous all the same. */
static void test_media_type_may_be_absent(void **state)
{
	static const char text[] =
		"{\"config\":" CONFIG_TEXT ",\"layers\":[],\"schemaVersion\":2}";
	AUTO(manifest) m = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(manifest_parse(text, sizeof(text) - 1, "m", &m, &e), 0);
	assert_int_equal(m.config.size, 7);
}

/* SEC PF12 */
static void test_confusion_is_refused(void **state)
{
	(void)state;
	expect_refused("{\"config\":" CONFIG_TEXT ",\"layers\":[],\"manifests\":[]," HEAD_TEXT
		       "}",
		       "image/manifest-confusion");
	expect_refused("{\"config\":" CONFIG_TEXT
		       ",\"layers\":[],\"mediaType\":\"" OCI_INDEX_TYPE
		       "\",\"schemaVersion\":2}",
		       "image/media-type");
	expect_refused("{\"config\":" CONFIG_TEXT ",\"layers\":[],\"mediaType\":\"application/"
		       "vnd.docker.distribution.manifest.list.v2+json\",\"schemaVersion\":2}",
		       "image/media-type");
	expect_refused("{\"config\":" CONFIG_TEXT
		       ",\"layers\":[],\"mediaType\":\"" OCI_MANIFEST_TYPE
		       "\",\"schemaVersion\":1}",
		       "image/schema-version");
	expect_refused("{\"MediaType\":\"x\"," HEAD_TEXT "}", "json/key-collision");
	expect_refused("{" HEAD_TEXT "," HEAD_TEXT "}", "json/duplicate-key");
}

static void test_shapes_are_checked(void **state)
{
	(void)state;
	expect_refused("[]", "json/type");
	expect_refused("{" HEAD_TEXT ",\"layers\":[]}", "json/missing");
	expect_refused("{" HEAD_TEXT ",\"config\":" CONFIG_TEXT "}", "json/missing");
	expect_refused("{" HEAD_TEXT ",\"config\":" CONFIG_TEXT ",\"layers\":[7]}",
		       "image/descriptor");
	expect_refused("{" HEAD_TEXT ",\"config\":" CONFIG_TEXT
		       ",\"layers\":[],\"annotations\":{\"a\":1}}",
		       "image/not-text");
	expect_refused("{" HEAD_TEXT ",\"config\":{\"mediaType\":\"x\",\"size\":1,\"digest\":"
		       "\"sha256:../../etc/passwd\"},\"layers\":[]}",
		       "digest/malformed");
	expect_refused("{" HEAD_TEXT
		       ",\"config\":{\"mediaType\":\"x\",\"size\":\"1\",\"digest\":"
		       "\"sha256:" HEX_A "\"},\"layers\":[]}",
		       "json/type");
}

static void test_layer_limit(void **state)
{
	(void)state;
	for (int over = 0; over < 2; over++) {
		AUTO(buf) text = BUF_INIT(LIMIT_MANIFEST_BYTES);
		AUTO(manifest) m = {0};
		struct err e = ERR_INIT;

		buf_add_c(&text,
			  "{" HEAD_TEXT ",\"config\":" CONFIG_TEXT ",\"layers\":[" LAYER_TEXT);
		for (int i = 1; i < LIMIT_LAYERS + over; i++)
			buf_add_c(&text, "," LAYER_TEXT);
		buf_add_c(&text, "]}");
		assert_int_equal(manifest_parse(buf_text(&text), text.len, "test", &m, &e),
				 over ? -1 : 0);
		if (over)
			expect_err(&e, ERR_INPUT, "image/too-many-layers");
		else
			assert_int_equal(m.layers.len, LIMIT_LAYERS);
	}
}

static void test_size_limit(void **state)
{
	AUTO_FREE char *text = mem_alloc(LIMIT_MANIFEST_BYTES + 2);
	AUTO(manifest) m = {0};
	struct err e = ERR_INIT;

	(void)state;
	memset(text, ' ', LIMIT_MANIFEST_BYTES + 1);
	memcpy(text, PLAIN_TEXT, strlen(PLAIN_TEXT));
	assert_int_equal(manifest_parse(text, LIMIT_MANIFEST_BYTES + 1, "test", &m, &e), -1);
	expect_err(&e, ERR_INPUT, "json/too-big");
	assert_int_equal(manifest_parse(text, LIMIT_MANIFEST_BYTES, "test", &m, &e), 0);
}

static void test_layer_types(void **state)
{
	enum layer_compression c = LAYER_TAR;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(layer_compression_of(OCI_LAYER_ZSTD_TYPE, &c, &e), 0);
	assert_int_equal(c, LAYER_ZSTD);
	assert_int_equal(layer_compression_of(OCI_LAYER_GZIP_TYPE, &c, &e), 0);
	assert_int_equal(c, LAYER_GZIP);
	assert_int_equal(layer_compression_of(OCI_LAYER_TAR_TYPE, &c, &e), 0);
	assert_int_equal(c, LAYER_TAR);
	assert_int_equal(layer_compression_of(OCI_LAYER_TAR_TYPE "+bzip2", &c, &e), -1);
	expect_err(&e, ERR_INPUT, "image/layer-type");
}

static void test_file_system_types(void **state)
{
	(void)state;
	assert_int_equal(layer_fs_of(OCI_LAYER_SQUASHFS_TYPE), LAYER_FS_SQUASHFS);
	assert_int_equal(layer_fs_of(OCI_LAYER_SQUASHFS_TYPE "+zstd"), LAYER_FS_SQUASHFS);
	assert_int_equal(layer_fs_of(OCI_LAYER_SQUASHFS_TYPE "+gzip"), LAYER_FS_SQUASHFS);
	assert_int_equal(layer_fs_of(OCI_LAYER_EROFS_TYPE), LAYER_FS_EROFS);
	assert_int_equal(layer_fs_of(OCI_LAYER_EROFS_TYPE "+lz4hc"), LAYER_FS_EROFS);
	assert_int_equal(layer_fs_of(OCI_LAYER_SQUASHFS_TYPE "+zst"), LAYER_FS_NONE);
	assert_int_equal(layer_fs_of(OCI_LAYER_SQUASHFS_TYPE "2"), LAYER_FS_NONE);
	assert_int_equal(layer_fs_of(OCI_LAYER_EROFS_TYPE "+gzip"), LAYER_FS_NONE);
	assert_int_equal(layer_fs_of(OCI_LAYER_TAR_TYPE), LAYER_FS_NONE);
}

#define ROOT_64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* Handed on under one name, if it can be a root hash at all. */
static void test_verity_root(void **state)
{
	static const struct {
		const char *annotations;
		const char *root;
	} rows[] = {
		{"{\"io.stackeroci.stacker.atomfs_verity_root_hash\":\"" ROOT_64 "\"}",
		 ROOT_64},
		{"{\"io.stackeroci.stacker.squashfs_verity_root_hash\":\"" ROOT_64 "\"}",
		 ROOT_64},
		{"{\"io.stackeroci.stacker.atomfs_verity_root_hash\":\"" ROOT_64 "0\"}", NULL},
		{"{\"io.stackeroci.stacker.atomfs_verity_root_hash\":7}", NULL},
		{"{\"else\":\"" ROOT_64 "\"}", NULL},
		{"7", NULL},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(manifest) m = {0};
		AUTO(buf) out = BUF_INIT(LIMIT_MANIFEST_BYTES);
		struct err e = ERR_INIT;
		AUTO_FREE char *text = mem_printf(
			"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" OCI_CONFIG_TYPE
			"\",\"digest\":\"sha256:" ROOT_64
			"\",\"size\":2},\"layers\":[{\"mediaType\":"
			"\"" OCI_LAYER_SQUASHFS_TYPE "\",\"digest\":\"sha256:" ROOT_64
			"\",\"size\":4096,\"annotations\":%s}]}",
			rows[i].annotations);
		assert_int_equal(manifest_parse(text, strlen(text), "test", &m, &e), 0);
		const char *root = m.layers.items[0].verity_root;
		manifest_write(&m, &out);
		const char *written =
			strstr(buf_text(&out), "atomfs_verity_root_hash\":\"" ROOT_64 "\"");
		if (!rows[i].root) {
			assert_null(root);
			assert_null(written);
		} else {
			assert_string_equal(root, rows[i].root);
			assert_non_null(written);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_canonical_form),
		cmocka_unit_test(test_urls_and_data_are_ignored),
		cmocka_unit_test(test_media_type_may_be_absent),
		cmocka_unit_test(test_confusion_is_refused),
		cmocka_unit_test(test_shapes_are_checked),
		cmocka_unit_test(test_layer_limit),
		cmocka_unit_test(test_size_limit),
		cmocka_unit_test(test_layer_types),
		cmocka_unit_test(test_file_system_types),
		cmocka_unit_test(test_verity_root),
	};
	return cmocka_run_group_tests_name("image manifest", tests, NULL, NULL);
}
