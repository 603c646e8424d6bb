/*
 * Layers: the first byte picks the compression. What can be listed can also be unpacked, unless
 * the system refuses something or a limit of this target is met; nothing is written outside.
 */
#include "fuzz_scratch.h"

#include "image/tree.h"
#include "util/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum layer_compression compressions[] = {LAYER_TAR, LAYER_GZIP,
							      LAYER_ZSTD};
	struct fuzz_scratch s;
	struct err list_e = ERR_INIT, unpack_e = ERR_INIT;
	struct digest diff_id = {.alg = DIGEST_SHA256};
	AUTO(tree) tree = {0};
	if (size == 0)
		return 0;
	enum layer_compression compression = compressions[data[0] % ARRAY_LEN(compressions)];
	AUTO_CLOSE int fd = fuzz_blob(data + 1, size - 1);
	int listed = tree_read_layer(fd, compression, &tree, &diff_id, &list_e);
	fuzz_scratch_open(&s);
	int unpacked = unpack_layer(&(struct unpack_layer){fd, compression, diff_id, s.root_fd},
				    &(struct beneath){0}, &fuzz_limits, &unpack_e);
	fuzz_scratch_close(&s);
	BUG_IF(listed < 0 && unpacked == 0);
	/* The list knows no inodes, attributes or opened-up directories. */
	BUG_IF(listed == 0 && unpacked < 0 && unpack_e.saved_errno == 0 &&
	       !str_has_prefix(unpack_e.id, "unpack/too-") &&
	       !str_same(unpack_e.id, "unpack/xattr") &&
	       !str_same(unpack_e.id, "unpack/link-in-path"));
	return 0;
}
