/* Lists of files: from layers, from directories, carried as bytes, compared. */
#include "image_scratch.h"

#include "util/limits.h"

static int read_layer(const struct buf *b, enum layer_compression c, struct tree *ret,
		      struct digest *ret_diff_id, struct err *e)
{
	AUTO_CLOSE int fd = vec_fd(b->data, b->len);
	return tree_read_layer(fd, c, ret, ret_diff_id, e);
}

static const struct tree_entry *find(const struct tree *t, const char *path)
{
	for (size_t i = 0; i < t->len; i++)
		if (strcmp(t->items[i].path, path) == 0)
			return &t->items[i];
	fail_msg("no '%s' in the list", path);
	return NULL;
}

static void some_layer(struct buf *b)
{
	DIR_("d/");
	vec_add(b, (struct vec_entry){"d/f", .mode = 0755, .uid = 1, .gid = 2, .mtime = 3,
				      .data = "hello"});
	HARD_("d/h", "d/f");
	LINK_("d/l", "f");
	FILE_("d/.wh.gone", NULL);
	FILE_("d/.wh..wh..opq", NULL);
	TYPE_("a", '6');
	PAX_("SCHILY.xattr.user.k", "v");
	FILE_("x", "");
	vec_end(b);
}

static void test_a_layer_as_a_list(void **state)
{
	(void)state;
	AUTO(buf) b = VECTOR_BUF;
	AUTO(buf) zst = VECTOR_BUF;
	AUTO(tree) t = {0};
	struct err e = ERR_INIT;
	struct digest want, got;
	some_layer(&b);
	digest_bytes(DIGEST_SHA256, b.data, b.len, &want);
	vec_zstd(&zst, b.data, b.len);
	assert_int_equal(read_layer(&zst, LAYER_ZSTD, &t, &got, &e), 0);
	assert_true(digest_eq(&want, &got));
	static const char *const paths[] = {
		"a", "d", "d/.wh..wh..opq", "d/.wh.gone", "d/f", "d/h", "d/l", "x"};
	assert_int_equal(t.len, ARRAY_LEN(paths));
	for (size_t i = 0; i < t.len; i++)
		assert_string_equal(t.items[i].path, paths[i]);
	const struct tree_entry *f = find(&t, "d/f");
	struct digest hello;
	digest_bytes(DIGEST_SHA256, "hello", 5, &hello);
	assert_int_equal(f->type, 'f');
	assert_int_equal(f->mode, 0755);
	assert_int_equal(f->uid, 1);
	assert_int_equal(f->gid, 2);
	assert_int_equal(f->mtime_s, 3);
	assert_int_equal(f->size, 5);
	assert_true(digest_eq(&f->digest, &hello));
	assert_int_equal(f->xattrs.alg, DIGEST_NONE);
	assert_string_equal(find(&t, "d/h")->target, "d/f");
	assert_int_equal(find(&t, "d/l")->type, 'l');
	assert_int_equal(find(&t, "x")->xattrs.alg, DIGEST_SHA256);
}

static void test_the_list_refuses_what_unpacking_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *first, *second;
		char first_type, second_type;
		const char *id;
	} rows[] = {
		{"s", "s/f", '2', '0', "unpack/link-in-path"},
		{"f", "f", '0', '5', "unpack/type-flip"},
		{"d/f", "d", '0', '2', "unpack/type-flip"},
		{"f", "h", '2', '1', "unpack/hardlink"},
		{"f", "../e", '0', '0', "unpack/dotdot"},
		{"f", "d/.wh...", '0', '0', "unpack/whiteout"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) b = VECTOR_BUF;
		AUTO(tree) t = {0};
		struct err e = ERR_INIT;
		struct digest d;
		vec_add(&b, (struct vec_entry){.name = rows[i].first,
					       .type = rows[i].first_type,
					       .link = "f"});
		vec_add(&b, (struct vec_entry){.name = rows[i].second,
					       .type = rows[i].second_type,
					       .link = "f"});
		vec_end(&b);
		expect_id(read_layer(&b, LAYER_TAR, &t, &d, &e), &e, rows[i].id);
	}
}

