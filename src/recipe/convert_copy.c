/*
 * COPY and ADD as imports. Docker puts a file into a directory if the destination ends in a
 * slash, and always a directory's contents; an import of a directory does that if its path ends
 * in one. What a source is, the build context tells; of another image's files it is guessed from
 * their names, towards what fails loudly if it is wrong.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recipe/convert_copy.h"
#include "recipe/dockerfile_words.h"
#include "util/limits.h"
#include "util/num.h"
#include "util/path.h"
#include "util/str.h"

static void copy_cleanup(struct copy *k)
{
	free(k->dest);
	strvec_cleanup(&k->exclude);
	free(k->chmod);
	free(k->chown);
	free(k->uid);
	free(k->gid);
}

static bool is_number(const char *text)
{
	uint64_t number;

	return num_parse_u64(text, strlen(text), 65535, &number);
}

/* `user:group` as numbers, where they are some. */
static void read_owner(struct copy *k)
{
	const char *colon = k->chown ? strchr(k->chown, ':') : NULL;
	AUTO_FREE char *user =
		k->chown ? mem_strndup(k->chown,
				       colon ? (size_t)(colon - k->chown) : strlen(k->chown))
			 : NULL;
	const char *group = colon ? colon + 1 : user;

	if (!user)
		return;
	if (str_same(user, "root")) {
		free(user);
		user = mem_strdup("0");
	}
	if (!group || str_same(group, "root"))
		group = "0";
	if (!colon)
		group = user;
	if (is_number(user) && is_number(group)) {
		k->uid = mem_strdup(user);
		k->gid = mem_strdup(group);
	}
}

/* 0755 of 755, 0755 and 4755; NULL for what is no number. */
static char *octal_mode(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > 5 || strspn(text, "01234567") != len)
		return NULL;
	AUTO_FREE char *mode = text[0] == '0' ? mem_strdup(text) : mem_printf("0%s", text);
	uint32_t value;

	return num_parse_mode(mode, strlen(mode), &value) ? TAKE_PTR(mode) : NULL;
}

/* Owners and modes that only a shell of the image can set. */
static void add_prelude(struct converter *c, const struct copy *k, const char *where,
			bool needs_chmod)
{
	struct buf *b = &convert_current(c)->prelude;

	convert_stage(c)->has_run = true;
	if (k->chown && !k->uid) {
		buf_add_c(b, "chown -R ");
		convert_quote(b, k->chown);
		if (!strchr(k->chown, ':')) {
			buf_add_c(b, ":\"$(id -g ");
			convert_quote(b, k->chown);
			buf_add_c(b, ")\"");
		}
		buf_add_byte(b, ' ');
		convert_quote(b, where);
		buf_add_byte(b, '\n');
	}
	if (needs_chmod) {
		buf_add_c(b, "chmod -R ");
		convert_quote(b, k->chmod);
		buf_add_byte(b, ' ');
		convert_quote(b, where);
		buf_add_byte(b, '\n');
	}
}

/* Where the files come to in the image. */
static char *landing(const char *path, const char *dest)
{
	AUTO_FREE char *bare = mem_strndup(path, strcspn(path, "?#"));
	AUTO_FREE char *base = path_base(bare);

	return str_has_suffix(dest, "/") && !str_has_suffix(path, "/")
		       ? mem_printf("%s%s", dest, base)
		       : mem_strdup(dest);
}

int copy_add_import(struct converter *c, struct copy *k, char *path, const char *dest,
		    struct err *e)
{
	bool is_dir = str_has_suffix(path, "/");
	struct convert_import import = {.path = path};
	AUTO_FREE char *mode = k->chmod ? octal_mode(k->chmod) : NULL;
	bool needs_chmod = k->chmod && (!mode || is_dir);

	if (++k->imports > LIMIT_CONVERT_IMPORTS) {
		free(path);
		err_at(e, &c->pos, "dockerfile/too-big",
		       "'%s' comes to more than %d files and directories", k->i->keyword,
		       LIMIT_CONVERT_IMPORTS);
		return err_hint(e, "exclude fewer files of large directories");
	}
	import.dest = mem_strdup(dest);
	import.uid = k->uid ? mem_strdup(k->uid) : NULL;
	import.gid = k->gid ? mem_strdup(k->gid) : NULL;
	import.mode = mode && !is_dir ? TAKE_PTR(mode) : NULL;
	vec_push(&convert_current(c)->imports, import);
	if ((k->chown && !k->uid) || needs_chmod) {
		AUTO_FREE char *lands = landing(path, dest);

		add_prelude(c, k, lands, needs_chmod);
	}
	return 0;
}

