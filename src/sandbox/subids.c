/* See subids.h. The lock is that of shadow: a file FILE.lock with the pid of its owner. */
#include "sandbox/subids.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/idmap.h"
#include "sandbox/idmap_internal.h"
#include "util/atomic_file.h"
#include "util/buf.h"
#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"

#define SUBIDS_FILE_BYTES (1 * MIB)

enum { NEW_FILE_MODE = 0644, LOCK_NAME_MAX = 32 };

static int check_user(const char *user, struct err *e)
{
	size_t len = strlen(user);
	if (len > 0 && len <= 256 && strcspn(user, ": \t\n#") == len && user[0] != '-')
		return 0;
	return err_set(e, ERR_INPUT, "setup/user", "'%s' is no name of a user", user);
}

static int read_file(int etc_fd, const char *file, struct buf *ret, mode_t *ret_mode,
		     struct err *e)
{
	struct stat st;
	*ret_mode = NEW_FILE_MODE;
	if (fstatat(etc_fd, file, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot stat '%s'", file);
	*ret_mode = st.st_mode & 07777;
	return path_read_file(etc_fd, file, ret, e);
}

static int add_range(int etc_fd, const char *file, const char *user, uint32_t uid,
		     struct subids_range *ret, struct err *e)
{
	AUTO(buf) text = BUF_INIT(SUBIDS_FILE_BYTES);
	mode_t mode;
	bool found = false;
	if (read_file(etc_fd, file, &text, &mode, e) < 0 ||
	    idmap_subids_parse(buf_text(&text), text.len, file, user, uid, SANDBOX_IDS - 1,
			       &ret->first, &found, e) < 0)
		return -1;
	ret->added = !found;
	if (found)
		return 0;
	uint64_t first = idmap_subids_free(buf_text(&text), text.len);
	if (first + SANDBOX_IDS > UINT32_MAX)
		return err_set(e, ERR_SYSTEM, "setup/no-range",
			       "'%s' leaves no range of %u ids", file, SANDBOX_IDS);
	if (text.len > 0 && text.data[text.len - 1] != '\n')
		buf_add_byte(&text, '\n');
	buf_addf(&text, "%s:%u:%u\n", user, (uint32_t)first, SANDBOX_IDS);
	ret->first = (uint32_t)first;
	if (buf_check(&text, file, e) < 0)
		return -1;
	return atomic_file_write(etc_fd, file, mode, text.data, text.len, e);
}

static int take_lock(int etc_fd, const char *name, struct err *e)
{
	char pid[24];
	AUTO_CLOSE int fd = openat(etc_fd, name,
				   O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == EEXIST) {
		err_set(e, ERR_SYSTEM, "setup/locked",
			"'%s' is there: another program changes "
			"subordinate ids",
			name);
		return err_hint(e, "wait for it; remove the file if its process is gone");
	}
	if (fd < 0)
		return err_sys(e, "cannot make '%s'", name);
	int len = snprintf(pid, sizeof(pid), "%d", (int)getpid());
	return path_write_all(fd, pid, (size_t)len + 1, name, e);
}

int subids_ensure(int etc_fd, const char *file, const char *user, uint32_t uid,
		  struct subids_range *ret, struct err *e)
{
	char lock[LOCK_NAME_MAX];
	snprintf(lock, sizeof(lock), "%s.lock", file);
	if (check_user(user, e) < 0 || take_lock(etc_fd, lock, e) < 0)
		return -1;
	int r = add_range(etc_fd, file, user, uid, ret, e);
	if (unlinkat(etc_fd, lock, 0) < 0 && r == 0)
		return err_sys(e, "cannot remove '%s'", lock);
	return r;
}
