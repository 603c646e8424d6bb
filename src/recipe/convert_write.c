/*
 * The images as YAML. Scalars are plain only where nothing could take them for something else;
 * scripts are literal blocks unless they hold what YAML or substitution would change.
 */
#include <stdlib.h>
#include <string.h>

#include "recipe/convert_internal.h"
#include "util/limits.h"
#include "util/str.h"

static const char run_as[] =
	"# run_as USER[:GROUP] PROGRAM [ARG...]: as USER of a Dockerfile.\n"
	"run_as() (\n"
	"\tset +x\n"
	"\tuser=${1%%:*} group=${1#\"${1%%:*}\"}\n"
	"\tshift\n"
	"\tuid=$user gid=0 home=/\n"
	"\tif [ -e /etc/passwd ]; then\n"
	"\t\twhile IFS=: read -r name _ n g _ dir _; do\n"
	"\t\t\tif [ \"$name\" = \"$user\" ] || [ \"$n\" = \"$user\" ]; then\n"
	"\t\t\t\tuid=$n gid=$g home=$dir\n"
	"\t\t\t\tbreak\n"
	"\t\t\tfi\n"
	"\t\tdone </etc/passwd\n"
	"\tfi\n"
	"\tgroup=${group#:}\n"
	"\texport HOME=\"$home\"\n"
	"\tif setpriv --reuid=0 true 2>/dev/null; then\n"
	"\t\texec setpriv --reuid=\"$uid\" --regid=\"${group:-$gid}\" --clear-groups -- \"$@\"\n"
	"\tfi\n"
	"\texec su -p -s /bin/sh -- \"$user\" -c 'exec \"$0\" \"$@\"' \"$@\"\n"
	")\n";

/* `text` with every mark as ${{KEY:default}}. Where a default cannot stand in a placeholder, the
 * file of substitutions has it alone. */
static void add_marked(struct buf *b, const char *text)
{
	while (*text) {
		if (*text != MARK_BEGIN) {
			buf_add_byte(b, *text++);
			continue;
		}
		size_t key = strcspn(text, "\x02\x03");
		const char *end = strchr(text, MARK_END);
		const char *value = text[key] == MARK_VALUE ? text + key + 1 : end;
		size_t value_len = end ? (size_t)(end - value) : 0;

		buf_add_c(b, "${{");
		buf_add(b, text + 1, key - 1);
		if (end && text[key] == MARK_VALUE && !memchr(value, '}', value_len) &&
		    !memchr(value, '\n', value_len)) {
			buf_add_byte(b, ':');
			buf_add(b, value, value_len);
		}
		buf_add_c(b, "}}");
		text = end ? end + 1 : text + key;
	}
}

static bool is_plain(const char *text)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789/._-+";
	static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz/";

	return text[0] != '\0' && strchr(first, text[0]) &&
	       text[strspn(text, allowed)] == '\0' && !str_same(text, "null") &&
	       !str_same(text, "true") && !str_same(text, "false");
}

/* Within double quotes; marks stay. Their defaults are escaped like all else, since
 * substitution works before YAML is read. */
static void add_escaped(struct buf *b, const char *text)
{
	for (; *text; text++) {
		unsigned char ch = (unsigned char)*text;

		if (ch == '"' || ch == '\\')
			buf_addf(b, "\\%c", ch);
		else if (ch == '\n')
			buf_add_c(b, "\\n");
		else if (ch == '\t')
			buf_add_c(b, "\\t");
		else if (str_has_prefix(text, "${{"))
			buf_add_c(b, "\\x24");
		else
			buf_add_byte(b, *text);
	}
}

static void add_scalar(struct buf *b, const char *text)
{
	AUTO(buf) escaped = BUF_INIT(2 * LIMIT_STACKERFILE_BYTES);

	if (is_plain(text)) {
		buf_add_c(b, text);
		return;
	}
	add_escaped(&escaped, text);
	buf_add_byte(b, '"');
	add_marked(b, buf_text(&escaped));
	buf_add_byte(b, '"');
}

/* A key with a scalar, at an indentation. */
static void add_pair(struct buf *b, int indent, const char *key, const char *value)
{
	buf_addf(b, "%*s", indent, "");
	add_scalar(b, key);
	buf_add_c(b, ": ");
	add_scalar(b, value);
	buf_add_byte(b, '\n');
}

static void add_map(struct buf *b, const char *key, const struct map *map)
{
	if (map->len == 0)
		return;
	buf_addf(b, "  %s:\n", key);
	for (size_t i = 0; i < map->len; i++)
		add_pair(b, 4, map->entries[i].key, map->entries[i].value);
}

static void add_list(struct buf *b, const char *key, const struct strvec *list)
{
	buf_addf(b, "  %s: [", key);
	for (size_t i = 0; i < list->len; i++) {
		buf_add_c(b, i > 0 ? ", " : "");
		add_scalar(b, list->items[i]);
	}
	buf_add_c(b, "]\n");
}

/* Comments are substituted in, too, and end with their line. */
static void add_comment(struct buf *b, const char *text)
{
	AUTO_FREE char *flat = convert_flatten(text);
	AUTO_FREE char *shown = str_printable(flat, strlen(flat));

	buf_add_c(b, "# ");
	for (const char *at = shown; *at; at++) {
		buf_add_byte(b, *at);
		if (*at == '$' && at[1] == '{' && at[2] == '{')
			buf_add_byte(b, ' ');
	}
	buf_add_byte(b, '\n');
}

