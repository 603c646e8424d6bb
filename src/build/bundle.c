/*
 * Writing a bundle: everything is gathered, paths with what they are and blobs by digest; then
 * the archive is written from the store (bundle_archive.h).
 */
#include "build/bundle.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build/bundle_archive.h"
#include "build/remote_tree.h"
#include "image/layout.h"
#include "image/layout_index.h"
#include "inputs/local.h"
#include "recipe/canon.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

#define BUNDLE_SCHEMA STACKER_BASE_URI "bundle/v1"
#define INDEX_TEXT "{\"manifests\":[],\"schemaVersion\":2}"

struct packing {
	struct build_context *c;
	const struct plan_options *options;
	struct plan plan;
	char *cwd;	    /* absolute */
	char *root;	    /* absolute: a directory that all files are in */
	struct map entries; /* path below the root -> struct local_entry */
	struct map blobs;   /* digest as text -> size in bytes as uint64_t */
	struct layout_index index;
	struct digest sources; /* the tree of `entries` */
};

static void free_entry(void *value)
{
	struct local_entry *entry = value;
	free(entry->path);
	free(entry->target);
	free(entry);
}

static void packing_cleanup(struct packing *p)
{
	plan_cleanup(&p->plan);
	free(p->cwd);
	free(p->root);
	map_cleanup(&p->entries);
	map_cleanup(&p->blobs);
	layout_index_cleanup(&p->index);
}

/* Lexically, as in the bundle there are no links on the way. "/a/b/../c" -> "/a/c". */
static char *normalise(const char *base, const char *path)
{
	AUTO_FREE char *joined = path_join(base, path);
	AUTO_FREE char *clean = path_clean(joined);
	AUTO(strvec) parts = {0};
	AUTO(buf) out = BUF_INIT(2 * LIMIT_PATH_BYTES);
	for (char *save = NULL, *part = strtok_r(clean, "/", &save); part;
	     part = strtok_r(NULL, "/", &save)) {
		if (!str_same(part, ".."))
			strvec_push(&parts, part);
		else if (parts.len > 0)
			free(parts.items[--parts.len]);
	}
	for (size_t i = 0; i < parts.len; i++)
		buf_addf(&out, "/%s", parts.items[i]);
	return parts.len > 0 ? buf_take(&out) : mem_strdup("/");
}

