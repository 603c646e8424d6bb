/*
 * Lists: the tags of a repository and the referrers of an image, part by part. Where a registry
 * has no referrers API, an index under the tag "sha256-HEX" is kept in its stead, as the
 * distribution-spec says ("Referrers Tag Schema").
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "inputs/fetcher_io_internal.h"
#include "inputs/registry_internal.h"
#include "util/json_read.h"
#include "util/json_write.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

#define TAGS_PATH "tags/list?n=1000"
/* How often a fallback tag is written again that somebody else wrote at the same time. */
#define FALLBACK_ATTEMPTS 6

void registry_referrers_cleanup(struct registry_referrers *v)
{
	for (size_t i = 0; i < v->len; i++) {
		mem_free_cleanup(&v->items[i].media_type);
		mem_free_cleanup(&v->items[i].artifact_type);
	}
	vec_free(v);
}

/* One part of a list. */
struct page {
	struct buf text;
	struct registry_message answer;
};

static void page_cleanup(struct page *p)
{
	buf_cleanup(&p->text);
}

static int get_page(struct registry *r, const char *path, const char *accept, struct page *p,
		    struct err *e)
{
	struct registry_call call = {.request = {.op = REGISTRY_GET_LIST}, .fd = -1};
	AUTO_CLOSE int fd = -1;

	fetcher_copy_text(call.request.path, sizeof(call.request.path), path);
	fetcher_copy_text(call.request.media_type, sizeof(call.request.media_type), accept);
	if (registry_scratch_open(&fd, e) < 0)
		return -1;
	call.fd = fd;
	if (registry_call_make(r, &call, e) < 0)
		return -1;
	p->answer = call.answer;
	buf_clear(&p->text);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, "cannot read a list");
	return path_read_fd(fd, "list", &p->text, e);
}

/* "sha256-HEX", perhaps with ".sig" and the like behind it: not for people. */
static bool is_attached(const char *tag)
{
	size_t prefix =
		str_has_prefix(tag, "sha256-") || str_has_prefix(tag, "sha512-") ? 7 : 0;

	if (prefix == 0 || strspn(tag + prefix, "0123456789abcdef") != 64)
		return false;
	return tag[prefix + 64] == '\0' || tag[prefix + 64] == '.';
}

static int take_tags(const struct registry *r, const struct page *p, struct strvec *ret,
		     struct err *e)
{
	AUTO(json_doc) doc = {0};
	AUTO_FREE char *what = mem_printf("list of tags of %s", registry_name(r));
	json_t *tags;

	if (json_read(buf_text(&p->text), p->text.len, LIMIT_MANIFEST_BYTES, what, &doc, e) <
		    0 ||
	    json_opt_array(doc.root, "tags", what, &tags, e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(tags); i++) {
		const char *tag = json_string_value(json_array_get(tags, i));

		if (!tag || !reference_is_tag(tag))
			return err_set(e, ERR_INPUT, "registry/list",
				       "the %s holds something else", what);
		if (ret->len >= LIMIT_REGISTRY_TAGS)
			return err_set(e, ERR_INPUT, "registry/list", "the %s has more than %d",
				       what, LIMIT_REGISTRY_TAGS);
		if (!is_attached(tag))
			strvec_push(ret, tag);
	}
	return 0;
}

static int err_endless(const struct registry *r, struct err *e)
{
	return err_set(e, ERR_INPUT, "registry/list", "a list of '%s' has more than %d parts",
		       registry_name(r), LIMIT_REGISTRY_PAGES);
}

int registry_list_tags(struct registry *r, struct strvec *ret, struct err *e)
{
	AUTO(page) p = {.text = BUF_INIT(LIMIT_MANIFEST_BYTES)};
	AUTO_FREE char *path = mem_strdup(TAGS_PATH);

	for (unsigned i = 0; i < LIMIT_REGISTRY_PAGES; i++) {
		if (get_page(r, path, "application/json", &p, e) < 0)
			return -1;
		if (!(p.answer.facts & REGISTRY_FOUND))
			return err_set(e, ERR_INPUT, "registry/absent",
				       "there is no repository '%s'", registry_name(r));
		if (take_tags(r, &p, ret, e) < 0)
			return -1;
		if (!p.answer.next[0])
			return 0;
		mem_free_cleanup(&path);
		path = mem_strdup(p.answer.next);
	}
	return err_endless(r, e);
}

static int take_referrer(const json_t *item, const char *what, struct registry_referrers *ret,
			 struct err *e)
{
	const char *media_type, *digest, *artifact_type;
	struct registry_referrer x = {0};

