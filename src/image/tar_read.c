/*
 * tar, read strictly. A header that a lenient reader would read differently is an error rather
 * than a guess; the comments name the disagreement that each check ends.
 */
#include "image/tar_read.h"

#include <string.h>

#include "image/tar_ahead_internal.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/str.h"

struct tar_field {
	size_t offset, len;
};

static const struct tar_field field_name = {0, 100}, field_mode = {100, 8},
			      field_uid = {108, 8}, field_gid = {116, 8},
			      field_size = {124, 12}, field_mtime = {136, 12},
			      field_checksum = {148, 8}, field_link = {157, 100},
			      field_magic = {257, 8}, field_major = {329, 8},
			      field_minor = {337, 8}, field_prefix = {345, 155};
enum { TYPE_OFFSET = 156, PADDING_OFFSET = 500 };

/* What extended headers said about the entry that follows them. */
struct tar_extra {
	bool has_pax, has_any, is_opaque;
	char *path, *target;	       /* by pax */
	char *long_path, *long_target; /* by GNU's L and K */
	bool has_size, has_uid, has_gid, has_mtime;
	uint64_t size, uid, gid;
	int64_t mtime_s;
	struct file_xattrs xattrs;
};

static void tar_extra_cleanup(struct tar_extra *x)
{
	mem_free_cleanup(&x->path);
	mem_free_cleanup(&x->target);
	mem_free_cleanup(&x->long_path);
	mem_free_cleanup(&x->long_target);
	file_xattrs_cleanup(&x->xattrs);
}

static int header_error(const struct tar_reader *r, const char *why, struct err *e)
{
	return err_set(e, ERR_INPUT, "unpack/tar-header", "'%s' has a bad tar header: %s",
		       r->gate->what, why);
}

static int tar_chunk(struct tar_reader *r, struct err *e)
{
	while (r->chunk_len == 0) {
		if (byte_source_next(r->source, &r->chunk, &r->chunk_len, e) < 0)
			return -1;
		if (r->chunk_len == 0)
			return err_set(e, ERR_INPUT, "unpack/truncated",
				       "'%s' ends without an end-of-archive marker",
				       r->gate->what);
	}
	return 0;
}

/* Into `to`, or skipped if that is NULL. */
static int tar_take(struct tar_reader *r, void *to, uint64_t len, struct err *e)
{
	uint8_t *out = to;
	while (len > 0) {
		if (tar_chunk(r, e) < 0)
			return -1;
		size_t n = r->chunk_len < len ? r->chunk_len : (size_t)len;
		if (out) {
			memcpy(out, r->chunk, n);
			out += n;
		}
		r->chunk += n;
		r->chunk_len -= n;
		len -= n;
	}
	return 0;
}

