/*
 * Version 2 where both controllers are delegated to us, else version 1. The group is made below
 * the one that we are in, so that limits of our own hold for the step too; where version 2 does
 * not let a group have both processes and children, beside it. Its directory is locked while it
 * is in use; one of our name that can be locked was left by a killed run.
 */
#include "sandbox/cgroup_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/path.h"
#include "util/str.h"

#define NAME_PREFIX "stacker-step-"

enum {
	TEXT_MAX = 16384, /* of a control file; the largest, memory.stat, is far below */
	NAME_TRIES = 16,
	REMOVE_TRIES = 50, /* of 2 ms: the kernel lets go of the dead a little later */
};

static bool read_text(int dir_fd, const char *name, struct buf *ret)
{
	struct err ignored = ERR_INIT;
	AUTO_CLOSE int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	buf_clear(ret);
	return fd >= 0 && path_read_fd(fd, name, ret, &ignored) == 0;
}

static bool write_text(int dir_fd, const char *name, const char *text)
{
	AUTO_CLOSE int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);
	return fd >= 0 && write(fd, text, len) == (ssize_t)len;
}

static bool write_number(int dir_fd, const char *name, uint64_t number)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRIu64, number);
	return write_text(dir_fd, name, text);
}

/* The number after `key` in a file of lines "KEY NUMBER", or in a file of one number if `key`
 * is empty. */
static bool read_number(int dir_fd, const char *name, const char *key, uint64_t *ret)
{
	AUTO(buf) text = BUF_INIT(TEXT_MAX);
	size_t key_len = strlen(key);
	if (!read_text(dir_fd, name, &text))
		return false;
	for (const char *line = buf_text(&text); *line;) {
		size_t len = strcspn(line, "\n");
		bool here = key_len == 0 || (len > key_len && line[key_len] == ' ' &&
					     memcmp(line, key, key_len) == 0);
		size_t skip = key_len == 0 ? 0 : key_len + 1;
		if (here)
			return num_parse_u64(line + skip, len - skip, UINT64_MAX, ret);
		line += len + (line[len] == '\n');
	}
	return false;
}

static bool has_word(const char *text, size_t text_len, const char *word, char separator)
{
	size_t len = strlen(word);
	for (const char *at = text, *end = text + text_len; at < end;) {
		const char *stop = memchr(at, separator, (size_t)(end - at));
		size_t here = (size_t)((stop ? stop : end) - at);
		if (here == len && memcmp(at, word, len) == 0)
			return true;
		at += here + 1;
	}
	return false;
}

/* The path in the line of `membership` whose controllers hold `controller` ("" for version 2):
 * lines are "ID:CONTROLLER,CONTROLLER:/PATH". NULL if there is none; the caller frees. */
static char *member_path(const char *membership, const char *controller)
{
	for (const char *line = membership; *line;) {
		size_t len = strcspn(line, "\n");
		const char *list = memchr(line, ':', len);
		const char *path =
			list ? memchr(list + 1, ':', len - (size_t)(list + 1 - line)) : NULL;
		if (path) {
			size_t list_len = (size_t)(path - list - 1);
			bool here = controller[0] == '\0'
					    ? list_len == 0
					    : has_word(list + 1, list_len, controller, ',');
			if (here)
				return mem_strndup(path + 1, len - (size_t)(path + 1 - line));
		}
		line += len + (line[len] == '\n');
	}
	return NULL;
}

