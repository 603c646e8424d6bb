/*
 * squashfs: our packer writes the tree as one canonical tar stream, from which tar2sqfs makes the
 * image, so that no file system of the machine has a say in it. erofs: mkfs.erofs walks the tree
 * itself, in order of names, and is kept from sharing attributes between files, which it would do
 * in the order of a directory on disk.
 */
#include "build/fs_image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/fs_work.h"
#include "image/erofs.h"
#include "image/layer.h"
#include "image/verity.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/path.h"
#include "util/str.h"

enum { PROBE_TIME_MS = 30 * 1000 };

struct maker {
	const char *program;
	const char *package;
	const char *version_program; /* that prints the version of the same package */
	const char *libraries[2];    /* whose versions count, too */
};

static const struct maker makers[LAYER_TYPES] = {
	[LAYER_TYPE_SQUASHFS] = {"tar2sqfs",
				 "squashfs-tools-ng",
				 "tar2sqfs",
				 {"libsquashfs.so", "libzstd.so"}},
	/* mkfs.erofs 1.5 has no option to print its version alone. */
	[LAYER_TYPE_EROFS] = {"mkfs.erofs", "erofs-utils", "fsck.erofs", {"liblz4.so"}},
};

/* The versions. */

static int print_version(const struct build_context *c, const struct maker *m, struct buf *out,
			 struct err *e)
{
	const char *const argv[] = {m->version_program, "-V", NULL};
	const char *const env[] = {"LC_ALL=C", NULL};
	struct sandbox_tool t = fs_tool(c, m->program, m->package);
	AUTO(buf) output = BUF_INIT(SANDBOX_TOOL_OUTPUT_BYTES);
	t.program = m->version_program;
	t.argv = argv;
	t.env = env;
	t.time_limit_ms = PROBE_TIME_MS;
	if (sandbox_tool_run(&t, &output, e) < 0)
		return -1;
	/* "NAME ... VERSION", perhaps with more lines. */
	AUTO_FREE char *line = mem_strndup(buf_text(&output), strcspn(buf_text(&output), "\n"));
	const char *space = strrchr(line, ' ');
	buf_addf(out, "%s %s", m->package, space ? space + 1 : line);
	return 0;
}

/* The loader lists "NAME => PATH (ADDRESS)" lines; the file that PATH leads to is named by the
 * full version: libzstd.so.1.5.4. */
static int add_library(const char *list, const char *name, struct buf *out, struct err *e)
{
	const char *line = strstr(list, name);
	const char *arrow = line ? strstr(line, " => /") : NULL;
	char target[LIMIT_PATH_BYTES];
	if (!arrow)
		return 0; /* linked in, or done without */
	const char *path = arrow + strlen(" => ");
	AUTO_FREE char *file = mem_strndup(path, strcspn(path, " \n"));
	ssize_t len = readlinkat(AT_FDCWD, file, target, sizeof(target) - 1);
	if (len < 0 && errno != EINVAL)
		return err_sys(e, "cannot read link '%s'", file);
	target[len < 0 ? 0 : len] = '\0';
	AUTO_FREE char *base = path_base(len < 0 ? file : target);
	buf_addf(out, ", %s", base);
	return 0;
}

