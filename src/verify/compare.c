/* The ladder: each rung that is equal settles what is below it, except that damage is always
 * looked for, since equal names promise nothing about bytes on a disk. */
#include "verify/compare.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "image/config.h"
#include "util/json_read.h"
#include "util/json_write.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/str.h"
#include "verify/lister.h"

/* One side, read as far as it can be. */
struct side {
	const struct compare_side *from;
	struct descriptor entry;
	struct buf manifest_text, config_text;
	struct manifest manifest;
	struct image_config config;
};

static void side_cleanup(struct side *s)
{
	descriptor_cleanup(&s->entry);
	buf_cleanup(&s->manifest_text);
	buf_cleanup(&s->config_text);
	manifest_cleanup(&s->manifest);
	image_config_cleanup(&s->config);
}

static int read_side(const struct compare_side *from, struct side *ret, struct err *e)
{
	ret->from = from;
	if (layout_resolve(from->layout, from->tag, from->os, from->arch, &ret->entry, e) < 0 ||
	    layout_blob_read(from->layout, &ret->entry.digest, &ret->manifest_text, e) < 0 ||
	    manifest_parse(buf_text(&ret->manifest_text), ret->manifest_text.len, "manifest",
			   &ret->manifest, e) < 0 ||
	    layout_blob_read(from->layout, &ret->manifest.config.digest, &ret->config_text, e) <
		    0 ||
	    image_config_parse(buf_text(&ret->config_text), ret->config_text.len, "config",
			       &ret->config, e) < 0)
		return -1;
	return image_config_check(&ret->config, &ret->manifest, e);
}

static bool buf_same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static const char *shown(char *text)
{
	return text ? text : "(absent)";
}

