/*
 * The zip half of the archive reader. libarchive converts names that are marked as UTF-8 to the
 * thread's locale, which would damage them in "C"; so each call runs in C.UTF-8, where the
 * conversion changes nothing.
 */
#include "image/zip_read.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <unistd.h>

#include "image/unpack.h"
#include "util/limits.h"
#include "util/mem.h"

#define CHARSET "C.UTF-8"

enum { ZIP_CHUNK_BYTES = 64 * 1024 };

struct zip_reader {
	struct archive *archive;
	struct entry_gate *gate;
	int fd;
	uint64_t offset, size;
	locale_t locale;
	uint8_t in[ZIP_CHUNK_BYTES], out[ZIP_CHUNK_BYTES];
};

static la_ssize_t zip_read(struct archive *a, void *ctx, const void **ret)
{
	struct zip_reader *r = ctx;
	ssize_t n = pread(r->fd, r->in, sizeof(r->in), (off_t)r->offset);
	if (n < 0) {
		archive_set_error(a, errno, "cannot read");
		return -1;
	}
	r->offset += (uint64_t)n;
	*ret = r->in;
	return n;
}

static la_int64_t zip_seek(struct archive *a, void *ctx, la_int64_t offset, int whence)
{
	struct zip_reader *r = ctx;
	int64_t from = whence == SEEK_SET   ? 0
		       : whence == SEEK_CUR ? (int64_t)r->offset
					    : (int64_t)r->size;
	int64_t to = 0;
	if (__builtin_add_overflow(from, offset, &to) || to < 0 || (uint64_t)to > r->size) {
		archive_set_error(a, EINVAL, "an offset outside the file");
		return ARCHIVE_FATAL;
	}
	r->offset = (uint64_t)to;
	return to;
}

static int zip_error(const struct zip_reader *r, const char *path, struct err *e)
{
	const char *why = archive_error_string(r->archive);
	return err_set(e, ERR_INPUT, "unpack/zip", "'%s' is a damaged zip at '%s': %s",
		       r->gate->what, path, why ? why : "bad data");
}

int unpack_charset_open(locale_t *ret, struct err *e)
{
	*ret = newlocale(LC_CTYPE_MASK, CHARSET, (locale_t)0);
	if (*ret == (locale_t)0)
		return err_sys(e, "cannot load the locale '" CHARSET "'");
	return 0;
}

int zip_reader_open(int fd, uint64_t size, locale_t charset, struct entry_gate *gate,
		    struct zip_reader **ret, struct err *e)
{
	struct zip_reader *r = mem_zalloc(1, sizeof(*r));
	r->fd = fd;
	r->size = size;
	r->gate = gate;
	r->gate->limits.max_bytes = byte_source_output_limit(gate->limits.max_bytes, size);
	r->locale = charset ? duplocale(charset) : newlocale(LC_CTYPE_MASK, CHARSET, charset);
	r->archive = archive_read_new();
	int status = -1;
	if (r->locale == (locale_t)0 || r->archive == NULL)
		err_set(e, ERR_SYSTEM, "unpack/decoder", "cannot set up a zip reader for '%s'",
			gate->what);
	else if (archive_read_support_format_zip_seekable(r->archive) != ARCHIVE_OK ||
		 archive_read_set_read_callback(r->archive, zip_read) != ARCHIVE_OK ||
		 archive_read_set_seek_callback(r->archive, zip_seek) != ARCHIVE_OK ||
		 archive_read_set_callback_data(r->archive, r) != ARCHIVE_OK ||
		 archive_read_open1(r->archive) != ARCHIVE_OK)
		zip_error(r, "its directory", e);
	else
		status = 0;
	if (status < 0)
		zip_reader_free(r);
	else
		*ret = r;
	return status;
}

static int zip_type(const struct zip_reader *r, struct archive_entry *from,
		    enum entry_type *ret, struct err *e)
{
	switch (archive_entry_filetype(from)) {
	case AE_IFREG:
		*ret = ENTRY_FILE;
		return 0;
	case AE_IFDIR:
		*ret = ENTRY_DIR;
		return 0;
	case AE_IFLNK:
		*ret = ENTRY_SYMLINK;
		return 0;
	default:
		return err_set(e, ERR_INPUT, "unpack/entry-type",
			       "entry '%s' of '%s' is no file, directory or link",
			       archive_entry_pathname(from), r->gate->what);
	}
}

static int zip_entry(struct zip_reader *r, struct archive_entry *from, struct entry *ret,
		     struct err *e)
{
	AUTO(entry) entry = {0};
	const char *path = archive_entry_pathname(from);
	if (path == NULL)
		return err_set(e, ERR_INPUT, "unpack/name", "an entry of '%s' has no name",
			       r->gate->what);
	entry.path = mem_strdup(path);
	if (archive_entry_is_encrypted(from))
		return err_set(e, ERR_INPUT, "unpack/encrypted",
			       "entry '%s' of '%s' is encrypted", path, r->gate->what);
	if (zip_type(r, from, &entry.type, e) < 0)
		return -1;
	entry.mode = (uint32_t)archive_entry_perm(from) & ~UINT32_C(022);
	if (entry.type == ENTRY_SYMLINK)
		entry.target = mem_strdup(archive_entry_symlink(from) ?: "");
	if (entry_gate_pass(r->gate, &entry, e) < 0)
		return -1;
	*ret = entry;
	entry = (struct entry){0};
	return 0;
}

int zip_reader_next(struct zip_reader *r, struct entry *ret, bool *ret_end, struct err *e)
{
	struct archive_entry *from = NULL;
	locale_t before = uselocale(r->locale);
	int status = archive_read_next_header(r->archive, &from);
	int result = 0;
	*ret_end = status == ARCHIVE_EOF;
	if (status == ARCHIVE_OK)
		result = zip_entry(r, from, ret, e);
	else if (status != ARCHIVE_EOF)
		result = zip_error(r, from ? archive_entry_pathname(from) ?: "?" : "a header",
				   e);
	uselocale(before);
	return result;
}

int zip_reader_data(struct zip_reader *r, const struct entry *entry, const uint8_t **ret,
		    size_t *ret_len, struct err *e)
{
	*ret = r->out;
	*ret_len = 0;
	if (entry->type != ENTRY_FILE)
		return 0;
	locale_t before = uselocale(r->locale);
	la_ssize_t n = archive_read_data(r->archive, r->out, sizeof(r->out));
	uselocale(before);
	if (n < 0)
		return zip_error(r, entry->path, e);
	*ret_len = (size_t)n;
	return entry_gate_data(r->gate, entry, (size_t)n, e);
}

void zip_reader_free(struct zip_reader *r)
{
	if (r == NULL)
		return;
	(void)archive_read_free(r->archive); /* only memory is behind it */
	if (r->locale != (locale_t)0)
		freelocale(r->locale);
	mem_free_cleanup(&r);
}
