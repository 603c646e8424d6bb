/* Shell-like word splitting: a state machine over characters, with one word under construction.
 */
#include "recipe/words.h"

#include <stddef.h>
#include <string.h>

#include "util/buf.h"
#include "util/mem.h"

/* White_Space of Unicode beyond ASCII. */
static const char *const wide_spaces[] = {
	"\xc2\x85",	"\xc2\xa0",	"\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81",
	"\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86",
	"\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8",
	"\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
};

/* The length in bytes of the white space at `text`, or 0. */
static size_t space_len(const char *text)
{
	if (*text == ' ' || (*text >= '\t' && *text <= '\r'))
		return 1;
	for (size_t i = 0; (*text & 0x80) && i < ARRAY_LEN(wide_spaces); i++) {
		size_t len = strlen(wide_spaces[i]);

		if (strncmp(text, wide_spaces[i], len) == 0)
			return len;
	}
	return 0;
}

static size_t char_len(const char *text)
{
	size_t len = 1;

	while (((unsigned char)text[len] & 0xc0) == 0x80)
		len++;
	return len;
}

static void end_word(struct buf *word, struct strvec *ret)
{
	if (word->len > 0)
		strvec_push(ret, word->data);
	buf_clear(word);
}

/* Copies the quoted text after the opening quote at `text`; gives what follows the closing
 * quote, NULL if there is none. */
static const char *copy_quoted(const char *text, struct buf *word)
{
	char quote = *text++;

	for (; *text != quote; text++) {
		if (*text == '\0')
			return NULL;
		if (quote == '"' && *text == '\\' && (text[1] == '\\' || text[1] == '"'))
			text++;
		buf_add_byte(word, *text);
	}
	return text + 1;
}

int words_split(const char *text, struct strvec *ret, struct err *e)
{
	AUTO(buf) word = BUF_INIT(strlen(text) + 1);

	while (*text) {
		size_t len = space_len(text);

		if (len > 0) {
			end_word(&word, ret);
			text += len;
		} else if (*text == '\'' || *text == '"') {
			char quote = *text;

			text = copy_quoted(text, &word);
			if (!text) {
				return err_set(e, ERR_RECIPE, "recipe/bad-command",
					       "unclosed quote (%c) in the command", quote);
			}
		} else {
			if (*text == '\\' && *++text == '\0') {
				return err_set(e, ERR_RECIPE, "recipe/bad-command",
					       "backslash at the end of the command");
			}
			len = char_len(text);
			buf_add(&word, text, len);
			text += len;
		}
	}
	end_word(&word, ret);
	return 0;
}
