/* Numbers are little-endian throughout; offsets are computed in 64 bits from fields of at most
 * 32 bits and a block size of at most 64 KiB, so that none of them wraps. */
#include "image/erofs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/entry.h"
#include "util/limits.h"
#include "util/map.h"
#include "util/mem.h"
#include "util/str.h"

#define EROFS_MAGIC 0xe0f5e1e2u

enum {
	SB_OFFSET = 1024,
	SB_BYTES = 128,
	BLOCK_BITS_MIN = 9,
	BLOCK_BITS_MAX = 16,
	SLOT_BYTES = 32, /* a nid counts these from the metadata area on */
	COMPACT_BYTES = 32,
	EXTENDED_BYTES = 64,
	DIRENT_BYTES = 12,
	XATTR_HEADER_BYTES = 12,
	XATTR_ENTRY_BYTES = 4,
	COMPAT_CHECKSUM = 1,
};

/* What may be set without changing what is read here: LZ4 and its configurations, tail packing;
 * not chunks, devices, fragments, long prefixes. */
#define INCOMPAT_KNOWN (0x01u | 0x02u | 0x10u)

static uint32_t le16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t le32(const uint8_t *p)
{
	return le16(p) | le16(p + 2) << 16;
}

static uint64_t le64(const uint8_t *p)
{
	return le32(p) | (uint64_t)le32(p + 4) << 32;
}

static int malformed(const char *what, struct err *e)
{
	return err_set(e, ERR_INPUT, "image/erofs", "erofs image: %s", what);
}

static int read_at(const struct erofs *fs, uint64_t offset, void *to, size_t len, struct err *e)
{
	if (offset > fs->size_bytes || len > fs->size_bytes - offset)
		return malformed("something lies beyond its end", e);
	for (size_t done = 0; done < len;) {
		ssize_t got =
			pread(fs->fd, (uint8_t *)to + done, len - done, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "cannot read an erofs image");
		if (got == 0)
			return malformed("it ends while it is read", e);
		done += (size_t)got;
	}
	return 0;
}

int erofs_open(int fd, struct erofs *ret, struct err *e)
{
	uint8_t sb[SB_BYTES];
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot stat an erofs image");
	struct erofs fs = {.fd = fd, .size_bytes = (uint64_t)st.st_size};
	if (read_at(&fs, SB_OFFSET, sb, sizeof(sb), e) < 0)
		return -1;
	if (le32(sb) != EROFS_MAGIC)
		return malformed("it has no superblock", e);
	fs.block_bits = sb[12];
	if (fs.block_bits < BLOCK_BITS_MIN || fs.block_bits > BLOCK_BITS_MAX)
		return malformed("its block size is out of range", e);
	if (le32(sb + 80) & ~INCOMPAT_KNOWN)
		return malformed("it uses features that are not known here", e);
	fs.compat = le32(sb + 8);
	fs.root_nid = le16(sb + 14);
	fs.build_time_s = le64(sb + 24);
	fs.meta_offset = (uint64_t)le32(sb + 40) << fs.block_bits;
	fs.xattr_offset = (uint64_t)le32(sb + 44) << fs.block_bits;
	*ret = fs;
	return 0;
}

static int read_compact(const struct erofs *fs, const uint8_t *raw, struct erofs_inode *ret)
{
	ret->nlink = le16(raw + 6);
	ret->size = le32(raw + 8);
	ret->uid = le16(raw + 24);
	ret->gid = le16(raw + 26);
	ret->mtime_s = (int64_t)fs->build_time_s;
	return 0;
}

static int read_extended(const struct erofs *fs, const uint8_t *raw, uint64_t offset,
			 struct erofs_inode *ret, struct err *e)
{
	uint8_t whole[EXTENDED_BYTES];
	(void)raw;
	if (read_at(fs, offset, whole, sizeof(whole), e) < 0)
		return -1;
	ret->size = le64(whole + 8);
	ret->uid = le32(whole + 24);
	ret->gid = le32(whole + 28);
	ret->mtime_s = (int64_t)le64(whole + 32);
	ret->nlink = le32(whole + 44);
	return 0;
}

