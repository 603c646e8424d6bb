/*
 * Layers upon layers: what they show of those beneath, beside what the kernel's overlayfs makes
 * of the same trees, and all layers of an image side by side, beside one by one.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "image/beneath.h"
#include "image/dir_names.h"
#include "image/unpack_internal.h"
#include "image_layers.h"
#include "util/limits.h"

enum { TREES = 3, DEPTH = 3, ROUNDS = 150, LAYERS = 12 };

static unsigned random_below(uint32_t *seed, unsigned n)
{
	*seed = *seed * UINT32_C(1664525) + UINT32_C(1013904223);
	return (*seed >> 16) % n;
}

/* Every directory has a time of its own, so that it can be told from the others. */
static void date(int fd, uint32_t *clock)
{
	const struct timespec t = {.tv_sec = ++*clock};
	assert_int_equal(futimens(fd, (struct timespec[2]){t, t}), 0);
}

static void grow(int dir_fd, unsigned depth, uint32_t *seed, uint32_t *clock)
{
	static const char *const names[] = {"a", "b"};
	for (size_t i = 0; i < 2; i++) {
		AUTO_CLOSE int fd = -1;
		switch (random_below(seed, depth > 0 ? 6 : 3)) {
		case 0:
			break;
		case 1:
			assert_int_equal(mknodat(dir_fd, names[i], S_IFCHR, makedev(0, 0)), 0);
			break;
		case 2:
			at_write(dir_fd, names[i], "file");
			break;
		default:
			at_mkdir(dir_fd, names[i], 0755);
			fd = at_dir(dir_fd, names[i]);
			if (random_below(seed, 4) == 0)
				assert_int_equal(
					fsetxattr(fd, "user.overlay.opaque", "y", 1, 0), 0);
			grow(fd, depth - 1, seed, clock);
			date(fd, clock);
		}
	}
}

