/* What making and reading file system images share: a directory for a tool to write to, and the
 * limits of tools. */
#ifndef BUILD_FS_WORK_H
#define BUILD_FS_WORK_H

#include "build/roots.h"
#include "sandbox/tool.h"

/* A directory "NAME" below the roots that belongs to container root. */
struct fs_work {
	char name[ROOTS_NAME_MAX];
	int fd;
};
#define FS_WORK_INIT                                                                           \
	{                                                                                      \
		.fd = -1                                                                       \
	}
void fs_work_cleanup(struct fs_work *w); /* leaves the directory */

int fs_work_open(struct build_context *c, struct fs_work *ret, struct err *e) WARN_UNUSED;
/* Removes it with all that is in it. */
int fs_work_remove(struct build_context *c, const struct fs_work *w, struct err *e) WARN_UNUSED;

/* A tool without arguments, environment, files or directories yet. */
struct sandbox_tool fs_tool(const struct build_context *c, const char *program,
			    const char *package);

#endif
