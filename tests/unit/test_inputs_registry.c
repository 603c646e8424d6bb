/*
 * The registry client against a registry with every fault we know of. Whatever is switched on,
 * either the result is right or there is an error with the right id, and the second origin never
 * sees a credential (SEC DL01-DL15).
 */
#include "registry_server.h"

#include "inputs/registry.h"
#include "inputs/registry_internal.h"
#include "util/json_read.h"
#include "util/log.h"
#include "util/proc.h"
#include "util/str.h"

#define SECRETS "user:secret", "dXNlcjpzZWNyZXQ=", "refresh-me", "Bearer", "Basic"

struct fixture {
	struct scratch *scratch;
	struct fake_registry fake;
	struct store store;
	struct registry *registry;
	struct registry_options options;
	char *auth_line;
	const char *environment[2];
	bool has_log;
};

/* What a push asks first. */
static int ask_for_blob(struct registry *r, const struct registry_descriptor *blob,
			bool *ret_found, struct err *e)
{
	struct registry_call call = {.request = {.op = REGISTRY_HAS_BLOB}, .fd = -1};

	digest_format(&blob->digest, call.request.ref);
	if (registry_call_make(r, &call, e) < 0)
		return -1;
	*ret_found = call.answer.facts & REGISTRY_FOUND;
	return 0;
}

static void write_auth(struct fixture *f, const char *auth)
{
	AUTO_FREE char *path = mem_printf("%s/auth.json", f->scratch->path);
	bool refresh = str_same(auth, "refresh");
	AUTO_FREE char *text = mem_printf("{\"auths\":{\"127.0.0.1:%u\":{\"%s\":\"%s\"}}}",
					  f->fake.port, refresh ? "identitytoken" : "auth",
					  refresh ? "refresh-me" : "dXNlcjpzZWNyZXQ=");

	put_file(f->scratch->fd, "auth.json", text);
	f->auth_line = mem_printf("REGISTRY_AUTH_FILE=%s", path);
	f->environment[0] = f->auth_line;
}

static struct registry *open_repository(struct fixture *f, const char *repository)
{
	AUTO_FREE char *name = mem_printf("127.0.0.1:%u/%s", f->fake.port, repository);
	AUTO(reference) where = {0};
	struct registry *r = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(reference_parse(name, &where, &e), 0);
	if (registry_open(&where, &f->options, &r, &e) < 0)
		fail_msg("%s", e.message);
	return r;
}

static void start(struct fixture *f, struct scratch *s, const char *auth, const char *switches)
{
	struct err e = ERR_INIT;

	f->scratch = s;
	f->store = (struct store)STORE_INIT;
	fake_start(&f->fake, s->path, auth, switches);
	f->options.insecure = true;
	f->options.stall_ms = 300;
	f->options.backoff_ms = 10;
	f->options.wait_max_s = 8;
	if (!f->options.parallel)
		f->options.parallel = 4;
	if (!str_same(auth, "none")) {
		write_auth(f, auth);
		f->options.environment = f->environment;
	}
	assert_int_equal(store_open(s->fd, &f->store, &e), 0);
	f->registry = open_repository(f, "a/b");
}

/* Nothing that is secret, nor any Authorization at all, was sent to the second origin. */
static void expect_no_leak(struct fixture *f)
{
	static const char *const secrets[] = {SECRETS, "Authorization"};
	AUTO(buf) text = BUF_INIT(4 << 20);
	struct err e = ERR_INIT;

	assert_int_equal(path_read_file(AT_FDCWD, f->fake.log, &text, &e), 0);
	for (const char *line = buf_text(&text); *line;) {
		size_t len = strcspn(line, "\n");
		AUTO_FREE char *copy = mem_strndup(line, len);

		for (size_t i = 0;
		     strstr(copy, "\"origin\": \"other\"") && i < ARRAY_LEN(secrets); i++)
			if (strstr(copy, secrets[i]))
				fail_msg("'%s' went to the second origin: %s", secrets[i],
					 copy);
		line += len + (line[len] == '\n');
	}
}

static size_t count_lines(struct fixture *f, const char *part)
{
	AUTO(buf) text = BUF_INIT(4 << 20);
	struct err e = ERR_INIT;
	size_t n = 0;

	assert_int_equal(path_read_file(AT_FDCWD, f->fake.log, &text, &e), 0);
	for (const char *p = buf_text(&text); (p = strstr(p, part)); p++)
		n++;
	return n;
}

