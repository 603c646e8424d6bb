/* Downloads, from a server with every fault we know of (SEC 2d), and a fetcher gone bad. */
#include "inputs_server.h"

#include <arpa/inet.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "inputs/fetch.h"
#include "inputs/fetcher_internal.h"
#include "inputs/transfer_internal.h"
#include "util/clock.h"
#include "util/limits.h"
#include "util/log.h"
#include "util/proc.h"
#include "util/str.h"

enum { SMALL_LEN = 20000, BIG_LEN = 800000 };

struct fixture {
	struct scratch *scratch;
	struct server http;
	struct server https;
	struct store store;
	struct fetch_options options;
	struct digest small; /* of the file "small" */
	struct digest big;
	char ca_path[128];
	int log_fd;
};

/* The fixture. */

static void make_file(int dir_fd, const char *name, size_t len, struct digest *ret)
{
	AUTO_FREE char *bytes = mem_alloc(len);
	AUTO_CLOSE int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(i * 2654435761U >> 13);
	assert_int_equal(write(fd, bytes, len), len);
	digest_bytes(DIGEST_SHA256, bytes, len, ret);
}

static void make_certificate(struct fixture *f)
{
	AUTO_FREE char *key = mem_printf("%s/key.pem", f->scratch->path);
	AUTO_FREE char *cert = mem_printf("%s/cert.pem", f->scratch->path);
	AUTO_FREE char *both = mem_printf("%s/both.pem", f->scratch->path);
	const char *const argv[] = {"/usr/bin/openssl",
				    "req",
				    "-x509",
				    "-newkey",
				    "ec",
				    "-pkeyopt",
				    "ec_paramgen_curve:P-256",
				    "-nodes",
				    "-keyout",
				    key,
				    "-out",
				    cert,
				    "-days",
				    "2",
				    "-subj",
				    "/CN=localhost",
				    "-addext",
				    "subjectAltName=DNS:localhost",
				    NULL};
	AUTO(buf) b = BUF_INIT(65536);
	struct err e = ERR_INIT;

	if (proc_run(argv, &e) < 0)
		fail_msg("%s", e.message);
	assert_int_equal(path_read_file(AT_FDCWD, key, &b, &e), 0);
	AUTO(buf) c = BUF_INIT(65536);

	assert_int_equal(path_read_file(AT_FDCWD, cert, &c, &e), 0);
	buf_add(&b, c.data, c.len);
	put_file(AT_FDCWD, both, b.data);
	snprintf(f->ca_path, sizeof(f->ca_path), "%s", cert);
}

static int group_setup(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));
	void *scratch = NULL;
	struct err e = ERR_INIT;

	proc_interrupt_fd(); /* stays open for good, so it is no leak */
	if (scratch_setup(&scratch) != 0)
		return -1;
	f->scratch = scratch;
	make_certificate(f);
	AUTO_CLOSE int root = -1;

	assert_int_equal(path_make_dir(f->scratch->fd, "root", 0755, &root, &e), 0);
	make_file(root, "small", SMALL_LEN, &f->small);
	make_file(root, "again", SMALL_LEN, &f->small); /* the server counts by name */
	make_file(root, "big", BIG_LEN, &f->big);
	AUTO_FREE char *root_path = mem_printf("%s/root", f->scratch->path);
	AUTO_FREE char *log_path = mem_printf("%s/requests", f->scratch->path);
	AUTO_FREE char *tls_path = mem_printf("%s/both.pem", f->scratch->path);

	server_start(&f->http, root_path, log_path, NULL);
	server_start(&f->https, root_path, log_path, tls_path);
	f->log_fd = memfd_create("log", MFD_CLOEXEC);
	*state = f;
	return 0;
}

static int group_teardown(void **state)
{
	struct fixture *f = *state;
	void *scratch = f->scratch;

	server_stop(&f->http);
	server_stop(&f->https);
	close(f->log_fd);
	free(f);
	return scratch_teardown(&scratch);
}

/* A fresh store and empty logs for each test. */
static int setup(void **state)
{
	struct fixture *f = *state;
	struct log_options log = {.level = LOG_DEBUG, .fd = f->log_fd};
	struct err e = ERR_INIT;
	AUTO_CLOSE int state_fd = -1;

	f->options = (struct fetch_options){
		.stall_ms = 5000, .backoff_ms = 10, .ca_file = f->ca_path};
	assert_int_equal(path_remove_tree(f->scratch->fd, "state", &e), 0);
	if (path_make_private_dir(f->scratch->fd, "state", &state_fd, &e) < 0)
		fail_msg("%s", e.message);
	assert_int_equal(store_open(state_fd, &f->store, &e), 0);
	assert_int_equal(ftruncate(f->log_fd, 0), 0);
	assert_int_equal(lseek(f->log_fd, 0, SEEK_SET), 0);
	put_file(f->scratch->fd, "requests", "");
	log_setup(&log);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	const struct log_options quiet = {.level = LOG_ERROR, .fd = STDERR_FILENO};

	log_setup(&quiet);
	store_cleanup(&f->store);
	return 0;
}