	if (!json_is_object(item))
		return err_set(e, ERR_INPUT, "registry/list", "the %s holds something else",
			       what);
	if (json_get_text(item, "mediaType", what, &media_type, e) < 0 ||
	    json_get_text(item, "digest", what, &digest, e) < 0 ||
	    json_get_u64(item, "size", what, &x.size, e) < 0 ||
	    json_opt_text(item, "artifactType", what, &artifact_type, e) < 0 ||
	    digest_parse(digest, &x.digest, e) < 0)
		return -1;
	if (ret->len >= LIMIT_REGISTRY_REFERRERS)
		return err_set(e, ERR_INPUT, "registry/list", "the %s has more than %d", what,
			       LIMIT_REGISTRY_REFERRERS);
	x.media_type = mem_strdup(media_type);
	x.artifact_type = artifact_type ? mem_strdup(artifact_type) : NULL;
	vec_push(ret, x);
	return 0;
}

static int take_index(const struct registry *r, const char *text, size_t len,
		      struct registry_referrers *ret, struct err *e)
{
	AUTO(json_doc) doc = {0};
	AUTO_FREE char *what = mem_printf("list of referrers at %s", registry_name(r));
	json_t *manifests;

	if (json_read(text, len, LIMIT_MANIFEST_BYTES, what, &doc, e) < 0 ||
	    json_get_array(doc.root, "manifests", what, &manifests, e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(manifests); i++)
		if (take_referrer(json_array_get(manifests, i), what, ret, e) < 0)
			return -1;
	return 0;
}

/* *ret_has_api false: the registry knows no such list. */
static int list_by_api(struct registry *r, const struct digest *subject,
		       struct registry_referrers *ret, bool *ret_has_api, struct err *e)
{
	AUTO(page) p = {.text = BUF_INIT(LIMIT_MANIFEST_BYTES)};
	char digest[DIGEST_TEXT_MAX];

	digest_format(subject, digest);
	/* Not narrowed by the registry: what it filters out, nobody sees. */
	AUTO_FREE char *path = mem_printf("referrers/%s", digest);

	for (unsigned i = 0; i < LIMIT_REGISTRY_PAGES; i++) {
		if (get_page(r, path, REGISTRY_INDEX_TYPE, &p, e) < 0)
			return -1;
		/* A page of some proxy is no list, whatever its status. */
		*ret_has_api = p.answer.facts & REGISTRY_FOUND &&
			       str_same(p.answer.media_type, REGISTRY_INDEX_TYPE);
		if (!*ret_has_api && i > 0)
			return err_set(e, ERR_INPUT, "registry/list",
				       "a list of referrers at '%s' breaks off",
				       registry_name(r));
		if (!*ret_has_api)
			return 0;
		if (take_index(r, buf_text(&p.text), p.text.len, ret, e) < 0)
			return -1;
		if (!p.answer.next[0])
			return 0;
		mem_free_cleanup(&path);
		path = mem_strdup(p.answer.next);
	}
	return err_endless(r, e);
}

static void fallback_tag(const struct digest *subject, char out[DIGEST_TEXT_MAX])
{
	char hex[DIGEST_TEXT_MAX];

	digest_format_hex(subject, hex);
	snprintf(out, DIGEST_TEXT_MAX, "%s-%.64s", digest_alg_name(subject->alg), hex);
}

static bool is_index(const struct registry_document *d)
{
	return str_same(d->media_type, REGISTRY_INDEX_TYPE);
}

/* The index under the fallback tag; *ret_found false: there is none. A registry may answer with
 * the image itself (GitLab does), which is no list. */
static int get_fallback(struct registry *r, const struct digest *subject,
			struct registry_document *ret, bool *ret_found, struct err *e)
{
	char tag[DIGEST_TEXT_MAX];