/* Whether a path of another image rather is a file. */
static bool looks_like_file(const char *path, const char *dest)
{
	static const char *const dirs[] = {"bin", "sbin", "release", "debug"};
	AUTO_FREE char *base = path_base(path);
	AUTO_FREE char *parent = mem_strndup(path, strlen(path) - strlen(base));
	AUTO_FREE char *parent_base = path_base(parent);
	AUTO_FREE char *dest_base = path_base(dest);

	if (strchr(base, '.') && base[0] != '.')
		return true;
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		if (str_same(parent_base, dirs[i]) || (i < 2 && str_same(dest_base, dirs[i])))
			return true;
	}
	return false;
}

static int copy_from_image(struct converter *c, struct copy *k, const char *image,
			   const char *source, struct err *e)
{
	AUTO_FREE char *clean = copy_clean_source(source);
	AUTO_FREE char *path = copy_without_slash(clean);
	AUTO_FREE char *target = copy_without_slash(k->dest);
	bool is_dir = path[0] == '\0' || str_has_suffix(clean, "/");

	if (copy_has_wildcard(clean)) {
		convert_note(c,
			     "COPY --from: the wildcards of '%s' are not converted, as what "
			     "they match is not known before the build; name the files",
			     source);
		return 0;
	}
	if (!is_dir && (!str_has_suffix(k->dest, "/") || looks_like_file(path, k->dest)))
		return copy_add_import(c, k, mem_printf("stacker://%s/%s", image, path),
				       k->dest, e);
	if (!is_dir)
		convert_note(c,
			     "COPY --from: '%s' is taken for a directory; if it is a file, "
			     "remove the '/' at the end of its path and add one to 'dest'",
			     source);
	return copy_add_import(c, k,
			       mem_printf("stacker://%s/%s%s", image, path, path[0] ? "/" : ""),
			       target, e);
}

