/* Layouts on disk: written so that a crash or a stranger leaves them usable, read with
 * distrust. */
#include "image_test.h"

#include <sys/mman.h>

#include "image/config.h"
#include "image/layer.h"
#include "image/layout.h"
#include "util/limits.h"
#include "util/proc.h"

#define BLOBS "l/blobs/sha256"

static struct layout open_writable(struct scratch *s)
{
	struct layout l = LAYOUT_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(layout_open_writable(s->fd, "l", &l, &e), 0);
	return l;
}

static int put_bytes(struct layout *l, const char *bytes, size_t len, struct digest *ret,
		     struct err *e)
{
	AUTO_CLOSE int fd = memfd_create("blob", MFD_CLOEXEC);

	assert_int_equal(write(fd, bytes, len), len);
	digest_bytes(DIGEST_SHA256, bytes, len, ret);
	return layout_put_blob_fd(l, fd, ret, e);
}

static struct digest put_text(struct layout *l, const char *text)
{
	struct digest d;
	struct err e = ERR_INIT;

	assert_int_equal(put_bytes(l, text, strlen(text), &d, &e), 0);
	return d;
}

static struct descriptor put_document(struct layout *l, const char *type, const char *text)
{
	struct descriptor d = {.media_type = mem_strdup(type), .size = strlen(text)};

	d.digest = put_text(l, text);
	return d;
}

static void tag(struct layout *l, const char *name, const struct descriptor *d)
{
	struct err e = ERR_INIT;
	bool changed = false;

	assert_int_equal(layout_set_tag(l, name, d, "linux", "amd64", &changed, &e), 0);
	assert_true(changed);
}

static void expect_resolved(const struct layout *l, const char *ref, const char *arch,
			    const struct digest *wanted)
{
	AUTO(descriptor) d = {0};
	struct err e = ERR_INIT;

	assert_int_equal(layout_resolve(l, ref, "linux", arch, &d, &e), 0);
	assert_true(digest_eq(&d.digest, wanted));
	assert_string_equal(d.media_type, OCI_MANIFEST_TYPE);
}

static void expect_unresolved(const struct layout *l, const char *ref, const char *id)
{
	AUTO(descriptor) d = {0};
	struct err e = ERR_INIT;

	assert_int_equal(layout_resolve(l, ref, "linux", "amd64", &d, &e), -1);
	assert_string_equal(e.id, id);
	assert_null(d.media_type);
}

static char *blob_name(const struct digest *d)
{
	char hex[DIGEST_TEXT_MAX];

	digest_format_hex(d, hex);
	return mem_printf("%s/%s", BLOBS, hex);
}

/* One entry of an index, with members as given. */
static char *index_entry(const struct descriptor *d, const char *more)
{
	char digest[DIGEST_TEXT_MAX];

	digest_format(&d->digest, digest);
	return mem_printf("{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu%s}",
			  d->media_type, digest, (size_t)d->size, more);
}

static char *index_of(const char *a, const char *b)
{
	return mem_printf("{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[%s%s%s]}",
			  OCI_INDEX_TYPE, a, b[0] ? "," : "", b);
}

static void test_new_layout(void **state)
{
	struct scratch *s = *state;
	struct layout l = open_writable(s);

	layout_cleanup(&l);
	expect_file(s->fd, "l/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	expect_file(s->fd, "l/index.json",
		    "{\"manifests\":[],\"mediaType\":\"" OCI_INDEX_TYPE
		    "\",\"schemaVersion\":2}");
	expect_mode(s->fd, "l/index.json", 0644);
	assert_true(name_exists(s->fd, BLOBS));
}

static void test_only_layouts_and_empty_directories_are_written(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = LAYOUT_INIT;
	struct err e = ERR_INIT;

	make_dir(s->fd, "home");
	put_file(s->fd, "home/thesis.tex", "");
	assert_int_equal(layout_open_writable(s->fd, "home", &l, &e), -1);
	expect_err(&e, ERR_INPUT, "layout/not-a-layout");
	assert_false(name_exists(s->fd, "home/.lock"));
	make_dir(s->fd, "half"); /* as a killed writer leaves it */
	make_dir(s->fd, "half/blobs");
	put_file(s->fd, "half/.oci-layout.new", "{");
	assert_int_equal(layout_open_writable(s->fd, "half", &l, &e), 0);
	assert_false(name_exists(s->fd, "half/.oci-layout.new"));
}

