/*
 * The content store. Everything in it got there by one road, link_staged(): an unnamed file is
 * fsynced, made read-only and linked to its name, so that no reader and no crash ever meets
 * half a blob, and two writers of the same blob cannot disturb each other: the second link
 * fails with EEXIST, which is success.
 */
#include "inputs/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/path.h"

enum { FEW_FILES = 8, BLOB_NAME_MAX = DIGEST_TEXT_MAX + 1, FD_PATH_MAX = 32 };

static const char OCI_LAYOUT[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
/* Ordinary tools refuse a layout without an index. */
static const char OCI_INDEX[] =
	"{\"manifests\":[],\"mediaType\":"
	"\"application/vnd.oci.image.index.v1+json\",\"schemaVersion\":2}";

void store_cleanup(struct store *s)
{
	/* A zeroed object owns nothing; 0 is never one of our directories. */
	if (s->root_fd > 0)
		mem_close_cleanup(&s->root_fd);
	if (s->blobs_fd > 0)
		mem_close_cleanup(&s->blobs_fd);
	s->root_fd = s->blobs_fd = -1;
}

/* "sha256/<hex>" */
static void blob_name(const struct digest *d, char out[BLOB_NAME_MAX])
{
	char hex[DIGEST_TEXT_MAX];

	digest_format_hex(d, hex);
	snprintf(out, BLOB_NAME_MAX, "%s/%s", digest_alg_name(d->alg), hex);
}

/* Makes and opens one directory of the store. Whoever can write to it, or own it, could swap
 * blobs between our check and our use (SEC ST03). */
static int open_store_dir(int parent_fd, const char *name, int *ret_fd, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;
	bool made = mkdirat(parent_fd, name, 0755) == 0;

	if (!made && errno != EEXIST)
		return err_sys(e, "cannot make the store's directory '%s'", name);
	if (path_open_beneath(parent_fd, name, O_RDONLY | O_DIRECTORY, 0, &fd, e) < 0)
		return -1;
	/* The umask must not decide whether a worker of other ids can read. */
	if (made && fchmod(fd, 0755) < 0)
		return err_sys(e, "cannot set the mode of the store's directory '%s'", name);
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot look at the store's directory '%s'", name);
	if (st.st_uid != geteuid() || (st.st_mode & 022) != 0) {
		err_set(e, ERR_POLICY, "store/unsafe-dir",
			"the store's directory '%s' belongs to or can be written by others",
			name);
		return err_hint(e, "remove it, or give another with --stacker-dir");
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int open_unnamed(int dir_fd, int *ret_fd, struct err *e)
{
	int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0) {
		bool unsupported = errno == EOPNOTSUPP || errno == EISDIR;

		err_sys(e, "cannot make an unnamed file in the store");
		if (unsupported)
			err_hint(e, "this file system lacks O_TMPFILE; give another place with "
				    "--stacker-dir");
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

/* Through /proc, since linking by AT_EMPTY_PATH needs a capability. A name that exists already
 * is no failure; *ret_taken says so. */
static int link_staged(int fd, int dir_fd, const char *name, bool *ret_taken, struct err *e)
{
	char fd_path[FD_PATH_MAX];
	int rc;

	snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", fd);
	rc = linkat(AT_FDCWD, fd_path, dir_fd, name, AT_SYMLINK_FOLLOW);
	if (rc < 0 && errno != EEXIST)
		return err_sys(e, "cannot link '%s' into the store", name);
	*ret_taken = rc < 0;
	return 0;
}

static int settle_staged(int fd, mode_t mode, struct err *e)
{
	if (fchmod(fd, mode) < 0)
		return err_sys(e, "cannot make a staged file read-only");
	if (fsync(fd) < 0)
		return err_sys(e, "cannot write a staged file to disk");
	return 0;
}

static int fsync_dir(int dir_fd, const char *name, struct err *e)
{
	AUTO_CLOSE int fd = -1;

	if (path_open_beneath(dir_fd, name, O_RDONLY | O_DIRECTORY, 0, &fd, e) < 0)
		return -1;
	if (fsync(fd) < 0)
		return err_sys(e, "cannot write the store's directory '%s' to disk", name);
	return 0;
}

static int write_layout_file(int root_fd, const char *name, const char *text, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;
	bool taken;

	if (fstatat(root_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (open_unnamed(root_fd, &fd, e) < 0 ||
	    path_write_all(fd, text, strlen(text), name, e) < 0 ||
	    settle_staged(fd, 0644, e) < 0)
		return -1;
	return link_staged(fd, root_fd, name, &taken, e);
}

int store_open(int state_fd, struct store *ret, struct err *e)
{
	AUTO(store) s = STORE_INIT;
	AUTO_CLOSE int sha256_fd = -1;
	AUTO_CLOSE int sha512_fd = -1;

	if (open_store_dir(state_fd, "store", &s.root_fd, e) < 0 ||
	    open_store_dir(s.root_fd, "blobs", &s.blobs_fd, e) < 0 ||
	    open_store_dir(s.blobs_fd, "sha256", &sha256_fd, e) < 0 ||
	    open_store_dir(s.blobs_fd, "sha512", &sha512_fd, e) < 0 ||
	    write_layout_file(s.root_fd, "index.json", OCI_INDEX, e) < 0 ||
	    write_layout_file(s.root_fd, "oci-layout", OCI_LAYOUT, e) < 0)
		return -1;
	*ret = s;
	memset(&s, 0, sizeof(s));
	return 0;
}

bool store_blob_stat(const struct store *s, const struct digest *d, uint64_t *ret_len)
{
	char name[BLOB_NAME_MAX];
	struct stat st;

	blob_name(d, name);
	if (fstatat(s->blobs_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return false;
	*ret_len = (uint64_t)st.st_size;
	return true;
}

bool store_has(const struct store *s, const struct digest *d)
{
	uint64_t len;

	return store_blob_stat(s, d, &len);
}

int store_blob_open(const struct store *s, const struct digest *d, int *ret_fd, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	char name[BLOB_NAME_MAX];
	char text[DIGEST_TEXT_MAX];
	struct stat st;

	blob_name(d, name);
	digest_format(d, text);
	/* Non-blocking: something else under a blob's name must not hang us. */
	fd = openat(s->blobs_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_INPUT, "store/absent", "blob '%s' is not in the store",
			       text);
	if (fd < 0)
		return err_sys(e, "cannot open blob '%s' of the store", text);
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot look at blob '%s' of the store", text);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_MISMATCH, "store/damaged",
			       "blob '%s' of the store is not a regular file", text);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int store_blob_open_checked(const struct store *s, const struct digest *d, int *ret_fd,
			    uint64_t *ret_len, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct digest actual;
	char text[DIGEST_TEXT_MAX];
	uint64_t len = 0;

	digest_format(d, text);
	if (store_blob_open(s, d, &fd, e) < 0 ||
	    digest_fd(d->alg, fd, text, &actual, &len, e) < 0)
		return -1;
	if (!digest_eq(d, &actual)) {
		err_set(e, ERR_MISMATCH, "store/damaged",
			"blob '%s' of the store holds other bytes than its name says", text);
		return err_hint(e,
				"remove the file, it is then fetched or built again; look for "
				"a failing disk or someone who writes there");
	}
	*ret_fd = TAKE_FD(fd);
	if (ret_len)
		*ret_len = len;
	return 0;
}

int store_blob_read(const struct store *s, const struct digest *d, struct buf *b, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct digest actual;
	char text[DIGEST_TEXT_MAX];

	digest_format(d, text);
	if (store_blob_open(s, d, &fd, e) < 0)
		return -1;
	buf_clear(b);
	if (path_read_fd(fd, text, b, e) < 0)
		return -1;
	/* The bytes that are handed out are the ones that are hashed, not those of the file,
	 * which could change between two reads. */
	digest_bytes(d->alg, buf_text(b), b->len, &actual);
	if (!digest_eq(d, &actual)) {
		buf_clear(b);
		return err_set(e, ERR_MISMATCH, "store/damaged",
			       "blob '%s' of the store holds other bytes than its name says",
			       text);
	}
	return 0;
}

int store_stage_open(const struct store *s, int *ret_fd, struct err *e)
{
	return open_unnamed(s->blobs_fd, ret_fd, e);
}

int store_blob_discard(const struct store *s, const struct digest *d, struct err *e)
{
	char name[BLOB_NAME_MAX];
	char text[DIGEST_TEXT_MAX];

	blob_name(d, name);
	digest_format(d, text);
	if (unlinkat(s->blobs_fd, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, "cannot remove the damaged blob '%s'", text);
	return fsync_dir(s->blobs_fd, digest_alg_name(d->alg), e);
}

static int check_staged(const struct digest *expected, const struct digest *actual,
			int64_t expected_len, uint64_t len, struct err *e)
{
	char expected_text[DIGEST_TEXT_MAX];
	char actual_text[DIGEST_TEXT_MAX];

	if (expected_len >= 0 && (uint64_t)expected_len != len)
		return err_set(e, ERR_MISMATCH, "store/wrong-size",
			       "expected %lld bytes, got %llu", (long long)expected_len,
			       (unsigned long long)len);
	if (expected && !digest_eq(expected, actual)) {
		digest_format(expected, expected_text);
		digest_format(actual, actual_text);
		return err_set(e, ERR_MISMATCH, "store/wrong-hash", "expected '%s', got '%s'",
			       expected_text, actual_text);
	}
	return 0;
}

/* True if the name holds the right bytes. */
static bool is_sound(const struct store *s, const struct digest *d)
{
	AUTO_CLOSE int fd = -1;
	struct err ignored = ERR_INIT;

	return store_blob_open_checked(s, d, &fd, NULL, &ignored) == 0;
}

/* A name that is taken already is trusted no more than any other cached file: if its bytes are
 * damaged, ours take the place. */
static int link_blob(const struct store *s, int fd, const struct digest *d, struct err *e)
{
	char name[BLOB_NAME_MAX];
	bool taken = false;

	blob_name(d, name);
	if (link_staged(fd, s->blobs_fd, name, &taken, e) < 0)
		return -1;
	if (taken && !is_sound(s, d) &&
	    (store_blob_discard(s, d, e) < 0 ||
	     link_staged(fd, s->blobs_fd, name, &taken, e) < 0))
		return -1;
	return 0;
}

static int sync_names(const struct store *s, enum digest_alg alg, struct err *e)
{
	return fsync_dir(s->blobs_fd, digest_alg_name(alg), e);
}

int store_stage_commit(const struct store *s, int fd, const struct digest *expected,
		       int64_t expected_len, struct digest *ret_sha256, uint64_t *ret_len,
		       struct err *e)
{
	bool is_sha512 = expected && expected->alg == DIGEST_SHA512;
	struct digest sha256;
	struct digest sha512;
	uint64_t len = 0;

	BUG_IF(expected && digest_len(expected->alg) == 0);
	if (settle_staged(fd, 0444, e) < 0 ||
	    digest_fd(DIGEST_SHA256, fd, "staged file", &sha256, &len, e) < 0)
		return -1;
	if (is_sha512 && digest_fd(DIGEST_SHA512, fd, "staged file", &sha512, NULL, e) < 0)
		return -1;
	if (check_staged(expected, is_sha512 ? &sha512 : &sha256, expected_len, len, e) < 0)
		return -1;
	/* The sha512 name comes last: who finds it finds the other too. */
	if (link_blob(s, fd, &sha256, e) < 0 || sync_names(s, DIGEST_SHA256, e) < 0)
		return -1;
	if (is_sha512 &&
	    (link_blob(s, fd, &sha512, e) < 0 || sync_names(s, DIGEST_SHA512, e) < 0))
		return -1;
	if (ret_sha256)
		*ret_sha256 = sha256;
	if (ret_len)
		*ret_len = len;
	return 0;
}

static int sync_staged(const struct store *s, const struct store_staged *files,
		       size_t files_len, struct err *e)
{
	for (size_t i = 0; i < files_len; i++)
		if (fchmod(files[i].fd, 0444) < 0)
			return err_sys(e, "cannot make a staged file read-only");
	/* One sync of the file system costs what it has to write for everyone, but only once.
	 */
	for (size_t i = 0; files_len <= FEW_FILES && i < files_len; i++)
		if (fsync(files[i].fd) < 0)
			return err_sys(e, "cannot write a staged file to disk");
	if (files_len > FEW_FILES && syncfs(s->blobs_fd) < 0)
		return err_sys(e, "cannot write staged files to disk");
	return 0;
}

int store_stage_commit_all(const struct store *s, const struct store_staged *files,
			   size_t files_len, size_t *ret_failed, struct err *e)
{
	*ret_failed = 0;
	if (sync_staged(s, files, files_len, e) < 0)
		return -1;
	for (size_t i = 0; i < files_len; i++) {
		struct digest actual;
		uint64_t len = 0;

		*ret_failed = i;
		BUG_IF(files[i].digest.alg != DIGEST_SHA256);
		if (digest_fd(DIGEST_SHA256, files[i].fd, "staged file", &actual, &len, e) <
			    0 ||
		    check_staged(&files[i].digest, &actual, (int64_t)files[i].len, len, e) <
			    0 ||
		    link_blob(s, files[i].fd, &files[i].digest, e) < 0)
			return -1;
	}
	return sync_names(s, DIGEST_SHA256, e);
}

int store_put(const struct store *s, const void *bytes, size_t len, struct digest *ret,
	      struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct digest d;

	digest_bytes(DIGEST_SHA256, bytes, len, &d);
	if (!store_has(s, &d) &&
	    (store_stage_open(s, &fd, e) < 0 ||
	     path_write_all(fd, bytes, len, "staged file", e) < 0 ||
	     store_stage_commit(s, fd, &d, (int64_t)len, NULL, NULL, e) < 0))
		return -1;
	if (ret)
		*ret = d;
	return 0;
}

int store_blob_copy(const struct store *from, const struct store *to, const struct digest *d,
		    int64_t len, struct err *e)
{
	AUTO_CLOSE int in = -1;
	AUTO_CLOSE int out = -1;

	if (store_has(to, d))
		return 0;
	if (store_blob_open(from, d, &in, e) < 0 || store_stage_open(to, &out, e) < 0 ||
	    path_copy_fd(in, out, "blob", e) < 0)
		return -1;
	return store_stage_commit(to, out, d, len, NULL, NULL, e);
}
