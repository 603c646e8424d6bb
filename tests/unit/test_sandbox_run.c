/* Steps: their end, their output, their surroundings, and what is left of them. */
#include "sandbox_fixture.h"

#include <sys/prctl.h>
#include <sys/stat.h>

#include "sandbox/outer_internal.h"

#define expect_step(script, wanted)                                                            \
	do {                                                                                   \
		int code_ = fixture_step(&fx, "#!/bin/sh\n" script);                           \
		assert_string_equal(buf_text(&fx.output), (wanted));                           \
		assert_int_equal(code_, 0);                                                    \
	} while (0)

static void test_exit_codes(void **state)
{
	(void)state;
	assert_int_equal(fixture_step(&fx, "#!/bin/sh\nexit 0\n"), 0);
	assert_int_equal(fixture_step(&fx, "#!/bin/sh\nexit 7\n"), 7);
	assert_int_equal(fixture_step(&fx, "#!/bin/sh\nkill -9 $$\n"), 137);
	assert_int_equal(fixture_step(&fx, "#!/bin/sh\nkill -TERM $$\n"), 143);
}

static void test_output_order(void **state)
{
	(void)state;
	expect_step("echo one; echo two >&2; echo three", "one\ntwo\nthree\n");
}

static void test_surroundings(void **state)
{
	(void)state;
	expect_step("id -u; id -g; id -G; pwd; umask; cat /etc/issue; echo $0; env",
		    "0\n0\n0\n/\n0022\nbase\n/stacker/run\nHOME=/root\nPATH=/bin\nPWD=/\n");
	expect_step("cat /proc/sys/kernel/hostname 2>/dev/null; echo /sys/*; echo /run/*; echo "
		    "/tmp/*;"
		    "echo /stacker/*; cat /etc/hosts",
		    "/sys/*\n/run/*\n/tmp/*\n/stacker/imports /stacker/run\n"
		    "127.0.0.1 localhost stacker\n::1 localhost stacker\n");
	expect_step("echo /dev/*; echo /dev/pts/*; ls /proc | grep -v '[0-9]'; echo; ls "
		    "/proc/self/fd | wc -l",
		    "/dev/fd /dev/full /dev/null /dev/ptmx /dev/pts /dev/random /dev/shm "
		    "/dev/stderr "
		    "/dev/stdin /dev/stdout /dev/tty /dev/urandom /dev/zero\n/dev/pts/ptmx\n"
		    "self\nthread-self\n\n4\n");
	expect_step("stat -c '%n %a %u' / /tmp /run /dev /sys /stacker /dev/shm",
		    "/ 755 0\n/tmp 1777 0\n/run 755 0\n/dev 755 0\n/sys 555 0\n"
		    "/stacker 755 0\n/dev/shm 1777 0\n");
	expect_step("ulimit -c; ulimit -n; ulimit -p; ulimit -l; ulimit -s",
		    "0\n1024\n8192\n64\n8192\n");
	expect_step(
		"[ -c /dev/null ] && echo x > /dev/null && read -r x < /dev/null || echo eof",
		"eof\n");
}