/* Our own group's directory below the mount point of its hierarchy, or -1. */
static int open_own(const char *root, const char *mount, const char *path)
{
	/* We are outside of what the hierarchy's mount shows. */
	if (path_has_dotdot(path))
		return -1;
	AUTO_FREE char *whole = mem_printf("%s%s%s", root, mount, path);
	return openat(AT_FDCWD, whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void remove_left(int parent_fd)
{
	int fd = openat(parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		mem_close_cleanup(&fd);
		return;
	}
	for (const struct dirent *entry; (entry = readdir(dir));) {
		if (!str_has_prefix(entry->d_name, NAME_PREFIX))
			continue;
		AUTO_CLOSE int left =
			openat(parent_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		/* While it holds a process, its removal fails anyway. */
		if (left >= 0 && flock(left, LOCK_EX | LOCK_NB) == 0)
			unlinkat(parent_fd, entry->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

/* Takes `parent_fd` on success. Between making and locking, another run may take the group for
 * one that was left: then the next name. */
static bool make_dir(struct cgroup_dir *ret, enum evidence_cgroup kind, int parent_fd)
{
	remove_left(parent_fd);
	for (unsigned i = 0; i < NAME_TRIES; i++) {
		struct stat st;
		char name[CGROUP_NAME_MAX];
		snprintf(name, sizeof(name), NAME_PREFIX "%d-%" PRIu64 "-%u", (int)getpid(),
			 clock_monotonic_ms(), i);
		if (mkdirat(parent_fd, name, 0755) < 0 && errno != EEXIST)
			return false;
		AUTO_CLOSE int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 ||
		    fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		*ret = (struct cgroup_dir){
			.kind = kind, .parent_fd = parent_fd, .fd = TAKE_FD(fd)};
		snprintf(ret->name, sizeof(ret->name), "%s", name);
		return true;
	}
	return false;
}

static void remove_dir(struct cgroup_dir *d)
{
	if (d->kind == EVIDENCE_CGROUP_NONE)
		return;
	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (unlinkat(d->parent_fd, d->name, AT_REMOVEDIR) == 0 || errno != EBUSY)
			break;
		const struct timespec pause = {.tv_nsec = 2000000};
		nanosleep(&pause, NULL);
	}
	mem_close_cleanup(&d->fd);
	mem_close_cleanup(&d->parent_fd);
	*d = (struct cgroup_dir){.parent_fd = -1, .fd = -1};
}

/* True if a child group will have both controllers. To hand them down, a group may hold no
 * processes itself; only the root of the hierarchy is free of that rule. */
static bool delegated(int own_fd)
{
	static const char *const names[] = {"memory", "pids"};
	AUTO(buf) text = BUF_INIT(TEXT_MAX);
	for (int pass = 0; pass < 2; pass++) {
		if (!read_text(own_fd, "cgroup.subtree_control", &text))
			return false;
		bool all = true;
		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			all = all && has_word(buf_text(&text), strcspn(buf_text(&text), "\n"),
					      names[i], ' ');
		if (all)
			return true;
		if (pass == 0 && !write_text(own_fd, "cgroup.subtree_control", "+memory +pids"))
			return false;
	}
	return false;
}

/* Pid 1 of the sandbox is ours, not the step's. */
static bool limit_pids(const struct cgroup_dir *d, const struct sandbox_limits *limits)
{
	return limits->processes == 0 || write_number(d->fd, "pids.max", limits->processes + 1);
}

static bool limit_v2(const struct cgroup_dir *d, const struct sandbox_limits *limits)
{
	/* Absent where the kernel has no swap. */
	(void)write_text(d->fd, "memory.swap.max", "0");
	(void)write_text(d->fd, "memory.oom.group", "1");
	return (limits->memory_bytes == 0 ||
		write_number(d->fd, "memory.max", limits->memory_bytes)) &&
	       limit_pids(d, limits);
}

static bool create_v2_in(struct cgroup *ret, const char *root, const char *path,
			 const struct sandbox_limits *limits)
{
	AUTO_CLOSE int parent = open_own(root, "", path);
	if (parent < 0 || faccessat(parent, "cgroup.controllers", F_OK, 0) < 0)
		return false; /* a hybrid machine: both controllers are of version 1 */
	if (!delegated(parent) || !make_dir(&ret->memory, EVIDENCE_CGROUP_V2, parent))
		return false;
	(void)TAKE_FD(parent);
	if (!limit_v2(&ret->memory, limits)) {
		remove_dir(&ret->memory);
		return false;
	}
	ret->counts_pids = true;
	return true;
}

static bool create_v2(struct cgroup *ret, const char *root, const char *membership,
		      const struct sandbox_limits *limits)
{
	AUTO_FREE char *path = member_path(membership, "");
	if (!path)
		return false;
	if (create_v2_in(ret, root, path, limits))
		return true;
	char *last = strrchr(path, '/');
	if (!last || last[1] == '\0')
		return false; /* what is above is not of the hierarchy, or not shown to us */
	*last = '\0';
	return create_v2_in(ret, root, path, limits);
}

static void create_v1(struct cgroup_dir *ret, const char *root, const char *membership,
		      const char *controller)
{
	AUTO_FREE char *mount = mem_printf("/%s", controller);
	AUTO_FREE char *path = member_path(membership, controller);
	if (!path)
		return;
	AUTO_CLOSE int own = open_own(root, mount, path);
	if (own >= 0 && make_dir(ret, EVIDENCE_CGROUP_V1, own))
		(void)TAKE_FD(own);
}

static bool limit_v1_memory(const struct cgroup_dir *d, uint64_t limit)
{
	if (limit == 0)
		return true;
	/* Memory and swap together may not be below memory alone, hence the order. */
	return write_number(d->fd, "memory.limit_in_bytes", limit) &&
	       (write_number(d->fd, "memory.memsw.limit_in_bytes", limit) || errno == ENOENT);
}

void cgroup_create(struct cgroup *ret, const char *root, const char *membership,
		   const struct sandbox_limits *limits)
{
	*ret = (struct cgroup)CGROUP_INIT;
	ret->memory_bytes = limits->memory_bytes;
	if (create_v2(ret, root, membership, limits))
		return;
	create_v1(&ret->memory, root, membership, "memory");
	create_v1(&ret->pids, root, membership, "pids");
	if (ret->memory.kind != EVIDENCE_CGROUP_NONE &&
	    !limit_v1_memory(&ret->memory, limits->memory_bytes))
		remove_dir(&ret->memory);
	if (ret->pids.kind != EVIDENCE_CGROUP_NONE && !limit_pids(&ret->pids, limits))
		remove_dir(&ret->pids);
	ret->counts_pids = ret->pids.kind != EVIDENCE_CGROUP_NONE;
}

void cgroup_create_here(struct cgroup *ret, const struct sandbox_limits *limits)
{
	AUTO(buf) membership = BUF_INIT(TEXT_MAX);
	*ret = (struct cgroup)CGROUP_INIT;
	if (read_text(AT_FDCWD, "/proc/self/cgroup", &membership))
		cgroup_create(ret, "/sys/fs/cgroup", buf_text(&membership), limits);
}

int cgroup_clone_fd(const struct cgroup *c)
{
	return c->memory.kind == EVIDENCE_CGROUP_V2 ? c->memory.fd : -1;
}

/* "0" is the calling thread; "tasks" moves it alone, for which there is nothing to wait. */
static int move_self(const struct cgroup_dir *d, int to_fd, struct err *e)
{
	if (d->kind != EVIDENCE_CGROUP_V1 || write_text(to_fd, "tasks", "0"))
		return 0;
	err_sys(e, "cannot enter or leave the control group '%s' of a step", d->name);
	return err_recode(e, ERR_SANDBOX, "sandbox/cgroup");
}

int cgroup_enter(const struct cgroup *c, struct err *e)
{
	if (move_self(&c->memory, c->memory.fd, e) < 0)
		return -1;
	return move_self(&c->pids, c->pids.fd, e);
}

int cgroup_leave(const struct cgroup *c, struct err *e)
{
	int r = move_self(&c->memory, c->memory.parent_fd, e);
	return move_self(&c->pids, c->pids.parent_fd, e) < 0 ? -1 : r;
}

enum evidence_cgroup cgroup_limits_pids(const struct cgroup *c)
{
	if (!c->counts_pids)
		return EVIDENCE_CGROUP_NONE;
	return c->pids.kind != EVIDENCE_CGROUP_NONE ? c->pids.kind : c->memory.kind;
}

/* Version 1 counts kills for lack of the machine's memory too, so its peak must tell. */
static bool memory_reached(const struct cgroup *c)
{
	uint64_t count = 0, peak;
	if (c->memory_bytes == 0)
		return false;
	switch (c->memory.kind) {
	case EVIDENCE_CGROUP_NONE:
		return false;
	case EVIDENCE_CGROUP_V2:
		return read_number(c->memory.fd, "memory.events", "oom", &count) && count > 0;
	case EVIDENCE_CGROUP_V1:
		peak = cgroup_memory_peak(c);
		return read_number(c->memory.fd, "memory.oom_control", "oom_kill", &count) &&
		       count > 0 && peak >= c->memory_bytes - c->memory_bytes / 64;
	}
	BUG_IF(true);
}

enum sandbox_limit cgroup_reached(const struct cgroup *c)
{
	const struct cgroup_dir *pids =
		c->pids.kind != EVIDENCE_CGROUP_NONE ? &c->pids : &c->memory;
	uint64_t count = 0;
	if (memory_reached(c))
		return SANDBOX_LIMIT_MEMORY;
	if (c->counts_pids && read_number(pids->fd, "pids.events", "max", &count) && count > 0)
		return SANDBOX_LIMIT_PROCESSES;
	return SANDBOX_LIMIT_NONE;
}

uint64_t cgroup_memory_peak(const struct cgroup *c)
{
	uint64_t peak = 0;
	if (c->memory.kind == EVIDENCE_CGROUP_V1)
		(void)read_number(c->memory.fd, "memory.max_usage_in_bytes", "", &peak);
	if (c->memory.kind == EVIDENCE_CGROUP_V2)
		(void)read_number(c->memory.fd, "memory.peak", "", &peak);
	return peak;
}

void cgroup_cleanup(struct cgroup *c)
{
	remove_dir(&c->memory);
	remove_dir(&c->pids);
	*c = (struct cgroup)CGROUP_INIT;
}
