/*
 * The packer against trees that vectors/format-1 does not hold: hostile ones, limits at their
 * edge, and what must not reach the bytes. Needs root, for devices.
 */
#include "image_test.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "image/layer.h"
#include "util/limits.h"

struct trees {
	struct scratch *s;
	int upper, lower;
	struct layer_packed packed;
	struct buf list; /* of the last archive */
};

static int trees_setup(void **state)
{
	struct trees *t = mem_zalloc(1, sizeof(*t));
	void *scratch = NULL;

	assert_int_equal(scratch_setup(&scratch), 0);
	t->s = scratch;
	make_dir(t->s->fd, "upper");
	make_dir(t->s->fd, "lower");
	t->upper = open_dir(t->s->fd, "upper");
	t->lower = open_dir(t->s->fd, "lower");
	t->list = (struct buf)BUF_INIT(TAR_BYTES_MAX);
	*state = t;
	return 0;
}

static int trees_teardown(void **state)
{
	struct trees *t = *state;
	void *scratch = t->s;

	close(t->upper);
	close(t->lower);
	buf_cleanup(&t->list);
	free(t);
	return scratch_teardown(&scratch);
}

#define trees_test(fn) cmocka_unit_test_setup_teardown(fn, trees_setup, trees_teardown)

static int pack_raw(struct trees *t, int lower_fd, struct err *e)
{
	AUTO_CLOSE int out = openat(t->s->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	const struct layer_pack_options options = {.upper_fd = t->upper,
						   .lower_fd = lower_fd,
						   .epoch_s = 315532800,
						   .out_fd = out};
	AUTO(buf) tar = BUF_INIT(TAR_BYTES_MAX);

	assert_true(out >= 0);
	if (layer_pack(&options, &t->packed, e) < 0)
		return -1;
	assert_int_equal(lseek(out, 0, SEEK_SET), 0);
	assert_int_equal(path_read_fd(out, "layer", &tar, e), 0);
	assert_int_equal(tar.len, t->packed.size);
	buf_clear(&t->list);
	list_tar(&tar, &t->list);
	return 0;
}

static void expect_layer(struct trees *t, const char *list)
{
	struct err e = ERR_INIT;

	assert_int_equal(pack_raw(t, t->lower, &e), 0);
	assert_string_equal(buf_text(&t->list), list);
}

static void expect_refused(struct trees *t, const char *id)
{
	struct layer_packed before = t->packed;
	struct err e = ERR_INIT;

	assert_int_equal(pack_raw(t, t->lower, &e), -1);
	expect_err(&e, ERR_INPUT, id);
	assert_memory_equal(&before, &t->packed, sizeof(before));
}

static void test_times_alone_are_no_change(void **state)
{
	struct trees *t = *state;
	const struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

	put_file(t->lower, "same", "text");
	put_file(t->upper, "same", "text");
	assert_int_equal(utimensat(t->lower, "same", old, 0), 0);
	expect_layer(t, "");
	assert_int_equal(t->packed.entries, 0);
	assert_int_equal(t->packed.size, 1024);
}

/* Beyond the first chunk of the comparison, and in the last byte. */
static void test_large_files_are_compared_to_the_end(void **state)
{
	struct trees *t = *state;
	const size_t len = 300000;
	AUTO_FREE char *bytes = mem_alloc(len + 1);

	memset(bytes, 'x', len);
	bytes[len] = '\0';
	put_file(t->lower, "same", bytes);
	put_file(t->upper, "same", bytes);
	put_file(t->lower, "last", bytes);
	bytes[len - 1] = 'y';
	put_file(t->upper, "last", bytes);
	expect_layer(t, "0 last\n");
}

static void test_without_lower_all_is_new(void **state)
{
	struct trees *t = *state;
	struct err e = ERR_INIT;

	put_file(t->upper, "a", "");
	make_gone(t->upper, "b");
	assert_int_equal(pack_raw(t, -1, &e), 0);
	assert_string_equal(buf_text(&t->list), "0 a\n");
}

/* A lower view of one layer is that layer's tree, carriers included. */
static void test_lower_whiteouts_count_as_nothing(void **state)
{
	struct trees *t = *state;

	make_gone(t->lower, "gone");
	make_gone(t->lower, "back");
	make_dir(t->lower, "d");
	make_gone(t->lower, "d/in");
	make_gone(t->upper, "gone");
	put_file(t->upper, "back", "");
	make_dir(t->upper, "d");
	put_xattr(t->upper, "d", "user.overlay.opaque", "y", 1);
	expect_layer(t, "0 back\n");
}

static void test_bytes_do_not_depend_on_creation_order(void **state)
{
	struct trees *t = *state;
	char name[16];
	struct layer_packed first;

	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "f%03d", i);
		put_file(t->upper, name, name);
	}
	struct err e = ERR_INIT;
	assert_int_equal(pack_raw(t, t->lower, &e), 0);
	first = t->packed;
	assert_int_equal(first.entries, 300);
	for (int i = 299; i >= 0; i--) {
		snprintf(name, sizeof(name), "f%03d", i);
		assert_int_equal(unlinkat(t->upper, name, 0), 0);
	}
	for (int i = 299; i >= 0; i--) {
		snprintf(name, sizeof(name), "f%03d", i);
		put_file(t->upper, name, name);
	}
	const struct timespec late[2] = {{.tv_sec = 4000000000}, {.tv_sec = 4000000000}};
	assert_int_equal(utimensat(t->upper, "f007", late, 0), 0);
	assert_int_equal(pack_raw(t, t->lower, &e), 0);
	assert_true(digest_eq(&first.diff_id, &t->packed.diff_id));
}

