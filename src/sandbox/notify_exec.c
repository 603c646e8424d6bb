/*
 * Programs with set-id bits that a step executes: no_new_privs leaves the bits without effect,
 * and that somebody hoped for one is worth knowing. The file is looked up where the caller
 * would find it, without opening it (O_PATH), so that no device or pipe notices, and without
 * the links of /proc, which lead out of roots.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sandbox/evidence_internal.h"
#include "sandbox/notify_internal.h"
#include "util/mem.h"

/* False if it cannot be read or is too long for a path. */
static bool read_path(pid_t pid, uint64_t at, char out[PATH_MAX])
{
	/* A read across the end of what is mapped would give nothing of the part before: so one
	 * piece for each page. */
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	size_t first = (size_t)(page - at % page);
	if (first > PATH_MAX)
		first = PATH_MAX;
	const struct iovec local = {.iov_base = out, .iov_len = PATH_MAX};
	const struct iovec remote[] = {
		{.iov_base = (void *)(uintptr_t)at, .iov_len = first},
		{.iov_base = (void *)(uintptr_t)(at + first), .iov_len = PATH_MAX - first},
	};
	ssize_t n = process_vm_readv(pid, &local, 1, remote, ARRAY_LEN(remote), 0);
	return n > 0 && memchr(out, '\0', (size_t)n) != NULL;
}

/* A directory of the caller's, by its link in /proc: "root", "cwd" or "fd/N". */
static int open_of(pid_t pid, const char *what)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	return openat(AT_FDCWD, path, O_PATH | O_CLOEXEC);
}

static bool find(pid_t pid, int dir_fd, const char *path, struct stat *ret)
{
	char link[32];
	const struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	snprintf(link, sizeof(link), dir_fd == AT_FDCWD ? "cwd" : "fd/%d", dir_fd);
	AUTO_CLOSE int from = open_of(pid, path[0] == '/' ? "root" : link);
	if (from < 0 || path[0] == '\0')
		return from >= 0 && fstat(from, ret) == 0;
	AUTO_CLOSE int fd = (int)syscall(SYS_openat2, from, path, &how, sizeof(how));
	return fd >= 0 && fstat(fd, ret) == 0;
}

bool notify_is_exec(int number)
{
	return number == SYS_execve || number == SYS_execveat;
}

void notify_record_exec(const struct notify *n, const struct seccomp_notif *request,
			struct sandbox_evidence *ev)
{
	const __u64 *args = request->data.args;
	bool has_dir = request->data.nr == SYS_execveat;
	char path[PATH_MAX] = "";
	struct stat st;
	if (!read_path((pid_t)request->pid, args[has_dir ? 1 : 0], path) ||
	    !find((pid_t)request->pid, has_dir ? (int)args[0] : AT_FDCWD, path, &st) ||
	    !S_ISREG(st.st_mode) || (st.st_mode & (S_ISUID | S_ISGID)) == 0 ||
	    !notify_is_valid(n, request))
		return;
	evidence_add_program(ev, path, st.st_mode & 07777);
}
