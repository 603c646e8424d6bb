/*
 * A crash or a full or broken disk at every system call by which stores, layouts and single
 * files are written (ST07). The calls are interposed here: the n-th fails with ENOSPC or EIO,
 * writes half, or is the last before or after which the process dies. Whatever happens, what is
 * on disk must be the old state or the new one, and doing the work again must lead to the new
 * one.
 *
 * usage: sec_store_faults DIR; prints what was injected. Exit status 0: the promise held.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/layout.h"
#include "inputs/store.h"
#include "util/atomic_file.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

enum fault {
	FAULT_NONE,
	FAULT_ENOSPC,
	FAULT_EIO,
	FAULT_SHORT,
	FAULT_DIE_BEFORE,
	FAULT_DIE_AFTER,
	FAULTS,
};
enum { CALLS_MAX = 400, BIG = 300000 };
static const char *const fault_names[FAULTS] = {
	"none", "ENOSPC", "EIO", "half a write then ENOSPC", "SIGKILL before", "SIGKILL after"};

/* The test's own switch; the code under test knows nothing of it. */
static struct {
	enum fault kind;
	unsigned at;	/* the call to hit, from 1 */
	unsigned count; /* calls so far */
	bool hit;
	bool is_sync; /* the call that was hit promised that data is on the disk */
} inject;

/* True if the call must fail, with errno set. */
static bool strike(const char *call)
{
	if (inject.kind == FAULT_NONE ||
	    (inject.kind == FAULT_SHORT && strcmp(call, "write") != 0) ||
	    ++inject.count != inject.at)
		return false;
	inject.hit = true;
	if (inject.kind == FAULT_DIE_BEFORE)
		raise(SIGKILL);
	if (inject.kind != FAULT_ENOSPC && inject.kind != FAULT_EIO)
		return false;
	inject.is_sync = strcmp(call, "fsync") == 0 || strcmp(call, "syncfs") == 0;
	errno = inject.kind == FAULT_EIO ? EIO : ENOSPC;
	return true;
}

static long done(long result)
{
	if (inject.hit && inject.kind == FAULT_DIE_AFTER)
		raise(SIGKILL);
	return result;
}

/* ---- the calls ---- */

int openat(int dir, const char *path, int flags, ...)
{
	mode_t mode = 0;
	if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) {
		va_list args;
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
		if (strike("openat"))
			return -1;
	}
	return (int)done(syscall(SYS_openat, dir, path, flags, mode));
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	if (fd > 2 && strike("write"))
		return -1;
	if (inject.hit && inject.kind == FAULT_SHORT) {
		inject.kind = FAULT_ENOSPC; /* the next call finds no room */
		inject.at = inject.count + 1;
		inject.hit = false;
		return syscall(SYS_write, fd, bytes, len / 2 ? len / 2 : 1);
	}
	return done(syscall(SYS_write, fd, bytes, len));
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	return strike("pwrite") ? -1 : done(syscall(SYS_pwrite64, fd, bytes, len, at));
}

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t len,
			unsigned flags)
{
	return strike("copy_file_range") ? -1
					 : done(syscall(SYS_copy_file_range, from, from_at, to,
							to_at, len, flags));
}

/* Waiting for the disk is not what is tested; that it is asked for, and heard, is. */
int fsync(int fd)
{
	(void)fd;
	return strike("fsync") ? -1 : (int)done(0);
}

int syncfs(int fd)
{
	(void)fd;
	return strike("syncfs") ? -1 : (int)done(0);
}

int fchmod(int fd, mode_t mode)
{
	return strike("fchmod") ? -1 : (int)done(syscall(SYS_fchmod, fd, mode));
}

int linkat(int from, const char *old, int to, const char *new, int flags)
{
	return strike("linkat") ? -1
				: (int)done(syscall(SYS_linkat, from, old, to, new, flags));
}

int renameat(int from, const char *old, int to, const char *new)
{
	return strike("renameat") ? -1
				  : (int)done(syscall(SYS_renameat2, from, old, to, new, 0));
}

int unlinkat(int dir, const char *path, int flags)
{
	return strike("unlinkat") ? -1 : (int)done(syscall(SYS_unlinkat, dir, path, flags));
}

int mkdirat(int dir, const char *path, mode_t mode)
{
	return strike("mkdirat") ? -1 : (int)done(syscall(SYS_mkdirat, dir, path, mode));
}

int flock(int fd, int operation)
{
	return strike("flock") ? -1 : (int)done(syscall(SYS_flock, fd, operation));
}

/* ---- the work ---- */

static const char *texts[2] = {"the old state\n", "the new state\n"};

static void big_text(int state, char *out)
{
	memset(out, 'a' + state, BIG);
}