static void finish(struct fixture *f)
{
	registry_close(f->registry);
	expect_no_leak(f);
	store_cleanup(&f->store);
	fake_stop(&f->fake);
	free(f->auth_line);
}

/* The blobs of the image for amd64; what they are is known from its manifest. */
struct image {
	struct registry_document manifest;
	struct json_doc json;
	struct registry_descriptor blobs[4]; /* texts are the document's */
};

static void image_cleanup(struct image *x)
{
	registry_document_cleanup(&x->manifest);
	json_doc_cleanup(&x->json);
}

static void describe(const json_t *value, struct registry_descriptor *ret)
{
	struct err e = ERR_INIT;
	const char *text = json_string_value(json_object_get(value, "digest"));

	ret->media_type = json_string_value(json_object_get(value, "mediaType"));
	ret->size = (uint64_t)json_integer_value(json_object_get(value, "size"));
	assert_int_equal(digest_parse(text, &ret->digest, &e), 0);
}

static int get_image(struct fixture *f, struct image *ret, struct err *e)
{
	*ret = (struct image){.manifest = REGISTRY_DOCUMENT_INIT};
	if (registry_get_manifest(f->registry, "amd64", &ret->manifest, NULL, e) < 0)
		return -1;
	assert_int_equal(json_read(buf_text(&ret->manifest.text), ret->manifest.text.len,
				   LIMIT_MANIFEST_BYTES, "manifest", &ret->json, e),
			 0);
	const json_t *layers = json_object_get(ret->json.root, "layers");

	describe(json_object_get(ret->json.root, "config"), &ret->blobs[0]);
	for (size_t i = 0; i < 3; i++)
		describe(json_array_get(layers, i), &ret->blobs[i + 1]);
	return 0;
}

static int pull(struct fixture *f, struct err *e)
{
	AUTO(image) image = {0};

	if (get_image(f, &image, e) < 0)
		return -1;
	if (registry_fetch_blobs(f->registry, image.blobs, 4, &f->store, e) < 0)
		return -1;
	for (size_t i = 0; i < 4; i++) {
		AUTO_CLOSE int fd = -1;
		struct err damage = ERR_INIT;

		if (store_blob_open_checked(&f->store, &image.blobs[i].digest, &fd, NULL,
					    &damage) < 0)
			fail_msg("%s", damage.message);
	}
	return 0;
}

static void expect_result(int result, const struct err *e, const char *id, const char *what)
{
	if (result == 0 && id)
		fail_msg("%s: succeeded, expected %s", what, id);
	if (result < 0 && (!id || !str_same(e->id, id)))
		fail_msg("%s: %s [%s], expected %s", what, e->message, e->id,
			 id ? id : "success");
}

struct wanted {
	const char *auth, *switches;
	const char *id; /* NULL: success */
};

static void expect_pull(struct scratch *s, const struct wanted *w)
{
	struct fixture f = {0};
	struct err e = ERR_INIT;

	start(&f, s, w->auth, w->switches);
	expect_result(pull(&f, &e), &e, w->id, w->switches);
	finish(&f);
	unlinkat(s->fd, "log", 0);
	assert_int_equal(path_remove_tree(s->fd, "store", &e), 0);
}

static void expect_pulls(void **state, const struct wanted *list, size_t len)
{
	for (size_t i = 0; i < len; i++)
		expect_pull(*state, &list[i]);
}

static void test_pulls_through_faults(void **state)
{
	static const struct wanted list[] = {
		{"none", "", NULL},
		{"none", "wrong-header", NULL},
		{"none", "cut", NULL},
		{"none", "cut no-length", NULL},
		{"none", "cut range-416", NULL},
		{"none", "cut range-ignored", NULL},
		{"none", "cut range-wrong", NULL},
		{"none", "busy", NULL},
		{"none", "down", NULL},
		{"none", "redirect", NULL},
		{"none", "redirect cut", NULL},
	};

	expect_pulls(state, list, ARRAY_LEN(list));
}

static void test_faults_that_are_no_image(void **state)
{
	static const struct wanted list[] = {
		{"none", "cut-always range-ignored", "registry/network"},
		{"none", "slow", "registry/stalled"},
		{"none", "wrong-bytes", "registry/wrong-hash"},
		{"none", "long-blob", "registry/wrong-size"},
		{"none", "type-lie", "registry/media-type"},
		{"none", "schema1", "registry/media-type"},
		{"none", "html", "json/syntax"},
		{"none", "big-manifest", "registry/wrong-size"},
		{"none", "busy-long", "registry/busy"},
		{"none", "down-always", "registry/busy"},
		{"none", "redirect-loop", "registry/redirect"},
		{"none", "redirect-ftp", "registry/redirect"},
		{"none", "denied", "registry/denied"},
	};

	expect_pulls(state, list, ARRAY_LEN(list));
}

