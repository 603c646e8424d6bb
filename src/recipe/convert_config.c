/* The instructions that only change what variables and configuration are. */
#include "recipe/convert_config.h"

#include <stdlib.h>
#include <string.h>

#include "recipe/directive.h"
#include "recipe/dockerfile_words.h"
#include "recipe/value.h"
#include "util/limits.h"
#include "util/str.h"

/* The first value that a key has is that of the file of substitutions. */
static void add_substitution(struct converter *c, const char *name, const char *value)
{
	AUTO_FREE char *key = mem_printf("%s%s", c->key_prefix, name);
	AUTO_FREE char *flat = convert_flatten(value);
	const char *known = map_get(&c->substitutions, key);

	if (!known)
		map_set_text(&c->substitutions, key, flat);
	else if (!str_same(known, flat) && !strvec_has(&c->conflicts, key))
		strvec_push(&c->conflicts, key);
}

/* A pair NAME=VALUE of ENV, LABEL or ARG; VALUE NULL if there is no "=". */
struct pair {
	char *name, *value;
};
struct pair_vec VEC_OF(struct pair);

static void pair_vec_cleanup(struct pair_vec *v)
{
	for (size_t i = 0; i < v->len; i++) {
		free(v->items[i].name);
		free(v->items[i].value);
	}
	vec_free(v);
}

/* All with the variables as they are before the instruction. ENV and LABEL also have the older
 * form NAME VALUE. */
static void read_pairs(struct converter *c, const struct dockerfile_instruction *i,
		       struct pair_vec *ret)
{
	AUTO(strvec) words = {0};
	char escape = c->dockerfile->escape;

	dockerfile_split(i->text, escape, &words);
	if (!str_same(i->keyword, "ARG") && words.len > 1 && !strchr(words.items[0], '=')) {
		size_t len = strlen(words.items[0]);
		const char *rest = i->text + len + strspn(i->text + len, " \t");
		const struct pair pair = {convert_expand(c, words.items[0]),
					  convert_expand(c, rest)};

		vec_push(ret, pair);
		return;
	}
	for (size_t k = 0; k < words.len; k++) {
		char *equals = strchr(words.items[k], '=');
		AUTO_FREE char *name =
			mem_strndup(words.items[k], equals ? (size_t)(equals - words.items[k])
							   : strlen(words.items[k]));
		const struct pair pair = {convert_expand(c, name),
					  equals ? convert_expand(c, equals + 1) : NULL};

		vec_push(ret, pair);
	}
}

static bool is_variable_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && str_name_len(name, len) == len && !(name[0] >= '0' && name[0] <= '9');
}

static int check_value(struct converter *c, const struct pair *p, struct err *e)
{
	if (strlen(p->name) + strlen(p->value ? p->value : "") < LIMIT_ENV_BYTES)
		return 0;
	return err_at(e, &c->pos, "dockerfile/too-big",
		      "variable '%.64s' is over the limit of %llu bytes", p->name,
		      (unsigned long long)LIMIT_ENV_BYTES);
}

/* Later than the first RUN of an image, its script has to be told. */
static void export_variable(struct converter *c, const char *name, const char *value)
{
	if (!c->run_begun || !is_variable_name(name))
		return;
	struct buf *run = &convert_current(c)->run;

	buf_addf(run, "export %s=", name);
	convert_quote(run, value);
	buf_add_byte(run, '\n');
}

