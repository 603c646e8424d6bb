/*
 * Attacks on the unpacker's module code, each in a sandbox worker as in a build, but with a
 * canary tree in reach: beside the directory that is unpacked to, writable for the unpacker, at
 * the places that hostile names and links point at. What keeps the canary is the module, not
 * the worker.
 *
 * usage: sec_unpack vectors LIST DIR SCRATCH
 *
 * LIST is as vectors.py describes it, DIR holds the vectors. SCRATCH becomes a directory of the
 * sandbox's ids. Prints a line for each vector and door, fields separated by "|": row, name,
 * door, "ok" or "FAIL", what came of it, milliseconds, most MiB so far.
 *
 * usage: sec_unpack swap BLOB SCRATCH SECONDS
 *
 * Meanwhile somebody who may write there swaps a directory for a link to the canary (UN27).
 *
 * usage: sec_unpack confined SCRATCH
 *
 * Each kind of worker, as if an archive had taken it over, tries what no worker may (UN28).
 */
#include <errno.h>
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build/context.h"
#include "build/policy.h"
#include "image/tree.h"
#include "image/unpack.h"
#include "sandbox/worker.h"
#include "util/clock.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/path.h"
#include "util/str.h"

#define LIST_BYTES (64 * MIB)

struct scene {
	struct sandbox_idmap ids;
	struct sandbox_policy policy;
	int scratch_fd;
	locale_t charset;
};

enum door { DOOR_LAYER, DOOR_ARCHIVE };

struct attempt {
	const struct scene *scene;
	int blob_fd;
	enum door door;
	enum layer_compression compression;
	const char *look; /* must be there after success */
	struct digest diff_id;
};

static _Noreturn void die(const struct err *e)
{
	fprintf(stderr, "sec_unpack: %s [%s]\n", e->message, e->id);
	exit(2);
}

static int write_text(int dir_fd, const char *name, const char *text, struct err *e)
{
	AUTO_CLOSE int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(e, "cannot make '%s'", name);
	return path_write_all(fd, text, strlen(text), name, e);
}

static int make_canary(int scratch, struct err *e)
{
	AUTO_CLOSE int canary = -1;
	AUTO_CLOSE int dir = -1;
	if (path_make_dir(scratch, "canary", 0777, &canary, e) < 0 ||
	    path_make_dir(canary, "dir", 0755, &dir, e) < 0 ||
	    write_text(canary, "file", "alive\n", e) < 0 ||
	    write_text(dir, "file", "alive\n", e) < 0)
		return -1;
	return symlinkat("file", canary, "link") < 0 ? err_sys(e, "cannot make a link") : 0;
}

