/*
 * The script of generate_labels runs on a throw-away view of the finished image. The directory
 * that it fills is one of that view, so that what holds for a step's files holds for it, too;
 * the upper directory is dropped afterwards, and nothing of it is packed.
 */
#include "build/job.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "image/dir_names.h"
#include "sandbox/worker.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

static int stage_work(void *ctx, struct buf *reply, struct err *e)
{
	(void)reply;
	const struct job *j = ctx;
	AUTO_CLOSE int work = -1;
	AUTO_CLOSE int labels = -1;
	if (job_make_work(j->work, &work, e) < 0)
		return -1;
	return path_make_dir(work, "upper/" JOB_LABELS_DIR, 0755, &labels, e);
}

int job_stage_labels(struct job *j, struct err *e)
{
	const struct roots_worker worker = {
		.c = j->c, .role = POLICY_UNPACKER, .run = stage_work, .ctx = j};
	return roots_worker_run(&worker, NULL, e);
}

static int bad_label(const char *name, const char *why, struct err *e)
{
	AUTO_FREE char *shown = str_printable(name, strlen(name));
	err_set(e, ERR_INPUT, "step/bad-label", "'/stacker/oci-labels/%s' %s", shown, why);
	return err_hint(e, "generate_labels makes one regular file of UTF-8 text a label");
}

static int read_label(int dir_fd, const char *name, struct buf *reply, struct err *e)
{
	struct stat st;
	AUTO_CLOSE int fd = -1;
	if (!str_is_utf8(name, strlen(name)))
		return bad_label(name, "is not named in UTF-8", e);
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "cannot examine the label '%s'", name);
	if (!S_ISREG(st.st_mode))
		return bad_label(name, "is not a regular file", e);
	AUTO(buf) text = BUF_INIT(LIMIT_CONFIG_BYTES);
	if (path_open_beneath(dir_fd, name, O_RDONLY | O_NOFOLLOW, 0, &fd, e) < 0 ||
	    path_read_fd(fd, name, &text, e) < 0)
		return -1;
	const char *bytes = buf_text(&text);
	if (memchr(bytes, '\0', text.len) || !str_is_utf8(bytes, text.len))
		return bad_label(name, "is not UTF-8 text", e);
	buf_add(reply, name, strlen(name) + 1);
	buf_add(reply, bytes, text.len + 1);
	if (reply->overflowed)
		return err_set(e, ERR_INPUT, "step/labels-too-big",
			       "the labels of generate_labels take over %llu bytes",
			       (unsigned long long)LIMIT_CONFIG_BYTES);
	return 0;
}

/* Replies with name and text of each label in turn, each NUL-terminated. */
static int read_work(void *ctx, struct buf *reply, struct err *e)
{
	const struct job *j = ctx;
	AUTO_CLOSE int roots = -1;
	AUTO_CLOSE int dir = -1;
	AUTO(strvec) names = {0};
	AUTO_FREE char *path = mem_printf("%s/upper/" JOB_LABELS_DIR, j->work);
	if (path_open_dir(AT_FDCWD, "/roots", &roots, e) < 0)
		return -1;
	struct err why = ERR_INIT;
	if (path_open_beneath(roots, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &dir, &why) <
	    0) {
		*e = why;
		if (why.saved_errno != ENOENT && why.saved_errno != ENOTDIR &&
		    why.saved_errno != ELOOP)
			return -1;
		return err_set(e, ERR_INPUT, "step/no-labels-directory",
			       "generate_labels removed or replaced '/" JOB_LABELS_DIR "'");
	}
	if (dir_names(dir, "/" JOB_LABELS_DIR, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++)
		if (read_label(dir, names.items[i], reply, e) < 0)
			return -1;
	return 0;
}

static int take_labels(const struct buf *reply, struct map *ret, struct err *e)
{
	const char *at = buf_text(reply), *end = at + reply->len;
	while (at < end) {
		const char *name = at;
		const char *value = name + strlen(name) + 1;
		/* The worker read hostile files; it is not trusted to have kept the form. */
		if (value >= end || value + strlen(value) >= end)
			return err_set(e, ERR_BUG, "step/labels-reply",
				       "labels came back malformed");
		map_set_text(ret, name, value);
		at = value + strlen(value) + 1;
	}
	return 0;
}

int job_read_labels(struct job *j, struct map *ret, struct err *e)
{
	const struct roots_worker worker = {
		.c = j->c, .role = POLICY_PACKER, .run = read_work, .ctx = j};
	AUTO(buf) reply = BUF_INIT(LIMIT_CONFIG_BYTES);
	if (roots_worker_run(&worker, &reply, e) < 0)
		return err_locate(e, &j->image->recipe->pos);
	if (build_remove_hostile(j->c, j->c->roots_fd, j->work, e) < 0)
		return -1;
	return take_labels(&reply, ret, e);
}
