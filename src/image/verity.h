/*
 * dm-verity's hash tree, appended to a file system image so that the kernel checks every block
 * as it is read. The format is the kernel's (Documentation/admin-guide/device-mapper/verity) and
 * veritysetup's superblock: sha256, hash type 1, blocks of 4 KiB for data and hashes. Nothing in
 * it is random: salt and UUID come from the caller, who derives them from the content (U19).
 */
#ifndef IMAGE_VERITY_H
#define IMAGE_VERITY_H

#include <stdint.h>

#include "util/digest.h"

enum { VERITY_BLOCK_BYTES = 4096, VERITY_SALT_BYTES = 32, VERITY_UUID_BYTES = 16 };

struct verity_options {
	uint8_t salt[VERITY_SALT_BYTES];
	uint8_t uuid[VERITY_UUID_BYTES];
};

/* `fd`, open for reading and writing, holds a non-empty image of whole blocks; superblock and
 * tree follow at its end. ERR_INPUT "image/verity-size" otherwise. *ret_root is the root hash. */
int verity_append(int fd, const struct verity_options *options, struct digest *ret_root,
		  struct err *e) WARN_UNUSED;

#endif