static void test_reading_needs_a_layout(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = LAYOUT_INIT;
	struct err e = ERR_INIT;

	make_dir(s->fd, "l");
	assert_int_equal(layout_open(s->fd, "l", &l, &e), -1);
	expect_err(&e, ERR_INPUT, "layout/not-a-layout");
	put_file(s->fd, "l/oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}");
	assert_int_equal(layout_open(s->fd, "l", &l, &e), -1);
	expect_err(&e, ERR_INPUT, "layout/not-a-layout");
	put_file(s->fd, "l/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}\n");
	assert_int_equal(layout_open(s->fd, "l", &l, &e), 0);
	expect_unresolved(&l, "x", "layout/not-a-layout"); /* no index.json */
}

static void test_second_writer_is_told_who_writes(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	AUTO(layout) second = LAYOUT_INIT;
	struct err e = ERR_INIT;
	char wanted[64];

	assert_int_equal(layout_open_writable(s->fd, "l", &second, &e), -1);
	expect_err(&e, ERR_SYSTEM, "layout/locked");
	snprintf(wanted, sizeof(wanted), "lock owned by pid %d", (int)getpid());
	assert_non_null(strstr(e.message, wanted));
	assert_int_equal(layout_open(s->fd, "l", &second, &e), 0); /* readers need no lock */
	layout_cleanup(&second);
	layout_cleanup(&l);
	assert_int_equal(layout_open_writable(s->fd, "l", &second, &e), 0);
}

static void test_tags(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	AUTO(descriptor) a = put_document(&l, OCI_MANIFEST_TYPE, "{\"a\":1}");
	AUTO(descriptor) b = put_document(&l, OCI_MANIFEST_TYPE, "{\"b\":1}");
	struct err e = ERR_INIT;
	bool changed = true;

	tag(&l, "one", &a);
	tag(&l, "two", &a);
	assert_int_equal(layout_set_tag(&l, "one", &a, "linux", "amd64", &changed, &e), 0);
	assert_false(changed);
	expect_resolved(&l, "one", "amd64", &a.digest);
	tag(&l, "one", &b);
	expect_resolved(&l, "one", "amd64", &b.digest);
	expect_resolved(&l, "two", "amd64", &a.digest);
	char text[DIGEST_TEXT_MAX];
	digest_format(&b.digest, text);
	expect_resolved(&l, text, "amd64", &b.digest);
	AUTO(buf) index = BUF_INIT(LIMIT_INDEX_BYTES);
	assert_int_equal(path_read_file(s->fd, "l/index.json", &index, &e), 0);
	/* Replaced ones go to the end. */
	assert_true(strstr(buf_text(&index), "\"two\"") < strstr(buf_text(&index), "\"one\""));
}

