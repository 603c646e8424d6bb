/* Tells formats apart by their magic bytes, once, and puts the readers behind one face. */
#include "image/archive_read.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/zip_read.h"
#include "util/mem.h"

struct coding_magic {
	enum byte_coding coding;
	const char *bytes;
	size_t len;
};

static const struct coding_magic coding_magics[] = {
	{BYTE_GZIP, "\x1f\x8b", 2},
	{BYTE_XZ,
	 "\xfd"
	 "7zXZ\0",
	 6},
	{BYTE_ZSTD, "\x28\xb5\x2f\xfd", 4},
	{BYTE_BZIP2, "BZh", 3},
};

struct head {
	uint8_t bytes[TAR_BLOCK_BYTES];
	size_t len;
};

static int head_read(int fd, const struct byte_range *range, const char *what, struct head *ret,
		     struct err *e)
{
	size_t want = range->len < sizeof(ret->bytes) ? (size_t)range->len : sizeof(ret->bytes);
	ssize_t n = pread(fd, ret->bytes, want, (off_t)range->offset);
	if (n < 0)
		return err_sys(e, "cannot read '%s'", what);
	ret->len = (size_t)n;
	return 0;
}

static bool head_is(const struct head *h, const char *magic, size_t len)
{
	return h->len >= len && memcmp(h->bytes, magic, len) == 0;
}

static int format_error(const char *what, struct err *e)
{
	err_set(e, ERR_INPUT, "unpack/format", "'%s' is no archive of a known format", what);
	return err_hint(e, "known are tar (also in gzip, xz, zstd, bzip2), zip and deb");
}

static int open_tar(struct archive_reader *r, const struct archive_reader_options *options,
		    const struct byte_range *range, struct err *e)
{
	struct head h = {.len = 0};
	if (head_read(options->fd, range, options->what, &h, e) < 0)
		return -1;
	struct byte_source_options source = {.fd = options->fd,
					     .offset = range->offset,
					     .len = range->len,
					     .coding = BYTE_PLAIN,
					     .max_bytes = options->limits->max_bytes,
					     .what = options->what};
	for (size_t i = 0; i < ARRAY_LEN(coding_magics); i++)
		if (head_is(&h, coding_magics[i].bytes, coding_magics[i].len))
			source.coding = coding_magics[i].coding;
	if (source.coding == BYTE_PLAIN &&
	    (h.len < sizeof(h.bytes) || !tar_block_plausible(h.bytes)))
		return format_error(options->what, e);
	/* So that a header which promises a bomb is enough to refuse it. */
	r->gate.limits.max_bytes = byte_source_output_limit(source.max_bytes, source.len);
	if (byte_source_open(&r->source, &source, e) < 0)
		return -1;
	tar_reader_init(&r->tar, &r->source, &r->gate);
	return 0;
}

int archive_reader_open(struct archive_reader *r, const struct archive_reader_options *options,
			struct err *e)
{
	*r = (struct archive_reader){.gate = {.what = options->what,
					      .limits = *options->limits,
					      .any_owner = options->any_owner}};
	struct stat st;
	if (fstat(options->fd, &st) < 0)
		return err_sys(e, "cannot examine '%s'", options->what);
	struct byte_range range = {.offset = 0, .len = (uint64_t)st.st_size};
	struct head h = {.len = 0};
	if (head_read(options->fd, &range, options->what, &h, e) < 0)
		return -1;
	if (head_is(&h, "PK\3\4", 4) || head_is(&h, "PK\5\6", 4))
		return zip_reader_open(options->fd, range.len, options->charset, &r->gate,
				       &r->zip, e);
	if (head_is(&h, "!<arch>\n", 8) &&
	    deb_find_data(options->fd, range.len, options->what, &range, e) < 0)
		return -1;
	return open_tar(r, options, &range, e);
}

int archive_reader_next(struct archive_reader *r, struct entry *ret, bool *ret_end,
			struct err *e)
{
	return r->zip ? zip_reader_next(r->zip, ret, ret_end, e)
		      : tar_reader_next(&r->tar, ret, ret_end, e);
}

int archive_reader_data(struct archive_reader *r, const struct entry *entry,
			const uint8_t **ret, size_t *ret_len, struct err *e)
{
	return r->zip ? zip_reader_data(r->zip, entry, ret, ret_len, e)
		      : tar_reader_data(&r->tar, ret, ret_len, e);
}

void archive_reader_cleanup(struct archive_reader *r)
{
	zip_reader_free(r->zip);
	r->zip = NULL;
	byte_source_cleanup(&r->source);
}