static int define_arg(struct converter *c, const struct pair *p, struct err *e)
{
	bool global = c->images.len == 0;
	struct map *scope = global ? &c->global_args : &c->args;
	const char *inherited = global ? NULL : map_get(&c->global_args, p->name);
	const char *given = c->options->args ? map_get(c->options->args, p->name) : NULL;
	AUTO_FREE char *flat = given	  ? mem_strdup(given)
			       : p->value ? convert_flatten(p->value)
					  : NULL;

	if (check_value(c, p, e) != 0)
		return -1;
	if (!is_variable_name(p->name)) {
		convert_note(c, "ARG '%s' is not converted: it is no variable's name", p->name);
		return 0;
	}
	const char *value = flat	? flat
			    : inherited ? inherited
					: convert_platform_default(p->name);

	if (str_has_suffix(p->name, "_PROXY") || str_has_suffix(p->name, "_proxy")) {
		convert_note(c, "ARG %s is not converted: a step has no network", p->name);
		return 0;
	}
	map_set_text(scope, p->name, value ? value : CONVERT_NO_VALUE);
	add_substitution(c, p->name, value ? value : "");
	if (!global && !map_has(&convert_stage(c)->config.env, p->name)) {
		AUTO_FREE char *word = mem_printf("${%s}", p->name);
		AUTO_FREE char *mark = convert_expand(c, word);

		export_variable(c, p->name, mark);
	}
	return 0;
}

int convert_on_arg(struct converter *c, const struct dockerfile_instruction *i, struct err *e)
{
	AUTO(pair_vec) pairs = {0};

	read_pairs(c, i, &pairs);
	for (size_t k = 0; k < pairs.len; k++) {
		if (define_arg(c, &pairs.items[k], e) != 0)
			return -1;
	}
	return 0;
}

int convert_on_pairs(struct converter *c, const struct dockerfile_instruction *i, struct err *e)
{
	bool is_env = str_same(i->keyword, "ENV");
	struct convert_config *config = &convert_stage(c)->config;
	AUTO(pair_vec) pairs = {0};

	read_pairs(c, i, &pairs);
	for (size_t k = 0; k < pairs.len; k++) {
		const struct pair *p = &pairs.items[k];

		if (check_value(c, p, e) != 0)
			return -1;
		if (!p->value)
			return err_at(e, &c->pos, "dockerfile/syntax",
				      "'%s' needs NAME=VALUE, not '%.64s'", i->keyword,
				      p->name);
		if (!value_key_fits(p->name)) {
			convert_note(c,
				     "%s '%s' is not converted: its name may hold letters, "
				     "digits and . _ / : @ + - only",
				     i->keyword, p->name);
			continue;
		}
		map_set_text(is_env ? &config->env : &config->labels, p->name, p->value);
		if (is_env)
			export_variable(c, p->name, p->value);
	}
	return 0;
}

static void set_words(struct strvec *ret, const struct strvec *words)
{
	strvec_cleanup(ret);
	*ret = (struct strvec){0};
	for (size_t i = 0; i < words->len; i++)
		strvec_push(ret, words->items[i]);
}

/* The shell form is the shell's argument. */
static void set_command(struct converter *c, const struct dockerfile_instruction *i,
			struct strvec *ret)
{
	static char sh[] = "/bin/sh", dash_c[] = "-c";
	char *default_words[] = {sh, dash_c};
	const struct strvec default_shell = {default_words, 2, 2};
	const struct strvec *shell = &convert_stage(c)->shell;

	if (i->is_json) {
		set_words(ret, &i->words);
		return;
	}
	set_words(ret, shell->len > 0 ? shell : &default_shell);
	strvec_push(ret, i->text);
}

int convert_on_cmd(struct converter *c, const struct dockerfile_instruction *i, struct err *e)
{
	struct convert_config *config = &convert_stage(c)->config;

	(void)e;
	set_command(c, i, &config->cmd);
	config->has_cmd = true;
	c->cmd_is_own = true;
	return 0;
}

/* An ENTRYPOINT undoes the base's CMD. */
int convert_on_entrypoint(struct converter *c, const struct dockerfile_instruction *i,
			  struct err *e)
{
	struct convert_config *config = &convert_stage(c)->config;

	(void)e;
	set_command(c, i, &config->entrypoint);
	config->has_entrypoint = true;
	if (!c->cmd_is_own) {
		strvec_cleanup(&config->cmd);
		config->cmd = (struct strvec){0};
		config->has_cmd = true;
	}
	return 0;
}

int convert_on_shell(struct converter *c, const struct dockerfile_instruction *i, struct err *e)
{
	if (!i->is_json || i->words.len == 0)
		return err_at(
			e, &c->pos, "dockerfile/syntax",
			"'SHELL' needs a JSON array, as in SHELL [\"/bin/bash\", \"-c\"]");
	set_words(&convert_stage(c)->shell, &i->words);
	return 0;
}