static void test_unknown_tag_lists_the_others(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	AUTO(descriptor) a = put_document(&l, OCI_MANIFEST_TYPE, "{}");
	AUTO(descriptor) found = {0};
	struct err e = ERR_INIT;

	tag(&l, "one", &a);
	tag(&l, "two", &a);
	assert_int_equal(layout_resolve(&l, "three", "linux", "amd64", &found, &e), -1);
	expect_err(&e, ERR_INPUT, "layout/no-such-tag");
	assert_string_equal(e.hint, "tags in it: 'one', 'two'");
	expect_unresolved(&l, "sha256:../../../etc/passwd", "digest/malformed");
	expect_unresolved(
		&l, "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"layout/no-such-tag");
}

static void test_what_others_wrote_is_kept(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	AUTO(descriptor) a = put_document(&l, OCI_MANIFEST_TYPE, "{}");
	AUTO_FREE char *other =
		index_entry(&a, ",\"annotations\":{\"x\":\"y\"},\"later\":[null]");
	AUTO_FREE char *index = mem_printf(
		"{\"schemaVersion\":2,\"manifests\":[%s],\"annotations\":{\"k\":\"v\"}}",
		other);
	struct err e = ERR_INIT;

	put_file(s->fd, "l/index.json", index);
	tag(&l, "ours", &a);
	AUTO(buf) text = BUF_INIT(LIMIT_INDEX_BYTES);
	assert_int_equal(path_read_file(s->fd, "l/index.json", &text, &e), 0);
	assert_non_null(strstr(buf_text(&text), "\"annotations\":{\"k\":\"v\"}"));
	assert_non_null(strstr(buf_text(&text), "\"later\":[null]"));
	assert_non_null(strstr(buf_text(&text), "\"x\":\"y\""));
	assert_null(strstr(buf_text(&text), "\"mediaType\":\"" OCI_INDEX_TYPE));
}

/* SEC PF13, PF16 */
static void test_ambiguity_is_refused(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	AUTO(descriptor) a = put_document(&l, OCI_MANIFEST_TYPE, "{\"a\":1}");
	AUTO(descriptor) b = put_document(&l, OCI_MANIFEST_TYPE, "{\"b\":1}");
	const char *tagged = ",\"annotations\":{\"" OCI_REF_NAME "\":\"x\"}";
	AUTO_FREE char *x1 = index_entry(&a, tagged);
	AUTO_FREE char *x2 = index_entry(&b, tagged);
	AUTO_FREE char *index = index_of(x1, x2);

	put_file(s->fd, "l/index.json", index);
	expect_unresolved(&l, "x", "layout/ambiguous-tag");
}

#define AMD64 ",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}"
#define ARM64 ",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}"

/* An index blob of two entries under tag "x". */
static void put_nested(struct scratch *s, struct layout *l, const char *first,
		       const char *second)
{
	AUTO_FREE char *nested_text = index_of(first, second);
	AUTO(descriptor) nested = put_document(l, OCI_INDEX_TYPE, nested_text);
	AUTO_FREE char *entry =
		index_entry(&nested, ",\"annotations\":{\"" OCI_REF_NAME "\":\"x\"}");
	AUTO_FREE char *index = index_of(entry, "");

	put_file(s->fd, "l/index.json", index);
}

static void test_platforms(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	AUTO(descriptor) a = put_document(&l, OCI_MANIFEST_TYPE, "{\"a\":1}");
	AUTO(descriptor) b = put_document(&l, OCI_MANIFEST_TYPE, "{\"b\":1}");
	AUTO_FREE char *amd64 = index_entry(&a, AMD64);
	AUTO_FREE char *arm64 = index_entry(&b, ARM64);
	AUTO_FREE char *amd64_again = index_entry(&b, AMD64);
	AUTO_FREE char *nowhere = index_entry(&b, "");
	AUTO_FREE char *artifact = index_entry(&b, AMD64 ",\"artifactType\":\"sbom\"");
	AUTO_FREE char *unknown = index_entry(
		&b, ",\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}");
	char text[DIGEST_TEXT_MAX];

	put_nested(s, &l, amd64, arm64);
	expect_resolved(&l, "x", "amd64", &a.digest);
	expect_resolved(&l, "x", "arm64", &b.digest);
	digest_format(&b.digest, text);
	expect_resolved(&l, text, "arm64", &b.digest);
	expect_unresolved(&l, text, "layout/no-such-platform");
	put_nested(s, &l, amd64, amd64_again);
	expect_unresolved(&l, "x", "layout/ambiguous-platform");
	put_nested(s, &l, amd64, nowhere);
	expect_resolved(&l, "x", "amd64", &a.digest);
	put_nested(s, &l, nowhere, artifact);
	expect_resolved(&l, "x", "amd64", &b.digest);
	put_nested(s, &l, amd64, unknown);
	expect_resolved(&l, "x", "amd64", &a.digest);
	put_nested(s, &l, arm64, unknown);
	expect_unresolved(&l, "x", "layout/no-such-platform");
}

/* index.json, two indexes below it, a manifest: the deepest that is allowed. */
static void test_depth_limit(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	AUTO(descriptor) image = put_document(&l, OCI_MANIFEST_TYPE, "{}");
	AUTO_FREE char *entry = index_entry(&image, "");

	for (int depth = 1; depth <= LIMIT_INDEX_DEPTH + 1; depth++) {
		put_nested(s, &l, entry, "");
		if (depth <= LIMIT_INDEX_DEPTH)
			expect_resolved(&l, "x", "amd64", &image.digest);
		else
			expect_unresolved(&l, "x", "layout/index-too-deep");
		AUTO_FREE char *text = index_of(entry, "");
		AUTO(descriptor) d = put_document(&l, OCI_INDEX_TYPE, text);
		free(entry);
		entry = index_entry(&d, "");
	}
}

static void test_media_types(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	AUTO(descriptor)
	a = put_document(&l, "application/vnd.docker.distribution.manifest.v1+json", "{}");
	AUTO(descriptor)
	untyped = put_document(&l, OCI_INDEX_TYPE, "{\"schemaVersion\":2,\"manifests\":[]}");
	AUTO(descriptor)
	both = put_document(&l, OCI_INDEX_TYPE,
			    "{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX_TYPE
			    "\",\"manifests\":[],\"layers\":[]}");

	tag(&l, "docker", &a);
	tag(&l, "untyped", &untyped);
	tag(&l, "both", &both);
	expect_unresolved(&l, "docker", "image/media-type");
	expect_unresolved(&l, "untyped", "image/media-type");
	expect_unresolved(&l, "both", "image/manifest-confusion");
}

static void test_index_limits(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	AUTO(descriptor) a = put_document(&l, OCI_MANIFEST_TYPE, "{}");
	AUTO_FREE char *entry = index_entry(&a, "");
	AUTO(buf) index = BUF_INIT(LIMIT_INDEX_BYTES);
	struct err e = ERR_INIT;
	bool changed = false;

	buf_add_c(&index, "{\"schemaVersion\":2,\"manifests\":[");
	for (int i = 1; i < LIMIT_INDEX_ENTRIES; i++)
		buf_addf(&index, "%s,", entry);
	index.data[--index.len] = '\0';
	buf_add_c(&index, "]}");
	put_file(s->fd, "l/index.json", buf_text(&index));
	tag(&l, "last", &a);
	expect_resolved(&l, "last", "amd64", &a.digest);
	assert_int_equal(layout_set_tag(&l, "over", &a, "linux", "amd64", &changed, &e), -1);
	expect_err(&e, ERR_INPUT, "layout/too-many-entries");
	expect_resolved(&l, "last", "amd64", &a.digest); /* nothing was written */
}

static void test_blobs_are_checked(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	AUTO(buf) text = BUF_INIT(1000);
	struct digest d = put_text(&l, "content"), absent;
	AUTO_FREE char *name = blob_name(&d);
	struct err e = ERR_INIT;
	AUTO_CLOSE int fd = -1;

	expect_mode(s->fd, name, 0644);
	assert_int_equal(layout_blob_read(&l, &d, &text, &e), 0);
	assert_string_equal(buf_text(&text), "content");
	assert_int_equal(layout_blob_open(&l, &d, 7, &fd, &e), 0);
	assert_true(layout_has_blob(&l, &d, 7));
	assert_false(layout_has_blob(&l, &d, 8));
	put_file(s->fd, name, "tampers");
	assert_int_equal(layout_blob_read(&l, &d, &text, &e), -1);
	expect_err(&e, ERR_MISMATCH, "layout/damaged");
	put_file(s->fd, name, "short");
	close(fd);
	fd = -1;
	assert_int_equal(layout_blob_open(&l, &d, 7, &fd, &e), -1);
	expect_err(&e, ERR_MISMATCH, "layout/damaged");
	put_text(&l, "content"); /* heals what has another size */
	expect_file(s->fd, name, "content");
	digest_bytes(DIGEST_SHA256, "x", 1, &absent);
	assert_int_equal(layout_blob_open(&l, &absent, -1, &fd, &e), -1);
	expect_err(&e, ERR_INPUT, "layout/missing-blob");
}

/* SEC PF16 */
static void test_links_and_fifos_are_refused(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	struct digest d = put_text(&l, "content");
	AUTO_FREE char *name = blob_name(&d);
	struct err e = ERR_INIT;
	AUTO_CLOSE int fd = -1;

	assert_int_equal(unlinkat(s->fd, name, 0), 0);
	assert_int_equal(mkfifoat(s->fd, name, 0644), 0);
	assert_int_equal(layout_blob_open(&l, &d, -1, &fd, &e), -1);
	expect_err(&e, ERR_INPUT, "layout/not-regular");
	assert_int_equal(unlinkat(s->fd, name, 0), 0);
	put_file(s->fd, "elsewhere", "content");
	assert_int_equal(symlinkat("../../../elsewhere", s->fd, name), 0);
	assert_int_equal(layout_blob_open(&l, &d, -1, &fd, &e), -1);
	expect_err(&e, ERR_INPUT, "layout/not-regular");
	assert_int_equal(renameat(s->fd, BLOBS, s->fd, "moved"), 0);
	assert_int_equal(symlinkat("../../moved", s->fd, BLOBS), 0);
	assert_int_equal(put_bytes(&l, "y", 1, &d, &e), -1);
	assert_int_equal(layout_blob_open(&l, &d, -1, &fd, &e), -1);
	expect_err(&e, ERR_INPUT, "layout/not-regular");
	assert_int_equal(unlinkat(s->fd, "l/index.json", 0), 0);
	assert_int_equal(symlinkat("../elsewhere", s->fd, "l/index.json"), 0);
	expect_unresolved(&l, "x", "layout/not-regular");
}

static void test_blobs_from_files(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	struct digest d, other;
	struct err e = ERR_INIT;

	put_file(s->fd, "source", "content");
	AUTO_CLOSE int fd = openat(s->fd, "source", O_RDONLY | O_CLOEXEC);
	digest_bytes(DIGEST_SHA256, "content", 7, &d);
	digest_bytes(DIGEST_SHA256, "other", 5, &other);
	assert_int_equal(layout_put_blob_fd(&l, fd, &other, &e), -1);
	expect_err(&e, ERR_MISMATCH, "layout/damaged");
	assert_false(layout_has_blob(&l, &other, 5) || layout_has_blob(&l, &other, 7));
	for (int i = 0; i < 2; i++)
		assert_int_equal(layout_put_blob_fd(&l, fd, &d, &e), 0);
	assert_true(layout_has_blob(&l, &d, 7));
	digest_bytes(DIGEST_SHA512, "content", 7, &d);
	assert_int_equal(layout_put_blob_fd(&l, fd, &d, &e), 0);
	assert_true(layout_has_blob(&l, &d, 7));
}

static size_t count_blobs(struct scratch *s)
{
	int fd = open_dir(s->fd, BLOBS);
	DIR *dir = fdopendir(fd);
	size_t n = 0;

	assert_non_null(dir);
	for (struct dirent *x = readdir(dir); x; x = readdir(dir))
		n += x->d_name[0] != '.' || x->d_name[1] > '.';
	closedir(dir);
	return n;
}

static void test_collect(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	struct digest part = put_text(&l, "part"), junk = put_text(&l, "junk");
	char part_text[DIGEST_TEXT_MAX];
	digest_format(&part, part_text);
	AUTO_FREE char *unknown_text =
		mem_printf("{\"parts\":[{\"deep\":{\"digest\":\"%s\"}}]}", part_text);
	AUTO(descriptor) unknown = put_document(&l, "application/x-unknown", unknown_text);
	AUTO(descriptor) gone = put_document(&l, OCI_MANIFEST_TYPE, "{\"old\":1}");
	struct err e = ERR_INIT;

	put_file(s->fd, BLOBS "/README", "not a blob");
	tag(&l, "x", &gone);
	tag(&l, "x", &unknown);
	assert_int_equal(layout_collect(&l, NULL, &e), 0);
	assert_false(layout_has_blob(&l, &junk, 4));
	assert_false(layout_has_blob(&l, &gone.digest, gone.size));
	assert_true(layout_has_blob(&l, &unknown.digest, unknown.size));
	assert_true(layout_has_blob(&l, &part, 4));
	assert_int_equal(count_blobs(s), 3);
}

/* All at once: those that are new, those that change, and those that stay where they are. */
static void test_several_tags(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	AUTO(descriptor) a = put_document(&l, OCI_MANIFEST_TYPE, "{\"a\":1}");
	AUTO(descriptor) b = put_document(&l, OCI_MANIFEST_TYPE, "{\"b\":1}");
	struct err e = ERR_INIT;
	AUTO(strvec) tags = {0};
	bool changed = false;

	tag(&l, "stays", &a);
	tag(&l, "moves", &a);
	const struct layout_tag wanted[] = {{"new", &b, "linux", "amd64"},
					    {"stays", &a, "linux", "amd64"},
					    {"moves", &b, "linux", "amd64"},
					    {"twice", &a, "linux", "amd64"},
					    {"twice", &b, "linux", "amd64"}};
	assert_int_equal(layout_set_tags(&l, wanted, ARRAY_LEN(wanted), &changed, &e), 0);
	assert_true(changed);
	assert_int_equal(layout_tags(&l, &tags, &e), 0);
	assert_int_equal(tags.len, 4);
	assert_string_equal(tags.items[0], "stays");
	assert_string_equal(tags.items[1], "new");
	assert_string_equal(tags.items[2], "moves");
	expect_resolved(&l, "moves", "amd64", &b.digest);
	expect_resolved(&l, "twice", "amd64", &b.digest);
	assert_int_equal(layout_set_tags(&l, wanted, 3, &changed, &e), 0);
	assert_false(changed);
	assert_int_equal(layout_set_tags(&l, NULL, 0, &changed, &e), 0);
	assert_false(changed);
}

/* Nothing is read if all that is there is known; one blob more, and everything is looked at. */
static void test_collect_of_what_is_known(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	AUTO(descriptor) odd = put_document(&l, "application/x-odd", "{\"a\":1}");
	AUTO(descriptor) other = put_document(&l, "application/x-odd", "{\"b\":1}");
	AUTO(digest_set) known = {0};
	struct err e = ERR_INIT;

	tag(&l, "x", &odd);
	tag(&l, "other", &other);
	digest_set_add(&known, &odd.digest);
	digest_set_add(&known, &other.digest);
	assert_int_equal(layout_collect(&l, &known, &e), 0);
	assert_int_equal(count_blobs(s), 2);
	struct digest junk = put_text(&l, "junk");
	assert_int_equal(layout_collect(&l, &known, &e), 0);
	assert_false(layout_has_blob(&l, &junk, 4));
	assert_int_equal(count_blobs(s), 2);
	tag(&l, "x", &other);
	AUTO(digest_set) fewer = {0};
	digest_set_add(&fewer, &other.digest);
	assert_int_equal(layout_collect(&l, &fewer, &e), 0);
	assert_false(layout_has_blob(&l, &odd.digest, odd.size));
}

/* What cannot be read might name anything. */
static void test_collect_keeps_all_when_blind(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	struct digest junk = put_text(&l, "junk");
	AUTO(descriptor) odd = put_document(&l, "application/x-odd", "{\"a\":1.5}");
	struct err e = ERR_INIT;

	tag(&l, "x", &odd);
	assert_int_equal(layout_collect(&l, NULL, &e), 0);
	assert_true(layout_has_blob(&l, &junk, 4));
}

static void test_leftovers_are_removed(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);

	layout_cleanup(&l);
	put_file(s->fd, "l/.index.json.new", "{");
	put_file(s->fd, BLOBS "/.abc.new", "half");
	l = open_writable(s);
	assert_false(name_exists(s->fd, "l/.index.json.new"));
	assert_false(name_exists(s->fd, BLOBS "/.abc.new"));
}

