/* Reads a directory through an fd of its own, since readdir's offset belongs to the open file.
 */
#include "image/dir_names.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"
#include "util/str.h"

static void dir_cleanup(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir); /* was only read */
}

int dir_names(int dir_fd, const char *path, struct strvec *ret, struct err *e)
{
	__attribute__((cleanup(dir_cleanup))) DIR *dir = NULL;
	AUTO_CLOSE int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || (dir = fdopendir(fd)) == NULL)
		return err_sys(e, "cannot read directory '%s'", path);
	(void)TAKE_FD(fd); /* `dir` has it */
	size_t first = ret->len;
	for (;;) {
		errno = 0;
		const struct dirent *d = readdir(dir);
		if (d == NULL)
			break;
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			strvec_push(ret, d->d_name);
	}
	if (errno != 0)
		return err_sys(e, "cannot read directory '%s'", path);
	if (ret->len > first)
		qsort(ret->items + first, ret->len - first, sizeof(*ret->items),
		      str_compare_ptr);
	return 0;
}
