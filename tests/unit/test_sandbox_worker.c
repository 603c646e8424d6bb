/* The worker: what comes back, what it can reach, what it may do there. */
#include "sandbox_fixture.h"

#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static int work_prepared(int (*prepare)(void *, struct err *),
			 int (*run)(void *, struct buf *, struct err *), void *ctx,
			 struct buf *reply)
{
	struct sandbox_bind binds[] = {{fx.roots_fd, "rw", false, false},
				       {fx.roots_fd, "ro", true, false}};
	struct sandbox_worker w = {.idmap = &fx.ids,
				   .policy = &fx.policy,
				   .binds = binds,
				   .binds_len = 2,
				   .role = POLICY_UNPACKER,
				   .prepare = prepare,
				   .run = run,
				   .ctx = ctx};
	err = (struct err)ERR_INIT;
	return sandbox_worker_run(&w, reply, &err);
}

static int work(int (*run)(void *, struct buf *, struct err *), void *ctx, struct buf *reply)
{
	return work_prepared(NULL, run, ctx, reply);
}

static int say_hello(void *ctx, struct buf *reply, struct err *e)
{
	(void)e;
	buf_addf(reply, "hello %s %d %d", (const char *)ctx, (int)getuid(), (int)getgid());
	return 0;
}

static void test_reply(void **state)
{
	(void)state;
	AUTO(buf) reply = BUF_INIT(MIB);
	char name[] = "there";
	expect_ok(work(say_hello, name, &reply));
	assert_string_equal(buf_text(&reply), "hello there 0 0");
}

static int reply_much(void *ctx, struct buf *reply, struct err *e)
{
	(void)ctx;
	(void)e;
	for (size_t i = 0; i < 3 * MIB; i++)
		buf_add_byte(reply, (char)i);
	return 0;
}

static void test_large_reply(void **state)
{
	(void)state;
	AUTO(buf) reply = BUF_INIT(3 * MIB);
	AUTO(buf) small = BUF_INIT(3 * MIB - 1);
	expect_ok(work(reply_much, NULL, &reply));
	assert_int_equal(reply.len, 3 * MIB);
	assert_int_equal(reply.data[1000], (char)1000);
	expect_err(work(reply_much, NULL, &small), "input/too-big");
}

static int fail_well(void *ctx, struct buf *reply, struct err *e)
{
	(void)ctx;
	(void)reply;
	err_set(e, ERR_INPUT, "layer/bad", "entry '%s' is bad", "x");
	return err_hint(e, "make it good");
}

static void test_error_comes_back(void **state)
{
	(void)state;
	expect_err(work(fail_well, NULL, NULL), "layer/bad");
	assert_int_equal(err.code, ERR_INPUT);
	assert_string_equal(err.message, "entry 'x' is bad");
	assert_string_equal(err.hint, "make it good");
}

static int die(void *ctx, struct buf *reply, struct err *e)
{
	(void)ctx;
	(void)reply;
	(void)e;
	_exit(3);
}

static int crash(void *ctx, struct buf *reply, struct err *e)
{
	(void)ctx;
	(void)reply;
	(void)e;
	signal(SIGILL, SIG_DFL); /* a sanitizer would turn it into an exit */
	__builtin_trap();
}

static void test_death_is_named(void **state)
{
	(void)state;
	expect_err(work(die, NULL, NULL), "sandbox/worker-died");
	assert_string_equal(err.message, "the unpacker ended without an answer (exit code 3)");
	expect_err(work(crash, NULL, NULL), "sandbox/worker-died");
	assert_string_equal(err.message,
			    "the unpacker was killed by signal 4 (Illegal instruction)");
}

static int forge(void *ctx, struct buf *reply, struct err *e)
{
	(void)ctx;
	(void)reply;
	memset(e, 0xff, sizeof(*e)); /* what a taken-over worker could send */
	return -1;
}

static void test_forged_error_is_harmless(void **state)
{
	(void)state;
	err = (struct err)ERR_INIT;
	assert_int_equal(work(forge, NULL, NULL), -1);
	assert_int_equal(err.code, ERR_SANDBOX);
	assert_int_equal(strlen(err.id), sizeof(err.id) - 1);
	assert_string_equal(err.raised_file, "child process");
}

