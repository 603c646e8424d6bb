/* Snapshots of the user's files: complete, in order, and never a mixture (SEC ST01, ST02). */
#include "util_test.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "inputs/local.h"
#include "inputs/local_tree_internal.h"
#include "util/clock.h"
#include "util/limits.h"
#include "util/str.h"

static const struct digest no_pin = {.alg = DIGEST_NONE};

static void open_store(struct scratch *s, struct store *store)
{
	struct err e = ERR_INIT;

	assert_int_equal(mkdirat(s->fd, "state", 0700), 0);
	AUTO_CLOSE int state_fd = openat(s->fd, "state", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (store_open(state_fd, store, &e) < 0)
		fail_msg("%s", e.message);
}

static void snap(struct scratch *s, const struct store *store, const char *path, bool contents,
		 struct digest *ret)
{
	struct err e = ERR_INIT;

	if (local_snapshot(store, s->fd, path, contents, &no_pin, ret, &e) < 0)
		fail_msg("%s", e.message);
}

static void expect_no_snap(struct scratch *s, const struct store *store, const char *path,
			   bool contents, const char *id)
{
	struct err e = ERR_INIT;
	struct digest tree;

	if (local_snapshot(store, s->fd, path, contents, &no_pin, &tree, &e) == 0)
		fail_msg("'%s' was imported", path);
	assert_string_equal(e.id, id);
	assert_non_null(strstr(e.message, path));
}

/* "d 0755 \nf 0644 a\n" ... */
static void expect_tree(const struct store *store, const struct digest *tree, const char *text)
{
	static const char letters[] = {
		[LOCAL_FILE] = 'f', [LOCAL_DIR] = 'd', [LOCAL_SYMLINK] = 'l'};
	AUTO(local_tree) t = {0};
	AUTO(buf) b = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;

	if (local_tree_load(store, tree, &t, &e) < 0)
		fail_msg("%s", e.message);
	for (size_t i = 0; i < t.len; i++) {
		const struct local_entry *entry = &t.items[i];

		buf_addf(&b, "%c %04o %s%s%s\n", letters[entry->type], entry->mode, entry->path,
			 entry->target ? " -> " : "", entry->target ? entry->target : "");
		if (entry->type == LOCAL_FILE)
			assert_true(store_has(store, &entry->digest));
	}
	assert_string_equal(buf_text(&b), text);
}

static void make_tree(struct scratch *s)
{
	assert_int_equal(mkdirat(s->fd, "src", 0750), 0);
	assert_int_equal(mkdirat(s->fd, "src/a", 0700), 0);
	assert_int_equal(mkdirat(s->fd, "src/empty", 0755), 0);
	put_file(s->fd, "src/a/x", "x\n");
	put_file(s->fd, "src/a-b", "sorts between a and a/x\n");
	put_file(s->fd, "src/run", "#!/bin/sh\n");
	put_file(s->fd, "src/nothing", "");
	assert_int_equal(fchmodat(s->fd, "src", 0750, 0), 0);
	assert_int_equal(fchmodat(s->fd, "src/run", 04755, 0), 0);
	assert_int_equal(symlinkat("no/such/place", s->fd, "src/broken"), 0);
	assert_int_equal(symlinkat("/etc/passwd", s->fd, "src/out"), 0);
}

static void test_tree(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	struct digest plain;
	struct digest contents;

	open_store(s, &store);
	make_tree(s);
	snap(s, &store, "src", false, &plain);
	expect_tree(
		&store, &plain,
		"d 0750 \nd 0700 a\nf 0644 a-b\nf 0644 a/x\nl 0777 broken -> no/such/place\n"
		"d 0755 empty\nf 0644 nothing\nl 0777 out -> /etc/passwd\nf 4755 run\n");
	snap(s, &store, "src/", true, &contents);
	assert_true(digest_eq(&plain, &contents));
}

static void test_document_is_as_documented(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	AUTO(buf) b = BUF_INIT(4096);
	struct err e = ERR_INIT;
	struct digest tree;

	open_store(s, &store);
	assert_int_equal(mkdirat(s->fd, "d", 0755), 0);
	put_file(s->fd, "d/f\n\xc3\xbc", "hello\n");
	assert_int_equal(symlinkat("f", s->fd, "d/l"), 0);
	snap(s, &store, "d", false, &tree);
	assert_int_equal(store_blob_read(&store, &tree, &b, &e), 0);
	assert_string_equal(
		buf_text(&b),
		"{\"entries\":[{\"mode\":\"0755\",\"path\":\"\",\"type\":\"dir\"},"
		"{\"digest\":\"sha256:"
		"5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03\","
		"\"mode\":\"0644\",\"path\":\"f\\n\xc3\xbc\",\"size\":6,\"type\":\"file\"},"
		"{\"path\":\"l\",\"target\":\"f\",\"type\":\"symlink\"}],"
		"\"schema\":\"https://stacker-hermetic.invalid/tree/v1\"}");
}

/* Names, types, modes, targets and contents count; times, owners and creation order do not. */
static void test_digest_depends_on_content_only(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	const struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	struct digest first;
	struct digest d;

	open_store(s, &store);
	make_tree(s);
	snap(s, &store, "src", false, &first);
	assert_int_equal(utimensat(s->fd, "src/a/x", old, 0), 0);
	put_file(s->fd, "src/zzz", "z");
	assert_int_equal(unlinkat(s->fd, "src/zzz", 0), 0);
	assert_int_equal(renameat(s->fd, "src", s->fd, "other"), 0);
	snap(s, &store, "other", false, &d);
	assert_true(digest_eq(&d, &first));
	put_file(s->fd, "other/a/x", "y\n");
	snap(s, &store, "other", false, &d);
	assert_false(digest_eq(&d, &first));
	put_file(s->fd, "other/a/x", "x\n");
	assert_int_equal(fchmodat(s->fd, "other/a/x", 0600, 0), 0);
	snap(s, &store, "other", false, &d);
	assert_false(digest_eq(&d, &first));
}

static void test_single_file_and_its_pin(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	struct err e = ERR_INIT;
	struct digest pin;
	struct digest tree;

	open_store(s, &store);
	put_file(s->fd, "f", "hello\n");
	digest_bytes(DIGEST_SHA256, "hello\n", 6, &pin);
	assert_int_equal(local_snapshot(&store, s->fd, "./f", false, &pin, &tree, &e), 0);
	expect_tree(&store, &tree, "f 0644 \n");
	digest_bytes(DIGEST_SHA512, "hello\n", 6, &pin);
	assert_int_equal(local_snapshot(&store, s->fd, "f", false, &pin, &tree, &e), 0);
	pin.bytes[0] ^= 1;
	assert_int_equal(local_snapshot(&store, s->fd, "f", false, &pin, &tree, &e), -1);
	expect_err(&e, ERR_MISMATCH, "import/wrong-hash");
	assert_non_null(strstr(e.message, "is different than the actual hash"));
	assert_int_equal(local_snapshot(&store, s->fd, ".", true, &pin, &tree, &e), -1);
	assert_int_equal(local_snapshot(&store, s->fd, s->path, false, &no_pin, &tree, &e), -1);
	expect_err(&e, ERR_INPUT, "import/holds-store");
	assert_int_equal(mkdirat(s->fd, "d", 0755), 0);
	assert_int_equal(local_snapshot(&store, s->fd, "d", false, &pin, &tree, &e), -1);
	expect_err(&e, ERR_INPUT, "import/hash-without-file");
}

static void test_links_in_the_path(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	struct digest direct;
	struct digest d;

	open_store(s, &store);
	make_tree(s);
	assert_int_equal(symlinkat("src", s->fd, "link"), 0);
	assert_int_equal(symlinkat("src/run", s->fd, "file-link"), 0);
	snap(s, &store, "src/a", false, &direct);
	snap(s, &store, "link/a", false, &d);
	assert_true(digest_eq(&d, &direct));
	snap(s, &store, "link", false, &d);
	expect_tree(&store, &d, "l 0777  -> src\n");
	snap(s, &store, "file-link", false, &d);
	expect_tree(&store, &d, "l 0777  -> src/run\n");
	snap(s, &store, "src/a/", true, &direct);
	snap(s, &store, "link/a/../a", true, &d);
	assert_true(digest_eq(&d, &direct));
	expect_no_snap(s, &store, "link/", true, "import/link");
	expect_no_snap(s, &store, "link", true, "import/link");
	expect_no_snap(s, &store, "file-link", true, "import/link");
	expect_no_snap(s, &store, "src/run", true, "import/not-a-directory");
}

static void test_absent_and_special(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	open_store(s, &store);
	assert_int_equal(mkdirat(s->fd, "d", 0755), 0);
	put_file(s->fd, "f", "");
	expect_no_snap(s, &store, "gone", false, "import/absent");
	expect_no_snap(s, &store, "gone/f", false, "import/absent");
	expect_no_snap(s, &store, "f/f", false, "import/absent");
	expect_no_snap(s, &store, "gone/", true, "import/absent");
	expect_no_snap(s, &store, "f/", true, "import/not-a-directory");
	assert_int_equal(mkfifoat(s->fd, "d/fifo", 0644), 0);
	expect_no_snap(s, &store, "d/fifo", false, "import/special-file");
	expect_no_snap(s, &store, "d", false, "import/special-file");
	assert_int_equal(unlinkat(s->fd, "d/fifo", 0), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/d/sock", s->path);
	assert_int_equal(bind(sock, (struct sockaddr *)&address, sizeof(address)), 0);
	close(sock);
	expect_no_snap(s, &store, "d/sock", false, "import/special-file");
	expect_no_snap(s, &store, "/dev/null", false, "import/special-file");
	/* Says that it is a regular file of no size, and then has content. */
	expect_no_snap(s, &store, "/proc/self/status", false, "import/changed");
}

static void test_names_that_json_cannot_hold(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	struct err e = ERR_INIT;
	struct digest tree;

	open_store(s, &store);
	assert_int_equal(mkdirat(s->fd, "d", 0755), 0);
	put_file(s->fd, "d/\xff", "");
	assert_int_equal(local_snapshot(&store, s->fd, "d", false, &no_pin, &tree, &e), -1);
	expect_err(&e, ERR_INPUT, "import/name-not-utf8");
	assert_true(str_is_utf8(e.message, strlen(e.message)));
	assert_int_equal(unlinkat(s->fd, "d/\xff", 0), 0);
	assert_int_equal(symlinkat("\xff", s->fd, "d/l"), 0);
	assert_int_equal(local_snapshot(&store, s->fd, "d", false, &no_pin, &tree, &e), -1);
	expect_err(&e, ERR_INPUT, "import/name-not-utf8");
}

/* More files than are written at a time, some with the same content. */
static void test_many_files(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	AUTO(local_tree) t = {0};
	struct err e = ERR_INIT;
	struct digest tree;

	open_store(s, &store);
	assert_int_equal(mkdirat(s->fd, "d", 0755), 0);
	for (int i = 0; i < 450; i++) {
		char name[32];
		char text[32];

		snprintf(name, sizeof(name), "d/%d", i);
		snprintf(text, sizeof(text), "%d\n", i / 2);
		put_file(s->fd, name, text);
	}
	snap(s, &store, "d", false, &tree);
	assert_int_equal(local_tree_load(&store, &tree, &t, &e), 0);
	assert_int_equal(t.len, 451);
	for (size_t i = 1; i < t.len; i++) {
		AUTO_CLOSE int fd = -1;

		assert_int_equal(
			store_blob_open_checked(&store, &t.items[i].digest, &fd, NULL, &e), 0);
	}
}

/* One level below the limit is taken, one more is not. */
static void test_depth_limit(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	struct err e = ERR_INIT;
	struct digest tree;
	int fd = -1;

	open_store(s, &store);
	assert_int_equal(mkdirat(s->fd, "d", 0755), 0);
	fd = openat(s->fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < LIMIT_TREE_DEPTH; i++) {
		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		close(fd);
		fd = next;
	}
	snap(s, &store, "d", false, &tree);
	assert_int_equal(mkdirat(fd, "d", 0755), 0);
	close(fd);
	assert_int_equal(local_snapshot(&store, s->fd, "d", false, &no_pin, &tree, &e), -1);
	expect_err(&e, ERR_INPUT, "import/path-too-long");
}

static void test_too_many_files_are_refused_before_they_are_kept(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	struct err e = ERR_INIT;
	struct digest tree;

	open_store(s, &store);
	assert_int_equal(mkdirat(s->fd, "d", 0755), 0);
	for (int i = 0; i < LIMIT_LOCAL_ENTRIES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "d/%d", i);
		assert_int_equal(symlinkat("x", s->fd, name), 0);
	}
	assert_int_equal(local_snapshot(&store, s->fd, "d", false, &no_pin, &tree, &e), -1);
	expect_err(&e, ERR_INPUT, "import/too-many");
	for (int i = 0; i < 4; i++) {
		char name[32];

		snprintf(name, sizeof(name), "d/%d", i);
		assert_int_equal(unlinkat(s->fd, name, 0), 0);
	}
	AUTO(local_tree) t = {0};

	snap(s, &store, "d", false, &tree);
	assert_int_equal(local_tree_load(&store, &tree, &t, &e), 0);
}

/* Rewrites a file, swaps a directory and a link, until it is killed. */
static void keep_changing(int dir_fd)
{
	AUTO_FREE char *text = mem_zalloc(1, 200000);

	for (unsigned i = 0;; i++) {
		int fd = openat(dir_fd, "d/f", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

		memset(text, 'a' + (int)(i % 26), 199999);
		if (write(fd, text, i % 2 ? 199999 : 100000) < 0)
			_exit(1);
		close(fd);
		renameat(dir_fd, "d/sub", dir_fd, "aside");
		if (symlinkat("/etc", dir_fd, "d/sub") == 0)
			unlinkat(dir_fd, "d/sub", 0);
		renameat(dir_fd, "aside", dir_fd, "d/sub");
	}
}

/* Either an error that says so, or a tree all of whose blobs are one state of their file. */
static void test_files_that_change_while_read(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	uint64_t end_ms = clock_monotonic_ms() + 1500;
	unsigned good = 0;
	unsigned changed = 0;

	open_store(s, &store);
	assert_int_equal(mkdirat(s->fd, "d", 0755), 0);
	assert_int_equal(mkdirat(s->fd, "d/sub", 0755), 0);
	put_file(s->fd, "d/sub/mine", "mine");
	put_file(s->fd, "d/f", "start");
	pid_t pid = fork();

	if (pid == 0)
		keep_changing(s->fd);
	while (clock_monotonic_ms() < end_ms) {
		AUTO(local_tree) t = {0};
		struct err e = ERR_INIT;
		struct digest tree;

		if (local_snapshot(&store, s->fd, "d", false, &no_pin, &tree, &e) < 0) {
			assert_string_equal(e.id, "import/changed");
			changed++;
			continue;
		}
		good++;
		assert_int_equal(local_tree_load(&store, &tree, &t, &e), 0);
		for (size_t i = 0; i < t.len; i++) {
			AUTO_CLOSE int fd = -1;

			assert_false(
				str_has_prefix(t.items[i].path, "sub/p")); /* /etc/passwd */
			if (t.items[i].type == LOCAL_FILE)
				assert_int_equal(store_blob_open_checked(&store,
									 &t.items[i].digest,
									 &fd, NULL, &e),
						 0);
		}
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(good + changed > 0);
	assert_true(changed > 0);
}

#define SCHEMA "\"schema\":\"https://stacker-hermetic.invalid/tree/v1\"}"
#define ROOT "{\"mode\":\"0755\",\"path\":\"\",\"type\":\"dir\"}"
#define LINK(path) "{\"path\":\"" path "\",\"target\":\"x\",\"type\":\"symlink\"}"
#define DOC(entries) "{\"entries\":[" entries "]," SCHEMA

static void test_reader_takes_only_what_the_writer_makes(void **state)
{
	static const char *const bad[] = {
		"{}",
		"[]",
		"",
		DOC(""),
		"{\"entries\":[" ROOT "],\"schema\":\"x\"}",
		DOC(LINK("a")),
		DOC(ROOT "," ROOT),
		DOC(ROOT "," LINK("/a")),
		DOC(ROOT "," LINK("../a")),
		DOC(ROOT "," LINK("a/../b")),
		DOC(ROOT "," LINK(".")),
		DOC(ROOT "," LINK("a/")),
		DOC(ROOT "," LINK("a//b")),
		DOC(ROOT "," LINK("a/b")),
		DOC(ROOT "," LINK("a") "," LINK("a/b")),
		DOC(ROOT "," LINK("b") "," LINK("a")),
		DOC(ROOT "," LINK("a") "," LINK("a")),
		DOC(LINK("") "," LINK("a")),
		DOC(ROOT " "),
		" " DOC(ROOT),
		DOC(ROOT) "\n",
		DOC(ROOT ",1"),
		DOC("{\"mode\":\"755\",\"path\":\"\",\"type\":\"dir\"}"),
		DOC("{\"mode\":\"00755\",\"path\":\"\",\"type\":\"dir\"}"),
		DOC("{\"mode\":\"010000\",\"path\":\"\",\"type\":\"dir\"}"),
		DOC("{\"mode\":\"0755\",\"path\":\"\",\"type\":\"fifo\"}"),
		DOC("{\"mode\":\"0755\",\"path\":\"\",\"more\":1,\"type\":\"dir\"}"),
		DOC("{\"path\":\"\",\"target\":\"\",\"type\":\"symlink\"}"),
		DOC("{\"digest\":\"sha256:00\",\"mode\":\"0644\",\"path\":\"\",\"size\":1,"
		    "\"type\":\"file\"}"),
		DOC(ROOT "," LINK("a\\u0000b")),
		DOC(ROOT "," LINK("\\u0061")),
	};
	static const char good[] = DOC(ROOT "," LINK("a") "," LINK("b"));
	AUTO(local_tree) t = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(local_tree_read(good, sizeof(good) - 1, &t, &e), 0);
	assert_int_equal(t.len, 3);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(local_tree) none = {0};

		if (local_tree_read(bad[i], strlen(bad[i]), &none, &e) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(e.code, ERR_INPUT);
		assert_null(none.items);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_tree),
		scratch_test(test_document_is_as_documented),
		scratch_test(test_digest_depends_on_content_only),
		scratch_test(test_single_file_and_its_pin),
		scratch_test(test_links_in_the_path),
		scratch_test(test_absent_and_special),
		scratch_test(test_names_that_json_cannot_hold),
		scratch_test(test_many_files),
		scratch_test(test_depth_limit),
		scratch_test(test_too_many_files_are_refused_before_they_are_kept),
		scratch_test(test_files_that_change_while_read),
		cmocka_unit_test(test_reader_takes_only_what_the_writer_makes),
	};

	return cmocka_run_group_tests_name("inputs/local", tests, NULL, NULL);
}
