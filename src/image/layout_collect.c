/*
 * Which blobs a layout needs: those that index.json names, and those that any JSON among them
 * names, whatever its media type says; an artifact that this program does not know keeps its
 * parts. If something that could name blobs cannot be read, nothing is removed at all.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/layout.h"
#include "image/layout_blob.h"
#include "util/json_read.h"
#include "util/limits.h"
#include "util/map.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

struct collector {
	const struct layout *layout;
	struct map reached; /* "sha256:..." of each blob; grows while it is walked */
	bool is_blind;	    /* a document could not be read */
};

static void collector_cleanup(struct collector *c)
{
	map_cleanup(&c->reached);
}

/* Each "digest" member, at any place. Depth is bounded by json_read. */
static void reach_all(struct collector *c, const json_t *value)
{
	for (size_t i = 0; i < json_array_size(value); i++)
		reach_all(c, json_array_get(value, i));
	const char *digest = json_string_value(json_object_get(value, "digest"));
	if (digest)
		(void)map_add(&c->reached, digest, NULL);
	/* Only read, but jansson's iterator takes a mutable object. */
	json_t *object = (json_t *)(uintptr_t)value;
	for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at))
		reach_all(c, json_object_iter_value(at));
}

static int reach_document(struct collector *c, int fd, const char *what, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_INDEX_BYTES);
	AUTO(json_doc) doc = {0};
	struct err why = ERR_INIT;
	if (path_read_fd(fd, what, &text, e) < 0)
		return -1;
	if (json_read(buf_text(&text), text.len, LIMIT_INDEX_BYTES, what, &doc, &why) < 0) {
		c->is_blind = true;
		return 0;
	}
	reach_all(c, doc.root);
	return 0;
}

/* JSON objects of a size that any index may have; layers begin otherwise. */
static bool is_document(int fd)
{
	struct stat st;
	char first = 0;
	return fstat(fd, &st) == 0 && (uint64_t)st.st_size <= LIMIT_INDEX_BYTES &&
	       pread(fd, &first, 1, 0) == 1 && first == '{';
}

static int reach_blob(struct collector *c, const char *text, struct err *e)
{
	struct digest d;
	struct err ignored = ERR_INIT;
	AUTO_CLOSE int fd = -1;
	/* Not a digest, or of a blob that is not here, such as a base's that was never copied.
	 */
	if (digest_parse(text, &d, &ignored) < 0 ||
	    layout_blob_open(c->layout, &d, -1, &fd, &ignored) < 0 || !is_document(fd))
		return 0;
	return reach_document(c, fd, text, e);
}

static int reach_index(struct collector *c, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	bool exists = false;
	if (layout_file_open(c->layout->dir_fd, "index.json", "index.json", &fd, &exists, e) <
	    0)
		return -1;
	c->is_blind = !exists;
	return exists ? reach_document(c, fd, "index.json", e) : 0;
}

static bool is_unreached(const struct collector *c, const char *text)
{
	struct digest d;
	struct err ignored = ERR_INIT;
	return digest_parse(text, &d, &ignored) == 0 && !map_has(&c->reached, text);
}

/* Calls `each` with every blob's digest as text until it returns other than 0. */
struct visit {
	int (*each)(void *ctx, int dir_fd, const char *name, const char *text, struct err *e);
	void *ctx;
};

static int visit_blobs(const struct layout *l, const char *alg, const struct visit *visit,
		       struct err *e)
{
	AUTO_FREE char *path = mem_printf("blobs/%s", alg);
	AUTO_CLOSE int fd = -1;
	struct err why = ERR_INIT;
	if (path_open_beneath(l->dir_fd, path, O_RDONLY | O_DIRECTORY, 0, &fd, &why) < 0) {
		if (why.saved_errno == ENOENT)
			return 0;
		*e = why;
		return -1;
	}
	DIR *dir = fdopendir(fd);
	if (!dir)
		return err_sys(e, "cannot list '%s'", path);
	int dir_fd = TAKE_FD(fd); /* the DIR owns it now */
	int rc = 0;
	for (struct dirent *x = readdir(dir); x && rc == 0; x = readdir(dir)) {
		AUTO_FREE char *text = mem_printf("%s:%s", alg, x->d_name);
		rc = visit->each(visit->ctx, dir_fd, x->d_name, text, e);
	}
	(void)closedir(dir);
	return rc;
}

static int remove_unreached(void *ctx, int dir_fd, const char *name, const char *text,
			    struct err *e)
{
	if (is_unreached(ctx, text) && unlinkat(dir_fd, name, 0) < 0)
		return err_sys(e, "cannot remove blob '%s'", text);
	return 0;
}

struct known {
	const struct digest_set *set;
	bool is_all;
};

static int find_unknown(void *ctx, int dir_fd, const char *name, const char *text,
			struct err *e)
{
	struct known *known = ctx;
	struct digest d;
	struct err ignored = ERR_INIT;
	(void)dir_fd, (void)name, (void)e;
	known->is_all = digest_parse(text, &d, &ignored) < 0 || digest_set_has(known->set, &d);
	return known->is_all ? 0 : 1; /* one is enough */
}

/* Where a project has a layout for itself there is hardly ever more. */
static int is_all_known(const struct layout *l, const struct digest_set *set, bool *ret,
			struct err *e)
{
	struct known known = {.set = set, .is_all = true};
	const struct visit visit = {find_unknown, &known};
	if (set && (visit_blobs(l, "sha256", &visit, e) < 0 ||
		    (known.is_all && visit_blobs(l, "sha512", &visit, e) < 0)))
		return -1;
	*ret = set && known.is_all;
	return 0;
}

int layout_collect(struct layout *l, const struct digest_set *known, struct err *e)
{
	BUG_IF(l->lock_fd < 0);
	AUTO(collector) c = {.layout = l, .reached = MAP_INIT(NULL)};
	const struct visit remove = {remove_unreached, &c};
	bool is_clean = false;
	if (is_all_known(l, known, &is_clean, e) < 0)
		return -1;
	if (is_clean)
		return 0;
	if (reach_index(&c, e) < 0)
		return -1;
	for (size_t i = 0; i < c.reached.len; i++) {
		if (reach_blob(&c, c.reached.entries[i].key, e) < 0)
			return -1;
	}
	if (c.is_blind)
		return 0;
	if (visit_blobs(l, "sha256", &remove, e) < 0)
		return -1;
	return visit_blobs(l, "sha512", &remove, e);
}
