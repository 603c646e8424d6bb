/*
 * ustar headers where a value fits its field, pax records where it does not; see
 * docs/format-1.md, which this file and tests/lib/format1_check.py implement independently.
 */
#include "image/tar_write.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "util/buf.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/str.h"

enum {
	BLOCK_BYTES = 512,
	PENDING_BYTES = 256 * 1024,
	NAME_BYTES = 100,
	PREFIX_BYTES = 155,
	ID_DIGITS = 7,	  /* uid, gid, mode, device numbers */
	LONG_DIGITS = 11, /* size, mtime */
	PAX_TYPE = 'x',
};

/* The name of every pax header; readers that know pax never show it. */
static const char pax_name[] = "PaxHeader";

/* POSIX.1-1988 ustar; unused text fields are zero. */
struct ustar_header {
	char name[NAME_BYTES];
	char mode[ID_DIGITS + 1];
	char uid[ID_DIGITS + 1];
	char gid[ID_DIGITS + 1];
	char size[LONG_DIGITS + 1];
	char mtime[LONG_DIGITS + 1];
	char checksum[8];
	char typeflag;
	char linkname[NAME_BYTES];
	char magic[6];
	char version[2];
	char uname[32];
	char gname[32];
	char dev_major[ID_DIGITS + 1];
	char dev_minor[ID_DIGITS + 1];
	char prefix[PREFIX_BYTES];
	char unused[12];
};
_Static_assert(sizeof(struct ustar_header) == BLOCK_BYTES, "a header is one block");

static bool octal_fits(uint64_t value, unsigned digits)
{
	return value >> (3 * digits) == 0;
}

/* A value that goes into a pax record leaves its field zero, so that no reader sees two truths.
 */
static void put_octal(char *field, unsigned digits, uint64_t value)
{
	if (!octal_fits(value, digits))
		value = 0;
	for (unsigned i = digits; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
	field[digits] = '\0';
}

static bool text_is_ascii(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text >= 0x80)
			return false;
	}
	return true;
}

/* What old readers see of a name that lives in a pax record. */
static void put_fallback(char field[NAME_BYTES], const char *text)
{
	size_t len = strnlen(text, NAME_BYTES);
	memcpy(field, text, len);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)field[i] >= 0x80)
			field[i] = '_';
	}
}

/* Where the name field begins: at 0, or behind the first slash that leaves it at most 100
 * bytes; what precedes that slash is the prefix. False if there is no such slash within its
 * reach. */
static bool path_split(const char *path, size_t *ret_start)
{
	size_t len = strlen(path);
	if (len <= NAME_BYTES) {
		*ret_start = 0;
		return true;
	}
	for (size_t i = len - NAME_BYTES - 1; i <= PREFIX_BYTES && i + 1 < len; i++) {
		if (path[i] == '/') {
			*ret_start = i + 1;
			return true;
		}
	}
	return false;
}

static bool path_fits(const char *path)
{
	size_t start;
	return text_is_ascii(path) && path_split(path, &start);
}

static bool target_fits(const char *target)
{
	return text_is_ascii(target) && strlen(target) <= NAME_BYTES;
}

static void put_path(struct ustar_header *h, const char *path)
{
	size_t start = 0;
	if (!text_is_ascii(path) || !path_split(path, &start)) {
		put_fallback(h->name, path);
		return;
	}
	if (start > 0)
		memcpy(h->prefix, path, start - 1);
	memcpy(h->name, path + start, strlen(path + start));
}

static void put_target(struct ustar_header *h, const char *target)
{
	if (target_fits(target))
		memcpy(h->linkname, target, strlen(target));
	else
		put_fallback(h->linkname, target);
}

/* Sum of all bytes with the field itself as spaces; six digits, NUL, space. */
static void put_checksum(struct ustar_header *h)
{
	memset(h->checksum, ' ', sizeof(h->checksum));
	const unsigned char *bytes = (const unsigned char *)h;
	uint64_t sum = 0;
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += bytes[i];
	put_octal(h->checksum, 6, sum);
}

static void header_init(struct ustar_header *h, char typeflag, uint32_t mode, uint64_t size)
{
	memset(h, 0, sizeof(*h));
	put_octal(h->mode, ID_DIGITS, mode & 07777);
	put_octal(h->size, LONG_DIGITS, size);
	h->typeflag = typeflag;
	memcpy(h->magic, "ustar", sizeof(h->magic));
	memcpy(h->version, "00", sizeof(h->version));
	put_octal(h->uid, ID_DIGITS, 0);
	put_octal(h->gid, ID_DIGITS, 0);
	put_octal(h->mtime, LONG_DIGITS, 0);
	put_octal(h->dev_major, ID_DIGITS, 0);
	put_octal(h->dev_minor, ID_DIGITS, 0);
}

