/*
 * Reading a bundle. The archive comes from anybody: an unpacker expands it below roots/.work,
 * what is found there is read as any OCI layout, and its blobs enter the store by their hashes.
 * Only then is anything made of them.
 */
#include "build/bundle.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "build/remote_tree.h"
#include "build/roots.h"
#include "image/layout.h"
#include "image/unpack.h"
#include "inputs/local.h"
#include "recipe/canon.h"
#include "util/json_read.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

#define BUNDLE_SCHEMA STACKER_BASE_URI "bundle/v1"
#define BUNDLES_DIR "bundle"

void bundle_cleanup(struct bundle *b)
{
	free(b->dir);
	free(b->cwd);
	free(b->oci);
	strvec_cleanup(&b->files);
	strvec_cleanup(&b->names);
	substitution_vec_cleanup(&b->substitutions);
	free(b->annotations_namespace);
}

void bundle_plan(const struct bundle *b, struct plan_options *ret)
{
	*ret = (struct plan_options){
		.files = (const char *const *)b->files.items,
		.files_len = b->files.len,
		.names = (const char *const *)b->names.items,
		.names_len = b->names.len,
		.substitutions = &b->substitutions,
		.annotations_namespace = b->annotations_namespace,
	};
}

static int malformed(const char *what, struct err *e)
{
	err_set(e, ERR_INPUT, "bundle/malformed", "the bundle is malformed: %s", what);
	return err_hint(e, "is it whole, and was it written by 'stacker bundle'?");
}

struct expand_job {
	const char *name; /* of the archive */
	const char *work; /* directory below roots/ */
	int fd;
	locale_t charset;
};

static int expand(void *ctx, struct buf *reply, struct err *e)
{
	const struct expand_job *job = ctx;
	AUTO_CLOSE int roots = -1;
	AUTO_CLOSE int work = -1;
	const struct unpack_archive_options options = {.name = job->name,
						       .charset = job->charset,
						       .dest = "/",
						       .uid = 0,
						       .gid = 0,
						       .mode = 0644};
	(void)reply;
	if (path_open_dir(AT_FDCWD, "/roots", &roots, e) < 0 ||
	    path_make_dir(roots, job->work, 0700, &work, e) < 0)
		return -1;
	return unpack_archive(job->fd, &options, &unpack_default_limits, work, e);
}

static int expand_archive(struct build_context *c, const char *path, const char *work,
			  struct err *e)
{
	struct expand_job job = {.name = path, .work = work, .fd = -1};
	AUTO_CLOSE int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_sys(e, "cannot open it");
	if (unpack_charset_open(&job.charset, e) < 0)
		return -1;
	job.fd = fd;
	const struct roots_worker worker = {.c = c,
					    .role = POLICY_UNPACKER,
					    .run = expand,
					    .ctx = &job,
					    .keep_fds = &fd,
					    .keep_fds_len = 1};
	int rc = roots_worker_run(&worker, NULL, e);
	freelocale(job.charset);
	return rc;
}

/* What the archive says it is, and its blobs in the store. */
struct opened {
	struct layout layout;
	struct store blobs;	    /* of the layout */
	struct descriptor manifest; /* of the bundle itself */
	struct digest config;
};

static void opened_cleanup(struct opened *o)
{
	store_cleanup(&o->blobs);
	layout_cleanup(&o->layout);
	descriptor_cleanup(&o->manifest);
}

/* Of all entries, the one whose config is a bundle's. */
static int find_manifest(struct opened *o, struct manifest *ret, struct err *e)
{
	struct descriptor_vec entries = {0};
	int rc = layout_entries(&o->layout, &entries, e);
	bool found = false;
	for (size_t i = 0; rc == 0 && i < entries.len && !found; i++) {
		AUTO(buf) text = BUF_INIT(LIMIT_MANIFEST_BYTES);
		AUTO(manifest) m = {0};
		rc = layout_blob_read(&o->layout, &entries.items[i].digest, &text, e);
		if (rc == 0)
			rc = manifest_parse(buf_text(&text), text.len, "bundle", &m, e);
		found = rc == 0 && str_same(m.config.media_type, BUNDLE_TYPE);
		if (!found)
			continue;
		o->manifest = entries.items[i];
		entries.items[i].media_type = NULL;
		o->config = m.config.digest;
		*ret = m;
		m = (struct manifest){0};
	}
	for (size_t i = 0; i < entries.len; i++)
		descriptor_cleanup(&entries.items[i]);
	vec_free(&entries);
	if (rc < 0)
		return -1;
	return found ? 0 : malformed("it is a layout without a manifest of a bundle", e);
}

