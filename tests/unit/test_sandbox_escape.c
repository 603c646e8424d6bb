/* The attack catalogue's attempts from inside a step, one line each, against what they must
 * give. */
#include "sandbox_fixture.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

static int start(void **state)
{
	(void)state;
	fixture_start(&fx);
	AUTO_FREE char *root = path_join(fx.dir, "roots/base");
	shell("mkdir $1; cc -O1 -w -static -D_GNU_SOURCE -o $1/probe tests/security/sec_escape_static.c",
	      root);
	fixture_own(&fx);
	return 0;
}

/* Every name and what must come of it. */
static const char *const expected[] = {
	"effective 00000000800401fb",
	"permitted 00000000800401fb",
	"inheritable 0000000000000000",
	"bounding 00000000800401fb",
	"no-new-privs 1",
	"seccomp 2",
	"core 1 1",
	"ids 0 0 0",
	"session 1",
	"fds 0 1 2",
	"setgroups ok",
	"host stacker (none)",
	"raw EPERM",
	"raw6 EPERM",
	"vsock-high-bits EAFNOSUPPORT",
	"tcp-host-loopback ECONNREFUSED",
	"tcp-outside ENETUNREACH",
	"udp-outside ENETUNREACH",
	"metadata-service ENETUNREACH",
	"abstract-unix ECONNREFUSED",
	"own-loopback ok",
	"ptmx ok",
	"tiocsti EPERM",
	"tiocsti-high-bits EPERM",
	"tioclinux EPERM",
	"tioclinux-high-bits EPERM",
	"controlling-tty ENXIO",
	"ptrace-init EPERM",
	"vm-read-init ENOSYS",
	"init-root ENOENT",
	"init-exe ENOENT",
	"init-mem ENOENT",
	"init-environ ENOENT",
	"init-pidfd-getfd ENOSYS",
	"kill-init ok", /* and yet it lives: the kernel shields pid 1 of a namespace */
	"kcmp ENOSYS",
	"parent 1",
	"unshare-user EPERM",
	"unshare-mount EPERM",
	"clone-user EPERM",
	"clone-net EPERM",
	"clone-user-high-bits EPERM",
	"clone3 ENOSYS",
	"setns EPERM",
	"mount EPERM",
	"remount-rw EPERM",
	"umount EPERM",
	"pivot-root EPERM",
	"fsopen ENOSYS",
	"open-tree ENOSYS",
	"move-mount ENOSYS",
	"mount-setattr ENOSYS",
	"open-tree-attr ENOSYS",
	"keyctl EPERM",
	"add-key EPERM",
	"bpf EPERM",
	"io-uring ENOSYS",
	"perf ENOSYS",
	"userfaultfd ENOSYS",
	"memfd-secret ENOSYS",
	"fanotify ENOSYS",
	"open-by-handle ENOSYS",
	"name-to-handle ENOSYS",
	"move-pages ENOSYS",
	"vmsplice ENOSYS",
	"syslog EPERM",
	"init-module EPERM",
	"kexec ENOSYS",
	"reboot EPERM",
	"settimeofday EPERM",
	"sethostname EPERM",
	"xattrat ENOSYS",
	"unknown-500 ENOSYS",
	"unknown-4096 ENOSYS",
	"personality-no-randomize ok",
	"personality-read-implies-exec EPERM",
	"i386 killed 31",
	"x32 killed 31",
	"mknod-null EPERM",
	"mknod-whiteout EPERM",
	"mknod-disk EPERM",
	"mkfifo ok",
	"chown ok",
	"chown-unmapped EINVAL",
	"chmod-setuid ok",
	"xattr-user ok",
	"xattr-trusted EPERM",
	"proc-sys ENOENT",
	"proc-kcore ENOENT",
	"proc-cmdline ENOENT",
	"dev-write EROFS",
	"sys-write EROFS",
	"dev-null ok",
	"dev-mem ENOENT",
	"dev-kvm ENOENT",
	"dev-fuse ENOENT",
	"chroot ok",
	"chroot-escape ok",
	"chroot-host ENOENT",
	"setuid ok",
	"caps-after-setuid 00000000",
	"chrooted exit 0",
	"kill-all ESRCH",
};

/* What must still fail when the seccomp list lets everything through: no promise may hang on it
 * alone. */