static bool is_http(const char *text)
{
	return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

static bool is_git(const char *text)
{
	size_t len = strcspn(text, "#?");

	return str_has_prefix(text, "git@") || str_has_prefix(text, "git://") ||
	       str_has_prefix(text, "ssh://") ||
	       (is_http(text) && len > 4 && memcmp(text + len - 4, ".git", 4) == 0);
}

static int add_url(struct converter *c, struct copy *k, const char *url, struct err *e)
{
	if (copy_add_import(c, k, mem_strdup(url), k->dest, e) != 0)
		return -1;
	struct convert_import_vec *imports = &convert_current(c)->imports;
	struct convert_import *import = &imports->items[imports->len - 1];
	const char *unpack = dockerfile_flag(k->i, "unpack");

	import->hash = k->hash ? mem_strdup(k->hash) : NULL;
	if (unpack && str_same(unpack, "true"))
		import->unpack = true;
	else if (!import->mode && !k->chmod)
		import->mode = mem_strdup("0600"); /* as Docker does */
	if (!k->hash)
		convert_note(c,
			     "ADD: add the sha256 of '%s' as 'hash', or let 'stacker lock' "
			     "do it",
			     url);
	return 0;
}

static int copy_source(struct converter *c, struct copy *k, const char *image,
		       const char *source, struct err *e)
{
	if (image)
		return copy_from_image(c, k, image, source, e);
	if (k->is_add && is_git(source)) {
		convert_note(c,
			     "ADD of the git repository '%s' is not converted; import an "
			     "archive of one commit, with its hash and 'unpack: true'",
			     source);
		return 0;
	}
	if (k->is_add && is_http(source))
		return add_url(c, k, source, e);
	return copy_from_context(c, k, source, e);
}

/* COPY <<NAME: the text becomes a file by the script. */
static int copy_heredocs(struct converter *c, struct copy *k, struct err *e)
{
	for (size_t n = 0; n < k->i->heredocs.len; n++) {
		const struct dockerfile_heredoc *h = &k->i->heredocs.items[n];
		AUTO_FREE char *path = str_has_suffix(k->dest, "/")
					       ? mem_printf("%s%s", k->dest, h->name)
					       : mem_strdup(k->dest);
		AUTO_FREE char *content = h->expands ? convert_expand_body(c, h->content)
						     : mem_strdup(h->content);

		if (convert_begin_run(c, e) != 0)
			return -1;
		convert_write_file(c, path, content);
		struct buf *run = &convert_current(c)->run;
		const char *const words[] = {"chmod ", k->chmod, "chown ", k->chown};

		for (size_t w = 0; w < ARRAY_LEN(words); w += 2) {
			if (!words[w + 1])
				continue;
			buf_add_c(run, words[w]);
			convert_quote(run, words[w + 1]);
			buf_add_byte(run, ' ');
			convert_quote(run, path);
			buf_add_byte(run, '\n');
		}
	}
	return 0;
}

static void read_flags(struct converter *c, struct copy *k)
{
	static const char *const known[] = {"from", "link", "keep-git-dir", "unpack"};

	for (size_t n = 0; n < k->i->flags.len; n++) {
		const struct dockerfile_flag *flag = &k->i->flags.items[n];
		bool is_known = false;

		for (size_t i = 0; i < ARRAY_LEN(known); i++)
			is_known = is_known || str_same(flag->name, known[i]);
		if (str_same(flag->name, "chown")) {
			free(k->chown);
			k->chown = convert_expand(c, flag->value);
		} else if (str_same(flag->name, "chmod")) {
			free(k->chmod);
			k->chmod = convert_expand(c, flag->value);
		} else if (str_same(flag->name, "exclude")) {
			ignore_read(flag->value, &k->exclude);
		} else if (str_same(flag->name, "parents")) {
			k->parents = !str_same(flag->value, "false");
		} else if (str_same(flag->name, "checksum")) {
			k->hash = flag->value;
		} else if (!is_known) {
			convert_note(c, "%s --%s is not converted", k->i->keyword, flag->name);
		}
	}
	read_owner(k);
}

/* Imports come before the script, and one owner's prelude must not touch another's files. */
static int begin_imports(struct converter *c, const struct copy *k, struct err *e)
{
	struct convert_image *image = convert_current(c);
	const char *owner = k->chown && !k->uid ? k->chown : NULL;

	if (image->run.len > 0 ||
	    (image->prelude.len > 0 && !(owner && str_same(image->owner, owner)))) {
		if (convert_split(c, e) != 0)
			return -1;
		image = convert_current(c);
	}
	if (owner && !image->owner)
		image->owner = mem_strdup(owner);
	return 0;
}

static int copy_words(struct converter *c, struct copy *k, const struct strvec *words,
		      struct err *e)
{
	const char *from = k->is_add ? NULL : dockerfile_flag(k->i, "from");
	AUTO_FREE char *image = NULL;

	if (from) {
		AUTO_FREE char *name = convert_expand(c, from);

		if (convert_resolve_from(c, name, &image, e) != 0)
			return -1;
	}
	if (k->i->heredocs.len > 0)
		return copy_heredocs(c, k, e);
	if (begin_imports(c, k, e) != 0)
		return -1;
	for (size_t n = 0; n + 1 < words->len; n++) {
		AUTO_FREE char *source = convert_expand(c, words->items[n]);

		if (copy_source(c, k, image, source, e) != 0)
			return -1;
	}
	return 0;
}

int convert_copy(struct converter *c, const struct dockerfile_instruction *i, struct err *e)
{
	AUTO(copy) k = {.i = i, .is_add = str_same(i->keyword, "ADD")};
	AUTO(strvec) words = {0};

	read_flags(c, &k);
	if (i->is_json) {
		for (size_t n = 0; n < i->words.len; n++)
			strvec_push(&words, i->words.items[n]);
	} else {
		dockerfile_split_blanks(i->text, &words);
	}
	if (words.len < 2)
		return err_at(e, &c->pos, "dockerfile/syntax",
			      "'%s' needs a source and a destination", i->keyword);
	AUTO_FREE char *last = convert_expand(c, words.items[words.len - 1]);
	bool is_dir = str_has_suffix(last, "/") || str_has_suffix(last, "/.") ||
		      str_same(last, ".") || str_same(last, "..") || words.len > 2;
	AUTO_FREE char *dest = convert_image_path(c, last);

	k.dest = mem_printf("%s%s", dest, is_dir && !str_has_suffix(dest, "/") ? "/" : "");
	return copy_words(c, &k, &words, e);
}