static void test_a_directory_as_a_list(void **state)
{
	(void)state;
	NEED_ROOT();
	struct scratch s;
	struct err e = ERR_INIT;
	AUTO(tree) t = {0};
	AUTO(buf) b = VECTOR_BUF;
	struct digest d;
	scratch_open(&s);
	some_layer(&b);
	digest_bytes(DIGEST_SHA256, b.data, b.len, &d);
	AUTO_CLOSE int fd = vec_fd(b.data, b.len);
	assert_int_equal(unpack_layer(&(struct unpack_layer){fd, LAYER_TAR, d, s.root_fd},
				      &(struct beneath){0}, &unpack_default_limits, &e),
			 0);
	assert_int_equal(tree_read_dir(s.root_fd, &t, &e), 0);
	static const char *const paths[] = {"a", "d", "d/f", "d/gone", "d/h", "d/l", "x"};
	assert_int_equal(t.len, ARRAY_LEN(paths));
	for (size_t i = 0; i < t.len; i++)
		assert_string_equal(t.items[i].path, paths[i]);
	assert_int_equal(find(&t, "d/gone")->type, 'c');
	assert_int_equal(find(&t, "d/gone")->rdev, 0);
	assert_int_equal(find(&t, "d")->xattrs.alg, DIGEST_SHA256); /* opaque */
	assert_int_equal(find(&t, "d/h")->type, 'h');
	assert_string_equal(find(&t, "d/h")->target, "d/f");
	AUTO(tree) layer = {0};
	assert_int_equal(tree_read_layer(fd, LAYER_TAR, &layer, &d, &e), 0);
	assert_true(digest_eq(&find(&t, "x")->xattrs, &find(&layer, "x")->xattrs));
	assert_true(digest_eq(&find(&t, "d/f")->digest, &find(&layer, "d/f")->digest));
	mem_close_cleanup(&fd);
	scratch_close(&s);
}

static void test_lists_survive_the_pipe(void **state)
{
	(void)state;
	AUTO(buf) b = VECTOR_BUF;
	AUTO(buf) once = VECTOR_BUF;
	AUTO(buf) twice = VECTOR_BUF;
	AUTO(tree) t = {0};
	AUTO(tree) back = {0};
	struct err e = ERR_INIT;
	struct digest d;
	vec_add(&b, (struct vec_entry){.name = "new\nline", .data = "x"});
	some_layer(&b);
	assert_int_equal(read_layer(&b, LAYER_TAR, &t, &d, &e), 0);
	tree_serialise(&t, &once);
	assert_int_equal(tree_parse(once.data, once.len, &back, &e), 0);
	tree_serialise(&back, &twice);
	assert_int_equal(once.len, twice.len);
	assert_memory_equal(once.data, twice.data, once.len);
	AUTO(tree) none = {0};
	AUTO(tree) none_back = {0};
	AUTO(buf) empty = VECTOR_BUF;
	tree_serialise(&none, &empty);
	assert_int_equal(tree_parse(empty.data, empty.len, &none_back, &e), 0);
	assert_int_equal(none_back.len, 0);
	/* Cut anywhere but between entries it is malformed. */
	for (size_t cut = 0; cut < once.len; cut++) {
		AUTO(tree) part = {0};
		AUTO(buf) again = VECTOR_BUF;
		if (tree_parse(once.data, cut, &part, &e) < 0) {
			assert_string_equal(e.id, "tree/malformed");
			continue;
		}
		tree_serialise(&part, &again);
		assert_int_equal(again.len, cut);
	}
}

#define HEAD "stacker-tree 1\0"
#define MALFORMED(text)                                                                        \
	{                                                                                      \
		text, sizeof(text) - 1                                                         \
	}

