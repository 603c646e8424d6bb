/*
 * RUN. Each becomes a subshell of the image's one script, so that neither `cd` nor variables of
 * one reach the next, as with Docker; another user or shell runs it by name.
 */
#include <stdlib.h>
#include <string.h>

#include "recipe/convert_internal.h"
#include "recipe/dockerfile_words.h"
#include "recipe/stackerfile.h"
#include "util/limits.h"
#include "util/path.h"
#include "util/str.h"

void convert_quote(struct buf *b, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._-+:,@%=";

	if (text[0] != '\0' && text[strspn(text, plain)] == '\0') {
		buf_add_c(b, text);
		return;
	}
	buf_add_byte(b, '\'');
	for (; *text; text++) {
		if (*text == '\'')
			buf_add_c(b, "'\\''");
		else
			buf_add_byte(b, *text);
	}
	buf_add_byte(b, '\'');
}

void convert_make_workdir(struct converter *c)
{
	const char *dir = convert_stage(c)->config.workdir;

	if (!c->workdir_pending || !dir || str_same(dir, "/"))
		return;
	buf_add_c(&convert_current(c)->run, "mkdir -p ");
	convert_quote(&convert_current(c)->run, dir);
	buf_add_byte(&convert_current(c)->run, '\n');
	c->workdir_pending = false;
}

/* What a RUN sees: ARGs, and ENV, which wins. Docker's runtime adds HOME. */
static void settle_env(struct converter *c, struct convert_image *image)
{
	const struct convert_config *config = &convert_stage(c)->config;

	map_set_text(&image->build_env, "HOME", "/root");
	for (size_t i = 0; i < c->args.len; i++) {
		const char *name = c->args.entries[i].key;
		AUTO_FREE char *word = mem_printf("${%s}", name);
		AUTO_FREE char *value = convert_expand(c, word);

		if (!map_has(&config->env, name))
			map_set_text(&image->build_env, name, value);
	}
	for (size_t i = 0; i < config->env.len; i++)
		map_set_text(&image->build_env, config->env.entries[i].key,
			     config->env.entries[i].value);
	c->env_total += image->build_env.len;
}

int convert_begin_run(struct converter *c, struct err *e)
{
	struct convert_stage *stage = convert_stage(c);

	if (stage->has_foreign_base && !stage->has_run)
		convert_note(c,
			     "'run' does not see the variables of the base image, such as its "
			     "PATH; name under 'build_env' what the commands need");
	stage->has_run = true;
	if (!c->run_begun)
		settle_env(c, convert_current(c));
	c->run_begun = true;
	if (convert_current(c)->build_env.len > RECIPE_MAP_ENTRIES_MAX ||
	    c->env_total > LIMIT_CONVERT_VARIABLES)
		return err_at(e, &c->pos, "dockerfile/too-big", "too many variables");
	return 0;
}

void convert_write_file(struct converter *c, const char *path, const char *content)
{
	struct buf *run = &convert_current(c)->run;
	AUTO_FREE char *parent = mem_strdup(path);
	AUTO_FREE char *end = mem_strdup("EOF");
	char *slash = strrchr(parent, '/');

	if (slash && slash != parent) {
		*slash = '\0';
		buf_add_c(run, "mkdir -p ");
		convert_quote(run, parent);
		buf_add_byte(run, '\n');
	}
	for (unsigned i = 1; strstr(content, end); i++) {
		free(end);
		end = mem_printf("EOF%u", i);
	}
	buf_add_c(run, "cat >");
	convert_quote(run, path);
	buf_addf(run, " <<'%s'\n", end);
	buf_add_c(run, content);
	buf_addf(run, "%s\n", end);
}

/* Whether a shell would read the text alike with an escaped line break at each joint: not within
 * single quotes and not in a comment. */
static bool joints_are_safe(const struct dockerfile_instruction *i)
{
	const char *text = i->text;
	size_t joint = 0;
	char quote = '\0';

	for (size_t at = 0; text[at] && joint < i->joints.len; at++) {
		if (at == i->joints.items[joint]) {
			if (quote == '\'' || quote == '#')
				return false;
			joint++;
		}
		if (quote == '#')
			continue;
		if (text[at] == '\\' && quote != '\'' && text[at + 1]) {
			/* An escape whose character is on the next line. */
			if (joint < i->joints.len && i->joints.items[joint] == at + 1)
				return false;
			at++;
		} else if (quote != '\0') {
			quote = text[at] == quote ? '\0' : quote;
		} else if (text[at] == '\'' || text[at] == '"') {
			quote = text[at];
		} else if (text[at] == '#' && (at == 0 || strchr(" \t;&|(", text[at - 1]))) {
			quote = '#';
		}
	}
	return true;
}