static bool is_within(const char *dir, const char *path)
{
	size_t len = strlen(dir);
	if (len == 1)
		return true;
	return strncmp(dir, path, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Widens the root until `path` is within. */
static void include(struct packing *p, const char *path)
{
	while (!is_within(p->root, path)) {
		char *slash = strrchr(p->root, '/');
		slash[slash == p->root] = '\0';
	}
}

/* The path below the root; "" for the root itself. */
static const char *below_root(const struct packing *p, const char *path)
{
	size_t len = strlen(p->root);
	return len == 1 ? path + 1 : path[len] == '/' ? path + len + 1 : path + len;
}

static void add_blob(struct packing *p, const struct digest *d, uint64_t size)
{
	char text[DIGEST_TEXT_MAX];
	digest_format(d, text);
	uint64_t *copy = mem_alloc(sizeof(*copy));
	*copy = size;
	if (!map_add(&p->blobs, text, copy))
		free(copy);
}

static int add_stored(struct packing *p, const struct digest *d, struct err *e)
{
	uint64_t len;
	char text[DIGEST_TEXT_MAX];
	digest_format(d, text);
	if (!store_blob_stat(&p->c->store, d, &len))
		return err_set(e, ERR_INPUT, "store/absent", "'%s' is not in the store", text);
	add_blob(p, d, len);
	return 0;
}

static bool same_entry(const struct local_entry *a, const struct local_entry *b)
{
	return a->type == b->type && a->mode == b->mode && str_same(a->target, b->target) &&
	       (a->type != LOCAL_FILE || digest_eq(&a->digest, &b->digest));
}

/* `path` is absolute. What two imports share was read twice and must have been the same. */
static int add_entry(struct packing *p, const char *path, const struct local_entry *from,
		     struct err *e)
{
	const char *below = below_root(p, path);
	const struct local_entry *old = map_get(&p->entries, below);
	if (old && same_entry(old, from))
		return 0;
	if (old)
		return err_set(e, ERR_INPUT, "import/changed",
			       "'%s' changed while the bundle was made", path);
	struct local_entry *entry = mem_zalloc(1, sizeof(*entry));
	*entry = *from;
	entry->path = mem_strdup(below);
	entry->target = from->target ? mem_strdup(from->target) : NULL;
	map_add(&p->entries, below, entry);
	if (entry->type == LOCAL_FILE)
		add_blob(p, &entry->digest, entry->size);
	return 0;
}

static int add_tree(struct packing *p, const char *path, const struct digest *digest,
		    struct err *e)
{
	AUTO(local_tree) tree = {0};
	if (local_tree_load(&p->c->store, digest, &tree, e) < 0)
		return -1;
	for (size_t i = 0; i < tree.len; i++) {
		AUTO_FREE char *at = tree.items[i].path[0] ? path_join(path, tree.items[i].path)
							   : mem_strdup(path);
		if (add_entry(p, at, &tree.items[i], e) < 0)
			return -1;
	}
	return 0;
}

/* A small file of the user's that is part of the project itself. */
static int add_file(struct packing *p, int dir_fd, const char *name, const char *path,
		    struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_INDEX_BYTES);
	struct local_entry entry = {.type = LOCAL_FILE, .mode = 0644};
	if (path_read_file(dir_fd, name, &text, e) < 0 ||
	    store_put(&p->c->store, buf_text(&text), text.len, &entry.digest, e) < 0)
		return -1;
	entry.size = text.len;
	return add_entry(p, path, &entry, e);
}

static int refuse_absolute(const struct pos *pos, const char *path, struct err *e)
{
	err_set(e, ERR_INPUT, "bundle/absolute-path",
		"'%s' is absolute, so that nobody else would find it in a bundle", path);
	err_hint(e, "write it relative to the stackerfile");
	return pos ? err_locate(e, pos) : -1;
}

static int add_stackerfile(struct packing *p, const struct project_file *f, struct err *e)
{
	AUTO_FREE char *base = path_base(f->absolute);
	if (add_file(p, f->dir_fd, base, f->absolute, e) < 0)
		return -1;
	for (size_t i = 0; i < f->stackerfile.prerequisites.len; i++) {
		const struct recipe_prerequisite *r = &f->stackerfile.prerequisites.items[i];
		if (r->path[0] == '/')
			return refuse_absolute(&r->pos, r->path, e);
	}
	if (!f->has_lock)
		return 0;
	AUTO_FREE char *lock = path_base(f->lock_path);
	AUTO_FREE char *dir = mem_strdup(f->absolute);
	*strrchr(dir, '/') = '\0';
	AUTO_FREE char *path = path_join(dir[0] ? dir : "/", lock);
	return add_file(p, f->dir_fd, lock, path, e);
}

/* The documents and blobs of an image in the store, or in `from` and then brought there. */
static int add_image(struct packing *p, const struct store *from, const struct descriptor *top,
		     const struct remote_platform *platform, struct remote_tree *tree,
		     struct err *e)
{
	if (remote_tree_read(NULL, from, top, platform, tree, e) < 0)
		return -1;
	const struct descriptor_vec *const lists[] = {&tree->documents, &tree->blobs};
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (size_t j = 0; j < lists[i]->len; j++) {
			const struct descriptor *d = &lists[i]->items[j];
			add_blob(p, &d->digest, d->size);
			if (store_blob_copy(from, &p->c->store, &d->digest, (int64_t)d->size,
					    e) < 0)
				return -1;
		}
	return 0;
}

/* The layout as a layout, but with what the image needs of it alone. */
static int add_layout(struct packing *p, const struct recipe_image *r, struct err *e)
{
	AUTO(layout) layout = LAYOUT_INIT;
	AUTO(descriptor) top = {0};
	AUTO(remote_tree) tree = REMOTE_TREE_INIT;
	AUTO(store) blobs = STORE_INIT;
	const struct remote_platform platform = {r->os, r->arch, NULL};
	AUTO_FREE char *dir = normalise(p->cwd, r->from_layout);
	AUTO_FREE char *index = path_join(dir, "index.json");
	AUTO_FREE char *marker = path_join(dir, "oci-layout");
	if (r->from_layout[0] == '/')
		return refuse_absolute(&r->pos, r->from_layout, e);
	if (layout_open(AT_FDCWD, r->from_layout, &layout, e) < 0 ||
	    path_open_dir(layout.dir_fd, "blobs", &blobs.blobs_fd, e) < 0 ||
	    layout_find(&layout, r->from_ref, &top, e) < 0 ||
	    add_image(p, &blobs, &top, &platform, &tree, e) < 0 ||
	    add_file(p, layout.dir_fd, "index.json", index, e) < 0 ||
	    add_file(p, layout.dir_fd, "oci-layout", marker, e) < 0)
		return err_locate(e, &r->pos);
	const struct descriptor_vec *const lists[] = {&tree.documents, &tree.blobs};
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (size_t j = 0; j < lists[i]->len; j++) {
			const struct descriptor *d = &lists[i]->items[j];
			const struct local_entry entry = {.type = LOCAL_FILE,
							  .mode = 0644,
							  .digest = d->digest,
							  .size = d->size};
			char hex[DIGEST_TEXT_MAX];
			digest_format_hex(&d->digest, hex);
			AUTO_FREE char *path = mem_printf("%s/blobs/%s/%s", dir,
							  digest_alg_name(d->digest.alg), hex);
			if (add_entry(p, path, &entry, e) < 0)
				return -1;
		}
	return 0;
}

static int add_source(struct packing *p, const struct recipe_source *s, const char *base,
		      const struct digest *digest, struct err *e)
{
	AUTO_FREE char *path = NULL;
	switch (s->kind) {
	case SOURCE_STACKER:
		return 0;
	case SOURCE_URL:
		return add_stored(p, digest, e) < 0 ? err_locate(e, &s->pos) : 0;
	case SOURCE_LOCAL:
		if (s->path[0] == '/')
			return refuse_absolute(&s->pos, s->path, e);
		path = normalise(base, s->path);
		return add_tree(p, path, digest, e) < 0 ? err_locate(e, &s->pos) : 0;
	}
	BUG_IF(true);
}

static char *directory_of(const struct project_file *f)
{
	const char *slash = strrchr(f->absolute, '/');
	return slash == f->absolute ? mem_strdup("/")
				    : mem_strndup(f->absolute, (size_t)(slash - f->absolute));
}

static int add_inputs(struct packing *p, const struct plan_image *image, struct err *e)
{
	const struct recipe_image *r = image->recipe;
	AUTO_FREE char *base = directory_of(image->file);
	AUTO(descriptor) top = {0};
	AUTO(remote_tree) tree = REMOTE_TREE_INIT;
	const struct remote_platform platform = {r->os, r->arch, r->from_variant};
	if (r->from == FROM_OCI && add_layout(p, r, e) < 0)
		return -1;
	if (r->from == FROM_DOCKER &&
	    (remote_describe(&p->c->store, &image->base, &top, e) < 0 ||
	     add_image(p, &p->c->store, &top, &platform, &tree, e) < 0))
		return err_locate(e, &r->from_pos);
	if (r->from == FROM_TAR && add_source(p, &r->from_source, p->cwd, &image->base, e) < 0)
		return -1;
	for (size_t i = 0; i < r->imports.len; i++)
		if (add_source(p, &r->imports.items[i].source, base, &image->imports[i], e) < 0)
			return -1;
	return 0;
}

static int add_output(struct packing *p, const struct plan_image *image, struct err *e)
{
	AUTO(image_result) result = {0};
	AUTO(remote_tree) tree = REMOTE_TREE_INIT;
	const struct recipe_image *r = image->recipe;
	bool hit = false;
	if (r->build_only)
		return 0;
	if (cache_load(p->c, &image->digest, &result, &hit, e) < 0)
		return -1;
	if (!hit)
		return err_set(e, ERR_INPUT, "build/not-cached",
			       "image '%s' is not in the cache", r->name);
	const struct layout_tag tag = {
		.name = r->name, .descriptor = &result.manifest, .os = r->os, .arch = r->arch};
	layout_index_set_tags(&p->index, &tag, 1);
	return add_image(p, &p->c->store, &result.manifest, NULL, &tree, e);
}

/* The root grows first, since paths are kept relative to it. */
static void find_root(struct packing *p)
{
	p->root = mem_strdup(p->cwd);
	for (size_t i = 0; i < p->plan.project.files.len; i++)
		include(p, p->plan.project.files.items[i].absolute);
	for (size_t i = 0; i < p->plan.len; i++) {
		const struct plan_image *image = &p->plan.images[i];
		const struct recipe_image *r = image->recipe;
		AUTO_FREE char *base = directory_of(image->file);
		AUTO_FREE char *layout =
			normalise(p->cwd, r->from == FROM_OCI ? r->from_layout : ".");
		AUTO_FREE char *tar = normalise(
			p->cwd, r->from == FROM_TAR && r->from_source.kind == SOURCE_LOCAL
					? r->from_source.path
					: ".");
		include(p, layout);
		include(p, tar);
		for (size_t j = 0; j < r->imports.len; j++) {
			const struct recipe_source *s = &r->imports.items[j].source;
			AUTO_FREE char *path =
				normalise(base, s->kind == SOURCE_LOCAL ? s->path : ".");
			include(p, path);
		}
	}
}

/* Directories on the way that no import holds itself. */
static void add_parents(struct packing *p)
{
	for (size_t i = 0; i < p->entries.len; i++) {
		AUTO_FREE char *path = mem_strdup(p->entries.entries[i].key);
		char *slash = strrchr(path, '/');
		if (slash)
			*slash = '\0';
		else
			path[0] = '\0';
		if (map_has(&p->entries, path))
			continue;
		struct local_entry *entry = mem_zalloc(1, sizeof(*entry));
		*entry = (struct local_entry){
			.path = mem_strdup(path), .type = LOCAL_DIR, .mode = 0755};
		map_add(&p->entries, path, entry); /* looked at in its turn */
	}
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct local_entry *)a)->path,
		      ((const struct local_entry *)b)->path);
}

