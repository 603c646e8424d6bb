/*
 * Both ends are looked at as stores: a layout's blobs directory is one, and a registry is read
 * into one. Blobs go first, then documents from the innermost out, then the name, so that the
 * destination never names something that is not all there.
 */
#include "build/copy.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "build/remote_tree.h"
#include "image/config.h"
#include "image/layout.h"
#include "util/json_read.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

#define LAYOUT_SCHEME "oci:"
/* Referrers of referrers (a signature of an SBOM), and so on. */
#define REFERRER_DEPTH 4

struct place {
	struct registry *registry; /* NULL: a layout */
	struct reference where;
	struct layout layout;
	struct store blobs; /* of the layout */
	char *ref;	    /* tag or digest; NULL: none was given */
};
#define PLACE_INIT                                                                             \
	{                                                                                      \
		.layout = LAYOUT_INIT, .blobs = STORE_INIT                                     \
	}

struct copying {
	struct build_context *c;
	struct place from, to;
	const struct store *store; /* where documents, and blobs on their way, lie */
	struct map done;	   /* digests that were copied */
	struct copy_report report;
};

/* A list that owns its texts. */
struct entries {
	struct descriptor_vec list;
};

static void entries_cleanup(struct entries *x)
{
	for (size_t i = 0; i < x->list.len; i++)
		descriptor_cleanup(&x->list.items[i]);
	vec_free(&x->list);
}

static void place_cleanup(struct place *p)
{
	registry_close(p->registry);
	reference_cleanup(&p->where);
	store_cleanup(&p->blobs);
	layout_cleanup(&p->layout);
	mem_free_cleanup(&p->ref);
}

static void copying_cleanup(struct copying *x)
{
	place_cleanup(&x->from);
	place_cleanup(&x->to);
	map_cleanup(&x->done);
}

static int err_place(const char *text, const char *why, struct err *e)
{
	err_set(e, ERR_USAGE, "copy/place", "'%s' %s", text, why);
	return err_hint(e, "write docker://HOST/REPOSITORY:TAG or oci:PATH:TAG");
}

/* The most exact name that was given. */
static char *ref_of(const struct reference *r)
{
	char digest[DIGEST_TEXT_MAX];
	if (r->digest.alg == DIGEST_NONE)
		return r->tag ? mem_strdup(r->tag) : NULL;
	digest_format(&r->digest, digest);
	return mem_strdup(digest);
}

/* The image-spec's grammar of org.opencontainers.image.ref.name. */
static bool is_ref_name(const char *text)
{
	char before[2] = {0};
	for (const char *p = text; *p; p++) {
		bool begins_or_goes_on = isalnum((unsigned char)before[0]) ||
					 (*p == '-' && before[0] == '-' && before[1] != '-');
		if (!isalnum((unsigned char)*p) &&
		    (!begins_or_goes_on || !strchr("-._:@+/", *p)))
			return false;
		before[1] = before[0];
		before[0] = *p;
	}
	return isalnum((unsigned char)before[0]);
}

/* A tag that looks like a digest would be taken for one, and name another image. */
static int check_new_ref(const char *text, const char *ref, bool is_digest, struct err *e)
{
	struct digest ignored;
	if (is_digest || digest_parse(ref, &ignored, NULL) == 0)
		return err_place(text, "names a digest, which the image itself decides", e);
	return is_ref_name(ref) ? 0 : err_place(text, "has no name that a tag can have", e);
}

/* As a stackerfile's: the path ends at the first ":" or at "@sha256:". */
static int open_layout(const char *text, bool write, struct place *ret, struct err *e)
{
	const char *path_text = text + strlen(LAYOUT_SCHEME);
	const char *at = strstr(path_text, "@sha");
	const char *colon = strchr(path_text, ':');
	const char *end = at && (!colon || at < colon) ? at : colon;
	if (!end || end == path_text || !end[1])
		return err_place(text, "does not name a layout and a tag", e);
	if (write && check_new_ref(text, end + 1, end == at, e) < 0)
		return -1;
	AUTO_FREE char *path = mem_strndup(path_text, (size_t)(end - path_text));
	ret->ref = mem_strdup(end + 1);
	if ((write ? layout_open_writable(AT_FDCWD, path, &ret->layout, e)
		   : layout_open(AT_FDCWD, path, &ret->layout, e)) < 0)
		return -1;
	return path_open_dir(ret->layout.dir_fd, "blobs", &ret->blobs.blobs_fd, e);
}

