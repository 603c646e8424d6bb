/* The conversion's state, the variables that Dockerfiles expand, and the way through a file. */
#include "recipe/convert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recipe/convert_internal.h"
#include "recipe/convert_config.h"
#include "recipe/convert_stage.h"
#include "recipe/dockerfile_words.h"
#include "util/limits.h"
#include "util/path.h"
#include "util/str.h"

enum { NOTE_BYTES = 600 };

void convert_result_cleanup(struct convert_result *r)
{
	buf_cleanup(&r->stackerfile);
	buf_cleanup(&r->substitutions);
}

struct convert_image *convert_current(struct converter *c)
{
	return &c->images.items[c->image];
}

struct convert_stage *convert_stage(struct converter *c)
{
	for (size_t i = c->stages.len; i-- > 0;) {
		if (!c->stages.items[i].is_external)
			return &c->stages.items[i];
	}
	err_bug("no stage", __FILE__, __LINE__);
}

void convert_note(struct converter *c, const char *fmt, ...)
{
	char text[NOTE_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	AUTO_FREE char *note = mem_printf("line %u: %s", c->pos.line, text);

	strvec_push(c->images.len > 0 ? &convert_current(c)->notes : &c->early_notes, note);
	c->out->comments++;
}

char *convert_flatten(const char *text)
{
	AUTO(buf) out = BUF_INIT(LIMIT_DOCKERFILE_BYTES);
	bool in_key = false;

	for (; *text; text++) {
		if (*text == MARK_BEGIN)
			in_key = true;
		else if (*text == MARK_VALUE || *text == MARK_END)
			in_key = false;
		else if (!in_key)
			buf_add_byte(&out, *text);
	}
	return buf_take(&out);
}

/* A substitution's key for an ARG. */
static void add_mark(const struct converter *c, const char *name, const char *value,
		     struct buf *out)
{
	AUTO_FREE char *flat = convert_flatten(value ? value : "");

	buf_addf(out, "%c%s%s", MARK_BEGIN, c->key_prefix, name);
	if (value || !c->value_required)
		buf_addf(out, "%c%s", MARK_VALUE, flat);
	buf_add_byte(out, MARK_END);
}

const char *convert_platform_default(const char *name)
{
	static const char *const known[][2] = {
		{"TARGETPLATFORM", "linux/amd64"},
		{"TARGETOS", "linux"},
		{"TARGETARCH", "amd64"},
		{"TARGETVARIANT", ""},
		{"BUILDPLATFORM", "linux/amd64"},
		{"BUILDOS", "linux"},
		{"BUILDARCH", "amd64"},
		{"BUILDVARIANT", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (str_same(name, known[i][0]))
			return known[i][1];
	}
	return NULL;
}

/* The value of an ARG in scope, or NULL if there is none of the name. */
static const char *find_arg(const struct converter *c, const char *name)
{
	const char *value = map_get(c->global_scope ? &c->global_args : &c->args, name);

	return !value && c->global_scope ? convert_platform_default(name) : value;
}

static bool get_arg(struct converter *c, const char *name, const char *value, char operation,
		    const char *fallback, struct buf *out)
{
	bool has_default = !str_same(value, CONVERT_NO_VALUE);

	if (!has_default && operation == '+')
		return false;
	if (operation && strchr("#%/", operation)) {
		AUTO_FREE char *flat = convert_flatten(has_default ? value : "");

		buf_add_c(out, flat);
		convert_note(c, "the value of ARG %s is fixed where it is cut or replaced in",
			     name);
	} else if (value[0] == MARK_BEGIN) {
		buf_add_c(out, value); /* of the global ARG, whose key it shares */
	} else {
		add_mark(c, name, has_default && value[0] ? value : fallback, out);
	}
	return true;
}

static bool get_variable(void *ctx, const char *name, char operation, const char *fallback,
			 struct buf *out)
{
	struct converter *c = ctx;
	const char *env = c->global_scope ? NULL : map_get(&convert_stage(c)->config.env, name);
	const char *arg = find_arg(c, name);

	if (env) {
		buf_add_c(out, env);
		return true;
	}
	if (arg)
		return get_arg(c, name, arg, operation, fallback, out);
	if (str_same(name, "PATH") && !c->global_scope) {
		if (!convert_stage(c)->has_default_path)
			convert_note(c,
				     "PATH of the base image is taken to be %s; look what "
				     "it is, as 'run' does not see the base's variables",
				     CONVERT_DEFAULT_PATH);
		convert_stage(c)->has_default_path = true;
		buf_add_c(out, CONVERT_DEFAULT_PATH);
		return true;
	}
	return false;
}

char *convert_expand(struct converter *c, const char *word)
{
	const struct dockerfile_lookup lookup = {c, get_variable};

	return dockerfile_expand(word, c->dockerfile->escape, &lookup);
}

char *convert_expand_required(struct converter *c, const char *word)
{
	c->value_required = true;
	char *expanded = convert_expand(c, word);

	c->value_required = false;
	return expanded;
}

char *convert_expand_body(struct converter *c, const char *body)
{
	const struct dockerfile_lookup lookup = {c, get_variable};

	return dockerfile_expand_body(body, c->dockerfile->escape, &lookup);
}

char *convert_image_path(struct converter *c, const char *path)
{
	const char *dir = convert_stage(c)->config.workdir;
	AUTO_FREE char *joined =
		path[0] == '/' ? mem_strdup(path) : mem_printf("%s/%s", dir ? dir : "", path);
	AUTO(buf) out = BUF_INIT(LIMIT_DOCKERFILE_BYTES);

	for (const char *at = joined; *at;) {
		at += *at == '/';
		size_t len = strcspn(at, "/");

		if (len == 2 && memcmp(at, "..", 2) == 0) {
			const char *slash = out.len > 0 ? strrchr(out.data, '/') : NULL;

			if (slash)
				out.data[out.len = (size_t)(slash - out.data)] = '\0';
		} else if (len > 0 && !(len == 1 && *at == '.')) {
			buf_add_byte(&out, '/');
			buf_add(&out, at, len);
		}
		at += len;
	}
	if (out.len == 0 || (str_has_suffix(joined, "/") && path[0] != '\0'))
		buf_add_byte(&out, '/');
	return buf_take(&out);
}

struct handler {
	const char *keyword;
	int (*convert)(struct converter *c, const struct dockerfile_instruction *i,
		       struct err *e);
};

static const struct handler handlers[] = {
	{"FROM", convert_from},
	{"RUN", convert_run},
	{"COPY", convert_copy},
	{"ADD", convert_copy},
	{"ARG", convert_on_arg},
	{"ENV", convert_on_pairs},
	{"LABEL", convert_on_pairs},
	{"CMD", convert_on_cmd},
	{"ENTRYPOINT", convert_on_entrypoint},
	{"SHELL", convert_on_shell},
	{"USER", convert_on_user},
	{"WORKDIR", convert_on_workdir},
	{"VOLUME", convert_on_volume},
	{"MAINTAINER", convert_on_maintainer},
	{"ONBUILD", convert_on_onbuild},
	{"EXPOSE", convert_on_other},
	{"STOPSIGNAL", convert_on_other},
	{"HEALTHCHECK", convert_on_other},
};

int convert_instruction(struct converter *c, const struct dockerfile_instruction *i,
			struct err *e)
{
	for (size_t k = 0; k < ARRAY_LEN(handlers); k++) {
		if (!str_same(handlers[k].keyword, i->keyword))
			continue;
		if (c->images.len == 0 && handlers[k].convert != convert_from &&
		    handlers[k].convert != convert_on_arg)
			return err_at(e, &c->pos, "dockerfile/no-stage",
				      "'%s' before the first 'FROM'", i->keyword);
		return handlers[k].convert(c, i, e);
	}
	err_bug("unknown instruction", __FILE__, __LINE__);
}

/* A key must not be the name of a variable that a script uses, which stacker takes for a slip:
 * so none may occur behind a "$". */
static const char *choose_key_prefix(const struct dockerfile *d)
{
	static const char *const prefixes[] = {"ARG_", "DOCKERFILE_ARG_", "BUILD_ARGUMENT_"};

	for (size_t k = 0; k < ARRAY_LEN(prefixes); k++) {
		AUTO_FREE char *plain = mem_printf("$%s", prefixes[k]);
		AUTO_FREE char *braced = mem_printf("${%s", prefixes[k]);
		bool used = false;

		for (size_t i = 0; i < d->instructions.len && !used; i++) {
			const struct dockerfile_instruction *in = &d->instructions.items[i];

			used = strstr(in->text, plain) || strstr(in->text, braced);
			for (size_t h = 0; h < in->heredocs.len; h++)
				used = used || strstr(in->heredocs.items[h].content, plain) ||
				       strstr(in->heredocs.items[h].content, braced);
		}
		if (!used)
			return prefixes[k];
	}
	return prefixes[0];
}

static int convert_all(struct converter *c, struct err *e)
{
	const struct dockerfile *d = c->dockerfile;

	if (d->instructions.len > LIMIT_DOCKERFILE_INSTRUCTIONS)
		return err_at(e, &c->pos, "dockerfile/too-big", "more than %d instructions",
			      LIMIT_DOCKERFILE_INSTRUCTIONS);
	for (size_t i = 0; i < d->instructions.len; i++)
		c->stages_left += str_same(d->instructions.items[i].keyword, "FROM");
	for (size_t i = 0; i < d->instructions.len; i++) {
		c->pos.line = d->instructions.items[i].line;
		if (convert_instruction(c, &d->instructions.items[i], e) != 0)
			return -1;
	}
	if (c->images.len == 0)
		return err_at(e, &c->pos, "dockerfile/no-stage", "no 'FROM' in the file");
	return convert_end_stage(c, true, e);
}

int convert_dockerfile(const struct dockerfile *d, const struct convert_options *options,
		       struct convert_result *ret, struct err *e)
{
	AUTO(convert_result)
	out = {.stackerfile = BUF_INIT(LIMIT_STACKERFILE_BYTES),
	       .substitutions = BUF_INIT(LIMIT_STACKERFILE_BYTES)};
	AUTO(converter)
	c = {.options = options,
	     .dockerfile = d,
	     .out = &out,
	     .pos = {.file = options->file, .line = 1, .column = 1},
	     .key_prefix = choose_key_prefix(d),
	     .global_args = MAP_INIT(free),
	     .args = MAP_INIT(free),
	     .global_scope = true,
	     .substitutions = MAP_INIT(free)};

	if (options->ignore)
		ignore_read(options->ignore, &c.ignored);
	if (convert_all(&c, e) != 0 || convert_write(&c, e) != 0)
		return -1;
	*ret = out;
	out = (struct convert_result){0};
	return 0;
}