static int keep_sources(struct packing *p, struct err *e)
{
	add_parents(p);
	AUTO_FREE struct local_entry *sorted = mem_zalloc(p->entries.len, sizeof(*sorted));
	for (size_t i = 0; i < p->entries.len; i++)
		sorted[i] = *(const struct local_entry *)p->entries.entries[i].value;
	qsort(sorted, p->entries.len, sizeof(*sorted), compare_entries);
	const struct local_tree tree = {.items = sorted, .len = p->entries.len};
	if (local_tree_keep(&p->c->store, &tree, &p->sources, e) < 0)
		return -1;
	return add_stored(p, &p->sources, e);
}

static json_t *texts_json(const char *const *texts, size_t len)
{
	json_t *list = json_array();
	for (size_t i = 0; i < len; i++)
		json_array_append_new(list, json_string(texts[i]));
	return list;
}

static json_t *files_json(const struct packing *p)
{
	json_t *list = json_array();
	for (size_t i = 0; i < p->plan.project.files.len; i++) {
		const struct project_file *f = &p->plan.project.files.items[i];
		if (f->is_asked_for)
			json_array_append_new(list, json_string(below_root(p, f->absolute)));
	}
	return list;
}

static json_t *substitutions_json(const struct plan_options *o)
{
	json_t *list = json_array();
	for (size_t i = 0; o->substitutions && i < o->substitutions->len; i++)
		json_array_append_new(list, json_pack("[s,s]", o->substitutions->items[i].key,
						      o->substitutions->items[i].value));
	return list;
}