/* Helpers. */

/* URLs are given as "/fault/file" for the http server; "s:/..." for https; others as they are.
 */
static char *full_url(const struct fixture *f, const char *text)
{
	if (text[0] == '/')
		return mem_printf("http://127.0.0.1:%u%s", f->http.port, text);
	if (strncmp(text, "s:", 2) == 0)
		return mem_printf("https://localhost:%u%s", f->https.port, text + 2);
	return mem_strdup(text);
}

static int fetch_by(struct fixture *f, const struct digest *hash, int64_t size, const char *a,
		    const char *b, void (*child)(int, const struct fetcher_config *),
		    struct err *e)
{
	AUTO_FREE char *first = full_url(f, a);
	AUTO_FREE char *second = b ? full_url(f, b) : NULL;
	const char *const urls[] = {first, second};
	struct pin pin = {.urls = urls,
			  .urls_len = b ? 2 : 1,
			  .hash = *hash,
			  .size = size,
			  .pos = {"stacker.yaml", 12, 7}};

	return fetch_pins_by(&f->store, &pin, 1, &f->options, child, e);
}

static int fetch(struct fixture *f, const struct digest *hash, int64_t size, const char *a,
		 const char *b, struct err *e)
{
	return fetch_by(f, hash, size, a, b, fetcher_main, e);
}

static void expect_in_store(struct fixture *f, const struct digest *d)
{
	AUTO_CLOSE int fd = -1;
	struct err e = ERR_INIT;

	if (store_blob_open_checked(&f->store, d, &fd, NULL, &e) < 0)
		fail_msg("%s", e.message);
}

static void expect_small(struct fixture *f, const char *a, const char *b)
{
	struct err e = ERR_INIT;

	if (fetch(f, &f->small, SMALL_LEN, a, b, &e) < 0)
		fail_msg("%s: %s [%s]", a, e.message, e.id);
	expect_in_store(f, &f->small);
}

/* Fails at the pin's place and leaves nothing behind. */
static void expect_failure(struct fixture *f, const char *url, enum err_code code,
			   const char *id, const char *text)
{
	struct err e = ERR_INIT;

	if (fetch(f, &f->small, SMALL_LEN, url, NULL, &e) == 0)
		fail_msg("'%s' was fetched", url);
	if (strcmp(e.id, id) != 0 || e.code != code || !strstr(e.message, text))
		fail_msg("%s: unexpected '%s' [%s]", url, e.message, e.id);
	assert_string_equal(e.file, "stacker.yaml");
	assert_int_equal(e.line, 12);
	assert_false(store_has(&f->store, &f->small));
}

static size_t count_text(const char *text, const char *wanted)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, wanted)); p++)
		n++;
	return n;
}

/* What was asked of the servers, as JSON lines. */
static void read_requests(struct fixture *f, struct buf *b)
{
	struct err e = ERR_INIT;

	assert_int_equal(path_read_file(f->scratch->fd, "requests", b, &e), 0);
}

static size_t count_requests(struct fixture *f)
{
	AUTO(buf) b = BUF_INIT(1 << 22);

	read_requests(f, &b);
	return count_text(buf_text(&b), "\n");
}

static void expect_logged(struct fixture *f, const char *text)
{
	char log[8192] = "";

	assert_true(pread(f->log_fd, log, sizeof(log) - 1, 0) >= 0);
	if (!strstr(log, text))
		fail_msg("'%s' is not in the log:\n%s", text, log);
}

/* A good server. */

static void test_plain_and_tls(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	expect_small(f, "/ok/small", NULL);
	assert_int_equal(fetch(f, &f->big, -1, "s:/ok/big", NULL, &e), 0);
	expect_in_store(f, &f->big);
	assert_int_equal(count_requests(f), 2);
}

static void test_present_pins_start_nothing(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	expect_small(f, "/ok/small", NULL);
	/* No child that could be called. */
	assert_int_equal(fetch_by(f, &f->small, -1, "/status/404", NULL, NULL, &e), 0);
	assert_int_equal(count_requests(f), 1);
	/* The stat that finds it also knows its size. */
	assert_int_equal(fetch(f, &f->small, SMALL_LEN + 1, "/ok/small", NULL, &e), -1);
	expect_err(&e, ERR_MISMATCH, "fetch/wrong-size");
	assert_int_equal(e.line, 12);
}

