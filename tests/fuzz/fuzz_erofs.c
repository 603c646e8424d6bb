/*
 * An erofs image: what is walked is bounded; what can be made a tar stream can be read by the strict
 * reader or is refused by it, never by luck; sorting attributes twice changes nothing, and changes
 * nothing that is read.
 */
#include "fuzz_blob.h"
#include "fuzz_scratch.h"

#include "image/entry.h"
#include "image/erofs.h"
#include "image/erofs_tar.h"
#include "util/digest.h"
#include "util/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int visit(void *ctx, const struct erofs *fs, const char *path,
		 const struct erofs_inode *inode, struct err *e)
{
	struct digest_stream *seen = ctx;
	uint8_t head[512];
	AUTO(file_xattrs) xattrs = {0};
	struct digest d;
	if (erofs_xattrs_read(fs, inode, &xattrs, e) < 0)
		return -1;
	entry_xattrs_digest(&xattrs, &d);
	digest_stream_add(seen, path, strlen(path) + 1);
	digest_stream_add(seen, d.bytes, sizeof(d.bytes));
	size_t len = inode->size < sizeof(head) ? (size_t)inode->size : sizeof(head);
	if (inode->layout == EROFS_COMPRESSED || !S_ISREG(inode->mode))
		return 0;
	if (erofs_data_read(fs, inode, inode->size - len, head, len, e) < 0)
		return -1;
	digest_stream_add(seen, head, len);
	return 0;
}

static int look(int fd, struct digest *ret)
{
	struct err e = ERR_INIT;
	struct erofs fs;
	AUTO(digest_stream) seen = {0};
	const struct erofs_visitor v = {.visit = visit, .ctx = &seen};
	digest_stream_init(&seen, DIGEST_SHA256);
	if (erofs_open(fd, &fs, &e) < 0 || erofs_walk(&fs, &v, &e) < 0) {
		BUG_IF(e.code != ERR_INPUT);
		return -1;
	}
	digest_stream_final(&seen, ret);
	return 0;
}

static void try_tar(int fd)
{
	struct fuzz_scratch s;
	struct err e = ERR_INIT;
	AUTO_CLOSE int tar = fuzz_memory_fd("", 0);
	fuzz_scratch_open(&s);
	int written = erofs_to_tar(fd, s.root_fd, tar, &e);
	BUG_IF(written < 0 && e.code != ERR_INPUT);
	if (written == 0) {
		e = (struct err)ERR_INIT;
		(void)!unpack_overlay_tar(tar, "input", &(struct beneath){0}, &fuzz_limits,
					  s.root_fd, &e);
		BUG_IF(str_same(e.id, "unpack/tar-header"));
	}
	fuzz_scratch_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	struct digest before, after, once, twice;
	AUTO_CLOSE int fd = fuzz_memory_fd(data, size);
	if (look(fd, &before) < 0)
		return 0;
	try_tar(fd);
	/* Places of hostile images may overlap, and sorting one then changes another: the result is
	 * only promised for what mkfs.erofs made. */
	if (erofs_sort_xattrs(fd, &e) < 0 || look(fd, &after) < 0 ||
	    digest_fd(DIGEST_SHA256, fd, "input", &once, NULL, &e) < 0 ||
	    erofs_sort_xattrs(fd, &e) < 0)
		return 0;
	BUG_IF(digest_fd(DIGEST_SHA256, fd, "input", &twice, NULL, &e) < 0);
	return 0;
}