static int open_place(const struct build_context *c, const char *text, bool insecure,
		      bool write, struct place *ret, struct err *e)
{
	if (str_has_prefix(text, LAYOUT_SCHEME))
		return open_layout(text, write, ret, e);
	if (!str_has_prefix(text, REFERENCE_SCHEME))
		return err_place(text, "is neither in a registry nor in a layout", e);
	if (remote_open(c, text, insecure, &ret->where, &ret->registry, e) < 0)
		return -1;
	ret->ref = ref_of(&ret->where);
	if (!ret->ref && !write)
		return err_place(text, "names no tag and no digest", e);
	if (write && ret->where.digest.alg != DIGEST_NONE)
		return err_place(text, "names a digest, which the image itself decides", e);
	return 0;
}

/* *doc is filled for a registry only. */
static int find_top(struct copying *x, struct registry_document *doc, struct descriptor *ret,
		    struct err *e)
{
	if (!x->from.registry)
		return layout_find(&x->from.layout, x->from.ref, ret, e);
	if (registry_get_manifest(x->from.registry, x->from.ref, doc, NULL, e) < 0)
		return -1;
	*ret = (struct descriptor){.media_type = mem_strdup(doc->media_type),
				   .digest = doc->digest,
				   .size = doc->text.len};
	return 0;
}

/* An image that no index speaks for must say itself that it is for the platform. */
static int check_platform(struct copying *x, const struct descriptor *image,
			  const struct remote_platform *platform, struct err *e)
{
	AUTO(registry_document) doc = REGISTRY_DOCUMENT_INIT;
	AUTO(manifest) m = {0};
	AUTO(buf) text = BUF_INIT(LIMIT_CONFIG_BYTES);
	AUTO(image_config) config = {0};
	if (remote_load(x->store, image, &doc, e) < 0 ||
	    manifest_parse(buf_text(&doc.text), doc.text.len, "the image", &m, e) < 0)
		return -1;
	const struct descriptor_vec list = {.items = &m.config, .len = 1};
	AUTO_FREE struct registry_descriptor *blob = remote_blobs(&list);
	if ((x->from.registry &&
	     registry_fetch_blobs(x->from.registry, blob, 1, x->store, e) < 0) ||
	    store_blob_read(x->store, &m.config.digest, &text, e) < 0 ||
	    image_config_parse(buf_text(&text), text.len, "the image's config", &config, e) < 0)
		return -1;
	if (str_same(config.os, platform->os) &&
	    str_same(config.architecture, platform->arch) &&
	    (!platform->variant || str_same(config.variant, platform->variant)))
		return 0;
	return err_set(e, ERR_INPUT, "image/platform", "the image is for %s/%s, not for %s/%s",
		       config.os, config.architecture, platform->os, platform->arch);
}

/* Narrows the top to the image for a platform. */
static int choose(struct copying *x, const struct remote_platform *platform,
		  struct descriptor *top, struct err *e)
{
	AUTO(remote_tree) tree = REMOTE_TREE_INIT;
	struct descriptor image = {0};
	if (remote_tree_read(x->from.registry, x->store, top, platform, &tree, e) < 0 ||
	    remote_find_image(x->store, top, platform, &image, e) < 0)
		return -1;
	bool is_alone = digest_eq(&image.digest, &top->digest);
	descriptor_cleanup(top);
	*top = image;
	return is_alone ? check_platform(x, top, platform, e) : 0;
}

static int put_into_layout(struct copying *x, const struct descriptor_vec *list, struct err *e)
{
	for (size_t i = 0; i < list->len; i++) {
		const struct descriptor *d = &list->items[i];
		AUTO_CLOSE int fd = -1;
		if (layout_has_blob(&x->to.layout, &d->digest, d->size))
			continue;
		if (store_blob_open(x->store, &d->digest, &fd, e) < 0 ||
		    layout_put_blob_fd(&x->to.layout, fd, &d->digest, e) < 0)
			return -1;
	}
	return 0;
}

