/* See last.h. */
#include "build/last.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/roots.h"
#include "image/dir_names.h"
#include "recipe/canon.h"
#include "util/atomic_file.h"
#include "util/json_read.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

#define LAST_DIR "last"
#define LAST_SCHEMA STACKER_BASE_URI "last-builds/v1"

enum { LAST_NAME_MAX = DIGEST_TEXT_MAX + 8 };

void last_builds_cleanup(struct last_builds *b)
{
	for (size_t i = 0; i < b->len; i++)
		free(b->items[i].name);
	vec_free(b);
	mem_free_cleanup(&b->file);
}

void last_builds_vec_cleanup(struct last_builds_vec *v)
{
	for (size_t i = 0; i < v->len; i++)
		last_builds_cleanup(&v->items[i]);
	vec_free(v);
}

static void record_name(const char *file, char out[LAST_NAME_MAX])
{
	struct digest d;
	char hex[DIGEST_TEXT_MAX];
	digest_bytes(DIGEST_SHA256, file, strlen(file), &d);
	digest_format_hex(&d, hex);
	snprintf(out, LAST_NAME_MAX, "%s.json", hex);
}

static int open_dir(const struct build_context *c, int *ret_fd, struct err *e)
{
	return path_make_private_dir(c->state_fd, LAST_DIR, ret_fd, e);
}

static int parse_forms(const json_t *item, const char *what, struct last_image *ret,
		       struct err *e)
{
	json_t *forms;
	if (json_opt_object(item, "forms", what, &forms, e) < 0)
		return -1;
	for (size_t i = 0; i < LAYER_TYPES; i++) {
		const char *recipe;
		if (json_opt_text(forms, layer_type_name((enum layer_type)i), what, &recipe,
				  e) < 0 ||
		    (recipe && digest_parse(recipe, &ret->forms[i], e) < 0))
			return -1;
	}
	return 0;
}

static int parse(const struct buf *text, const char *what, struct last_builds *ret,
		 struct err *e)
{
	AUTO(json_doc) doc = {0};
	const char *schema, *file, *name, *recipe;
	json_t *images;
	if (json_read(buf_text(text), text->len, LIMIT_JSON_CANON_BYTES, what, &doc, e) < 0 ||
	    json_get_text(doc.root, "schema", what, &schema, e) < 0 ||
	    json_get_text(doc.root, "file", what, &file, e) < 0 ||
	    json_get_array(doc.root, "images", what, &images, e) < 0)
		return -1;
	if (!str_same(schema, LAST_SCHEMA))
		return err_set(e, ERR_INPUT, "cache/foreign", "'%s' is not what its name says",
			       what);
	for (size_t i = 0; i < json_array_size(images); i++) {
		const json_t *item = json_array_get(images, i);
		struct last_image image = {0};
		if (json_get_text(item, "name", what, &name, e) < 0 ||
		    json_get_text(item, "recipe", what, &recipe, e) < 0 ||
		    digest_parse(recipe, &image.recipe, e) < 0 ||
		    parse_forms(item, what, &image, e) < 0)
			return -1;
		image.name = mem_strdup(name);
		vec_push(ret, image);
	}
	ret->file = mem_strdup(file);
	return 0;
}

/* *ret_found false: there is none, or it cannot be read, which a warning says. */
static int load_record(int dir, const char *name, struct last_builds *ret, bool *ret_found,
		       struct err *e)
{
	struct stat st;
	AUTO(buf) text = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	AUTO(last_builds) found = {0};
	struct err why = ERR_INIT;
	*ret_found = false;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot stat '" LAST_DIR "/%s'", name);
	if (path_read_file(dir, name, &text, &why) < 0 ||
	    parse(&text, name, &found, &why) < 0) {
		log_warn("record '" LAST_DIR "/%s' is unusable: %s", name, why.message);
		return 0;
	}
	*ret = found;
	found = (struct last_builds){0};
	*ret_found = true;
	return 0;
}