static int take_blob(struct build_context *c, const struct opened *o,
		     const struct descriptor *d, struct err *e)
{
	return store_blob_copy(&o->blobs, &c->store, &d->digest, (int64_t)d->size, e);
}

static int take_blobs(struct build_context *c, struct opened *o, struct err *e)
{
	AUTO(manifest) m = {0};
	if (path_open_dir(o->layout.dir_fd, "blobs", &o->blobs.blobs_fd, e) < 0 ||
	    find_manifest(o, &m, e) < 0 || take_blob(c, o, &m.config, e) < 0)
		return -1;
	for (size_t i = 0; i < m.layers.len; i++)
		if (take_blob(c, o, &m.layers.items[i], e) < 0)
			return -1;
	return 0;
}

/* The images, but not the bundle itself, under their tags in a layout that can be written to. */
static int make_layout(struct build_context *c, const struct opened *o, const char *path,
		       struct err *e)
{
	AUTO(strvec) tags = {0};
	AUTO(layout) out = LAYOUT_INIT;
	if (layout_tags(&o->layout, &tags, e) < 0 ||
	    layout_open_writable(AT_FDCWD, path, &out, e) < 0)
		return -1;
	for (size_t i = 0; i < tags.len; i++) {
		AUTO(descriptor) top = {0};
		AUTO(remote_tree) tree = REMOTE_TREE_INIT;
		bool changed;
		if (layout_find(&o->layout, tags.items[i], &top, e) < 0 ||
		    remote_tree_read(NULL, &c->store, &top, NULL, &tree, e) < 0)
			return -1;
		const struct descriptor_vec *const lists[] = {&tree.blobs, &tree.documents};
		for (size_t l = 0; l < ARRAY_LEN(lists); l++)
			for (size_t j = 0; j < lists[l]->len; j++) {
				AUTO_CLOSE int fd = -1;
				const struct digest *d = &lists[l]->items[j].digest;
				if (store_blob_open(&c->store, d, &fd, e) < 0 ||
				    layout_put_blob_fd(&out, fd, d, e) < 0)
					return -1;
			}
		if (layout_set_tag(&out, tags.items[i], &top, NULL, NULL, &changed, e) < 0)
			return -1;
	}
	return 0;
}

static int read_texts(const json_t *list, struct strvec *ret, struct err *e)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		if (!text)
			return malformed("a list holds something else than texts", e);
		strvec_push(ret, text);
	}
	return 0;
}

static int read_substitutions(const json_t *list, struct bundle *b, struct err *e)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *pair = json_array_get(list, i);
		const char *key = json_string_value(json_array_get(pair, 0));
		const char *value = json_string_value(json_array_get(pair, 1));
		if (!key || !value)
			return malformed("a substitution is no pair of texts", e);
		if (substitution_add_default(&b->substitutions, key, value, e) < 0)
			return -1;
	}
	return 0;
}

/* Below the root that the bundle was made from, and nowhere else. */
static int check_below(const char *path, struct err *e)
{
	if (path[0] == '/' || path_has_dotdot(path))
		return malformed("a path leads out of it", e);
	return 0;
}

/* From the directory `from` to `to`, both below the same root: "../" as often as needed. */
static char *relative(const char *from, const char *to)
{
	AUTO(buf) out = BUF_INIT(2 * LIMIT_PATH_BYTES);
	for (const char *c = from; *c; c++)
		if (c == from || c[-1] == '/')
			buf_add_c(&out, "../");
	buf_add_c(&out, to);
	return buf_take(&out);
}

struct config {
	struct json_doc doc;
	struct digest sources;
	const char *directory; /* borrowed from `doc`, as all that follow */
	const json_t *files, *names, *substitutions;
	const char *name_space;
};

static void config_cleanup(struct config *c)
{
	json_doc_cleanup(&c->doc);
}