/* Everything about the canary that an attack could change. */
static int canary_text(int scratch, struct buf *ret, struct err *e)
{
	AUTO(tree) t = {0};
	struct stat st;
	AUTO_CLOSE int canary = -1;
	if (path_open_dir(scratch, "canary", &canary, e) < 0 ||
	    tree_read_dir(canary, &t, e) < 0)
		return -1;
	if (fstat(canary, &st) < 0)
		return err_sys(e, "cannot examine the canary");
	tree_serialise(&t, ret);
	buf_addf(ret, "%o %u %u %lld.%09ld", st.st_mode, st.st_uid, st.st_gid,
		 (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	return 0;
}

static int through_layer(const struct attempt *a, int root, struct err *e)
{
	const struct unpack_layer layer = {a->blob_fd, a->compression, a->diff_id, root};
	return unpack_layer(&layer, &(struct beneath){0}, &unpack_default_limits, e);
}

static int through_archive(const struct attempt *a, int root, struct err *e)
{
	const struct unpack_archive_options options = {
		.name = "vector",
		.dest = "/",
		.whiteouts = true,
		.uid = -1,
		.gid = -1,
		.mode = -1,
		.epoch_s = INT64_C(315532800),
		.charset = a->scene->charset,
	};
	return unpack_archive(a->blob_fd, &options, &unpack_default_limits, root, e);
}

static int attempt(const struct attempt *a, int scratch, struct err *e)
{
	AUTO_CLOSE int root = -1;
	struct stat st;
	if (path_make_dir(scratch, "root", 0755, &root, e) < 0)
		return -1;
	if ((a->door == DOOR_LAYER ? through_layer(a, root, e) : through_archive(a, root, e)) <
	    0)
		return -1;
	if (a->look[0] && fstatat(root, a->look, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, ERR_MISMATCH, "look", "there is no '%s' afterwards", a->look);
	return 0;
}

/* In the worker. The reply says whether the canary lives, then what came of the attempt. */
static int run_attempt(void *ctx, struct buf *reply, struct err *e)
{
	const struct attempt *a = ctx;
	struct err outcome = ERR_INIT;
	AUTO_CLOSE int scratch = -1;
	AUTO(buf) before = BUF_INIT(MIB);
	AUTO(buf) after = BUF_INIT(LIST_BYTES);
	if (path_open_dir(AT_FDCWD, "/scratch", &scratch, e) < 0 ||
	    make_canary(scratch, e) < 0 || canary_text(scratch, &before, e) < 0)
		return -1;
	const char *id = attempt(a, scratch, &outcome) < 0 ? outcome.id : "accept";
	if (canary_text(scratch, &after, e) < 0)
		return -1;
	bool alive = before.len == after.len && memcmp(before.data, after.data, after.len) == 0;
	buf_addf(reply, "%s %s", alive ? "alive" : "dead", id);
	if (path_remove_tree(scratch, "root", e) < 0)
		return -1;
	return path_remove_tree(scratch, "canary", e);
}

static void open_scene(struct scene *s, const char *scratch)
{
	struct err e = ERR_INIT;
	struct digest ignored;
	if (sandbox_idmap_find(&s->ids, &e) < 0 || policy_load(&s->policy, &ignored, &e) < 0 ||
	    build_open_roots(scratch, &s->ids, &s->scratch_fd, &e) < 0 ||
	    unpack_charset_open(&s->charset, &e) < 0)
		die(&e);
}

static int in_prepared_worker(const struct scene *s, enum policy_role role, int keep_fd,
			      int (*prepare)(void *, struct err *),
			      int (*run)(void *, struct buf *, struct err *), void *ctx,
			      struct buf *reply, struct err *e)
{
	const struct sandbox_bind bind = {.fd = s->scratch_fd, .name = "scratch"};
	struct sandbox_worker w = {.idmap = &s->ids,
				   .policy = &s->policy,
				   .binds = &bind,
				   .binds_len = 1,
				   .keep_fds = &keep_fd,
				   .keep_fds_len = keep_fd >= 0,
				   .role = role,
				   .prepare = prepare,
				   .run = run,
				   .ctx = ctx};
	return sandbox_worker_run(&w, reply, e);
}

static int in_worker(const struct scene *s, enum policy_role role, int keep_fd,
		     int (*run)(void *, struct buf *, struct err *), void *ctx,
		     struct buf *reply, struct err *e)
{
	return in_prepared_worker(s, role, keep_fd, NULL, run, ctx, reply, e);
}

/* Is `id` one of the alternatives? */
static bool expected(const char *alternatives, const char *id)
{
	size_t len = strlen(id);
	if (str_same(alternatives, "contained"))
		return str_same(id, "accept") || str_has_prefix(id, "unpack/");
	for (const char *at = alternatives; *at; at += strcspn(at, ","), at += *at == ',')
		if (strcspn(at, ",") == len && memcmp(at, id, len) == 0)
			return true;
	return false;
}

enum { FIELDS = 7 };

static int try_vector(const struct scene *s, char *const fields[FIELDS], const char *dir,
		      enum door door)
{
	const char *want = fields[door == DOOR_LAYER ? 3 : 4];
	struct err e = ERR_INIT;
	AUTO(buf) reply = BUF_INIT(MIB);
	AUTO_FREE char *path = mem_printf("%s/%s", dir, fields[1]);
	AUTO_CLOSE int blob = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	struct attempt a = {.scene = s, .blob_fd = blob, .door = door, .look = fields[5]};
	a.compression = str_same(fields[2], "gzip")   ? LAYER_GZIP
			: str_same(fields[2], "zstd") ? LAYER_ZSTD
						      : LAYER_TAR;
	if (str_same(want, "-"))
		return 0;
	if (blob < 0)
		err_sys(&e, "cannot open '%s'", path);
	if (blob < 0 || digest_parse(fields[6], &a.diff_id, &e) < 0)
		die(&e);
	uint64_t start_ms = clock_monotonic_ms();
	const char *id = in_worker(s, POLICY_UNPACKER, blob, run_attempt, &a, &reply, &e) < 0
				 ? e.id
				 : NULL;
	uint64_t took_ms = clock_monotonic_ms() - start_ms;
	struct rusage usage;
	getrusage(RUSAGE_CHILDREN, &usage);
	const char *answer = buf_text(&reply), *space = strchr(answer, ' ');
	bool alive = id == NULL && str_has_prefix(answer, "alive");
	if (id == NULL)
		id = space ? space + 1 : "?";
	else
		fprintf(stderr, "%s: %s\n", fields[1], e.message);
	bool ok = alive && expected(want, id);
	if (!ok)
		fprintf(stderr, "%s: canary %s, got '%s', expected '%s'\n", fields[1],
			alive ? "alive" : "dead", id, want);
	printf("%s|%s|%s|%s|%s|%llu|%ld\n", fields[0], fields[1],
	       door == DOOR_LAYER ? "layer" : "archive", ok ? "ok" : "FAIL", id,
	       (unsigned long long)took_ms, usage.ru_maxrss / 1024);
	return ok ? 0 : -1;
}

static int run_vectors(const char *list, const char *dir, const char *scratch)
{
	struct scene s = {.scratch_fd = -1};
	struct err e = ERR_INIT;
	AUTO(buf) text = BUF_INIT(LIST_BYTES);
	int failed = 0;
	open_scene(&s, scratch);
	if (path_read_file(AT_FDCWD, list, &text, &e) < 0)
		die(&e);
	for (char *line = text.data, *end;
	     (end = memchr(line, '\n', (size_t)(text.data + text.len - line)));
	     line = end + 1) {
		char *fields[FIELDS];
		size_t n = 0;
		*end = '\0';
		for (char *at = line; n < FIELDS && at; n++) {
			fields[n] = at;
			at = strchr(at, '|');
			if (at)
				*at++ = '\0';
		}
		BUG_IF(n != FIELDS);
		failed |= try_vector(&s, fields, dir, DOOR_LAYER);
		failed |= try_vector(&s, fields, dir, DOOR_ARCHIVE);
	}
	return failed ? 1 : 0;
}

/* UN27: a second process of the same ids, begun before its sibling is confined, swaps root/d
 * for a link to the canary and back as fast as it can: from before the first entry to after the
 * last, never while the scene is set or checked. */
struct swapper {
	atomic_bool stop, ended;
	atomic_uint swaps;
};

struct swapped_attempt {
	struct attempt a;
	struct swapper *swapper; /* shared with it */
};

static _Noreturn void swap_until_stopped(struct swapper *w, int root)
{
	while (!atomic_load(&w->stop)) {
		/* There already, or for the moment the directory: both will do. */
		if (symlinkat("../canary", root, "swap") < 0 && errno != EEXIST)
			break;
		if (renameat2(root, "swap", root, "d", RENAME_EXCHANGE) == 0)
			atomic_fetch_add(&w->swaps, 1);
	}
	atomic_store(&w->ended, true);
	_exit(0);
}

static int prepare_swapped(void *ctx, struct err *e)
{
	struct swapped_attempt *x = ctx;
	AUTO_CLOSE int scratch = -1;
	AUTO_CLOSE int root = -1;
	AUTO_CLOSE int dir = -1;
	if (path_open_dir(AT_FDCWD, "/scratch", &scratch, e) < 0 ||
	    make_canary(scratch, e) < 0 || path_make_dir(scratch, "root", 0755, &root, e) < 0 ||
	    path_make_dir(root, "d", 0755, &dir, e) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0)
		swap_until_stopped(x->swapper, root);
	return pid < 0 ? err_sys(e, "cannot start the swapper") : 0;
}

static int stop_swapper(struct swapper *w, struct err *e)
{
	atomic_store(&w->stop, true);
	/* By looking: a worker may not wait for anything. */
	for (uint64_t until_ms = clock_monotonic_ms() + 5000;
	     !atomic_load(&w->ended) && clock_monotonic_ms() < until_ms;)
		;
	return atomic_load(&w->ended) ? 0
				      : err_set(e, ERR_SYSTEM, "swap", "the swapper goes on");
}

static int run_swapped(void *ctx, struct buf *reply, struct err *e)
{
	const struct swapped_attempt *x = ctx;
	struct err outcome = ERR_INIT;
	AUTO_CLOSE int scratch = -1;
	AUTO_CLOSE int root = -1;
	AUTO(buf) before = BUF_INIT(MIB);
	AUTO(buf) after = BUF_INIT(LIST_BYTES);
	if (path_open_dir(AT_FDCWD, "/scratch", &scratch, e) < 0 ||
	    canary_text(scratch, &before, e) < 0 ||
	    path_open_dir(scratch, "root", &root, e) < 0)
		return -1;
	int r = x->a.door == DOOR_LAYER ? through_layer(&x->a, root, &outcome)
					: through_archive(&x->a, root, &outcome);
	if (stop_swapper(x->swapper, e) < 0 || canary_text(scratch, &after, e) < 0)
		return -1;
	bool alive = before.len == after.len && memcmp(before.data, after.data, after.len) == 0;
	buf_addf(reply, "%s %s", alive ? "alive" : "dead", r < 0 ? outcome.id : "accept");
	if (path_remove_tree(scratch, "root", e) < 0)
		return -1;
	return path_remove_tree(scratch, "canary", e);
}

static int run_swap(const char *blob_path, const char *scratch, uint64_t seconds)
{
	struct scene s = {.scratch_fd = -1};
	struct err e = ERR_INIT;
	unsigned tries = 0, accepted = 0, dead = 0;
	uint64_t swaps = 0;
	AUTO_CLOSE int blob = openat(AT_FDCWD, blob_path, O_RDONLY | O_CLOEXEC);
	struct swapped_attempt x = {.a = {.scene = &s, .blob_fd = blob, .look = ""}};
	open_scene(&s, scratch);
	x.swapper = mmap(NULL, sizeof(*x.swapper), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	BUG_IF(x.swapper == MAP_FAILED);
	if (digest_fd(DIGEST_SHA256, blob, blob_path, &x.a.diff_id, NULL, &e) < 0)
		die(&e);
	uint64_t until_ms = clock_monotonic_ms() + seconds * 1000;
	for (; clock_monotonic_ms() < until_ms; tries++) {
		AUTO(buf) reply = BUF_INIT(MIB);
		*x.swapper = (struct swapper){.swaps = 0};
		x.a.door = tries % 2 ? DOOR_LAYER : DOOR_ARCHIVE;
		/* That an attempt cannot be made is a failure of the test, not of the attack.
		 */
		if (in_prepared_worker(&s, POLICY_UNPACKER, blob, prepare_swapped, run_swapped,
				       &x, &reply, &e) < 0)
			die(&e);
		dead += !str_has_prefix(buf_text(&reply), "alive ");
		accepted += str_has_suffix(buf_text(&reply), " accept");
		swaps += atomic_load(&x.swapper->swaps);
	}
	printf("%u unpackings, %llu swaps, %u went through, %u refused, canary hurt %u times\n",
	       tries, (unsigned long long)swaps, accepted, tries - accepted, dead);
	/* Too few swaps would prove nothing. */
	return dead > 0 || tries < 20 || swaps < tries;
}

/* What a worker that runs an attacker's code would try. 0: it worked. */
static int try_exec(void)
{
	char *const argv[] = {"true", NULL};
	return execve("/scratch/tool", argv, NULL);
}
static int try_exec_fd(void)
{
	char *const argv[] = {"true", NULL};
	int fd = openat(AT_FDCWD, "/scratch/tool", O_PATH | O_CLOEXEC);
	return (int)syscall(SYS_execveat, fd, "", argv, NULL, AT_EMPTY_PATH);
}
static int try_inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}
static int try_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}
static int try_vsock(void)
{
	return socket(AF_VSOCK, SOCK_STREAM, 0);
}
static int try_pair(void)
{
	int fds[2];
	return socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}
static int try_fork(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0)
		_exit(0);
	return pid;
}
static int try_open_outside(void)
{
	return openat(AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC);
}
static int try_open_above(void)
{
	return openat(AT_FDCWD, "/scratch/../../../../etc/passwd", O_RDONLY | O_CLOEXEC);
}
static int try_proc(void)
{
	return openat(AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC);
}
static int try_write_root(void)
{
	return openat(AT_FDCWD, "/planted", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
}
static int try_chroot(void)
{
	return chroot("/scratch");
}
static int try_device(void)
{
	if (mknodat(AT_FDCWD, "/scratch/null", S_IFCHR | 0666, makedev(1, 3)) < 0)
		return -1;
	int fd = openat(AT_FDCWD, "/scratch/null", O_RDWR | O_CLOEXEC);
	struct err e = ERR_INIT;
	AUTO_CLOSE int dir = -1;
	if (path_open_dir(AT_FDCWD, "/scratch", &dir, &e) == 0)
		(void)unlinkat(dir, "null", 0);
	return fd;
}
static int try_mount(void)
{
	return mount("none", "/scratch", "tmpfs", 0, NULL);
}
static int try_unshare(void)
{
	return unshare(CLONE_NEWUSER);
}
static int try_ptrace(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}
static int try_kill(void)
{
	return (int)syscall(SYS_kill, -1, 0);
}
static int try_vm_read(void)
{
	char byte = 0;
	struct iovec io = {&byte, 1};
	return (int)syscall(SYS_process_vm_readv, getppid(), &io, 1UL, &io, 1UL, 0UL);
}
static int try_io_uring(void)
{
	char params[128] = {0};
	return (int)syscall(SYS_io_uring_setup, 4, params);
}
static int try_bpf(void)
{
	return (int)syscall(SYS_bpf, 0, NULL, 0);
}
static int try_keyring(void)
{
	return (int)syscall(SYS_keyctl, 0, -3, 1);
}
static int try_handle(void)
{
	return (int)syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0);
}
static int try_memfd(void)
{
	return (int)syscall(SYS_memfd_create, "code", 0);
}

static const struct probe {
	const char *name;
	int (*try)(void);
} probes[] = {
	{"execve", try_exec},
	{"execveat", try_exec_fd},
	{"inet socket", try_inet},
	{"unix socket", try_unix},
	{"vsock", try_vsock},
	{"socketpair", try_pair},
	{"fork", try_fork},
	{"open /etc", try_open_outside},
	{"open ../etc", try_open_above},
	{"open /proc", try_proc},
	{"write /", try_write_root},
	{"chroot", try_chroot},
	{"device node", try_device},
	{"mount", try_mount},
	{"unshare", try_unshare},
	{"ptrace", try_ptrace},
	{"kill", try_kill},
	{"process_vm_readv", try_vm_read},
	{"io_uring", try_io_uring},
	{"bpf", try_bpf},
	{"keyctl", try_keyring},
	{"open_by_handle", try_handle},
	{"memfd", try_memfd},
};

static int run_probe(void *ctx, struct buf *reply, struct err *e)
{
	const struct probe *p = ctx;
	(void)e;
	errno = 0;
	int r = p->try();
	buf_addf(reply, "%s", r >= 0 ? "worked" : strerrorname_np(errno));
	return 0;
}

static int plant_tool(void *ctx, struct buf *reply, struct err *e)
{
	(void)ctx;
	(void)reply;
	AUTO_CLOSE int scratch = -1;
	if (path_open_dir(AT_FDCWD, "/scratch", &scratch, e) < 0)
		return -1;
	/* That it is no program does not matter: the call must not get as far as looking. */
	if (write_text(scratch, "tool", "#!/scratch/tool\n", e) < 0)
		return -1;
	return fchmodat(scratch, "tool", 0755, 0) < 0 ? err_sys(e, "cannot chmod") : 0;
}

static int run_confined(const char *scratch)
{
	static const struct {
		enum policy_role role;
		const char *name;
	} roles[] = {{POLICY_UNPACKER, "unpacker"},
		     {POLICY_PACKER, "packer"},
		     {POLICY_LISTER, "lister"},
		     {POLICY_REMOVER, "remover"}};
	struct scene s = {.scratch_fd = -1};
	struct err e = ERR_INIT;
	int failed = 0;
	open_scene(&s, scratch);
	if (in_worker(&s, POLICY_UNPACKER, -1, plant_tool, NULL, NULL, &e) < 0)
		die(&e);
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		for (size_t j = 0; j < ARRAY_LEN(probes); j++) {
			AUTO(buf) reply = BUF_INIT(MIB);
			struct probe p = probes[j];
			e = (struct err)ERR_INIT;
			/* Killed is denied too. */
			int r = in_worker(&s, roles[i].role, -1, run_probe, &p, &reply, &e);
			bool worked = r == 0 && str_same(buf_text(&reply), "worked");
			failed |= worked;
			printf("%s|%s|%s|%s\n", roles[i].name, p.name, worked ? "FAIL" : "ok",
			       r < 0 ? e.message : buf_text(&reply));
		}
	}
	return failed;
}

int main(int argc, char **argv)
{
	uint64_t seconds = 0;
	if (argc == 5 && str_same(argv[1], "vectors"))
		return run_vectors(argv[2], argv[3], argv[4]);
	if (argc == 5 && str_same(argv[1], "swap"))
		return num_parse_u64(argv[4], strlen(argv[4]), 600, &seconds)
			       ? run_swap(argv[2], argv[3], seconds)
			       : 2;
	if (argc == 3 && str_same(argv[1], "confined"))
		return run_confined(argv[2]);
	fprintf(stderr, "usage: sec_unpack vectors LIST DIR SCRATCH | "
			"swap BLOB SCRATCH SECONDS | confined SCRATCH\n");
	return 2;
}