static int put_config(struct packing *p, struct descriptor *ret, struct err *e)
{
	char sources[DIGEST_TEXT_MAX];
	AUTO(buf) text = BUF_INIT(LIMIT_CONFIG_BYTES);
	digest_format(&p->sources, sources);
	json_t *config = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:s}", "schema",
				   BUNDLE_SCHEMA, "sources", sources, "directory",
				   below_root(p, p->cwd), "files", files_json(p), "names",
				   texts_json(p->options->names, p->options->names_len),
				   "substitutions", substitutions_json(p->options),
				   "annotations_namespace", p->plan.annotations_namespace);
	BUG_IF(!config);
	json_write(config, &text);
	json_decref(config);
	*ret = (struct descriptor){.media_type = mem_strdup(BUNDLE_TYPE), .size = text.len};
	if (buf_check(&text, "bundle", e) < 0)
		return -1;
	return store_put(&p->c->store, text.data, text.len, &ret->digest, e);
}

/* The manifest that names every blob of the archive but itself and the config. */
static int put_manifest(struct packing *p, struct err *e)
{
	AUTO(manifest) m = {.annotations = MAP_INIT(NULL)};
	AUTO(buf) text = BUF_INIT(LIMIT_MANIFEST_BYTES);
	AUTO(descriptor) self = {0};
	if (put_config(p, &m.config, e) < 0)
		return -1;
	for (size_t i = 0; i < p->blobs.len; i++) {
		struct descriptor d = {.media_type = mem_strdup("application/octet-stream"),
				       .size = *(uint64_t *)p->blobs.entries[i].value};
		BUG_IF(digest_parse(p->blobs.entries[i].key, &d.digest, NULL) < 0);
		vec_push(&m.layers, d);
	}
	manifest_write(&m, &text);
	add_blob(p, &m.config.digest, m.config.size);
	self = (struct descriptor){.media_type = mem_strdup(OCI_MANIFEST_TYPE),
				   .size = text.len};
	if (buf_check(&text, "bundle manifest", e) < 0 ||
	    store_put(&p->c->store, text.data, text.len, &self.digest, e) < 0)
		return -1;
	add_blob(p, &self.digest, self.size);
	layout_index_add(&p->index, &self, BUNDLE_TYPE);
	return 0;
}

