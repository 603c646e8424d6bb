/*
 * Patterns as .dockerignore has them: Go's filepath.Match with `**` for any number of
 * directories, later lines overriding earlier ones, `!` for exceptions. A pattern that matches a
 * directory matches what is in it.
 */
#include <stdlib.h>
#include <string.h>

#include "recipe/convert_internal.h"
#include "util/path.h"
#include "util/str.h"

/* A [class] at `pattern`: whether `c` is in it; *ret_len is its length, 0 if it does not end. */
static bool in_class(const char *pattern, char c, size_t *ret_len)
{
	size_t i = 1;
	bool negated = pattern[1] == '^';
	bool found = false;

	for (i += negated; pattern[i] && pattern[i] != ']'; i++) {
		if (pattern[i] == '\\' && pattern[i + 1])
			i++;
		char low = pattern[i];
		char high = low;

		if (pattern[i + 1] == '-' && pattern[i + 2] && pattern[i + 2] != ']') {
			high = pattern[i + 2];
			i += 2;
		}
		if (low <= c && c <= high)
			found = true;
	}
	*ret_len = pattern[i] ? i + 1 : 0;
	return found != negated;
}

/* Iterative, so that no pattern is slow: after a mismatch only the last `*` (within a name) and
 * the last `**` are taken back. */
bool ignore_glob(const char *pattern, const char *text)
{
	const char *star = NULL, *star_text = NULL;
	const char *deep = NULL, *deep_text = NULL;

	for (;;) {
		size_t class_len = 0;
		bool one = false;
		size_t step = 1;

		if (pattern[0] == '*' && pattern[1] == '*') {
			deep = pattern + 2 + (pattern[2] == '/');
			deep_text = text;
			pattern = deep;
			star = NULL;
			continue;
		}
		if (*pattern == '*') {
			star = ++pattern;
			star_text = text;
			continue;
		}
		if (*pattern == '\0' && *text == '\0')
			return true;
		if (*text && *pattern == '[') {
			one = *text != '/' && in_class(pattern, *text, &class_len);
			step = class_len;
			one = one && class_len > 0;
		} else if (*text && *pattern == '?') {
			one = *text != '/';
		} else if (*text && *pattern) {
			step = pattern[0] == '\\' && pattern[1] ? 2 : 1;
			one = pattern[step - 1] == *text;
		}
		if (one) {
			pattern += step;
			text++;
		} else if (star && *star_text && *star_text != '/') {
			text = ++star_text;
			pattern = star;
		} else if (deep && *deep_text) {
			text = ++deep_text;
			pattern = deep;
			star = NULL;
		} else {
			return false;
		}
	}
}

void ignore_read(const char *text, struct strvec *ret)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		size_t end = len;

		while (end > 0 && strchr(" \t\r", text[end - 1]))
			end--;
		size_t start = strspn(text, " \t");
		bool negated = start < end && text[start] == '!';

		if (start < end && text[start] != '#') {
			AUTO_FREE char *raw =
				mem_strndup(text + start + negated, end - start - negated);
			AUTO_FREE char *cleaned = path_clean(raw);
			AUTO_FREE char *pattern =
				mem_printf("%s%s", negated ? "!" : "",
					   cleaned[0] == '/' ? cleaned + 1 : cleaned);

			strvec_push(ret, pattern);
		}
		text += len + (text[len] == '\n');
	}
}

/* Whether the pattern matches the path or a directory it lies in. */
static bool matches_above(const char *pattern, const char *path)
{
	AUTO_FREE char *part = mem_strdup(path);

	for (;;) {
		if (ignore_glob(pattern, part))
			return true;
		char *slash = strrchr(part, '/');

		if (!slash)
			return false;
		*slash = '\0';
	}
}

bool ignore_matches(const struct strvec *patterns, const char *path)
{
	bool ignored = false;

	for (size_t i = 0; i < patterns->len; i++) {
		const char *pattern = patterns->items[i];
		bool negated = pattern[0] == '!';

		if (matches_above(pattern + negated, path))
			ignored = !negated;
	}
	return ignored;
}
