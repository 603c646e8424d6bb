/*
 * A walk that is its own worklist: directories are found, queued and later opened beneath the
 * first one, so neither depth nor links cost or lead anywhere.
 */
#include "build/search.h"

#include <fcntl.h>
#include <regex.h>
#include <string.h>
#include <sys/stat.h>

#include "image/dir_names.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

enum { SKIP_MAX = 3, REASON_MAX = 128 };

struct search {
	const struct search_options *options;
	int root_fd;
	char *absolute; /* of the root */
	regex_t pattern;
	bool has_pattern;
	struct stat skip[SKIP_MAX];
	size_t skip_len;
	struct strvec dirs; /* relative to the root, "" is itself; grows while it is walked */
};

static void search_cleanup(struct search *s)
{
	mem_close_cleanup(&s->root_fd);
	free(s->absolute);
	if (s->has_pattern)
		regfree(&s->pattern);
	strvec_cleanup(&s->dirs);
}

static int compile_pattern(struct search *s, struct err *e)
{
	int code = regcomp(&s->pattern, s->options->pattern, REG_EXTENDED | REG_NOSUB);
	if (code != 0) {
		char reason[REASON_MAX];
		regerror(code, &s->pattern, reason, sizeof(reason));
		return err_set(e, ERR_USAGE, "build/bad-pattern",
			       "'%s' is not a regular expression: %s", s->options->pattern,
			       reason);
	}
	s->has_pattern = true;
	return 0;
}

/* Trees of images may hold stackerfiles of their own, and are not readable for everyone. */
static void find_own(struct search *s)
{
	const char *const own[SKIP_MAX] = {s->options->skip->state, s->options->skip->roots,
					   s->options->skip->oci};
	for (size_t i = 0; i < SKIP_MAX; i++)
		if (fstatat(AT_FDCWD, own[i], &s->skip[s->skip_len], 0) == 0)
			s->skip_len++;
}

static bool is_own(const struct search *s, const struct stat *st)
{
	for (size_t i = 0; i < s->skip_len; i++)
		if (s->skip[i].st_dev == st->st_dev && s->skip[i].st_ino == st->st_ino)
			return true;
	return false;
}

static void take(struct search *s, const char *path, struct strvec *ret)
{
	AUTO_FREE char *absolute = path_join(s->absolute, path);
	if (regexec(&s->pattern, absolute, 0, NULL, 0) != 0)
		return;
	AUTO_FREE char *named = path_join(s->options->dir, path);
	AUTO_FREE char *clean = path_clean(named);
	strvec_push(ret, clean);
}

static int search_dir(struct search *s, const char *path, struct strvec *ret, struct err *e)
{
	AUTO(strvec) names = {0};
	AUTO_CLOSE int fd = -1;
	if (path_open_beneath(s->root_fd, *path ? path : ".", O_RDONLY | O_DIRECTORY, 0, &fd,
			      e) < 0 ||
	    dir_names(fd, *path ? path : s->options->dir, &names, e) < 0)
		return err_hint(e, "search somewhere else with --search-dir");
	for (size_t i = 0; i < names.len; i++) {
		struct stat st;
		if (fstatat(fd, names.items[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue; /* gone since it was listed */
		AUTO_FREE char *child =
			*path ? path_join(path, names.items[i]) : mem_strdup(names.items[i]);
		if (S_ISDIR(st.st_mode) && !is_own(s, &st))
			strvec_push(&s->dirs, child);
		else if (S_ISREG(st.st_mode))
			take(s, child, ret);
	}
	return 0;
}

int search_stackerfiles(const struct search_options *options, struct strvec *ret, struct err *e)
{
	AUTO(search) s = {.options = options, .root_fd = -1};
	size_t first = ret->len;
	s.absolute = realpath(options->dir, NULL);
	if (!s.absolute)
		return err_sys(e, "cannot search '%s'", options->dir);
	if (path_open_dir(AT_FDCWD, options->dir, &s.root_fd, e) < 0 ||
	    compile_pattern(&s, e) < 0)
		return -1;
	find_own(&s);
	strvec_push(&s.dirs, "");
	for (size_t i = 0; i < s.dirs.len; i++) {
		AUTO_FREE char *path = mem_strdup(s.dirs.items[i]);
		if (search_dir(&s, path, ret, e) < 0)
			return -1;
	}
	if (ret->len == first)
		return err_set(e, ERR_USAGE, "build/no-stackerfiles",
			       "no file below '%s' has a path that matches '%s'", options->dir,
			       options->pattern);
	qsort(ret->items + first, ret->len - first, sizeof(*ret->items), str_compare_ptr);
	return 0;
}
