/*
 * What the scripts of tests/security do to stacker from outside, and to its modules: one thing
 * per word on the command line.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/err.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/path.h"
#include "util/proc.h"

static int fail(const char *what)
{
	fprintf(stderr, "sec_host: %s: %s\n", what, strerror(errno));
	return 1;
}

static long long now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* without CALL... -- COMMAND...: the kernel seems to lack these system calls. */
static int host_without(char **argv)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	for (; *argv && strcmp(*argv, "--") != 0; argv++) {
		int number = seccomp_syscall_resolve_name(*argv);
		if (number < 0 ||
		    seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), number, 0) < 0)
			return fail(*argv);
	}
	/* Without no_new_privs, which is stacker's to set; the caller may do that. */
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
	if (seccomp_load(filter) < 0 || !*argv)
		return fail("cannot load the filter");
	execv(argv[1], argv + 1);
	return fail(argv[1]);
}

static int write_map(pid_t pid, const char *file, const char *first)
{
	char path[64], text[96];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	int len = snprintf(text, sizeof(text), "0 0 1\n%s %s 65536\n", first, first);
	AUTO_CLOSE int fd = openat(AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, (size_t)len) == len ? 0 : -1;
}

/* own-users FIRST COMMAND...: for root, in user and mount namespaces where 0 and the 65536 ids
 * from FIRST are themselves. */