	fallback_tag(subject, tag);
	if (registry_get_manifest(r, tag, ret, ret_found, e) < 0)
		return -1;
	if (*ret_found && (!is_index(ret) || digest_eq(&ret->digest, subject))) {
		registry_document_cleanup(ret);
		*ret = (struct registry_document)REGISTRY_DOCUMENT_INIT;
		*ret_found = false;
	}
	return 0;
}

/* Reads "subject" and the type of the artifact out of a manifest. */
static int read_subject(const struct registry_document *d, const char *what,
			struct digest *ret_subject, char **ret_type, struct err *e)
{
	AUTO(json_doc) doc = {0};
	json_t *subject, *config;
	const char *digest, *type;

	*ret_subject = (struct digest){0};
	if (json_read(buf_text(&d->text), d->text.len, LIMIT_MANIFEST_BYTES, what, &doc, e) <
		    0 ||
	    json_opt_object(doc.root, "subject", what, &subject, e) < 0 ||
	    json_opt_object(doc.root, "config", what, &config, e) < 0 ||
	    json_opt_text(doc.root, "artifactType", what, &type, e) < 0)
		return -1;
	if (!subject)
		return 0;
	if (json_get_text(subject, "digest", what, &digest, e) < 0 ||
	    digest_parse(digest, ret_subject, e) < 0)
		return -1;
	if (!type && config && json_get_text(config, "mediaType", what, &type, e) < 0)
		return -1;
	*ret_type = type ? mem_strdup(type) : NULL;
	return 0;
}

/* Whether the entry is what a fallback tag's list says; its type is then the manifest's own,
 * since such lists often leave it out. */
static int check_candidate(struct registry *r, struct registry_referrer *x,
			   const struct digest *subject, bool *ret_is, struct err *e)
{
	AUTO(registry_document) d = REGISTRY_DOCUMENT_INIT;
	char ref[DIGEST_TEXT_MAX];
	struct digest found;
	AUTO_FREE char *type = NULL;
	bool there;

	digest_format(&x->digest, ref);
	*ret_is = false;
	if (registry_get_manifest(r, ref, &d, &there, e) < 0)
		return -1;
	if (!there)
		return 0;
	if (read_subject(&d, ref, &found, &type, e) < 0)
		return -1;
	*ret_is = digest_eq(&found, subject) && d.text.len == x->size;
	if (*ret_is) {
		mem_free_cleanup(&x->artifact_type);
		x->artifact_type = TAKE_PTR(type);
	}
	return 0;
}

static int list_by_tag(struct registry *r, const struct digest *subject,
		       struct registry_referrers *ret, struct err *e)
{
	AUTO(registry_document) d = REGISTRY_DOCUMENT_INIT;
	AUTO(registry_referrers) candidates = {0};
	bool found;

	if (get_fallback(r, subject, &d, &found, e) < 0)
		return -1;
	if (!found)
		return 0;
	if (take_index(r, buf_text(&d.text), d.text.len, &candidates, e) < 0)
		return -1;
	for (size_t i = 0; i < candidates.len; i++) {
		struct registry_referrer *x = &candidates.items[i];
		bool is;

		if (check_candidate(r, x, subject, &is, e) < 0)
			return -1;
		if (!is)
			continue;
		vec_push(ret, *x);
		*x = (struct registry_referrer){0};
	}
	return 0;
}

static void keep_type(struct registry_referrers *v, const char *artifact_type)
{
	size_t kept = 0;

	for (size_t i = 0; i < v->len; i++) {
		struct registry_referrer *x = &v->items[i];

		if (!artifact_type || str_same(x->artifact_type, artifact_type)) {
			v->items[kept++] = *x;
			continue;
		}
		mem_free_cleanup(&x->media_type);
		mem_free_cleanup(&x->artifact_type);
	}
	v->len = kept;
}

int registry_list_referrers(struct registry *r, const struct digest *subject,
			    const char *artifact_type, struct registry_referrers *ret,
			    struct err *e)
{
	AUTO(registry_referrers) found = {0};
	bool has_api = false;