static void test_writes(void **state)
{
	(void)state;
	struct stat st;
	expect_step("echo x > /new; chown 1000:1000 /new; rm /etc/issue; echo x > /tmp/gone;"
		    "mkdir /etc/d; ln /new /link; chmod 4755 /new",
		    "");
	assert_int_equal(fstatat(fx.roots_fd, "upper/new", &st, 0), 0);
	assert_int_equal(st.st_uid, fx.ids.uid_rest + 999);
	assert_int_equal(st.st_mode & 07777, 04755);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(fstatat(fx.roots_fd, "upper/etc/issue", &st, 0), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(faccessat(fx.roots_fd, "base/etc/issue", F_OK, 0), 0);
	/* Mount points are the skeleton's, never the layer's. */
	static const char *const absent[] = {"upper/tmp",      "upper/dev", "upper/proc",
					     "upper/sys",      "upper/run", "upper/stacker",
					     "upper/etc/hosts"};
	for (size_t i = 0; i < ARRAY_LEN(absent); i++)
		assert_int_equal(faccessat(fx.roots_fd, absent[i], F_OK, AT_SYMLINK_NOFOLLOW),
				 -1);
}

static void test_read_only_places(void **state)
{
	(void)state;
	expect_step("for f in /dev/x /sys/x /stacker/x /stacker/imports/x /etc/hosts "
		    "/stacker/run; do"
		    " (echo x >> $f) 2>/dev/null && echo $f; done; rm /etc/hosts 2>/dev/null "
		    "|| echo kept",
		    "kept\n");
}

static void test_imports(void **state)
{
	(void)state;
	AUTO_FREE char *dir = path_join(fx.dir, "roots/imports");
	struct sandbox_result result;
	shell("mkdir $1; echo data > $1/file; printf '#!/bin/sh\necho ran\n' > $1/tool; chmod "
	      "755 $1/tool",
	      dir);
	fixture_own(&fx);
	fixture_renew(&fx);
	struct sandbox_spec spec =
		fixture_spec(&fx, "#!/bin/sh\ncat /stacker/imports/file; /stacker/imports/tool;"
				  "(echo x > /stacker/imports/file) 2>/dev/null || echo ro;"
				  "grep -c stacker-test /proc/self/mountinfo\n");
	spec.imports = "imports";
	expect_ok(sandbox_run(&spec, &result, &err));
	assert_string_equal(buf_text(&fx.output), "data\nran\nro\n0\n");
}

static void test_imports_beside_and_labels(void **state)
{
	(void)state;
	AUTO_FREE char *dir = path_join(fx.dir, "roots/beside");
	struct sandbox_result result;
	shell("mkdir $1; echo data > $1/file", dir);
	fixture_own(&fx);
	fixture_renew(&fx);
	struct sandbox_spec spec = fixture_spec(
		&fx, "#!/bin/sh\necho $0; cat /stacker/file /stacker/imports/file;"
		     "for f in /stacker/x /stacker/file /stacker/imports/file /stacker/run; do"
		     " (echo x >> $f) 2>/dev/null && echo $f; done; ls /stacker\n");
	spec.imports = "beside";
	spec.imports_beside = true;
	expect_ok(sandbox_run(&spec, &result, &err));
	assert_string_equal(buf_text(&fx.output),
			    "/stacker/run\ndata\ndata\nfile\nimports\nrun\n");
	fixture_renew(&fx);
	spec = fixture_spec(&fx, "#!/bin/sh\nreadlink /stacker/oci-labels\n");
	spec.labels = "/somewhere";
	expect_ok(sandbox_run(&spec, &result, &err));
	assert_string_equal(buf_text(&fx.output), "/somewhere\n");
}

static void test_layers_stack(void **state)
{
	(void)state;
	AUTO_FREE char *dir = path_join(fx.dir, "roots/second");
	const char *const lowers[] = {"second", "base"};
	struct sandbox_result result;
	shell("mkdir -p $1/etc; echo second > $1/etc/issue", dir);
	fixture_own(&fx);
	fixture_renew(&fx);
	struct sandbox_spec spec = fixture_spec(&fx, "#!/bin/sh\ncat /etc/issue\n");
	spec.lowers = lowers;
	spec.lowers_len = 2;
	expect_ok(sandbox_run(&spec, &result, &err));
	assert_string_equal(buf_text(&fx.output), "second\n");
}

static void test_many_layers(void **state)
{
	(void)state;
	enum { LAYERS = 499 };
	const char *lowers[LAYERS + 1];
	struct sandbox_result result;
	AUTO_FREE char *dir = path_join(fx.dir, "roots");
	shell("cd $1; seq -f layer-%060g 1 498 | xargs mkdir", dir);
	fixture_own(&fx);
	fixture_renew(&fx);
	for (size_t i = 0; i < LAYERS; i++)
		lowers[i] = i == LAYERS - 1 ? mem_strdup("base")
					    : mem_printf("layer-%060zu", i + 1);
	lowers[LAYERS] = "base";
	struct sandbox_spec spec = fixture_spec(&fx, "#!/bin/sh\ncat /etc/issue\n");
	spec.lowers = lowers;
	spec.lowers_len = LAYERS;
	expect_ok(sandbox_run(&spec, &result, &err));
	assert_string_equal(buf_text(&fx.output), "base\n");
	spec.lowers_len = LAYERS + 1;
	expect_err(sandbox_run(&spec, &result, &err), "sandbox/too-many-layers");
	for (size_t i = 0; i < LAYERS; i++)
		mem_free_cleanup(&lowers[i]);
}

static void expect_exec_error(const char *script, const char *message)
{
	struct sandbox_result result;
	fixture_renew(&fx);
	struct sandbox_spec spec = fixture_spec(&fx, script);
	expect_err(sandbox_run(&spec, &result, &err), "sandbox/exec");
	assert_string_equal(err.message, message);
}

static void test_exec_errors(void **state)
{
	(void)state;
	expect_exec_error(
		"#!/bin/none -e\n",
		"step of 'test': script interpreter '/bin/none' not found in the image");
	expect_exec_error("#! /etc/issue\n",
			  "step of 'test': script interpreter '/etc/issue' cannot be executed");
	expect_exec_error("echo no interpreter\n",
			  "step of 'test': the script of a step has no interpreter line");
}

static void test_hostile_mountpoints(void **state)
{
	(void)state;
	static const char *const cases[] = {
		"ln -s /etc $1/dev",	"ln -s ../../victim $1/proc",	       "touch $1/sys",
		"ln -s / $1/tmp",	"mkdir $1/etc; ln -s /x $1/etc/hosts", "ln -s . $1/run",
		"ln -s bin $1/stacker", "mkdir $1/d; ln -s d $1/etc",
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *name = mem_printf("hostile-%zu", i);
		AUTO_FREE char *dir = mem_printf("%s/roots/%s", fx.dir, name);
		const char *const lowers[] = {name, "base"};
		struct sandbox_result result;
		shell("mkdir $1", dir);
		shell(cases[i], dir);
		fixture_own(&fx);
		fixture_renew(&fx);
		struct sandbox_spec spec = fixture_spec(&fx, "#!/bin/sh\nexit 0\n");
		spec.lowers = lowers;
		spec.lowers_len = 2;
		expect_err(sandbox_run(&spec, &result, &err), "sandbox/mountpoint");
	}
}

static void test_time_limit(void **state)
{
	(void)state;
	struct sandbox_result result;
	struct sandbox_limits limits = {.wall_ms = 300};
	fixture_renew(&fx);
	struct sandbox_spec spec = fixture_spec(&fx, "#!/bin/sh\nexec >&- 2>&-\nsleep 100\n");
	spec.limits = &limits;
	uint64_t before = clock_monotonic_ms();
	expect_err(sandbox_run(&spec, &result, &err), "sandbox/time-limit");
	assert_int_equal(result.evidence.limit, SANDBOX_LIMIT_TIME);
	assert_in_range(clock_monotonic_ms() - before, 300, 5000);
}

static void test_log_limit(void **state)
{
	(void)state;
	static const struct {
		uint64_t cap;
		bool over;
	} cases[] = {{5, true}, {6, false}};
	struct sandbox_result result;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		fixture_renew(&fx);
		struct sandbox_spec spec = fixture_spec(&fx, "#!/bin/sh\necho 12345\n");
		const struct sandbox_limits limits = {.log_bytes = cases[i].cap};
		spec.limits = &limits;
		if (cases[i].over)
			expect_err(sandbox_run(&spec, &result, &err), "sandbox/log-limit");
		else
			expect_ok(sandbox_run(&spec, &result, &err));
		assert_int_equal(result.evidence.limit,
				 cases[i].over ? SANDBOX_LIMIT_LOG : SANDBOX_LIMIT_NONE);
		assert_int_equal(fx.output.len, cases[i].cap);
	}
	fixture_renew(&fx);
	struct sandbox_spec flood = fixture_spec(&fx, "#!/bin/sh\nwhile :; do echo y; done\n");
	const struct sandbox_limits mib = {.log_bytes = MIB};
	flood.limits = &mib;
	expect_err(sandbox_run(&flood, &result, &err), "sandbox/log-limit");
	assert_int_equal(fx.output.len, MIB);
}

