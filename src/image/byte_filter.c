/*
 * bzip2 through libarchive's filter, for archives that an import names (layers never use it).
 * The filter is appended, not bid for: there is exactly one, and it is the one asked for.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

#include "image/byte_coder.h"
#include "util/mem.h"

struct filter {
	struct archive *archive;
	struct err *e; /* of the call under way; filled by the read callback */
	bool read_failed;
	uint64_t handed; /* compressed bytes given to libarchive */
};

static la_ssize_t filter_read(struct archive *a, void *ctx, const void **ret)
{
	struct byte_source *s = ctx;
	struct filter *f = s->state;
	if (byte_input_fill(s, 1, f->e) < 0) {
		f->read_failed = true;
		archive_set_error(a, EIO, "read failed");
		return -1;
	}
	size_t len = byte_input_len(s);
	*ret = byte_input_ptr(s);
	s->in.pos += len;
	f->handed += len;
	return (la_ssize_t)len;
}

static int filter_fail(struct byte_source *s, struct err *e)
{
	struct filter *f = s->state;
	if (f->read_failed)
		return -1; /* `e` is filled already */
	const char *why = archive_error_string(f->archive);
	return byte_error_corrupt(s, why ? why : "bad compressed data", e);
}

static int filter_open(struct byte_source *s, int code, struct err *e)
{
	struct filter *f = mem_zalloc(1, sizeof(*f));
	s->state = f;
	f->e = e;
	f->archive = archive_read_new();
	struct archive_entry *entry = NULL;
	if (f->archive == NULL || archive_read_append_filter(f->archive, code) != ARCHIVE_OK ||
	    archive_read_support_format_raw(f->archive) != ARCHIVE_OK)
		return err_set(e, ERR_SYSTEM, "unpack/decoder",
			       "cannot set up libarchive for '%s'", s->what);
	if (archive_read_open(f->archive, s, NULL, filter_read, NULL) != ARCHIVE_OK)
		return filter_fail(s, e);
	int r = archive_read_next_header(f->archive, &entry);
	if (r == ARCHIVE_EOF)
		s->ended = true; /* compressed nothing */
	else if (r != ARCHIVE_OK)
		return filter_fail(s, e);
	return 0;
}

static int bzip2_open(struct byte_source *s, struct err *e)
{
	return filter_open(s, ARCHIVE_FILTER_BZIP2, e);
}

static int filter_decode(struct byte_source *s, size_t *ret_len, struct err *e)
{
	struct filter *f = s->state;
	f->e = e;
	la_ssize_t n = archive_read_data(f->archive, s->out, BYTE_CHUNK_BYTES);
	if (n < 0)
		return filter_fail(s, e);
	/* libarchive stops at the first byte that begins no further stream; -1 is our side. */
	uint64_t used = (uint64_t)archive_filter_bytes(f->archive, -1);
	if (n == 0 && (used != f->handed || s->in.offset != s->in.end))
		return byte_error_trailing(s, e);
	*ret_len = (size_t)n;
	return 0;
}

static void filter_close(struct byte_source *s)
{
	struct filter *f = s->state;
	if (f)
		(void)archive_read_free(f->archive); /* only memory is behind it */
	mem_free_cleanup(&s->state);
}

const struct byte_coder byte_coder_bzip2 = {bzip2_open, filter_decode, filter_close, NULL};