static void test_links_are_not_followed(void **state)
{
	struct trees *t = *state;

	make_dir(t->s->fd, "victim");
	AUTO_CLOSE int victim = open_dir(t->s->fd, "victim");
	put_file(victim, "secret", "s");
	assert_int_equal(symlinkat("../victim", t->upper, "abs"), 0);
	make_dir(t->upper, "d");
	put_file(t->upper, "d/secret", "s");
	/* Equal to what the link beneath leads to, yet new: the link itself is replaced. */
	assert_int_equal(symlinkat("../victim", t->lower, "d"), 0);
	expect_layer(t, "2 abs=../victim\n5 d/\n0 d/secret\n");
}

static void test_sockets_are_counted(void **state)
{
	struct trees *t = *state;
	const char *names[] = {"a", "b"};

	for (size_t i = 0; i < 2; i++)
		assert_int_equal(mknodat(t->upper, names[i], S_IFSOCK | 0600, 0), 0);
	put_file(t->lower, "b", "");
	expect_layer(t, "0 .wh.b\n");
	assert_int_equal(t->packed.sockets_dropped, 2);
}

static void test_reserved_names(void **state)
{
	struct trees *t = *state;

	make_dir(t->upper, "d");
	put_file(t->upper, "d/.wh.x", "");
	expect_refused(t, "layer/reserved-name");
	assert_int_equal(unlinkat(t->upper, "d/.wh.x", 0), 0);
	make_dir(t->upper, "d/.wh..wh..opq");
	expect_refused(t, "layer/reserved-name");
	assert_int_equal(unlinkat(t->upper, "d/.wh..wh..opq", AT_REMOVEDIR), 0);
	put_file(t->upper, "d/.wh", "");
	put_file(t->upper, "d/x.wh.", "");
	expect_layer(t, "5 d/\n0 d/.wh\n0 d/x.wh.\n");
}

static void test_files_without_permissions_are_read(void **state)
{
	struct trees *t = *state;

	put_file(t->upper, "000", "secret");
	assert_int_equal(fchmodat(t->upper, "000", 0, 0), 0);
	expect_layer(t, "0 000\n");
}

