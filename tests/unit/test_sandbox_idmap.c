/* Subordinate ids: which lines count, and where the limits of a range lie. */
#include "sandbox_fixture.h"

#include <sched.h>
#include <sys/syscall.h>

#include "sandbox/check.h"
#include "sandbox/idmap_internal.h"

static void expect_range(const char *text, bool found, uint32_t first)
{
	uint32_t got = 7;
	bool got_found;
	expect_ok(idmap_subids_parse(text, strlen(text), "subuid", "ann", 1000, 65535, &got,
				     &got_found, &err));
	assert_int_equal(got_found, found);
	assert_int_equal(got, found ? first : 7);
}

static void test_ranges(void **state)
{
	(void)state;
	expect_range("", false, 0);
	expect_range("ann:100000:65536\n", true, 100000);
	expect_range("ann:100000:65536", true, 100000);
	expect_range("# ids\n\nbob:1:65536\nann:165536:65536\n", true, 165536);
	expect_range("1000:200000:65535\n", true, 200000);
	expect_range("ann:100000:65534\n", false, 0);
	expect_range("ann:100000:1\nann:300000:65535\n", true, 300000);
	expect_range("anna:100000:65536\nan:1:65536\n", false, 0);
	expect_range("ann:0:65536\n", false, 0);
	expect_range("ann:4294901760:65535\n", true, 4294901760u);
	expect_range("ann:4294901761:65535\n", false, 0);
}

static void test_malformed(void **state)
{
	(void)state;
	static const char *const cases[] = {
		"ann\n",
		"ann:1\n",
		":1:65536\n",
		"ann:1:2:3\n",
		"ann:-1:65536\n",
		"ann:0x1:65536\n",
		"ann: 1:65536\n",
		"ann:01:65536\n",
		"ann:1:\n",
		"ann:4294967296:65536\n",
		"bob:x:1\nann:1:65536\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t first;
		bool found;
		expect_err(idmap_subids_parse(cases[i], strlen(cases[i]), "subuid", "ann", 1000,
					      65535, &first, &found, &err),
			   "sandbox/subid-file");
	}
}

static void test_found(void **state)
{
	(void)state;
	AUTO(sandbox_idmap) m = {0};
	expect_ok(sandbox_idmap_find(&m, &err));
	assert_int_equal(m.uid_first, geteuid() == 0 ? SANDBOX_ROOT_ID_BASE : geteuid());
	assert_true(m.uid_rest > 0 && m.gid_rest > 0);
	if (geteuid() == 0)
		assert_int_equal(m.uid_rest, SANDBOX_ROOT_ID_BASE + 1);
}

static void note_failure(void *ctx, const struct sandbox_requirement *r)
{
	(void)ctx;
	if (r->required && !r->ok)
		print_error("%s: %s\n", r->id, r->detail);
}

/* What verify does: everything inside a namespace that maps our own ids to themselves. There we
 * are not root, hold CAP_SETUID, and must find and write the very same maps, without a helper.
 */
static int inside_identity(const struct sandbox_idmap *outer)
{
	AUTO(sandbox_idmap) m = {0};
	if (sandbox_idmap_find(&m, &err) < 0 || m.uid_first != outer->uid_first ||
	    m.gid_first != outer->gid_first || m.uid_rest != outer->uid_rest ||
	    m.gid_rest != outer->gid_rest)
		return 2;
	return sandbox_check(&fx.policy, fx.roots_fd, note_failure, NULL) != 0;
}

static void test_inside_identity(void **state)
{
	(void)state;
	AUTO(sandbox_idmap) m = {0};
	int ready[2], go[2], status;
	char byte = 0;
	if (geteuid() == 0)
		return; /* root's own way is direct anyway */
	fixture_start(&fx);
	expect_ok(sandbox_idmap_find(&m, &err));
	assert_int_equal(pipe(ready) | pipe(go), 0);
	pid_t pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || write(ready[1], "", 1) != 1 ||
		    read(go[0], &byte, 1) != 1)
			_exit(10);
		_exit(inside_identity(&m));
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	expect_ok(sandbox_idmap_write_identity(&m, pid, &err));
	assert_int_equal(write(go[1], "", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(go[i]);
	}
	fixture_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_inside_identity),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	return (failed != 0) | (again_as_user() != 0);
}
