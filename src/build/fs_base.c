/*
 * Three steps, none of them in this process: a tool (squashfs) or tool and our reader (erofs)
 * turn the image into a tar stream in overlay form; the unpacker, which holds against any tar,
 * makes a tree of it; the packer makes a layer of that, as of what a step has left. So the layer
 * depends on the image's content, not on the order in which a tool happens to write it.
 */
#include "build/fs_base.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "build/fs_work.h"
#include "image/erofs_tar.h"
#include "image/layer.h"
#include "image/unpack.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/path.h"

struct conversion {
	struct build_context *c;
	enum layer_fs fs;
	struct fs_work work;  /* image, and what becomes of it */
	struct strvec lowers; /* trees beneath, topmost first */
	int image_fd;
	int tar_fd;   /* the stream in overlay form */
	int layer_fd; /* the layer */
};

static void conversion_cleanup(struct conversion *v)
{
	fs_work_cleanup(&v->work);
	strvec_cleanup(&v->lowers);
	mem_close_cleanup(&v->image_fd);
	mem_close_cleanup(&v->tar_fd);
	mem_close_cleanup(&v->layer_fd);
}

/* What a tool says of an image is said of the image. */
static int not_read(struct err *e)
{
	if (strcmp(e->id, "sandbox/tool-failed") != 0 &&
	    strcmp(e->id, "sandbox/worker-time") != 0)
		return -1;
	err_recode(e, ERR_INPUT, "image/fs-layer");
	return err_hint(e, "the layer is damaged, or uses what this tool does not know");
}

/* A tool gets a file system with that one image in it, not the store. */
static int copy_image(struct conversion *v, struct err *e)
{
	AUTO_CLOSE int copy = -1;
	if (path_open_beneath(v->work.fd, "image", O_WRONLY | O_CREAT | O_EXCL, 0444, &copy,
			      e) < 0)
		return -1;
	/* Whatever the umask: the reader is another user. */
	if (fchmod(copy, 0444) < 0)
		return err_sys(e, "cannot chmod the copy of a base layer");
	return path_copy_fd(v->image_fd, copy, "base layer", e);
}

static int read_squashfs(struct conversion *v, struct err *e)
{
	static const char *const argv[] = {"sqfs2tar", "-r", ".", "-s", "/in/image", NULL};
	static const char *const env[] = {"LC_ALL=C", NULL};
	const struct sandbox_bind in = {.fd = v->work.fd, .name = "in", .read_only = true};
	struct sandbox_tool t = fs_tool(v->c, "sqfs2tar", "squashfs-tools-ng");
	t.argv = argv;
	t.env = env;
	t.binds = &in;
	t.binds_len = 1;
	t.out_fd = v->tar_fd;
	return sandbox_tool_run(&t, NULL, e) < 0 ? not_read(e) : 0;
}

static int write_tar(void *ctx, struct buf *reply, struct err *e)
{
	const struct conversion *v = ctx;
	AUTO_CLOSE int roots = -1;
	AUTO_CLOSE int work = -1;
	AUTO_CLOSE int files = -1;
	AUTO_CLOSE int image = -1;
	(void)reply;
	if (path_open_dir(AT_FDCWD, "/roots", &roots, e) < 0 ||
	    path_open_beneath(roots, v->work.name, O_RDONLY | O_DIRECTORY, 0, &work, e) < 0 ||
	    path_open_beneath(work, "image", O_RDONLY, 0, &image, e) < 0)
		return -1;
	if (path_open_beneath(work, "files", O_RDONLY | O_DIRECTORY, 0, &files, e) < 0)
		return err_recode(e, ERR_INPUT, "image/fs-layer"); /* its root is none */
	return erofs_to_tar(image, files, v->tar_fd, e);
}

static int read_erofs(struct conversion *v, struct err *e)
{
	static const char *const argv[] = {"fsck.erofs", "--extract=/out/files",
					   "--no-preserve", "/out/image", NULL};
	static const char *const env[] = {"LC_ALL=C", NULL};
	const struct sandbox_bind out = {.fd = v->work.fd, .name = "out"};
	struct sandbox_tool t = fs_tool(v->c, "fsck.erofs", "erofs-utils");
	t.argv = argv;
	t.env = env;
	t.binds = &out;
	t.binds_len = 1;
	if (sandbox_tool_run(&t, NULL, e) < 0)
		return not_read(e);
	const struct roots_worker packer = {.c = v->c,
					    .role = POLICY_PACKER,
					    .run = write_tar,
					    .ctx = v,
					    .keep_fds = &v->tar_fd,
					    .keep_fds_len = 1};
	return roots_worker_run(&packer, NULL, e);
}

static int mount_lowers(void *ctx, struct err *e)
{
	const struct conversion *v = ctx;
	return roots_mount_lowers(&v->lowers, e);
}