/* Root sees a capability of another user namespace as v3, that namespace sees it as v2. */
static void test_capability_revisions_give_the_same_bytes(void **state)
{
	static const unsigned char v3[24] = {1, 0, 0, 3, 0, 0x20, [20] = 0x10, [21] = 0x27};
	static const unsigned char v2[20] = {1, 0, 0, 2, 0, 0x20};
	struct trees *t = *state;
	struct layer_packed first;
	struct err e = ERR_INIT;

	put_file(t->upper, "ping", "ping");
	put_xattr(t->upper, "ping", "security.capability", v3, sizeof(v3));
	AUTO_FREE char *full = mem_printf("/proc/self/fd/%d/ping", t->upper);
	unsigned char seen[32];
	assert_int_equal(getxattr(full, "security.capability", seen, sizeof(seen)), 24);
	assert_int_equal(pack_raw(t, t->lower, &e), 0);
	assert_string_equal(buf_text(&t->list), "x PaxHeader\n0 ping\n");
	first = t->packed;
	put_xattr(t->upper, "ping", "security.capability", v2, sizeof(v2));
	assert_int_equal(pack_raw(t, t->lower, &e), 0);
	assert_true(digest_eq(&first.diff_id, &t->packed.diff_id));
	put_file(t->lower, "ping", "ping");
	expect_layer(t, "x PaxHeader\n0 ping\n");
	put_xattr(t->lower, "ping", "security.capability", v3, sizeof(v3));
	expect_layer(t, "");
}

static void test_overlay_features_are_refused(void **state)
{
	struct trees *t = *state;

	make_dir(t->upper, "d");
	put_xattr(t->upper, "d", "user.overlay.redirect", "/x", 2);
	expect_refused(t, "layer/overlay-feature");
}

static void test_host_attributes_do_not_travel(void **state)
{
	struct trees *t = *state;

	put_file(t->upper, "f", "");
	put_xattr(t->upper, "f", "trusted.host", "x", 1);
	put_xattr(t->upper, "f", "user.overlay.overlay.opaque", "y", 1);
	expect_layer(t, "0 f\n");
}

/* Makes `depth` nested directories and returns the innermost. */
static int make_deep(int dir_fd, unsigned depth)
{
	int at = dup(dir_fd);

	for (unsigned i = 0; i < depth; i++) {
		make_dir(at, "d");
		int next = open_dir(at, "d");
		close(at);
		at = next;
	}
	return at;
}

/* With the usual number of open files, and the lower tree as deep. */
static void test_depth_limit(void **state)
{
	struct trees *t = *state;
	struct rlimit before;
	struct err e = ERR_INIT;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){1024, before.rlim_max}), 0);
	close(make_deep(t->lower, LIMIT_TREE_DEPTH - 1));
	AUTO_CLOSE int upper = make_deep(t->upper, LIMIT_TREE_DEPTH - 1);
	put_file(upper, "f", "");
	assert_int_equal(pack_raw(t, t->lower, &e), 0);
	assert_int_equal(t->packed.entries, 1);
	make_dir(upper, "d");
	AUTO_CLOSE int too_deep = open_dir(upper, "d");
	assert_int_equal(pack_raw(t, t->lower, &e), 0);
	assert_int_equal(t->packed.entries, 2);
	put_file(too_deep, "f", "");
	expect_refused(t, "layer/too-deep");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void test_path_limit(void **state)
{
	struct trees *t = *state;
	char name[256] = {0};
	struct err e = ERR_INIT;
	AUTO_CLOSE int at = dup(t->upper);

	memset(name, 'n', 254);
	for (size_t len = 0; len < 3825; len += 255) {
		make_dir(at, name);
		int next = open_dir(at, name);
		close(at);
		at = next;
	}
	/* 15 * 255 = 3825 bytes so far, the last slash included. */
	memset(name, 'n', 255);
	make_dir(at, name);
	AUTO_CLOSE int last = open_dir(at, name);
	name[4095 - 3825 - 256] = '\0';
	put_file(last, name, "");
	assert_int_equal(pack_raw(t, t->lower, &e), 0);
	assert_int_equal(t->packed.entries, 17);
	name[4095 - 3825 - 256] = 'n';
	name[4096 - 3825 - 256] = '\0';
	put_file(last, name, "");
	expect_refused(t, "layer/path-too-long");
}

