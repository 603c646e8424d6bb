/* The public API from outside: only its header is used, on a real build and verification. */
#include "util_test.h"

#include <stacker/stacker.h>

#include "util/proc.h"

struct fixture {
	struct scratch *scratch;
	char *state, *roots, *oci, *file;
	struct stacker *s;
};

static int set_up(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));
	void *scratch;
	if (scratch_setup(&scratch) < 0)
		return -1;
	f->scratch = scratch;
	f->state = path_join(f->scratch->path, "state");
	f->roots = path_join(f->scratch->path, "roots");
	f->oci = path_join(f->scratch->path, "oci");
	f->file = path_join(f->scratch->path, "stacker.yaml");
	const struct stacker_options options = {.size = sizeof(options),
						.state_dir = f->state,
						.roots_dir = f->roots,
						.oci_dir = f->oci};
	if (stacker_open(&options, &f->s) < 0) {
		print_error("%s\n", stacker_error(f->s));
		return -1;
	}
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	void *scratch = f->scratch;
	stacker_close(f->s);
	free(f->state);
	free(f->roots);
	free(f->oci);
	free(f->file);
	free(f);
	return scratch_teardown(&scratch);
}

static void note_built(void *ctx, const char *image, const char *recipe, const char *manifest)
{
	char *text = ctx;
	snprintf(text, 256, "%s %.7s %s", image, recipe, manifest);
}

static void test_build_then_verify(void **state)
{
	struct fixture *f = *state;
	char built[256] = "";
	put_file(f->scratch->fd, "data", "hello\n");
	put_file(f->scratch->fd, "stacker.yaml",
		 "app:\n  from: {type: scratch}\n  imports:\n    - {path: data, dest: /}\n");
	const struct stacker_build_options build = {.size = sizeof(build), .file = f->file};
	if (stacker_build(f->s, &build, note_built, built) < 0)
		fail_msg("%s", stacker_error(f->s));
	assert_int_equal(strncmp(built, "app sha256: sha256:", 18), 0);
	const struct stacker_verify_options verify = {.size = sizeof(verify), .file = f->file};
	enum stacker_verdict verdict = STACKER_DIFFERS;
	char *report = NULL;
	if (stacker_verify(f->s, &verify, &verdict, &report) < 0)
		fail_msg("%s", stacker_error(f->s));
	assert_int_equal(verdict, STACKER_REPRODUCED);
	assert_non_null(strstr(report, "\"verdict\":\"reproduced\""));
	free(report);
}

static void test_substitutions(void **state)
{
	struct fixture *f = *state;
	static const char *const wrong[] = {"OTHER=x"};
	static const char *const right[] = {"KIND=scratch"};
	put_file(f->scratch->fd, "stacker.yaml", "app:\n  from: {type: \"${{KIND}}\"}\n");
	struct stacker_build_options build = {.size = sizeof(build),
					      .file = f->file,
					      .substitutions = wrong,
					      .substitutions_len = 1};
	assert_int_equal(stacker_build(f->s, &build, NULL, NULL), -1);
	assert_string_equal(stacker_error_id(f->s), "recipe/no-substitution");
	build.substitutions = right;
	char built[256] = "";
	if (stacker_build(f->s, &build, note_built, built) < 0)
		fail_msg("%s", stacker_error(f->s));
	assert_int_equal(strncmp(built, "app ", 4), 0);
	build.size = offsetof(struct stacker_build_options, substitutions);
	assert_int_equal(stacker_build(f->s, &build, NULL, NULL), -1);
	assert_string_equal(stacker_error_id(f->s), "recipe/no-substitution");
}

static void test_errors_name_the_problem(void **state)
{
	struct fixture *f = *state;
	put_file(f->scratch->fd, "stacker.yaml", "app:\n  from: {type: scratch}\n  rnu: x\n");
	const struct stacker_build_options build = {.size = sizeof(build), .file = f->file};
	assert_int_equal(stacker_build(f->s, &build, NULL, NULL), -1);
	assert_string_equal(stacker_error_id(f->s), "recipe/unknown-directive");
	assert_non_null(strstr(stacker_error_hint(f->s), "run"));
}

static void test_a_foreign_option_struct_is_refused(void **state)
{
	struct fixture *f = *state;
	const struct stacker_build_options build = {.size = 4, .file = f->file};
	assert_int_equal(stacker_build(f->s, &build, NULL, NULL), -1);
	assert_string_equal(stacker_error_id(f->s), "api/options");
}

int main(void)
{
	/* The signal descriptor is made once and kept: not a leak of the test that comes first.
	 */
	(void)proc_interrupt_fd();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_build_then_verify, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_substitutions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_errors_name_the_problem, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_foreign_option_struct_is_refused, set_up,
						tear_down),
	};
	return cmocka_run_group_tests_name("api/stacker", tests, NULL, NULL);
}