static int push_blobs(struct copying *x, const struct registry_descriptor *blobs, size_t len,
		      struct err *e)
{
	struct registry_push_report report;
	if (registry_push_blobs(x->to.registry, blobs, len, x->store, NULL, &report, e) < 0)
		return -1;
	x->report.pushed.pushed += report.pushed;
	x->report.pushed.mounted += report.mounted;
	x->report.pushed.present += report.present;
	x->report.pushed.bytes += report.bytes;
	return 0;
}

/* Only what the destination neither has nor can take from where it is goes through here. */
static int between_registries(struct copying *x, const struct registry_descriptor *blobs,
			      size_t len, struct err *e)
{
	bool same = str_same(x->from.where.host, x->to.where.host) &&
		    !str_same(x->from.where.repository, x->to.where.repository);
	const char *mount_from = same ? x->from.where.repository : NULL;
	AUTO_FREE bool *have = mem_zalloc(len + 1, sizeof(*have));
	AUTO_FREE struct registry_descriptor *missing = mem_zalloc(len + 1, sizeof(*missing));
	size_t missing_len = 0;
	if (registry_mount_blobs(x->to.registry, blobs, len, mount_from, have, e) < 0)
		return -1;
	for (size_t i = 0; i < len; i++) {
		x->report.pushed.present += have[i];
		if (!have[i])
			missing[missing_len++] = blobs[i];
	}
	if (registry_fetch_blobs(x->from.registry, missing, missing_len, x->store, e) < 0)
		return -1;
	return push_blobs(x, missing, missing_len, e);
}

static int into_layout(struct copying *x, const struct remote_tree *tree,
		       const struct registry_descriptor *blobs, struct err *e)
{
	size_t len = tree->blobs.len;
	size_t present = 0;
	for (size_t i = 0; i < len; i++)
		present += layout_has_blob(&x->to.layout, &tree->blobs.items[i].digest,
					   tree->blobs.items[i].size);
	if ((x->from.registry ? registry_fetch_blobs(x->from.registry, blobs, len, x->store, e)
			      : put_into_layout(x, &tree->blobs, e)) < 0)
		return -1;
	x->report.pushed.present += present;
	x->report.pushed.pushed += len - present;
	return 0;
}

static int copy_blobs(struct copying *x, const struct remote_tree *tree, struct err *e)
{
	AUTO_FREE struct registry_descriptor *blobs = remote_blobs(&tree->blobs);
	size_t len = tree->blobs.len;
	if (!x->to.registry)
		return into_layout(x, tree, blobs, e);
	if (x->from.registry)
		return between_registries(x, blobs, len, e);
	return push_blobs(x, blobs, len, e);
}

static int name_in_layout(struct copying *x, const struct descriptor *top, const char *tag,
			  const char *artifact_type, struct err *e)
{
	AUTO(registry_document) doc = REGISTRY_DOCUMENT_INIT;
	bool changed;
	if (remote_load(x->store, top, &doc, e) < 0)
		return -1;
	const struct descriptor named = {
		.media_type = doc.media_type, .digest = top->digest, .size = top->size};
	if (tag)
		return layout_set_tag(&x->to.layout, tag, &named, NULL, NULL, &changed, e);
	return layout_add_untagged(&x->to.layout, &named, artifact_type, e);
}

/* `tag` NULL: it gets no name. */
static int copy_tree(struct copying *x, const struct descriptor *top,
		     const struct remote_tree *tree, const char *tag, const char *artifact_type,
		     struct err *e)
{
	if (copy_blobs(x, tree, e) < 0)
		return -1;
	if (x->to.registry)
		return remote_push_documents(x->to.registry, x->store, tree, &tag, tag ? 1 : 0,
					     e);
	if (!x->from.registry && put_into_layout(x, &tree->documents, e) < 0)
		return -1;
	return name_in_layout(x, top, tag, artifact_type, e);
}

