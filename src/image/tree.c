/*
 * Lists of files: comparing two, and carrying one out of a worker. The carried form is a line
 * of numbers, then the names, each ended by a NUL, which no name can hold; it is parsed as
 * strictly as an archive, since the worker that wrote it has read hostile bytes.
 */
#include "image/tree.h"

#include <stdlib.h>
#include <string.h>

#include "image/tree_internal.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/str.h"

#define TREE_HEADER "stacker-tree 1"

void tree_entry_cleanup(struct tree_entry *entry)
{
	mem_free_cleanup(&entry->path);
	mem_free_cleanup(&entry->target);
}

void tree_cleanup(struct tree *t)
{
	for (size_t i = 0; i < t->len; i++)
		tree_entry_cleanup(&t->items[i]);
	vec_free(t);
}

static int compare_paths(const void *a, const void *b)
{
	const struct tree_entry *x = a, *y = b;
	return strcmp(x->path, y->path);
}

void tree_sort(struct tree *t)
{
	if (t->len > 0)
		qsort(t->items, t->len, sizeof(*t->items), compare_paths);
}

static void digest_text(const struct digest *d, char out[DIGEST_TEXT_MAX])
{
	if (d->alg == DIGEST_NONE)
		memcpy(out, "-", 2);
	else
		digest_format(d, out);
}

void tree_serialise(const struct tree *t, struct buf *out)
{
	buf_add(out, TREE_HEADER, sizeof(TREE_HEADER));
	for (size_t i = 0; i < t->len; i++) {
		const struct tree_entry *x = &t->items[i];
		char content[DIGEST_TEXT_MAX], xattrs[DIGEST_TEXT_MAX];
		digest_text(&x->digest, content);
		digest_text(&x->xattrs, xattrs);
		buf_addf(out, "%c %u %llu %llu %lld %llu %llu %s %s", x->type, x->mode,
			 (unsigned long long)x->uid, (unsigned long long)x->gid,
			 (long long)x->mtime_s, (unsigned long long)x->size,
			 (unsigned long long)x->rdev, content, xattrs);
		buf_add_byte(out, '\0');
		buf_add(out, x->path, strlen(x->path) + 1);
		if (x->target)
			buf_add(out, x->target, strlen(x->target) + 1);
	}
}

struct parser {
	const char *at, *end;
};

/* The text up to the next NUL. */
static bool take_text(struct parser *p, struct str *ret)
{
	const char *nul = p->at < p->end ? memchr(p->at, '\0', (size_t)(p->end - p->at)) : NULL;
	if (nul == NULL)
		return false;
	*ret = (struct str){p->at, (size_t)(nul - p->at)};
	p->at = nul + 1;
	return true;
}

/* The next word of a line, which moves past it. */
static struct str take_word(struct str *line)
{
	const char *space = line->len > 0 ? memchr(line->ptr, ' ', line->len) : NULL;
	size_t len = space ? (size_t)(space - line->ptr) : line->len;
	struct str word = {line->ptr, len};
	line->ptr += len + (space != NULL);
	line->len -= len + (space != NULL);
	return word;
}

static bool take_u64(struct str *line, uint64_t max, uint64_t *ret)
{
	struct str word = take_word(line);
	return num_parse_u64(word.ptr, word.len, max, ret);
}

static bool take_digest(struct str *line, struct digest *ret)
{
	struct str word = take_word(line);
	if (str_eq_c(word, "-")) {
		*ret = (struct digest){.alg = DIGEST_NONE};
		return true;
	}
	struct err ignored = ERR_INIT;
	AUTO_FREE char *text = mem_strndup(word.ptr, word.len);
	return digest_parse(text, ret, &ignored) == 0;
}

static bool take_numbers(struct str line, struct tree_entry *ret)
{
	if (line.len == 0 || line.ptr[line.len - 1] == ' ')
		return false;
	struct str type = take_word(&line);
	uint64_t mode = 0;
	if (type.len != 1 || memchr("fdlhcbp", type.ptr[0], 7) == NULL)
		return false;
	ret->type = type.ptr[0];
	if (!take_u64(&line, 07777, &mode) || !take_u64(&line, UINT64_MAX, &ret->uid) ||
	    !take_u64(&line, UINT64_MAX, &ret->gid))
		return false;
	ret->mode = (uint32_t)mode;
	struct str mtime = take_word(&line);
	return num_parse_i64(mtime.ptr, mtime.len, &ret->mtime_s) &&
	       take_u64(&line, UINT64_MAX, &ret->size) &&
	       take_u64(&line, UINT64_MAX, &ret->rdev) && take_digest(&line, &ret->digest) &&
	       take_digest(&line, &ret->xattrs) && line.len == 0;
}

