/* The store: whole and right or not there, whoever writes at the same time (SEC ST03, ST04,
 * ST06). */
#include "util_test.h"

#include "inputs/store.h"
#include "util/json_read.h"

#define HELLO "hello, store\n"
#define HELLO_LEN (sizeof(HELLO) - 1)

static void open_store(struct scratch *s, struct store *store)
{
	struct err e = ERR_INIT;

	if (store_open(s->fd, store, &e) < 0)
		fail_msg("%s", e.message);
}

static void blob_path(const struct digest *d, char out[256])
{
	char hex[DIGEST_TEXT_MAX];

	digest_format_hex(d, hex);
	snprintf(out, 256, "store/blobs/%s/%s", digest_alg_name(d->alg), hex);
}

static void put(const struct store *store, const char *text, struct digest *ret)
{
	struct err e = ERR_INIT;

	if (store_put(store, text, strlen(text), ret, &e) < 0)
		fail_msg("%s", e.message);
}

/* What a bad disk or a bad person does. */
static void damage(struct scratch *s, const struct digest *d, const char *text)
{
	char path[256];

	blob_path(d, path);
	assert_int_equal(unlinkat(s->fd, path, 0), 0);
	put_file(s->fd, path, text);
}

static size_t count_names(struct scratch *s, const char *name)
{
	AUTO_FREE char *path = mem_printf("%s/%s", s->path, name);
	DIR *dir = opendir(path);
	size_t n = 0;

	assert_non_null(dir);
	for (const struct dirent *d; (d = readdir(dir));)
		n += d->d_name[0] != '.';
	closedir(dir);
	return n;
}

static size_t count_blobs(struct scratch *s, const char *alg)
{
	AUTO_FREE char *path = mem_printf("store/blobs/%s", alg);

	return count_names(s, path);
}