static const char *const without_seccomp[] = {
	"effective 00000000800401fb",
	"fds 0 1 2",
	"raw EPERM",
	"tcp-host-loopback ECONNREFUSED",
	"tcp-outside ENETUNREACH",
	"metadata-service ENETUNREACH",
	"abstract-unix ECONNREFUSED",
	"controlling-tty ENXIO",
	"ptrace-init ENOSYS",
	"vm-read-init ENOSYS",
	"init-root ENOENT",
	"init-mem ENOENT",
	"init-pidfd-getfd ENOSYS",
	"unshare-user ENOSPC",
	"unshare-mount EPERM",
	"clone-user ENOSPC",
	"clone-net EPERM",
	"setns EPERM",
	"mount EPERM",
	"remount-rw EPERM",
	"umount EPERM",
	"pivot-root EPERM",
	"fsopen EPERM",
	"open-tree EPERM",
	"reboot EPERM",
	"sethostname EPERM",
	"vsock-high-bits ENOSYS",
	"io-uring-new ENOSYS",
	"perf-own-cycles ENOSYS",
	"userfaultfd ENOSYS",
	"memfd-secret ENOSYS",
	"add-key ENOSYS",
	"i386 killed 31",
	"x32 killed 31",
	"mknod-null EPERM",
	"mknod-whiteout EPERM",
	"mknod-disk EPERM",
	"proc-sys ENOENT",
	"proc-kcore ENOENT",
	"dev-write EROFS",
	"chroot-host ENOENT",
	"caps-after-setuid 00000000",
};

static int listen_tcp(char port[16])
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	snprintf(port, 16, "%u", ntohs(at.sin_port));
	return fd;
}

static int listen_abstract(const char *name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(at.sun_path + 1, name, strlen(name));
	assert_true(fd >= 0);
	assert_int_equal(
		bind(fd, (struct sockaddr *)&at,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))),
		0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void run_probe(void)
{
	struct sandbox_result result;
	char port[16], name[32];
	int tcp = listen_tcp(port);
	snprintf(name, sizeof(name), "stacker-test-%d", (int)getpid());
	int abstract = listen_abstract(name);
	AUTO_FREE char *port_env = mem_printf("PORT=%s", port);
	AUTO_FREE char *name_env = mem_printf("ABSTRACT=%s", name);
	const char *const env[] = {port_env, name_env, NULL};
	fixture_renew(&fx);
	struct sandbox_spec spec = fixture_spec(&fx, "#!/probe\n");
	spec.env = env;
	expect_ok(sandbox_run(&spec, &result, &err));
	assert_int_equal(result.exit_code, 0);
	close(tcp);
	close(abstract);
}

static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);
	for (const char *at = text; (at = strstr(at, line)) != NULL; at += len)
		if ((at == text || at[-1] == '\n') && at[len] == '\n')
			return true;
	return false;
}

static const char *line_of(const char *text, const char *line)
{
	static char found[128];
	size_t name_len = strcspn(line, " ") + 1;
	const char *at = text;
	while (at != NULL && strncmp(at, line, name_len) != 0)
		at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL;
	snprintf(found, sizeof(found), "%.*s", at ? (int)strcspn(at, "\n") : 7,
		 at ? at : "nothing");
	return found;
}

static unsigned count_wrong(const char *text, const char *const *lines, size_t len)
{
	unsigned wrong = 0;
	for (size_t i = 0; i < len; i++) {
		if (has_line(text, lines[i]))
			continue;
		print_error("expected '%s', got '%s'\n", lines[i], line_of(text, lines[i]));
		wrong++;
	}
	return wrong;
}

static void test_catalogue(void **state)
{
	(void)state;
	run_probe();
	const char *text = buf_text(&fx.output);
	unsigned wrong = count_wrong(text, expected, ARRAY_LEN(expected));
	for (unsigned family = 0; family <= 46; family++) {
		bool open = family == AF_UNIX || family == AF_INET || family == AF_INET6 ||
			    family == AF_NETLINK;
		AUTO_FREE char *line =
			mem_printf("family-%u %s", family, open ? "ok" : "EAFNOSUPPORT");
		if (!has_line(text, line)) {
			print_error("expected '%s', got '%s'\n", line, line_of(text, line));
			wrong++;
		}
	}
	for (unsigned protocol = 1; protocol <= 22; protocol++) {
		AUTO_FREE char *line = mem_printf("netlink-%u EAFNOSUPPORT", protocol);
		wrong += !has_line(text, line);
	}
	assert_int_equal(wrong, 0);
}

static void test_without_seccomp(void **state)
{
	(void)state;
	enum { CALLS = 512 };
	struct policy_rule_vec kept = fx.policy.seccomp[POLICY_STEP];
	struct policy_rule_vec all = {0};
	for (int number = 0; number < CALLS; number++) {
		struct policy_rule rule = {.number = number};
		vec_push(&all, rule);
	}
	fx.policy.seccomp[POLICY_STEP] = all;
	run_probe();
	fx.policy.seccomp[POLICY_STEP] = kept;
	vec_free(&all);
	assert_int_equal(
		count_wrong(buf_text(&fx.output), without_seccomp, ARRAY_LEN(without_seccomp)),
		0);
}

/* Files of the supervisor that are not close-on-exec, as a careless caller may have them. */
static void test_leaked_files(void **state)
{
	(void)state;
	int fds[40];
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
	run_probe();
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	assert_true(has_line(buf_text(&fx.output), "fds 0 1 2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_catalogue),
		cmocka_unit_test(test_without_seccomp),
		cmocka_unit_test(test_leaked_files),
	};
	int failed = cmocka_run_group_tests(tests, start, fixture_teardown);
	return (failed != 0) | (again_as_user() != 0);
}
