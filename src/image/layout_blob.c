/*
 * Blobs: whole and right under their name, or not there. Those present are trusted for their
 * size alone; reading them into memory checks the hash.
 */
#include "image/layout_blob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/atomic_file.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

enum { BLOB_MODE = 0644, DIR_MODE = 0755, BLOB_PATH_MAX = DIGEST_TEXT_MAX + 16 };

static void blob_path(const struct digest *d, char out[BLOB_PATH_MAX])
{
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(d, hex);
	(void)snprintf(out, BLOB_PATH_MAX, "blobs/%s/%s", digest_alg_name(d->alg), hex);
}

static int make_dir(int dir_fd, const char *name, int *ret_fd, struct err *e)
{
	if (mkdirat(dir_fd, name, DIR_MODE) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make directory '%s'", name);
	return path_open_beneath(dir_fd, name, O_RDONLY | O_DIRECTORY, 0, ret_fd, e);
}

static int open_blob_dir(const struct layout *l, const char *alg, int *ret_fd, struct err *e)
{
	AUTO_CLOSE int blobs_fd = -1;
	if (make_dir(l->dir_fd, "blobs", &blobs_fd, e) < 0 ||
	    make_dir(blobs_fd, alg, ret_fd, e) < 0)
		return err_wrap(e, "layout '%s'", l->name);
	return 0;
}

/* atomic_file's ".HEX.new", complete but not yet under its name when the writer was killed. */
static bool is_leftover(const char *name)
{
	return name[0] == '.' && str_has_suffix(name, ".new");
}

static int remove_leftovers(int dir_fd, struct err *e)
{
	AUTO_CLOSE int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return err_sys(e, "cannot list blobs");
	(void)TAKE_FD(fd);
	int failed = 0;
	for (struct dirent *x = readdir(dir); x && !failed; x = readdir(dir)) {
		if (is_leftover(x->d_name) && unlinkat(dir_fd, x->d_name, 0) < 0 &&
		    errno != ENOENT)
			failed = err_sys(e, "cannot remove '%s'", x->d_name);
	}
	(void)closedir(dir);
	return failed;
}

static int missing_blob(const struct layout *l, const struct digest *d, struct err *e)
{
	char text[DIGEST_TEXT_MAX];
	digest_format(d, text);
	return err_set(e, ERR_INPUT, "layout/missing-blob", "blob '%s' is missing in '%s'",
		       text, l->name);
}

static int damaged_blob(const char *where, const struct digest *d, const char *why,
			struct err *e)
{
	char text[DIGEST_TEXT_MAX];
	digest_format(d, text);
	return err_set(e, ERR_MISMATCH, "layout/damaged", "blob '%s' in '%s' is damaged: %s",
		       text, where, why);
}

/* Fills an unnamed file and gives it the blob's name. */
static int copy_blob(const struct layout *l, int from_fd, const struct digest *d, struct err *e)
{
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(d, hex);
	AUTO_CLOSE int dir_fd = -1;
	AUTO_CLOSE int fd = -1;
	struct digest copied;
	if (open_blob_dir(l, digest_alg_name(d->alg), &dir_fd, e) < 0 ||
	    atomic_file_open(dir_fd, BLOB_MODE, &fd, e) < 0 ||
	    path_copy_fd(from_fd, fd, hex, e) < 0 ||
	    digest_fd(d->alg, fd, hex, &copied, NULL, e) < 0)
		return -1;
	if (!digest_eq(&copied, d))
		return damaged_blob("the source", d, "its bytes hash to something else", e);
	return atomic_file_commit(dir_fd, hex, fd, e);
}

int layout_file_open(int dir_fd, const char *path, const char *shown, int *ret_fd,
		     bool *ret_exists, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct err why = ERR_INIT;
	struct stat st = {0};
	/* NONBLOCK: opening a fifo would wait for its writer. */
	if (path_open_beneath(dir_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, &why) <
	    0) {
		if (why.saved_errno == ENOENT) {
			*ret_exists = false;
			return 0;
		}
		if (why.saved_errno != ELOOP) {
			*e = why;
			return err_wrap(e, "'%s'", shown);
		}
	} else if (fstat(fd, &st) < 0) {
		return err_sys(e, "cannot look at '%s'", shown);
	}
	if (fd < 0 || !S_ISREG(st.st_mode)) {
		return err_set(e, ERR_INPUT, "layout/not-regular",
			       "'%s' is not a regular file reached without links", shown);
	}
	*ret_fd = TAKE_FD(fd);
	*ret_exists = true;
	return 0;
}

int layout_blobs_prepare(const struct layout *l, struct err *e)
{
	AUTO_CLOSE int dir_fd = -1;
	if (open_blob_dir(l, digest_alg_name(DIGEST_SHA256), &dir_fd, e) < 0)
		return -1;
	return remove_leftovers(dir_fd, e);
}

int layout_blob_open(const struct layout *l, const struct digest *d, int64_t expected_size,
		     int *ret_fd, struct err *e)
{
	char path[BLOB_PATH_MAX];
	blob_path(d, path);
	AUTO_FREE char *shown = mem_printf("%s/%s", l->name, path);
	AUTO_CLOSE int fd = -1;
	bool exists = false;
	struct stat st;
	if (layout_file_open(l->dir_fd, path, shown, &fd, &exists, e) < 0)
		return -1;
	if (!exists)
		return missing_blob(l, d, e);
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot look at '%s'", shown);
	if (expected_size >= 0 && st.st_size != expected_size)
		return damaged_blob(l->name, d, "its size is another", e);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int layout_blob_read(const struct layout *l, const struct digest *d, struct buf *b,
		     struct err *e)
{
	AUTO_CLOSE int fd = -1;
	char path[BLOB_PATH_MAX];
	blob_path(d, path);
	buf_clear(b);
	if (layout_blob_open(l, d, -1, &fd, e) < 0 || path_read_fd(fd, path, b, e) < 0)
		return -1;
	struct digest found;
	digest_bytes(d->alg, buf_text(b), b->len, &found);
	return digest_eq(&found, d)
		       ? 0
		       : damaged_blob(l->name, d, "its bytes hash to something else", e);
}

bool layout_has_blob(const struct layout *l, const struct digest *d, uint64_t size)
{
	struct err ignored = ERR_INIT;
	AUTO_CLOSE int fd = -1;
	return size <= INT64_MAX && layout_blob_open(l, d, (int64_t)size, &fd, &ignored) == 0;
}

int layout_put_blob_fd(struct layout *l, int from_fd, const struct digest *d, struct err *e)
{
	struct stat st;
	if (fstat(from_fd, &st) < 0)
		return err_sys(e, "cannot look at the source of a blob");
	if (layout_has_blob(l, d, (uint64_t)st.st_size))
		return 0;
	return copy_blob(l, from_fd, d, e);
}
