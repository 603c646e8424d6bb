/* The hash tree, level by level: each level is read back from the file to hash the one above, so
 * memory stays at two blocks whatever the size of the image. */
#include "image/verity.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/mem.h"

enum {
	HASH_BYTES = 32,
	HASHES_PER_BLOCK = VERITY_BLOCK_BYTES / HASH_BYTES,
	LEVELS_MAX = 9, /* 128^9 blocks are 2^63 */
	SUPERBLOCK_BYTES = 512,
	SALT_FIELD_BYTES = 256,
};

/* A run of blocks of the file. */
struct region {
	uint64_t first, len;
};

/* Offsets of veritysetup's superblock; all numbers are little-endian. */
enum {
	SB_SIGNATURE = 0,
	SB_VERSION = 8,
	SB_HASH_TYPE = 12,
	SB_UUID = 16,
	SB_ALGORITHM = 32,
	SB_DATA_BLOCK = 64,
	SB_HASH_BLOCK = 68,
	SB_DATA_BLOCKS = 72,
	SB_SALT_SIZE = 80,
	SB_SALT = 88,
};

static void put_le(uint8_t *to, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

static int read_block(int fd, uint64_t block, uint8_t *to, struct err *e)
{
	for (size_t done = 0; done < VERITY_BLOCK_BYTES;) {
		off_t at = (off_t)(block * VERITY_BLOCK_BYTES + done);
		ssize_t got = pread(fd, to + done, VERITY_BLOCK_BYTES - done, at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "cannot read the image to hash it");
		if (got == 0)
			return err_set(e, ERR_INPUT, "image/verity-size",
				       "the image became shorter while it was hashed");
		done += (size_t)got;
	}
	return 0;
}

static int write_at(int fd, uint64_t block, const uint8_t *bytes, size_t len, struct err *e)
{
	for (size_t done = 0; done < len;) {
		off_t at = (off_t)(block * VERITY_BLOCK_BYTES + done);
		ssize_t put = pwrite(fd, bytes + done, len - done, at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_sys(e, "cannot write the hash tree of an image");
		done += (size_t)put;
	}
	return 0;
}

/* Hash type 1: the salt comes first. */
static void hash_block(const struct verity_options *options, const uint8_t *block,
		       struct digest *ret)
{
	AUTO(digest_stream) hash = {0};
	digest_stream_init(&hash, DIGEST_SHA256);
	digest_stream_add(&hash, options->salt, VERITY_SALT_BYTES);
	digest_stream_add(&hash, block, VERITY_BLOCK_BYTES);
	digest_stream_final(&hash, ret);
}

/* Hashes the blocks of `from` into those of `to`; the rest of the last one is zero. */
static int hash_level(int fd, const struct verity_options *options, struct region from,
		      struct region to, struct err *e)
{
	uint8_t in[VERITY_BLOCK_BYTES], out[VERITY_BLOCK_BYTES];
	for (uint64_t i = 0; i < to.len; i++) {
		uint64_t first = i * HASHES_PER_BLOCK;
		memset(out, 0, sizeof(out));
		for (size_t j = 0; j < HASHES_PER_BLOCK && first + j < from.len; j++) {
			struct digest d;
			if (read_block(fd, from.first + first + j, in, e) < 0)
				return -1;
			hash_block(options, in, &d);
			memcpy(out + j * HASH_BYTES, d.bytes, HASH_BYTES);
		}
		if (write_at(fd, to.first + i, out, sizeof(out), e) < 0)
			return -1;
	}
	return 0;
}

static int write_superblock(int fd, const struct verity_options *options, uint64_t data_blocks,
			    struct err *e)
{
	uint8_t sb[VERITY_BLOCK_BYTES] = {0}; /* the tree begins at the next block */
	_Static_assert(SB_SALT + SALT_FIELD_BYTES <= SUPERBLOCK_BYTES, "layout");
	memcpy(sb + SB_SIGNATURE, "verity\0\0", 8);
	put_le(sb + SB_VERSION, 1, 4);
	put_le(sb + SB_HASH_TYPE, 1, 4);
	memcpy(sb + SB_UUID, options->uuid, VERITY_UUID_BYTES);
	memcpy(sb + SB_ALGORITHM, "sha256", sizeof("sha256"));
	put_le(sb + SB_DATA_BLOCK, VERITY_BLOCK_BYTES, 4);
	put_le(sb + SB_HASH_BLOCK, VERITY_BLOCK_BYTES, 4);
	put_le(sb + SB_DATA_BLOCKS, data_blocks, 8);
	put_le(sb + SB_SALT_SIZE, VERITY_SALT_BYTES, 2);
	memcpy(sb + SB_SALT, options->salt, VERITY_SALT_BYTES);
	return write_at(fd, data_blocks, sb, sizeof(sb), e);
}

/* Where each level lies: levels[0] hashes the data and comes last in the file. The number of
 * levels is 0 for one block of data, whose own hash then is the root. */
static size_t plan_levels(uint64_t data_blocks, struct region levels[LEVELS_MAX])
{
	size_t len = 0;
	for (uint64_t blocks = data_blocks; blocks > 1; len++) {
		BUG_IF(len == LEVELS_MAX);
		blocks = (blocks + HASHES_PER_BLOCK - 1) / HASHES_PER_BLOCK;
		levels[len].len = blocks;
	}
	uint64_t next = data_blocks + 1;
	for (size_t i = len; i-- > 0;) {
		levels[i].first = next;
		next += levels[i].len;
	}
	return len;
}

int verity_append(int fd, const struct verity_options *options, struct digest *ret_root,
		  struct err *e)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot stat an image");
	if (st.st_size <= 0 || st.st_size % VERITY_BLOCK_BYTES != 0)
		return err_set(e, ERR_INPUT, "image/verity-size",
			       "an image of %lld bytes is not made of blocks of %d",
			       (long long)st.st_size, VERITY_BLOCK_BYTES);
	uint64_t data_blocks = (uint64_t)st.st_size / VERITY_BLOCK_BYTES;
	struct region levels[LEVELS_MAX];
	struct region below = {.first = 0, .len = data_blocks};
	size_t len = plan_levels(data_blocks, levels);
	if (write_superblock(fd, options, data_blocks, e) < 0)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (hash_level(fd, options, below, levels[i], e) < 0)
			return -1;
		below = levels[i];
	}
	uint8_t top[VERITY_BLOCK_BYTES];
	if (read_block(fd, below.first, top, e) < 0)
		return -1;
	hash_block(options, top, ret_root);
	return 0;
}