static void test_logins(void **state)
{
	static const struct wanted list[] = {
		{"basic", "", NULL},
		{"basic", "redirect", NULL},
		{"bearer", "", NULL},
		{"bearer", "redirect", NULL},
		{"refresh", "", NULL},
		/* No password to a token service elsewhere; as nobody it gives nothing. */
		{"bearer", "token-elsewhere", "registry/token-host"},
		{"refresh", "token-elsewhere", "registry/token-host"},
		{"bearer", "token-redirect", "registry/redirect"},
		{"bearer", "token-bad", "registry/token"},
		{"bearer", "token-html", "registry/token"},
	};

	expect_pulls(state, list, ARRAY_LEN(list));
}

static void test_a_named_token_host_gets_the_password(void **state)
{
	static const char *const hosts[] = {"127.0.0.2", NULL};
	struct fixture f = {.options.token_hosts = hosts};
	struct err e = ERR_INIT;

	start(&f, *state, "bearer", "token-elsewhere");
	expect_result(pull(&f, &e), &e, NULL, "named token host");
	registry_close(f.registry);
	assert_true(count_lines(&f, "\"origin\": \"other\"") > 0);
	store_cleanup(&f.store);
	fake_stop(&f.fake);
	free(f.auth_line);
}

static void test_without_or_with_wrong_credentials(void **state)
{
	static const char *const auths[] = {"basic", "bearer", "refresh"};
	struct scratch *s = *state;

	for (size_t i = 0; i < ARRAY_LEN(auths); i++) {
		struct fixture f = {0};
		struct err e = ERR_INIT;

		start(&f, s, auths[i], "");
		f.environment[0] = "HOME=/nowhere";
		registry_close(f.registry);
		f.registry = open_repository(&f, "a/b");
		expect_result(pull(&f, &e), &e, "registry/denied", "no login");
		/* A wrong password is sent once, not over and over. */
		put_file(s->fd, "auth.json",
			 "{\"auths\":{\"127.0.0.1\":{},\"x\":{\"auth\":\"dTpw\"}}}");
		finish(&f);
		unlinkat(s->fd, "log", 0);
	}
}

static void test_absent_things(void **state)
{
	struct fixture f = {0};
	struct err e = ERR_INIT;
	AUTO(registry_document) d = REGISTRY_DOCUMENT_INIT;
	AUTO(strvec) tags = {0};
	bool found = true;
	struct registry_descriptor blob = {.media_type = "x", .size = 3};

	digest_bytes(DIGEST_SHA256, "abc", 3, &blob.digest);
	start(&f, *state, "none", "");
	assert_int_equal(registry_get_manifest(f.registry, "nope", &d, &found, &e), 0);
	assert_false(found);
	expect_result(registry_get_manifest(f.registry, "nope", &d, NULL, &e), &e,
		      "registry/absent", "manifest");
	assert_int_equal(ask_for_blob(f.registry, &blob, &found, &e), 0);
	assert_false(found);
	expect_result(registry_fetch_blobs(f.registry, &blob, 1, &f.store, &e), &e,
		      "registry/absent", "blob");
	struct registry *other = open_repository(&f, "c/d");

	expect_result(registry_list_tags(other, &tags, &e), &e, "registry/absent", "tags");
	registry_close(other);
	finish(&f);
}

static void test_tags_come_in_parts(void **state)
{
	struct scratch *s = *state;
	struct fixture f = {0};
	struct err e = ERR_INIT;
	AUTO(strvec) tags = {0};

	start(&f, s, "bearer", "");
	assert_int_equal(registry_list_tags(f.registry, &tags, &e), 0);
	/* 25, and amd64, arm64, x; what is attached to an image is not shown. */
	assert_int_equal(tags.len, 28);
	assert_string_equal(tags.items[0], "amd64");
	assert_string_equal(tags.items[27], "x");
	assert_int_equal(count_lines(&f, "tags/list"), 4); /* a 401 and three parts */
	finish(&f);
}

