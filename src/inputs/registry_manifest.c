/* Manifests and indexes to and from a registry, as the bytes that they are. */
#include <string.h>
#include <unistd.h>

#include "inputs/fetcher_io_internal.h"
#include "inputs/registry_internal.h"
#include "util/json_read.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

void registry_document_cleanup(struct registry_document *d)
{
	buf_cleanup(&d->text);
	mem_free_cleanup(&d->media_type);
}

static int err_absent(const struct registry *r, const char *ref, struct err *e)
{
	err_set(e, ERR_INPUT, "registry/absent", "'%s' has no image '%s'", registry_name(r),
		ref);
	return err_hint(
		e, "check repository and tag; 'stacker inspect docker://%s' lists the tags",
		registry_name(r));
}

/* A document may leave the type out where its reader can see what it is. */
static const char *guess_type(const json_t *root)
{
	if (json_is_array(json_object_get(root, "manifests")))
		return REGISTRY_INDEX_TYPE;
	return json_is_array(json_object_get(root, "layers")) ? REGISTRY_MANIFEST_TYPE : NULL;
}

static bool is_manifest_type(const char *type)
{
	static const char *const types[] = {REGISTRY_MANIFEST_TYPE, REGISTRY_INDEX_TYPE,
					    DOCKER_MANIFEST_TYPE, DOCKER_LIST_TYPE};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_same(type, types[i]))
			return true;
	return false;
}

/* What the header calls the document and what it calls itself must agree, or two readers may
 * take the same bytes for different things (SEC PF12). */
static int decide_type(const struct registry *r, const char *ref, const char *header_type,
		       struct registry_document *d, struct err *e)
{
	AUTO(json_doc) doc = {0};
	AUTO_FREE char *what = mem_printf("%s %.80s", registry_name(r), ref);
	AUTO_FREE char *shown = str_printable(header_type, strlen(header_type));
	const char *type;

	if (json_read(buf_text(&d->text), d->text.len, LIMIT_MANIFEST_BYTES, what, &doc, e) <
		    0 ||
	    json_opt_text(doc.root, "mediaType", what, &type, e) < 0)
		return -1;
	if (!type)
		type = is_manifest_type(header_type) ? header_type : guess_type(doc.root);
	if (!type || !is_manifest_type(type)) {
		err_set(e, ERR_INPUT, "registry/media-type",
			"'%s' is no image manifest or index (%s)", what, shown);
		return err_hint(e, "images of Docker's first schema must be pushed again by a "
				   "newer tool");
	}
	if (is_manifest_type(header_type) && !str_same(type, header_type))
		return err_set(e, ERR_INPUT, "registry/media-type",
			       "the registry calls '%s' a '%s', but it calls itself a '%.100s'",
			       what, shown, type);
	d->media_type = mem_strdup(type);
	return 0;
}

static int check_digest(const struct registry *r, const char *ref, struct registry_document *d,
			struct err *e)
{
	struct digest wanted;

	digest_bytes(DIGEST_SHA256, d->text.data, d->text.len, &d->digest);
	if (!strchr(ref, ':'))
		return 0;
	if (digest_parse(ref, &wanted, e) < 0)
		return -1;
	digest_bytes(wanted.alg, d->text.data, d->text.len, &d->digest);
	if (digest_eq(&wanted, &d->digest))
		return 0;
	err_set(e, ERR_MISMATCH, "registry/wrong-hash", "'%s' sent other bytes than '%s'",
		registry_name(r), ref);
	return err_hint(e, "the registry is damaged or hostile; nothing was kept");
}

int registry_get_manifest(struct registry *r, const char *ref, struct registry_document *ret,
			  bool *ret_found, struct err *e)
{
	struct registry_call call = {.request = {.op = REGISTRY_GET_MANIFEST}, .fd = -1};
	AUTO(registry_document) d = REGISTRY_DOCUMENT_INIT;
	AUTO_CLOSE int fd = -1;

	fetcher_copy_text(call.request.ref, sizeof(call.request.ref), ref);
	if (registry_scratch_open(&fd, e) < 0)
		return -1;
	call.fd = fd; /* stays ours */
	if (registry_call_make(r, &call, e) < 0)
		return -1;
	if (ret_found)
		*ret_found = call.answer.facts & REGISTRY_FOUND;
	if (!(call.answer.facts & REGISTRY_FOUND))
		return ret_found ? 0 : err_absent(r, ref, e);
	/* The bytes that are hashed are those that are used: a copy of our own. */
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, "cannot read a manifest");
	if (path_read_fd(fd, "manifest", &d.text, e) < 0 || check_digest(r, ref, &d, e) < 0 ||
	    decide_type(r, ref, call.answer.media_type, &d, e) < 0)
		return -1;
	*ret = d;
	d = (struct registry_document)REGISTRY_DOCUMENT_INIT;
	return 0;
}

int registry_put_manifest(struct registry *r, const char *tag,
			  const struct registry_document *d, struct err *e)
{
	struct registry_call call = {.request = {.op = REGISTRY_PUT_MANIFEST}, .fd = -1};
	AUTO_CLOSE int fd = -1;
	char digest[DIGEST_TEXT_MAX];

	digest_format(&d->digest, digest);
	fetcher_copy_text(call.request.ref, sizeof(call.request.ref), tag ? tag : digest);
	fetcher_copy_text(call.request.media_type, sizeof(call.request.media_type),
			  d->media_type);
	call.request.size = d->text.len;
	if (registry_scratch_open(&fd, e) < 0 ||
	    path_write_all(fd, d->text.data, d->text.len, "manifest", e) < 0)
		return -1;
	call.fd = fd;
	if (registry_call_make(r, &call, e) < 0)
		return -1;
	return call.answer.facts & REGISTRY_TRACKED ? 0 : registry_add_fallback(r, d, e);
}
