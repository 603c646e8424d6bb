/* See manual.h. */
#include "cli/manual.h"

#include <ctype.h>
#include <string.h>

#include "util/mem.h"

/* Text as it is: no mark-up, and nothing at the beginning of a line that scdoc would take for
 * some. */
static void add_plain(struct buf *out, const char *text, size_t len)
{
	bool begins = true;
	for (size_t i = 0; i < len; i++) {
		if (strchr("\\*_", text[i]) || (begins && strchr("#|[]:-+`.", text[i])))
			buf_add_byte(out, '\\');
		buf_add_byte(out, text[i]);
		begins = text[i] == '\n';
	}
}

static void add_text(struct buf *out, const char *text)
{
	add_plain(out, text, strlen(text));
}

/* A table or an example is shown as it stands. */
static void add_paragraph(struct buf *out, const char *text, size_t len)
{
	const char *indented = memchr(text, '\n', len);
	bool literal =
		text[0] == ' ' || (indented && indented + 1 < text + len && indented[1] == ' ');
	if (!literal) {
		add_plain(out, text, len);
		buf_add_c(out, "\n\n");
		return;
	}
	buf_add_c(out, "```\n");
	buf_add(out, text, len);
	buf_add_c(out, "\n```\n\n");
}

/* Paragraphs are parted by empty lines. */
static void add_paragraphs(struct buf *out, const char *text)
{
	while (*text) {
		const char *end = strstr(text, "\n\n");
		size_t len = end ? (size_t)(end - text) : strlen(text);
		size_t trimmed = len;
		while (trimmed > 0 && text[trimmed - 1] == '\n')
			trimmed--;
		if (trimmed > 0)
			add_paragraph(out, text, trimmed);
		text += len;
		text += strspn(text, "\n");
	}
}

static void add_options(struct buf *out, const struct opt *options)
{
	if (options->name)
		buf_add_c(out, "# OPTIONS\n\n");
	for (const struct opt *o = options; o->name; o++) {
		if (o->letter)
			buf_addf(out, "*-%c*, ", o->letter);
		buf_addf(out, "*--%s*", o->name);
		if (o->value) {
			buf_add_c(out, " _");
			add_text(out, o->value);
			buf_add_c(out, "_");
		}
		buf_add_c(out, "\n\t");
		add_text(out, o->help);
		buf_add_c(out, ".\n\n");
	}
}

/* "Builds images." -> "builds images", as NAME has it. */
static void add_summary(struct buf *out, const char *summary)
{
	size_t len = strlen(summary);
	AUTO_FREE char *text =
		mem_strndup(summary, len > 0 && summary[len - 1] == '.' ? len - 1 : len);
	text[0] = (char)tolower((unsigned char)text[0]);
	add_text(out, text);
}

void manual_page(const struct command *c, struct buf *out)
{
	buf_addf(out, "stacker-%s(1)\n\n# NAME\n\nstacker-%s - ", c->name, c->name);
	add_summary(out, c->summary);
	buf_addf(out, "\n\n# SYNOPSIS\n\n*stacker* [_global options_] *%s*", c->name);
	if (c->options->name)
		buf_add_c(out, " [_options_]");
	if (c->args) {
		buf_add_byte(out, ' ');
		add_text(out, c->args);
	}
	buf_add_c(out, "\n\n# DESCRIPTION\n\n");
	add_paragraphs(out, c->help);
	add_options(out, c->options);
	buf_add_c(out, "# SEE ALSO\n\n*stacker*(1), *stackerfile*(5)\n");
}
