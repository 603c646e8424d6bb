/* Decompressing ahead in a thread: the same chunks, errors and limits as without. */
#include "image_test.h"

#include <sys/mman.h>

#include "image/byte_source.h"
#include "image/compress.h"

enum { LEN = 6 * 1024 * 1024 + 77 };

static uint8_t *make_bytes(void)
{
	uint8_t *bytes = mem_alloc(LEN);
	uint32_t state = 3;

	for (size_t i = 0; i < LEN; i++) {
		state = state * UINT32_C(1664525) + UINT32_C(1013904223);
		bytes[i] = (uint8_t)(state >> (24 + i / 4096 % 4));
	}
	return bytes;
}

static int make_blob(enum layer_compression form, uint64_t *ret_len)
{
	AUTO_FREE uint8_t *bytes = make_bytes();
	int fd = memfd_create("blob", MFD_CLOEXEC);
	const struct compress_options options = {.fd = fd, .form = form};
	struct compressor *c = NULL;
	struct err e = ERR_INIT;

	assert_true(fd >= 0);
	assert_int_equal(compressor_open(&options, &c, &e), 0);
	assert_int_equal(compressor_add(c, bytes, LEN, &e), 0);
	assert_int_equal(compressor_finish(c, ret_len, &e), 0);
	compressor_close(&c);
	return fd;
}

/* How reading to the end, or to an error, went. */
struct outcome {
	uint64_t len;
	struct digest digest;
	char id[ERR_ID_MAX];
};

static struct outcome read_all(const struct byte_source_options *options)
{
	struct outcome o = {0};
	AUTO(byte_source) source = {.what = NULL};
	AUTO(digest_stream) hash = {0};
	struct err e = ERR_INIT;

	digest_stream_init(&hash, DIGEST_SHA256);
	assert_int_equal(byte_source_open(&source, options, &e), 0);
	for (;;) {
		const uint8_t *chunk = NULL;
		size_t len = 0;

		if (byte_source_next(&source, &chunk, &len, &e) < 0) {
			snprintf(o.id, sizeof(o.id), "%s", e.id);
			break;
		}
		if (len == 0) {
			struct digest end;

			byte_source_digest(&source, &end);
			digest_stream_final(&hash, &o.digest);
			assert_true(digest_eq(&end, &o.digest));
			return o;
		}
		digest_stream_add(&hash, chunk, len);
		o.len += len;
	}
	digest_stream_final(&hash, &o.digest);
	return o;
}

static void expect_same(struct byte_source_options options, const char *id)
{
	struct outcome alone = read_all(&options);

	options.ahead = true;
	struct outcome ahead = read_all(&options);
	assert_string_equal(alone.id, id);
	assert_string_equal(ahead.id, id);
	assert_int_equal(alone.len, ahead.len);
	assert_true(digest_eq(&alone.digest, &ahead.digest));
}

static struct byte_source_options options_of(int fd, uint64_t len, enum byte_coding coding)
{
	return (struct byte_source_options){.fd = fd,
					    .len = len,
					    .coding = coding,
					    .max_bytes = UINT64_C(1) << 40,
					    .hash = DIGEST_SHA256,
					    .what = "blob"};
}

static void test_whole_cut_and_damaged_blobs_read_the_same(void **state)
{
	(void)state;
	static const struct {
		enum layer_compression form;
		enum byte_coding coding;
	} rows[] = {{LAYER_GZIP, BYTE_GZIP}, {LAYER_ZSTD, BYTE_ZSTD}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t len = 0;
		AUTO_CLOSE int fd = make_blob(rows[i].form, &len);
		struct byte_source_options options = options_of(fd, len, rows[i].coding);

		expect_same(options, "");
		options.len = len / 2;
		expect_same(options, "unpack/truncated");
		options.len = len;
		options.max_bytes = LEN / 2;
		expect_same(options, "unpack/too-big");
		options.max_bytes = LEN;
		expect_same(options, "");
		assert_int_equal(pwrite(fd, "damage", 6, (off_t)(len / 3 * 2)), 6);
		expect_same(options, "unpack/corrupt");
	}
}

static void test_stopping_early_waits_for_nothing(void **state)
{
	(void)state;
	uint64_t len = 0;
	AUTO_CLOSE int fd = make_blob(LAYER_GZIP, &len);
	struct byte_source_options options = options_of(fd, len, BYTE_GZIP);

	options.ahead = true;
	for (unsigned chunks = 0; chunks < 24; chunks += 4) {
		AUTO(byte_source) source = {.what = NULL};
		struct err e = ERR_INIT;

		assert_int_equal(byte_source_open(&source, &options, &e), 0);
		for (unsigned i = 0; i < chunks; i++) {
			const uint8_t *chunk = NULL;
			size_t got = 0;

			assert_int_equal(byte_source_next(&source, &chunk, &got, &e), 0);
			assert_true(got > 0);
		}
	}
}

static void test_end_and_error_come_again(void **state)
{
	(void)state;
	uint64_t len = 0;
	AUTO_CLOSE int fd = make_blob(LAYER_GZIP, &len);

	for (unsigned cut = 0; cut < 2; cut++) {
		struct byte_source_options options = options_of(fd, len - cut, BYTE_GZIP);
		AUTO(byte_source) source = {.what = NULL};
		struct err e = ERR_INIT;
		const uint8_t *chunk = NULL;
		size_t got = 1;
		int r = 0;

		options.ahead = true;
		assert_int_equal(byte_source_open(&source, &options, &e), 0);
		while (r == 0 && got > 0)
			r = byte_source_next(&source, &chunk, &got, &e);
		assert_int_equal(r, cut ? -1 : 0);
		assert_int_equal(byte_source_next(&source, &chunk, &got, &e), r);
		assert_int_equal(got == 0, r == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_cut_and_damaged_blobs_read_the_same),
		cmocka_unit_test(test_stopping_early_waits_for_nothing),
		cmocka_unit_test(test_end_and_error_come_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
