/* The probes: all well on a good directory, and each failure named with its remedy. */
#include "sandbox_fixture.h"

#include "sandbox/check.h"

struct seen {
	char ids[512];
	unsigned failed_required;
	char remedy[256];
};

static void note(void *ctx, const struct sandbox_requirement *r)
{
	struct seen *s = ctx;
	size_t len = strlen(s->ids);
	snprintf(s->ids + len, sizeof(s->ids) - len, "%s ", r->id);
	assert_true(r->detail[0] != '\0');
	if (r->required && !r->ok) {
		s->failed_required++;
		snprintf(s->remedy, sizeof(s->remedy), "%s", r->remedy);
		print_message("# %s: %s\n", r->id, r->detail);
	}
}

static void test_all_well(void **state)
{
	(void)state;
	struct seen s = {.ids = ""};
	fixture_start(&fx);
	assert_int_equal(sandbox_check(&fx.policy, fx.roots_fd, note, &s), 0);
	assert_string_equal(
		s.ids, "kernel userns newuidmap worker roots-dir whiteout xattr overlay step "
		       "landlock cgroup core-pattern ");
	/* Nothing is left behind. */
	AUTO_FREE char *roots = path_join(fx.dir, "roots");
	shell("[ -z \"$(ls -A $1)\" ]", roots);
	fixture_end(&fx);
}

static void test_unwritable_roots(void **state)
{
	(void)state;
	struct seen s = {.ids = ""};
	fixture_start(&fx);
	AUTO_CLOSE int proc =
		openat(AT_FDCWD, "/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(sandbox_check(&fx.policy, proc, note, &s), 4);
	assert_int_equal(s.failed_required, 4);
	fixture_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_well),
		cmocka_unit_test(test_unwritable_roots),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	return (failed != 0) | (again_as_user() != 0);
}