/* Of a layout: the manifests of index.json whose subject it is. */
static int list_in_layout(struct copying *x, const struct digest *subject,
			  struct registry_referrers *ret, struct err *e)
{
	AUTO(entries) all = {0};
	char wanted[DIGEST_TEXT_MAX];
	digest_format(subject, wanted);
	if (layout_entries(&x->from.layout, &all.list, e) < 0)
		return -1;
	for (size_t i = 0; i < all.list.len; i++) {
		const struct descriptor *d = &all.list.items[i];
		AUTO(registry_document) doc = REGISTRY_DOCUMENT_INIT;
		AUTO(json_doc) json = {0};
		if (remote_load(x->store, d, &doc, e) < 0 ||
		    json_read(buf_text(&doc.text), doc.text.len, LIMIT_MANIFEST_BYTES,
			      "manifest", &json, e) < 0)
			return -1;
		const json_t *of = json_object_get(json.root, "subject");
		const char *type =
			json_string_value(json_object_get(json.root, "artifactType"));
		if (!str_same(wanted, json_string_value(json_object_get(of, "digest"))))
			continue;
		vec_push(ret, ((struct registry_referrer){
				      .media_type = mem_strdup(d->media_type),
				      .artifact_type = type ? mem_strdup(type) : NULL,
				      .digest = d->digest,
				      .size = d->size}));
	}
	return 0;
}

static int list_referrers(struct copying *x, const struct digest *subject,
			  struct registry_referrers *ret, struct err *e)
{
	if (x->from.registry)
		return registry_list_referrers(x->from.registry, subject, NULL, ret, e);
	return list_in_layout(x, subject, ret, e);
}

static int copy_referrers(struct copying *x, const struct remote_tree *tree, unsigned depth,
			  struct err *e);

static int copy_referrer(struct copying *x, const struct registry_referrer *r, unsigned depth,
			 struct err *e)
{
	AUTO(remote_tree) tree = REMOTE_TREE_INIT;
	AUTO(descriptor)
	top = {.media_type = mem_strdup(r->media_type), .digest = r->digest, .size = r->size};
	char digest[DIGEST_TEXT_MAX];
	digest_format(&r->digest, digest);
	if (!map_add(&x->done, digest, x))
		return 0;
	if (remote_tree_read(x->from.registry, x->store, &top, NULL, &tree, e) < 0 ||
	    copy_tree(x, &top, &tree, NULL, r->artifact_type, e) < 0)
		return -1;
	x->report.referrers++;
	return depth < REFERRER_DEPTH ? copy_referrers(x, &tree, depth + 1, e) : 0;
}

/* Of every document: an index and its images may each have their own. */
static int copy_referrers(struct copying *x, const struct remote_tree *tree, unsigned depth,
			  struct err *e)
{
	for (size_t i = 0; i < tree->documents.len; i++) {
		AUTO(registry_referrers) list = {0};
		if (list_referrers(x, &tree->documents.items[i].digest, &list, e) < 0)
			return -1;
		for (size_t j = 0; j < list.len; j++)
			if (copy_referrer(x, &list.items[j], depth, e) < 0)
				return -1;
	}
	return 0;
}

int copy_image(struct build_context *c, const struct copy_options *options,
	       struct copy_report *ret, struct err *e)
{
	AUTO(copying)
	x = {.c = c, .from = PLACE_INIT, .to = PLACE_INIT, .done = MAP_INIT(NULL)};
	AUTO(descriptor) top = {0};
	AUTO(remote_tree) tree = REMOTE_TREE_INIT;
	AUTO(registry_document) doc = REGISTRY_DOCUMENT_INIT;
	/* The destination comes into being only if there is something for it. */
	if (open_place(c, options->from, options->from_insecure, false, &x.from, e) < 0 ||
	    find_top(&x, &doc, &top, e) < 0 ||
	    open_place(c, options->to, options->to_insecure, true, &x.to, e) < 0)
		return -1;
	x.store = !x.from.registry ? &x.from.blobs : x.to.registry ? &c->store : &x.to.blobs;
	if ((x.from.registry && remote_keep(x.store, &doc, e) < 0) ||
	    (options->platform && choose(&x, options->platform, &top, e) < 0) ||
	    remote_tree_read(x.from.registry, x.store, &top, NULL, &tree, e) < 0 ||
	    copy_tree(&x, &top, &tree, x.to.ref, NULL, e) < 0 ||
	    (options->referrers && copy_referrers(&x, &tree, 0, e) < 0))
		return -1;
	/* What an earlier name held, and documents of an index that was not wanted. */
	if (!x.to.registry && layout_collect(&x.to.layout, NULL, e) < 0)
		return -1;
	*ret = x.report;
	ret->digest = top.digest;
	return 0;
}
