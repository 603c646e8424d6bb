/*
 * The rules. Each looks at little of a file: a hostile step may have put anything in such a
 * place, and what is not of the form that a rule knows is packed as it is.
 */
#include "image/volatile.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/num.h"
#include "util/str.h"

enum { DAY_S = 86400, PYC_HEADER = 16, GZIP_HEADER = 10, TIME_BYTES = 4 };

static const char *const rule_names[] = {
	[VOLATILE_REMOVE] = "remove",  [VOLATILE_TRUNCATE] = "truncate",
	[VOLATILE_SET] = "set",	       [VOLATILE_PYTHON] = "python-time",
	[VOLATILE_GZIP] = "gzip-time", [VOLATILE_SHADOW] = "shadow-days",
};

bool volatile_rule_parse(const char *name, enum volatile_rule *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(rule_names); i++) {
		if (!str_same(name, rule_names[i]))
			continue;
		*ret = (enum volatile_rule)i;
		return true;
	}
	return false;
}

const char *volatile_rule_name(enum volatile_rule rule)
{
	BUG_IF((size_t)rule >= ARRAY_LEN(rule_names));
	return rule_names[rule];
}

void volatile_list_cleanup(struct volatile_list *l)
{
	for (size_t i = 0; i < l->len; i++) {
		mem_free_cleanup(&l->items[i].pattern);
		mem_free_cleanup(&l->items[i].content);
	}
	vec_free(l);
}

void volatile_list_add(struct volatile_list *l, const char *pattern, enum volatile_rule rule,
		       const char *content)
{
	struct volatile_file file = {.pattern = mem_strdup(pattern),
				     .rule = rule,
				     .content = content ? mem_strdup(content) : NULL};
	vec_push(l, file);
}

/*
 * After a mismatch it suffices to lengthen what the last star took: an earlier one can take no
 * bytes that the last could not. Of two kinds of star that holds for each kind, so both are
 * remembered, and a single star that meets a slash gives way to the double one before it.
 */
bool volatile_match(const char *pattern, const char *path)
{
	struct {
		const char *pattern, *path;
	} one = {NULL, NULL}, any = {NULL, NULL};
	for (;;) {
		if (pattern[0] == '*' && pattern[1] == '*') {
			pattern += 2;
			any.pattern = pattern;
			any.path = path;
			one.pattern = NULL;
		} else if (pattern[0] == '*') {
			one.pattern = ++pattern;
			one.path = path;
		} else if (*path != '\0' && *pattern == *path) {
			pattern++;
			path++;
		} else if (*path == '\0' && *pattern == '\0') {
			return true;
		} else if (one.pattern && *one.path != '\0' && *one.path != '/') {
			pattern = one.pattern;
			path = ++one.path;
		} else if (any.pattern && *any.path != '\0') {
			pattern = any.pattern;
			path = ++any.path;
			one.pattern = NULL;
		} else {
			return false;
		}
	}
}

const struct volatile_file *volatile_list_find(const struct volatile_list *l, const char *path)
{
	for (size_t i = 0; l && i < l->len; i++)
		if (volatile_match(l->items[i].pattern, path))
			return &l->items[i];
	return NULL;
}

void volatile_content_cleanup(struct volatile_content *c)
{
	buf_cleanup(&c->head);
}

uint64_t volatile_content_size(const struct volatile_content *c, uint64_t size)
{
	return c->file ? c->head.len + (size - c->skip) : size;
}

/* Up to `len` bytes from the start; fewer at the file's end. */
static int read_head(int fd, const char *path, size_t len, struct buf *ret, struct err *e)
{
	char chunk[16384];
	while (ret->len < len) {
		size_t want = len - ret->len < sizeof(chunk) ? len - ret->len : sizeof(chunk);
		ssize_t got = pread(fd, chunk, want, (off_t)ret->len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "cannot read '%s'", path);
		if (got == 0)
			break;
		buf_add(ret, chunk, (size_t)got);
	}
	return buf_check(ret, path, e);
}

