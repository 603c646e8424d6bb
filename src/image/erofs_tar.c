/* One visit an entry, in the order of the walk; what the layer rules refuse is refused by who
 * reads the stream. */
#include "image/erofs_tar.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/compress.h"
#include "image/erofs.h"
#include "image/tar_write.h"
#include "util/limits.h"
#include "util/map.h"
#include "util/mem.h"
#include "util/path.h"

enum { COPY_BYTES = 256 * 1024 };

struct writer {
	int files_fd;
	struct compressor *out;
	struct tar_writer tar;
	struct map links; /* nid -> the path that has the data */
	uint8_t *copy;
	uint64_t bytes; /* of content, since one file can stand in an image under many names */
};

static void writer_cleanup(struct writer *w)
{
	tar_writer_cleanup(&w->tar);
	compressor_close(&w->out);
	map_cleanup(&w->links);
	mem_free_cleanup(&w->copy);
}

static int put_plain(struct writer *w, const struct erofs *fs, const struct erofs_inode *inode,
		     struct err *e)
{
	for (uint64_t at = 0; at < inode->size;) {
		uint64_t left = inode->size - at;
		size_t len = left < COPY_BYTES ? (size_t)left : COPY_BYTES;
		if (erofs_data_read(fs, inode, at, w->copy, len, e) < 0 ||
		    tar_writer_content(&w->tar, w->copy, len, e) < 0)
			return -1;
		at += len;
	}
	return 0;
}

static int differs(const char *path, struct err *e)
{
	return err_set(e, ERR_INPUT, "image/erofs",
		       "erofs image: '%s' extracts to something else than it is", path);
}

static int put_extracted(struct writer *w, const char *path, const struct erofs_inode *inode,
			 struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;
	if (path_open_beneath(w->files_fd, path, O_RDONLY | O_NONBLOCK, 0, &fd, e) < 0)
		return differs(path, e);
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot stat '%s'", path);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != inode->size)
		return differs(path, e);
	for (uint64_t left = inode->size; left > 0;) {
		ssize_t got = read(fd, w->copy, COPY_BYTES);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "cannot read '%s'", path);
		if (got == 0 || (uint64_t)got > left)
			return differs(path, e);
		if (tar_writer_content(&w->tar, w->copy, (size_t)got, e) < 0)
			return -1;
		left -= (uint64_t)got;
	}
	return 0;
}

static int put_file(struct writer *w, const struct erofs *fs, const char *path,
		    const struct erofs_inode *inode, struct tar_entry *entry, struct err *e)
{
	AUTO_FREE char *key = mem_printf("%" PRIu64, inode->nid);
	const char *owner = inode->nlink > 1 ? map_get(&w->links, key) : NULL;
	if (owner) {
		entry->type = TAR_HARDLINK;
		entry->target = owner;
		entry->xattrs_len = 0;
		return tar_writer_entry(&w->tar, entry, e);
	}
	if (inode->nlink > 1)
		map_set_text(&w->links, key, path);
	if (inode->size > LIMIT_UNPACK_BYTES - w->bytes)
		return err_set(e, ERR_INPUT, "image/erofs",
			       "erofs image: with '%s' it holds more than %" PRIu64 " bytes",
			       path, (uint64_t)LIMIT_UNPACK_BYTES);
	w->bytes += inode->size;
	entry->type = TAR_FILE;
	entry->size = inode->size;
	if (tar_writer_entry(&w->tar, entry, e) < 0)
		return -1;
	return inode->layout == EROFS_COMPRESSED ? put_extracted(w, path, inode, e)
						 : put_plain(w, fs, inode, e);
}

static int put_symlink(struct writer *w, const struct erofs *fs,
		       const struct erofs_inode *inode, struct tar_entry *entry, struct err *e)
{
	char target[LIMIT_PATH_BYTES + 1] = {0};
	if (inode->size > LIMIT_PATH_BYTES || inode->layout == EROFS_COMPRESSED)
		return err_set(e, ERR_INPUT, "image/erofs",
			       "erofs image: the target of link '%s' is too long", entry->path);
	if (erofs_data_read(fs, inode, 0, target, (size_t)inode->size, e) < 0)
		return -1;
	entry->type = TAR_SYMLINK;
	entry->target = target;
	return tar_writer_entry(&w->tar, entry, e);
}

/* The kernel's encoding of device numbers, new_encode_dev(). */
static void set_device(struct tar_entry *entry, uint32_t rdev)
{
	entry->dev_major = rdev >> 8 & 0xfff;
	entry->dev_minor = (rdev & 0xff) | (rdev >> 12 & 0xfff00);
}

static int put(void *ctx, const struct erofs *fs, const char *path,
	       const struct erofs_inode *inode, struct err *e)
{
	struct writer *w = ctx;
	AUTO(file_xattrs) xattrs = {0};
	if (erofs_xattrs_read(fs, inode, &xattrs, e) < 0)
		return -1;
	struct tar_entry entry = {.path = path[0] ? path : ".",
				  .mode = inode->mode & 07777,
				  .uid = inode->uid,
				  .gid = inode->gid,
				  .mtime_s = inode->mtime_s,
				  .xattrs = xattrs.items,
				  .xattrs_len = xattrs.len};
	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		return put_file(w, fs, path, inode, &entry, e);
	case S_IFDIR:
		entry.type = TAR_DIR;
		return tar_writer_entry(&w->tar, &entry, e);
	case S_IFLNK:
		return put_symlink(w, fs, inode, &entry, e);
	case S_IFIFO:
		entry.type = TAR_FIFO;
		return tar_writer_entry(&w->tar, &entry, e);
	case S_IFCHR:
	case S_IFBLK:
		entry.type = S_ISCHR(inode->mode) ? TAR_CHAR : TAR_BLOCK;
		set_device(&entry, inode->rdev);
		return tar_writer_entry(&w->tar, &entry, e);
	default:
		return err_set(e, ERR_INPUT, "image/erofs",
			       "erofs image: '%s' is of a type that no layer holds", path);
	}
}

int erofs_to_tar(int image_fd, int files_fd, int out_fd, struct err *e)
{
	AUTO(writer) w = {.files_fd = files_fd, .links = MAP_INIT(free)};
	const struct compress_options plain = {.fd = out_fd, .form = LAYER_TAR};
	const struct erofs_visitor visitor = {.visit = put, .ctx = &w};
	struct erofs fs;
	struct digest ignored;
	uint64_t len;
	w.copy = mem_alloc(COPY_BYTES);
	if (compressor_open(&plain, &w.out, e) < 0)
		return -1;
	tar_writer_init(&w.tar, w.out);
	if (erofs_open(image_fd, &fs, e) < 0 || erofs_walk(&fs, &visitor, e) < 0 ||
	    tar_writer_finish(&w.tar, &ignored, e) < 0)
		return -1;
	return compressor_finish(w.out, &len, e);
}
