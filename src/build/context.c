/* Opening and closing what a run works with, and clearing what a killed run left behind. */
#include "build/context.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/policy.h"
#include "sandbox/confine.h"
#include "sandbox/worker.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/path.h"
#include "util/str.h"

#define WORK_DIR ".work"

const char *build_machine_arch(void)
{
#if defined(__x86_64__)
	return "amd64";
#elif defined(__aarch64__)
	return "arm64";
#else
#error "stacker knows x86-64 and arm64"
#endif
}

/* What will be given to the sandbox's ids must be what its name says: in a directory that
 * others can write to, a link could have us give away another one. Compared with what is open,
 * so that there is no moment in between. */
static int refuse_link(int fd, const char *path, struct err *e)
{
	AUTO_FREE char *clean = path_clean(path);
	AUTO_CLOSE int named =
		openat(AT_FDCWD, clean, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st, st_named;
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot stat '%s'", path);
	if (named >= 0 && fstat(named, &st_named) == 0 && st_named.st_dev == st.st_dev &&
	    st_named.st_ino == st.st_ino)
		return 0;
	err_set(e, ERR_POLICY, "roots/link", "'%s' is a symbolic link, not a directory", path);
	return err_hint(e, "name the directory that it leads to by --roots-dir");
}

static int give_failed(const char *path, uint32_t uid, struct err *e)
{
	bool unmapped = errno == EINVAL;
	err_sys(e, "cannot give '%s' to uid %u", path, uid);
	if (!unmapped)
		return -1;
	err_recode(e, ERR_SANDBOX, "sandbox/idmap");
	return err_hint(e, "inside a container these ids must be mapped in it; "
			   "else run as an ordinary user");
}

static int other_ids(const char *path, uint32_t owner, const struct sandbox_idmap *idmap,
		     struct err *e)
{
	err_set(e, ERR_POLICY, "roots/other-ids",
		"directory '%s' belongs to uid %u, but id 0 of this run's sandbox is uid %u",
		path, owner, idmap->uid_first);
	return err_hint(e, "remove it as the user who made it, or give another --roots-dir");
}

int build_open_roots(const char *path, const struct sandbox_idmap *idmap, int *ret_fd,
		     struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;
	if (path_make_dir(AT_FDCWD, path, 0700, &fd, e) < 0) {
		/* Private to whoever made it, which is what there is to say. */
		bool is_closed = e->saved_errno == EACCES &&
				 fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
				 S_ISDIR(st.st_mode) && st.st_uid != idmap->uid_first;
		return is_closed ? other_ids(path, st.st_uid, idmap, e) : -1;
	}
	if (refuse_link(fd, path, e) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot stat '%s'", path);
	bool fresh = st.st_uid == geteuid() && st.st_uid != idmap->uid_first;
	if (fresh) {
		if (fchown(fd, idmap->uid_first, idmap->gid_first) < 0)
			return give_failed(path, idmap->uid_first, e);
		if (fstat(fd, &st) < 0)
			return err_sys(e, "cannot stat '%s'", path);
	}
	if (st.st_uid != idmap->uid_first)
		return other_ids(path, st.st_uid, idmap, e);
	if (fchmod(fd, 0700) < 0)
		return err_sys(e, "cannot make '%s' private", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int remove_work(void *ctx, struct buf *reply, struct err *e)
{
	(void)reply;
	const char *name = ctx;
	AUTO_CLOSE int dir = -1;
	if (path_open_dir(AT_FDCWD, "/dir", &dir, e) < 0)
		return -1;
	return path_remove_tree(dir, name, e);
}

int build_remove_hostile(const struct build_context *c, int dir_fd, const char *name,
			 struct err *e)
{
	AUTO_FREE char *copy = mem_strdup(name);
	struct sandbox_bind bind = {.fd = dir_fd, .name = "dir"};
	struct sandbox_worker worker = {
		.idmap = &c->idmap,
		.policy = &c->policy,
		.binds = &bind,
		.binds_len = 1,
		.role = POLICY_REMOVER,
		.run = remove_work,
		.ctx = copy,
	};
	return sandbox_worker_run(&worker, NULL, e);
}

int build_remove_tree(const struct build_context *c, int dir_fd, const char *name,
		      struct err *e)
{
	/* Root may remove anything itself; a user may not touch files of the mapped ids, but
	 * the worker, being their root, may. */
	struct err ignored = ERR_INIT;
	if (path_remove_tree(dir_fd, name, &ignored) == 0)
		return 0;
	return build_remove_hostile(c, dir_fd, name, e);
}

/* True if the directory is there and holds anything. */
static bool dir_has_entries(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return false;
	}
	bool found = false;
	for (struct dirent *entry; !found && (entry = readdir(dir));)
		found = !str_same(entry->d_name, ".") && !str_same(entry->d_name, "..");
	closedir(dir);
	return found;
}

static int confine_fetcher(void *ctx, struct err *e)
{
	return sandbox_confine_fetcher(ctx, e);
}

/* Before anything else is said of it: whose it is explains all that would follow. */
static int check_user(const char *state, struct err *e)
{
	struct stat st;
	if (fstatat(AT_FDCWD, state, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_uid == geteuid())
		return 0;
	err_set(e, ERR_POLICY, "store/other-user",
		"previous run of stacker found with uid %u in '%s'; this one has uid %u",
		st.st_uid, state, geteuid());
	return err_hint(e, "run 'stacker clean' as that user, or give another --stacker-dir");
}

/* A read-only checkout, or somebody else's, can be built from elsewhere. */
static int make_state(const char *path, int *ret_fd, struct err *e)
{
	if (path_make_private_dir(AT_FDCWD, path, ret_fd, e) == 0)
		return 0;
	if (e && (e->saved_errno == EACCES || e->saved_errno == EROFS))
		err_hint(e, "'stacker --work-dir DIR ...' puts what stacker writes elsewhere");
	return -1;
}

int build_context_open_store(const struct build_dirs *dirs, struct build_context *c,
			     struct err *e)
{
	c->dirs = *dirs;
	c->fetch.confine = confine_fetcher;
	c->fetch.confine_ctx = &c->policy;
	c->registry.confine = confine_fetcher;
	c->registry.confine_ctx = &c->policy;
	if (policy_load(&c->policy, &c->policy_digest, e) < 0 ||
	    check_user(dirs->state, e) < 0 || make_state(dirs->state, &c->state_fd, e) < 0 ||
	    lock_acquire_shared(c->state_fd, ".lock", dirs->state, &c->state_lock_fd, e) < 0)
		return -1;
	return store_open(c->state_fd, &c->store, e);
}

int build_context_open(const struct build_dirs *dirs, struct build_context *c, struct err *e)
{
	if (sandbox_idmap_find(&c->idmap, e) < 0 || build_context_open_store(dirs, c, e) < 0 ||
	    policy_load_volatile(&c->volatile_files, e) < 0 ||
	    path_make_private_dir(c->state_fd, "cache", &c->cache_fd, e) < 0 ||
	    build_open_roots(dirs->roots, &c->idmap, &c->roots_fd, e) < 0 ||
	    lock_acquire(c->roots_fd, ".lock", dirs->roots, &c->roots_lock_fd, e) < 0)
		return -1;
	/* Ours by the lock: nobody else can be working there. */
	if (dir_has_entries(c->roots_fd, WORK_DIR))
		return build_remove_hostile(c, c->roots_fd, WORK_DIR, e);
	return 0;
}

int build_context_open_for_plan(struct build_context *c, struct err *e)
{
	return policy_load(&c->policy, &c->policy_digest, e);
}

int build_context_be_alone(const struct build_context *c, struct err *e)
{
	return lock_make_exclusive(c->state_lock_fd, c->dirs.state, e);
}

void build_tell_copy(const struct build_context *c, const struct digest *d)
{
	char text[DIGEST_TEXT_MAX];
	if (!c->tell_copies)
		return;
	digest_format(d, text);
	log_note("Copying blob %s", text);
}

/* A failed image leaves its half-made trees; at the next start they would go in any case. */
static void clear_work(const struct build_context *c)
{
	struct err ignored = ERR_INIT;
	if (c->roots_lock_fd >= 0 && dir_has_entries(c->roots_fd, WORK_DIR) &&
	    build_remove_tree(c, c->roots_fd, WORK_DIR, &ignored) < 0)
		log_debug("cannot clear '%s/" WORK_DIR "': %s", c->dirs.roots, ignored.message);
}

void build_context_cleanup(struct build_context *c)
{
	clear_work(c);
	mem_close_cleanup(&c->roots_lock_fd);
	mem_close_cleanup(&c->roots_fd);
	mem_close_cleanup(&c->cache_fd);
	store_cleanup(&c->store);
	mem_close_cleanup(&c->state_lock_fd);
	mem_close_cleanup(&c->state_fd);
	sandbox_idmap_cleanup(&c->idmap);
	sandbox_policy_cleanup(&c->policy);
	volatile_list_cleanup(&c->volatile_files);
}