static int print_libraries(const struct build_context *c, const struct maker *m,
			   struct buf *out, struct err *e)
{
	const char *const argv[] = {m->program, NULL};
	const char *const env[] = {"LC_ALL=C", "LD_TRACE_LOADED_OBJECTS=1", NULL};
	struct sandbox_tool t = fs_tool(c, m->program, m->package);
	AUTO(buf) output = BUF_INIT(SANDBOX_TOOL_OUTPUT_BYTES);
	t.argv = argv;
	t.env = env;
	t.time_limit_ms = PROBE_TIME_MS;
	if (sandbox_tool_run(&t, &output, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(m->libraries) && m->libraries[i]; i++)
		if (add_library(buf_text(&output), m->libraries[i], out, e) < 0)
			return -1;
	return 0;
}

int fs_image_tool(const struct build_context *c, enum layer_type type, char **ret,
		  struct err *e)
{
	const struct maker *m = &makers[type];
	AUTO(buf) out = BUF_INIT(1024);
	BUG_IF(!m->program);
	if (print_version(c, m, &out, e) < 0 || print_libraries(c, m, &out, e) < 0 ||
	    buf_check(&out, "version of a tool", e) < 0)
		return -1;
	*ret = str_printable(buf_text(&out), out.len);
	return 0;
}

/* The making. */

struct pack_tree {
	const char *tree;
	int64_t epoch_s;
	int out_fd;
};

static int pack_tree(void *ctx, struct buf *reply, struct err *e)
{
	const struct pack_tree *p = ctx;
	AUTO_CLOSE int roots = -1;
	AUTO_CLOSE int tree = -1;
	struct layer_packed packed;
	(void)reply;
	if (path_open_dir(AT_FDCWD, "/roots", &roots, e) < 0 ||
	    path_open_beneath(roots, p->tree, O_RDONLY | O_DIRECTORY, 0, &tree, e) < 0)
		return -1;
	const struct layer_pack_options options = {.upper_fd = tree,
						   .lower_fd = -1,
						   .epoch_s = p->epoch_s,
						   .out_fd = p->out_fd,
						   .overlay_form = true};
	return layer_pack(&options, &packed, e);
}

/* The threads do not show in the image. */
static int make_squashfs(struct build_context *c, const struct fs_image_options *o,
			 struct sandbox_tool *t, struct err *e)
{
	static const char *const argv[] = {"tar2sqfs", "-q",   "-f",	     "-s",
					   "-c",       "zstd", "-X",	     "level=15",
					   "-j",       "4",    "/out/image", NULL};
	char tree[ROOTS_NAME_MAX];
	AUTO_CLOSE int tar = -1;
	roots_tree_name(o->chain_id, tree);
	if (store_stage_open(&c->store, &tar, e) < 0)
		return -1;
	struct pack_tree p = {.tree = tree, .epoch_s = o->epoch_s, .out_fd = tar};
	const struct roots_worker packer = {.c = c,
					    .role = POLICY_PACKER,
					    .run = pack_tree,
					    .ctx = &p,
					    .keep_fds = &tar,
					    .keep_fds_len = 1};
	if (roots_worker_run(&packer, NULL, e) < 0)
		return -1;
	if (lseek(tar, 0, SEEK_SET) < 0)
		return err_sys(e, "cannot read back a layer");
	t->argv = argv;
	t->in_fd = tar;
	return sandbox_tool_run(t, NULL, e);
}

/* 16 bytes that name `what` of `d`, marked as a UUID of nobody else's making (version 8). */
static void derive_uuid(const char *what, const struct digest *d, uint8_t ret[16])
{
	char text[DIGEST_TEXT_MAX];
	digest_format(d, text);
	AUTO_FREE char *seed = mem_printf("stacker %s %s", what, text);
	struct digest hash;
	digest_bytes(DIGEST_SHA256, seed, strlen(seed), &hash);
	memcpy(ret, hash.bytes, 16);
	ret[6] = (uint8_t)(0x80 | (ret[6] & 0x0f));
	ret[8] = (uint8_t)(0x80 | (ret[8] & 0x3f));
}

static void format_uuid(const uint8_t u[16], char out[40])
{
	char hex[33];
	num_format_hex(u, 16, hex);
	snprintf(out, 40, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
		 hex + 20);
}

static int make_erofs(struct build_context *c, const struct fs_image_options *o,
		      struct sandbox_tool *t, struct err *e)
{
	char tree[ROOTS_NAME_MAX], uuid_text[40];
	uint8_t uuid[16];
	derive_uuid("erofs", o->chain_id, uuid);
	format_uuid(uuid, uuid_text);
	/* INT_MAX: no attribute is ever shared. */
	const char *const argv[] = {"mkfs.erofs", "--quiet",	"-x2147483647", "-zlz4hc", "-U",
				    uuid_text,	  "/out/image", "/tree",	NULL};
	AUTO_CLOSE int tree_fd = -1;
	roots_tree_name(o->chain_id, tree);
	if (path_open_beneath(c->roots_fd, tree, O_PATH | O_DIRECTORY, 0, &tree_fd, e) < 0)
		return -1;
	const struct sandbox_bind binds[] = {
		t->binds[0], {.fd = tree_fd, .name = "tree", .read_only = true}};
	t->binds = binds;
	t->binds_len = ARRAY_LEN(binds);
	t->argv = argv;
	return sandbox_tool_run(t, NULL, e);
}

static int run_maker(struct build_context *c, const struct fs_image_options *o, int out_fd,
		     struct err *e)
{
	const struct sandbox_bind out = {.fd = out_fd, .name = "out"};
	AUTO_FREE char *epoch = mem_printf("SOURCE_DATE_EPOCH=%" PRId64, o->epoch_s);
	const char *const env[] = {"LC_ALL=C", "TZ=UTC", epoch, NULL};
	const struct maker *m = &makers[o->type];
	struct sandbox_tool t = fs_tool(c, m->program, m->package);
	t.env = env;
	t.binds = &out;
	t.binds_len = 1;
	return o->type == LAYER_TYPE_SQUASHFS ? make_squashfs(c, o, &t, e)
					      : make_erofs(c, o, &t, e);
}

/* Salt and UUID name the very image that they are of (U19). */
static int add_verity(int fd, struct descriptor *ret, struct err *e)
{
	struct verity_options options;
	struct digest image, root;
	char text[DIGEST_TEXT_MAX];
	if (digest_fd(DIGEST_SHA256, fd, "file system image", &image, NULL, e) < 0)
		return -1;
	digest_format(&image, text);
	AUTO_FREE char *seed = mem_printf("stacker verity-salt %s", text);
	struct digest salt;
	digest_bytes(DIGEST_SHA256, seed, strlen(seed), &salt);
	memcpy(options.salt, salt.bytes, VERITY_SALT_BYTES);
	derive_uuid("verity", &image, options.uuid);
	if (verity_append(fd, &options, &root, e) < 0)
		return -1;
	digest_format_hex(&root, text);
	ret->verity_root = mem_strdup(text);
	return 0;
}

static int sort_xattrs(void *ctx, struct buf *reply, struct err *e)
{
	(void)reply;
	return erofs_sort_xattrs(*(const int *)ctx, e);
}

/* What is left of the file system beneath, see image/erofs.h. Read where hostile bytes are. */
static int normalise(struct build_context *c, enum layer_type type, int fd, struct err *e)
{
	if (type != LAYER_TYPE_EROFS)
		return 0;
	const struct roots_worker packer = {.c = c,
					    .role = POLICY_PACKER,
					    .run = sort_xattrs,
					    .ctx = &fd,
					    .keep_fds = &fd,
					    .keep_fds_len = 1};
	return roots_worker_run(&packer, NULL, e);
}

static int take_image(struct build_context *c, const struct fs_image_options *o, int out_fd,
		      struct descriptor *ret, struct err *e)
{
	AUTO_CLOSE int made = -1;
	AUTO_CLOSE int fd = -1;
	struct stat st;
	AUTO(descriptor) d = {0};
	if (path_open_beneath(out_fd, "image", O_RDONLY, 0, &made, e) < 0)
		return -1;
	if (fstat(made, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_SANDBOX, "sandbox/tool-failed",
			       "'%s' left something that is no file", makers[o->type].program);
	if (store_stage_open(&c->store, &fd, e) < 0 ||
	    path_copy_fd(made, fd, "file system image", e) < 0 ||
	    normalise(c, o->type, fd, e) < 0 || (!o->no_verity && add_verity(fd, &d, e) < 0) ||
	    store_stage_commit(&c->store, fd, NULL, -1, &d.digest, &d.size, e) < 0)
		return -1;
	d.media_type =
		mem_strdup(o->type == LAYER_TYPE_SQUASHFS ? OCI_LAYER_SQUASHFS_TYPE "+zstd"
							  : OCI_LAYER_EROFS_TYPE "+lz4hc");
	*ret = d;
	d = (struct descriptor){0};
	return 0;
}

int fs_image_make(struct build_context *c, const struct fs_image_options *o,
		  struct descriptor *ret, struct err *e)
{
	AUTO(fs_work) w = FS_WORK_INIT;
	BUG_IF(o->type == LAYER_TYPE_TAR);
	if (fs_work_open(c, &w, e) < 0 || run_maker(c, o, w.fd, e) < 0 ||
	    take_image(c, o, w.fd, ret, e) < 0)
		return -1;
	return fs_work_remove(c, &w, e);
}
