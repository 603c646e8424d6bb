/* FROM, and the chains of images that stages become. */
#include "recipe/convert_stage.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recipe/dockerfile_words.h"
#include "util/limits.h"
#include "util/num.h"
#include "util/str.h"

static void config_cleanup(struct convert_config *config)
{
	map_cleanup(&config->env);
	map_cleanup(&config->labels);
	map_cleanup(&config->annotations);
	strvec_cleanup(&config->volumes);
	strvec_cleanup(&config->cmd);
	strvec_cleanup(&config->entrypoint);
	free(config->user);
	free(config->workdir);
}

static void image_cleanup(struct convert_image *image)
{
	free(image->name);
	strvec_cleanup(&image->notes);
	free(image->from);
	free(image->arch);
	free(image->os);
	for (size_t i = 0; i < image->imports.len; i++) {
		struct convert_import *import = &image->imports.items[i];

		free(import->path);
		free(import->dest);
		free(import->hash);
		free(import->mode);
		free(import->uid);
		free(import->gid);
	}
	vec_free(&image->imports);
	map_cleanup(&image->build_env);
	buf_cleanup(&image->prelude);
	free(image->owner);
	buf_cleanup(&image->run);
	config_cleanup(&image->config);
}

void converter_cleanup(struct converter *c)
{
	map_cleanup(&c->global_args);
	map_cleanup(&c->args);
	map_cleanup(&c->substitutions);
	strvec_cleanup(&c->conflicts);
	for (size_t i = 0; i < c->stages.len; i++) {
		struct convert_stage *s = &c->stages.items[i];

		free(s->alias);
		free(s->image);
		config_cleanup(&s->config);
		strvec_cleanup(&s->shell);
		strvec_cleanup(&s->onbuild);
	}
	vec_free(&c->stages);
	for (size_t i = 0; i < c->images.len; i++)
		image_cleanup(&c->images.items[i]);
	vec_free(&c->images);
	map_cleanup(&c->names);
	strvec_cleanup(&c->early_notes);
	strvec_cleanup(&c->ignored);
}

static void copy_map(struct map *to, const struct map *from)
{
	to->free_value = free;
	for (size_t i = 0; i < from->len; i++)
		map_set_text(to, from->entries[i].key, from->entries[i].value);
}

static void copy_words(struct strvec *to, const struct strvec *from)
{
	for (size_t i = 0; i < from->len; i++)
		strvec_push(to, from->items[i]);
}

/* `to` is zeroed. */
static void copy_config(struct convert_config *to, const struct convert_config *from)
{
	copy_map(&to->env, &from->env);
	copy_map(&to->labels, &from->labels);
	copy_map(&to->annotations, &from->annotations);
	copy_words(&to->volumes, &from->volumes);
	copy_words(&to->cmd, &from->cmd);
	copy_words(&to->entrypoint, &from->entrypoint);
	to->has_cmd = from->has_cmd;
	to->has_entrypoint = from->has_entrypoint;
	to->user = from->user ? mem_strdup(from->user) : NULL;
	to->workdir = from->workdir ? mem_strdup(from->workdir) : NULL;
}

/* A name within stacker's grammar that no other image has: runs of letters and digits, joined
 * by one separator. */
static char *unique_name(struct converter *c, const char *wanted)
{
	enum { NAME_BYTES = 100 };
	AUTO(buf) name = BUF_INIT(NAME_BYTES + 1);

	for (; *wanted && name.len < NAME_BYTES; wanted++) {
		bool is_alnum = (*wanted >= 'a' && *wanted <= 'z') ||
				(*wanted >= 'A' && *wanted <= 'Z') ||
				(*wanted >= '0' && *wanted <= '9');

		if (is_alnum)
			buf_add_byte(&name, *wanted);
		else if (name.len > 0 && !strchr("._-", name.data[name.len - 1]))
			buf_add_byte(&name, strchr("._-", *wanted) ? *wanted : '-');
	}
	while (name.len > 0 && strchr("._-", name.data[name.len - 1]))
		name.data[--name.len] = '\0';
	if (name.len == 0 || str_same(buf_text(&name), "config"))
		buf_add_c(&name, name.len == 0 ? "image" : "-stage");
	char *made = mem_strdup(buf_text(&name));

	for (unsigned i = 2; map_has(&c->names, made); i++) {
		free(made);
		made = mem_printf("%s-%u", buf_text(&name), i);
	}
	map_add(&c->names, made, NULL);
	return made;
}

static int push_image(struct converter *c, char *name, struct err *e)
{
	struct convert_image image = {.name = name,
				      .from_type = "scratch",
				      .build_env = MAP_INIT(free),
				      .prelude = BUF_INIT(LIMIT_DOCKERFILE_BYTES),
				      .run = BUF_INIT(LIMIT_DOCKERFILE_BYTES),
				      .build_only = true};

	vec_push(&c->images, image);
	if (c->images.len <= LIMIT_IMAGES)
		return 0;
	return err_at(e, &c->pos, "dockerfile/too-big", "more than %d images come of it",
		      LIMIT_IMAGES);
}

