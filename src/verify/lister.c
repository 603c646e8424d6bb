/* The worker side of verify: what it sends back is parsed as strictly as anything foreign. */
#include "verify/lister.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/worker.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"
#include "verify/cause.h"

#define LISTING_MAX (256 * MIB)

struct layer_job {
	int blob_fd;
	enum layer_compression compression;
};

/* Reply: the diff_id as text, a newline, the serialised tree. */
static int layer_work(void *ctx, struct buf *reply, struct err *e)
{
	const struct layer_job *job = ctx;
	AUTO(tree) tree = {0};
	struct digest diff_id;
	if (tree_read_layer(job->blob_fd, job->compression, &tree, &diff_id, e) < 0)
		return -1;
	char text[DIGEST_TEXT_MAX];
	digest_format(&diff_id, text);
	buf_addf(reply, "%s\n", text);
	tree_serialise(&tree, reply);
	return buf_check(reply, "file list of a layer", e);
}

static int worker_bad_reply(struct err *e)
{
	return err_set(e, ERR_SANDBOX, "verify/bad-reply", "the lister's reply makes no sense");
}

int lister_read_layer(const struct build_context *c, int blob_fd,
		      enum layer_compression compression, struct tree *ret,
		      struct digest *ret_diff_id, struct err *e)
{
	struct layer_job job = {.blob_fd = blob_fd, .compression = compression};
	const struct sandbox_worker worker = {.idmap = &c->idmap,
					      .policy = &c->policy,
					      .keep_fds = &blob_fd,
					      .keep_fds_len = 1,
					      .role = POLICY_LISTER,
					      .run = layer_work,
					      .ctx = &job};
	AUTO(buf) reply = BUF_INIT(LISTING_MAX);
	if (sandbox_worker_run(&worker, &reply, e) < 0)
		return -1;
	const char *end = reply.len ? memchr(reply.data, '\n', reply.len) : NULL;
	if (!end)
		return worker_bad_reply(e);
	AUTO_FREE char *diff_id = mem_strndup(reply.data, (size_t)(end - reply.data));
	size_t used = (size_t)(end - reply.data) + 1;
	if (digest_parse(diff_id, ret_diff_id, e) < 0)
		return -1;
	return tree_parse(reply.data + used, reply.len - used, ret, e);
}

enum { EXPLAINED_MAX = 64, SAMPLE_BYTES = 64 * 1024 };

struct explain_job {
	const struct lister_pair *pair;
	const char *paths[EXPLAINED_MAX];
	size_t len;
};

/* Reply: one byte a path, its enum cause. Foreign content is looked at here and nowhere else.
 */
static int explain_work(void *ctx, struct buf *reply, struct err *e)
{
	const struct explain_job *job = ctx;
	struct buf contents[2][EXPLAINED_MAX];
	for (size_t side = 0; side < 2; side++) {
		for (size_t i = 0; i < job->len; i++)
			contents[side][i] = (struct buf)BUF_INIT(SAMPLE_BYTES);
		const struct tree_samples samples = {
			.paths = job->paths, .contents = contents[side], .len = job->len};
		if (tree_sample_layer(job->pair->fds[side], job->pair->compressions[side],
				      &samples, e) < 0)
			return -1; /* the worker ends, and its memory with it */
	}
	for (size_t i = 0; i < job->len; i++) {
		buf_add_byte(reply, (char)cause_of_content(&contents[0][i], &contents[1][i]));
		buf_cleanup(&contents[0][i]);
		buf_cleanup(&contents[1][i]);
	}
	return 0;
}

static bool is_unexplained(const struct finding *f)
{
	return str_same(f->kind, "content") && str_same(f->cause, "unexplained");
}

void lister_explain(const struct build_context *c, const struct lister_pair *pair,
		    struct finding_vec *findings, size_t first)
{
	struct explain_job job = {.pair = pair};
	size_t indices[EXPLAINED_MAX];
	for (size_t i = first; i < findings->len && job.len < EXPLAINED_MAX; i++) {
		if (!is_unexplained(&findings->items[i]))
			continue;
		indices[job.len] = i;
		job.paths[job.len++] = findings->items[i].path;
	}
	if (job.len == 0)
		return;
	const struct sandbox_worker worker = {.idmap = &c->idmap,
					      .policy = &c->policy,
					      .keep_fds = pair->fds,
					      .keep_fds_len = 2,
					      .role = POLICY_LISTER,
					      .run = explain_work,
					      .ctx = &job};
	AUTO(buf) reply = BUF_INIT(EXPLAINED_MAX);
	struct err why = ERR_INIT;
	if (sandbox_worker_run(&worker, &reply, &why) < 0 || reply.len != job.len) {
		log_debug("differing files stay unexplained: %s", why.message);
		return;
	}
	for (size_t i = 0; i < job.len; i++) {
		unsigned char cause = (unsigned char)reply.data[i];
		if (cause == CAUSE_UNEXPLAINED || cause >= CAUSES)
			continue;
		findings->items[indices[i]].cause = cause_name((enum cause)cause);
		findings->items[indices[i]].confidence = "likely";
	}
}

