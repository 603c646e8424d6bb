/* Encoding and control characters of a YAML file; one pass, positions found only on failure. */
#include "recipe/yaml_text.h"

#include <stdint.h>
#include <string.h>

#include "util/limits.h"
#include "util/str.h"

struct pos yaml_text_pos(const char *text, size_t offset, const char *file)
{
	struct pos pos = {.file = file, .line = 1, .column = 1};

	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			pos.line++;
			pos.column = 1;
		} else if (((uint8_t)text[i] & 0xc0) != 0x80) {
			pos.column++;
		}
	}
	return pos;
}

/* A line break never is part of a multi-byte sequence, so the first bad line holds the fault.
 */
static int refuse_encoding(const char *text, size_t len, const char *file, struct err *e)
{
	const char *line = text;
	const char *end = text + len;

	for (;;) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));

		if (!stop)
			break;
		if (!str_is_utf8(line, (size_t)(stop - line)))
			break;
		line = stop + 1;
	}
	struct pos pos = yaml_text_pos(text, (size_t)(line - text), file);

	err_at(e, &pos, "yaml/encoding", "line %u is not valid UTF-8", pos.line);
	return err_hint(e, "save the file as UTF-8");
}

static bool is_at(const char *text, size_t len, size_t at, const char *sequence)
{
	size_t sequence_len = strlen(sequence);

	return len - at >= sequence_len && memcmp(text + at, sequence, sequence_len) == 0;
}

/* The length of the forbidden character at `at`, 0 if what stands there is fine. */
static size_t forbidden_at(const char *text, size_t len, size_t at)
{
	static const char *const unseen[] = {
		"\xe2\x80\xa8", "\xe2\x80\xa9", /* U+2028, U+2029: line breaks */
		"\xef\xbb\xbf", "\xef\xbf\xbe", "\xef\xbf\xbf", /* U+FEFF, FFFE, FFFF */
	};
	uint8_t c = (uint8_t)text[at];

	if (c == '\r')
		return is_at(text, len, at, "\r\n") ? 0 : 1;
	if (c < 0x20)
		return c == '\t' || c == '\n' ? 0 : 1;
	if (c == 0x7f)
		return 1;
	if (c == 0xc2)
		return (uint8_t)text[at + 1] < 0xa0 ? 2 : 0; /* C1 */
	for (size_t i = 0; c >= 0xe2 && i < sizeof(unseen) / sizeof(unseen[0]); i++) {
		if (is_at(text, len, at, unseen[i]))
			return strlen(unseen[i]);
	}
	return 0;
}

int yaml_text_check(const char *text, size_t len, const char *file, struct err *e)
{
	struct pos start = {.file = file, .line = 1, .column = 1};

	if (len > LIMIT_STACKERFILE_BYTES) {
		return err_at(e, &start, "yaml/too-big",
			      "file of %zu bytes is over the limit of %llu bytes", len,
			      (unsigned long long)LIMIT_STACKERFILE_BYTES);
	}
	if (!str_is_utf8(text, len))
		return refuse_encoding(text, len, file, e);
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		err_at(e, &start, "yaml/encoding", "file begins with a byte order mark");
		return err_hint(e, "save the file as UTF-8 without BOM");
	}
	for (size_t i = 0; i < len; i++) {
		size_t forbidden_len = forbidden_at(text, len, i);

		if (forbidden_len == 0)
			continue;
		struct pos pos = yaml_text_pos(text, i, file);
		char *shown = str_printable(text + i, forbidden_len);

		err_at(e, &pos, "yaml/control-character", "control character '%s' in the file",
		       shown);
		free(shown);
		return err_hint(e, "write it as an escape in a double-quoted scalar");
	}
	return 0;
}
