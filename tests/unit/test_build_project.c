/* Several stackerfiles as one project: which are read, in which order, and what each may see. */
#include "util_test.h"

#include "build/project.h"
#include "util/atomic_file.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

#define IMAGE(name) name ": {from: {type: scratch}}\n"
#define NEEDS(list) "config: {prerequisites: [" list "]}\n"

static void put(struct scratch *s, const char *path, const char *text)
{
	AUTO_FREE char *dir = mem_strdup(path);
	char *slash = strrchr(dir, '/');
	AUTO_CLOSE int fd = -1;
	struct err e = ERR_INIT;

	if (slash)
		*slash = '\0';
	assert_int_equal(path_make_dir(s->fd, slash ? dir : ".", 0755, &fd, &e), 0);
	assert_int_equal(
		atomic_file_write(fd, slash ? slash + 1 : dir, 0644, text, strlen(text), &e),
		0);
}

/* `names`: the asked files, separated by spaces. */
static int read_files(struct scratch *s, const char *names, struct project *ret, struct err *e)
{
	AUTO(strvec) paths = {0};
	AUTO_FREE char *rest = mem_strdup(names);
	char *state = NULL;

	for (char *name = strtok_r(rest, " ", &state); name;
	     name = strtok_r(NULL, " ", &state)) {
		AUTO_FREE char *path = mem_printf("%s/%s", s->path, name);
		strvec_push(&paths, path);
	}
	const struct project_options options = {.files = (const char *const *)paths.items,
						.files_len = paths.len,
						.default_arch = "amd64"};
	return project_read(&options, ret, e);
}

/* The files in order, each with its images: "sub/a.yaml: x y; b.yaml: z". */
static void expect_project(struct scratch *s, const char *names, const char *expected)
{
	struct err e = ERR_INIT;
	AUTO(project) p = {0};
	AUTO(buf) got = BUF_INIT(4096);

	if (read_files(s, names, &p, &e) < 0)
		fail_msg("%s:%u: %s", e.file, e.line, e.message);
	for (size_t i = 0; i < p.files.len; i++) {
		const struct project_file *f = &p.files.items[i];
		assert_true(str_has_prefix(f->absolute, s->path));
		buf_addf(&got, "%s%s:", i ? "; " : "", f->absolute + strlen(s->path) + 1);
		for (size_t k = 0; k < f->stackerfile.images.len; k++)
			buf_addf(&got, " %s", f->stackerfile.images.items[k].name);
	}
	assert_string_equal(buf_text(&got), expected);
}

static struct err expect_failure(struct scratch *s, const char *names, const char *id)
{
	struct err e = ERR_INIT;
	AUTO(project) p = {0};

	assert_int_equal(read_files(s, names, &p, &e), -1);
	if (!str_same(e.id, id))
		fail_msg("[%s] instead of [%s]: %s", e.id, id, e.message);
	assert_int_equal(p.files.len, 0);
	return e;
}

static void test_prerequisites_come_first(void **state)
{
	struct scratch *s = *state;

	put(s, "stacker.yaml",
	    NEEDS("lib/b.yaml, lib/a.yaml") "app: {from: {type: built, tag: a}, imports: "
					    "['stacker://deep/f', 'stacker://b/f']}\n");
	put(s, "lib/b.yaml", NEEDS("../deep.yaml") "b: {from: {type: built, tag: deep}}\n");
	put(s, "lib/a.yaml", IMAGE("a"));
	put(s, "deep.yaml", IMAGE("deep"));
	expect_project(s, "stacker.yaml",
		       "deep.yaml: deep; lib/a.yaml: a; lib/b.yaml: b; stacker.yaml: app");
}

/* Each is read once, by whatever name; files that need nothing keep the order of their paths. */
static void test_a_file_is_read_once(void **state)
{
	struct scratch *s = *state;

	put(s, "one.yaml", NEEDS("sub/../base.yaml, base.yaml") IMAGE("one"));
	put(s, "sub/two.yaml", NEEDS("../base.yaml") IMAGE("two"));
	put(s, "base.yaml", IMAGE("base"));
	put(s, "alone.yaml", IMAGE("alone"));
	assert_int_equal(symlinkat("sub", s->fd, "link"), 0);
	expect_project(s, "sub/two.yaml one.yaml link/two.yaml alone.yaml",
		       "alone.yaml: alone; base.yaml: base; one.yaml: one; sub/two.yaml: two");
}

static void test_a_file_may_hold_prerequisites_only(void **state)
{
	struct scratch *s = *state;

	put(s, "all.yaml", NEEDS("a.yaml"));
	put(s, "a.yaml", IMAGE("a"));
	expect_project(s, "all.yaml", "a.yaml: a; all.yaml:");
}