static _Noreturn void write_for_ever(struct scratch *s)
{
	struct layout l = LAYOUT_INIT;
	struct err e = ERR_INIT;

	if (layout_open_writable(s->fd, "l", &l, &e) < 0)
		_exit(1);
	for (unsigned i = 0;; i++) {
		char text[32], name[16];
		char type[] = OCI_MANIFEST_TYPE;
		bool changed;
		struct descriptor d = {.media_type = type};

		snprintf(text, sizeof(text), "{\"n\":%u}", i);
		snprintf(name, sizeof(name), "t%u", i % 5);
		d.size = strlen(text);
		if (put_bytes(&l, text, d.size, &d.digest, &e) < 0 ||
		    layout_set_tag(&l, name, &d, "linux", "amd64", &changed, &e) < 0 ||
		    layout_collect(&l, NULL, &e) < 0)
			_exit(1);
	}
}

/* Killed anywhere, it leaves a layout in which every tag leads to its blob. */
static void test_killed_writer(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;

	for (int round = 0; round < 10; round++) {
		pid_t pid = fork();
		int status = 0;

		assert_true(pid >= 0);
		if (pid == 0)
			write_for_ever(s);
		const struct timespec wait = {.tv_nsec = 3000000 + round * 4700000};
		nanosleep(&wait, NULL);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		AUTO(layout) l = open_writable(s);
		for (int i = 0; i < 5; i++) {
			AUTO(descriptor) d = {0};
			AUTO(buf) text = BUF_INIT(1000);
			char name[16];

			snprintf(name, sizeof(name), "t%d", i);
			if (layout_resolve(&l, name, "linux", "amd64", &d, &e) < 0)
				assert_string_equal(e.id, "layout/no-such-tag");
			else
				assert_int_equal(layout_blob_read(&l, &d.digest, &text, &e), 0);
		}
		assert_int_equal(layout_collect(&l, NULL, &e), 0);
		assert_true(count_blobs(s) <= 5);
	}
}