static void add_joined(struct buf *b, const struct dockerfile_instruction *i)
{
	size_t from = 0;

	if (joints_are_safe(i)) {
		for (size_t k = 0; k < i->joints.len; k++) {
			buf_add(b, i->text + from, i->joints.items[k] - from);
			buf_add_c(b, "\\\n");
			from = i->joints.items[k];
		}
	}
	buf_add_c(b, i->text + from);
}

static void strip_line_break(struct buf *b)
{
	if (b->len > 0 && b->data[b->len - 1] == '\n')
		b->data[--b->len] = '\0';
}

/* The command as its shell reads it. A script of its own (`RUN <<EOF`) is its here-document. */
static void shell_text(const struct dockerfile_instruction *i, struct buf *ret)
{
	AUTO(dockerfile_operator) o = {0};
	const char *rest = i->heredocs.len == 1 && str_has_prefix(i->text, "<<")
				   ? dockerfile_next_operator(i->text, '\\', &o)
				   : NULL;

	if (rest && rest[strspn(rest, " \t")] == '\0') {
		buf_add_c(ret, i->heredocs.items[0].content);
		strip_line_break(ret);
		return;
	}
	add_joined(ret, i);
	for (size_t k = 0; k < i->heredocs.len; k++)
		buf_addf(ret, "\n%s%s", i->heredocs.items[k].content,
			 i->heredocs.items[k].name);
}

static bool is_root(const char *user)
{
	size_t len = user ? strcspn(user, ":") : 0;

	return !user || len == 0 || (len == 4 && memcmp(user, "root", 4) == 0) ||
	       (len == 1 && user[0] == '0');
}

static void add_words(struct buf *b, const struct strvec *words)
{
	for (size_t i = 0; i < words->len; i++) {
		if (i > 0)
			buf_add_byte(b, ' ');
		convert_quote(b, words->items[i]);
	}
}

/* Before a program: the stage's user, unless that is root. */
static void add_user(struct converter *c)
{
	const char *user = convert_stage(c)->config.user;
	struct convert_image *image = convert_current(c);

	if (is_root(user))
		return;
	image->runs_as = true;
	buf_add_c(&image->run, "run_as ");
	convert_quote(&image->run, user);
	buf_add_byte(&image->run, ' ');
}

#define PROGRAM_PATH "/tmp/dockerfile-run"

static void add_command(struct converter *c, const struct dockerfile_instruction *i,
			const char *text)
{
	struct buf *run = &convert_current(c)->run;
	const struct strvec *shell = &convert_stage(c)->shell;

	if (!i->is_json && shell->len == 0 && is_root(convert_stage(c)->config.user) &&
	    !str_has_prefix(text, "#!")) {
		buf_add_c(run, text);
		buf_add_byte(run, '\n');
		return;
	}
	add_user(c);
	if (i->is_json) {
		add_words(run, &i->words);
	} else if (str_has_prefix(text, "#!")) {
		buf_add_c(run, PROGRAM_PATH);
	} else {
		if (shell->len == 0)
			buf_add_c(run, "/bin/sh -e -c");
		else
			add_words(run, shell);
		buf_add_byte(run, ' ');
		convert_quote(run, text);
	}
	buf_add_byte(run, '\n');
}

/* The value of a --mount option, or NULL; owned. */
static char *mount_option(const char *mount, const char *name, const char *alias)
{
	for (const char *at = mount; *at;) {
		size_t len = strcspn(at, ",");
		AUTO_FREE char *part = mem_strndup(at, len);
		char *equals = strchr(part, '=');

		if (equals)
			*equals = '\0';
		if (str_same(part, name) || (alias && str_same(part, alias)))
			return mem_strdup(equals ? equals + 1 : "");
		at += len + (at[len] == ',');
	}
	return NULL;
}

/* A bind mount: the files are staged as an import, copied there, and removed afterwards. */
static int mount_bind(struct converter *c, const char *mount, const char *target,
		      struct buf *after, struct err *e)
{
	AUTO_FREE char *from = mount_option(mount, "from", NULL);
	AUTO_FREE char *source = mount_option(mount, "source", "src");
	AUTO_FREE char *clean = path_clean(source && source[0] ? source : "/");
	const char *relative = clean[0] == '/' ? clean + 1 : clean;
	AUTO_FREE char *base = path_base(clean);
	AUTO_FREE char *image = NULL;
	struct convert_import import = {0};