static void test_endless_and_foreign_lists(void **state)
{
	static const struct wanted list[] = {
		{"bearer", "link-elsewhere", "registry/bad-response"},
		{"none", "link-endless", "registry/list"}};
	struct scratch *s = *state;

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		struct fixture f = {0};
		struct err e = ERR_INIT;
		AUTO(strvec) tags = {0};

		start(&f, s, list[i].auth, list[i].switches);
		expect_result(registry_list_tags(f.registry, &tags, &e), &e, list[i].id,
			      list[i].switches);
		finish(&f);
		unlinkat(s->fd, "log", 0);
	}
}

/* Pushes. */

enum { PUSHED_BIG = 100001 };

static void make_blobs(struct fixture *f, struct registry_descriptor blobs[2])
{
	AUTO_FREE char *bytes = mem_alloc(PUSHED_BIG);
	struct err e = ERR_INIT;

	for (size_t i = 0; i < PUSHED_BIG; i++)
		bytes[i] = (char)(i * 2654435761U >> 13);
	blobs[0] = (struct registry_descriptor){.media_type = "x", .size = PUSHED_BIG};
	blobs[1] = (struct registry_descriptor){.media_type = "x", .size = 2};
	assert_int_equal(store_put(&f->store, bytes, PUSHED_BIG, &blobs[0].digest, &e), 0);
	assert_int_equal(store_put(&f->store, "{}", 2, &blobs[1].digest, &e), 0);
}

static int push(struct fixture *f, struct registry_push_report *report, struct err *e)
{
	struct registry_descriptor blobs[2];
	bool found = false;

	make_blobs(f, blobs);
	if (registry_push_blobs(f->registry, blobs, 2, &f->store, NULL, report, e) < 0)
		return -1;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(ask_for_blob(f->registry, &blobs[i], &found, e), 0);
		assert_true(found);
	}
	return 0;
}

/* One lane, or another would use up the token that this one has got. */
static void test_tokens_that_end_on_the_way(void **state)
{
	struct fixture f = {.options.parallel = 1};
	struct registry_push_report report = {0};
	struct err e = ERR_INIT;

	start(&f, *state, "bearer", "token-once");
	expect_result(pull(&f, &e), &e, NULL, "token-once");
	expect_result(push(&f, &report, &e), &e, NULL, "token-once");
	assert_true(count_lines(&f, "\"path\": \"/token?") >= 8);
	finish(&f);
}

static void test_pushes(void **state)
{
	static const struct {
		const char *auth, *switches, *id;
		uint64_t chunk;
	} list[] = {
		{"none", "", NULL, 0},
		{"basic", "", NULL, 0},
		{"bearer", "", NULL, 0},
		{"refresh", "", NULL, 0},
		{"none", "relative-location", NULL, 0},
		{"none", "single-202", NULL, 0},
		{"bearer", "upload-elsewhere", NULL, 0},
		{"none", "put-503", NULL, 0},
		{"none", "busy", NULL, 0},
		{"none", "down", NULL, 0},
		{"none", "", NULL, 9999},
		{"bearer", "relative-location", NULL, 9999},
		{"none", "patch-416", NULL, 60000},
		{"none", "patch-short", NULL, 60000},
		{"none", "chunk-min", NULL, 10},
		{"bearer", "upload-elsewhere", NULL, 30000},
		{"bearer", "redirect-post", "registry/redirect", 0},
		{"none", "down-always", "registry/busy", 0},
		{"none", "denied", "registry/denied", 0},
	};
	struct scratch *s = *state;

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		struct fixture f = {.options.chunk_bytes = list[i].chunk};
		struct registry_push_report report = {0};
		struct err e = ERR_INIT;

		start(&f, s, list[i].auth, list[i].switches);
		expect_result(push(&f, &report, &e), &e, list[i].id, list[i].switches);
		assert_int_equal(report.pushed, list[i].id ? 0 : 2);
		finish(&f);
		unlinkat(s->fd, "log", 0);
	}
}

static void test_what_is_there_is_not_pushed(void **state)
{
	struct fixture f = {0};
	struct registry_push_report first = {0}, again = {0}, mounted = {0}, refused = {0};
	struct registry_descriptor blobs[2];
	struct err e = ERR_INIT;

	start(&f, *state, "bearer", "");
	assert_int_equal(push(&f, &first, &e), 0);
	assert_int_equal(push(&f, &again, &e), 0);
	assert_int_equal(again.present, 2);
	assert_int_equal(again.bytes, 0);
	make_blobs(&f, blobs);
	struct registry *other = open_repository(&f, "c/d");

	assert_int_equal(registry_push_blobs(other, blobs, 2, &f.store, "a/b", &mounted, &e),
			 0);
	assert_int_equal(mounted.mounted, 2);
	registry_close(other);
	other = open_repository(&f, "e/f");
	assert_int_equal(
		registry_push_blobs(other, blobs, 2, &f.store, "no/such", &refused, &e), 0);
	assert_int_equal(refused.pushed, 2);
	registry_close(other);
	finish(&f);
}

