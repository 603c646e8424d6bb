/*
 * Takes snapshots of the user's files. The tree may change under our hands, by an editor or by
 * malice, so each file is opened once, without following links, and judged by its fd; what
 * counts is the hash of the copy in the store, and a file that did not hold still is an error
 * rather than a mixture.
 */
#include "inputs/local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inputs/local_tree_internal.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

/* Each waits with an open fd for the next write to disk. */
enum { STAGED_MAX = 200 };

struct snapshot {
	const struct store *store; /* NULL: nothing is kept */
	const char *path;	   /* as the user wrote it; for errors */
	struct local_tree tree;
	uint64_t bytes;

	/* Copies on their way into the store, and the entries they are of. */
	struct store_staged staged[STAGED_MAX];
	size_t staged_entry[STAGED_MAX];
	size_t staged_len;
};

static void drop_staged(struct snapshot *s)
{
	for (size_t i = 0; i < s->staged_len; i++)
		mem_close_cleanup(&s->staged[i].fd);
	s->staged_len = 0;
}

static void snapshot_cleanup(struct snapshot *s)
{
	drop_staged(s);
	local_tree_cleanup(&s->tree);
}

/* The path of an entry as the user would write it. The caller frees. */
static char *shown_path(const struct snapshot *s, const char *path)
{
	AUTO_FREE char *joined = *path ? path_join(s->path, path) : mem_strdup(s->path);

	return str_printable(joined, strlen(joined));
}

static int err_entry(const struct snapshot *s, const char *path, const char *id,
		     const char *what, struct err *e)
{
	AUTO_FREE char *shown = shown_path(s, path);

	return err_set(e, ERR_INPUT, id, "'%s' %s", shown, what);
}

static int err_changed(const struct snapshot *s, const char *path, struct err *e)
{
	err_entry(s, path, "import/changed", "changed while it was read", e);
	return err_hint(e, "build again when nothing writes there");
}

static int err_entry_sys(const struct snapshot *s, const char *path, struct err *e)
{
	int saved = errno;
	AUTO_FREE char *shown = shown_path(s, path);

	/* Listed a moment ago: this is a change, not an absence. */
	if (saved == ENOENT || saved == ELOOP || saved == ENOTDIR)
		return err_changed(s, path, e);
	errno = saved;
	return err_sys(e, "cannot read '%s'", shown);
}

/* Takes `path`. A tree that could not be read back must not be written. */
static int add_entry(struct snapshot *s, char *path, enum local_type type, uint32_t mode,
		     struct err *e)
{
	struct local_entry entry = {.path = path, .type = type, .mode = mode & 07777};

	vec_push(&s->tree, entry);
	if (s->tree.len > LIMIT_LOCAL_ENTRIES) {
		err_entry(s, "", "import/too-many", "holds too many files for one import", e);
		return err_hint(e, "import an archive of it, or several parts");
	}
	if (strlen(path) > LIMIT_PATH_BYTES)
		return err_entry(s, path, "import/path-too-long", "is too long a path", e);
	if (!str_is_utf8(path, strlen(path)))
		return err_entry(s, path, "import/name-not-utf8", "is not valid UTF-8", e);
	return 0;
}