	if (base[0] == '\0' || str_same(base, ".")) {
		convert_note(c,
			     "RUN --mount of a whole %s is not converted; import what the "
			     "command needs of it",
			     from ? "image" : "context");
		return 0;
	}
	if (from) {

		if (convert_resolve_from(c, from, &image, e) != 0)
			return -1;
		import.path = mem_printf("stacker://%s/%s", image, relative);
	} else {
		import.path = mem_printf("%s%s", c->options->prefix, relative);
	}
	vec_push(&convert_current(c)->imports, import);
	struct buf *run = &convert_current(c)->run;

	buf_add_c(run, "mkdir -p \"$(dirname ");
	convert_quote(run, target);
	buf_add_c(run, ")\"\ncp -a /stacker/imports/");
	convert_quote(run, base);
	buf_add_byte(run, ' ');
	convert_quote(run, target);
	buf_add_byte(run, '\n');
	buf_add_c(after, "rm -rf ");
	convert_quote(after, target);
	buf_add_byte(after, '\n');
	return 0;
}

/* A cache or tmpfs: an empty directory, emptied again. */
static void mount_empty(struct converter *c, const char *target, struct buf *after)
{
	struct buf *run = &convert_current(c)->run;

	buf_add_c(run, "mkdir -p ");
	convert_quote(run, target);
	buf_add_byte(run, '\n');
	buf_add_c(after, "rm -rf ");
	convert_quote(after, target);
	buf_add_c(after, "/*\n");
}

static int mount(struct converter *c, const char *value, struct buf *after, struct err *e)
{
	AUTO_FREE char *expanded = convert_expand(c, value);
	AUTO_FREE char *type = mount_option(expanded, "type", NULL);
	AUTO_FREE char *written = mount_option(expanded, "target", "dst");

	if (!written)
		written = mount_option(expanded, "destination", NULL);
	AUTO_FREE char *target = written ? convert_image_path(c, written) : NULL;

	if (type && (str_same(type, "secret") || str_same(type, "ssh"))) {
		convert_note(c,
			     "RUN --mount=type=%s is not converted: a secret would be a "
			     "hidden input; import what it gives access to, by its hash",
			     type);
		return 0;
	}
	if (!target) {
		convert_note(c, "RUN --mount without target is not converted");
		return 0;
	}
	if (!type || str_same(type, "bind"))
		return mount_bind(c, expanded, target, after, e);
	if (str_same(type, "cache"))
		convert_note(c,
			     "RUN --mount=type=cache is an empty directory at each build, as "
			     "what an earlier build left would be a hidden input");
	mount_empty(c, target, after);
	return 0;
}

static int read_flags(struct converter *c, const struct dockerfile_instruction *i,
		      struct buf *after, struct err *e)
{
	for (size_t k = 0; k < i->flags.len; k++) {
		const struct dockerfile_flag *flag = &i->flags.items[k];

		if (str_same(flag->name, "mount")) {
			if (mount(c, flag->value, after, e) != 0)
				return -1;
		} else if (str_same(flag->name, "network")) {
			if (!str_same(flag->value, "none"))
				convert_note(c,
					     "RUN --network=%s is not converted: a step "
					     "never has a network; import what it would "
					     "fetch",
					     flag->value);
		} else {
			convert_note(c, "RUN --%s is not converted", flag->name);
		}
	}
	return 0;
}

int convert_run(struct converter *c, const struct dockerfile_instruction *i, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_DOCKERFILE_BYTES);
	AUTO(buf) after = BUF_INIT(LIMIT_DOCKERFILE_BYTES);

	if (convert_begin_run(c, e) != 0)
		return -1;
	convert_make_workdir(c);
	if (read_flags(c, i, &after, e) != 0)
		return -1;
	if (!i->is_json)
		shell_text(i, &text);
	bool is_program = str_has_prefix(buf_text(&text), "#!");

	if (is_program) {
		buf_add_byte(&text, '\n');
		convert_write_file(c, PROGRAM_PATH, buf_text(&text));
		buf_add_c(&convert_current(c)->run, "chmod 0755 " PROGRAM_PATH "\n");
	}
	struct buf *run = &convert_current(c)->run;
	const char *dir = convert_stage(c)->config.workdir;

	buf_add_c(run, "(\n");
	if (dir && !str_same(dir, "/")) {
		buf_add_c(run, "cd ");
		convert_quote(run, dir);
		buf_add_byte(run, '\n');
	}
	add_command(c, i, buf_text(&text));
	buf_add_c(run, ")\n");
	if (is_program)
		buf_add_c(run, "rm -f " PROGRAM_PATH "\n");
	buf_add(run, buf_text(&after), after.len);
	return 0;
}