static int layout_of(uint32_t format, enum erofs_layout *ret, struct err *e)
{
	switch (format >> 1 & 7) {
	case 0:
		*ret = EROFS_PLAIN;
		return 0;
	case 2:
		*ret = EROFS_INLINE;
		return 0;
	case 1:
	case 3:
		*ret = EROFS_COMPRESSED;
		return 0;
	default:
		return malformed("a file is stored in a way that is not known here", e);
	}
}

static int check_inode(const struct erofs_inode *i, struct err *e)
{
	if (i->size > LIMIT_UNPACK_BYTES)
		return malformed("a file is too big", e);
	if (S_ISDIR(i->mode) && i->layout == EROFS_COMPRESSED)
		return malformed("a directory is compressed", e);
	return 0;
}

int erofs_inode_read(const struct erofs *fs, uint64_t nid, struct erofs_inode *ret,
		     struct err *e)
{
	uint8_t raw[COMPACT_BYTES];
	if (nid > fs->size_bytes / SLOT_BYTES)
		return malformed("an inode lies beyond its end", e);
	uint64_t offset = fs->meta_offset + nid * SLOT_BYTES;
	if (read_at(fs, offset, raw, sizeof(raw), e) < 0)
		return -1;
	uint32_t format = le16(raw);
	bool extended = format & 1;
	struct erofs_inode i = {.nid = nid, .mode = le16(raw + 4), .rdev = le32(raw + 16)};
	i.data_offset = (uint64_t)le32(raw + 16) << fs->block_bits;
	if (layout_of(format, &i.layout, e) < 0 ||
	    (extended ? read_extended(fs, raw, offset, &i, e) : read_compact(fs, raw, &i)) < 0)
		return -1;
	uint32_t xattr_count = le16(raw + 2);
	i.xattr_offset = offset + (extended ? EXTENDED_BYTES : COMPACT_BYTES);
	if (xattr_count > 0)
		i.xattr_len = XATTR_HEADER_BYTES + (uint64_t)(xattr_count - 1) * 4;
	i.end_offset = i.xattr_offset + i.xattr_len;
	if (check_inode(&i, e) < 0)
		return -1;
	*ret = i;
	return 0;
}

int erofs_data_read(const struct erofs *fs, const struct erofs_inode *i, uint64_t offset,
		    void *to, size_t len, struct err *e)
{
	BUG_IF(i->layout == EROFS_COMPRESSED);
	if (offset > i->size || len > i->size - offset)
		return malformed("a file ends too early", e);
	/* Of INLINE data, only the last part of a block stands behind the inode. */
	uint64_t block = UINT64_C(1) << fs->block_bits;
	uint64_t plain = i->layout == EROFS_INLINE ? i->size & ~(block - 1) : i->size;
	if (i->layout == EROFS_INLINE && plain == i->size && i->size > 0)
		plain -= block; /* a whole block may be inline, too */
	size_t first = 0;
	if (offset < plain) {
		first = len < plain - offset ? len : (size_t)(plain - offset);
		if (read_at(fs, i->data_offset + offset, to, first, e) < 0)
			return -1;
	}
	if (first == len)
		return 0;
	return read_at(fs, i->end_offset + (offset + first - plain), (uint8_t *)to + first,
		       len - first, e);
}

/* Directories. */

void erofs_dirents_cleanup(struct erofs_dirents *d)
{
	for (size_t i = 0; i < d->len; i++)
		free(d->items[i].name);
	vec_free(d);
}