int convert_split(struct converter *c, struct err *e)
{
	struct convert_image *before = convert_current(c);
	AUTO_FREE char *wanted = mem_printf("%s-part1", before->name);
	char *name = before->name;

	/* The one that goes on keeps the name. */
	before->name = unique_name(c, wanted);
	AUTO_FREE char *base = mem_strdup(before->name);

	c->image = c->images.len;
	c->run_begun = false;
	int rc = push_image(c, name, e);
	struct convert_image *image = convert_current(c);

	image->from_type = "built";
	image->from = TAKE_PTR(base);
	return rc;
}

/* `HOST/REPOSITORY:TAG` of what Docker lets one shorten, behind docker://. */
static char *docker_url(struct converter *c, const char *reference)
{
	AUTO_FREE char *flat = convert_flatten(reference);
	const char *slash = strchr(flat, '/');
	size_t first = slash ? (size_t)(slash - flat) : 0;
	bool has_host = slash && (memchr(flat, '.', first) || memchr(flat, ':', first) ||
				  (first == 9 && memcmp(flat, "localhost", 9) == 0));
	const char *last = strrchr(flat, '/') ? strrchr(flat, '/') : flat;
	const char *digest = strstr(last, "@sha256:");
	bool has_tag = strchr(last, ':') != NULL;
	const char *host = has_host || flat[0] == '\0' ? ""
			   : slash		       ? "docker.io/"
						       : "docker.io/library/";

	if (digest) {
		/* A tag beside a digest says nothing more. */
		AUTO_FREE char *bare = mem_strndup(flat, (size_t)(digest - flat));
		char *colon = strrchr(bare, ':');

		if (colon && colon > bare + (last - flat))
			*colon = '\0';
		return mem_printf("docker://%s%s%s", host, bare, digest);
	}
	if (flat[0] == '\0')
		convert_note(c, "FROM names its image by an ARG without default; give one as "
				"HOST/REPOSITORY@sha256:HEX");
	else if (!has_tag)
		convert_note(c, "'%s' has no tag and is taken to mean 'latest'", flat);
	return mem_printf("docker://%s%s%s", host, reference,
			  has_tag || flat[0] == '\0' ? "" : ":latest");
}

static long find_stage(const struct converter *c, const char *name)
{
	uint64_t number;

	for (size_t i = c->stages.len; i-- > 0;) {
		const struct convert_stage *s = &c->stages.items[i];

		if (s->alias && strcasecmp(s->alias, name) == 0)
			return (long)i;
	}
	if (num_parse_u64(name, strlen(name), 100000, &number)) {
		for (size_t i = 0; i < c->stages.len; i++) {
			if (!c->stages.items[i].is_external && number-- == 0)
				return (long)i;
		}
	}
	return -1;
}

static int add_external(struct converter *c, const char *reference, char **ret, struct err *e)
{
	for (size_t i = 0; i < c->stages.len; i++) {
		const struct convert_stage *s = &c->stages.items[i];

		if (s->is_external && str_same(s->alias, reference)) {
			*ret = mem_strdup(s->image);
			return 0;
		}
	}
	AUTO_FREE char *flat = convert_flatten(reference);
	AUTO_FREE char *wanted = mem_printf("from-%s", flat);
	char *name = unique_name(c, wanted);
	struct convert_stage stage = {
		.alias = mem_strdup(reference), .image = mem_strdup(name), .is_external = true};
	char *url = docker_url(c, reference);

	vec_push(&c->stages, stage);
	int rc = push_image(c, name, e);
	struct convert_image *image = &c->images.items[c->images.len - 1];

	image->from_type = "docker";
	image->from = url;
	if (rc == 0)
		*ret = mem_strdup(name);
	return rc;
}

int convert_resolve_from(struct converter *c, const char *name, char **ret, struct err *e)
{
	long stage = find_stage(c, name);

	if (stage < 0)
		return add_external(c, name, ret, e);
	if (&c->stages.items[stage] == convert_stage(c))
		return err_at(e, &c->pos, "dockerfile/syntax", "stage '%.64s' needs itself",
			      name);
	*ret = mem_strdup(c->stages.items[stage].image);
	return 0;
}

int convert_end_stage(struct converter *c, bool last, struct err *e)
{
	struct convert_stage *stage = convert_stage(c);

	if (stage->has_run && c->workdir_pending) {
		if (convert_begin_run(c, e) != 0)
			return -1;
		convert_make_workdir(c);
	}
	struct convert_image *image = convert_current(c);

	if (!last)
		return 0;
	image->build_only = false;
	copy_config(&image->config, &stage->config);
	return 0;
}

/* What the instruction says: FROM IMAGE [AS NAME]. */
static int read_words(struct converter *c, const struct dockerfile_instruction *i,
		      struct strvec *words, struct err *e)
{
	dockerfile_split_blanks(i->text, words);
	if (words->len == 1 || (words->len == 3 && strcasecmp(words->items[1], "AS") == 0))
		return 0;
	return err_at(e, &c->pos, "dockerfile/syntax", "'FROM' takes IMAGE or IMAGE AS NAME");
}