static int gather(struct packing *p, struct err *e)
{
	find_root(p);
	for (size_t i = 0; i < p->plan.project.files.len; i++)
		if (add_stackerfile(p, &p->plan.project.files.items[i], e) < 0)
			return -1;
	for (size_t i = 0; i < p->plan.len; i++) {
		const struct plan_image *image = &p->plan.images[i];
		if ((image->needed && add_inputs(p, image, e) < 0) ||
		    (image->wanted && add_output(p, image, e) < 0))
			return -1;
	}
	const struct local_entry dir = {.type = LOCAL_DIR, .mode = 0755};
	if (!map_has(&p->entries, below_root(p, p->cwd)) && add_entry(p, p->cwd, &dir, e) < 0)
		return -1;
	return keep_sources(p, e) < 0 ? -1 : put_manifest(p, e);
}

int bundle_write(struct build_context *c, const struct plan_options *options, const char *path,
		 struct err *e)
{
	AUTO(packing)
	p = {.c = c,
	     .options = options,
	     .plan = PLAN_INIT,
	     .entries = MAP_INIT(free_entry),
	     .blobs = MAP_INIT(free)};
	p.cwd = realpath(".", NULL);
	if (!p.cwd)
		return err_sys(e, "cannot find the working directory");
	if (layout_index_parse(INDEX_TEXT, strlen(INDEX_TEXT), "a new index", &p.index, e) <
		    0 ||
	    plan_make(c, options, &p.plan, e) < 0 || gather(&p, e) < 0)
		return -1;
	const struct bundle_archive archive = {
		.store = &c->store, .blobs = &p.blobs, .index = p.index.doc.root};
	return bundle_archive_write(&archive, path, e);
}