static bool is_same_state(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mode == b->st_mode && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Puts what is staged into the store. */
static int flush(struct snapshot *s, struct err *e)
{
	size_t failed = 0;

	if (s->staged_len == 0)
		return 0;
	if (store_stage_commit_all(s->store, s->staged, s->staged_len, &failed, e) < 0) {
		/* The copy differs from what was hashed a moment before. */
		if (e && e->code == ERR_MISMATCH)
			err_changed(s, s->tree.items[s->staged_entry[failed]].path, e);
		return -1;
	}
	drop_staged(s);
	return 0;
}

static int keep_blob(struct snapshot *s, int fd, const struct local_entry *entry, struct err *e)
{
	AUTO_CLOSE int staged = -1;

	if (!s->store || store_has(s->store, &entry->digest))
		return 0;
	if (store_stage_open(s->store, &staged, e) < 0 ||
	    path_copy_fd(fd, staged, entry->path, e) < 0)
		return -1;
	s->staged_entry[s->staged_len] = s->tree.len - 1;
	s->staged[s->staged_len++] = (struct store_staged){
		.fd = TAKE_FD(staged), .digest = entry->digest, .len = entry->size};
	return s->staged_len == STAGED_MAX ? flush(s, e) : 0;
}

/* Fills the last entry, a file, from its directory. */
static int take_file(struct snapshot *s, int dir_fd, const char *name, struct err *e)
{
	struct local_entry *entry = &s->tree.items[s->tree.len - 1];
	AUTO_CLOSE int fd = -1;
	struct stat before;
	struct stat after;

	/* Non-blocking: what was a file when it was listed may be a fifo now. */
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &before) < 0)
		return err_entry_sys(s, entry->path, e);
	if (!S_ISREG(before.st_mode))
		return err_changed(s, entry->path, e);
	s->bytes += (uint64_t)before.st_size;
	if ((uint64_t)before.st_size > LIMIT_LOCAL_BYTES || s->bytes > LIMIT_LOCAL_BYTES)
		return err_entry(s, "", "import/too-big", "holds more than 16 GiB", e);
	entry->mode = before.st_mode & 07777;
	if (digest_fd(DIGEST_SHA256, fd, entry->path, &entry->digest, &entry->size, e) < 0)
		return -1;
	/* Also the way of files that only look regular: those of /proc have no size. */
	if (entry->size != (uint64_t)before.st_size)
		return err_changed(s, entry->path, e);
	if (keep_blob(s, fd, entry, e) < 0)
		return -1;
	if (fstat(fd, &after) < 0)
		return err_entry_sys(s, entry->path, e);
	return is_same_state(&before, &after) ? 0 : err_changed(s, entry->path, e);
}

/* Fills the last entry, a symlink. */
static int take_symlink(struct snapshot *s, int dir_fd, const char *name, struct err *e)
{
	struct local_entry *entry = &s->tree.items[s->tree.len - 1];
	char target[LIMIT_PATH_BYTES];
	ssize_t len = readlinkat(dir_fd, name, target, sizeof(target));

	if (len < 0 && errno == EINVAL)
		return err_changed(s, entry->path, e);
	if (len < 0)
		return err_entry_sys(s, entry->path, e);
	if (len == 0 || len == (ssize_t)sizeof(target))
		return err_entry(s, entry->path, "import/path-too-long",
				 "links to too long a path", e);
	if (!str_is_utf8(target, (size_t)len))
		return err_entry(s, entry->path, "import/name-not-utf8",
				 "links to a path that is not valid UTF-8", e);
	entry->mode = 0777;
	entry->target = mem_strndup(target, (size_t)len);
	return 0;
}

/* Adds `name` of the directory; directories are entered later. Takes `path`. */
static int take_entry(struct snapshot *s, int dir_fd, const char *name, char *path,
		      struct err *e)
{
	AUTO_FREE char *owned = path;
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_entry_sys(s, path, e);
	if (S_ISDIR(st.st_mode))
		return add_entry(s, TAKE_PTR(owned), LOCAL_DIR, st.st_mode, e);
	if (S_ISREG(st.st_mode)) {
		if (add_entry(s, TAKE_PTR(owned), LOCAL_FILE, st.st_mode, e) < 0)
			return -1;
		return take_file(s, dir_fd, name, e);
	}
	if (S_ISLNK(st.st_mode)) {
		if (add_entry(s, TAKE_PTR(owned), LOCAL_SYMLINK, 0777, e) < 0)
			return -1;
		return take_symlink(s, dir_fd, name, e);
	}
	err_entry(s, path, "import/special-file", "is a device, fifo or socket", e);
	return err_hint(e, "import regular files, directories and symbolic links only");
}

struct listing {
	DIR *dir;
};

static void listing_cleanup(struct listing *l)
{
	if (l->dir)
		closedir(l->dir);
	l->dir = NULL;
}

static bool is_dot(const char *name)
{
	return str_same(name, ".") || str_same(name, "..");
}

static size_t path_depth(const char *path)
{
	size_t depth = *path ? 1 : 0;

	for (; *path; path++)
		depth += *path == '/';
	return depth;
}

