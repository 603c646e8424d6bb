/*
 * Snapshots of a directory that another process keeps changing (ST01, ST02): files are
 * rewritten in place, truncated, replaced, turned into links and fifos, and a directory is
 * swapped with a link to one outside. What a snapshot took must be in the store under the hash
 * of its bytes, whole, and nothing of outside may be there.
 *
 * usage: sec_store_race DIR SECONDS; prints how much happened. Exit status 0: the promise held.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inputs/local.h"
#include "util/clock.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

enum { LEN = 200000, BURST = 1000 };
#define SECRET "a secret of the machine"

static void put(int dir, const char *name, const char *bytes, size_t len)
{
	AUTO_CLOSE int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	struct err e = ERR_INIT;
	if (fd < 0 || path_write_all(fd, bytes, len, name, &e) < 0)
		_exit(2);
}

/* One change; a step that meets what another made just fails, and the next goes on. */
static void change(int dir, unsigned step, const char *bytes)
{
	switch (step % 8) {
	case 0:
	case 1:
		put(dir, "tree/rewritten", bytes, LEN);
		break;
	case 2: {
		AUTO_CLOSE int fd = openat(dir, "tree/rewritten", O_WRONLY | O_CLOEXEC);
		if (fd < 0 || ftruncate(fd, LEN / 3) < 0)
			_exit(2);
		break;
	}
	case 3:
		put(dir, "tree/next", bytes, LEN);
		renameat(dir, "tree/next", dir, "tree/replaced");
		break;
	case 4:
		if (symlinkat("../outside/secret", dir, "tree/next") == 0)
			renameat(dir, "tree/next", dir, "tree/replaced");
		break;
	case 5:
		mknodat(dir, "tree/next", S_IFIFO | 0600, 0);
		renameat(dir, "tree/next", dir, "tree/replaced");
		break;
	case 6:
		if (renameat(dir, "tree/sub", dir, "kept") < 0 ||
		    symlinkat("../outside", dir, "tree/sub") < 0)
			_exit(2);
		break;
	case 7:
		unlinkat(dir, "tree/sub", 0);
		renameat(dir, "kept", dir, "tree/sub");
		break;
	default:
		break;
	}
}

/* A file and a link to one outside change places, as fast as the kernel does it: what looked
 * like a file a moment ago is a link when it is opened. */
static void exchange(int dir, unsigned *counter)
{
	for (unsigned i = 0; i < BURST; i++) {
		if (syscall(SYS_renameat2, dir, "tree/a", dir, "link",
			    2 /* RENAME_EXCHANGE */) < 0)
			_exit(2);
		__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
	}
}

static _Noreturn void change_for_ever(int dir, unsigned *counter)
{
	AUTO_FREE char *bytes[2] = {mem_alloc(LEN), mem_alloc(LEN)};
	memset(bytes[0], 'a', LEN);
	memset(bytes[1], 'b', LEN);
	for (unsigned step = 0;; step++) {
		change(dir, step, bytes[step / 8 % 2]);
		__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
		if (step % 8 == 3) { /* no fifo is in the way */
			exchange(dir, counter);
			usleep(2000); /* for snapshots that nothing disturbs */
		}
	}
}

/* The blobs of a tree: there, right, and of inside. */
static int check_tree(const struct store *store, const struct digest *tree, struct err *e)
{
	AUTO(local_tree) t = {0};
	if (local_tree_load(store, tree, &t, e) < 0)
		return -1;
	for (size_t i = 0; i < t.len; i++) {
		AUTO(buf) bytes = BUF_INIT(MIB);
		if (t.items[i].type != LOCAL_FILE)
			continue;
		if (store_blob_read(store, &t.items[i].digest, &bytes, e) < 0)
			return -1;
		if (bytes.len != t.items[i].size)
			return err_set(e, ERR_MISMATCH, "test/size", "'%s' has another size",
				       t.items[i].path);
		if (strstr(buf_text(&bytes), SECRET))
			return err_set(e, ERR_MISMATCH, "test/secret", "'%s' is from outside",
				       t.items[i].path);
	}
	return 0;
}

struct tally {
	unsigned taken, refused;
};

static int take(const struct store *store, int dir, struct tally *t, struct err *e)
{
	static const char *const clean[] = {"import/changed", "import/special-file"};
	struct digest tree;
	struct err mine = ERR_INIT;
	if (local_snapshot(store, dir, "tree", true, NULL, &tree, &mine) == 0) {
		t->taken++;
		return check_tree(store, &tree, e);
	}
	for (size_t i = 0; i < ARRAY_LEN(clean); i++)
		if (str_same(mine.id, clean[i])) {
			t->refused++;
			return 0;
		}
	*e = mine;
	return -1;
}

static int run(int dir, uint64_t seconds, unsigned *counter, struct tally *t, struct err *e)
{
	AUTO(store) store = STORE_INIT;
	AUTO_CLOSE int state = -1;
	if (path_make_dir(dir, "state", 0700, &state, e) < 0 ||
	    store_open(state, &store, e) < 0)
		return -1;
	uint64_t end = clock_monotonic_ms() + seconds * 1000;
	/* A snapshot that nothing disturbs, so that being taken is possible at all. */
	if (take(&store, dir, t, e) < 0)
		return -1;
	pid_t child = fork();
	if (child == 0)
		change_for_ever(dir, counter);
	int r = 0;
	while (r == 0 && clock_monotonic_ms() < end)
		r = take(&store, dir, t, e);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return r;
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct tally t = {0, 0};
	unsigned *counter = mmap(NULL, sizeof(*counter), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	AUTO_CLOSE int dir =
		argc == 3 ? openat(AT_FDCWD, argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (dir < 0 || counter == MAP_FAILED)
		return 2;
	if (mkdirat(dir, "tree", 0755) < 0 || mkdirat(dir, "tree/sub", 0755) < 0 ||
	    mkdirat(dir, "outside", 0755) < 0)
		return 2;
	put(dir, "outside/secret", SECRET, strlen(SECRET));
	put(dir, "tree/sub/secret", "harmless", strlen("harmless"));
	put(dir, "tree/rewritten", "first", strlen("first"));
	put(dir, "tree/a", "harmless", strlen("harmless"));
	if (symlinkat("../outside/secret", dir, "link") < 0)
		return 2;
	if (run(dir, (uint64_t)(argv[2][0] - '0'), counter, &t, &e) < 0) {
		fprintf(stderr, "%s [%s]\n", e.message, e.id);
		return 1;
	}
	printf("%u changes, %u snapshots refused, %u taken and right\n", *counter, t.refused,
	       t.taken);
	return t.refused > 0 && t.taken > 0 && *counter > 100 ? 0 : 1;
}
