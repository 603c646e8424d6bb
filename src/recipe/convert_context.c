/*
 * What COPY takes from the build context. A directory is one import, unless something in it is
 * left out: then each child is one.
 */
#include <stdlib.h>
#include <string.h>

#include "recipe/convert_copy.h"
#include "util/limits.h"
#include "util/path.h"
#include "util/str.h"

static bool is_mark(const char *text)
{
	return strchr(text, MARK_BEGIN) != NULL;
}

static char *below(const char *dir, const char *name)
{
	return dir[0] == '\0' ? mem_strdup(name) : mem_printf("%s/%s", dir, name);
}

char *copy_without_slash(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	return mem_strndup(path, len);
}

static bool is_excluded(const struct converter *c, const struct copy *k, const char *path,
			const char *below_source)
{
	const struct strvec *outputs = c->options->outputs;

	return (outputs && strvec_has(outputs, path)) || ignore_matches(&c->ignored, path) ||
	       (k->exclude.len > 0 && ignore_matches(&k->exclude, below_source));
}

/* A directory of the context in the copying. */
struct walk {
	struct converter *c;
	struct copy *k;
	size_t source_len; /* of the path that was named, with its slash */
	size_t looks_left;
};

enum { DEPTH_MAX = 64 };

/* Whether anything below a directory is left out. */
static int holds_excluded(struct walk *w, const char *dir, unsigned depth, bool *ret,
			  struct err *e)
{
	const struct convert_files *files = w->c->options->files;
	AUTO(strvec) names = {0};

	if (files->list(files->ctx, dir, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.len && !*ret; i++) {
		AUTO_FREE char *path = below(dir, names.items[i]);

		if (w->looks_left-- == 0)
			return err_at(e, &w->c->pos, "dockerfile/too-big",
				      "the build context holds too many files to look at");
		if (is_excluded(w->c, w->k, path, path + w->source_len))
			*ret = true;
		else if (depth > 0 && files->kind(files->ctx, path) == CONVERT_DIR &&
			 holds_excluded(w, path, depth - 1, ret, e) != 0)
			return -1;
	}
	return 0;
}

/* The contents of a directory of the context into `dest`, child by child where something is
 * left out. */
static int copy_directory(struct walk *w, const char *dir, const char *dest, unsigned depth,
			  struct err *e)
{
	const struct convert_options *o = w->c->options;
	/* What stacker writes beside the Dockerfile may not be there yet. */
	bool partly = dir[0] == '\0' && o->outputs && o->outputs->len > 0;
	AUTO(strvec) names = {0};