static void test_layout_is_readable_by_others(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	AUTO(json_doc) index = {NULL};
	AUTO(buf) text = BUF_INIT(4096);
	struct err e = ERR_INIT;
	struct digest d;
	char path[256];
	mode_t old = umask(077);

	open_store(s, &store);
	put(&store, HELLO, &d);
	umask(old);
	expect_file(s->fd, "store/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	assert_int_equal(path_read_file(s->fd, "store/index.json", &text, &e), 0);
	assert_int_equal(json_read(text.data, text.len, 4096, "index", &index, &e), 0);
	assert_int_equal(json_array_size(json_object_get(index.root, "manifests")), 0);
	expect_mode(s->fd, "store", 0755);
	expect_mode(s->fd, "store/blobs", 0755);
	expect_mode(s->fd, "store/blobs/sha256", 0755);
	expect_mode(s->fd, "store/oci-layout", 0644);
	blob_path(&d, path);
	expect_mode(s->fd, path, 0444);
	expect_file(s->fd, path, HELLO);
}

static void test_open_twice_keeps_everything(void **state)
{
	struct scratch *s = *state;
	AUTO(store) a = STORE_INIT;
	AUTO(store) b = STORE_INIT;
	struct digest d;

	open_store(s, &a);
	put(&a, HELLO, &d);
	open_store(s, &b);
	assert_true(store_has(&b, &d));
}

static void test_unsafe_directories_are_refused(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	struct err e = ERR_INIT;

	open_store(s, &store);
	assert_int_equal(fchmodat(s->fd, "store/blobs/sha256", 0775, 0), 0);
	store_cleanup(&store);
	assert_int_equal(store_open(s->fd, &store, &e), -1);
	expect_err(&e, ERR_POLICY, "store/unsafe-dir");
	assert_int_equal(fchmodat(s->fd, "store/blobs/sha256", 0755, 0), 0);
	assert_int_equal(renameat(s->fd, "store", s->fd, "elsewhere"), 0);
	assert_int_equal(symlinkat("elsewhere", s->fd, "store"), 0);
	assert_int_equal(store_open(s->fd, &store, &e), -1);
	assert_int_equal(e.code, ERR_SYSTEM);
	assert_int_equal(store.root_fd, -1);
}

static void test_foreign_directory_is_refused(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	struct err e = ERR_INIT;

	if (geteuid() != 0)
		skip(); /* only root can give a directory away */
	open_store(s, &store);
	assert_int_equal(fchownat(s->fd, "store/blobs", 12345, 0, 0), 0);
	store_cleanup(&store);
	assert_int_equal(store_open(s->fd, &store, &e), -1);
	expect_err(&e, ERR_POLICY, "store/unsafe-dir");
}

static void test_put_and_read(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	AUTO(buf) b = BUF_INIT(HELLO_LEN);
	AUTO(buf) small = BUF_INIT(HELLO_LEN - 1);
	AUTO_CLOSE int fd = -1;
	struct err e = ERR_INIT;
	struct digest d;
	struct digest expected;
	uint64_t len = 0;

	open_store(s, &store);
	put(&store, HELLO, &d);
	put(&store, HELLO, &d);
	digest_bytes(DIGEST_SHA256, HELLO, HELLO_LEN, &expected);
	assert_true(digest_eq(&d, &expected));
	assert_int_equal(count_blobs(s, "sha256"), 1);
	assert_int_equal(store_blob_read(&store, &d, &b, &e), 0);
	assert_string_equal(buf_text(&b), HELLO);
	assert_int_equal(store_blob_read(&store, &d, &small, &e), -1);
	expect_err(&e, ERR_INPUT, "input/too-big");
	assert_int_equal(store_blob_open_checked(&store, &d, &fd, &len, &e), 0);
	assert_int_equal(len, HELLO_LEN);
	/* Read-only, so that no user of the store can change it by accident. */
	assert_int_equal(write(fd, "x", 1), -1);
	put(&store, "", &d);
	assert_true(store_blob_stat(&store, &d, &len));
	assert_int_equal(len, 0);
}

static void test_absent_blob(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	AUTO_CLOSE int fd = -1;
	struct err e = ERR_INIT;
	struct digest d;

	open_store(s, &store);
	digest_bytes(DIGEST_SHA512, HELLO, HELLO_LEN, &d);
	assert_false(store_has(&store, &d));
	assert_int_equal(store_blob_open(&store, &d, &fd, &e), -1);
	expect_err(&e, ERR_INPUT, "store/absent");
	assert_int_equal(store_blob_discard(&store, &d, &e), 0);
}

static void test_damage_is_found_and_mended(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	AUTO(buf) b = BUF_INIT(4096);
	AUTO_CLOSE int fd = -1;
	AUTO_CLOSE int staged = -1;
	struct err e = ERR_INIT;
	struct digest d;
	uint64_t len;

	open_store(s, &store);
	put(&store, HELLO, &d);
	damage(s, &d, "hello, stare\n");
	assert_int_equal(store_blob_open_checked(&store, &d, &fd, &len, &e), -1);
	expect_err(&e, ERR_MISMATCH, "store/damaged");
	assert_int_equal(store_blob_read(&store, &d, &b, &e), -1);
	expect_err(&e, ERR_MISMATCH, "store/damaged");
	assert_int_equal(b.len, 0);
	/* Whoever brings the right bytes replaces the wrong ones. */
	assert_int_equal(store_stage_open(&store, &staged, &e), 0);
	assert_int_equal(write(staged, HELLO, HELLO_LEN), HELLO_LEN);
	assert_int_equal(store_stage_commit(&store, staged, &d, -1, NULL, NULL, &e), 0);
	assert_int_equal(store_blob_read(&store, &d, &b, &e), 0);
	assert_string_equal(buf_text(&b), HELLO);
	damage(s, &d, "x");
	assert_int_equal(store_blob_discard(&store, &d, &e), 0);
	assert_false(store_has(&store, &d));
}

/* Other things than files under a blob's name, among them one that would block. */
static void test_blob_that_is_no_file(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	AUTO_CLOSE int fd = -1;
	struct err e = ERR_INIT;
	struct digest d;
	char path[256];

	open_store(s, &store);
	put(&store, HELLO, &d);
	blob_path(&d, path);
	assert_int_equal(renameat(s->fd, path, s->fd, "aside"), 0);
	assert_int_equal(symlinkat("../../../aside", s->fd, path), 0);
	assert_false(store_has(&store, &d));
	assert_int_equal(store_blob_open(&store, &d, &fd, &e), -1);
	assert_int_equal(unlinkat(s->fd, path, 0), 0);
	assert_int_equal(mkfifoat(s->fd, path, 0644), 0);
	assert_false(store_has(&store, &d));
	assert_int_equal(store_blob_open(&store, &d, &fd, &e), -1);
	expect_err(&e, ERR_MISMATCH, "store/damaged");
}

static void test_commit_refuses_wrong_bytes(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	AUTO_CLOSE int fd = -1;
	struct err e = ERR_INIT;
	struct digest d;

	open_store(s, &store);
	assert_int_equal(store_stage_open(&store, &fd, &e), 0);
	assert_int_equal(write(fd, HELLO, HELLO_LEN), HELLO_LEN);
	digest_bytes(DIGEST_SHA256, "other", 5, &d);
	assert_int_equal(store_stage_commit(&store, fd, &d, -1, NULL, NULL, &e), -1);
	expect_err(&e, ERR_MISMATCH, "store/wrong-hash");
	digest_bytes(DIGEST_SHA256, HELLO, HELLO_LEN, &d);
	assert_int_equal(store_stage_commit(&store, fd, &d, HELLO_LEN + 1, NULL, NULL, &e), -1);
	expect_err(&e, ERR_MISMATCH, "store/wrong-size");
	assert_int_equal(store_stage_commit(&store, fd, &d, 0, NULL, NULL, &e), -1);
	expect_err(&e, ERR_MISMATCH, "store/wrong-size");
	assert_int_equal(count_blobs(s, "sha256"), 0);
	assert_int_equal(count_blobs(s, "sha512"), 0);
}

static void test_sha512_has_both_names(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	AUTO_CLOSE int fd = -1;
	struct err e = ERR_INIT;
	struct digest sha512;
	struct digest sha256;
	struct stat a;
	struct stat b;
	char path[256];
	uint64_t len = 0;

	open_store(s, &store);
	assert_int_equal(store_stage_open(&store, &fd, &e), 0);
	assert_int_equal(write(fd, HELLO, HELLO_LEN), HELLO_LEN);
	digest_bytes(DIGEST_SHA512, HELLO, HELLO_LEN, &sha512);
	assert_int_equal(store_stage_commit(&store, fd, &sha512, HELLO_LEN, &sha256, &len, &e),
			 0);
	assert_int_equal(sha256.alg, DIGEST_SHA256);
	assert_int_equal(len, HELLO_LEN);
	assert_true(store_has(&store, &sha256));
	assert_true(store_has(&store, &sha512));
	blob_path(&sha256, path);
	assert_int_equal(fstatat(s->fd, path, &a, 0), 0);
	blob_path(&sha512, path);
	assert_int_equal(fstatat(s->fd, path, &b, 0), 0);
	assert_int_equal(a.st_ino, b.st_ino);
}

/* A process that dies before the commit leaves nothing: the staged file has no name. */
static void test_killed_writer_leaves_nothing(void **state)
{
	struct scratch *s = *state;
	AUTO(store) store = STORE_INIT;
	int status = 0;

	open_store(s, &store);
	pid_t pid = fork();

	if (pid == 0) {
		struct err e = ERR_INIT;
		int fd = -1;

		if (store_stage_open(&store, &fd, &e) == 0 && write(fd, HELLO, HELLO_LEN) > 0)
			raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(count_blobs(s, "sha256"), 0);
	assert_int_equal(count_names(s, "store"), 3); /* blobs, index.json, oci-layout */
}

static void commit_often(struct scratch *s, unsigned which)
{
	AUTO(store) store = STORE_INIT;
	struct err e = ERR_INIT;
	struct digest d;

	if (store_open(s->fd, &store, &e) < 0)
		_exit(1);
	for (int i = 0; i < 25; i++) {
		AUTO_CLOSE int fd = -1;
		char text[32];
		int len = snprintf(text, sizeof(text), "blob %d", i);

		/* Not store_put(), which would look first. */
		if (store_stage_open(&store, &fd, &e) < 0 ||
		    write(fd, text, (size_t)len) != len ||
		    store_stage_commit(&store, fd, NULL, len, &d, NULL, &e) < 0)
			_exit(2);
		if (store_blob_open_checked(&store, &d, &fd, NULL, &e) < 0)
			_exit(3);
		if (which == 0 && i % 5 == 0 &&
		    store_put(&store, text, (size_t)len, &d, &e) < 0)
			_exit(4);
	}
	_exit(0);
}

static void test_concurrent_writers_of_one_blob(void **state)
{
	struct scratch *s = *state;
	pid_t pids[4];

	for (unsigned i = 0; i < ARRAY_LEN(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			commit_often(s, i);
		assert_true(pids[i] > 0);
	}
	for (unsigned i = 0; i < ARRAY_LEN(pids); i++) {
		int status = -1;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(count_blobs(s, "sha256"), 25);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_layout_is_readable_by_others),
		scratch_test(test_open_twice_keeps_everything),
		scratch_test(test_unsafe_directories_are_refused),
		scratch_test(test_foreign_directory_is_refused),
		scratch_test(test_put_and_read),
		scratch_test(test_absent_blob),
		scratch_test(test_damage_is_found_and_mended),
		scratch_test(test_blob_that_is_no_file),
		scratch_test(test_commit_refuses_wrong_bytes),
		scratch_test(test_sha512_has_both_names),
		scratch_test(test_killed_writer_leaves_nothing),
		scratch_test(test_concurrent_writers_of_one_blob),
	};

	return cmocka_run_group_tests_name("inputs/store", tests, NULL, NULL);
}
