/* Whiteouts applied to a root file system: what lies beneath goes, what the archive brought
 * stays. */
#include <errno.h>
#include <string.h>

#include "image/dir_names.h"
#include "image/entry.h"
#include "image/place.h"
#include "util/mem.h"
#include "util/path.h"

static int remove_unseen(const struct place *p, int dir_fd, const char *name, const char *path,
			 struct err *e);

static int remove_unseen_below(const struct place *p, int dir_fd, const char *path,
			       struct err *e)
{
	AUTO(strvec) names = {0};
	if (dir_names(dir_fd, path, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		AUTO_FREE char *child = path[0] ? mem_printf("%s/%s", path, names.items[i])
						: mem_strdup(names.items[i]);
		if (remove_unseen(p, dir_fd, names.items[i], child, e) < 0)
			return -1;
	}
	return 0;
}

static int remove_unseen(const struct place *p, int dir_fd, const char *name, const char *path,
			 struct err *e)
{
	if (!map_has(&p->seen, path) && !map_has(&p->parents, path))
		return path_remove_tree(dir_fd, name, e);
	AUTO_CLOSE int fd =
		openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP || errno == ENOENT))
		return 0; /* the archive's own, and no directory */
	if (fd < 0)
		return err_sys(e, "cannot open '%s'", path);
	return remove_unseen_below(p, fd, path, e);
}

int place_remove_lower(struct place *p, const char *path, bool below, struct err *e)
{
	const char *base = entry_path_base(path);
	AUTO_FREE char *dir =
		below ? mem_strdup(path)
		      : mem_strndup(path, base > path ? (size_t)(base - path) - 1 : 0);
	struct err open_e = ERR_INIT;
	AUTO_CLOSE int fd = -1;
	if (path_open_in_root(p->options.root_fd, dir[0] ? dir : ".", O_RDONLY | O_DIRECTORY, 0,
			      &fd, &open_e) < 0) {
		if (open_e.saved_errno == ENOENT || open_e.saved_errno == ENOTDIR)
			return 0; /* a whiteout of nothing */
		*e = open_e;
		return -1;
	}
	/* The directory that is kept open for the next entry may be among what goes. */
	mem_close_cleanup(&p->parent_fd);
	p->parent_fd = -1;
	mem_free_cleanup(&p->parent_path);
	return below ? remove_unseen_below(p, fd, path, e)
		     : remove_unseen(p, fd, base, path, e);
}