	if (list_by_api(r, subject, &found, &has_api, e) < 0 ||
	    (!has_api && list_by_tag(r, subject, &found, e) < 0))
		return -1;
	keep_type(&found, artifact_type);
	*ret = found;
	found = (struct registry_referrers){0};
	return 0;
}

/* The entry for a manifest: its descriptor, the type of the artifact, all its annotations. */
static json_t *entry_of(const struct registry_document *d, const char *type)
{
	AUTO(json_doc) doc = {0};
	char digest[DIGEST_TEXT_MAX];

	digest_format(&d->digest, digest);
	BUG_IF(json_read(buf_text(&d->text), d->text.len, LIMIT_MANIFEST_BYTES, "manifest",
			 &doc, NULL) < 0); /* it was read before */
	json_t *entry = json_pack("{s:s, s:s, s:I}", "mediaType", d->media_type, "digest",
				  digest, "size", (json_int_t)d->text.len);
	json_t *annotations = json_object_get(doc.root, "annotations");

	if (type)
		json_object_set_new(entry, "artifactType", json_string(type));
	if (json_is_object(annotations))
		json_object_set(entry, "annotations", annotations);
	return entry;
}

static bool has_entry(const json_t *manifests, const struct digest *d)
{
	char digest[DIGEST_TEXT_MAX];

	digest_format(d, digest);
	for (size_t i = 0; i < json_array_size(manifests); i++)
		if (str_same(digest, json_string_value(json_object_get(
					     json_array_get(manifests, i), "digest"))))
			return true;
	return false;
}

/* The index with one more entry; those that others wrote stay as they are. *ret_changed false:
 * it was there. */
static int extend(const struct registry_document *old, const struct registry_document *d,
		  const char *type, struct registry_document *ret, bool *ret_changed,
		  struct err *e)
{
	AUTO(json_doc) doc = {0};
	json_t *manifests;

	if (old->text.len > 0) {
		if (json_read(buf_text(&old->text), old->text.len, LIMIT_MANIFEST_BYTES,
			      "list of referrers", &doc, e) < 0)
			return -1;
	} else {
		doc.root = json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType",
				     REGISTRY_INDEX_TYPE, "manifests");
	}
	if (json_get_array(doc.root, "manifests", "list of referrers", &manifests, e) < 0)
		return -1;
	*ret_changed = !has_entry(manifests, &d->digest);
	if (!*ret_changed)
		return 0;
	json_array_append_new(manifests, entry_of(d, type));
	json_write(doc.root, &ret->text);
	if (buf_check(&ret->text, "list of referrers", e) < 0)
		return -1;
	digest_bytes(DIGEST_SHA256, ret->text.data, ret->text.len, &ret->digest);
	ret->media_type = mem_strdup(REGISTRY_INDEX_TYPE);
	return 0;
}

/* Longer each time, and not the same for two processes that collide. */
static void back_off(unsigned attempt)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	struct timespec t = {.tv_nsec = (long)(attempt + 1) * 20000000 +
					(now.tv_nsec ^ getpid()) % 60000000};

	nanosleep(&t, NULL);
}

/* Nothing locks a tag: it is written, looked at again, and written once more if somebody else's
 * writing took our entry away. */
int registry_add_fallback(struct registry *r, const struct registry_document *d, struct err *e)
{
	struct digest subject;
	AUTO_FREE char *type = NULL;
	char tag[DIGEST_TEXT_MAX];

	if (read_subject(d, "manifest", &subject, &type, e) < 0)
		return -1;
	if (subject.alg == DIGEST_NONE)
		return 0;
	fallback_tag(&subject, tag);
	for (unsigned i = 0; i < FALLBACK_ATTEMPTS; i++) {
		AUTO(registry_document) old = REGISTRY_DOCUMENT_INIT;
		AUTO(registry_document) new = REGISTRY_DOCUMENT_INIT;
		bool found, changed = false;

		if (i > 0)
			back_off(i);
		if (get_fallback(r, &subject, &old, &found, e) < 0 ||
		    extend(&old, d, type, &new, &changed, e) < 0)
			return -1;
		if (!changed)
			return 0;
		if (registry_put_manifest(r, tag, &new, e) < 0)
			return -1;
	}
	err_set(e, ERR_INPUT, "registry/referrers-race",
		"others keep overwriting the list of referrers '%s' of '%s'", tag,
		registry_name(r));
	return err_hint(e, "push again when they are done");
}