int last_load(const struct build_context *c, const char *file, struct last_builds *ret,
	      struct err *e)
{
	AUTO_CLOSE int dir = -1;
	AUTO(last_builds) b = {0};
	char name[LAST_NAME_MAX];
	bool found;
	record_name(file, name);
	if (open_dir(c, &dir, e) < 0 || load_record(dir, name, &b, &found, e) < 0)
		return -1;
	if (!found || !str_same(b.file, file))
		return 0;
	*ret = b;
	b = (struct last_builds){0};
	return 0;
}

const struct last_image *last_find(const struct last_builds *b, const char *name)
{
	for (size_t i = 0; i < b->len; i++)
		if (str_same(b->items[i].name, name))
			return &b->items[i];
	return NULL;
}

int last_load_all(const struct build_context *c, struct last_builds_vec *ret, struct err *e)
{
	AUTO_CLOSE int dir = -1;
	AUTO(strvec) names = {0};
	if (open_dir(c, &dir, e) < 0 || dir_names(dir, LAST_DIR, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		struct last_builds b = {0};
		bool found = false;
		if (!str_has_suffix(names.items[i], ".json"))
			continue;
		if (load_record(dir, names.items[i], &b, &found, e) < 0)
			return -1;
		if (found)
			vec_push(ret, b);
	}
	return 0;
}

static json_t *image_json(const struct last_image *image)
{
	char recipe[DIGEST_TEXT_MAX];
	json_t *forms = json_object();
	for (size_t i = 0; i < LAYER_TYPES; i++) {
		if (image->forms[i].alg == DIGEST_NONE)
			continue;
		digest_format(&image->forms[i], recipe);
		json_object_set_new(forms, layer_type_name((enum layer_type)i),
				    json_string(recipe));
	}
	digest_format(&image->recipe, recipe);
	return json_pack("{s:s, s:s, s:o}", "name", image->name, "recipe", recipe, "forms",
			 forms);
}

static void write_record(const struct last_builds *b, struct buf *out)
{
	json_t *images = json_array();
	for (size_t i = 0; i < b->len; i++)
		json_array_append_new(images, image_json(&b->items[i]));
	AUTO(json_doc)
	doc = {.root = json_pack("{s:s, s:s, s:o}", "schema", LAST_SCHEMA, "file", b->file,
				 "images", images)};
	json_write(doc.root, out);
}

/* Unless it is so already: a build that finds everything in the cache writes nothing. */
static int save_record(int dir, const struct last_builds *b, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	AUTO(buf) old = BUF_INIT(LIMIT_JSON_CANON_BYTES);
	struct err ignored = ERR_INIT;
	char name[LAST_NAME_MAX];
	record_name(b->file, name);
	write_record(b, &text);
	if (buf_check(&text, "record of the last build", e) < 0)
		return -1;
	if (path_read_file(dir, name, &old, &ignored) == 0 && old.len == text.len &&
	    memcmp(old.data, text.data, text.len) == 0)
		return 0;
	return atomic_file_write(dir, name, 0600, text.data, text.len, e);
}

/* What is known now; the forms of before, too, if they are of the same recipe. */
static struct last_image describe(const struct plan_image *image, size_t index,
				  const struct last_image *before, const struct forms *forms)
{
	struct last_image now = {.name = mem_strdup(image->recipe->name),
				 .recipe = image->digest};
	for (size_t i = 0; i < LAYER_TYPES; i++) {
		const struct form *form = form_of(forms, index, (enum layer_type)i);
		if (form && form->have)
			now.forms[i] = form->recipe;
		else if (before && digest_eq(&before->recipe, &now.recipe))
			now.forms[i] = before->forms[i];
	}
	return now;
}

static int save_file(const struct build_context *c, int dir, const struct plan *p,
		     const struct project_file *file, const bool *known,
		     const struct forms *forms, struct err *e)
{
	AUTO(last_builds) old = {0};
	AUTO(last_builds) now = {.file = mem_strdup(file->absolute)};
	/* A path that is no text cannot be recorded; all that is lost is comfort. */
	if (!str_is_utf8(now.file, strlen(now.file)))
		return 0;
	if (last_load(c, file->absolute, &old, e) < 0)
		return -1;
	for (size_t i = 0; i < p->len; i++) {
		const struct plan_image *image = &p->images[i];
		if (image->file != file)
			continue;
		const struct last_image *before = last_find(&old, image->recipe->name);
		if (known[i]) {
			vec_push(&now, describe(image, i, before, forms));
		} else if (before) {
			struct last_image old_image = *before;
			old_image.name = mem_strdup(before->name);
			vec_push(&now, old_image);
		}
	}
	return save_record(dir, &now, e);
}

int last_save(const struct build_context *c, const struct plan *p, const bool *known,
	      const struct forms *forms, struct err *e)
{
	AUTO_CLOSE int dir = -1;
	if (open_dir(c, &dir, e) < 0)
		return -1;
	for (size_t i = 0; i < p->project.files.len; i++)
		if (save_file(c, dir, p, &p->project.files.items[i], known, forms, e) < 0)
			return -1;
	return 0;
}

int last_forget(const struct build_context *c, const char *file, struct err *e)
{
	AUTO_CLOSE int dir = -1;
	char name[LAST_NAME_MAX];
	record_name(file, name);
	if (open_dir(c, &dir, e) < 0)
		return -1;
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, "cannot remove '" LAST_DIR "/%s'", name);
	return 0;
}