static void test_truncated_blob_is_fetched_again(void **state)
{
	struct fixture *f = *state;
	char hex[DIGEST_TEXT_MAX];

	expect_small(f, "/ok/small", NULL);
	digest_format_hex(&f->small, hex);
	AUTO_FREE char *path = mem_printf("state/store/blobs/sha256/%s", hex);

	assert_int_equal(unlinkat(f->scratch->fd, path, 0), 0);
	put_file(f->scratch->fd, path, "cut");
	expect_small(f, "/ok/small", NULL);
	expect_logged(f, "fetching it again");
}

static void test_sha512_pin(void **state)
{
	struct fixture *f = *state;
	AUTO(buf) b = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	struct digest d;

	assert_int_equal(path_read_file(f->scratch->fd, "root/small", &b, &e), 0);
	digest_bytes(DIGEST_SHA512, b.data, b.len, &d);
	assert_int_equal(fetch(f, &d, -1, "/ok/small", NULL, &e), 0);
	expect_in_store(f, &d);
	expect_in_store(f, &f->small);
}

static void test_body_framings(void **state)
{
	struct fixture *f = *state;
	static const char *const urls[] = {"/unsized/small", "/chunked/small", "/slow/small",
					   "/names/small"};

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct err e = ERR_INIT;

		expect_small(f, urls[i], NULL);
		assert_int_equal(store_blob_discard(&f->store, &f->small, &e), 0);
	}
}

static void count_progress(void *ctx, const struct fetch_progress *p)
{
	struct fetch_progress *last = ctx;

	assert_true(p->done >= last->done && p->done <= p->total);
	*last = *p;
}