/* Everything a worker needs in order to unpack a layer of any owner. */
static int make_things(void *ctx, struct buf *reply, struct err *e)
{
	(void)ctx;
	(void)reply;
	static const char caps[20] = {1, 0, 0, 2, 1, 0, 0, 0};
	if (mkdirat(AT_FDCWD, "rw/d", 0755) < 0)
		return err_sys(e, "mkdir");
	AUTO_CLOSE int fd = openat(AT_FDCWD, "rw/d/f", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	if (fd < 0 || fchown(fd, 1234, 65535) < 0 || fchmod(fd, 04755) < 0)
		return err_sys(e, "file");
	if (fsetxattr(fd, "user.x", "y", 1, 0) < 0)
		return err_sys(e, "user xattr");
	if (fsetxattr(fd, "security.capability", caps, sizeof(caps), 0) < 0)
		return err_sys(e, "file capability");
	if (mknodat(AT_FDCWD, "rw/d/whiteout", S_IFCHR, makedev(0, 0)) < 0)
		return err_sys(e, "whiteout");
	if (mknodat(AT_FDCWD, "rw/d/fifo", S_IFIFO | 0600, 0) < 0)
		return err_sys(e, "fifo");
	return 0;
}

static void test_unpacking_rights(void **state)
{
	(void)state;
	struct stat st;
	expect_ok(work(make_things, NULL, NULL));
	assert_int_equal(fstatat(fx.roots_fd, "d/f", &st, 0), 0);
	assert_int_equal(st.st_uid, fx.ids.uid_rest + 1233);
	assert_int_equal(st.st_gid, fx.ids.gid_rest + 65534);
	assert_int_equal(st.st_mode & 07777, 04755);
}

static void note(struct buf *reply, const char *name, long result)
{
	buf_addf(reply, "%s %s\n", name, result < 0 ? strerrorname_np(errno) : "ok");
}

static int try_everything(void *ctx, struct buf *reply, struct err *e)
{
	(void)e;
	char *const argv[] = {(char *)(uintptr_t) "/bin/sh", NULL};
	note(reply, "etc", openat(AT_FDCWD, "/etc/passwd", O_RDONLY));
	note(reply, "proc", openat(AT_FDCWD, "/proc/self/stat", O_RDONLY));
	note(reply, "up", openat(AT_FDCWD, "/../../etc", O_RDONLY));
	note(reply, "old-root", *(int *)ctx < 0 ? 0 : openat(*(int *)ctx, ".", O_RDONLY));
	note(reply, "write-ro", openat(AT_FDCWD, "/ro/new", O_CREAT | O_WRONLY, 0644));
	note(reply, "device", mknodat(AT_FDCWD, "/rw/null", S_IFCHR, makedev(1, 3)));
	note(reply, "exec", execve(argv[0], argv, argv + 1));
	note(reply, "inet", socket(AF_INET, SOCK_STREAM, 0));
	note(reply, "unix", socket(AF_UNIX, SOCK_STREAM, 0));
	note(reply, "fork", syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
	note(reply, "unshare", syscall(SYS_unshare, 0x10000000));
	note(reply, "ptrace", syscall(SYS_ptrace, 0, 0, 0, 0));
	note(reply, "bpf", syscall(SYS_bpf, 0, 0, 0));
	note(reply, "keyctl", syscall(SYS_keyctl, 0, 0, 0));
	note(reply, "handle", syscall(SYS_open_by_handle_at, 0, 0, 0));
	return 0;
}

static void test_nothing_else_in_reach(void **state)
{
	(void)state;
	AUTO(buf) reply = BUF_INIT(MIB);
	AUTO_CLOSE int leak =
		openat(AT_FDCWD, "/etc", O_RDONLY | O_DIRECTORY); /* not CLOEXEC */
	expect_ok(work(try_everything, &leak, &reply));
	assert_string_equal(buf_text(&reply),
			    "etc ENOENT\nproc ENOENT\nup ENOENT\nold-root EBADF\n"
			    "write-ro EROFS\ndevice EPERM\nexec ENOSYS\n"
			    "inet ENOSYS\nunix ENOSYS\nfork ENOSYS\nunshare ENOSYS\n"
			    "ptrace ENOSYS\nbpf ENOSYS\nkeyctl ENOSYS\n"
			    "handle ENOSYS\n");
}

static int use_kept(void *ctx, struct buf *reply, struct err *e)
{
	char text[8] = "";
	if (pread(*(int *)ctx, text, 5, 0) != 5)
		return err_sys(e, "pread");
	buf_add_c(reply, text);
	return 0;
}

static void test_kept_fds(void **state)
{
	(void)state;
	AUTO(buf) reply = BUF_INIT(MIB);
	AUTO_CLOSE int fd = openat(AT_FDCWD, fx.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "12345", 5), 5);
	struct sandbox_worker w = {.idmap = &fx.ids,
				   .policy = &fx.policy,
				   .keep_fds = &fd,
				   .keep_fds_len = 1,
				   .role = POLICY_LISTER,
				   .run = use_kept,
				   .ctx = &fd};
	expect_ok(sandbox_worker_run(&w, &reply, &err));
	assert_string_equal(buf_text(&reply), "12345");
}

enum { MANY = 499 };

static int make_many(void *ctx, struct buf *reply, struct err *e)
{
	(void)ctx;
	(void)reply;
	for (unsigned i = 0; i < MANY + 2; i++) {
		AUTO_FREE char *dir = mem_printf("rw/layer-%064u", i);
		AUTO_FREE char *file = mem_printf("%s/file-%u", dir, i);
		if (mkdirat(AT_FDCWD, dir, 0755) < 0)
			return err_sys(e, "mkdir");
		AUTO_CLOSE int fd =
			openat(AT_FDCWD, file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		if (fd < 0)
			return err_sys(e, "open");
	}
	return mkdirat(AT_FDCWD, "rw/u", 0755) < 0 || mkdirat(AT_FDCWD, "rw/w", 0755) < 0
		       ? err_sys(e, "mkdir")
		       : 0;
}

struct stack {
	size_t len;
	bool writable;
};

static int mount_stack(void *ctx, struct err *e)
{
	const struct stack *s = ctx;
	const char *names[MANY + 2];
	for (unsigned i = 0; i < s->len; i++)
		names[i] = mem_printf("layer-%064u", i);
	struct sandbox_overlay o = {.base = "rw",
				    .lowers = names,
				    .lowers_len = s->len,
				    .upper = s->writable ? "u" : NULL,
				    .work = s->writable ? "w" : NULL,
				    .target = "view"};
	int r = sandbox_overlay_mount(&o, e);
	for (unsigned i = 0; i < s->len; i++)
		mem_free_cleanup(&names[i]);
	return r;
}

static int look_at_stack(void *ctx, struct buf *reply, struct err *e)
{
	(void)ctx;
	(void)e;
	for (unsigned i = 0; i < MANY + 2; i++) {
		AUTO_FREE char *file = mem_printf("view/file-%u", i);
		if (faccessat(AT_FDCWD, file, F_OK, 0) == 0)
			buf_add_byte(reply, 'x');
	}
	AUTO_CLOSE int fd = openat(AT_FDCWD, "view/new", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	buf_addf(reply, " %s", fd < 0 ? strerrorname_np(errno) : "written");
	if (fd >= 0)
		close(TAKE_FD(fd));
	return 0;
}

static void test_overlays(void **state)
{
	(void)state;
	static const struct {
		struct stack stack;
		size_t len;
		const char *end;
	} good[] = {{{1, false}, 1, " EROFS"},	    {{2, false}, 2, " EROFS"},
		    {{0, true}, 0, " written"},	    {{1, true}, 1, " written"},
		    {{300, true}, 300, " written"}, {{499, true}, 499, " written"},
		    {{500, false}, 500, " EROFS"}};
	expect_ok(work(make_many, NULL, NULL));
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		AUTO(buf) reply = BUF_INIT(MIB);
		struct stack stack = good[i].stack;
		expect_ok(work_prepared(mount_stack, look_at_stack, &stack, &reply));
		assert_string_equal(buf_text(&reply) + good[i].len, good[i].end);
	}
	struct stack over = {501, false};
	expect_err(work_prepared(mount_stack, look_at_stack, &over, NULL),
		   "sandbox/too-many-layers");
}

static _Noreturn int sleep_long(void *ctx, struct buf *reply, struct err *e)
{
	(void)ctx;
	(void)reply;
	(void)e;
	for (;;)
		poll(NULL, 0, 1000);
}

/* In a child of its own, since an interruption is for good. */
static void test_interruption(void **state)
{
	(void)state;
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		proc_interrupt_fd();
		kill(getpid(), SIGTERM);
		int r = work(sleep_long, NULL, NULL);
		_exit(r == -1 && err.code == ERR_INTERRUPTED ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Root works in a project that lies in someone's private home, where its powers end once it has
 * namespaces of its own. */
static void test_private_parents(void **state)
{
	(void)state;
	enum { SOMEONE = 12345 };
	char name[] = "home";
	if (geteuid() != 0)
		return; /* an ordinary user's directories are its own */
	assert_int_equal(chown(fx.dir, SOMEONE, SOMEONE), 0);
	assert_int_equal(chmod(fx.dir, 0700), 0);
	expect_ok(work(say_hello, name, NULL));
	assert_int_equal(chown(fx.dir, 0, 0), 0);
}

static void test_no_leaks(void **state)
{
	(void)state;
	int before = dup(0);
	close(before);
	char name[] = "x";
	expect_ok(work(say_hello, name, NULL));
	assert_int_equal(work(fail_well, NULL, NULL), -1);
	int after = dup(0);
	close(after);
	assert_int_equal(after, before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reply),
		cmocka_unit_test(test_large_reply),
		cmocka_unit_test(test_error_comes_back),
		cmocka_unit_test(test_death_is_named),
		cmocka_unit_test(test_forged_error_is_harmless),
		cmocka_unit_test(test_unpacking_rights),
		cmocka_unit_test(test_nothing_else_in_reach),
		cmocka_unit_test(test_kept_fds),
		cmocka_unit_test(test_overlays),
		cmocka_unit_test(test_interruption),
		cmocka_unit_test(test_private_parents),
		cmocka_unit_test(test_no_leaks),
	};
	int failed = cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
	return (failed != 0) | (again_as_user() != 0);
}