static int open_tree(const struct conversion *v, bool make, int *ret, int *ret_lower,
		     struct err *e)
{
	AUTO_CLOSE int roots = -1;
	AUTO_CLOSE int work = -1;
	if (path_open_dir(AT_FDCWD, "/roots", &roots, e) < 0 ||
	    path_open_beneath(roots, v->work.name, O_RDONLY | O_DIRECTORY, 0, &work, e) < 0 ||
	    roots_open_lowers(&v->lowers, ret_lower, e) < 0)
		return -1;
	return make ? path_make_dir(work, "tree", 0755, ret, e)
		    : path_open_beneath(work, "tree", O_RDONLY | O_DIRECTORY, 0, ret, e);
}

static int unpack(void *ctx, struct buf *reply, struct err *e)
{
	const struct conversion *v = ctx;
	AUTO_CLOSE int tree = -1;
	AUTO_CLOSE int lower = -1;
	(void)reply;
	if (open_tree(v, true, &tree, &lower, e) < 0)
		return -1;
	const struct beneath beneath = {&lower, lower >= 0};
	return unpack_overlay_tar(v->tar_fd, "base layer", &beneath, &unpack_default_limits,
				  tree, e);
}

/* Times of a base stay as they are. */
static int pack(void *ctx, struct buf *reply, struct err *e)
{
	const struct conversion *v = ctx;
	AUTO_CLOSE int tree = -1;
	AUTO_CLOSE int lower = -1;
	struct layer_packed packed;
	(void)reply;
	if (open_tree(v, false, &tree, &lower, e) < 0)
		return -1;
	const struct layer_pack_options options = {.upper_fd = tree,
						   .lower_fd = lower,
						   .epoch_s = INT64_MAX,
						   .out_fd = v->layer_fd,
						   .compression = LAYER_TAR};
	return layer_pack(&options, &packed, e);
}

static int run_worker(struct conversion *v, enum policy_role role,
		      int (*run)(void *ctx, struct buf *reply, struct err *e), int fd,
		      struct err *e)
{
	const struct roots_worker worker = {.c = v->c,
					    .role = role,
					    .prepare = mount_lowers,
					    .run = run,
					    .ctx = v,
					    .keep_fds = &fd,
					    .keep_fds_len = 1};
	return roots_worker_run(&worker, NULL, e);
}

static int convert(struct conversion *v, const struct descriptor *image, struct err *e)
{
	const struct store *store = &v->c->store;
	if (store_blob_open_checked(store, &image->digest, &v->image_fd, NULL, e) < 0 ||
	    store_stage_open(store, &v->tar_fd, e) < 0 ||
	    store_stage_open(store, &v->layer_fd, e) < 0 ||
	    fs_work_open(v->c, &v->work, e) < 0 || copy_image(v, e) < 0 ||
	    (v->fs == LAYER_FS_SQUASHFS ? read_squashfs(v, e) : read_erofs(v, e)) < 0)
		return -1;
	if (lseek(v->tar_fd, 0, SEEK_SET) < 0)
		return err_sys(e, "cannot read back a base layer");
	if (run_worker(v, POLICY_UNPACKER, unpack, v->tar_fd, e) < 0 ||
	    run_worker(v, POLICY_PACKER, pack, v->layer_fd, e) < 0)
		return -1;
	return fs_work_remove(v->c, &v->work, e);
}

/* The same image hides and shows other things on other layers. */
static void conversion_key(const struct descriptor *image,
			   const struct result_layer_vec *beneath, struct digest *ret)
{
	char digest[DIGEST_TEXT_MAX], chain[DIGEST_TEXT_MAX] = "";
	digest_format(&image->digest, digest);
	if (beneath->len > 0)
		digest_format(&beneath->items[beneath->len - 1].chain_id, chain);
	AUTO_FREE char *text =
		mem_printf("stacker base layer %s %s\n%s\n", image->media_type, digest, chain);
	digest_bytes(DIGEST_SHA256, text, strlen(text), ret);
}

int fs_base_convert(struct build_context *c, const struct descriptor *image,
		    const struct result_layer_vec *beneath, struct result_layer *ret,
		    struct err *e)
{
	struct digest key;
	bool hit = false;
	AUTO(descriptor) tar = {0};
	AUTO(conversion)
	v = {.c = c,
	     .fs = layer_fs_of(image->media_type),
	     .work = FS_WORK_INIT,
	     .image_fd = -1,
	     .tar_fd = -1,
	     .layer_fd = -1};
	conversion_key(image, beneath, &key);
	if (cache_load_blob(c, &key, &tar, &hit, e) < 0)
		return -1;
	if (!hit) {
		char digest[DIGEST_TEXT_MAX];
		digest_format(&image->digest, digest);
		log_note("converting base layer %s...", digest);
		roots_lower_names(beneath, &v.lowers);
		if (roots_ensure(c, beneath, e) < 0 || convert(&v, image, e) < 0 ||
		    store_stage_commit(&c->store, v.layer_fd, NULL, -1, &tar.digest, &tar.size,
				       e) < 0)
			return err_wrap(e, "base layer %s", digest);
		tar.media_type = mem_strdup(OCI_LAYER_TAR_TYPE);
		if (cache_save_blob(c, &key, &tar, e) < 0)
			return -1;
	}
	*ret = (struct result_layer){
		.blob = tar, .diff_id = tar.digest, .origin = descriptor_copy(image)};
	tar = (struct descriptor){0};
	return 0;
}