static void compare_dir(const struct beneath *b, int merged_fd, const char *path)
{
	struct err e = ERR_INIT;
	struct stat st, ours;
	AUTO_CLOSE int fd = -1;
	bool is_dir = fstatat(merged_fd, path[0] ? path : ".", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		      S_ISDIR(st.st_mode);
	assert_int_equal(beneath_open_dir(b, path, &fd, &e), 0);
	if (is_dir != (fd >= 0))
		fail_msg("'%s' is %s directory for overlayfs", path, is_dir ? "a" : "no");
	if (!is_dir)
		return;
	assert_int_equal(fstat(fd, &ours), 0);
	if (ours.st_mtim.tv_sec != st.st_mtim.tv_sec)
		fail_msg("'%s' is another directory for overlayfs", path);
}

static void compare_all(const struct beneath *b, int merged_fd, const char *path,
			unsigned depth)
{
	compare_dir(b, merged_fd, path);
	for (const char *name = "ab"; *name && depth > 0; name++) {
		char below[2 * DEPTH + 2];
		snprintf(below, sizeof(below), "%s%s%c", path, path[0] ? "/" : "", *name);
		compare_all(b, merged_fd, below, depth - 1);
	}
}

static void compare_root_names(const struct beneath *b, int merged_fd)
{
	struct err e = ERR_INIT;
	AUTO(strvec) ours = {0};
	AUTO(strvec) theirs = {0};
	assert_int_equal(beneath_root_names(b, &ours, &e), 0);
	assert_int_equal(dir_names(merged_fd, "merged", &theirs, &e), 0);
	assert_int_equal(ours.len, theirs.len);
	for (size_t i = 0; i < ours.len; i++) {
		bool is_there = false;
		for (size_t j = 0; j < theirs.len; j++)
			is_there |= strcmp(ours.items[i], theirs.items[j]) == 0;
		assert_true(is_there);
	}
}

static void compare_with_overlayfs(struct scratch *s, uint32_t seed)
{
	int fds[TREES];
	uint32_t clock = 0;
	char options[512];
	for (int i = 0; i < TREES; i++) {
		char name[] = {(char)('0' + i), '\0'};
		at_mkdir(s->root_fd, name, 0755);
		fds[i] = at_dir(s->root_fd, name);
		grow(fds[i], DEPTH, &seed, &clock);
		date(fds[i], &clock);
	}
	at_mkdir(s->root_fd, "merged", 0755);
	snprintf(options, sizeof(options), "userxattr,lowerdir=%s/root/0:%s/root/1:%s/root/2",
		 s->path, s->path, s->path);
	AUTO_FREE char *target = mem_printf("%s/root/merged", s->path);
	assert_int_equal(mount("overlay", target, "overlay", MS_RDONLY, options), 0);
	AUTO_CLOSE int merged = at_dir(s->root_fd, "merged");
	const struct beneath beneath = {fds, TREES};
	compare_all(&beneath, merged, "", DEPTH);
	compare_root_names(&beneath, merged);
	mem_close_cleanup(&merged);
	assert_int_equal(umount2(target, UMOUNT_NOFOLLOW), 0);
	for (int i = 0; i < TREES; i++)
		close(fds[i]);
}

static void test_beneath_is_what_overlayfs_shows(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	scratch_open(&s);
	for (uint32_t seed = 1; seed <= ROUNDS; seed++) {
		compare_with_overlayfs(&s, seed);
		scratch_reset_root(&s);
	}
	scratch_close(&s);
}

static void test_nothing_is_beneath_nothing(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	AUTO(strvec) names = {0};
	int fd = 0;
	assert_int_equal(beneath_open_dir(&(struct beneath){0}, "", &fd, &e), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(beneath_root_names(&(struct beneath){0}, &names, &e), 0);
	assert_int_equal(names.len, 0);
}

/* Layers that build on each other: each has a file in directories that only the one before it
 * describes, and every third hides all that there is. */
static void add_layer(struct buf *b, unsigned number)
{
	AUTO_FREE char *dir = mem_printf("d%u/", number);
	AUTO_FREE char *file = mem_printf("d%u/in/f", number - 1);
	AUTO_FREE char *more = mem_printf("d%u/in/", number);
	if (number % 3 == 2)
		FILE_(".wh..wh..opq", NULL);
	vec_add(b, (struct vec_entry){dir, '5', .mode = 0700 + number, .uid = number,
				      .mtime = number});
	vec_add(b, (struct vec_entry){more, '5', .mode = 0750, .gid = number, .mtime = 2});
	FILE_(file, dir);
	vec_end(b);
}

struct image {
	struct buf blobs[LAYERS];
	struct unpack_layer layers[LAYERS];
	int top_fd;
};

static void image_open(struct image *m, struct scratch *s, const char *name)
{
	at_mkdir(s->root_fd, name, 0755);
	m->top_fd = at_dir(s->root_fd, name);
	for (unsigned i = 0; i < LAYERS; i++) {
		char tree[8];
		snprintf(tree, sizeof(tree), "%02u", i);
		at_mkdir(m->top_fd, tree, 0755);
		m->layers[i] = (struct unpack_layer){
			.blob_fd = vec_fd(m->blobs[i].data, m->blobs[i].len),
			.root_fd = at_dir(m->top_fd, tree)};
		digest_bytes(DIGEST_SHA256, m->blobs[i].data, m->blobs[i].len,
			     &m->layers[i].diff_id);
	}
}

static void image_close(struct image *m)
{
	for (unsigned i = 0; i < LAYERS; i++) {
		close(m->layers[i].blob_fd);
		close(m->layers[i].root_fd);
	}
	close(m->top_fd);
}

static void image_make(struct image *m)
{
	for (unsigned i = 0; i < LAYERS; i++) {
		m->blobs[i] = (struct buf)VECTOR_BUF;
		add_layer(&m->blobs[i], i + 1);
	}
}

static void image_free(struct image *m)
{
	for (unsigned i = 0; i < LAYERS; i++)
		buf_cleanup(&m->blobs[i]);
}

static void list_trees(const struct image *m, struct buf *ret)
{
	struct err e = ERR_INIT;
	AUTO(tree) t = {0};
	assert_int_equal(tree_read_dir(m->top_fd, &t, &e), 0);
	tree_serialise(&t, ret);
}

static void test_a_stack_is_as_layer_by_layer(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	struct image m;
	struct err e = ERR_INIT;
	AUTO(buf) one_by_one = VECTOR_BUF;
	AUTO(buf) together = VECTOR_BUF;
	scratch_open(&s);
	image_make(&m);
	image_open(&m, &s, "one by one");
	int fds[LAYERS];
	for (size_t i = 0; i < LAYERS; i++) {
		const struct beneath beneath = {fds + LAYERS - i, i};
		fds[LAYERS - 1 - i] = m.layers[i].root_fd;
		assert_int_equal(
			unpack_layer(&m.layers[i], &beneath, &unpack_default_limits, &e), 0);
	}
	list_trees(&m, &one_by_one);
	expect_mode(m.top_fd, "03/d3", 0703, 3, 0);
	expect_mode(m.top_fd, "03/d3/in", 0750, 0, 3);
	expect_whiteout(m.top_fd, "04/d3");
	image_close(&m);
	image_open(&m, &s, "together");
	assert_int_equal(unpack_stack(m.layers, LAYERS, &unpack_default_limits, 4, &e), 0);
	list_trees(&m, &together);
	image_close(&m);
	assert_int_equal(one_by_one.len, together.len);
	assert_memory_equal(one_by_one.data, together.data, together.len);
	image_free(&m);
	scratch_close(&s);
}

static void test_a_stack_lies_upon_trees_that_are_there(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	struct image m;
	struct err e = ERR_INIT;
	scratch_open(&s);
	image_make(&m);
	image_open(&m, &s, "image");
	assert_int_equal(unpack_stack(m.layers, 4, &unpack_default_limits, 4, &e), 0);
	int fds[4];
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = m.layers[i].blob_fd;
		m.layers[i].blob_fd = -1;
	}
	assert_int_equal(unpack_stack(m.layers, LAYERS, &unpack_default_limits, 4, &e), 0);
	expect_whiteout(m.top_fd, "04/d1");
	expect_mode(m.top_fd, "05/d5", 0705, 5, 0);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		m.layers[i].blob_fd = fds[i];
	image_close(&m);
	image_free(&m);
	scratch_close(&s);
}

static void test_the_error_is_that_of_the_lowest_layer(void **state)
{
	(void)state;
	NEED_ROOT();
	for (unsigned round = 0; round < 20; round++) {
		struct scratch s;
		struct image m;
		struct err e = ERR_INIT;
		scratch_open(&s);
		image_make(&m);
		image_open(&m, &s, "image");
		/* The upper one fails at once, the lower one with its last byte. */
		AUTO_CLOSE int empty = vec_fd("x", 1);
		int kept = m.layers[7].blob_fd;
		m.layers[7].blob_fd = empty;
		m.layers[3].diff_id.bytes[0] ^= 1;
		assert_int_equal(unpack_stack(m.layers, LAYERS, &unpack_default_limits, 4, &e),
				 -1);
		assert_string_equal(e.id, "unpack/diff-id");
		m.layers[7].blob_fd = kept;
		image_close(&m);
		mem_close_cleanup(&empty);
		image_free(&m);
		scratch_close(&s);
	}
}

struct counted_turn {
	struct unpack_turn base;
	unsigned *calls;
	bool goes_on;
};

static bool count_turn(const struct unpack_turn *turn)
{
	const struct counted_turn *t = (const struct counted_turn *)turn;
	++*t->calls;
	return t->goes_on;
}

/* How often a layer of `entries` whiteouts asks for its turn. */
static unsigned turns_of(unsigned entries, bool goes_on, int expected)
{
	struct scratch s;
	struct err e = ERR_INIT;
	AUTO(buf) vector = VECTOR_BUF;
	struct buf *b = &vector;
	unsigned calls = 0;
	scratch_open(&s);
	for (unsigned i = 0; i < entries; i++)
		FILE_(".wh.x", NULL);
	vec_end(b);
	AUTO_CLOSE int fd = vec_fd(b->data, b->len);
	struct unpack_layer layer = {.blob_fd = fd, .root_fd = s.root_fd};
	digest_bytes(DIGEST_SHA256, b->data, b->len, &layer.diff_id);
	const struct counted_turn turn = {{count_turn}, &calls, goes_on};
	struct unpacking u = UNPACKING_INIT(&turn.base);
	assert_int_equal(unpack_begin(&u, &layer, &unpack_default_limits, &e), expected);
	assert_int_equal(e.code, ERR_NONE);
	unpacking_cleanup(&u);
	mem_close_cleanup(&fd);
	scratch_close(&s);
	return calls;
}

static void test_a_large_layer_waits_for_its_turn(void **state)
{
	(void)state;
	NEED_ROOT();
	enum { SHARE = LIMIT_UNPACK_ENTRIES / LIMIT_UNPACK_SHARE };
	assert_int_equal(turns_of(SHARE, true, 0), 0);
	assert_int_equal(turns_of(SHARE + 1, true, 0), 1);
	assert_int_equal(turns_of(SHARE + 2, false, -1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_beneath_is_what_overlayfs_shows),
		cmocka_unit_test(test_nothing_is_beneath_nothing),
		cmocka_unit_test(test_a_stack_is_as_layer_by_layer),
		cmocka_unit_test(test_a_stack_lies_upon_trees_that_are_there),
		cmocka_unit_test(test_the_error_is_that_of_the_lowest_layer),
		cmocka_unit_test(test_a_large_layer_waits_for_its_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