static size_t padding_of(uint64_t size)
{
	return (size_t)(-size % TAR_BLOCK_BYTES);
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

/* The payload of an extended header, NUL-terminated. */
static int tar_payload(struct tar_reader *r, uint64_t size, uint64_t max, char **ret,
		       struct err *e)
{
	if (size > max)
		return err_set(e, ERR_INPUT, "unpack/pax-too-big",
			       "'%s' has an extended header over %llu bytes", r->gate->what,
			       (unsigned long long)max);
	AUTO_FREE char *bytes = mem_alloc((size_t)size + 1);
	bytes[size] = '\0';
	if (tar_take(r, bytes, size, e) < 0 || tar_take(r, NULL, padding_of(size), e) < 0)
		return -1;
	*ret = TAKE_PTR(bytes);
	return 0;
}

/* Base 256: a set top bit, then a big-endian two's complement number. */
static bool number_base256(const uint8_t *p, size_t len, int64_t *ret)
{
	bool negative = p[0] == 0xff;
	if (p[0] != 0x80 && !negative)
		return false;
	uint64_t value = negative ? UINT64_MAX : 0;
	for (size_t i = 1; i < len; i++) {
		uint8_t lost = (uint8_t)(value >> 56);
		value = value << 8 | p[i];
		if (lost != (negative ? 0xff : 0))
			return false;
	}
	if ((value >> 63 != 0) != negative)
		return false;
	*ret = (int64_t)value;
	return true;
}

static bool header_number(const uint8_t *block, struct tar_field f, int64_t *ret)
{
	const uint8_t *p = block + f.offset, *end = p + f.len;
	if (p[0] & 0x80)
		return number_base256(p, f.len, ret);
	uint64_t value = 0;
	while (p < end && *p == ' ')
		p++;
	for (; p < end && *p >= '0' && *p <= '7'; p++)
		value = value << 3 | (uint64_t)(*p - '0');
	for (; p < end; p++)
		if (*p != ' ' && *p != '\0')
			return false; /* "12x": others stop at the x and go on */
	*ret = (int64_t)value;
	return true;
}

static char *header_text(const uint8_t *block, struct tar_field f)
{
	const char *text = (const char *)block + f.offset;
	return mem_strndup(text, strnlen(text, f.len));
}

static bool header_checksum_ok(const uint8_t *block)
{
	int64_t said = 0, sum = 0;
	if (!header_number(block, field_checksum, &said))
		return false;
	for (size_t i = 0; i < TAR_BLOCK_BYTES; i++)
		sum += i - field_checksum.offset < field_checksum.len ? ' ' : block[i];
	return said == sum;
}

bool tar_block_plausible(const uint8_t block[TAR_BLOCK_BYTES])
{
	return all_zero(block, TAR_BLOCK_BYTES) || header_checksum_ok(block);
}

/* The prefix field is read by some whatever the magic says, so only real ustar may use it. */
static int header_magic(const struct tar_reader *r, const uint8_t *block, bool *ret_ustar,
			struct err *e)
{
	const uint8_t *magic = block + field_magic.offset;
	*ret_ustar = memcmp(magic, "ustar\00000", 8) == 0;
	if (*ret_ustar && !all_zero(block + PADDING_OFFSET, TAR_BLOCK_BYTES - PADDING_OFFSET))
		return header_error(r, "bytes after the ustar fields", e);
	if (*ret_ustar)
		return 0;
	if (memcmp(magic, "ustar  \0", 8) == 0) {
		if (!all_zero(block + field_prefix.offset,
			      TAR_BLOCK_BYTES - field_prefix.offset))
			return header_error(r, "a prefix or sparse map in a GNU header", e);
		return 0;
	}
	/* Without the magic nobody reads owner names and device numbers; a prefix some do. */
	if (!all_zero(magic, field_magic.len) ||
	    !all_zero(block + field_prefix.offset, TAR_BLOCK_BYTES - field_prefix.offset))
		return header_error(r, "neither ustar, GNU nor plain v7", e);
	return 0;
}

static bool pax_time(const char *value, size_t len, int64_t *ret)
{
	const char *dot = memchr(value, '.', len);
	size_t whole = dot ? (size_t)(dot - value) : len;
	for (size_t i = whole + 1; i < len; i++)
		if (value[i] < '0' || value[i] > '9')
			return false;
	return num_parse_i64(value, whole, ret);
}

struct pax_record {
	const char *key; /* NUL-terminated copy */
	const char *value;
	size_t value_len;
};

static int pax_text(const struct tar_reader *r, const struct pax_record *p, char **to,
		    struct err *e)
{
	/* "a\0b" is read as "a", as "ab" and as an error. */
	if (p->value_len == 0 || memchr(p->value, '\0', p->value_len))
		return header_error(r, "an empty pax name or one with a NUL", e);
	if (*to)
		return header_error(r, "two names of the same kind", e);
	*to = mem_strndup(p->value, p->value_len);
	return 0;
}

static int pax_number(const struct tar_reader *r, const struct pax_record *p, bool *has,
		      uint64_t *to, struct err *e)
{
	if (*has || !num_parse_u64(p->value, p->value_len, INT64_MAX, to))
		return header_error(r, "a pax number that is doubled or no number", e);
	*has = true;
	return 0;
}

static int pax_xattr(const struct tar_reader *r, const char *name, const struct pax_record *p,
		     struct tar_extra *x, struct err *e)
{
	if (r->gate->overlay_form && str_same(name, "user.overlay.opaque")) {
		x->is_opaque = p->value_len == 1 && p->value[0] == 'y';
		return 0;
	}
	switch (entry_xattr_rule(name)) {
	case ENTRY_XATTR_DROP:
		return 0;
	case ENTRY_XATTR_REFUSE:
		return err_set(e, ERR_INPUT, "unpack/xattr",
			       "'%s' sets the extended attribute '%s', which no archive may",
			       r->gate->what, name);
	case ENTRY_XATTR_KEEP:
		break;
	}
	for (size_t i = 0; i < x->xattrs.len; i++)
		if (str_same(x->xattrs.items[i].name, name))
			return header_error(r, "an extended attribute twice", e);
	if (p->value_len > LIMIT_XATTR_BYTES || strlen(name) > LIMIT_COMPONENT_BYTES)
		return err_set(e, ERR_INPUT, "unpack/xattr",
			       "'%s' has an extended attribute over %llu bytes", r->gate->what,
			       (unsigned long long)LIMIT_XATTR_BYTES);
	if (p->value_len > 0) /* POSIX: an empty value takes a keyword back */
		entry_xattrs_add(&x->xattrs, name, p->value, p->value_len);
	return 0;
}

/* Keywords that change nothing we keep. */
static bool pax_ignorable(const char *key)
{
	static const char *const names[] = {"atime",   "ctime",	  "uname",     "gname",
					    "comment", "charset", "hdrcharset"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_same(key, names[i]))
			return true;
	if (str_has_prefix(key, "GNU.") || str_has_prefix(key, "SCHILY.acl.") ||
	    str_same(key, "SCHILY.realsize"))
		return false;
	/* Upper case is for vendors; everything else is reserved, so it might be critical. */
	return key[0] >= 'A' && key[0] <= 'Z';
}

static int pax_apply(const struct tar_reader *r, const struct pax_record *p,
		     struct tar_extra *x, struct err *e)
{
	static const char xattr_prefix[] = "SCHILY.xattr.";
	if (str_same(p->key, "path"))
		return pax_text(r, p, &x->path, e);
	if (str_same(p->key, "linkpath"))
		return pax_text(r, p, &x->target, e);
	if (str_same(p->key, "size"))
		return pax_number(r, p, &x->has_size, &x->size, e);
	if (str_same(p->key, "uid"))
		return pax_number(r, p, &x->has_uid, &x->uid, e);
	if (str_same(p->key, "gid"))
		return pax_number(r, p, &x->has_gid, &x->gid, e);
	if (str_same(p->key, "mtime")) {
		if (x->has_mtime || !pax_time(p->value, p->value_len, &x->mtime_s))
			return header_error(r, "a pax time that is doubled or no time", e);
		x->has_mtime = true;
		return 0;
	}
	if (str_has_prefix(p->key, xattr_prefix))
		return pax_xattr(r, p->key + sizeof(xattr_prefix) - 1, p, x, e);
	if (str_has_prefix(p->key, "GNU.sparse."))
		return err_set(e, ERR_INPUT, "unpack/sparse", "'%s' has sparse entries",
			       r->gate->what);
	if (!pax_ignorable(p->key))
		return err_set(e, ERR_INPUT, "unpack/pax-keyword",
			       "'%s' uses the pax keyword '%s', which is not supported",
			       r->gate->what, p->key);
	return 0;
}

/* Global headers: git archives carry a comment; anything that would apply to entries is
 * refused, since readers disagree on whether it does. */
static int pax_apply_global(const struct tar_reader *r, const struct pax_record *p,
			    struct err *e)
{
	if (pax_ignorable(p->key) && !str_has_prefix(p->key, "SCHILY."))
		return 0;
	return err_set(e, ERR_INPUT, "unpack/pax-keyword",
		       "'%s' sets '%s' for all entries at once, which is not supported",
		       r->gate->what, p->key);
}

/* Records are "LENGTH KEY=VALUE\n", LENGTH counting all of it. `x` NULL: a global header. */
static int pax_parse(const struct tar_reader *r, const char *bytes, size_t len,
		     struct tar_extra *x, struct err *e)
{
	for (size_t pos = 0; pos < len;) {
		const char *record = bytes + pos;
		size_t digits = strspn(record, "0123456789");
		uint64_t record_len = 0;
		if (!num_parse_u64(record, digits, len - pos, &record_len) ||
		    record_len < digits + 4 || record[digits] != ' ' ||
		    record[record_len - 1] != '\n')
			return header_error(r, "a malformed pax record", e);
		const char *key = record + digits + 1, *end = record + record_len - 1;
		const char *equals = memchr(key, '=', (size_t)(end - key));
		if (equals == NULL || equals == key ||
		    memchr(key, '\0', (size_t)(equals - key)))
			return header_error(r, "a malformed pax record", e);
		AUTO_FREE char *key_text = mem_strndup(key, (size_t)(equals - key));
		struct pax_record p = {.key = key_text,
				       .value = equals + 1,
				       .value_len = (size_t)(end - equals) - 1};
		if ((x ? pax_apply(r, &p, x, e) : pax_apply_global(r, &p, e)) < 0)
			return -1;
		pos += record_len;
	}
	return 0;
}

static int read_pax(struct tar_reader *r, uint64_t size, struct tar_extra *x, struct err *e)
{
	AUTO_FREE char *bytes = NULL;
	if (tar_payload(r, size, LIMIT_PAX_BYTES, &bytes, e) < 0)
		return -1;
	return pax_parse(r, bytes, (size_t)size, x, e);
}

static int read_long_name(struct tar_reader *r, uint64_t size, char **to, struct err *e)
{
	AUTO_FREE char *bytes = NULL;
	if (tar_payload(r, size, LIMIT_PATH_BYTES + 1, &bytes, e) < 0)
		return -1;
	size_t len = strlen(bytes);
	if (len == 0 || !all_zero((const uint8_t *)bytes + len, (size_t)size - len))
		return header_error(r, "an empty long name or one with a NUL", e);
	if (*to)
		return header_error(r, "two names of the same kind", e);
	*to = TAKE_PTR(bytes);
	return 0;
}

/* Reads one extended header; *ret_done false if the block is none. */
static int read_extended(struct tar_reader *r, char type, uint64_t size, struct tar_extra *x,
			 bool *ret_done, struct err *e)
{
	*ret_done = true;
	switch (type) {
	case 'x':
		if (x->has_pax)
			return header_error(r, "two pax headers for one entry", e);
		x->has_pax = x->has_any = true;
		return read_pax(r, size, x, e);
	case 'g':
		if (x->has_any)
			return header_error(r, "a global header between entry and its own", e);
		return read_pax(r, size, NULL, e);
	case 'L':
		x->has_any = true;
		return read_long_name(r, size, &x->long_path, e);
	case 'K':
		x->has_any = true;
		return read_long_name(r, size, &x->long_target, e);
	default:
		*ret_done = false;
		return 0;
	}
}

static int device_error(const struct tar_reader *r, const struct entry *entry, struct err *e)
{
	err_set(e, ERR_INPUT, "unpack/device", "entry '%s' of '%s' is a device node",
		entry->path, r->gate->what);
	return err_hint(e, "images run with a /dev of the runtime's; leave it out");
}

/* The character device 0:0 by which overlayfs marks a deletion. */
static bool is_carrier(const struct tar_reader *r, const uint8_t *block)
{
	int64_t major = 1, minor = 1;
	return r->gate->overlay_form && block[TYPE_OFFSET] == '3' &&
	       header_number(block, field_major, &major) &&
	       header_number(block, field_minor, &minor) && major == 0 && minor == 0;
}

static int entry_type_of(const struct tar_reader *r, const uint8_t *block,
			 const struct entry *entry, enum entry_type *ret, struct err *e)
{
	char type = (char)block[TYPE_OFFSET];
	switch (type) {
	case '\0':
	case '0':
	case '7':
		*ret = ENTRY_FILE;
		return 0;
	case '1':
		*ret = ENTRY_HARDLINK;
		return 0;
	case '2':
		*ret = ENTRY_SYMLINK;
		return 0;
	case '5':
		*ret = ENTRY_DIR;
		return 0;
	case '6':
		*ret = ENTRY_FIFO;
		return 0;
	case '3':
		if (is_carrier(r, block)) {
			*ret = ENTRY_FILE;
			return 0;
		}
		return device_error(r, entry, e);
	case '4':
		return device_error(r, entry, e);
	case 'S':
		return err_set(e, ERR_INPUT, "unpack/sparse", "entry '%s' of '%s' is sparse",
			       entry->path, r->gate->what);
	default:
		return err_set(e, ERR_INPUT, "unpack/entry-type",
			       "entry '%s' of '%s' has the unknown type 0x%02x", entry->path,
			       r->gate->what, (unsigned char)type);
	}
}

static int entry_names(const struct tar_reader *r, const uint8_t *block, bool ustar,
		       struct tar_extra *x, struct entry *entry, struct err *e)
{
	if ((x->path && x->long_path) || (x->target && x->long_target))
		return header_error(r, "a pax name and a GNU long name for one entry", e);
	if (x->path || x->long_path) {
		entry->path = x->path ? TAKE_PTR(x->path) : TAKE_PTR(x->long_path);
	} else {
		AUTO_FREE char *name = header_text(block, field_name);
		AUTO_FREE char *prefix = ustar ? header_text(block, field_prefix) : NULL;
		entry->path = prefix && prefix[0] ? mem_printf("%s/%s", prefix, name)
						  : TAKE_PTR(name);
	}
	if (x->target || x->long_target)
		entry->target = x->target ? TAKE_PTR(x->target) : TAKE_PTR(x->long_target);
	else
		entry->target = header_text(block, field_link);
	return 0;
}

static int entry_numbers(const struct tar_reader *r, const uint8_t *block,
			 const struct tar_extra *x, uint64_t header_size, struct entry *entry,
			 struct err *e)
{
	int64_t mode = 0, uid = 0, gid = 0, mtime_s = 0;
	if (!header_number(block, field_mode, &mode) || mode < 0 || mode > 0177777 ||
	    (!x->has_uid && !header_number(block, field_uid, &uid)) ||
	    (!x->has_gid && !header_number(block, field_gid, &gid)) ||
	    (!x->has_mtime && !header_number(block, field_mtime, &mtime_s)))
		return header_error(r, "a mode, owner or time that is no number", e);
	if (uid < 0 || gid < 0)
		return err_set(e, ERR_INPUT, "unpack/owner",
			       "entry '%s' of '%s' has a negative owner", entry->path,
			       r->gate->what);
	/* The archive is read on at another place by who believes the other size. */
	if (x->has_size && header_size != 0 && header_size != x->size)
		return header_error(r, "two sizes for one entry", e);
	entry->mode = (uint32_t)mode;
	entry->uid = x->has_uid ? x->uid : (uint64_t)uid;
	entry->gid = x->has_gid ? x->gid : (uint64_t)gid;
	entry->mtime_s = x->has_mtime ? x->mtime_s : mtime_s;
	entry->size = x->has_size ? x->size : header_size;
	if (entry->type != ENTRY_FILE && entry->size != 0)
		return header_error(r, "data on an entry that is no regular file", e);
	return 0;
}

static int read_entry(struct tar_reader *r, const uint8_t *block, uint64_t size,
		      struct tar_extra *x, struct entry *ret, struct err *e)
{
	AUTO(entry) entry = {0};
	bool ustar = false;
	if (header_magic(r, block, &ustar, e) < 0 ||
	    entry_names(r, block, ustar, x, &entry, e) < 0 ||
	    entry_type_of(r, block, &entry, &entry.type, e) < 0 ||
	    entry_numbers(r, block, x, size, &entry, e) < 0)
		return -1;
	entry.is_carrier = is_carrier(r, block);
	entry.is_opaque = x->is_opaque && entry.type == ENTRY_DIR;
	entry.xattrs = x->xattrs;
	x->xattrs = (struct file_xattrs){0};
	if (entry_gate_pass(r->gate, &entry, e) < 0)
		return -1;
	r->data_left = entry.size;
	r->padding_left = padding_of(entry.size);
	*ret = entry;
	entry = (struct entry){0};
	return 0;
}

/* After the first zero block: another one, then nothing but zeros to the end of the source. */
static int read_end(struct tar_reader *r, struct err *e)
{
	uint8_t block[TAR_BLOCK_BYTES];
	if (tar_take(r, block, sizeof(block), e) < 0)
		return -1;
	if (!all_zero(block, sizeof(block)))
		return header_error(r, "a lone block of zeros", e);
	for (uint64_t tail = 0;; tail += r->chunk_len, r->chunk_len = 0) {
		if (r->chunk_len == 0 &&
		    byte_source_next(r->source, &r->chunk, &r->chunk_len, e) < 0)
			return -1;
		if (r->chunk_len == 0)
			return 0;
		if (!all_zero(r->chunk, r->chunk_len) ||
		    r->chunk_len > LIMIT_TRAILING_ZERO_BYTES - tail)
			return err_set(e, ERR_INPUT, "unpack/after-end",
				       "'%s' goes on after its end-of-archive marker",
				       r->gate->what);
	}
}

void tar_reader_init(struct tar_reader *r, struct byte_source *source, struct entry_gate *gate)
{
	*r = (struct tar_reader){.source = source, .gate = gate};
}

int tar_reader_next(struct tar_reader *r, struct entry *ret, bool *ret_end, struct err *e)
{
	if (tar_ahead_is_time(r) && tar_ahead_look(r, e) < 0)
		return -1;
	if (tar_take(r, NULL, r->data_left, e) < 0 || tar_take(r, NULL, r->padding_left, e) < 0)
		return -1;
	r->data_left = r->padding_left = 0;
	AUTO(tar_extra) x = {0};
	for (;;) {
		uint8_t block[TAR_BLOCK_BYTES];
		if (tar_take(r, block, sizeof(block), e) < 0)
			return -1;
		if (all_zero(block, sizeof(block))) {
			*ret_end = true;
			return x.has_any ? header_error(r, "an entry without its header", e)
					 : read_end(r, e);
		}
		int64_t size = 0;
		if (!header_checksum_ok(block))
			return header_error(r, "wrong checksum", e);
		if (!header_number(block, field_size, &size) || size < 0)
			return header_error(r, "a size that is negative or no number", e);
		bool extended = false;
		if (read_extended(r, (char)block[TYPE_OFFSET], (uint64_t)size, &x, &extended,
				  e) < 0)
			return -1;
		if (extended)
			continue;
		*ret_end = false;
		return read_entry(r, block, (uint64_t)size, &x, ret, e);
	}
}

int tar_reader_data(struct tar_reader *r, const uint8_t **ret, size_t *ret_len, struct err *e)
{
	*ret_len = 0;
	if (r->data_left == 0)
		return 0;
	if (tar_chunk(r, e) < 0)
		return -1;
	size_t n = r->chunk_len < r->data_left ? r->chunk_len : (size_t)r->data_left;
	*ret = r->chunk;
	*ret_len = n;
	r->chunk += n;
	r->chunk_len -= n;
	r->data_left -= n;
	return 0;
}