static void test_size_limit(void **state)
{
	struct trees *t = *state;
	AUTO_CLOSE int fd = openat(t->upper, "big", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	/* Sparse, and refused by its size before it is read. */
	assert_int_equal(ftruncate(fd, (off_t)LIMIT_UNPACK_BYTES + 1), 0);
	expect_refused(t, "layer/too-big");
}

/* What a step does, in its own words; runs in the merged view. */
static bool step(int root)
{
	const struct {
		const char *from, *to;
	} moves[] = {{"moved-file", "moved-to"}, {"new-dir", "renamed-dir"}};
	int fd = openat(root, "rewritten", O_WRONLY | O_TRUNC | O_CLOEXEC);

	/* As before, by way of a copy-up. */
	if (fd < 0 || write(fd, "same", 4) != 4 || close(fd) < 0)
		return false;
	if (fchmodat(root, "chmod", 0600, 0) < 0 || fchmodat(root, "chmod-back", 0600, 0) < 0 ||
	    fchmodat(root, "chmod-back", 0644, 0) < 0)
		return false;
	/* Deleted and made anew: opaque. */
	if (unlinkat(root, "remade/in", 0) < 0 || unlinkat(root, "remade", AT_REMOVEDIR) < 0 ||
	    mkdirat(root, "remade", 0755) < 0 || mkdirat(root, "remade/sub", 0755) < 0)
		return false;
	/* Package managers put things beside their name and rename them over it. */
	if (mkdirat(root, "new-dir", 0755) < 0 || mkdirat(root, "new-dir/in", 0755) < 0 ||
	    unlinkat(root, "emptied/in", 0) < 0 ||
	    mknodat(root, "made", S_IFREG | 0644, 0) < 0 || unlinkat(root, "made", 0) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
		if (renameat(root, moves[i].from, root, moves[i].to) < 0)
			return false;
	}
	/* What would fool the packer has to fail, or to be escaped by the kernel. */
	return mknodat(root, "chmod-back2", S_IFCHR, makedev(0, 0)) < 0 &&
	       symlinkat("remade", root, "link") == 0 &&
	       linkat(root, "moved-to", root, "hard", 0) == 0;
}

static _Noreturn void step_on_overlay(const char *base)
{
	AUTO_FREE char *merged = mem_printf("%s/merged", base);
	AUTO_FREE char *options =
		mem_printf("userxattr,lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work",
			   base, base, base);

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("overlay", merged, "overlay", 0, options) < 0)
		_exit(77);
	int root = open(merged, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_exit(root >= 0 && step(root) ? 0 : 1);
}

/* The kernel's own carriers, as it leaves them. */
static void test_a_step_on_a_real_overlay(void **state)
{
	struct trees *t = *state;
	const char *dirs[] = {"remade", "emptied"};
	const char *files[] = {"rewritten", "chmod",	 "chmod-back", "moved-file",
			       "untouched", "remade/in", "emptied/in"};
	int status = 0;

	make_dir(t->s->fd, "merged");
	make_dir(t->s->fd, "work");
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		make_dir(t->lower, dirs[i]);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		put_file(t->lower, files[i], "same");
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		step_on_overlay(t->s->path);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("no overlay mounts here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	expect_layer(t, "0 .wh.moved-file\n"
			"0 chmod\n"
			"0 emptied/.wh.in\n"
			"0 hard\n"
			"2 link=remade\n"
			"1 moved-to=hard\n"
			"5 remade/\n"
			"0 remade/.wh..wh..opq\n"
			"5 remade/sub/\n"
			"5 renamed-dir/\n"
			"5 renamed-dir/in/\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		trees_test(test_times_alone_are_no_change),
		trees_test(test_large_files_are_compared_to_the_end),
		trees_test(test_without_lower_all_is_new),
		trees_test(test_lower_whiteouts_count_as_nothing),
		trees_test(test_bytes_do_not_depend_on_creation_order),
		trees_test(test_links_are_not_followed),
		trees_test(test_sockets_are_counted),
		trees_test(test_reserved_names),
		trees_test(test_files_without_permissions_are_read),
		trees_test(test_capability_revisions_give_the_same_bytes),
		trees_test(test_overlay_features_are_refused),
		trees_test(test_host_attributes_do_not_travel),
		trees_test(test_depth_limit),
		trees_test(test_path_limit),
		trees_test(test_size_limit),
		trees_test(test_a_step_on_a_real_overlay),
	};
	if (geteuid() != 0) {
		print_message("1..0 # SKIP needs root\n");
		return 0;
	}
	return cmocka_run_group_tests_name("image layer", tests, NULL, NULL);
}