static void test_orphans(void **state)
{
	(void)state;
	uint64_t before = clock_monotonic_ms();
	expect_step("for i in $(seq 50); do (trap '' TERM HUP; setsid sleep 1000) >&- 2>&- & "
		    "done; echo done",
		    "done\n");
	/* Not waited for, and nothing of the namespace is left: its pid 1 was reaped last. */
	assert_in_range(clock_monotonic_ms() - before, 0, 10000);
}

static void test_supervisor_killed(void **state)
{
	(void)state;
	int status;
	fixture_renew(&fx);
	pid_t pid = fork();
	if (pid == 0) {
		struct sandbox_result result;
		struct sandbox_spec spec = fixture_spec(
			&fx, "#!/bin/sh\necho started > /started\n"
			     "for i in $(seq 20); do setsid sleep 1000 & done; sleep 1000\n");
		_exit(sandbox_run(&spec, &result, &err) < 0);
	}
	for (int i = 0; i < 500 && faccessat(fx.roots_fd, "upper/started", F_OK, 0) != 0; i++)
		poll(NULL, 0, 10);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* Orphans of ours come to us (subreaper): pid 1 of the sandbox, then nobody. */
	uint64_t before = clock_monotonic_ms();
	while (waitpid(-1, &status, 0) > 0)
		;
	assert_int_equal(errno, ECHILD);
	assert_in_range(clock_monotonic_ms() - before, 0, 1000);
}