static void test_malformed_lists_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		MALFORMED(""),
		MALFORMED("stacker-tree 2\0"),
		MALFORMED(HEAD "x 420 0 0 0 0 0 - -\0f\0"),
		MALFORMED(HEAD "f 4096 0 0 0 0 0 - -\0f\0"),
		MALFORMED(HEAD "f 420 0 0 0 0 0 - - \0f\0"),
		MALFORMED(HEAD "f 420 -1 0 0 0 0 - -\0f\0"),
		MALFORMED(HEAD "f 420 0 0 0 0 0 md5:00 -\0f\0"),
		MALFORMED(HEAD "f 420 0 0 0 0 0 -\0f\0"),
		MALFORMED(HEAD "f 420 0 0 0 0 0 - -\0f"),
		MALFORMED(HEAD "l 511 0 0 0 0 0 - -\0f\0"),
		MALFORMED(HEAD "d 420 0 0 0 0 0 - -\0b\0d 420 0 0 0 0 0 - -\0a\0"),
		MALFORMED(HEAD "d 420 0 0 0 0 0 - -\0a\0d 420 0 0 0 0 0 - -\0a\0"),
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(tree) t = {0};
		struct err e = ERR_INIT;
		expect_id(tree_parse(rows[i].bytes, rows[i].len, &t, &e), &e, "tree/malformed");
	}
}

struct seen {
	struct buf text;
};

static void note(void *ctx, const struct tree_difference *d)
{
	struct seen *s = ctx;
	buf_addf(&s->text, "%s:%s%s%s ", d->path, d->field, d->a ? "" : " -a",
		 d->b ? "" : " -b");
}

static void test_every_difference_is_reported_in_order(void **state)
{
	(void)state;
	struct digest x, y;
	digest_bytes(DIGEST_SHA256, "x", 1, &x);
	digest_bytes(DIGEST_SHA256, "y", 1, &y);
	char name_a[] = "a", name_b[] = "b", name_c[] = "c", name_d[] = "d", name_e[] = "e",
	     to_1[] = "1", to_2[] = "2";
	struct tree_entry left[] = {
		{name_a, 'f', 0644, 0, 0, 0, 1, NULL, 0, x, {0}},
		{name_b, 'f', 0644, 0, 0, 0, 0, NULL, 0, x, {0}},
		{name_d, 'f', 0644, 0, 0, 0, 0, NULL, 0, x, x},
		{name_e, 'l', 0777, 0, 0, 0, 0, to_1, 0, {0}, {0}},
	};
	struct tree_entry right[] = {
		{name_a, 'f', 0755, 1, 2, 3, 4, NULL, 5, y, x},
		{name_c, 'd', 0755, 0, 0, 0, 0, NULL, 0, {0}, {0}},
		{name_d, 'd', 0755, 0, 0, 0, 0, NULL, 0, {0}, {0}},
		{name_e, 'l', 0777, 0, 0, 0, 0, to_2, 0, {0}, {0}},
	};
	const struct tree a = {left, ARRAY_LEN(left), ARRAY_LEN(left)};
	const struct tree b = {right, ARRAY_LEN(right), ARRAY_LEN(right)};
	struct seen s = {VECTOR_BUF};
	tree_compare(&a, &b, note, &s);
	assert_string_equal(buf_text(&s.text),
			    "a:mode a:uid a:gid a:mtime a:size a:content a:xattrs a:rdev "
			    "b:removed -b c:added -a d:type e:target ");
	buf_clear(&s.text);
	tree_compare(&a, &a, note, &s);
	assert_string_equal(buf_text(&s.text), "");
	buf_cleanup(&s.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_layer_as_a_list),
		cmocka_unit_test(test_the_list_refuses_what_unpacking_refuses),
		cmocka_unit_test(test_a_directory_as_a_list),
		cmocka_unit_test(test_lists_survive_the_pipe),
		cmocka_unit_test(test_malformed_lists_are_refused),
		cmocka_unit_test(test_every_difference_is_reported_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