/* An image of one packed layer, as build would make it. */
static void put_image(struct scratch *s, struct layout *l)
{
	struct err e = ERR_INIT;
	struct layer_packed packed;
	AUTO(image_config) config = {0};
	AUTO(manifest) m = {0};
	AUTO(buf) text = BUF_INIT(LIMIT_CONFIG_BYTES);
	const struct config_directives directives = {.os = "linux", .architecture = "amd64"};

	make_dir(s->fd, "upper");
	AUTO_CLOSE int upper = open_dir(s->fd, "upper");
	make_dir(upper, "etc");
	put_file(upper, "etc/motd", "hello\n");
	assert_int_equal(linkat(upper, "etc/motd", upper, "etc/issue", 0), 0);
	AUTO_CLOSE int tar = openat(s->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	const struct layer_pack_options options = {
		.upper_fd = upper, .lower_fd = -1, .out_fd = tar};
	assert_int_equal(layer_pack(&options, &packed, &e), 0);
	assert_int_equal(layout_put_blob_fd(l, tar, &packed.diff_id, &e), 0);
	image_config_add_layer(&config, &packed.diff_id, "test", 0);
	image_config_apply(&config, &directives);
	image_config_write(&config, &text);
	m.config = put_document(l, OCI_CONFIG_TYPE, buf_text(&text));
	struct descriptor layer = {.media_type = mem_strdup(OCI_LAYER_TAR_TYPE),
				   .digest = packed.diff_id,
				   .size = packed.size};
	vec_push(&m.layers, layer);
	buf_clear(&text);
	manifest_write(&m, &text);
	AUTO(descriptor) d = put_document(l, OCI_MANIFEST_TYPE, buf_text(&text));
	tag(l, "image", &d);
}

static void run_tool(const char *const *argv)
{
	struct err e = ERR_INIT;

	if (access(argv[0], X_OK) < 0) {
		print_message("%s is not installed\n", argv[0]);
		skip();
	}
	if (proc_run(argv, &e) < 0)
		fail_msg("%s", e.message);
}

static void test_skopeo_reads_it(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	AUTO_FREE char *from = mem_printf("oci:%s/l:image", s->path);
	AUTO_FREE char *to = mem_printf("dir:%s/copy", s->path);
	const char *const inspect[] = {"/usr/bin/skopeo", "inspect", from, NULL};
	const char *const copy[] = {
		"/usr/bin/skopeo", "--insecure-policy", "copy", from, to, NULL};

	put_image(s, &l);
	run_tool(inspect);
	run_tool(copy);
}

static void test_umoci_unpacks_it(void **state)
{
	struct scratch *s = *state;
	AUTO(layout) l = open_writable(s);
	AUTO_FREE char *image = mem_printf("%s/l:image", s->path);
	AUTO_FREE char *bundle = mem_printf("%s/bundle", s->path);
	const char *const argv[] = {"/usr/bin/umoci", "unpack", "--rootless", "--image", image,
				    bundle,	      NULL};
	struct stat a, b;

	put_image(s, &l);
	run_tool(argv);
	expect_file(s->fd, "bundle/rootfs/etc/motd", "hello\n");
	assert_int_equal(fstatat(s->fd, "bundle/rootfs/etc/motd", &a, 0), 0);
	assert_int_equal(fstatat(s->fd, "bundle/rootfs/etc/issue", &b, 0), 0);
	assert_int_equal(a.st_ino, b.st_ino);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_new_layout),
		scratch_test(test_only_layouts_and_empty_directories_are_written),
		scratch_test(test_reading_needs_a_layout),
		scratch_test(test_second_writer_is_told_who_writes),
		scratch_test(test_tags),
		scratch_test(test_unknown_tag_lists_the_others),
		scratch_test(test_what_others_wrote_is_kept),
		scratch_test(test_ambiguity_is_refused),
		scratch_test(test_platforms),
		scratch_test(test_depth_limit),
		scratch_test(test_media_types),
		scratch_test(test_index_limits),
		scratch_test(test_blobs_are_checked),
		scratch_test(test_links_and_fifos_are_refused),
		scratch_test(test_blobs_from_files),
		scratch_test(test_collect),
		scratch_test(test_collect_of_what_is_known),
		scratch_test(test_several_tags),
		scratch_test(test_collect_keeps_all_when_blind),
		scratch_test(test_leftovers_are_removed),
		scratch_test(test_killed_writer),
		scratch_test(test_skopeo_reads_it),
		scratch_test(test_umoci_unpacks_it),
	};
	return cmocka_run_group_tests_name("image layout", tests, NULL, NULL);
}