static bool take_entry(struct parser *p, const struct tree *t, struct tree_entry *ret)
{
	struct str line, path, target;
	if (!take_text(p, &line) || !take_numbers(line, ret) || !take_text(p, &path))
		return false;
	ret->path = mem_strndup(path.ptr, path.len);
	if (t->len > 0 && strcmp(t->items[t->len - 1].path, ret->path) >= 0)
		return false; /* sorted, so also no name twice */
	if (ret->type != 'l' && ret->type != 'h')
		return true;
	if (!take_text(p, &target))
		return false;
	ret->target = mem_strndup(target.ptr, target.len);
	return true;
}

int tree_parse(const char *bytes, size_t len, struct tree *ret, struct err *e)
{
	AUTO(tree) t = {0};
	struct parser p = {bytes, bytes + len};
	struct str header;
	bool ok = take_text(&p, &header) && str_eq_c(header, TREE_HEADER);
	while (ok && p.at < p.end) {
		AUTO(tree_entry) entry = {0};
		ok = t.len < LIMIT_UNPACK_ENTRIES && take_entry(&p, &t, &entry);
		if (!ok)
			break;
		vec_push(&t, entry);
		entry = (struct tree_entry){0};
	}
	if (!ok)
		return err_set(e, ERR_INPUT, "tree/malformed",
			       "a list of files is malformed at byte %zu",
			       (size_t)(p.at - bytes));
	*ret = t;
	t = (struct tree){0};
	return 0;
}

struct comparison {
	void (*report)(void *ctx, const struct tree_difference *d);
	void *ctx;
};

static void report(const struct comparison *c, const char *field, const struct tree_entry *a,
		   const struct tree_entry *b)
{
	const struct tree_difference d = {
		.path = a ? a->path : b->path, .field = field, .a = a, .b = b};
	c->report(c->ctx, &d);
}

/* Unlike digest_eq: absent on both sides is the same. */
static bool digest_same(const struct digest *a, const struct digest *b)
{
	return (a->alg == DIGEST_NONE && b->alg == DIGEST_NONE) || digest_eq(a, b);
}

/* Both exist. Of different types nothing else is worth comparing. */
static void compare_entries(const struct comparison *c, const struct tree_entry *a,
			    const struct tree_entry *b)
{
	if (a->type != b->type) {
		report(c, "type", a, b);
		return;
	}
	if (a->mode != b->mode)
		report(c, "mode", a, b);
	if (a->uid != b->uid)
		report(c, "uid", a, b);
	if (a->gid != b->gid)
		report(c, "gid", a, b);
	if (a->mtime_s != b->mtime_s)
		report(c, "mtime", a, b);
	if (a->size != b->size)
		report(c, "size", a, b);
	if (!digest_same(&a->digest, &b->digest))
		report(c, "content", a, b);
	if (!str_same(a->target, b->target))
		report(c, "target", a, b);
	if (!digest_same(&a->xattrs, &b->xattrs))
		report(c, "xattrs", a, b);
	if (a->rdev != b->rdev)
		report(c, "rdev", a, b);
}

void tree_compare(const struct tree *a, const struct tree *b,
		  void (*report_fn)(void *ctx, const struct tree_difference *d), void *ctx)
{
	const struct comparison c = {report_fn, ctx};
	for (size_t i = 0, j = 0; i < a->len || j < b->len;) {
		const struct tree_entry *x = i < a->len ? &a->items[i] : NULL;
		const struct tree_entry *y = j < b->len ? &b->items[j] : NULL;
		int order = x == NULL ? 1 : y == NULL ? -1 : strcmp(x->path, y->path);
		if (order < 0)
			report(&c, "removed", x, NULL);
		else if (order > 0)
			report(&c, "added", NULL, y);
		else
			compare_entries(&c, x, y);
		i += order <= 0;
		j += order >= 0;
	}
}