static int host_own_users(char **argv)
{
	int status = 0, ready[2], go[2];
	char byte = 0;
	if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0)
		return fail("pipe");
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
		    write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(fail("cannot make namespaces"));
		execvp(argv[1], argv + 1);
		_exit(fail(argv[1]));
	}
	if (read(ready[0], &byte, 1) != 1 || write_map(pid, "uid_map", argv[0]) < 0 ||
	    write_map(pid, "gid_map", argv[0]) < 0 || write(go[1], &byte, 1) != 1)
		return fail("cannot map ids");
	if (waitpid(pid, &status, 0) != pid)
		return fail("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* with-key COMMAND...: in a session keyring that holds a key; "KEY" in an argument becomes its
 * serial number. */
static int host_with_key(char **argv)
{
	static const char payload[] = "secret";
	if (syscall(SYS_keyctl, 1, NULL) < 0)
		return fail("cannot join a session keyring");
	long key = syscall(SYS_add_key, "user", "stacker-test", payload, sizeof(payload), -3);
	if (key < 0)
		return fail("cannot add a key");
	char number[24], read_back[sizeof(payload)];
	snprintf(number, sizeof(number), "%ld", key);
	if (syscall(SYS_keyctl, 11, key, read_back, sizeof(read_back)) < 0)
		return fail("cannot read the key back");
	if (setenv("KEY", number, 1) < 0)
		return fail("setenv");
	execv(argv[0], argv);
	return fail(argv[0]);
}

/* Swaps a directory with a symbolic link to `victim` until it is killed. */
static _Noreturn void swapper(const char *dir, const char *link)
{
	for (;;)
		syscall(SYS_renameat2, AT_FDCWD, dir, AT_FDCWD, link, RENAME_EXCHANGE);
}

/* Out of the swappers' sight, which would lead our own writing astray. */
static int make_tree(const char *top, mode_t mode)
{
	char path[256];
	if (mkdirat(AT_FDCWD, top, 0755) < 0)
		return -1;
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/d%d", top, i);
		if (mkdirat(AT_FDCWD, path, 0755) < 0)
			return -1;
		for (int k = 0; k < 8; k++) {
			snprintf(path, sizeof(path), "%s/d%d/f%d", top, i, k);
			close(openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
		}
		snprintf(path, sizeof(path), "%s/d%d", top, i);
		if (fchmodat(AT_FDCWD, path, mode, 0) < 0)
			return -1;
	}
	return 0;
}

/* A new tree and new links, after whatever the swappers made of the last ones. */
static bool set_up_race(const char *victim, mode_t mode)
{
	static const char *const names[] = {"tree", "link0", "link1", "fresh"};
	struct err ignored = ERR_INIT;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (path_remove_tree(AT_FDCWD, names[i], &ignored) < 0)
			return false;
	return symlinkat(victim, AT_FDCWD, "link0") == 0 &&
	       symlinkat(victim, AT_FDCWD, "link1") == 0 && make_tree("fresh", mode) == 0 &&
	       syscall(SYS_renameat2, AT_FDCWD, "fresh", AT_FDCWD, "tree", 0) == 0;
}

/*
 * remove-race VICTIM SECONDS MODE: removes trees by path_remove_tree while other processes swap
 * directories of theirs with links to VICTIM; with MODE "closed" they lack all permissions,
 * which removing has to give first. Prints how often.
 */
static int host_remove_race(char **argv)
{
	static const char *const dirs[] = {"tree/d1", "tree"}, *const links[] = {"link0",
										 "link1"};
	mode_t mode = strcmp(argv[2], "closed") == 0 ? 0 : 0755;
	long long end = now_us() + (argv[1][0] - '0') * 1000000ll;
	unsigned long removed = 0, gave_up = 0;
	pid_t swappers[2];
	if (mkdirat(AT_FDCWD, argv[2], 0755) < 0 || chdir(argv[2]) < 0)
		return fail("cannot prepare");
	for (int i = 0; i < 2; i++) {
		swappers[i] = fork();
		if (swappers[i] == 0)
			swapper(dirs[i], links[i]);
	}
	while (now_us() < end) {
		struct err e = ERR_INIT;
		if (!set_up_race(argv[0], mode))
			continue;
		if (path_remove_tree(AT_FDCWD, "tree", &e) == 0)
			removed++;
		else
			gave_up++;
	}
	for (int i = 0; i < 2; i++) {
		kill(swappers[i], SIGKILL);
		waitpid(swappers[i], NULL, 0);
	}
	printf("removed %lu, gave up %lu\n", removed, gave_up);
	return removed > 0 ? 0 : 1;
}

/* swap DIR LINK: until killed. */
static int host_swap(char **argv)
{
	swapper(argv[0], argv[1]);
}

/* helper-env: prints the environment that a helper such as newuidmap is given. */
static int host_helper_env(char **argv)
{
	static const char *const command[] = {"/bin/sh", "-c", "/usr/bin/env; exit 3", NULL};
	struct err e = ERR_INIT;
	(void)argv;
	if (proc_run(command, &e) == 0)
		return fail("the helper did not fail");
	puts(e.message);
	return 0;
}

/* Whether a process was started by a name that has `mark` in it. */
static bool is_marked(int pid, const char *mark)
{
	char path[64], text[4096];
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	AUTO_CLOSE int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	return strstr(text, mark) != NULL;
}

static unsigned count_marked(const char *mark)
{
	unsigned count = 0;
	char path[64], stat_text[256];
	DIR *proc = opendir("/proc");
	for (struct dirent *entry; proc != NULL && (entry = readdir(proc)) != NULL;) {
		uint64_t number;
		if (!num_parse_u64(entry->d_name, strlen(entry->d_name), INT32_MAX, &number) ||
		    (int)number == getpid() || !is_marked((int)number, mark))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/stat", (int)number);
		/* One that is dead and not yet waited for runs nothing. */
		AUTO_CLOSE int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? 0 : read(fd, stat_text, sizeof(stat_text) - 1);
		if (n <= 0)
			continue;
		stat_text[n] = '\0';
		const char *end = strrchr(stat_text, ')');
		count += end != NULL && end[1] != '\0' && end[2] != 'Z' && end[2] != 'X';
	}
	if (proc != NULL)
		closedir(proc);
	return count;
}

/* count MARK: processes started by such a name. */
static int host_count(char **argv)
{
	printf("%u\n", count_marked(argv[0]));
	return 0;
}

/* watch MARK PEAK: waits until PEAK processes are there, then until none is; prints when, of
 * CLOCK_MONOTONIC in microseconds. */
static int host_watch(char **argv)
{
	uint64_t peak = 0;
	long long give_up = now_us() + 30 * 1000000ll;
	if (!num_parse_u64(argv[1], strlen(argv[1]), 100000, &peak))
		return fail("no number");
	while (count_marked(argv[0]) < peak)
		if (now_us() > give_up)
			return fail("they never came");
	while (count_marked(argv[0]) > 0)
		if (now_us() > give_up)
			return fail("they never left");
	printf("%lld\n", now_us());
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*run)(char **argv);
	} all[] = {
		{"without", 3, host_without},	  {"with-key", 1, host_with_key},
		{"own-users", 2, host_own_users}, {"remove-race", 3, host_remove_race},
		{"swap", 2, host_swap},		  {"helper-env", 0, host_helper_env},
		{"count", 1, host_count},	  {"watch", 2, host_watch},
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (argc > 1 + all[i].args && strcmp(argv[1], all[i].name) == 0)
			return all[i].run(argv + 2);
	fprintf(stderr, "sec_host: unknown word or too few arguments\n");
	return 2;
}
