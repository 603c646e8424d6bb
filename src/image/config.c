/*
 * OCI image configurations. What a base says is kept where this program knows the member, and
 * otherwise dropped: a member that we cannot judge must not travel on under our name.
 */
#include "image/config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "image/oci_json.h"
#include "util/clock.h"
#include "util/json_read.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/str.h"

static const char author_name[] = "stacker";
static const char default_path[] =
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* A member that is text in the JSON and a string in the struct; absent is NULL in both. */
struct text_member {
	const char *key;
	size_t offset;
};

static const struct text_member image_texts[] = {
	{"created", offsetof(struct image_config, created)},
	{"author", offsetof(struct image_config, author)},
	{"architecture", offsetof(struct image_config, architecture)},
	{"os", offsetof(struct image_config, os)},
	{"os.version", offsetof(struct image_config, os_version)},
	{"variant", offsetof(struct image_config, variant)},
};

static const struct text_member runtime_texts[] = {
	{"User", offsetof(struct image_config, user)},
	{"WorkingDir", offsetof(struct image_config, working_dir)},
	{"StopSignal", offsetof(struct image_config, stop_signal)},
};

static const struct text_member history_texts[] = {
	{"created", offsetof(struct config_history, created)},
	{"created_by", offsetof(struct config_history, created_by)},
	{"author", offsetof(struct config_history, author)},
	{"comment", offsetof(struct config_history, comment)},
};

static char **text_at(void *object, const struct text_member *m)
{
	return (char **)((char *)object + m->offset);
}

static void set_text(char **field, const char *text)
{
	char *copy = text ? mem_strdup(text) : NULL;
	mem_free_cleanup(field);
	*field = copy;
}

static int parse_texts(const json_t *object, const struct text_member *members, size_t len,
		       const char *what, void *ret, struct err *e)
{
	for (size_t i = 0; i < len; i++) {
		const char *text = NULL;
		if (json_opt_text(object, members[i].key, what, &text, e) < 0)
			return -1;
		set_text(text_at(ret, &members[i]), text);
	}
	return 0;
}

static int parse_list(const json_t *object, const char *key, const char *what,
		      struct strvec *ret, struct err *e)
{
	json_t *array = NULL;
	if (json_opt_array(object, key, what, &array, e) < 0)
		return -1;
	return text_list_from_json(array, what, ret, e);
}

/* ExposedPorts and Volumes: a set, written as a map to empty objects. */
static int parse_set(const json_t *object, const char *key, const char *what,
		     struct strvec *ret, struct err *e)
{
	json_t *set = NULL;
	const char *name;
	json_t *value;
	if (json_opt_object(object, key, what, &set, e) < 0)
		return -1;
	json_object_foreach(set, name, value)
	{
		strvec_push(ret, name);
	}
	return 0;
}

static int check_env(const struct strvec *env, const char *what, struct err *e)
{
	for (size_t i = 0; i < env->len; i++) {
		const char *eq = strchr(env->items[i], '=');
		if (!eq || eq == env->items[i]) {
			return err_set(e, ERR_INPUT, "image/env",
				       "Env entry '%s' of '%s' is not NAME=VALUE",
				       env->items[i], what);
		}
	}
	return 0;
}

static int parse_runtime(const json_t *root, const char *what, struct image_config *ret,
			 struct err *e)
{
	json_t *runtime = NULL, *labels = NULL;
	if (json_opt_object(root, "config", what, &runtime, e) < 0)
		return -1;
	if (!runtime)
		return 0;
	if (parse_texts(runtime, runtime_texts, ARRAY_LEN(runtime_texts), what, ret, e) < 0 ||
	    parse_list(runtime, "Env", what, &ret->env, e) < 0 ||
	    parse_list(runtime, "Entrypoint", what, &ret->entrypoint, e) < 0 ||
	    parse_list(runtime, "Cmd", what, &ret->cmd, e) < 0 ||
	    parse_set(runtime, "ExposedPorts", what, &ret->exposed_ports, e) < 0 ||
	    parse_set(runtime, "Volumes", what, &ret->volumes, e) < 0 ||
	    json_opt_object(runtime, "Labels", what, &labels, e) < 0 ||
	    text_map_from_json(labels, what, &ret->labels, e) < 0)
		return -1;
	ret->has_entrypoint = ret->entrypoint.len > 0;
	ret->has_cmd = ret->cmd.len > 0;
	return check_env(&ret->env, what, e);
}

