/* Plans: what is needed, and what moves a recipe digest and what does not. */
#include "util_test.h"

#include "build/plan.h"
#include "util/atomic_file.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

struct fixture {
	struct scratch *scratch;
	struct build_context c;
};

static int set_up(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));
	struct err e = ERR_INIT;
	f->c = (struct build_context)BUILD_CONTEXT_INIT;
	void *scratch;
	if (scratch_setup(&scratch) < 0)
		return -1;
	f->scratch = scratch;
	if (path_make_private_dir(f->scratch->fd, "state", &f->c.state_fd, &e) < 0 ||
	    store_open(f->c.state_fd, &f->c.store, &e) < 0)
		return -1;
	digest_bytes(DIGEST_SHA256, "policy", 6, &f->c.policy_digest);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	void *scratch = f->scratch;
	build_context_cleanup(&f->c);
	free(f);
	return scratch_teardown(&scratch);
}

static void write_file(struct fixture *f, const char *name, const char *text)
{
	struct err e = ERR_INIT;
	if (atomic_file_write(f->scratch->fd, name, 0644, text, strlen(text), &e) < 0)
		fail_msg("%s", e.message);
}

static int make(struct fixture *f, const char *text, const char *name, struct plan *ret,
		struct err *e)
{
	write_file(f, "stacker.yaml", text);
	AUTO_FREE char *path = mem_printf("%s/stacker.yaml", f->scratch->path);
	const char *file = path;
	const struct plan_options options = {
		.files = &file, .files_len = 1, .names = &name, .names_len = name != NULL};
	return plan_make(&f->c, &options, ret, e);
}

static struct digest digest_of_image(struct fixture *f, const char *text, const char *image)
{
	struct err e = ERR_INIT;
	AUTO(plan) p = PLAN_INIT;
	if (make(f, text, NULL, &p, &e) < 0)
		fail_msg("%s\n%s", e.message, text);
	size_t i = plan_index(&p, image);
	assert_true(i < p.len);
	return p.images[i].digest;
}

#define THREE_IMAGES                                                                           \
	"top:\n  from: {type: built, tag: middle}\n"                                           \
	"middle:\n  from: {type: built, tag: base}\n  run: make\n  build_only: true\n"         \
	"base:\n  from: {type: scratch}\n  imports:\n    - {path: data, dest: /data}\n"        \
	"other:\n  from: {type: scratch}\n"

static void test_only_what_is_needed_is_planned(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	AUTO(plan) p = PLAN_INIT;
	write_file(f, "data", "x");
	assert_int_equal(make(f, THREE_IMAGES, "middle", &p, &e), 0);
	assert_int_equal(p.len, 4);
	assert_true(p.images[plan_index(&p, "base")].needed);
	assert_false(p.images[plan_index(&p, "base")].wanted);
	assert_true(p.images[plan_index(&p, "middle")].wanted);
	assert_false(p.images[plan_index(&p, "top")].needed);
	assert_false(p.images[plan_index(&p, "other")].needed);
	assert_true(plan_index(&p, "base") < plan_index(&p, "middle"));
}

static void test_the_closure_of_an_image(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	AUTO(plan) p = PLAN_INIT;
	write_file(f, "data", "x");
	assert_int_equal(make(f, THREE_IMAGES, NULL, &p, &e), 0);
	struct plan_closure closure = {0};
	plan_closure_of(&p, plan_index(&p, "top"), &closure);
	assert_int_equal(closure.len, 3);
	assert_int_equal(closure.items[0], plan_index(&p, "base"));
	assert_int_equal(closure.items[2], plan_index(&p, "top"));
	vec_free(&closure);
}

static void test_an_unknown_image_is_a_usage_error_with_the_names(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	AUTO(plan) p = PLAN_INIT;
	write_file(f, "data", "x");
	assert_int_equal(make(f, THREE_IMAGES, "tpo", &p, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	assert_non_null(strstr(e.hint, "top"));
}

static void test_a_local_file_moves_every_digest_above_it(void **state)
{
	struct fixture *f = *state;
	write_file(f, "data", "x");
	struct digest before = digest_of_image(f, THREE_IMAGES, "top");
	struct digest other = digest_of_image(f, THREE_IMAGES, "other");
	struct digest again = digest_of_image(f, THREE_IMAGES, "top");
	assert_true(digest_eq(&before, &again));
	write_file(f, "data", "y");
	struct digest after = digest_of_image(f, THREE_IMAGES, "top");
	struct digest other_after = digest_of_image(f, THREE_IMAGES, "other");
	assert_false(digest_eq(&before, &after));
	assert_true(digest_eq(&other, &other_after));
}

static void test_the_policy_moves_every_digest(void **state)
{
	struct fixture *f = *state;
	const char *text = "a:\n  from: {type: scratch}\n";
	struct digest before = digest_of_image(f, text, "a");
	digest_bytes(DIGEST_SHA256, "stricter", 8, &f->c.policy_digest);
	struct digest after = digest_of_image(f, text, "a");
	assert_false(digest_eq(&before, &after));
}

static void test_an_absent_import_is_named_with_its_place(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	AUTO(plan) p = PLAN_INIT;
	assert_int_equal(make(f, "a:\n  from: {type: scratch}\n  imports:\n    - nowhere\n",
			      NULL, &p, &e),
			 -1);
	assert_non_null(strstr(e.message, "nowhere"));
	assert_int_equal(e.line, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(test_only_what_is_needed_is_planned),
		T(test_the_closure_of_an_image),
		T(test_an_unknown_image_is_a_usage_error_with_the_names),
		T(test_a_local_file_moves_every_digest_above_it),
		T(test_the_policy_moves_every_digest),
		T(test_an_absent_import_is_named_with_its_place),
#undef T
	};
	return cmocka_run_group_tests_name("build/plan", tests, NULL, NULL);
}
