/* Trees are of overlay form (image/unpack.h): whiteouts are character devices 0:0, opaque
 * directories have an attribute. Nothing is followed: what is a link is no directory. */
#include "image/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "image/dir_names.h"
#include "util/map.h"
#include "util/mem.h"

/* What one tree says of a path: nothing, so that the next is asked; that there is no directory,
 * whatever lies further down; or the directory. */
enum answer { SILENT, HIDDEN, FOUND };

static bool is_opaque(int fd)
{
	char value = 0;
	return fgetxattr(fd, "user.overlay.opaque", &value, 1) == 1 && value == 'y';
}

/* Goes from *at to its directory `name`. */
static int enter(int *at, const char *name, enum answer *ret, struct err *e)
{
	struct stat st;
	if (fstatat(*at, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		*ret = SILENT;
		return errno == ENOENT ? 0 : err_sys(e, "cannot examine '%s'", name);
	}
	*ret = S_ISDIR(st.st_mode) ? FOUND : HIDDEN;
	if (*ret == HIDDEN)
		return 0;
	int fd = openat(*at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open directory '%s'", name);
	close(*at);
	*at = fd;
	return 0;
}

static int ask_tree(int root_fd, const char *path, enum answer *ret, int *ret_fd, struct err *e)
{
	bool hides = false;
	AUTO_CLOSE int at = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return err_sys(e, "cannot open the root of a layer");
	*ret = FOUND;
	for (size_t len; *path && *ret == FOUND; path += len + (path[len] == '/')) {
		len = strcspn(path, "/");
		AUTO_FREE char *name = mem_strndup(path, len);
		if (enter(&at, name, ret, e) < 0)
			return -1;
		hides = hides || (*ret == FOUND && is_opaque(at));
	}
	if (*ret == SILENT && hides)
		*ret = HIDDEN;
	if (*ret == FOUND)
		*ret_fd = TAKE_FD(at);
	return 0;
}

int beneath_open_dir(const struct beneath *b, const char *path, int *ret_fd, struct err *e)
{
	enum answer answer = SILENT;
	*ret_fd = -1;
	for (size_t i = 0; i < b->len && answer == SILENT; i++)
		if (ask_tree(b->root_fds[i], path, &answer, ret_fd, e) < 0)
			return -1;
	return 0;
}

int beneath_root_names(const struct beneath *b, struct strvec *ret, struct err *e)
{
	AUTO(map) decided = MAP_INIT(NULL);
	for (size_t i = 0; i < b->len; i++) {
		AUTO(strvec) names = {0};
		if (dir_names(b->root_fds[i], ".", &names, e) < 0)
			return -1;
		for (size_t j = 0; j < names.len; j++) {
			struct stat st;
			if (!map_add(&decided, names.items[j], NULL))
				continue;
			if (fstatat(b->root_fds[i], names.items[j], &st, AT_SYMLINK_NOFOLLOW) <
			    0)
				return err_sys(e, "cannot examine '%s'", names.items[j]);
			if (!S_ISCHR(st.st_mode))
				strvec_push(ret, names.items[j]);
		}
	}
	return 0;
}