static void add_import(struct buf *b, const struct convert_import *i)
{
	const char *const numbers[] = {"mode", i->mode, "uid", i->uid, "gid", i->gid};

	buf_add_c(b, "    - path: ");
	add_scalar(b, i->path);
	buf_add_byte(b, '\n');
	if (i->dest)
		add_pair(b, 6, "dest", i->dest);
	if (i->hash)
		add_pair(b, 6, "hash", i->hash);
	for (size_t k = 0; k < ARRAY_LEN(numbers); k += 2) {
		if (numbers[k + 1])
			buf_addf(b, "      %s: %s\n", numbers[k], numbers[k + 1]);
	}
	if (i->unpack)
		buf_add_c(b, "      unpack: true\n");
}

static void add_block(struct buf *b, const char *text)
{
	buf_add_c(b, "  run: |\n");
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len > 0)
			buf_addf(b, "    %.*s", (int)len, text);
		buf_add_byte(b, '\n');
		text += len + (text[len] == '\n');
	}
}

/* A literal block loses trailing empty lines, and would let `${{` of the Dockerfile through. */
static void add_script(struct buf *b, const struct convert_image *image)
{
	AUTO(buf) script = BUF_INIT(LIMIT_STACKERFILE_BYTES);
	AUTO(buf) marked = BUF_INIT(LIMIT_STACKERFILE_BYTES);

	if (image->prelude.len == 0 && image->run.len == 0)
		return;
	if (image->runs_as)
		buf_add_c(&script, run_as);
	buf_add(&script, buf_text(&image->prelude), image->prelude.len);
	buf_add(&script, buf_text(&image->run), image->run.len);
	if (script.overflowed || image->run.overflowed || image->prelude.overflowed)
		b->overflowed = true;
	const char *text = buf_text(&script);

	if (strstr(text, "${{") || text[0] == ' ' || text[0] == '\t' || text[0] == '\n' ||
	    str_has_suffix(text, "\n\n")) {
		buf_add_c(b, "  run: ");
		add_scalar(b, text);
		buf_add_byte(b, '\n');
		return;
	}
	add_marked(&marked, text);
	add_block(b, buf_text(&marked));
}

static void add_config(struct buf *b, const struct convert_config *config)
{
	add_map(b, "environment", &config->env);
	if (config->has_entrypoint)
		add_list(b, "entrypoint", &config->entrypoint);
	if (config->has_cmd)
		add_list(b, "cmd", &config->cmd);
	if (config->workdir)
		add_pair(b, 2, "working_dir", config->workdir);
	if (config->user)
		add_pair(b, 2, "runtime_user", config->user);
	if (config->volumes.len > 0)
		add_list(b, "volumes", &config->volumes);
	add_map(b, "labels", &config->labels);
	add_map(b, "annotations", &config->annotations);
}

static void add_image(struct buf *b, const struct convert_image *image)
{
	buf_add_byte(b, '\n');
	for (size_t i = 0; i < image->notes.len; i++)
		add_comment(b, image->notes.items[i]);
	buf_addf(b, "%s:\n  from:\n    type: %s\n", image->name, image->from_type);
	if (image->from)
		add_pair(b, 4, str_same(image->from_type, "built") ? "tag" : "url",
			 image->from);
	if (image->os)
		add_pair(b, 2, "os", image->os);
	if (image->arch)
		add_pair(b, 2, "arch", image->arch);
	if (image->build_only)
		buf_add_c(b, "  build_only: true\n");
	if (image->imports.len > 0)
		buf_add_c(b, "  imports:\n");
	for (size_t i = 0; i < image->imports.len; i++)
		add_import(b, &image->imports.items[i]);
	if (image->prelude.len > 0 || image->run.len > 0)
		add_map(b, "build_env", &image->build_env);
	add_script(b, image);
	if (!image->build_only)
		add_config(b, &image->config);
}

static void add_substitutions(struct buf *b, const struct converter *c)
{
	bool any = false;

	buf_add_c(b, "# The ARGs of the Dockerfile, for 'stacker build --substitute-file'.\n");
	for (size_t i = 0; i < c->substitutions.len; i++) {
		const struct map_entry *entry = &c->substitutions.entries[i];

		bool is_unset = str_same(entry->value, "");

		if (strvec_has(&c->conflicts, entry->key))
			buf_add_c(b, "# has another default in another stage; this would be "
				     "for all:\n# ");
		else if (is_unset)
			buf_add_c(b, "# has no default:\n# ");
		else
			any = true;
		add_pair(b, 0, entry->key, entry->value);
	}
	if (!any)
		buf_add_c(b, "{}\n");
}

int convert_write(struct converter *c, struct err *e)
{
	struct buf *b = &c->out->stackerfile;

	buf_add_c(b, "# ");
	AUTO_FREE char *file = str_printable(c->options->file, strlen(c->options->file));

	buf_addf(b,
		 "Converted from %s by 'stacker convert'. What a comment names by its line\n"
		 "# there was not wholly converted; 'stacker lint' lists what has no pin.\n",
		 strrchr(file, '/') ? strrchr(file, '/') + 1 : file);
	for (size_t i = 0; i < c->early_notes.len; i++)
		add_comment(b, c->early_notes.items[i]);
	for (size_t i = 0; i < c->images.len; i++)
		add_image(b, &c->images.items[i]);
	add_substitutions(&c->out->substitutions, c);
	if (!b->overflowed && !c->out->substitutions.overflowed)
		return 0;
	c->pos.line = 1;
	return err_at(e, &c->pos, "dockerfile/too-big",
		      "the stackerfile would be over the limit of %llu bytes",
		      (unsigned long long)LIMIT_STACKERFILE_BYTES);
}