static bool mtime_fits(int64_t mtime_s)
{
	return mtime_s >= 0 && octal_fits((uint64_t)mtime_s, LONG_DIGITS);
}

/* "LEN KEY=VALUE\n", where LEN counts the whole record, its own digits included. */
static void pax_add(struct buf *records, const char *prefix, const char *key, const void *value,
		    size_t value_len)
{
	size_t rest = strlen(prefix) + strlen(key) + value_len + 3;
	size_t digits = 1;
	for (size_t reach = 10; rest + digits >= reach; reach *= 10)
		digits++;
	buf_addf(records, "%zu %s%s=", rest + digits, prefix, key);
	buf_add(records, value, value_len);
	buf_add_byte(records, '\n');
}

static void pax_add_text(struct buf *records, const char *key, const char *value)
{
	pax_add(records, "", key, value, strlen(value));
}

static void pax_add_i64(struct buf *records, const char *key, int64_t value)
{
	char text[24];
	(void)snprintf(text, sizeof(text), "%" PRId64, value);
	pax_add_text(records, key, text);
}

static int pax_add_xattrs(struct buf *records, const struct tar_entry *entry, struct err *e)
{
	for (size_t i = 0; i < entry->xattrs_len; i++) {
		const struct tar_xattr *x = &entry->xattrs[i];
		BUG_IF(i > 0 && strcmp(entry->xattrs[i - 1].name, x->name) >= 0);
		if (strchr(x->name, '=')) {
			err_set(e, ERR_INPUT, "layer/xattr-name",
				"extended attribute '%s' of '%s' has '=' in its name", x->name,
				entry->path);
			return err_hint(
				e, "a layer cannot carry such a name: remove the attribute");
		}
		pax_add(records, "SCHILY.xattr.", x->name, x->value, x->value_len);
	}
	return 0;
}

/* In byte order of key, which for the keys that exist here is the order of these lines. */
static int pax_records(struct buf *records, const struct tar_entry *entry, const char *path,
		       struct err *e)
{
	bool own_path = !path_fits(path);
	bool own_target = entry->target && !target_fits(entry->target);
	bool is_text = (!own_path || str_is_utf8(path, strlen(path))) &&
		       (!own_target || str_is_utf8(entry->target, strlen(entry->target)));
	if (pax_add_xattrs(records, entry, e) < 0)
		return -1;
	if (!octal_fits(entry->gid, ID_DIGITS))
		pax_add_i64(records, "gid", (int64_t)entry->gid);
	if (!is_text)
		pax_add_text(records, "hdrcharset", "BINARY");
	if (own_target)
		pax_add_text(records, "linkpath", entry->target);
	if (!mtime_fits(entry->mtime_s))
		pax_add_i64(records, "mtime", entry->mtime_s);
	if (own_path)
		pax_add_text(records, "path", path);
	if (!octal_fits(entry->size, LONG_DIGITS))
		pax_add_i64(records, "size", (int64_t)entry->size);
	if (!octal_fits(entry->uid, ID_DIGITS))
		pax_add_i64(records, "uid", (int64_t)entry->uid);
	if (records->overflowed) {
		return err_set(e, ERR_INPUT, "layer/xattrs-too-big",
			       "extended attributes of '%s' exceed %ju bytes in all",
			       entry->path, (uintmax_t)LIMIT_PAX_BYTES);
	}
	return 0;
}

static int writer_put(struct tar_writer *w, const void *bytes, size_t len, struct err *e)
{
	digest_stream_add(&w->hash, bytes, len);
	return compressor_add(w->out, bytes, len, e);
}

static int writer_flush(struct tar_writer *w, struct err *e)
{
	size_t len = w->pending_len;
	w->pending_len = 0;
	return len > 0 ? writer_put(w, w->pending, len, e) : 0;
}

static int writer_add(struct tar_writer *w, const void *bytes, size_t len, struct err *e)
{
	w->size_bytes += len;
	if (len > PENDING_BYTES - w->pending_len && writer_flush(w, e) < 0)
		return -1;
	if (len >= PENDING_BYTES)
		return writer_put(w, bytes, len, e);
	memcpy(w->pending + w->pending_len, bytes, len);
	w->pending_len += len;
	return 0;
}

