/* dm-verity trees: the bytes, and what veritysetup says of them. */
#include "image_test.h"

#include <sys/mman.h>

#include "image/verity.h"
#include "util/proc.h"

static const struct verity_options options = {.salt = {1, 2, 3, 250}, .uuid = {0xaa, 0xbb}};

/* A file of `blocks` blocks, each filled with its own number. */
static int make_image(uint64_t blocks)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	uint8_t block[VERITY_BLOCK_BYTES];
	assert_true(fd >= 0);
	for (uint64_t i = 0; i < blocks; i++) {
		memset(block, (int)(i & 0xff), sizeof(block));
		memcpy(block, &i, sizeof(i));
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	}
	return fd;
}

static int append(int fd, struct digest *ret, struct err *e)
{
	*e = (struct err)ERR_INIT;
	return verity_append(fd, &options, ret, e);
}

/* veritysetup knows nothing of us. */
static int veritysetup_verify(int fd, uint64_t blocks, const struct digest *root)
{
	char hex[DIGEST_TEXT_MAX];
	struct err e = ERR_INIT;
	digest_format_hex(root, hex);
	AUTO_FREE char *path = mem_printf("/proc/%d/fd/%d", (int)getpid(), fd);
	AUTO_FREE char *offset = mem_printf("--hash-offset=%llu",
					    (unsigned long long)(blocks * VERITY_BLOCK_BYTES));
	const char *const argv[] = {
		"/usr/sbin/veritysetup", "verify", path, path, hex, offset, NULL};
	return proc_run(argv, &e);
}

static void test_veritysetup_accepts(void **state)
{
	(void)state;
	/* One block has no level, 128 fill one, 129 need two, 128 * 128 + 1 three. */
	static const uint64_t sizes[] = {1, 2, 127, 128, 129, 300, 128 * 128, 128 * 128 + 1};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct err e;
		struct digest root;
		AUTO_CLOSE int fd = make_image(sizes[i]);
		assert_int_equal(append(fd, &root, &e), 0);
		if (veritysetup_verify(fd, sizes[i], &root) != 0)
			fail_msg("veritysetup refuses %llu blocks",
				 (unsigned long long)sizes[i]);
	}
}

static void test_damage_is_noticed(void **state)
{
	(void)state;
	struct err e;
	struct digest root;
	AUTO_CLOSE int fd = make_image(300);
	assert_int_equal(append(fd, &root, &e), 0);
	assert_int_equal(pwrite(fd, "x", 1, 299 * VERITY_BLOCK_BYTES + 77), 1);
	assert_int_equal(veritysetup_verify(fd, 300, &root), -1);
}

/* The bytes depend on the image, the salt and the UUID. */
static void test_bytes_repeat(void **state)
{
	(void)state;
	struct err e;
	struct digest roots[2], all[2];
	for (int i = 0; i < 2; i++) {
		AUTO_CLOSE int fd = make_image(200);
		uint64_t len = 0;
		assert_int_equal(append(fd, &roots[i], &e), 0);
		assert_int_equal(digest_fd(DIGEST_SHA256, fd, "image", &all[i], &len, &e), 0);
		/* superblock, top, two blocks of the lowest level */
		assert_int_equal(len, (200 + 1 + 1 + 2) * VERITY_BLOCK_BYTES);
	}
	assert_true(digest_eq(&roots[0], &roots[1]));
	assert_true(digest_eq(&all[0], &all[1]));
	expect_digest(&roots[0],
		      "0e6fe25fcce90d03fb6cc9db3952bd45f494763f4447920516be3c52b94c91ce");
}

static void test_odd_sizes_are_refused(void **state)
{
	(void)state;
	static const off_t sizes[] = {0, 1, VERITY_BLOCK_BYTES - 1, VERITY_BLOCK_BYTES + 512};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct err e;
		struct digest root;
		AUTO_CLOSE int fd = make_image(0);
		assert_int_equal(ftruncate(fd, sizes[i]), 0);
		assert_int_equal(append(fd, &root, &e), -1);
		assert_string_equal(e.id, "image/verity-size");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_veritysetup_accepts),
		cmocka_unit_test(test_damage_is_noticed),
		cmocka_unit_test(test_bytes_repeat),
		cmocka_unit_test(test_odd_sizes_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