static int read_names(struct snapshot *s, DIR *dir, const char *path, struct err *e)
{
	const struct dirent *d;

	while ((errno = 0, d = readdir(dir))) {
		char *child;

		if (is_dot(d->d_name))
			continue;
		child = *path ? path_join(path, d->d_name) : mem_strdup(d->d_name);
		if (take_entry(s, dirfd(dir), d->d_name, child, e) < 0)
			return -1;
	}
	return errno ? err_entry_sys(s, path, e) : 0;
}

/* A snapshot of the store would change it, and so never end. */
static int err_holds_store(const struct snapshot *s, struct err *e)
{
	err_entry(s, "", "import/holds-store", "contains the state directory of stacker", e);
	return err_hint(e, "import something narrower, or move the state directory with "
			   "--stacker-dir");
}

/* `fd` is the directory of entry `index`; it is taken. */
static int take_dir(struct snapshot *s, size_t index, int fd, struct err *e)
{
	/* The entries may move while children are added. */
	AUTO_FREE char *path = mem_strdup(s->tree.items[index].path);
	AUTO_CLOSE int owned = fd;
	AUTO(listing) l = {NULL};
	struct stat store;
	struct stat before;
	struct stat after;

	if (path_depth(path) > LIMIT_TREE_DEPTH)
		return err_entry(s, path, "import/path-too-long", "is nested too deeply", e);
	if (fstat(owned, &before) < 0 || (s->store && fstat(s->store->root_fd, &store) < 0))
		return err_entry_sys(s, path, e);
	if (s->store && before.st_dev == store.st_dev && before.st_ino == store.st_ino)
		return err_holds_store(s, e);
	s->tree.items[index].mode = before.st_mode & 07777;
	l.dir = fdopendir(owned);
	if (!l.dir)
		return err_entry_sys(s, path, e);
	TAKE_FD(owned);
	if (read_names(s, l.dir, path, e) < 0)
		return -1;
	if (fstat(dirfd(l.dir), &after) < 0)
		return err_entry_sys(s, path, e);
	return is_same_state(&before, &after) ? 0 : err_changed(s, path, e);
}

/* Breadth first: the entries are their own work list, so that depth costs no fds. */
static int take_tree(struct snapshot *s, int root_fd, struct err *e)
{
	int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(e, "cannot duplicate a directory");
	if (take_dir(s, 0, fd, e) < 0)
		return -1;
	for (size_t i = 1; i < s->tree.len; i++) {
		if (s->tree.items[i].type != LOCAL_DIR)
			continue;
		if (path_open_beneath(root_fd, s->tree.items[i].path, O_RDONLY | O_DIRECTORY, 0,
				      &fd, e) < 0)
			return err_entry_sys(s, s->tree.items[i].path, e);
		if (take_dir(s, i, fd, e) < 0)
			return -1;
	}
	return 0;
}

/*
 * The directory the user means: links on the way to it are followed, but it is none itself. In
 * a checkout of somebody else's, "data/" may be a link to a home directory. `clean` does not
 * end in a slash, which would follow it.
 */
static int take_directory_at(struct snapshot *s, int dir_fd, const char *clean, struct err *e)
{
	AUTO_CLOSE int fd =
		openat(dir_fd, clean, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP) &&
	    fstatat(dir_fd, clean, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)) {
		err_entry(s, "", "import/link", "is a symbolic link, not a directory", e);
		return err_hint(e, "name the directory that it leads to");
	}
	if (fd < 0 && errno == ENOENT)
		return err_entry(s, "", "import/absent", "does not exist", e);
	if (fd < 0 && errno == ENOTDIR)
		return err_entry(s, "", "import/not-a-directory", "is not a directory", e);
	if (fd < 0)
		return err_sys(e, "cannot open '%s'", s->path);
	if (add_entry(s, mem_strdup(""), LOCAL_DIR, 0755, e) < 0)
		return -1;
	return take_tree(s, fd, e);
}

/* The parent by ordinary lookup, the last component as it is: a link is imported as a link. */
static int take_named(struct snapshot *s, int dir_fd, const char *clean, const char *name,
		      struct err *e)
{
	AUTO_CLOSE int parent_fd = -1;
	AUTO_FREE char *parent = mem_strndup(clean, strlen(clean) - strlen(name));
	struct stat st;