struct roots_job {
	struct buf *reply;
	const char *tree;
};

/* Reply lines: tree, path, field; each ended by a NUL. */
static void report_difference(void *ctx, const struct tree_difference *d)
{
	struct roots_job *job = ctx;
	buf_add(job->reply, job->tree, strlen(job->tree) + 1);
	buf_add(job->reply, d->path, strlen(d->path) + 1);
	buf_add(job->reply, d->field, strlen(d->field) + 1);
}

static int compare_tree(const char *name, int cached, int fresh, struct buf *reply,
			struct err *e)
{
	AUTO_CLOSE int a_fd = -1;
	AUTO_CLOSE int b_fd = -1;
	AUTO(tree) a = {0};
	AUTO(tree) b = {0};
	if (path_open_beneath(cached, name, O_RDONLY | O_DIRECTORY, 0, &a_fd, e) < 0 ||
	    path_open_beneath(fresh, name, O_RDONLY | O_DIRECTORY, 0, &b_fd, e) < 0 ||
	    tree_read_dir(a_fd, &a, e) < 0 || tree_read_dir(b_fd, &b, e) < 0)
		return -1;
	struct roots_job job = {.reply = reply, .tree = name};
	tree_compare(&b, &a, report_difference, &job);
	return 0;
}

/* Names of layer trees in a roots directory, sorted. */
static int tree_names(int dir_fd, struct strvec *ret, struct err *e)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open roots directory");
	DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return err_sys(e, "cannot read roots directory");
	}
	for (struct dirent *entry; (entry = readdir(dir));)
		if (str_has_prefix(entry->d_name, "sha256_"))
			strvec_push(ret, entry->d_name);
	closedir(dir);
	if (ret->len > 0)
		qsort(ret->items, ret->len, sizeof(*ret->items), str_compare_ptr);
	return 0;
}

static int roots_work(void *ctx, struct buf *reply, struct err *e)
{
	(void)ctx;
	AUTO_CLOSE int cached = -1;
	AUTO_CLOSE int fresh = -1;
	AUTO(strvec) names = {0};
	if (path_open_dir(AT_FDCWD, "/cached", &cached, e) < 0 ||
	    path_open_dir(AT_FDCWD, "/fresh", &fresh, e) < 0 ||
	    tree_names(fresh, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		if (faccessat(cached, names.items[i], F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (compare_tree(names.items[i], cached, fresh, reply, e) < 0)
			return -1;
	}
	return buf_check(reply, "list of damaged files", e);
}

/* The next NUL-ended text of the reply, or NULL at its end or beyond. */
static const char *next_text(const struct buf *reply, size_t *at)
{
	const char *start = reply->data + *at;
	const char *end = *at < reply->len ? memchr(start, '\0', reply->len - *at) : NULL;
	if (!end)
		return NULL;
	*at += (size_t)(end - start) + 1;
	return start;
}

int lister_compare_roots(const struct build_context *c, int cached_fd, int fresh_fd,
			 struct finding_vec *ret, struct err *e)
{
	const struct sandbox_bind binds[] = {
		{.fd = cached_fd, .name = "cached", .read_only = true},
		{.fd = fresh_fd, .name = "fresh", .read_only = true},
	};
	const struct sandbox_worker worker = {.idmap = &c->idmap,
					      .policy = &c->policy,
					      .binds = binds,
					      .binds_len = ARRAY_LEN(binds),
					      .role = POLICY_LISTER,
					      .run = roots_work};
	AUTO(buf) reply = BUF_INIT(LISTING_MAX);
	if (sandbox_worker_run(&worker, &reply, e) < 0)
		return -1;
	for (size_t at = 0; at < reply.len;) {
		const char *tree = next_text(&reply, &at);
		const char *path = tree ? next_text(&reply, &at) : NULL;
		const char *field = path ? next_text(&reply, &at) : NULL;
		if (!field)
			return worker_bad_reply(e);
		AUTO_FREE char *full = mem_printf("roots/%s/%s", tree, path);
		finding_add(ret, full, -1, "damaged", field, NULL);
	}
	return 0;
}