static uint32_t get_le32(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_le32(unsigned char *p, uint32_t value)
{
	for (size_t i = 0; i < TIME_BYTES; i++)
		p[i] = (unsigned char)(value >> (8 * i));
}

/* False: it is not above the epoch, or the epoch does not fit. */
static bool lower_time(unsigned char *field, int64_t epoch_s)
{
	if (epoch_s < 0 || epoch_s > UINT32_MAX || get_le32(field) <= (uint32_t)epoch_s)
		return false;
	put_le32(field, (uint32_t)epoch_s);
	return true;
}

/* PEP 552: magic number and "\r\n", flags (0: by time), the source's time and size. */
static bool lower_python(struct buf *head, int64_t epoch_s)
{
	unsigned char *p = (unsigned char *)head->data;
	return head->len == PYC_HEADER && p[2] == '\r' && p[3] == '\n' &&
	       get_le32(p + 4) == 0 && lower_time(p + 8, epoch_s);
}

/* RFC 1952, 2.3; no checksum covers the time unless the flags say so. */
static bool lower_gzip(struct buf *head, int64_t epoch_s)
{
	unsigned char *p = (unsigned char *)head->data;
	enum { METHOD_DEFLATE = 8, FLAG_HEADER_CRC = 2 };
	return head->len == GZIP_HEADER && p[0] == 0x1f && p[1] == 0x8b &&
	       p[2] == METHOD_DEFLATE && (p[3] & FLAG_HEADER_CRC) == 0 &&
	       lower_time(p + 4, epoch_s);
}

/* One line of shadow(5): the third field is the day of the last change. True if it was changed.
 */
static bool add_shadow_line(const char *line, size_t len, uint64_t day, struct buf *out)
{
	const char *end = line + len, *from = memchr(line, ':', len);
	from = from ? memchr(from + 1, ':', (size_t)(end - from - 1)) : NULL;
	const char *to = from ? memchr(from + 1, ':', (size_t)(end - from - 1)) : NULL;
	uint64_t days;
	if (!to || !num_parse_u64(from + 1, (size_t)(to - from - 1), UINT32_MAX, &days) ||
	    days <= day) {
		buf_add(out, line, len);
		return false;
	}
	buf_add(out, line, (size_t)(from + 1 - line));
	buf_addf(out, "%" PRIu64, day);
	buf_add(out, to, (size_t)(end - to));
	return true;
}

static bool lower_shadow(const struct buf *text, int64_t epoch_s, struct buf *out)
{
	bool changed = false;
	if (epoch_s < 0)
		return false;
	for (size_t at = 0; at < text->len;) {
		const char *line = text->data + at;
		const char *newline = memchr(line, '\n', text->len - at);
		size_t len = newline ? (size_t)(newline - line) + 1 : text->len - at;
		changed |= add_shadow_line(line, len, (uint64_t)(epoch_s / DAY_S), out);
		at += len;
	}
	return changed;
}

/* The tree is at rest: a file that is shorter than its size is an error. */
static int read_at(int fd, uint64_t at, char *bytes, size_t len, const char *path,
		   struct err *e)
{
	size_t done = 0;
	while (done < len) {
		ssize_t got = pread(fd, bytes + done, len - done, (off_t)(at + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "cannot read '%s'", path);
		if (got == 0)
			return err_set(e, ERR_INPUT, "layer/changed-while-read",
				       "'%s' changed while it was read", path);
		done += (size_t)got;
	}
	return 0;
}

int volatile_content_equals(const struct volatile_content *c, const struct volatile_pair *files,
			    bool *ret, struct err *e)
{
	char own[16384], other[16384];
	*ret = false;
	if (volatile_content_size(c, files->size) != files->other_size)
		return 0;
	for (uint64_t at = 0, len; at < files->other_size; at += len) {
		bool in_head = at < c->head.len;
		uint64_t left = (in_head ? c->head.len : files->other_size) - at;
		len = left < sizeof(own) ? left : sizeof(own);
		if (in_head)
			memcpy(own, c->head.data + at, (size_t)len);
		else if (read_at(files->fd, c->skip + (at - c->head.len), own, (size_t)len,
				 files->path, e) < 0)
			return -1;
		if (read_at(files->other_fd, at, other, (size_t)len, files->path, e) < 0)
			return -1;
		if (memcmp(own, other, (size_t)len) != 0)
			return 0;
	}
	*ret = true;
	return 0;
}

/* All rules but those that need not look. *ret_changes false: there is nothing to lower. */
static int read_lowered(enum volatile_rule rule, const char *path, int fd, int64_t epoch_s,
			struct volatile_content *ret, bool *ret_changes, struct err *e)
{
	AUTO(buf) text = BUF_INIT(VOLATILE_HEAD_BYTES);
	if (rule != VOLATILE_SHADOW) {
		ret->skip = rule == VOLATILE_PYTHON ? PYC_HEADER : GZIP_HEADER;
		if (read_head(fd, path, ret->skip, &ret->head, e) < 0)
			return -1;
		*ret_changes = rule == VOLATILE_PYTHON ? lower_python(&ret->head, epoch_s)
						       : lower_gzip(&ret->head, epoch_s);
		return 0;
	}
	*ret_changes = false;
	if (ret->skip > VOLATILE_HEAD_BYTES)
		return 0;
	if (read_head(fd, path, ret->skip, &text, e) < 0)
		return -1;
	*ret_changes = lower_shadow(&text, epoch_s, &ret->head);
	return buf_check(&ret->head, path, e);
}

int volatile_content_read(const struct volatile_options *o, const char *path, int fd,
			  const struct stat *st, struct volatile_content *ret, struct err *e)
{
	bool changes = false;
	const struct volatile_file *file = volatile_list_find(o->files, path);
	ret->file = NULL;
	/* Of several names for one file only some might be listed. */
	if (!file || !S_ISREG(st->st_mode) || st->st_nlink > 1)
		return 0;
	ret->skip = (uint64_t)st->st_size;
	switch (file->rule) {
	case VOLATILE_REMOVE:
		changes = true;
		break;
	case VOLATILE_TRUNCATE:
		changes = st->st_size > 0;
		break;
	case VOLATILE_SET:
		changes = true;
		buf_add_c(&ret->head, file->content);
		if (buf_check(&ret->head, path, e) < 0)
			return -1;
		break;
	case VOLATILE_PYTHON:
	case VOLATILE_GZIP:
	case VOLATILE_SHADOW:
		if (read_lowered(file->rule, path, fd, o->epoch_s, ret, &changes, e) < 0)
			return -1;
		break;
	}
	if (changes)
		ret->file = file;
	return 0;
}