static size_t padding_of(uint64_t size)
{
	return (size_t)(-size % BLOCK_BYTES);
}

static int writer_pad(struct tar_writer *w, size_t len, struct err *e)
{
	static const unsigned char zeros[2 * BLOCK_BYTES];
	return writer_add(w, zeros, len, e);
}

static int writer_pax(struct tar_writer *w, const struct buf *records, struct err *e)
{
	struct ustar_header h;
	header_init(&h, PAX_TYPE, 0644, records->len);
	memcpy(h.name, pax_name, sizeof(pax_name));
	put_checksum(&h);
	if (writer_add(w, &h, sizeof(h), e) < 0 ||
	    writer_add(w, records->data, records->len, e) < 0)
		return -1;
	return writer_pad(w, padding_of(records->len), e);
}

static int writer_header(struct tar_writer *w, const struct tar_entry *entry, const char *path,
			 struct err *e)
{
	struct ustar_header h;
	header_init(&h, (char)entry->type, entry->mode, entry->size);
	put_path(&h, path);
	if (entry->target)
		put_target(&h, entry->target);
	put_octal(h.uid, ID_DIGITS, entry->uid);
	put_octal(h.gid, ID_DIGITS, entry->gid);
	put_octal(h.mtime, LONG_DIGITS,
		  mtime_fits(entry->mtime_s) ? (uint64_t)entry->mtime_s : 0);
	put_octal(h.dev_major, ID_DIGITS, entry->dev_major);
	put_octal(h.dev_minor, ID_DIGITS, entry->dev_minor);
	put_checksum(&h);
	return writer_add(w, &h, sizeof(h), e);
}

static void check_entry(const struct tar_entry *entry)
{
	size_t len = strlen(entry->path);
	bool is_link = entry->type == TAR_HARDLINK || entry->type == TAR_SYMLINK;
	bool is_device = entry->type == TAR_CHAR || entry->type == TAR_BLOCK;
	BUG_IF(len == 0 || entry->path[0] == '/' || entry->path[len - 1] == '/');
	BUG_IF(is_link != (entry->target != NULL));
	BUG_IF(entry->type != TAR_FILE && entry->size > 0);
	BUG_IF(!is_device && (entry->dev_major || entry->dev_minor));
	BUG_IF(!octal_fits(entry->dev_major, ID_DIGITS) ||
	       !octal_fits(entry->dev_minor, ID_DIGITS));
	BUG_IF(entry->uid > UINT32_MAX || entry->gid > UINT32_MAX || entry->size > INT64_MAX);
}

void tar_writer_init(struct tar_writer *w, struct compressor *out)
{
	memset(w, 0, sizeof(*w));
	w->out = out;
	w->pending = mem_alloc(PENDING_BYTES);
	digest_stream_init(&w->hash, DIGEST_SHA256);
}

void tar_writer_cleanup(struct tar_writer *w)
{
	digest_stream_cleanup(&w->hash);
	mem_free_cleanup(&w->pending);
}

int tar_writer_entry(struct tar_writer *w, const struct tar_entry *entry, struct err *e)
{
	BUG_IF(w->content_left > 0);
	check_entry(entry);
	AUTO_FREE char *path =
		mem_printf("%s%s", entry->path, entry->type == TAR_DIR ? "/" : "");
	AUTO(buf) records = BUF_INIT(LIMIT_PAX_BYTES);
	if (pax_records(&records, entry, path, e) < 0)
		return -1;
	if (records.len > 0 && writer_pax(w, &records, e) < 0)
		return -1;
	w->content_left = entry->size;
	w->padding = padding_of(entry->size);
	return writer_header(w, entry, path, e);
}

int tar_writer_content(struct tar_writer *w, const void *bytes, size_t len, struct err *e)
{
	BUG_IF(len > w->content_left);
	w->content_left -= len;
	if (writer_add(w, bytes, len, e) < 0)
		return -1;
	if (w->content_left > 0)
		return 0;
	size_t padding = w->padding;
	w->padding = 0;
	return writer_pad(w, padding, e);
}

int tar_writer_finish(struct tar_writer *w, struct digest *ret, struct err *e)
{
	BUG_IF(w->content_left > 0);
	if (writer_pad(w, 2 * (size_t)BLOCK_BYTES, e) < 0 || writer_flush(w, e) < 0)
		return -1;
	digest_stream_final(&w->hash, ret);
	return 0;
}