static void test_many_at_once(void **state)
{
	struct fixture *f = *state;
	enum { COUNT = 40 };
	struct pin pins[COUNT];
	char *urls[COUNT];
	const char *const *url_lists[COUNT];
	AUTO_CLOSE int root =
		openat(f->scratch->fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct fetch_progress last = {0};
	struct err e = ERR_INIT;

	for (int i = 0; i < COUNT; i++) {
		char name[16];
		char text[32];

		snprintf(name, sizeof(name), "many%d", i / 2);
		snprintf(text, sizeof(text), "content %d\n", i / 2);
		put_file(root, name, text);
		urls[i] = mem_printf("http://127.0.0.1:%u/ok/%s?%d", f->http.port, name, i);
		url_lists[i] = (const char *const *)&urls[i];
		pins[i] = (struct pin){.urls = url_lists[i], .urls_len = 1, .size = -1};
		pins[i].size = i % 2 ? -1 : (int64_t)strlen(text);
		digest_bytes(DIGEST_SHA256, text, strlen(text), &pins[i].hash);
	}
	f->options.progress = count_progress;
	f->options.ctx = &last;
	if (fetch_pins(&f->store, pins, COUNT, &f->options, &e) < 0)
		fail_msg("%s", e.message);
	for (int i = 0; i < COUNT; i++) {
		expect_in_store(f, &pins[i].hash);
		free(urls[i]);
	}
	/* Every hash was wanted twice and fetched once. */
	assert_int_equal(count_requests(f), COUNT / 2);
	assert_int_equal(last.done, COUNT / 2);
	assert_int_equal(last.total, COUNT / 2);
	assert_true(last.bytes > 0 && last.bytes == last.bytes_expected);
}

/* Without a hash. */

static int look_up(struct fixture *f, const char *a, const char *b, struct fetch_found *ret,
		   struct err *e)
{
	AUTO_FREE char *first = full_url(f, a);
	AUTO_FREE char *second = b ? full_url(f, b) : NULL;
	const char *const urls[] = {first, second};
	const struct pin pin = {.urls = urls,
				.urls_len = b ? 2 : 1,
				.size = -1,
				.pos = {"stacker.yaml", 12, 7}};

	return fetch_unpinned(&f->store, &pin, 1, &f->options, ret, e);
}

static void expect_found(struct fixture *f, const char *a, const char *b)
{
	struct fetch_found found = {0};
	struct err e = ERR_INIT;

	if (look_up(f, a, b, &found, &e) < 0)
		fail_msg("%s", e.message);
	assert_true(digest_eq(&found.hash, &f->small));
	assert_int_equal(found.len, SMALL_LEN);
	expect_in_store(f, &f->small);
}

static void expect_not_found(struct fixture *f, const char *a, const char *b, const char *id,
			     const char *part)
{
	struct fetch_found found = {0};
	struct err e = ERR_INIT;

	assert_int_equal(look_up(f, a, b, &found, &e), -1);
	expect_err(&e, ERR_INPUT, id);
	if (!strstr(e.message, part))
		fail_msg("'%s' is not in '%s'", part, e.message);
	assert_int_equal(e.line, 12);
	assert_int_equal(found.hash.alg, DIGEST_NONE);
}

static void test_unpinned(void **state)
{
	struct fixture *f = *state;

	expect_found(f, "/ok/small", NULL);
	/* What the store has by now does not answer for what the server has. */
	expect_found(f, "/ok/small", NULL);
	assert_int_equal(count_requests(f), 2);
	expect_found(f, "/status/404/small", "/ok/small");
	/* The second attempt begins at the beginning. */
	expect_found(f, "/flaky/again", NULL);
}

static void test_unpinned_faults(void **state)
{
	struct fixture *f = *state;

	expect_not_found(f, "/status/404/small", NULL, "fetch/http-status", "404");
	expect_not_found(f, "/status/404/small", "/status/410/small", "fetch/http-status",
			 "from any of 2 URLs");
	expect_not_found(f, "/unsized/small", NULL, "fetch/bad-response", "may be cut");
}

/* Wrong bytes. */

static void test_wrong_bytes(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	expect_failure(f, "/wrong/small", ERR_MISMATCH, "fetch/wrong-hash",
		       "wrong bytes (sha256:");
	expect_failure(f, "/short/small", ERR_MISMATCH, "fetch/wrong-size", "announces 19999");
	expect_failure(f, "/unsized-long/small", ERR_MISMATCH, "fetch/wrong-size",
		       "more than 20000");
	expect_failure(f, "/empty/small", ERR_MISMATCH, "fetch/wrong-size",
		       "announces 0 bytes");
	/* None of these gets better by asking again. */
	assert_int_equal(count_requests(f), 4);
	assert_int_equal(fetch(f, &f->small, -1, "/html/small", NULL, &e), -1);
	expect_err(&e, ERR_MISMATCH, "fetch/wrong-hash");
	assert_true(strlen(e.hint) > 0);
	assert_int_equal(fetch(f, &f->small, -1, "/empty/small", NULL, &e), -1);
	expect_err(&e, ERR_MISMATCH, "fetch/wrong-hash");
	expect_failure(f, "/gzip/small", ERR_INPUT, "fetch/bad-response", "encoded");
	expect_failure(f, "/endless/small", ERR_MISMATCH, "fetch/wrong-size",
		       "more than 20000");
}

static void test_next_url_after_wrong_bytes(void **state)
{
	struct fixture *f = *state;

	expect_small(f, "/wrong/small", "/ok/small");
	expect_logged(f, "wrong bytes");
	expect_logged(f, "/wrong/small");
	assert_int_equal(count_requests(f), 2);
}

static void test_all_urls_are_named(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	assert_int_equal(fetch(f, &f->small, -1, "/status/404", "/wrong/small", &e), -1);
	expect_err(&e, ERR_MISMATCH, "fetch/wrong-hash");
	assert_non_null(
		strstr(e.message, "/status/404': the server answers with status 404; "));
	assert_non_null(strstr(e.message, "/wrong/small': the server sent wrong bytes"));
	assert_int_equal(fetch(f, &f->small, -1, "/status/403", "/loop", &e), -1);
	expect_err(&e, ERR_INPUT, "fetch/http-status");
}

/* Interruptions. */

static void test_resume(void **state)
{
	struct fixture *f = *state;
	AUTO(buf) b = BUF_INIT(65536);

	expect_small(f, "/flaky/small", NULL);
	read_requests(f, &b);
	assert_non_null(strstr(buf_text(&b), "\"range\": \"bytes=10000-\""));
	assert_int_equal(count_text(buf_text(&b), "\n"), 2);
	expect_logged(f, "trying again");
}

static void test_resume_names_the_version(void **state)
{
	struct fixture *f = *state;
	AUTO(buf) b = BUF_INIT(65536);

	expect_small(f, "/flaky-etag/small", NULL);
	read_requests(f, &b);
	assert_non_null(strstr(buf_text(&b), "\"if-range\": \"\\\"one\\\"\""));
	assert_int_equal(count_text(buf_text(&b), "\n"), 2);
}

/* However the server answers the request for the rest, what arrives is right (SEC DL13). */
static void test_resume_gone_wrong(void **state)
{
	static const struct {
		const char *url;
		size_t requests;
	} cases[] = {
		{"/flaky-norange/small", 2},	   {"/flaky-badrange/small", 3},
		{"/flaky-liar/small", 3},	   {"/flaky-changed/small", 3},
		{"/flaky-unsatisfiable/small", 3},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = ERR_INIT;
		size_t before = count_requests(f);

		expect_small(f, cases[i].url, NULL);
		assert_int_equal(count_requests(f) - before, cases[i].requests);
		assert_int_equal(store_blob_discard(&f->store, &f->small, &e), 0);
	}
	expect_failure(f, "/uninvited-part/small", ERR_INPUT, "fetch/bad-response", "206");
}

static void test_retries(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	expect_small(f, "/fail/3/small", NULL);
	assert_int_equal(count_requests(f), LIMIT_DOWNLOAD_ATTEMPTS);
	assert_int_equal(store_blob_discard(&f->store, &f->small, &e), 0);
	expect_failure(f, "/fail/4/small", ERR_INPUT, "fetch/http-status", "status 500");
	assert_int_equal(count_requests(f), 2 * LIMIT_DOWNLOAD_ATTEMPTS);
	expect_failure(f, "/truncated/small", ERR_INPUT, "fetch/network", "ended after 10000");
	assert_int_equal(count_requests(f), 3 * LIMIT_DOWNLOAD_ATTEMPTS);
	expect_failure(f, "/reset/small", ERR_INPUT, "fetch/network", "");
	assert_int_equal(count_requests(f), 4 * LIMIT_DOWNLOAD_ATTEMPTS);
	expect_failure(f, "http://127.0.0.1:1/x", ERR_INPUT, "fetch/network", "127.0.0.1:1/x");
	expect_failure(f, "http://no-such-host.invalid/x", ERR_INPUT, "fetch/network",
		       "no-such-host.invalid");
	/* What the server refuses it refuses again. */
	expect_failure(f, "/status/404/small", ERR_INPUT, "fetch/http-status", "404");
	expect_failure(f, "/status/204/small", ERR_INPUT, "fetch/http-status", "204");
	expect_failure(f, "/status/304/small", ERR_INPUT, "fetch/http-status", "304");
	assert_int_equal(count_requests(f), 4 * LIMIT_DOWNLOAD_ATTEMPTS + 3);
	expect_failure(f, "/status/408/small", ERR_INPUT, "fetch/http-status", "408");
	assert_int_equal(count_requests(f), 5 * LIMIT_DOWNLOAD_ATTEMPTS + 3);
}

static void test_back_off(void **state)
{
	struct fixture *f = *state;
	uint64_t start_ms = clock_monotonic_ms();
	struct err e = ERR_INIT;

	f->options.backoff_ms = 100; /* 100 + 200 + 400 */
	expect_small(f, "/fail/3/small?slowly", NULL);
	assert_true(clock_monotonic_ms() - start_ms >= 700);
	assert_int_equal(store_blob_discard(&f->store, &f->small, &e), 0);
	f->options.backoff_ms = 1;
	start_ms = clock_monotonic_ms();
	expect_small(f, "/retry-after/1/small", NULL);
	assert_true(clock_monotonic_ms() - start_ms >= 1000);
}

static void test_stalls(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	uint64_t start_ms = clock_monotonic_ms();

	f->options.stall_ms = 150;
	expect_failure(f, "/stall/small", ERR_INPUT, "fetch/stalled", "150 ms");
	expect_failure(f, "/mute", ERR_INPUT, "fetch/stalled", "150 ms");
	/* Fifty bytes per second are no download. */
	expect_failure(f, "/drip/small", ERR_INPUT, "fetch/stalled", "150 ms");
	assert_true(clock_monotonic_ms() - start_ms < 30000);
	f->options.stall_ms = 1000;
	expect_small(f, "/stall-once/small", NULL);
	assert_int_equal(store_blob_discard(&f->store, &f->small, &e), 0);
	/* Too long in all; the wait for another attempt counts as well. */
	f->options.total_ms = 600;
	expect_failure(f, "/drip/small", ERR_INPUT, "fetch/stalled", "not finished within");
	f->options.backoff_ms = 60000;
	expect_failure(f, "/status/500/small", ERR_INPUT, "fetch/stalled",
		       "not finished within");
	f->options.backoff_ms = 10;
	f->options.total_ms = 0;
	/* Slow, longer than the stall window in all, but moving. */
	assert_int_equal(fetch(f, &f->big, BIG_LEN, "/slow/big", NULL, &e), 0);
}

/* Redirects. */

static char *redirect_to(const struct fixture *f, const char *from, const char *target)
{
	AUTO_FREE char *url = full_url(f, target);

	return mem_printf("%s?%s", from, url);
}

static void test_redirects(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	AUTO_FREE char *up = redirect_to(f, "/to/x", "s:/ok/small");
	AUTO_FREE char *down = redirect_to(f, "s:/to/x", "/ok/small");
	char text[32];

	snprintf(text, sizeof(text), "/redirect/%d/small", LIMIT_REDIRECTS);
	expect_small(f, text, NULL);
	assert_int_equal(store_blob_discard(&f->store, &f->small, &e), 0);
	snprintf(text, sizeof(text), "/redirect/%d/small", LIMIT_REDIRECTS + 1);
	expect_failure(f, text, ERR_INPUT, "fetch/redirect", "more than 5 times");
	expect_failure(f, "/loop/small", ERR_INPUT, "fetch/redirect", "more than 5 times");
	expect_small(f, up, NULL);
	assert_int_equal(store_blob_discard(&f->store, &f->small, &e), 0);
	expect_failure(f, down, ERR_INPUT, "fetch/redirect", "from https to http");
	expect_failure(f, "/to/x?file:///etc/passwd", ERR_INPUT, "fetch/redirect", "'file:'");
	expect_failure(f, "/to/x?ftp://127.0.0.1/x", ERR_INPUT, "fetch/redirect", "'ftp:'");
	expect_failure(f, "/to/x?http://u:secret@127.0.0.1/", ERR_INPUT, "fetch/redirect",
		       "no URL");
	expect_failure(f, "/nowhere", ERR_INPUT, "fetch/redirect", "nowhere");
}

/* "x.localhost" is loopback for libcurl, but no pin that names loopback. */
static void test_redirect_into_the_machine(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *origin = mem_printf("http://far.localhost:%u", f->http.port);
	AUTO_FREE char *direct = mem_printf("%s/ok/small", origin);
	AUTO_FREE char *inward =
		mem_printf("%s/to/x?http://127.0.0.1:%u/ok/small", origin, f->http.port);
	AUTO_FREE char *odd =
		mem_printf("%s/to/x?http://0x7f.1:%u/ok/small", origin, f->http.port);
	AUTO_FREE char *same = mem_printf("%s/redirect/1/small", origin);
	struct err e = ERR_INIT;

	expect_small(f, direct, NULL);
	assert_int_equal(store_blob_discard(&f->store, &f->small, &e), 0);
	expect_failure(f, inward, ERR_INPUT, "fetch/redirect", "address of this machine");
	expect_failure(f, odd, ERR_INPUT, "fetch/redirect", "address of this machine");
	/* Here the connection is already there and no new socket is made. */
	expect_failure(f, same, ERR_INPUT, "fetch/redirect", "address of this machine");
	assert_int_equal(count_requests(f), 1 + 3);
}

static void test_internal_addresses(void **state)
{
	static const struct {
		const char *text;
		bool internal;
	} cases[] = {
		{"127.0.0.1", true},
		{"127.255.0.9", true},
		{"0.0.0.0", true},
		{"169.254.1.1", true},
		{"128.0.0.1", false},
		{"169.253.1.1", false},
		{"::1", true},
		{"::", true},
		{"fe80::1", true},
		{"febf::1", true},
		{"::ffff:127.0.0.1", true},
		{"::127.0.0.1", true},
		{"::ffff:8.8.8.8", false},
		{"2001:db8::1", false},
		{"fec0::1", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sockaddr_in v4 = {.sin_family = AF_INET};
		struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
		const void *address = &v6;

		if (inet_pton(AF_INET, cases[i].text, &v4.sin_addr) == 1)
			address = &v4;
		else
			assert_int_equal(inet_pton(AF_INET6, cases[i].text, &v6.sin6_addr), 1);
		if (transfer_address_is_internal(address) != cases[i].internal)
			fail_msg("%s", cases[i].text);
	}
}

/* Hostile headers, TLS, environment. */

static void test_headers(void **state)
{
	struct fixture *f = *state;

	expect_failure(f, "/bigheader/300000/small", ERR_INPUT, "fetch/bad-response",
		       "longer than 262144");
	expect_small(f, "/bigheader/90000/small", NULL);
}

static void test_tls_is_verified(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *by_address = mem_printf("https://127.0.0.1:%u/ok/small", f->https.port);
	AUTO_FREE char *to_plain = mem_printf("https://localhost:%u/ok/small", f->http.port);
	struct err e = ERR_INIT;

	expect_failure(f, by_address, ERR_INPUT, "fetch/tls", "127.0.0.1"); /* not its name */
	f->options.ca_file = NULL;
	expect_failure(f, "s:/ok/small", ERR_INPUT, "fetch/tls", "");
	assert_int_equal(count_requests(f), 0);
	f->options.ca_file = f->ca_path;
	expect_failure(f, to_plain, ERR_INPUT, "fetch/tls", "speaks plain http");
	f->options.ca_file = "/nonexistent.pem";
	assert_int_equal(fetch(f, &f->small, -1, "s:/ok/small", NULL, &e), -1);
	expect_err(&e, ERR_SANDBOX, "fetch/fetcher-broken");
	assert_non_null(strstr(e.message, "/nonexistent.pem"));
}

static void test_environment_is_ignored(void **state)
{
	struct fixture *f = *state;
	AUTO(buf) b = BUF_INIT(65536);
	AUTO_FREE char *netrc = mem_printf("%s/.netrc", f->scratch->path);

	put_file(AT_FDCWD, netrc, "machine 127.0.0.1 login me password secret\n");
	assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
	assert_int_equal(setenv("ALL_PROXY", "socks5://127.0.0.1:1", 1), 0);
	assert_int_equal(setenv("HOME", f->scratch->path, 1), 0);
	expect_small(f, "/names/small", NULL);
	assert_int_equal(unsetenv("http_proxy"), 0);
	assert_int_equal(unsetenv("ALL_PROXY"), 0);
	read_requests(f, &b);
	assert_null(strstr(buf_text(&b), "authorization"));
	assert_null(strstr(buf_text(&b), "cookie"));
	assert_null(strstr(buf_text(&b), "accept-encoding"));
}

/* Pins that cannot be fetched. */

static void test_bad_pins(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *good = full_url(f, "/ok/small");
	const char *const urls[] = {good};
	struct pin pins[] = {
		{.urls = urls, .urls_len = 1, .hash = f->small, .size = 1},
		{.urls = urls,
		 .urls_len = 1,
		 .hash = f->small,
		 .size = 2,
		 .pos = {"stacker.yaml", 3, 1}},
	};
	struct err e = ERR_INIT;

	expect_failure(f, "ftp://h/x", ERR_INPUT, "url/scheme", "ftp://h/x");
	expect_failure(f, "http://me:secret@h/x", ERR_INPUT, "url/user-info", "");
	assert_int_equal(fetch_pins(&f->store, pins, 2, &f->options, &e), -1);
	expect_err(&e, ERR_MISMATCH, "fetch/wrong-size");
	assert_int_equal(e.line, 3);
	pins[0].urls_len = 0;
	assert_int_equal(fetch_pins(&f->store, pins, 1, &f->options, &e), -1);
	expect_err(&e, ERR_INPUT, "fetch/no-url");
	assert_int_equal(fetch_pins(&f->store, NULL, 0, &f->options, &e), 0);
	assert_int_equal(count_requests(f), 0);
}

/* The supervisor and fetchers that are not what they should be. */

static int refuse_confine(void *ctx, struct err *e)
{
	(void)ctx;
	err_set(e, ERR_SANDBOX, "sandbox/x", "no such luck");
	return err_hint(e, "buy a newer kernel");
}

static int check_confine(void *ctx, struct err *e)
{
	/* stdio, the socket, and what libcurl made; nothing of the supervisor's. */
	const int *forbidden = ctx;

	if (fcntl(*forbidden, F_GETFD) >= 0)
		return err_set(e, ERR_SANDBOX, "sandbox/x", "the store is still open");
	return 0;
}

static void test_confinement(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	int high_fd = fcntl(f->store.blobs_fd, F_DUPFD_CLOEXEC, 100);

	f->options.confine = check_confine;
	f->options.confine_ctx = &high_fd;
	expect_small(f, "/ok/small", NULL);
	close(high_fd);
	f->options.confine = refuse_confine;
	assert_int_equal(fetch(f, &f->big, -1, "/ok/big", NULL, &e), -1);
	expect_err(&e, ERR_SANDBOX, "fetch/fetcher-broken");
	assert_non_null(strstr(e.message, "no such luck"));
	assert_string_equal(e.hint, "buy a newer kernel");
}

static int take_job(int sock, uint32_t *ret_job)
{
	struct fetch_request r;
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {&r, sizeof(r)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	int fd;

	if (recvmsg(sock, &msg, 0) != (ssize_t)sizeof(r) || !CMSG_FIRSTHDR(&msg))
		_exit(9);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	*ret_job = r.job;
	return fd;
}

static void tell(int sock, const struct fetch_message *m)
{
	if (send(sock, m, sizeof(*m), MSG_NOSIGNAL) < 0)
		_exit(8);
}

static void child_lies_about_bytes(int sock, const struct fetcher_config *config)
{
	struct fetch_message m = {.kind = FETCH_SAYS_DONE};
	int fd = take_job(sock, &m.job);

	(void)config;
	if (write(fd, "evil", 4) != 4)
		_exit(7);
	close(fd);
	tell(sock, &m);
	pause();
}

/* Delivers the right bytes and changes them later, through an fd or a mapping it kept. */
static void child_keeps_the_file(int sock, const struct fetcher_config *config)
{
	struct fetch_message m = {.kind = FETCH_SAYS_DONE};
	int fd = take_job(sock, &m.job);
	int source = openat(AT_FDCWD, config->options->ctx, O_RDONLY);
	char *map;

	if (source < 0 || ftruncate(fd, SMALL_LEN) < 0)
		_exit(7);
	map = mmap(NULL, SMALL_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED || read(source, map, SMALL_LEN) != SMALL_LEN)
		_exit(6);
	close(fd);
	tell(sock, &m);
	for (;;) {
		map[0] ^= 1;
		usleep(100);
	}
}

static void child_sends_half_a_message(int sock, const struct fetcher_config *config)
{
	struct fetch_message m = {.kind = FETCH_SAYS_DONE};

	(void)config;
	take_job(sock, &m.job);
	if (send(sock, &m, sizeof(m) / 2, 0) < 0)
		_exit(8);
	pause();
}

static void child_names_no_job(int sock, const struct fetcher_config *config)
{
	struct fetch_message m = {.kind = FETCH_SAYS_DONE, .job = 7};
	uint32_t job;

	(void)config;
	take_job(sock, &job);
	tell(sock, &m);
	pause();
}

static void child_says_nonsense(int sock, const struct fetcher_config *config)
{
	struct fetch_message m = {.kind = 99};

	(void)config;
	take_job(sock, &m.job);
	tell(sock, &m);
	pause();
}

static void child_fails_strangely(int sock, const struct fetcher_config *config)
{
	struct fetch_message m = {.kind = FETCH_SAYS_FAILED, .cause = 12345};

	(void)config;
	take_job(sock, &m.job);
	memset(m.text, '\x1b', sizeof(m.text)); /* no NUL, and for the terminal */
	tell(sock, &m);
	pause();
}

static void child_talks_too_much(int sock, const struct fetcher_config *config)
{
	struct fetch_message m = {.kind = FETCH_SAYS_WARNING, .text = "listen"};

	(void)config;
	take_job(sock, &m.job);
	for (;;)
		tell(sock, &m);
}

static void child_dies(int sock, const struct fetcher_config *config)
{
	uint32_t job;

	(void)config;
	take_job(sock, &job);
	raise(SIGKILL);
}

static void test_lying_fetchers(void **state)
{
	static const struct {
		void (*child)(int, const struct fetcher_config *);
		const char *id;
	} cases[] = {
		{child_lies_about_bytes, "fetch/wrong-hash"},
		{child_sends_half_a_message, "fetch/fetcher-confused"},
		{child_names_no_job, "fetch/fetcher-confused"},
		{child_says_nonsense, "fetch/fetcher-confused"},
		{child_fails_strangely, "fetch/bad-response"},
		{child_talks_too_much, "fetch/fetcher-confused"},
		{child_dies, "fetch/fetcher-died"},
	};
	struct fixture *f = *state;
	const struct log_options quiet = {.level = LOG_ERROR, .fd = f->log_fd};

	log_setup(&quiet);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = ERR_INIT;

		assert_int_equal(fetch_by(f, &f->small, SMALL_LEN, "/ok/small", NULL,
					  cases[i].child, &e),
				 -1);
		assert_string_equal(e.id, cases[i].id);
		assert_null(strchr(e.message, '\x1b'));
		assert_false(store_has(&f->store, &f->small));
	}
}

static void test_fetcher_cannot_change_a_blob_later(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *source = mem_printf("%s/root/small", f->scratch->path);

	f->options.ctx = source;
	for (int i = 0; i < 20; i++) {
		struct err e = ERR_INIT;

		/* Caught in the act or in time: what matters is what is in the store. */
		if (fetch_by(f, &f->small, SMALL_LEN, "/ok/small", NULL, child_keeps_the_file,
			     &e) == 0)
			expect_in_store(f, &f->small);
		else
			assert_string_equal(e.id, "fetch/wrong-hash");
		assert_int_equal(store_blob_discard(&f->store, &f->small, &e), 0);
	}
}

static void test_interruption(void **state)
{
	struct fixture *f = *state;
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		struct err e = ERR_INIT;

		proc_interrupt_fd();
		f->options.stall_ms = 60000;
		if (fetch(f, &f->small, -1, "/mute", NULL, &e) < 0 && e.code == ERR_INTERRUPTED)
			_exit(42);
		_exit(1);
	}
	for (int i = 0; i < 500 && count_requests(f) == 0; i++)
		usleep(10000);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

#define fetch_test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		fetch_test(test_plain_and_tls),
		fetch_test(test_present_pins_start_nothing),
		fetch_test(test_truncated_blob_is_fetched_again),
		fetch_test(test_sha512_pin),
		fetch_test(test_body_framings),
		fetch_test(test_many_at_once),
		fetch_test(test_unpinned),
		fetch_test(test_unpinned_faults),
		fetch_test(test_wrong_bytes),
		fetch_test(test_next_url_after_wrong_bytes),
		fetch_test(test_all_urls_are_named),
		fetch_test(test_resume),
		fetch_test(test_resume_names_the_version),
		fetch_test(test_resume_gone_wrong),
		fetch_test(test_retries),
		fetch_test(test_back_off),
		fetch_test(test_stalls),
		fetch_test(test_redirects),
		fetch_test(test_redirect_into_the_machine),
		fetch_test(test_internal_addresses),
		fetch_test(test_headers),
		fetch_test(test_tls_is_verified),
		fetch_test(test_environment_is_ignored),
		fetch_test(test_bad_pins),
		fetch_test(test_confinement),
		fetch_test(test_lying_fetchers),
		fetch_test(test_fetcher_cannot_change_a_blob_later),
		fetch_test(test_interruption),
	};

	return cmocka_run_group_tests_name("inputs/fetch", tests, group_setup, group_teardown);
}