int convert_on_user(struct converter *c, const struct dockerfile_instruction *i, struct err *e)
{
	AUTO_FREE char *user = convert_expand_required(c, i->text);
	AUTO_FREE char *flat = convert_flatten(user);
	struct convert_config *config = &convert_stage(c)->config;

	(void)e;
	if (!directive_is_user(flat) && !strchr(user, MARK_BEGIN)) {
		convert_note(c, "USER '%s' is not converted: it is no USER or USER:GROUP",
			     flat);
		return 0;
	}
	free(config->user);
	config->user = TAKE_PTR(user);
	return 0;
}

int convert_on_workdir(struct converter *c, const struct dockerfile_instruction *i,
		       struct err *e)
{
	AUTO_FREE char *expanded = convert_expand(c, i->text);
	AUTO_FREE char *path = convert_image_path(c, expanded);
	size_t len = strlen(path);
	struct convert_config *config = &convert_stage(c)->config;

	(void)e;
	if (len > 1 && path[len - 1] == '/')
		path[len - 1] = '\0';
	free(config->workdir);
	config->workdir = TAKE_PTR(path);
	c->workdir_pending = true;
	return 0;
}

int convert_on_volume(struct converter *c, const struct dockerfile_instruction *i,
		      struct err *e)
{
	AUTO(strvec) words = {0};

	(void)e;
	if (!i->is_json)
		dockerfile_split(i->text, c->dockerfile->escape, &words);
	const struct strvec *list = i->is_json ? &i->words : &words;

	for (size_t k = 0; k < list->len; k++) {
		AUTO_FREE char *path = convert_expand(c, list->items[k]);

		if (path[0] == '/' || path[0] == MARK_BEGIN)
			strvec_push(&convert_stage(c)->config.volumes, path);
		else
			convert_note(c, "VOLUME '%s' is not converted: it is no absolute path",
				     path);
	}
	return 0;
}

int convert_on_maintainer(struct converter *c, const struct dockerfile_instruction *i,
			  struct err *e)
{
	(void)e;
	map_set_text(&convert_stage(c)->config.annotations, "org.opencontainers.image.authors",
		     i->text);
	return 0;
}

int convert_on_onbuild(struct converter *c, const struct dockerfile_instruction *i,
		       struct err *e)
{
	AUTO(dockerfile_instruction) inner = {0};

	if (dockerfile_parse_instruction(i->text, c->dockerfile->escape, &c->pos, &inner, e) !=
	    0)
		return -1;
	if (str_same(inner.keyword, "ONBUILD") || str_same(inner.keyword, "FROM") ||
	    str_same(inner.keyword, "MAINTAINER"))
		return err_at(e, &c->pos, "dockerfile/syntax", "'ONBUILD' cannot hold '%s'",
			      inner.keyword);
	strvec_push(&convert_stage(c)->onbuild, i->text);
	convert_note(c,
		     "ONBUILD is not part of OCI images: '%.200s' is done in the stages of "
		     "this file that begin from this one; repeat it in other files",
		     i->text);
	return 0;
}

/* What an OCI image, or a stackerfile, has no place for. */
int convert_on_other(struct converter *c, const struct dockerfile_instruction *i, struct err *e)
{
	(void)e;
	if (str_same(i->keyword, "EXPOSE"))
		convert_note(c,
			     "EXPOSE %.200s is not converted: it opens no port, it only "
			     "tells; name the port where the container is run",
			     i->text);
	else if (str_same(i->keyword, "STOPSIGNAL"))
		convert_note(c,
			     "STOPSIGNAL %.200s is not converted: a stackerfile has no "
			     "directive for it; set it where the container is run, or let the "
			     "program handle SIGTERM",
			     i->text);
	else
		convert_note(c,
			     "HEALTHCHECK %.200s is not converted: OCI images have none; "
			     "set it where the container is run",
			     i->text);
	return 0;
}