/* Members of two JSON objects that are not equal, one finding each. */
static int compare_json(const char *where, const struct buf *a, const struct buf *b,
			struct finding_vec *ret, struct err *e)
{
	AUTO(json_doc) da = {0};
	AUTO(json_doc) db = {0};
	if (json_read(buf_text(a), a->len, LIMIT_CONFIG_BYTES, where, &da, e) < 0 ||
	    json_read(buf_text(b), b->len, LIMIT_CONFIG_BYTES, where, &db, e) < 0)
		return -1;
	AUTO(json_doc) all = {.root = json_copy(da.root)};
	json_object_update_missing(all.root, db.root);
	void *iter = json_object_iter(all.root);
	for (; iter; iter = json_object_iter_next(all.root, iter)) {
		const char *key = json_object_iter_key(iter);
		const json_t *va = json_object_get(da.root, key);
		const json_t *vb = json_object_get(db.root, key);
		/* The ladder's next rung shows the layers themselves. */
		if ((va && vb && json_equal(va, vb)) || str_same(key, "rootfs"))
			continue;
		char *ta = va ? json_dumps(va, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
		char *tb = vb ? json_dumps(vb, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
		AUTO_FREE char *evidence = mem_printf("%.300s vs %.300s", shown(ta), shown(tb));
		AUTO_FREE char *path = mem_printf("%s.%s", where, key);
		free(ta);
		free(tb);
		finding_add(ret, path, -1, "config", key, evidence);
	}
	return 0;
}

static void describe(const struct tree_difference *d, char out[256])
{
	const struct tree_entry *a = d->a;
	const struct tree_entry *b = d->b;
	out[0] = '\0';
	if (!a || !b)
		return;
	if (str_same(d->field, "mode"))
		snprintf(out, 256, "%04o vs %04o", a->mode, b->mode);
	else if (str_same(d->field, "mtime"))
		snprintf(out, 256, "%" PRId64 " vs %" PRId64, a->mtime_s, b->mtime_s);
	else if (str_same(d->field, "size"))
		snprintf(out, 256, "%" PRIu64 " vs %" PRIu64 " bytes", a->size, b->size);
	else if (str_same(d->field, "uid"))
		snprintf(out, 256, "%" PRIu64 " vs %" PRIu64, a->uid, b->uid);
	else if (str_same(d->field, "gid"))
		snprintf(out, 256, "%" PRIu64 " vs %" PRIu64, a->gid, b->gid);
	else if (str_same(d->field, "target"))
		snprintf(out, 256, "%.100s vs %.100s", a->target, b->target);
	else if (str_same(d->field, "content")) {
		char da[DIGEST_TEXT_MAX];
		char db[DIGEST_TEXT_MAX];
		digest_format(&a->digest, da);
		digest_format(&b->digest, db);
		snprintf(out, 256, "%.80s vs %.80s", da, db);
	}
}

struct layer_report {
	struct finding_vec *findings;
	long layer;
	size_t count;
};

static void report_file(void *ctx, const struct tree_difference *d)
{
	struct layer_report *report = ctx;
	bool one_side = str_same(d->field, "added") || str_same(d->field, "removed");
	const char *kind = one_side ? d->field
			   : str_same(d->field, "content") || str_same(d->field, "size")
				   ? "content"
				   : "meta";
	char evidence[256];
	describe(d, evidence);
	/* tree_compare's words are constants of the compiler's, so the kind may be kept as is.
	 */
	finding_add(report->findings, d->path, report->layer, kind, one_side ? NULL : d->field,
		    evidence);
	report->count++;
}

/* The blob of a layer: *ret_intact is false, with a finding, if it is not what its name says.
 */
static int open_layer(const struct side *s, size_t i, struct comparison *ret, int *ret_fd,
		      bool *ret_intact, struct err *e)
{
	const struct descriptor *d = &s->manifest.layers.items[i];
	char name[DIGEST_TEXT_MAX];
	digest_format(&d->digest, name);
	struct digest actual;
	uint64_t len;
	if (layout_blob_open(s->from->layout, &d->digest, -1, ret_fd, e) < 0 ||
	    digest_fd(d->digest.alg, *ret_fd, name, &actual, &len, e) < 0)
		return -1;
	*ret_intact = digest_eq(&actual, &d->digest) && len == d->size;
	if (*ret_intact)
		return 0;
	char found[DIGEST_TEXT_MAX];
	digest_format(&actual, found);
	AUTO_FREE char *path = mem_printf("%s blob %s", s->from->layout->name, name);
	AUTO_FREE char *evidence = mem_printf("it hashes to %s, %" PRIu64 " bytes", found, len);
	finding_add(&ret->findings, path, (long)i, "damaged", NULL, evidence);
	ret->damaged = true;
	return 0;
}

/* The history entry of layer `i`: entries of empty layers do not count. */
static char *step_of(const struct image_config *c, size_t i)
{
	size_t layer = 0;
	for (size_t h = 0; h < c->history.len; h++) {
		const struct config_history *entry = &c->history.items[h];
		if (entry->empty_layer)
			continue;
		if (layer++ == i)
			return entry->created_by ? mem_strdup(entry->created_by) : NULL;
	}
	return NULL;
}

/* Lists both blobs and reports each file that differs, with its cause as far as it can be told.
 * *ret_equal: they decompress to the same bytes, whatever the configs claim. */
static void compare_files(const struct build_context *c, const struct lister_pair *pair,
			  size_t i, struct comparison *ret, struct layer_report *report,
			  bool *ret_equal)
{
	AUTO(tree) a = {0};
	AUTO(tree) b = {0};
	struct digest diff_a = {0};
	struct digest diff_b = {0};
	struct err why = ERR_INIT;
	size_t first = ret->findings.len;
	if (lister_read_layer(c, pair->fds[0], pair->compressions[0], &a, &diff_a, &why) < 0 ||
	    lister_read_layer(c, pair->fds[1], pair->compressions[1], &b, &diff_b, &why) < 0) {
		AUTO_FREE char *path = mem_printf("layer %zu", i);
		finding_add(&ret->findings, path, (long)i, "damaged", NULL, why.message);
		ret->damaged = true;
		*ret_equal = false;
		return;
	}
	tree_compare(&a, &b, report_file, report);
	lister_explain(c, pair, &ret->findings, first);
	*ret_equal = digest_eq(&diff_a, &diff_b);
}

/* File system images are compared as bytes: their tools write one form of one tree. */
static bool compare_image_bytes(const struct descriptor *a, const struct descriptor *b,
				size_t i, bool same_bytes, struct comparison *ret)
{
	if (!digest_eq(&a->digest, &b->digest)) { /* else it is damaged, which was said */
		AUTO_FREE char *path = mem_printf("layer %zu", i);
		AUTO_FREE char *evidence = mem_printf("%s vs %s", a->media_type, b->media_type);
		finding_add(&ret->findings, path, (long)i, "content", "content", evidence);
	}
	return same_bytes;
}

static bool is_fs_layer(const struct descriptor *d)
{
	return layer_fs_of(d->media_type) != LAYER_FS_NONE;
}

/* Both sides have this layer; its files are compared if its bytes are not known to be equal. */
static int compare_layer(const struct build_context *c, const struct side *a,
			 const struct side *b, size_t i, struct comparison *ret, struct err *e)
{
	AUTO_CLOSE int fa = -1;
	AUTO_CLOSE int fb = -1;
	bool intact_a;
	bool intact_b;
	const struct descriptor *da = &a->manifest.layers.items[i];
	const struct descriptor *db = &b->manifest.layers.items[i];
	struct lister_pair pair;
	if (open_layer(a, i, ret, &fa, &intact_a, e) < 0 ||
	    open_layer(b, i, ret, &fb, &intact_b, e) < 0)
		return -1;
	bool is_fs = is_fs_layer(da) || is_fs_layer(db);
	if (!is_fs && (layer_compression_of(da->media_type, &pair.compressions[0], e) < 0 ||
		       layer_compression_of(db->media_type, &pair.compressions[1], e) < 0))
		return -1;
	pair.fds[0] = fa;
	pair.fds[1] = fb;
	bool same_bytes = digest_eq(&da->digest, &db->digest) && intact_a && intact_b;
	struct layer_report report = {.findings = &ret->findings, .layer = (long)i};
	bool same_tar = true;
	if (is_fs)
		same_tar = compare_image_bytes(da, db, i, same_bytes, ret);
	else if (!same_bytes)
		compare_files(c, &pair, i, ret, &report, &same_tar);
	bool same_claim = digest_eq(&a->config.diff_ids.items[i], &b->config.diff_ids.items[i]);
	vec_push(&ret->layers,
		 ((struct layer_comparison){.blob_equal = digest_eq(&da->digest, &db->digest),
					    .diff_id_equal = same_claim && same_tar,
					    .findings = report.count,
					    .step = step_of(&b->config, i)}));
	return 0;
}

static int compare_layers(const struct build_context *c, const struct side *a,
			  const struct side *b, struct comparison *ret, struct err *e)
{
	size_t na = a->manifest.layers.len;
	size_t nb = b->manifest.layers.len;
	for (size_t i = 0; i < na && i < nb; i++)
		if (compare_layer(c, a, b, i, ret, e) < 0)
			return -1;
	for (size_t i = na < nb ? na : nb; i < na || i < nb; i++) {
		AUTO_FREE char *path = mem_printf("layer %zu", i);
		finding_add(&ret->findings, path, (long)i, i < na ? "removed" : "added", NULL,
			    NULL);
		vec_push(&ret->layers, (struct layer_comparison){0});
	}
	return 0;
}

/* A manifest or config that is damaged or malformed ends the comparison with one finding. */
static bool note_unreadable(struct comparison *ret, const struct compare_side *side,
			    const struct err *why)
{
	if (why->code != ERR_MISMATCH && why->code != ERR_INPUT)
		return false;
	AUTO_FREE char *path = mem_printf("%s image %s", side->layout->name, side->tag);
	finding_add(&ret->findings, path, -1, "damaged", NULL, why->message);
	ret->damaged = true;
	return true;
}

int compare_images(const struct build_context *c, const struct compare_side *a,
		   const struct compare_side *b, struct comparison *ret, struct err *e)
{
	AUTO(side)
	sa = {.manifest_text = BUF_INIT(LIMIT_MANIFEST_BYTES),
	      .config_text = BUF_INIT(LIMIT_CONFIG_BYTES)};
	AUTO(side)
	sb = {.manifest_text = BUF_INIT(LIMIT_MANIFEST_BYTES),
	      .config_text = BUF_INIT(LIMIT_CONFIG_BYTES)};
	struct err why = ERR_INIT;
	bool readable = read_side(a, &sa, &why) == 0;
	ret->a = sa.entry.digest;
	if (!readable && !note_unreadable(ret, a, &why)) {
		*e = why;
		return -1;
	}
	if (read_side(b, &sb, e) < 0)
		return -1;
	ret->b = sb.entry.digest;
	if (!readable)
		return 0;
	ret->index_equal = digest_eq(&sa.entry.digest, &sb.entry.digest) &&
			   sa.entry.size == sb.entry.size &&
			   str_same(sa.entry.media_type, sb.entry.media_type);
	ret->manifest_equal = buf_same(&sa.manifest_text, &sb.manifest_text);
	ret->config_equal = buf_same(&sa.config_text, &sb.config_text);
	if (!ret->config_equal &&
	    compare_json("config", &sa.config_text, &sb.config_text, &ret->findings, e) < 0)
		return -1;
	if (!ret->manifest_equal && ret->config_equal &&
	    compare_json("manifest", &sa.manifest_text, &sb.manifest_text, &ret->findings, e) <
		    0)
		return -1;
	return compare_layers(c, &sa, &sb, ret, e);
}