static void test_damaged_blobs_are_refused_by_the_registry(void **state)
{
	struct fixture f = {0};
	struct scratch *s = *state;
	struct registry_descriptor blobs[2];
	struct registry_push_report report = {0};
	struct err e = ERR_INIT;
	char hex[DIGEST_TEXT_MAX];

	start(&f, s, "none", "");
	make_blobs(&f, blobs);
	digest_format_hex(&blobs[1].digest, hex);
	AUTO_FREE char *path = mem_printf("store/blobs/sha256/%s", hex);

	unlinkat(s->fd, path, 0);
	put_file(s->fd, path, "[]");
	expect_result(
		registry_push_blobs(f.registry, &blobs[1], 1, &f.store, NULL, &report, &e), &e,
		"registry/status", "damaged");
	assert_non_null(strstr(e.message, "DIGEST_INVALID"));
	finish(&f);
}

/* Referrers. */

static void make_referrer(struct fixture *f, const struct digest *subject, unsigned number,
			  struct registry_document *ret)
{
	char digest[DIGEST_TEXT_MAX], empty[DIGEST_TEXT_MAX];
	struct registry_descriptor blob = {.media_type = "x", .size = 2};
	struct registry_push_report report = {0};
	struct err e = ERR_INIT;

	assert_int_equal(store_put(&f->store, "{}", 2, &blob.digest, &e), 0);
	assert_int_equal(
		registry_push_blobs(f->registry, &blob, 1, &f->store, NULL, &report, &e), 0);
	digest_format(subject, digest);
	digest_format(&blob.digest, empty);
	*ret = (struct registry_document)REGISTRY_DOCUMENT_INIT;
	buf_addf(
		&ret->text,
		"{\"schemaVersion\":2,\"mediaType\":\"" REGISTRY_MANIFEST_TYPE
		"\",\"artifactType\":\"test/%u\",\"config\":{\"mediaType\":\"application/"
		"vnd.oci.empty.v1+json\",\"digest\":\"%s\",\"size\":2},\"layers\":[{"
		"\"mediaType\":\"x/y\",\"digest\":\"%s\",\"size\":2}],\"subject\":{\"mediaType\""
		":\"" REGISTRY_INDEX_TYPE "\",\"digest\":\"%s\",\"size\":1},\"annotations\":{"
		"\"a\":\"b%u\"}}",
		number % 2, empty, empty, digest, number);
	digest_bytes(DIGEST_SHA256, ret->text.data, ret->text.len, &ret->digest);
	ret->media_type = mem_strdup(REGISTRY_MANIFEST_TYPE);
}

static void expect_referrers(struct fixture *f, const struct digest *subject, const char *type,
			     size_t len)
{
	AUTO(registry_referrers) list = {0};
	struct err e = ERR_INIT;

	if (registry_list_referrers(f->registry, subject, type, &list, &e) < 0)
		fail_msg("%s", e.message);
	assert_int_equal(list.len, len);
	for (size_t i = 0; type && i < list.len; i++)
		assert_string_equal(list.items[i].artifact_type, type);
}

static void test_referrers(void **state)
{
	static const struct {
		const char *switches;
		bool has_tag; /* the fallback tag is written */
	} list[] = {{"", false}, {"no-referrers", true}, {"no-referrers gitlab", true}};
	struct scratch *s = *state;

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		struct fixture f = {0};
		AUTO(image) image = {0};
		struct err e = ERR_INIT;

		start(&f, s, "bearer", list[i].switches);
		assert_int_equal(get_image(&f, &image, &e), 0);
		const struct digest *subject = &image.manifest.digest;

		expect_referrers(&f, subject, NULL, 0);
		for (unsigned n = 0; n < 5; n++) {
			AUTO(registry_document) d = REGISTRY_DOCUMENT_INIT;

			make_referrer(&f, subject, n, &d);
			assert_int_equal(registry_put_manifest(f.registry, NULL, &d, &e), 0);
			/* Twice is once. */
			assert_int_equal(registry_put_manifest(f.registry, NULL, &d, &e), 0);
		}
		expect_referrers(&f, subject, NULL, 5);
		expect_referrers(&f, subject, "test/0", 3);
		assert_int_equal(
			count_lines(&f, "\"PUT\", \"path\": \"/v2/a/b/manifests/sha256-") > 0,
			list[i].has_tag);
		finish(&f);
		unlinkat(s->fd, "log", 0);
	}
}

