/* From the store into the output layout. */
#include "build/output.h"

#include <fcntl.h>

#include "util/mem.h"

void output_cleanup(struct output *o)
{
	layout_cleanup(&o->layout);
	digest_set_cleanup(&o->placed);
	vec_free(&o->tags);
}

int output_open(const struct build_context *c, struct output *ret, struct err *e)
{
	ret->c = c;
	return layout_open_writable(AT_FDCWD, c->dirs.oci, &ret->layout, e);
}

static int copy_blob(struct output *o, const struct descriptor *d, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	build_tell_copy(o->c, &d->digest);
	if (store_blob_open(&o->c->store, &d->digest, &fd, e) < 0)
		return -1;
	if (layout_put_blob_fd(&o->layout, fd, &d->digest, e) == 0)
		return 0;
	if (e->code != ERR_MISMATCH)
		return -1;
	/* Removed, or every further build would stop here, too. */
	char text[DIGEST_TEXT_MAX];
	digest_format(&d->digest, text);
	if (store_blob_discard(&o->c->store, &d->digest, e) < 0)
		return -1;
	err_set(e, ERR_MISMATCH, "store/damaged",
		"blob '%s' of the store holds other bytes than its name says", text);
	return err_hint(e, "it was removed; build again, and it is made anew");
}

static int put_blob(struct output *o, const struct descriptor *d, struct err *e)
{
	if (digest_set_has(&o->placed, &d->digest))
		return 0;
	if (!layout_has_blob(&o->layout, &d->digest, d->size) && copy_blob(o, d, e) < 0)
		return -1;
	digest_set_add(&o->placed, &d->digest);
	return 0;
}

int output_put(struct output *o, const char *tag, const struct recipe_image *image,
	       const struct image_result *result, struct err *e)
{
	for (size_t i = 0; i < result->layers.len; i++)
		if (put_blob(o, &result->layers.items[i].blob, e) < 0)
			return -1;
	if (put_blob(o, &result->config, e) < 0 || put_blob(o, &result->manifest, e) < 0)
		return -1;
	const struct layout_tag wanted = {tag, &result->manifest, image->os, image->arch};
	vec_push(&o->tags, wanted);
	return 0;
}

int output_commit(struct output *o, struct err *e)
{
	bool changed = false;
	if (layout_set_tags(&o->layout, o->tags.items, o->tags.len, &changed, e) < 0)
		return -1;
	return layout_collect(&o->layout, &o->placed, e);
}
