/*
 * Looking costs the step nothing but a little of another CPU; where it could cost more, the
 * time to the next look grows with what the last one took.
 */
#include "sandbox/meter_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "sandbox/worker.h"
#include "util/clock.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/path.h"
#include "util/str.h"

enum {
	LOOK_MS = 100,
	SCAN_SHARE = 50,      /* a scan of the processes may take one 50th of the time */
	RESERVE_DIVISOR = 20, /* of a small file system, a 20th is reserve enough */
	COUNT_STEPS = 8,      /* exact counts on the way from once to twice the limit */
};

void meter_cleanup(struct meter *m)
{
	for (size_t i = 0; i < METER_PLACES; i++) {
		mem_close_cleanup(&m->places[i]);
		m->places[i] = -1;
	}
}

/* ---- processes ---- */

struct process_sum {
	uint64_t tasks;
	uint64_t resident_bytes;	  /* with what processes share counted in each */
	uint64_t anon_bytes, shmem_bytes; /* with shares, exact */
};

static bool read_proc(int proc_fd, const char *pid, const char *name, char *out, size_t size)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/%s", pid, name);
	AUTO_CLOSE int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
	out[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* The second number of statm is the resident pages. */
static uint64_t resident_bytes(int proc_fd, const char *pid)
{
	char text[128];
	uint64_t pages;
	if (!read_proc(proc_fd, pid, "statm", text, sizeof(text)))
		return 0;
	const char *at = text + strcspn(text, " ");
	at += *at == ' ';
	if (!num_parse_u64(at, strcspn(at, " \n"), UINT64_MAX, &pages))
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* "KEY:     123 kB" */
static uint64_t rollup_bytes(const char *text, const char *key)
{
	uint64_t kib;
	const char *at = strstr(text, key);
	if (!at)
		return 0;
	at += strlen(key);
	at += strspn(at, " ");
	return num_parse_u64(at, strcspn(at, " \n"), UINT64_MAX / KIB, &kib) ? kib * KIB : 0;
}

static void add_process(int proc_fd, const char *pid, bool exact, struct process_sum *sum)
{
	char path[64], text[2048];
	struct stat st;
	snprintf(path, sizeof(path), "%s/task", pid);
	/* A directory for each thread, and "." and "..". */
	if (fstatat(proc_fd, path, &st, 0) == 0 && st.st_nlink > 2)
		sum->tasks += st.st_nlink - 2;
	if (!exact) {
		sum->resident_bytes += resident_bytes(proc_fd, pid);
		return;
	}
	if (!read_proc(proc_fd, pid, "smaps_rollup", text, sizeof(text)))
		return;
	sum->anon_bytes += rollup_bytes(text, "Pss_Anon:");
	sum->shmem_bytes += rollup_bytes(text, "Pss_Shmem:");
}

static void sum_processes(int proc_fd, bool exact, uint64_t tasks_max, struct process_sum *sum)
{
	int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	*sum = (struct process_sum){0};
	if (!dir) {
		mem_close_cleanup(&fd);
		return;
	}
	for (const struct dirent *entry; (entry = readdir(dir));) {
		uint64_t pid;
		if (tasks_max > 0 && sum->tasks > tasks_max)
			break;
		/* Pid 1 is ours, not the step's, and shows to root only. */
		if (num_parse_u64(entry->d_name, strlen(entry->d_name), INT32_MAX, &pid) &&
		    pid != 1)
			add_process(proc_fd, entry->d_name, exact, sum);
	}
	closedir(dir);
}

static uint64_t used_bytes(int fd)
{
	struct statvfs st;
	if (fd < 0 || fstatvfs(fd, &st) < 0)
		return 0;
	return (uint64_t)(st.f_blocks - st.f_bfree) * st.f_frsize;
}

static uint64_t memory_file_systems(const struct meter *m)
{
	return used_bytes(m->places[METER_TMP]) + used_bytes(m->places[METER_RUN]) +
	       used_bytes(m->places[METER_SHM]);
}

/* Adding up resident pages counts shared ones again and again: enough to say that there is no
 * need to look closer, which costs a walk of every page table. */
static bool memory_exceeded(struct meter *m, const struct process_sum *rough)
{
	struct process_sum exact;
	if (m->limits->memory_bytes == 0)
		return false;
	uint64_t files = memory_file_systems(m);
	if (m->count_memfds)
		files += memfd_bytes(m->places[METER_PROC]);
	if (rough->resident_bytes + files <= m->limits->memory_bytes)
		return false;
	sum_processes(m->places[METER_PROC], true, 0, &exact);
	/* Pages of /dev/shm and of memfds are among those that processes map. */
	uint64_t shared = exact.shmem_bytes > files ? exact.shmem_bytes : files;
	if (exact.anon_bytes + shared > m->memory_peak_bytes)
		m->memory_peak_bytes = exact.anon_bytes + shared;
	return exact.anon_bytes + shared > m->limits->memory_bytes;
}

static enum sandbox_limit look_at_processes(struct meter *m, uint64_t now_ms)
{
	struct process_sum sum;
	bool memory = m->cgroup->memory.kind == EVIDENCE_CGROUP_NONE;
	bool pids = cgroup_limits_pids(m->cgroup) == EVIDENCE_CGROUP_NONE;
	enum sandbox_limit reached = SANDBOX_LIMIT_NONE;
	if ((!memory && !pids) || m->places[METER_PROC] < 0 || now_ms < m->next_scan_ms)
		return SANDBOX_LIMIT_NONE;
	uint64_t tasks_max = pids ? m->limits->processes : 0;
	sum_processes(m->places[METER_PROC], false, tasks_max, &sum);
	if (tasks_max > 0 && sum.tasks > tasks_max)
		reached = SANDBOX_LIMIT_PROCESSES;
	else if (memory && memory_exceeded(m, &sum))
		reached = SANDBOX_LIMIT_MEMORY;
	uint64_t done_ms = clock_monotonic_ms();
	m->next_scan_ms = done_ms + (done_ms - now_ms) * SCAN_SHARE;
	return reached;
}

/* ---- disk ---- */

struct count_answer {
	struct sandbox_usage usage;
	enum sandbox_limit exceeded;
};

static int count_upper(void *ctx, struct buf *reply, struct err *e)
{
	const struct meter *m = ctx;
	struct count_answer answer;
	AUTO_CLOSE int roots = -1;
	AUTO_CLOSE int upper = -1;
	if (path_open_dir(AT_FDCWD, "roots", &roots, e) < 0 ||
	    path_open_dir(roots, m->spec->upper, &upper, e) < 0 ||
	    sandbox_usage_count(upper, m->limits, &answer.usage, &answer.exceeded, e) < 0)
		return -1;
	buf_add(reply, &answer, sizeof(answer));
	return 0;
}

/* Only the root of the sandbox may read what its other users made. */
static int count_exactly(struct meter *m, struct count_answer *ret, struct err *e)
{
	const struct sandbox_bind bind = {
		.fd = m->spec->roots_fd, .name = "roots", .read_only = true};
	const struct sandbox_worker worker = {
		.idmap = m->spec->idmap,
		.policy = m->spec->policy,
		.binds = &bind,
		.binds_len = 1,
		.role = POLICY_LISTER,
		.run = count_upper,
		.ctx = m,
	};
	AUTO(buf) reply = BUF_INIT(sizeof(*ret));
	if (sandbox_worker_run(&worker, &reply, e) < 0)
		return err_wrap(e, "counting the layer of '%s'", m->spec->label);
	BUG_IF(reply.len != sizeof(*ret));
	memcpy(ret, reply.data, sizeof(*ret));
	return 0;
}

static uint64_t reserve_bytes(const struct meter *m, const struct statvfs *st)
{
	uint64_t part = (uint64_t)st->f_blocks * st->f_frsize / RESERVE_DIVISOR;
	uint64_t reserve = m->spec->policy->limits.disk_reserve_bytes;
	return part < reserve ? part : reserve;
}

static bool reserve_is_touched(const struct meter *m, const struct statvfs *st)
{
	/* btrfs and others have no fixed number of inodes and say 0. */
	bool no_files = st->f_files > 0 && st->f_favail == 0;
	return no_files || (uint64_t)st->f_bavail * st->f_frsize < reserve_bytes(m, st);
}

static uint64_t used_since(uint64_t before, uint64_t now)
{
	return before > now ? before - now : 0;
}

/* Others use the file system too: what it has lost since the start is a reason to count, not
 * yet a verdict. */
static int look_at_disk(struct meter *m, enum sandbox_limit *ret, struct err *e)
{
	struct statvfs st;
	struct count_answer answer = {0};
	*ret = SANDBOX_LIMIT_NONE;
	if (fstatvfs(m->spec->roots_fd, &st) < 0)
		return err_sys(e, "cannot examine the file system of the roots directory");
	if (reserve_is_touched(m, &st)) {
		*ret = SANDBOX_LIMIT_RESERVE;
		return 0;
	}
	uint64_t bytes = used_since(m->free_bytes, (uint64_t)st.f_bfree * st.f_frsize);
	uint64_t files = used_since(m->free_files, st.f_ffree);
	bool count = (m->count_at_bytes > 0 && bytes > m->count_at_bytes) ||
		     (m->count_at_files > 0 && files > m->count_at_files);
	if (!count)
		return 0;
	if (count_exactly(m, &answer, e) < 0)
		return -1;
	m->count_at_bytes += m->limits->disk_bytes / COUNT_STEPS;
	m->count_at_files += m->limits->files / COUNT_STEPS;
	*ret = answer.exceeded;
	return 0;
}

/* ---- the whole ---- */

int meter_start(struct meter *m, const struct sandbox_spec *spec, const struct cgroup *cgroup,
		struct err *e)
{
	struct statvfs st;
	m->spec = spec;
	m->limits = spec->limits ? spec->limits : &spec->policy->defaults;
	m->cgroup = cgroup;
	if (fstatvfs(spec->roots_fd, &st) < 0)
		return err_sys(e, "cannot examine the file system of the roots directory");
	if (reserve_is_touched(m, &st))
		return sandbox_limit_reached(SANDBOX_LIMIT_RESERVE, spec->label, m->limits,
					     NULL, e);
	m->free_bytes = (uint64_t)st.f_bfree * st.f_frsize;
	m->free_files = st.f_ffree;
	m->count_at_bytes = m->limits->disk_bytes;
	m->count_at_files = m->limits->files;
	m->next_ms = clock_monotonic_ms() + LOOK_MS;
	return 0;
}

int meter_timeout(const struct meter *m)
{
	uint64_t now = clock_monotonic_ms();
	return now >= m->next_ms ? 0 : (int)(m->next_ms - now);
}

int meter_look(struct meter *m, enum sandbox_limit *ret, struct err *e)
{
	uint64_t now = clock_monotonic_ms();
	*ret = SANDBOX_LIMIT_NONE;
	if (now < m->next_ms)
		return 0;
	*ret = cgroup_reached(m->cgroup);
	if (*ret == SANDBOX_LIMIT_NONE)
		*ret = look_at_processes(m, now);
	if (*ret == SANDBOX_LIMIT_NONE && look_at_disk(m, ret, e) < 0)
		return -1;
	m->next_ms = clock_monotonic_ms() + LOOK_MS;
	return 0;
}

enum sandbox_limit meter_last(struct meter *m, uint64_t largest_rss_bytes)
{
	enum sandbox_limit limit = cgroup_reached(m->cgroup);
	uint64_t files = memory_file_systems(m);
	uint64_t most = largest_rss_bytes > files ? largest_rss_bytes : files;
	if (limit != SANDBOX_LIMIT_NONE || m->cgroup->memory.kind != EVIDENCE_CGROUP_NONE)
		return limit;
	if (most > m->memory_peak_bytes)
		m->memory_peak_bytes = most;
	return m->limits->memory_bytes > 0 && most > m->limits->memory_bytes
		       ? SANDBOX_LIMIT_MEMORY
		       : SANDBOX_LIMIT_NONE;
}

static bool is_full(int fd)
{
	struct statvfs st;
	return fd >= 0 && fstatvfs(fd, &st) == 0 && st.f_blocks > 0 && st.f_bavail == 0;
}

void meter_finish(struct meter *m, struct sandbox_evidence *ev)
{
	uint64_t peak = cgroup_memory_peak(m->cgroup);
	ev->tmp_full = is_full(m->places[METER_TMP]);
	ev->run_full = is_full(m->places[METER_RUN]);
	ev->shm_full = is_full(m->places[METER_SHM]);
	ev->memory_by = m->cgroup->memory.kind;
	ev->processes_by = cgroup_limits_pids(m->cgroup);
	ev->memory_peak_bytes = peak > 0 ? peak : m->memory_peak_bytes;
}