static int parse_rootfs(const json_t *root, const char *what, struct image_config *ret,
			struct err *e)
{
	json_t *rootfs = NULL, *diff_ids = NULL;
	const char *type = NULL;
	if (json_get_object(root, "rootfs", what, &rootfs, e) < 0 ||
	    json_get_text(rootfs, "type", what, &type, e) < 0)
		return -1;
	if (strcmp(type, "layers") != 0) {
		return err_set(e, ERR_INPUT, "image/rootfs", "rootfs type of '%s' is '%s'",
			       what, type);
	}
	if (json_opt_array(rootfs, "diff_ids", what, &diff_ids, e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(diff_ids); i++) {
		const char *text = json_string_value(json_array_get(diff_ids, i));
		struct digest d;
		if (digest_parse(text ? text : "", &d, e) < 0)
			return err_wrap(e, "diff_id %zu of '%s'", i, what);
		vec_push(&ret->diff_ids, d);
	}
	return 0;
}

static int parse_history(const json_t *root, const char *what, struct image_config *ret,
			 struct err *e)
{
	json_t *history = NULL;
	if (json_opt_array(root, "history", what, &history, e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(history); i++) {
		const json_t *entry = json_array_get(history, i);
		if (!json_is_object(entry)) {
			return err_set(e, ERR_INPUT, "image/history",
				       "history entry %zu of '%s' is not an object", i, what);
		}
		/* Pushed first, so that the image owns what has been read so far. */
		struct config_history h = {
			.empty_layer = json_is_true(json_object_get(entry, "empty_layer"))};
		vec_push(&ret->history, h);
		if (parse_texts(entry, history_texts, ARRAY_LEN(history_texts), what,
				&ret->history.items[i], e) < 0)
			return -1;
	}
	return 0;
}

/* Absent where there is nothing to say. */
static void put_list(json_t *object, const char *key, const struct strvec *v)
{
	if (v->len > 0)
		json_put(object, key, text_list_to_json(v));
}

static void put_set(json_t *object, const char *key, const struct strvec *v)
{
	if (v->len == 0)
		return;
	json_t *set = json_object();
	for (size_t i = 0; i < v->len; i++)
		json_put(set, v->items[i], json_object());
	json_put(object, key, set);
}

static void put_texts(json_t *object, const struct text_member *members, size_t len,
		      const void *from)
{
	for (size_t i = 0; i < len; i++) {
		const char *text;
		memcpy(&text, (const char *)from + members[i].offset, sizeof(text));
		json_put_text(object, members[i].key, text);
	}
}

static json_t *runtime_to_json(const struct image_config *c)
{
	json_t *runtime = json_object();
	put_texts(runtime, runtime_texts, ARRAY_LEN(runtime_texts), c);
	put_list(runtime, "Env", &c->env);
	put_list(runtime, "Entrypoint", &c->entrypoint);
	put_list(runtime, "Cmd", &c->cmd);
	put_set(runtime, "ExposedPorts", &c->exposed_ports);
	put_set(runtime, "Volumes", &c->volumes);
	if (c->labels.len > 0)
		json_put(runtime, "Labels", text_map_to_json(&c->labels));
	return runtime;
}

static json_t *rootfs_to_json(const struct image_config *c)
{
	json_t *diff_ids = json_array();
	for (size_t i = 0; i < c->diff_ids.len; i++) {
		char text[DIGEST_TEXT_MAX];
		digest_format(&c->diff_ids.items[i], text);
		json_array_append_new(diff_ids, json_string(text));
	}
	json_t *rootfs = json_object();
	json_put_text(rootfs, "type", "layers");
	json_put(rootfs, "diff_ids", diff_ids);
	return rootfs;
}

static json_t *history_to_json(const struct image_config *c)
{
	json_t *history = json_array();
	for (size_t i = 0; i < c->history.len; i++) {
		json_t *entry = json_object();
		put_texts(entry, history_texts, ARRAY_LEN(history_texts), &c->history.items[i]);
		if (c->history.items[i].empty_layer)
			json_put(entry, "empty_layer", json_true());
		json_array_append_new(history, entry);
	}
	return history;
}

static size_t history_layers(const struct image_config *c)
{
	size_t layers = 0;
	for (size_t i = 0; i < c->history.len; i++)
		layers += !c->history.items[i].empty_layer;
	return layers;
}

static void history_add(struct image_config *c, int64_t created_s, const char *created_by,
			const char *author, bool empty_layer)
{
	/* A base may lack history; once there is some, every layer needs its entry. */
	while (history_layers(c) < c->diff_ids.len) {
		struct config_history unknown = {.comment = mem_strdup("no history recorded")};
		vec_push(&c->history, unknown);
	}
	char created[32];
	clock_format_rfc3339(created_s, created);
	struct config_history h = {.created = mem_strdup(created),
				   .created_by = mem_strdup(created_by),
				   .empty_layer = empty_layer};
	set_text(&h.author, author);
	vec_push(&c->history, h);
}

static void strvec_replace(struct strvec *v, const struct strvec *from)
{
	strvec_cleanup(v);
	for (size_t i = 0; from && i < from->len; i++)
		strvec_push(v, from->items[i]);
}

static bool env_has_path(const struct strvec *env)
{
	for (size_t i = 0; i < env->len; i++) {
		if (str_has_prefix(env->items[i], "PATH="))
			return true;
	}
	return false;
}

/* Appended in byte order of key behind what is inherited, PATH last if nobody set one. */
static void apply_environment(struct image_config *c, const struct map *environment)
{
	AUTO(strvec) keys = {0};
	for (size_t i = 0; environment && i < environment->len; i++)
		strvec_push(&keys, environment->entries[i].key);
	if (keys.len > 0)
		qsort(keys.items, keys.len, sizeof(keys.items[0]), str_compare_ptr);
	for (size_t i = 0; i < keys.len; i++) {
		const char *value = map_get(environment, keys.items[i]);
		AUTO_FREE char *entry = mem_printf("%s=%s", keys.items[i], value);
		strvec_push(&c->env, entry);
	}
	if (!env_has_path(&c->env))
		strvec_push(&c->env, default_path);
}

static void apply_commands(struct image_config *c, const struct config_directives *d)
{
	if (d->has_full_command) {
		strvec_replace(&c->entrypoint, d->full_command);
		strvec_replace(&c->cmd, NULL);
	} else {
		if (d->has_entrypoint)
			strvec_replace(&c->entrypoint, d->entrypoint);
		if (d->has_cmd)
			strvec_replace(&c->cmd, d->cmd);
	}
	c->has_entrypoint = c->entrypoint.len > 0;
	c->has_cmd = c->cmd.len > 0;
}

static void apply_text(char **field, const char *text)
{
	if (text && text[0])
		set_text(field, text);
}

void image_config_cleanup(struct image_config *c)
{
	for (size_t i = 0; i < ARRAY_LEN(image_texts); i++)
		mem_free_cleanup(text_at(c, &image_texts[i]));
	for (size_t i = 0; i < ARRAY_LEN(runtime_texts); i++)
		mem_free_cleanup(text_at(c, &runtime_texts[i]));
	struct strvec *lists[] = {&c->os_features, &c->env,	      &c->entrypoint,
				  &c->cmd,	   &c->exposed_ports, &c->volumes};
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		strvec_cleanup(lists[i]);
	map_cleanup(&c->labels);
	vec_free(&c->diff_ids);
	for (size_t i = 0; i < c->history.len; i++) {
		for (size_t k = 0; k < ARRAY_LEN(history_texts); k++)
			mem_free_cleanup(text_at(&c->history.items[i], &history_texts[k]));
	}
	vec_free(&c->history);
}

int image_config_parse(const char *text, size_t len, const char *what, struct image_config *ret,
		       struct err *e)
{
	AUTO(json_doc) doc = {0};
	AUTO(image_config) c = {0};
	if (json_read(text, len, LIMIT_CONFIG_BYTES, what, &doc, e) < 0 ||
	    parse_texts(doc.root, image_texts, ARRAY_LEN(image_texts), what, &c, e) < 0 ||
	    parse_list(doc.root, "os.features", what, &c.os_features, e) < 0 ||
	    parse_runtime(doc.root, what, &c, e) < 0 ||
	    parse_rootfs(doc.root, what, &c, e) < 0 || parse_history(doc.root, what, &c, e) < 0)
		return -1;
	*ret = c;
	c = (struct image_config){0};
	return 0;
}

void image_config_write(const struct image_config *c, struct buf *out)
{
	json_t *root = json_object();
	put_texts(root, image_texts, ARRAY_LEN(image_texts), c);
	put_list(root, "os.features", &c->os_features);
	json_put(root, "config", runtime_to_json(c));
	json_put(root, "rootfs", rootfs_to_json(c));
	if (c->history.len > 0)
		json_put(root, "history", history_to_json(c));
	json_write(root, out);
	json_decref(root);
}

int image_config_check(const struct image_config *c, const struct manifest *m, struct err *e)
{
	if (strcmp(m->config.media_type, OCI_CONFIG_TYPE) != 0) {
		err_set(e, ERR_INPUT, "image/media-type",
			"the image's configuration is of type '%s'", m->config.media_type);
		return err_hint(e, "convert the image: skopeo copy --format oci");
	}
	if (c->diff_ids.len != m->layers.len) {
		return err_set(e, ERR_INPUT, "image/config-mismatch",
			       "the configuration lists %zu diff_ids, the manifest %zu layers",
			       c->diff_ids.len, m->layers.len);
	}
	size_t layers = history_layers(c);
	if (c->history.len > 0 && layers != c->diff_ids.len) {
		return err_set(e, ERR_INPUT, "image/config-mismatch",
			       "the history tells of %zu layers, the configuration lists %zu",
			       layers, c->diff_ids.len);
	}
	return 0;
}

void image_config_apply(struct image_config *c, const struct config_directives *d)
{
	apply_environment(c, d->environment);
	apply_commands(c, d);
	for (size_t i = 0; d->volumes && i < d->volumes->len; i++) {
		if (!strvec_has(&c->volumes, d->volumes->items[i]))
			strvec_push(&c->volumes, d->volumes->items[i]);
	}
	c->labels.free_value = free;
	for (size_t i = 0; d->labels && i < d->labels->len; i++)
		map_set_text(&c->labels, d->labels->entries[i].key,
			     d->labels->entries[i].value);
	apply_text(&c->working_dir, d->working_dir);
	apply_text(&c->user, d->runtime_user);
	apply_text(&c->os, d->os);
	apply_text(&c->architecture, d->architecture);
	set_text(&c->author, author_name);
	char created[32];
	clock_format_rfc3339(d->created_s, created);
	set_text(&c->created, created);
	history_add(c, d->created_s, "stacker build", author_name, true);
}

void image_config_add_layer(struct image_config *c, const struct digest *diff_id,
			    const char *created_by, int64_t created_s)
{
	history_add(c, created_s, created_by, NULL, false);
	vec_push(&c->diff_ids, *diff_id);
}