/* At any moment of a start, also while the ids of a user are mapped for the first time: nobody
 * is left over. */
static void test_supervisor_killed_early(void **state)
{
	(void)state;
	enum { MOMENTS = 80, EACH_NS = 60000 };
	for (int i = 0; i < MOMENTS; i++) {
		int status;
		fixture_renew(&fx);
		pid_t pid = fork();
		if (pid == 0) {
			struct sandbox_idmap fresh;
			struct sandbox_result result;
			struct sandbox_spec spec = fixture_spec(&fx, "#!/bin/sh\nsleep 1000\n");
			if (i % 2 == 0 && sandbox_idmap_find(&fresh, &err) == 0)
				spec.idmap = &fresh;
			_exit(sandbox_run(&spec, &result, &err) < 0);
		}
		const struct timespec moment = {.tv_nsec = (long)i * EACH_NS};
		nanosleep(&moment, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		uint64_t before = clock_monotonic_ms();
		while (waitpid(-1, &status, 0) > 0)
			;
		assert_int_equal(errno, ECHILD);
		assert_in_range(clock_monotonic_ms() - before, 0, 1000);
	}
}

static void test_interruption(void **state)
{
	(void)state;
	int status;
	fixture_renew(&fx);
	pid_t pid = fork();
	if (pid == 0) {
		struct sandbox_result result;
		struct sandbox_spec spec =
			fixture_spec(&fx, "#!/bin/sh\necho x > /started\nsleep 100\n");
		proc_interrupt_fd();
		int r = sandbox_run(&spec, &result, &err);
		_exit(r == -1 && err.code == ERR_INTERRUPTED ? 0 : 1);
	}
	for (int i = 0; i < 500 && faccessat(fx.roots_fd, "upper/started", F_OK, 0) != 0; i++)
		poll(NULL, 0, 10);
	kill(pid, SIGINT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* The numbers of namespaces are used again, so two can be compared only while both live. */
struct two_steps {
	bool is_second;
	char names[2][64];
};

static void note_namespace(void *ctx, const char *bytes, size_t len)
{
	struct two_steps *t = ctx;
	char *name = t->names[t->is_second];
	if (name[0] != '\0')
		return;
	snprintf(name, sizeof(t->names[0]), "%.*s", (int)len, bytes);
	if (t->is_second)
		return;
	t->is_second = true;
	fixture_dir(&fx, "upper2");
	fixture_dir(&fx, "work2");
	struct sandbox_result result;
	struct sandbox_spec spec =
		fixture_spec(&fx, "#!/bin/sh\nreadlink /proc/self/ns/user\n");
	spec.upper = "upper2";
	spec.work = "work2";
	spec.output = note_namespace;
	spec.ctx = t;
	expect_ok(sandbox_run(&spec, &result, &err));
	assert_int_equal(result.exit_code, 0);
}

/* What the sandboxes of an ordinary user have in common holds none of them. */
static void test_own_user_namespaces(void **state)
{
	(void)state;
	struct two_steps two = {0};
	struct sandbox_result result;
	struct stat st;
	int outer_fd;
	char outer[64] = "none";
	fixture_renew(&fx);
	struct sandbox_spec spec =
		fixture_spec(&fx, "#!/bin/sh\nreadlink /proc/self/ns/user; sleep 1000\n");
	const struct sandbox_limits brief = {.wall_ms = 1000};
	spec.output = note_namespace;
	spec.ctx = &two;
	spec.limits = &brief;
	expect_err(sandbox_run(&spec, &result, &err), "sandbox/time-limit");
	expect_ok(outer_open(&fx.ids, &outer_fd, &err));
	assert_int_equal(outer_fd < 0, geteuid() == 0);
	if (outer_fd >= 0 && fstat(outer_fd, &st) == 0)
		snprintf(outer, sizeof(outer), "user:[%lu]\n", (unsigned long)st.st_ino);
	assert_memory_equal(two.names[0], "user:[", 6);
	assert_memory_equal(two.names[1], "user:[", 6);
	assert_string_not_equal(two.names[0], two.names[1]);
	assert_string_not_equal(two.names[0], outer);
	assert_string_not_equal(two.names[1], outer);
}

/* Whoever the caller is, a step finds the same map. */
static void test_id_maps(void **state)
{
	(void)state;
	AUTO_FREE char *want = mem_printf("0 %u 1\n1 %u 65535\n", SANDBOX_ROOT_ID_BASE,
					  SANDBOX_ROOT_ID_BASE + 1);
	AUTO_FREE char *twice = mem_printf("%s%s", want, want);
	expect_step("while read -r a b c; do echo $a $b $c; done </proc/self/uid_map;"
		    "while read -r a b c; do echo $a $b $c; done </proc/self/gid_map",
		    twice);
}

/* Threads on this machine: the fourth field of /proc/loadavg is "RUNNING/ALL". */
static unsigned tasks_of_machine(void)
{
	unsigned all = 0;
	FILE *f = fopen("/proc/loadavg", "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*s %*s %*s %*u/%u", &all), 1);
	fclose(f);
	return all;
}

/* The limit holds for the sandbox as a whole, not for each of its ids, and counts what else root
 * runs, or the sandboxes of a user: of processes that have an id each, not all can be made. */
static void test_fork_bomb(void **state)
{
	(void)state;
	uint64_t kept = fx.policy.limits.nproc;
	unsigned others = geteuid() == 0 ? tasks_of_machine() : 0;
	AUTO_FREE char *script =
		mem_printf("#!/bin/sh\ni=0; while [ $i -lt %u ]; do i=$((i+1));"
			   " chroot --userspec=$i:$i / sleep 100 & done; echo all\n",
			   others + 120);
	fx.policy.limits.nproc = others + 100;
	fixture_renew(&fx);
	struct sandbox_result result;
	const struct sandbox_limits none = {0};
	struct sandbox_spec spec = fixture_spec(&fx, script);
	spec.limits = &none;
	expect_ok(sandbox_run(&spec, &result, &err));
	assert_non_null(strstr(buf_text(&fx.output), "Cannot fork"));
	fx.policy.limits.nproc = kept;
	assert_int_equal(fixture_step(&fx, "#!/bin/sh\nsleep 0 & wait\n"), 0);
}

static void test_evidence(void **state)
{
	(void)state;
	struct sandbox_result result;
	char name[EVIDENCE_NAME_MAX];
	fixture_renew(&fx);
	struct sandbox_spec spec = fixture_spec(
		&fx, "#!/bin/sh\ncat /bin/id > /x; chmod 4755 /x; /x -u; cd /; ./x -u\n"
		     "chroot --userspec=33:44 / id -u\n");
	expect_ok(sandbox_run(&spec, &result, &err));
	assert_string_equal(buf_text(&fx.output), "0\n0\n33\n");
	const struct sandbox_evidence *ev = &result.evidence;
	assert_true(ev->watched);
	assert_int_equal(ev->limit, SANDBOX_LIMIT_NONE);
	assert_int_equal(ev->programs_len, 2);
	assert_string_equal(ev->programs[0].path, "/x");
	assert_string_equal(ev->programs[1].path, "./x");
	assert_int_equal(ev->programs[0].mode, 04755);
	bool seen = false;
	for (size_t i = 0; i < ev->set_ids_len; i++)
		seen |= strcmp(sandbox_call_name(ev->set_ids[i].number, name), "setuid") == 0 &&
			ev->set_ids[i].ids[0] == 33;
	assert_true(seen);
	assert_int_equal(ev->dedicated_ids, geteuid() == 0);
	assert_true(ev->kernel[0] != '\0');
}

static void test_speed(void **state)
{
	(void)state;
	uint64_t best = UINT64_MAX, sum = 0;
	enum { RUNS = 10 };
	for (int i = 0; i < RUNS; i++) {
		struct sandbox_result result;
		fixture_renew(&fx);
		struct sandbox_spec spec = fixture_spec(&fx, "#!/bin/sh\nexit 0\n");
		expect_ok(sandbox_run(&spec, &result, &err));
		best = result.wall_ms < best ? result.wall_ms : best;
		sum += result.wall_ms;
	}
	printf("# an empty step takes %llu ms at best, %llu ms on average\n",
	       (unsigned long long)best, (unsigned long long)sum / RUNS);
}

static void test_no_leaks(void **state)
{
	(void)state;
	int before = dup(0);
	close(before);
	assert_int_equal(fixture_step(&fx, "#!/bin/sh\nexit 3\n"), 3);
	expect_exec_error(
		"#!/bin/none\n",
		"step of 'test': script interpreter '/bin/none' not found in the image");
	int after = dup(0);
	close(after);
	assert_int_equal(after, before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_output_order),
		cmocka_unit_test(test_surroundings),
		cmocka_unit_test(test_writes),
		cmocka_unit_test(test_read_only_places),
		cmocka_unit_test(test_imports),
		cmocka_unit_test(test_imports_beside_and_labels),
		cmocka_unit_test(test_layers_stack),
		cmocka_unit_test(test_many_layers),
		cmocka_unit_test(test_exec_errors),
		cmocka_unit_test(test_hostile_mountpoints),
		cmocka_unit_test(test_time_limit),
		cmocka_unit_test(test_log_limit),
		cmocka_unit_test(test_orphans),
		cmocka_unit_test(test_supervisor_killed),
		cmocka_unit_test(test_supervisor_killed_early),
		cmocka_unit_test(test_interruption),
		cmocka_unit_test(test_own_user_namespaces),
		cmocka_unit_test(test_id_maps),
		cmocka_unit_test(test_fork_bomb),
		cmocka_unit_test(test_evidence),
		cmocka_unit_test(test_speed),
		cmocka_unit_test(test_no_leaks),
	};
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	int failed = cmocka_run_group_tests(tests, fixture_setup_shell, fixture_teardown);
	return (failed != 0) | (again_as_user() != 0);
}