static int compare_dirents(const void *a, const void *b)
{
	const struct erofs_dirent *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static int add_dirent(const uint8_t *name, size_t len, uint64_t nid, struct erofs_dirents *ret,
		      struct err *e)
{
	/* The last name of a block may be followed by zeros. */
	len = strnlen((const char *)name, len);
	if (len == 0 || len > LIMIT_COMPONENT_BYTES || memchr(name, '/', len))
		return malformed("a directory holds an impossible name", e);
	if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return 0;
	if (ret->len >= LIMIT_UNPACK_ENTRIES)
		return malformed("it has too many entries", e);
	struct erofs_dirent d = {.name = mem_strndup((const char *)name, len), .nid = nid};
	vec_push(ret, d);
	return 0;
}

/* A block of a directory: entries, whose first says where the names begin, then the names. */
static int read_dir_block(const uint8_t *block, size_t len, struct erofs_dirents *ret,
			  struct err *e)
{
	size_t names = len >= DIRENT_BYTES ? le16(block + 8) : 0;
	if (names < DIRENT_BYTES || names % DIRENT_BYTES != 0 || names > len)
		return malformed("a directory is malformed", e);
	for (size_t i = 0; i < names / DIRENT_BYTES; i++) {
		const uint8_t *entry = block + i * DIRENT_BYTES;
		size_t from = le16(entry + 8);
		bool last = (i + 1) * DIRENT_BYTES == names;
		size_t to = last ? len : le16(entry + DIRENT_BYTES + 8);
		if (from < names || to > len || from >= to)
			return malformed("a directory is malformed", e);
		if (add_dirent(block + from, to - from, le64(entry), ret, e) < 0)
			return -1;
	}
	return 0;
}

int erofs_dir_read(const struct erofs *fs, const struct erofs_inode *dir,
		   struct erofs_dirents *ret, struct err *e)
{
	size_t block_len = (size_t)1 << fs->block_bits;
	AUTO_FREE uint8_t *block = mem_alloc(block_len);
	AUTO(erofs_dirents) found = {0};
	for (uint64_t at = 0; at < dir->size; at += block_len) {
		size_t len = dir->size - at < block_len ? (size_t)(dir->size - at) : block_len;
		if (erofs_data_read(fs, dir, at, block, len, e) < 0 ||
		    read_dir_block(block, len, &found, e) < 0)
			return -1;
	}
	if (found.len > 1)
		qsort(found.items, found.len, sizeof(*found.items), compare_dirents);
	for (size_t i = 1; i < found.len; i++)
		if (str_same(found.items[i - 1].name, found.items[i].name))
			return malformed("a directory holds a name twice", e);
	*ret = found;
	found = (struct erofs_dirents){0};
	return 0;
}

/* Extended attributes. */

/* By the index that stands for a prefix of the name. */
static const char *const xattr_prefixes[] = {
	[1] = "user.",
	[2] = "system.posix_acl_access",
	[3] = "system.posix_acl_default",
	[4] = "trusted.",
	[6] = "security.",
};

static size_t xattr_entry_len(const uint8_t *entry)
{
	size_t len = XATTR_ENTRY_BYTES + (size_t)entry[0] + le16(entry + 2);
	return (len + 3) & ~(size_t)3;
}

static int add_xattr(const uint8_t *entry, size_t len, struct file_xattrs *ret, struct err *e)
{
	size_t name_len = entry[0], index = entry[1], value_len = le16(entry + 2);
	if (XATTR_ENTRY_BYTES + name_len + value_len > len)
		return malformed("an attribute reaches beyond its place", e);
	if (index >= ARRAY_LEN(xattr_prefixes) || !xattr_prefixes[index])
		return malformed("an attribute is of an unknown kind", e);
	const char *name = (const char *)entry + XATTR_ENTRY_BYTES;
	if (memchr(name, '\0', name_len))
		return malformed("an attribute has an impossible name", e);
	AUTO_FREE char *full = mem_printf("%s%.*s", xattr_prefixes[index], (int)name_len, name);
	for (size_t i = 0; i < ret->len; i++)
		if (str_same(ret->items[i].name, full))
			return malformed("a file has an attribute twice", e);
	entry_xattrs_put(ret, full, name + name_len, value_len);
	return 0;
}

static int add_shared(const struct erofs *fs, uint32_t id, struct file_xattrs *ret,
		      struct err *e)
{
	uint8_t entry[XATTR_ENTRY_BYTES + 255 + 65535 + 3];
	uint64_t offset = fs->xattr_offset + (uint64_t)id * XATTR_ENTRY_BYTES;
	if (read_at(fs, offset, entry, XATTR_ENTRY_BYTES, e) < 0)
		return -1;
	size_t len = XATTR_ENTRY_BYTES + (size_t)entry[0] + le16(entry + 2);
	if (read_at(fs, offset, entry, len, e) < 0)
		return -1;
	return add_xattr(entry, len, ret, e);
}

/* The inline area: a header with the number of shared attributes, their numbers, then entries. */
static int read_xattr_area(const struct erofs *fs, const struct erofs_inode *inode,
			   uint8_t **ret, size_t *ret_first, struct err *e)
{
	AUTO_FREE uint8_t *area = mem_alloc((size_t)inode->xattr_len + 1);
	if (read_at(fs, inode->xattr_offset, area, (size_t)inode->xattr_len, e) < 0)
		return -1;
	size_t first = XATTR_HEADER_BYTES + (size_t)area[4] * 4;
	if (first > inode->xattr_len)
		return malformed("attributes reach beyond their place", e);
	*ret_first = first;
	*ret = TAKE_PTR(area);
	return 0;
}

int erofs_xattrs_read(const struct erofs *fs, const struct erofs_inode *inode,
		      struct file_xattrs *ret, struct err *e)
{
	AUTO_FREE uint8_t *area = NULL;
	size_t first = 0;
	AUTO(file_xattrs) found = {0};
	if (inode->xattr_len == 0)
		return 0;
	if (read_xattr_area(fs, inode, &area, &first, e) < 0)
		return -1;
	for (size_t at = XATTR_HEADER_BYTES; at < first; at += 4)
		if (add_shared(fs, le32(area + at), &found, e) < 0)
			return -1;
	size_t len = (size_t)inode->xattr_len;
	for (size_t at = first; at + XATTR_ENTRY_BYTES <= len;) {
		if (add_xattr(area + at, len - at, &found, e) < 0)
			return -1;
		at += xattr_entry_len(area + at);
	}
	*ret = found;
	found = (struct file_xattrs){0};
	return 0;
}

/* The walk. */

struct walk {
	const struct erofs *fs;
	const struct erofs_visitor *visitor;
	struct map dirs; /* seen, by nid */
	uint64_t entries, name_bytes;
};

static void walk_cleanup(struct walk *w)
{
	map_cleanup(&w->dirs);
}

static int walk_dir(struct walk *w, const char *path, uint64_t nid, unsigned depth,
		    struct err *e);

static int walk_child(struct walk *w, const char *path, uint64_t nid, unsigned depth,
		      struct err *e)
{
	struct erofs_inode inode;
	w->name_bytes += strlen(path);
	if (++w->entries > LIMIT_UNPACK_ENTRIES || w->name_bytes > LIMIT_UNPACK_NAMES_BYTES)
		return malformed("it has too many entries", e);
	if (strlen(path) >= LIMIT_PATH_BYTES)
		return malformed("a path is too long", e);
	if (erofs_inode_read(w->fs, nid, &inode, e) < 0)
		return -1;
	if (S_ISDIR(inode.mode))
		return walk_dir(w, path, nid, depth + 1, e);
	return w->visitor->visit(w->visitor->ctx, w->fs, path, &inode, e);
}

static int walk_dir(struct walk *w, const char *path, uint64_t nid, unsigned depth,
		    struct err *e)
{
	struct erofs_inode dir;
	AUTO(erofs_dirents) names = {0};
	AUTO_FREE char *key = mem_printf("%" PRIu64, nid);
	if (depth > LIMIT_TREE_DEPTH)
		return malformed("it is too deep", e);
	if (map_get(&w->dirs, key))
		return malformed("a directory stands in two places", e);
	map_set(&w->dirs, key, w);
	if (erofs_inode_read(w->fs, nid, &dir, e) < 0)
		return -1;
	if (!S_ISDIR(dir.mode))
		return malformed("its root is no directory", e);
	if (w->visitor->visit(w->visitor->ctx, w->fs, path, &dir, e) < 0 ||
	    erofs_dir_read(w->fs, &dir, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		const struct erofs_dirent *d = &names.items[i];
		AUTO_FREE char *child =
			path[0] ? mem_printf("%s/%s", path, d->name) : mem_strdup(d->name);
		if (walk_child(w, child, d->nid, depth, e) < 0)
			return -1;
	}
	return 0;
}

int erofs_walk(const struct erofs *fs, const struct erofs_visitor *v, struct err *e)
{
	AUTO(walk) w = {.fs = fs, .visitor = v, .dirs = MAP_INIT(NULL)};
	return walk_dir(&w, "", fs->root_nid, 0, e);
}

/* Sorting. */

struct area_entry {
	const uint8_t *bytes;
	size_t len;
};

static int compare_entries(const void *a, const void *b)
{
	const struct area_entry *x = a, *y = b;
	size_t len = x->bytes[0] < y->bytes[0] ? x->bytes[0] : y->bytes[0];
	if (x->bytes[1] != y->bytes[1])
		return x->bytes[1] < y->bytes[1] ? -1 : 1;
	int order = memcmp(x->bytes + XATTR_ENTRY_BYTES, y->bytes + XATTR_ENTRY_BYTES, len);
	return order ? order : (int)x->bytes[0] - (int)y->bytes[0];
}

static int write_at(int fd, uint64_t offset, const void *bytes, size_t len, struct err *e)
{
	ssize_t put = pwrite(fd, bytes, len, (off_t)offset);
	if (put < 0)
		return err_sys(e, "cannot write an erofs image");
	return (size_t)put == len ? 0
				  : err_set(e, ERR_SYSTEM, "image/erofs",
					    "an erofs image was written in part");
}

/* Entries are padded each to 4 bytes, so any order of them fills the same place. */
static int sort_inode(void *ctx, const struct erofs *fs, const char *path,
		      const struct erofs_inode *inode, struct err *e)
{
	AUTO_FREE uint8_t *area = NULL;
	size_t first = 0, len = (size_t)inode->xattr_len;
	struct area_entry entries[256];
	size_t n = 0;
	(void)ctx;
	(void)path;
	if (len == 0)
		return 0;
	if (read_xattr_area(fs, inode, &area, &first, e) < 0)
		return -1;
	for (size_t at = first; at + XATTR_ENTRY_BYTES <= len; n++) {
		size_t entry_len = xattr_entry_len(area + at);
		if (n == ARRAY_LEN(entries) || entry_len > len - at)
			return malformed("the attributes of a file cannot be sorted", e);
		entries[n] = (struct area_entry){.bytes = area + at, .len = entry_len};
		at += entry_len;
	}
	if (n < 2)
		return 0;
	qsort(entries, n, sizeof(*entries), compare_entries);
	AUTO_FREE uint8_t *sorted = mem_alloc(len);
	size_t at = first;
	for (size_t i = 0; i < n; i++) {
		memcpy(sorted + at, entries[i].bytes, entries[i].len);
		at += entries[i].len;
	}
	return write_at(fs->fd, inode->xattr_offset + first, sorted + first, at - first, e);
}

/* CRC-32C without the final inversion, as the kernel's crc32c() is. */
static uint32_t crc32c(uint32_t crc, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

/* Over the rest of the superblock's block, its own field taken as zero: small inodes stand there. */
static int renew_checksum(const struct erofs *fs, struct err *e)
{
	size_t len = ((size_t)1 << fs->block_bits) - SB_OFFSET;
	if (!(fs->compat & COMPAT_CHECKSUM) || fs->block_bits <= 10)
		return 0;
	AUTO_FREE uint8_t *block = mem_alloc(len);
	if (read_at(fs, SB_OFFSET, block, len, e) < 0)
		return -1;
	memset(block + 4, 0, 4);
	uint32_t crc = crc32c(~0u, block, len);
	uint8_t field[4];
	for (size_t i = 0; i < sizeof(field); i++)
		field[i] = (uint8_t)(crc >> (8 * i));
	return write_at(fs->fd, SB_OFFSET + 4, field, sizeof(field), e);
}

int erofs_sort_xattrs(int fd, struct err *e)
{
	struct erofs fs;
	const struct erofs_visitor sorter = {.visit = sort_inode};
	if (erofs_open(fd, &fs, e) < 0 || erofs_walk(&fs, &sorter, e) < 0)
		return -1;
	return renew_checksum(&fs, e);
}