	if (!partly && depth > 0 && (w->c->ignored.len > 0 || w->k->exclude.len > 0) &&
	    holds_excluded(w, dir, depth, &partly, e) != 0)
		return -1;
	if (!partly) {
		const char *written = dir[0] == '\0' && o->prefix[0] == '\0' ? "." : dir;

		return copy_add_import(
			w->c, w->k,
			mem_printf("%s%s%s", o->prefix, written, written[0] ? "/" : ""), dest,
			e);
	}
	if (o->files->list(o->files->ctx, dir, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		AUTO_FREE char *path = below(dir, names.items[i]);
		AUTO_FREE char *inner =
			mem_printf("%s/%s", str_same(dest, "/") ? "" : dest, names.items[i]);

		bool is_dir = o->files->kind(o->files->ctx, path) == CONVERT_DIR;

		if (is_excluded(w->c, w->k, path, path + w->source_len))
			continue;
		if (is_dir ? copy_directory(w, path, inner, depth - 1, e) != 0
			   : copy_add_import(w->c, w->k, mem_printf("%s%s", o->prefix, path),
					     inner, e) != 0)
			return -1;
	}
	return 0;
}

static bool is_archive(const char *path)
{
	static const char *const ends[] = {".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2",
					   ".tbz", ".tar.xz", ".txz", ".tar.zst"};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		if (str_has_suffix(path, ends[i]))
			return true;
	}
	return false;
}

static int copy_file(struct converter *c, struct copy *k, const char *path, struct err *e)
{
	const char *unpack = dockerfile_flag(k->i, "unpack");
	bool is_unpacked =
		k->is_add && is_archive(path) && !(unpack && str_same(unpack, "false"));
	AUTO_FREE char *target =
		is_unpacked ? copy_without_slash(k->dest) : mem_strdup(k->dest);

	if (copy_add_import(c, k, mem_printf("%s%s", c->options->prefix, path), target, e) != 0)
		return -1;
	struct convert_import_vec *imports = &convert_current(c)->imports;

	imports->items[imports->len - 1].unpack = is_unpacked;
	return 0;
}

/* A source of the context, into the destination itself. */
static int copy_path(struct converter *c, struct copy *k, const char *path, struct err *e)
{
	const struct convert_files *files = c->options->files;
	AUTO_FREE char *flat = convert_flatten(path);
	bool slash = path[0] == '\0' || str_has_suffix(path, "/");
	AUTO_FREE char *clean = copy_without_slash(path);
	AUTO_FREE char *base = path_base(clean);
	AUTO_FREE char *target = copy_without_slash(k->dest);
	enum convert_kind kind = files ? files->kind(files->ctx, flat) : CONVERT_ABSENT;

	if (kind == CONVERT_ABSENT)
		convert_note(c, "%s: '%s' is not in the build context and taken for a %s",
			     k->i->keyword, flat, slash ? "directory" : "file");
	if (kind == CONVERT_DIR && !is_mark(path)) {
		struct walk w = {c, k, clean[0] ? strlen(clean) + 1 : 0, LIMIT_CONVERT_LOOKS};

		return copy_directory(&w, clean, target, DEPTH_MAX, e);
	}
	if (kind == CONVERT_DIR || (kind == CONVERT_ABSENT && slash))
		return copy_add_import(
			c, k, mem_printf("%s%s/", c->options->prefix, clean[0] ? clean : "."),
			target, e);
	if (is_excluded(c, k, clean, base)) {
		convert_note(c, "%s: '%s' is left out by .dockerignore or --exclude",
			     k->i->keyword, flat);
		return 0;
	}
	return copy_file(c, k, clean, e);
}

/* Without wildcards. With --parents it comes into the same directories as in the context. */
static int copy_one(struct converter *c, struct copy *k, const char *path, struct err *e)
{
	char *dest = k->dest;
	AUTO_FREE char *clean = copy_without_slash(path);
	AUTO_FREE char *inner =
		mem_printf("%s%s%s", dest, str_has_suffix(dest, "/") ? "" : "/", clean);

	if (k->parents)
		k->dest = inner;
	int rc = copy_path(c, k, path, e);

	k->dest = dest;
	return rc;
}

bool copy_has_wildcard(const char *path)
{
	return strpbrk(path, "*?[") != NULL;
}

/* What matches in the context, one directory level of the pattern at a time. */
static int copy_matching(struct converter *c, struct copy *k, const char *pattern,
			 const char *dir, size_t *matched, struct err *e)
{
	const char *slash = strchr(pattern, '/');
	AUTO_FREE char *part =
		mem_strndup(pattern, slash ? (size_t)(slash - pattern) : strlen(pattern));
	AUTO(strvec) names = {0};

	if (c->options->files->kind(c->options->files->ctx, dir) != CONVERT_DIR)
		return 0;
	if (c->options->files->list(c->options->files->ctx, dir, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		AUTO_FREE char *path = below(dir, names.items[i]);
		int rc = 0;

		if (!ignore_glob(part, names.items[i]) || is_excluded(c, k, path, path))
			continue;
		if (slash) {
			rc = copy_matching(c, k, slash + 1, path, matched, e);
		} else {
			(*matched)++;
			rc = copy_one(c, k, path, e);
		}
		if (rc != 0)
			return -1;
	}
	return 0;
}

/* Without "." and leading slashes; ".." cannot lead out of the context. */
char *copy_clean_source(const char *source)
{
	AUTO_FREE char *rooted = mem_printf("/%s", source);
	AUTO_FREE char *clean = path_clean(rooted);
	AUTO(buf) out = BUF_INIT(65536);

	for (const char *at = clean; *at;) {
		at += *at == '/';
		size_t len = strcspn(at, "/");

		if (len > 0 && !(len == 2 && memcmp(at, "..", 2) == 0)) {
			if (out.len > 0)
				buf_add_byte(&out, '/');
			buf_add(&out, at, len);
		}
		at += len;
	}
	if (out.len > 0 && str_has_suffix(source, "/"))
		buf_add_byte(&out, '/');
	return buf_take(&out);
}

int copy_from_context(struct converter *c, struct copy *k, const char *source, struct err *e)
{
	AUTO_FREE char *clean = copy_clean_source(source);
	size_t matched = 0;

	if (!copy_has_wildcard(clean))
		return copy_one(c, k, clean, e);
	if (!c->options->files) {
		convert_note(c, "%s: the wildcards of '%s' are not converted; name the files",
			     k->i->keyword, source);
		return 0;
	}
	AUTO_FREE char *flat = convert_flatten(clean);
	AUTO_FREE char *pattern = copy_without_slash(flat);

	if (copy_matching(c, k, pattern, "", &matched, e) != 0)
		return -1;
	convert_note(c,
		     matched > 0 ? "%s: '%s' is written out as it matches now"
				 : "%s: '%s' matches nothing in the build context",
		     k->i->keyword, source);
	return 0;
}
