/* The same blobs and index give the same bytes: no times, fixed modes, byte order. */
#include "build/bundle_archive.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/compress.h"
#include "image/tar_write.h"
#include "util/atomic_file.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

#define LAYOUT_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"
enum { COPY_BYTES = 1 << 20 };

static int write_text(struct tar_writer *w, const char *path, const struct buf *text,
		      struct err *e)
{
	const struct tar_entry entry = {
		.type = TAR_FILE, .path = path, .mode = 0644, .size = text->len};
	return tar_writer_entry(w, &entry, e) < 0
		       ? -1
		       : tar_writer_content(w, text->data, text->len, e);
}

static int write_dir(struct tar_writer *w, const char *path, struct err *e)
{
	const struct tar_entry entry = {.type = TAR_DIR, .path = path, .mode = 0755};
	return tar_writer_entry(w, &entry, e);
}

static int write_blob(const struct store *store, struct tar_writer *w, const char *name,
		      struct err *e)
{
	struct digest d;
	AUTO_CLOSE int fd = -1;
	uint64_t len;
	AUTO_FREE char *chunk = mem_alloc(COPY_BYTES);
	if (digest_parse(name, &d, e) < 0 ||
	    store_blob_open_checked(store, &d, &fd, &len, e) < 0)
		return -1;
	AUTO_FREE char *path =
		mem_printf("blobs/%s/%s", digest_alg_name(d.alg), strchr(name, ':') + 1);
	const struct tar_entry entry = {
		.type = TAR_FILE, .path = path, .mode = 0644, .size = len};
	if (tar_writer_entry(w, &entry, e) < 0)
		return -1;
	for (uint64_t at = 0; at < len;) {
		ssize_t n = pread(fd, chunk, COPY_BYTES, (off_t)at);
		if (n < 0)
			return err_sys(e, "cannot read blob '%s'", name);
		if (n == 0)
			return err_set(e, ERR_MISMATCH, "store/damaged",
				       "blob '%s' was cut while it was read", name);
		if (tar_writer_content(w, chunk, (size_t)n, e) < 0)
			return -1;
		at += (uint64_t)n;
	}
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct map_entry *)a)->key, ((const struct map_entry *)b)->key);
}

/* "sha256:..." sorts before "sha512:...", so that each directory comes once. */
static int write_blobs(const struct bundle_archive *a, struct tar_writer *w, struct err *e)
{
	AUTO_FREE struct map_entry *sorted = mem_zalloc(a->blobs->len, sizeof(*sorted));
	const char *last = "";
	memcpy(sorted, a->blobs->entries, a->blobs->len * sizeof(*sorted));
	qsort(sorted, a->blobs->len, sizeof(*sorted), compare_names);
	if (write_dir(w, "blobs", e) < 0)
		return -1;
	for (size_t i = 0; i < a->blobs->len; i++) {
		const char *alg = str_has_prefix(sorted[i].key, "sha256:") ? "blobs/sha256"
									   : "blobs/sha512";
		if (!str_same(alg, last) && write_dir(w, alg, e) < 0)
			return -1;
		last = alg;
		if (write_blob(a->store, w, sorted[i].key, e) < 0)
			return -1;
	}
	return 0;
}

static int write_archive(const struct bundle_archive *a, int fd, struct err *e)
{
	const struct compress_options options = {.fd = fd, .form = LAYER_TAR};
	struct compressor *out __attribute__((cleanup(compressor_close))) = NULL;
	AUTO(tar_writer) w = {0};
	AUTO(buf) index = BUF_INIT(LIMIT_INDEX_BYTES);
	AUTO(buf) marker = BUF_INIT(sizeof(LAYOUT_TEXT));
	struct digest ignored;
	uint64_t len;
	json_write(a->index, &index);
	buf_add_c(&marker, LAYOUT_TEXT);
	if (buf_check(&index, "index of the bundle", e) < 0 ||
	    compressor_open(&options, &out, e) < 0)
		return -1;
	tar_writer_init(&w, out);
	if (write_blobs(a, &w, e) < 0 || write_text(&w, "index.json", &index, e) < 0 ||
	    write_text(&w, "oci-layout", &marker, e) < 0 ||
	    tar_writer_finish(&w, &ignored, e) < 0)
		return -1;
	return compressor_finish(out, &len, e);
}

int bundle_archive_write(const struct bundle_archive *a, const char *path, struct err *e)
{
	AUTO_FREE char *base = path_base(path);
	AUTO_FREE char *dir = mem_strdup(path);
	char *slash = strrchr(dir, '/');
	AUTO_CLOSE int dir_fd = -1;
	AUTO_CLOSE int fd = -1;
	if (slash)
		slash[slash == dir] = '\0';
	if (path_open_dir(AT_FDCWD, slash ? dir : ".", &dir_fd, e) < 0 ||
	    atomic_file_open(dir_fd, 0644, &fd, e) < 0 || write_archive(a, fd, e) < 0)
		return -1;
	return atomic_file_commit(dir_fd, base, fd, e);
}