static int read_config(const struct build_context *c, const struct digest *digest,
		       struct config *ret, struct err *e)
{
	static const char what[] = "bundle";
	AUTO(buf) text = BUF_INIT(LIMIT_CONFIG_BYTES);
	const char *schema, *sources;
	json_t *files, *names, *substitutions;
	if (store_blob_read(&c->store, digest, &text, e) < 0 ||
	    json_read(buf_text(&text), text.len, LIMIT_CONFIG_BYTES, what, &ret->doc, e) < 0 ||
	    json_get_text(ret->doc.root, "schema", what, &schema, e) < 0 ||
	    json_get_text(ret->doc.root, "sources", what, &sources, e) < 0 ||
	    json_get_text(ret->doc.root, "directory", what, &ret->directory, e) < 0 ||
	    json_get_array(ret->doc.root, "files", what, &files, e) < 0 ||
	    json_get_array(ret->doc.root, "names", what, &names, e) < 0 ||
	    json_get_array(ret->doc.root, "substitutions", what, &substitutions, e) < 0 ||
	    json_get_text(ret->doc.root, "annotations_namespace", what, &ret->name_space, e) <
		    0 ||
	    digest_parse(sources, &ret->sources, e) < 0)
		return -1;
	ret->files = files;
	ret->names = names;
	ret->substitutions = substitutions;
	if (!str_same(schema, BUNDLE_SCHEMA))
		return malformed("it is of another version", e);
	return check_below(ret->directory, e);
}

static int read_plan(const struct config *config, struct bundle *b, struct err *e)
{
	AUTO(strvec) files = {0};
	if (read_texts(config->files, &files, e) < 0 ||
	    read_texts(config->names, &b->names, e) < 0 ||
	    read_substitutions(config->substitutions, b, e) < 0)
		return -1;
	for (size_t i = 0; i < files.len; i++) {
		if (check_below(files.items[i], e) < 0)
			return -1;
		AUTO_FREE char *file = relative(config->directory, files.items[i]);
		strvec_push(&b->files, file);
	}
	b->annotations_namespace = mem_strdup(config->name_space);
	return files.len > 0 ? 0 : malformed("it names no stackerfile", e);
}

static int make_sources(struct build_context *c, const struct config *config, const char *path,
			struct err *e)
{
	AUTO(local_tree) tree = {0};
	AUTO_CLOSE int fd = -1;
	if (local_tree_load(&c->store, &config->sources, &tree, e) < 0 ||
	    path_make_dir(AT_FDCWD, path, 0700, &fd, e) < 0)
		return -1;
	return local_tree_make(&c->store, &tree, fd, e);
}

/* What an earlier run made, perhaps in part, gives way: all of it is made from the store. */
static int make_directory(struct build_context *c, const struct opened *o, struct bundle *b,
			  struct err *e)
{
	AUTO(config) config = {0};
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(&o->manifest.digest, hex);
	AUTO_FREE char *name = mem_printf(BUNDLES_DIR "/%s", hex);
	b->dir = path_join(c->dirs.state, name);
	b->oci = path_join(b->dir, "oci");
	AUTO_FREE char *files = path_join(b->dir, "files");
	if (read_config(c, &o->config, &config, e) < 0 || read_plan(&config, b, e) < 0 ||
	    path_remove_tree(c->state_fd, name, e) < 0 ||
	    make_sources(c, &config, files, e) < 0)
		return -1;
	b->cwd = path_join(files, config.directory[0] ? config.directory : ".");
	return make_layout(c, o, b->oci, e);
}

int bundle_open(struct build_context *c, const char *path, struct bundle *ret, struct err *e)
{
	AUTO(opened) o = {.layout = LAYOUT_INIT, .blobs = STORE_INIT};
	AUTO(bundle) b = {0};
	char work[ROOTS_NAME_MAX];
	roots_work_name(c, work);
	AUTO_FREE char *expanded = path_join(c->dirs.roots, work);
	if (expand_archive(c, path, work, e) < 0 ||
	    layout_open(AT_FDCWD, expanded, &o.layout, e) < 0 || take_blobs(c, &o, e) < 0 ||
	    make_directory(c, &o, &b, e) < 0)
		return err_wrap(e, "bundle '%s'", path);
	if (build_remove_tree(c, c->roots_fd, work, e) < 0)
		return -1;
	*ret = b;
	b = (struct bundle){0};
	return 0;
}