/* Makes the file that is copied without the calls that are interposed. */
static int put_bytes(struct layout *l, const char *bytes, size_t len, struct digest *ret,
		     struct err *e)
{
	AUTO_CLOSE int fd = memfd_create("blob", MFD_CLOEXEC);
	if (syscall(SYS_write, fd, bytes, len) != (long)len)
		return err_sys(e, "cannot write to memory");
	digest_bytes(DIGEST_SHA256, bytes, len, ret);
	return layout_put_blob_fd(l, fd, ret, e);
}

static int put_image(struct layout *l, int state, struct err *e)
{
	AUTO_FREE char *layer = mem_alloc(BIG);
	struct digest config, blob;
	char config_text[DIGEST_TEXT_MAX], blob_text[DIGEST_TEXT_MAX];
	big_text(state, layer);
	AUTO_FREE char *config_json = mem_printf("{\"state\":%d}", state);
	if (put_bytes(l, layer, BIG, &blob, e) < 0 ||
	    put_bytes(l, config_json, strlen(config_json), &config, e) < 0)
		return -1;
	digest_format(&config, config_text);
	digest_format(&blob, blob_text);
	AUTO_FREE char *text = mem_printf(
		"{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":{\"mediaType\":\"%s\","
		"\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":\"%s\",\"digest\":"
		"\"%s\",\"size\":%d}]}",
		OCI_MANIFEST_TYPE, OCI_CONFIG_TYPE, config_text, strlen(config_json),
		OCI_LAYER_TAR_TYPE, blob_text, BIG);
	AUTO(descriptor)
	manifest = {.media_type = mem_strdup(OCI_MANIFEST_TYPE), .size = strlen(text)};
	bool changed;
	if (put_bytes(l, text, strlen(text), &manifest.digest, e) < 0 ||
	    layout_set_tag(l, "app", &manifest, "linux", "amd64", &changed, e) < 0)
		return -1;
	return layout_collect(l, NULL, e);
}

static int put_blobs(int top, int state, struct err *e)
{
	AUTO(store) store = STORE_INIT;
	AUTO_FREE char *bytes = mem_alloc(BIG);
	AUTO_CLOSE int fd = -1;
	struct digest wanted;
	big_text(state, bytes);
	digest_bytes(DIGEST_SHA512, bytes, BIG, &wanted);
	if (store_open(top, &store, e) < 0 ||
	    store_put(&store, texts[state], strlen(texts[state]), NULL, e) < 0 ||
	    store_stage_open(&store, &fd, e) < 0 ||
	    path_write_all(fd, bytes, BIG, "staged file", e) < 0)
		return -1;
	return store_stage_commit(&store, fd, &wanted, BIG, NULL, NULL, e);
}

static int reach(int top, int state, struct err *e)
{
	AUTO(layout) l = LAYOUT_INIT;
	if (put_blobs(top, state, e) < 0 ||
	    atomic_file_write(top, "file", 0644, texts[state], strlen(texts[state]), e) < 0 ||
	    layout_open_writable(top, "oci", &l, e) < 0)
		return -1;
	return put_image(&l, state, e);
}

/* ---- the verdict ---- */

static void explain(const char *what, const char *subject)
{
	fprintf(stderr, "%s '%s'\n", what, subject);
}

/* Every file of a directory of blobs is what its name says. */
static bool blobs_are_sound(int top, const char *path, enum digest_alg alg)
{
	int fd = openat(top, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	bool sound = true;
	if (!dir)
		return errno == ENOENT;
	for (const struct dirent *x; sound && (x = readdir(dir));) {
		struct digest actual;
		struct err e = ERR_INIT;
		char hex[DIGEST_TEXT_MAX];
		if (x->d_name[0] == '.')
			continue;
		AUTO_CLOSE int file = openat(fd, x->d_name, O_RDONLY | O_CLOEXEC);
		sound = file >= 0 && digest_fd(alg, file, path, &actual, NULL, &e) == 0;
		if (sound)
			digest_format_hex(&actual, hex);
		sound = sound && strcmp(hex, x->d_name) == 0;
		if (!sound)
			explain("damaged blob", x->d_name);
	}
	closedir(dir);
	return sound;
}

/* 0 or 1: the state that the file holds; -1: another. */
static int file_state(int top)
{
	AUTO(buf) text = BUF_INIT(KIB);
	struct err e = ERR_INIT;
	if (path_read_file(top, "file", &text, &e) == 0)
		for (int state = 0; state < 2; state++)
			if (strcmp(buf_text(&text), texts[state]) == 0)
				return state;
	explain("neither old nor new:", "file");
	return -1;
}

/* Likewise of the layout: the tag leads to a manifest, its config and its layer, all sound. */
static int layout_state(int top)
{
	AUTO(layout) l = LAYOUT_INIT;
	AUTO(descriptor) d = {0};
	AUTO(buf) text = BUF_INIT(MIB);
	struct err e = ERR_INIT;
	if (layout_open(top, "oci", &l, &e) == 0 &&
	    layout_resolve(&l, "app", "linux", "amd64", &d, &e) == 0 &&
	    layout_blob_read(&l, &d.digest, &text, &e) == 0) {
		for (int state = 0; state < 2; state++) {
			AUTO_FREE char *bytes = mem_alloc(BIG);
			AUTO_FREE char *config = mem_printf("{\"state\":%d}", state);
			struct digest layer, of_config;
			char shown[DIGEST_TEXT_MAX];
			big_text(state, bytes);
			digest_bytes(DIGEST_SHA256, bytes, BIG, &layer);
			digest_bytes(DIGEST_SHA256, config, strlen(config), &of_config);
			digest_format(&layer, shown);
			if (strstr(buf_text(&text), shown) &&
			    layout_has_blob(&l, &layer, BIG) &&
			    layout_has_blob(&l, &of_config, strlen(config)))
				return state;
		}
	}
	explain("neither old nor new:", "oci");
	return -1;
}

static bool leftovers(int top, const char *path)
{
	int fd = openat(top, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	bool found = !dir;
	for (const struct dirent *x; dir && (x = readdir(dir));)
		if (str_has_suffix(x->d_name, ".new")) {
			explain("left behind:", x->d_name);
			found = true;
		}
	if (dir)
		closedir(dir);
	return found;
}

static bool all_sound(int top)
{
	return blobs_are_sound(top, "store/blobs/sha256", DIGEST_SHA256) &&
	       blobs_are_sound(top, "store/blobs/sha512", DIGEST_SHA512) &&
	       blobs_are_sound(top, "oci/blobs/sha256", DIGEST_SHA256);
}

/* ---- one injection ---- */

enum outcome { OUTCOME_DONE, OUTCOME_FAILED, OUTCOME_SWALLOWED, OUTCOME_NOT_REACHED };

static _Noreturn void work(int top, enum fault kind, unsigned at)
{
	struct err e = ERR_INIT;
	inject.kind = kind;
	inject.at = at;
	int r = reach(top, 1, &e);
	if (!inject.hit)
		_exit(OUTCOME_NOT_REACHED);
	if (r < 0)
		_exit(e.id[0] && e.message[0] ? OUTCOME_FAILED : OUTCOME_SWALLOWED);
	_exit(inject.is_sync ? OUTCOME_SWALLOWED : OUTCOME_DONE);
}

static bool starts_old(int parent, int *ret_top)
{
	struct err e = ERR_INIT;
	if (path_remove_tree(parent, "t", &e) < 0 ||
	    path_make_dir(parent, "t", 0700, ret_top, &e) < 0 || reach(*ret_top, 0, &e) < 0) {
		fprintf(stderr, "cannot start: %s\n", e.message);
		return false;
	}
	return true;
}

/* *ret_more: the work has a call of this number. */
static bool try_one(int parent, enum fault kind, unsigned at, bool *ret_more)
{
	AUTO_CLOSE int top = -1;
	struct err e = ERR_INIT;
	int status;
	if (!starts_old(parent, &top))
		return false;
	pid_t child = fork();
	if (child == 0)
		work(top, kind, at);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return false;
	int outcome = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	*ret_more = outcome != OUTCOME_NOT_REACHED;
	if (outcome == OUTCOME_SWALLOWED) {
		explain("an error was swallowed", "");
		return false;
	}
	int file = file_state(top), layout = layout_state(top);
	if (file < 0 || layout < 0 || !all_sound(top))
		return false;
	if (outcome == OUTCOME_DONE && (file != 1 || layout != 1)) {
		explain("success was claimed for the old state", "");
		return false;
	}
	if (reach(top, 1, &e) < 0) {
		explain("doing it again fails:", e.message);
		return false;
	}
	return file_state(top) == 1 && layout_state(top) == 1 && all_sound(top) &&
	       !leftovers(top, ".") && !leftovers(top, "oci") &&
	       !leftovers(top, "oci/blobs/sha256");
}

int main(int argc, char **argv)
{
	AUTO_CLOSE int parent =
		argc == 2 ? openat(AT_FDCWD, argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	unsigned injected = 0;
	if (parent < 0)
		return 2;
	for (enum fault kind = FAULT_ENOSPC; kind < FAULTS; kind++) {
		bool more = true;
		unsigned at = 1;
		for (; more; at++) {
			if (at > CALLS_MAX || !try_one(parent, kind, at, &more)) {
				fprintf(stderr, "... after %s at call %u\n", fault_names[kind],
					at);
				return 1;
			}
			injected += more;
		}
		fprintf(stderr, "%s: %u calls\n", fault_names[kind], at - 2);
	}
	printf("%u faults\n", injected);
	return injected > 100 ? 0 : 1;
}