	parent_fd = openat(dir_fd, *parent ? parent : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parent_fd < 0 || fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return err_entry(s, "", "import/absent", "does not exist", e);
		return err_sys(e, "cannot look at '%s'", s->path);
	}
	if (take_entry(s, parent_fd, name, mem_strdup(""), e) < 0)
		return -1;
	BUG_IF(s->tree.len == 0);
	if (s->tree.items[0].type != LOCAL_DIR)
		return 0;
	AUTO_CLOSE int fd = -1;

	if (path_open_beneath(parent_fd, name, O_RDONLY | O_DIRECTORY, 0, &fd, e) < 0)
		return err_entry_sys(s, "", e);
	return take_tree(s, fd, e);
}

/* The single file of the tree, to hash it once more: the store's copy, since that is what will be
 * used. */
static int open_file(const struct snapshot *s, int dir_fd, const char *clean, int *ret_fd,
		     struct err *e)
{
	if (s->store)
		return store_blob_open(s->store, &s->tree.items[0].digest, ret_fd, e);
	*ret_fd = openat(dir_fd, clean,
			 O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	return *ret_fd < 0 ? err_entry_sys(s, "", e) : 0;
}

/* Compares a single file with its pin. */
static int check_expected(struct snapshot *s, int dir_fd, const char *clean,
			  const struct digest *expected, struct err *e)
{
	const struct local_entry *entry = &s->tree.items[0];
	struct digest actual = entry->digest;
	char expected_text[DIGEST_TEXT_MAX];
	char actual_text[DIGEST_TEXT_MAX];
	AUTO_CLOSE int fd = -1;

	if (entry->type != LOCAL_FILE) {
		err_entry(s, "", "import/hash-without-file", "has a hash but is not a file", e);
		return err_hint(e, "leave the hash out; a directory is identified by its tree");
	}
	if (expected->alg != entry->digest.alg &&
	    (open_file(s, dir_fd, clean, &fd, e) < 0 ||
	     digest_fd(expected->alg, fd, s->path, &actual, NULL, e) < 0))
		return -1;
	if (digest_eq(expected, &actual))
		return 0;
	digest_format(expected, expected_text);
	digest_format(&actual, actual_text);
	err_set(e, ERR_MISMATCH, "import/wrong-hash",
		"the hash of '%s' is different than the actual hash: expected '%s', got '%s'",
		s->path, expected_text, actual_text);
	return err_hint(e, "correct the hash if the file is meant to have changed");
}

static int compare_entries(const void *a, const void *b)
{
	const struct local_entry *left = a;
	const struct local_entry *right = b;

	return strcmp(left->path, right->path);
}

int local_snapshot(const struct store *store, int dir_fd, const char *path, bool contents,
		   const struct digest *expected, struct digest *ret_tree, struct err *e)
{
	AUTO(snapshot) s = {.store = store, .path = path};
	AUTO(buf) text = BUF_INIT(LIMIT_TREE_BYTES);
	AUTO_FREE char *clean = path_clean(path);
	AUTO_FREE char *name = path_base(clean);
	int rc;

	/* "..", "." and "/" have no name of their own that could be a link. */
	if (contents || is_dot(name) || !*name)
		rc = take_directory_at(&s, dir_fd, clean, e);
	else
		rc = take_named(&s, dir_fd, clean, name, e);
	if (rc < 0 || flush(&s, e) < 0)
		return -1;
	if (expected && expected->alg != DIGEST_NONE &&
	    check_expected(&s, dir_fd, clean, expected, e) < 0)
		return -1;
	qsort(s.tree.items, s.tree.len, sizeof(*s.tree.items), compare_entries);
	if (local_tree_write(&s.tree, &text, e) < 0)
		return err_wrap(e, "'%s'", path);
	if (store)
		return store_put(store, buf_text(&text), text.len, ret_tree, e);
	digest_bytes(DIGEST_SHA256, buf_text(&text), text.len, ret_tree);
	return 0;
}

int local_tree_load(const struct store *store, const struct digest *tree,
		    struct local_tree *ret, struct err *e)
{
	AUTO(buf) text = BUF_INIT(LIMIT_TREE_BYTES);

	if (store_blob_read(store, tree, &text, e) < 0)
		return -1;
	return local_tree_read(buf_text(&text), text.len, ret, e);
}