/* What stands in a fallback tag is looked at: entries that are of another image do not count. */
static void test_fallback_tags_are_not_believed(void **state)
{
	struct fixture f = {0};
	AUTO(image) image = {0};
	AUTO(registry_document) index = REGISTRY_DOCUMENT_INIT;
	struct err e = ERR_INIT;
	char hex[DIGEST_TEXT_MAX];

	start(&f, *state, "none", "no-referrers");
	assert_int_equal(get_image(&f, &image, &e), 0);
	assert_int_equal(registry_get_manifest(f.registry, "x", &index, NULL, &e), 0);
	digest_format_hex(&image.manifest.digest, hex);
	AUTO_FREE char *tag = mem_printf("sha256-%s", hex);

	assert_int_equal(registry_put_manifest(f.registry, tag, &index, &e), 0);
	expect_referrers(&f, &image.manifest.digest, NULL, 0);
	finish(&f);
}

/* Two of us at once: both entries are there in the end. */
static void test_two_writers_of_a_fallback_tag(void **state)
{
	struct fixture f = {0};
	AUTO(image) image = {0};
	AUTO(registry_document) one = REGISTRY_DOCUMENT_INIT;
	AUTO(registry_document) two = REGISTRY_DOCUMENT_INIT;
	struct err e = ERR_INIT;
	struct proc child = PROC_INIT;
	struct proc_status status;
	bool is_child, ended;

	start(&f, *state, "none", "no-referrers");
	assert_int_equal(get_image(&f, &image, &e), 0);
	make_referrer(&f, &image.manifest.digest, 1, &one);
	make_referrer(&f, &image.manifest.digest, 2, &two);
	assert_int_equal(proc_fork(&child, &is_child, &e), 0);
	if (is_child) {
		struct registry *r = open_repository(&f, "a/b");

		_exit(registry_put_manifest(r, NULL, &two, &e) == 0 ? 0 : 1);
	}
	assert_int_equal(registry_put_manifest(f.registry, NULL, &one, &e), 0);
	assert_int_equal(proc_wait(&child, 20000, &ended, &status, &e), 0);
	assert_true(ended && status.exited && status.code == 0);
	expect_referrers(&f, &image.manifest.digest, NULL, 2);
	finish(&f);
}

static void test_no_password_for_an_unknown_host(void **state)
{
	struct scratch *s = *state;
	AUTO(reference) where = {0};
	struct registry_options options = {.insecure = true};
	struct err e = ERR_INIT;

	(void)s;
	/* Only the rule is asked: nothing on the net answers under this name. */
	assert_int_equal(reference_parse("registry.invalid/a:x", &where, &e), 0);
	struct registry *r = NULL;

	options.wait_max_s = 1;
	options.backoff_ms = 400;
	assert_int_equal(registry_open(&where, &options, &r, &e), 0);
	bool found;
	struct registry_descriptor blob = {.media_type = "x", .size = 1};

	digest_bytes(DIGEST_SHA256, "a", 1, &blob.digest);
	expect_result(ask_for_blob(r, &blob, &found, &e), &e, "registry/network",
		      "unknown host");
	registry_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_pulls_through_faults),
		scratch_test(test_faults_that_are_no_image),
		scratch_test(test_logins),
		scratch_test(test_tokens_that_end_on_the_way),
		scratch_test(test_a_named_token_host_gets_the_password),
		scratch_test(test_without_or_with_wrong_credentials),
		scratch_test(test_absent_things),
		scratch_test(test_tags_come_in_parts),
		scratch_test(test_endless_and_foreign_lists),
		scratch_test(test_pushes),
		scratch_test(test_what_is_there_is_not_pushed),
		scratch_test(test_damaged_blobs_are_refused_by_the_registry),
		scratch_test(test_referrers),
		scratch_test(test_fallback_tags_are_not_believed),
		scratch_test(test_two_writers_of_a_fallback_tag),
		scratch_test(test_no_password_for_an_unknown_host),
	};
	struct log_options quiet = {0};

	quiet.level = LOG_ERROR;
	quiet.fd = 2;

	log_setup(&quiet);
	proc_interrupt_fd(); /* stays open for good, so it is no leak */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
