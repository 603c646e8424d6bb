/* A layer's blob by all forms: what readers make of it, and that threads leave no trace. */
#include "image_test.h"

#include <sys/mman.h>

#include "image/byte_source.h"
#include "image/compress.h"

enum { LEN_MAX = 9 * 1024 * 1024 + 12345 };

/* Compressible, and different everywhere. */
static uint8_t *make_bytes(void)
{
	uint8_t *bytes = mem_alloc(LEN_MAX);
	uint32_t state = 1;

	for (size_t i = 0; i < LEN_MAX; i++) {
		state = state * UINT32_C(1664525) + UINT32_C(1013904223);
		bytes[i] = i % 64 < 40 ? (uint8_t)(i / 64 % 251) : (uint8_t)(state >> 28);
	}
	return bytes;
}

struct blob {
	int fd;
	uint64_t len;
	struct digest digest;
};

static struct blob compress(const uint8_t *bytes, size_t len, enum layer_compression form,
			    unsigned threads)
{
	struct blob b = {.fd = memfd_create("blob", MFD_CLOEXEC)};
	const struct compress_options options = {.fd = b.fd, .form = form, .threads = threads};
	struct compressor *c = NULL;
	struct err e = ERR_INIT;
	uint64_t file_len = 0;

	assert_true(b.fd >= 0);
	assert_int_equal(compressor_open(&options, &c, &e), 0);
	/* In parts that fit nothing. */
	for (size_t at = 0, part; at < len; at += part) {
		part = len - at < 99991 ? len - at : 99991;
		assert_int_equal(compressor_add(c, bytes + at, part, &e), 0);
	}
	assert_int_equal(compressor_finish(c, &b.len, &e), 0);
	compressor_close(&c);
	assert_int_equal(digest_fd(DIGEST_SHA256, b.fd, "blob", &b.digest, &file_len, &e), 0);
	assert_int_equal(b.len, file_len);
	return b;
}

static void expect_read_back(const struct blob *b, enum byte_coding coding,
			     const uint8_t *bytes, size_t len)
{
	const struct byte_source_options options = {.fd = b->fd,
						    .len = b->len,
						    .coding = coding,
						    .max_bytes = UINT64_C(1) << 40,
						    .what = "blob"};
	AUTO(byte_source) source = {.what = NULL};
	struct err e = ERR_INIT;
	size_t at = 0;

	assert_int_equal(byte_source_open(&source, &options, &e), 0);
	for (;;) {
		const uint8_t *chunk = NULL;
		size_t got = 0;

		assert_int_equal(byte_source_next(&source, &chunk, &got, &e), 0);
		if (got == 0)
			break;
		assert_true(got <= len - at);
		assert_memory_equal(chunk, bytes + at, got);
		at += got;
	}
	assert_int_equal(at, len);
}

static void test_all_forms_are_read_back(void **state)
{
	(void)state;
	static const struct {
		enum layer_compression form;
		enum byte_coding coding;
	} forms[] = {{LAYER_TAR, BYTE_PLAIN}, {LAYER_GZIP, BYTE_GZIP}, {LAYER_ZSTD, BYTE_ZSTD}};
	static const size_t lengths[] = {1,	  1024,	   524287,     524288,	    524289,
					 1048576, 1048577, 3 * 524288, LEN_MAX - 1, LEN_MAX};
	AUTO_FREE uint8_t *bytes = make_bytes();

	for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
		for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
			struct blob b = compress(bytes, lengths[i], forms[f].form, 3);

			expect_read_back(&b, forms[f].coding, bytes, lengths[i]);
			close(b.fd);
		}
	}
}

static void test_empty_gzip_is_whole(void **state)
{
	(void)state;
	struct blob b = compress(NULL, 0, LAYER_GZIP, 2);

	expect_read_back(&b, BYTE_GZIP, NULL, 0);
	assert_int_equal(b.len, 20);
	close(b.fd);
}

static void test_number_of_threads_leaves_no_trace(void **state)
{
	(void)state;
	AUTO_FREE uint8_t *bytes = make_bytes();

	for (enum layer_compression form = LAYER_GZIP; form <= LAYER_ZSTD; form++) {
		struct blob alone = compress(bytes, LEN_MAX, form, 0);

		for (unsigned threads = 1; threads <= 40; threads = threads * 2 + 1) {
			struct blob b = compress(bytes, LEN_MAX, form, threads);

			assert_true(digest_eq(&b.digest, &alone.digest));
			close(b.fd);
		}
		close(alone.fd);
	}
}

/* Format 1. */
static void test_gzip_bytes_never_change(void **state)
{
	(void)state;
	AUTO_FREE uint8_t *bytes = make_bytes();
	struct blob b = compress(bytes, LEN_MAX, LAYER_GZIP, 2);

	expect_digest(&b.digest,
		      "6894493ae516129e0bfa23277eec6af6d33bef91cf34112e469b173eb4e511d0");
	close(b.fd);
}

/* What we write, we and others read again, however much is in so little (SEC UN19). */
static void test_zeros_are_no_bomb(void **state)
{
	(void)state;
	enum { LEN = 8 << 20 };
	AUTO_FREE uint8_t *zeros = mem_zalloc(LEN, 1);

	for (enum layer_compression form = LAYER_GZIP; form <= LAYER_ZSTD; form++) {
		struct blob b = compress(zeros, LEN, form, 0);

		assert_true(b.len * 400 >= LEN);
		assert_true(b.len * 350 < LEN);
		expect_read_back(&b, form == LAYER_GZIP ? BYTE_GZIP : BYTE_ZSTD, zeros, LEN);
		close(b.fd);
	}
}

static void test_full_disk_is_reported_and_ends_the_threads(void **state)
{
	(void)state;
	AUTO_FREE uint8_t *bytes = make_bytes();

	for (unsigned threads = 0; threads <= 4; threads += 2) {
		AUTO_CLOSE int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
		const struct compress_options options = {
			.fd = fd, .form = LAYER_ZSTD, .threads = threads};
		struct compressor *c = NULL;
		struct err e = ERR_INIT;

		assert_true(fd >= 0);
		assert_int_equal(compressor_open(&options, &c, &e), 0);
		assert_true(compressor_add(c, bytes, LEN_MAX, &e) < 0);
		expect_err(&e, ERR_SYSTEM, "system/call");
		assert_int_equal(e.saved_errno, ENOSPC);
		compressor_close(&c);
		assert_null(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_forms_are_read_back),
		cmocka_unit_test(test_empty_gzip_is_whole),
		cmocka_unit_test(test_number_of_threads_leaves_no_trace),
		cmocka_unit_test(test_gzip_bytes_never_change),
		cmocka_unit_test(test_zeros_are_no_bomb),
		cmocka_unit_test(test_full_disk_is_reported_and_ends_the_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