/* In the record of `file`, else the only one of that name in another; NULL: none, or several. */
static const struct last_image *choose(const struct last_builds_vec *all, const char *file,
				       const char *name)
{
	const struct last_image *elsewhere = NULL;
	size_t found = 0;
	for (size_t i = 0; i < all->len; i++) {
		const struct last_builds *b = &all->items[i];
		bool here = str_same(b->file, file);
		const struct last_image *image = name		  ? last_find(b, name)
						 : here && b->len ? &b->items[0]
								  : NULL;
		if (here && image)
			return image;
		found += image != NULL;
		elsewhere = image ? image : elsewhere;
	}
	return found == 1 ? elsewhere : NULL;
}

static int not_built(const struct last_builds_vec *all, const char *name, struct err *e)
{
	AUTO(buf) names = BUF_INIT(ERR_HINT_MAX / 2);
	for (size_t i = 0; i < all->len; i++)
		for (size_t j = 0; j < all->items[i].len; j++)
			buf_addf(&names, "%s%s", names.len ? ", " : "",
				 all->items[i].items[j].name);
	if (name)
		err_set(e, ERR_USAGE, "build/not-built",
			"image '%s' has not been built here, or by several stackerfiles", name);
	else
		err_set(e, ERR_USAGE, "build/not-built",
			"no image of this stackerfile has been built here");
	if (names.len == 0)
		return err_hint(e, "build it first: stacker build");
	return err_hint(e, "there is: %s; -f names the stackerfile", buf_text(&names));
}

int last_open_image(struct build_context *c, const char *file, const char *name,
		    struct image_result *ret, char **ret_name, struct err *e)
{
	AUTO(last_builds_vec) all = {0};
	AUTO_FREE char *absolute = NULL;
	struct err ignored = ERR_INIT;
	bool hit = false;
	if (project_absolute(file, &absolute, &ignored) < 0)
		absolute = mem_strdup(file); /* its directory is gone: no record of it */
	if (last_load_all(c, &all, e) < 0)
		return -1;
	const struct last_image *image = choose(&all, absolute, name);
	if (!image)
		return not_built(&all, name, e);
	if (cache_load(c, &image->recipe, ret, &hit, e) < 0)
		return -1;
	if (!hit) {
		err_set(e, ERR_INPUT, "build/not-built",
			"what was built of image '%s' is no longer in the store", image->name);
		return err_hint(e, "build it again: stacker build");
	}
	*ret_name = mem_strdup(image->name);
	return roots_ensure(c, &ret->layers, e);
}