/* linux/arm64/v8. The platform that Docker is on is that of stacker, too. */
static void read_platform(struct converter *c, const char *platform)
{
	struct convert_image *image = convert_current(c);
	enum { PLATFORM_MAX = 32 };
	const char *slash = strchr(platform, '/');
	size_t arch = slash ? strcspn(slash + 1, "/") : 0;

	if (strstr(platform, "BUILDPLATFORM") || strstr(platform, "TARGETPLATFORM"))
		return;
	AUTO_FREE char *flat = convert_flatten(platform);

	/* What `os` and `arch` take, with slashes between. */
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-/";

	if (!slash || slash == platform || arch == 0 || arch > PLATFORM_MAX ||
	    slash - platform > PLATFORM_MAX || platform[strspn(platform, allowed)] != '\0') {
		convert_note(c, "--platform=%s is not converted; write 'os' and 'arch'", flat);
		return;
	}
	image->os = mem_strndup(platform, (size_t)(slash - platform));
	image->arch = mem_strndup(slash + 1, arch);
	if (slash[1 + arch] != '\0')
		convert_note(c, "--platform=%s: the variant is not converted", flat);
}

static void begin_stage(struct converter *c, struct convert_stage *stage,
			const struct convert_stage *parent)
{
	static const struct convert_config none;

	copy_config(&stage->config, parent ? &parent->config : &none);
	if (parent) {
		copy_words(&stage->shell, &parent->shell);
		stage->has_run = parent->has_run;
		stage->has_default_path = parent->has_default_path;
	}
	c->workdir_pending = false;
	c->run_begun = false;
	c->cmd_is_own = false;
	map_cleanup(&c->args);
	c->args = (struct map){.free_value = c->global_args.free_value};
}

/* Done at the start of each stage that begins from one with ONBUILD. */
static int do_onbuild(struct converter *c, const struct strvec *triggers, struct err *e)
{
	for (size_t k = 0; k < triggers->len; k++) {
		AUTO(dockerfile_instruction) i = {0};

		if (dockerfile_parse_instruction(triggers->items[k], c->dockerfile->escape,
						 &c->pos, &i, e) != 0)
			return -1;
		i.joints.len = 0;
		if (convert_instruction(c, &i, e) != 0)
			return -1;
	}
	return 0;
}

static void set_base(struct converter *c, const char *reference,
		     const struct convert_stage *parent)
{
	struct convert_image *image = convert_current(c);

	if (parent) {
		image->from_type = "built";
		image->from = mem_strdup(parent->image);
	} else if (str_same(reference, "scratch")) {
		image->from_type = "scratch";
	} else {
		image->from_type = "docker";
		image->from = docker_url(c, reference);
		convert_stage(c)->has_foreign_base = true;
	}
}

int convert_from(struct converter *c, const struct dockerfile_instruction *i, struct err *e)
{
	AUTO(strvec) words = {0};
	AUTO(strvec) triggers = {0};
	const char *platform = dockerfile_flag(i, "platform");

	if (read_words(c, i, &words, e) != 0)
		return -1;
	if (c->images.len > 0 && convert_end_stage(c, false, e) != 0)
		return -1;
	/* FROM sees only what ARG said before the first stage. */
	c->global_scope = true;
	AUTO_FREE char *reference = convert_expand_required(c, words.items[0]);
	AUTO_FREE char *expanded_platform = platform ? convert_expand(c, platform) : NULL;

	c->global_scope = false;
	AUTO_FREE char *flat = convert_flatten(reference);
	long parent = find_stage(c, flat);
	const char *alias = words.len == 3 ? words.items[2] : NULL;
	AUTO_FREE char *numbered = mem_printf("stage-%zu", c->stages.len);
	bool is_last = --c->stages_left == 0;
	char *name = unique_name(c, alias ? alias : is_last ? c->options->name : numbered);
	struct convert_stage stage = {.alias = alias ? mem_strdup(alias) : NULL,
				      .image = mem_strdup(name)};

	bool is_chosen = parent >= 0 && strchr(reference, MARK_BEGIN);

	if (parent >= 0)
		copy_words(&triggers, &c->stages.items[parent].onbuild);
	begin_stage(c, &stage, parent >= 0 ? &c->stages.items[parent] : NULL);
	vec_push(&c->stages, stage);
	c->image = c->images.len;
	if (push_image(c, name, e) != 0)
		return -1;
	set_base(c, reference, parent >= 0 ? &c->stages.items[parent] : NULL);
	if (is_chosen)
		convert_note(c,
			     "FROM: the stage is the one that the default of an ARG names; for "
			     "another, convert with '--build-arg'");
	if (expanded_platform)
		read_platform(c, expanded_platform);
	return do_onbuild(c, &triggers, e);
}