static void test_cycles_are_shown(void **state)
{
	struct scratch *s = *state;

	put(s, "entry.yaml", NEEDS("a.yaml") IMAGE("entry"));
	put(s, "a.yaml", NEEDS("ok.yaml, b.yaml") IMAGE("a"));
	put(s, "b.yaml", NEEDS("a.yaml") IMAGE("b"));
	put(s, "ok.yaml", IMAGE("ok"));
	struct err e = expect_failure(s, "entry.yaml", "recipe/prerequisite-cycle");
	const char *way = strstr(e.message, "a.yaml -> ");
	assert_non_null(way);
	assert_non_null(strstr(way, "b.yaml -> "));
	assert_true(str_has_suffix(way, "a.yaml"));
	assert_null(strstr(e.message, "ok.yaml"));
	assert_true(str_has_suffix(e.file, "/a.yaml"));
	assert_int_equal(e.line, 1);
	assert_int_equal(e.column, 35);

	put(s, "self.yaml", NEEDS("./self.yaml") IMAGE("self"));
	e = expect_failure(s, "self.yaml", "recipe/prerequisite-cycle");
	assert_non_null(strstr(e.message, "self.yaml -> "));
}

static void test_a_missing_file_is_named_where_it_is_asked_for(void **state)
{
	struct scratch *s = *state;

	put(s, "stacker.yaml", "config:\n  prerequisites:\n    - nowhere.yaml\n" IMAGE("a"));
	struct err e = expect_failure(s, "stacker.yaml", "system/call");
	assert_non_null(strstr(e.message, "nowhere.yaml"));
	assert_int_equal(e.line, 3);
	assert_int_equal(e.column, 7);
	put(s, "stacker.yaml", NEEDS("no/dir/x.yaml") IMAGE("a"));
	e = expect_failure(s, "stacker.yaml", "system/call");
	assert_non_null(strstr(e.message, "no/dir"));
	put(s, "stacker.yaml", NEEDS("''") IMAGE("a"));
	(void)expect_failure(s, "stacker.yaml", "recipe/bad-path");
	put(s, "stacker.yaml", NEEDS("dir/") IMAGE("a"));
	(void)expect_failure(s, "stacker.yaml", "recipe/bad-path");
	put(s, "stacker.yaml", NEEDS("[]") IMAGE("a"));
	(void)expect_failure(s, "stacker.yaml", "recipe/wrong-type");
	e = expect_failure(s, "https://example.org/stacker.yaml", "build/remote-stackerfile");
	assert_int_equal(e.code, ERR_USAGE);
}

static void test_names_are_unique_over_all_files(void **state)
{
	struct scratch *s = *state;

	put(s, "stacker.yaml", NEEDS("other.yaml") IMAGE("ok") IMAGE("same"));
	put(s, "other.yaml", IMAGE("same"));
	struct err e = expect_failure(s, "stacker.yaml", "recipe/duplicate-name");
	assert_non_null(strstr(e.message, "duplicate layer name"));
	assert_non_null(strstr(e.message, "other.yaml"));
	assert_int_equal(e.line, 3);
}

/* Nothing depends on what else happens to be built. */
static void test_only_prerequisites_are_seen(void **state)
{
	struct scratch *s = *state;

	put(s, "a.yaml", IMAGE("a"));
	put(s, "b.yaml", "b: {from: {type: built, tag: a}}\n");
	struct err e = expect_failure(s, "a.yaml b.yaml", "recipe/unresolved");
	assert_true(str_has_suffix(e.file, "/b.yaml"));
	put(s, "b.yaml", NEEDS("a.yaml") "b: {from: {type: built, tag: a}}\n");
	expect_project(s, "a.yaml b.yaml", "a.yaml: a; b.yaml: b");
	put(s, "a.yaml", "a: {from: {type: built, tag: b}}\n");
	e = expect_failure(s, "a.yaml b.yaml", "recipe/unresolved");
	assert_true(str_has_suffix(e.file, "/a.yaml"));
}

static void write_chain(struct scratch *s, int len)
{
	for (int i = 1; i <= len; i++) {
		AUTO_FREE char *name = mem_printf("f%d.yaml", i);
		AUTO_FREE char *text =
			i == len ? mem_strdup("last: {from: {type: scratch}}\n")
				 : mem_printf("config: {prerequisites: [f%d.yaml]}\n", i + 1);
		put(s, name, text);
	}
}

static void test_a_long_chain_reaches_the_limit(void **state)
{
	struct scratch *s = *state;
	struct err e = ERR_INIT;
	AUTO(project) p = {0};

	write_chain(s, LIMIT_STACKERFILES);
	assert_int_equal(read_files(s, "f1.yaml", &p, &e), 0);
	assert_int_equal(p.files.len, LIMIT_STACKERFILES);
	assert_true(str_has_suffix(p.files.items[0].path, "/f256.yaml"));
	write_chain(s, LIMIT_STACKERFILES + 1);
	e = expect_failure(s, "f1.yaml", "recipe/too-big");
	assert_int_equal(e.line, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
		T(test_prerequisites_come_first),
		T(test_a_file_is_read_once),
		T(test_a_file_may_hold_prerequisites_only),
		T(test_cycles_are_shown),
		T(test_a_missing_file_is_named_where_it_is_asked_for),
		T(test_names_are_unique_over_all_files),
		T(test_only_prerequisites_are_seen),
		T(test_a_long_chain_reaches_the_limit),
#undef T
	};
	return cmocka_run_group_tests_name("build/project", tests, NULL, NULL);
}
