/* The directory is made by us, not by a worker, so that its fd can be handed to the tool alone. */
#include "build/fs_work.h"

#include <unistd.h>

#include "util/limits.h"
#include "util/mem.h"
#include "util/path.h"

/* Large compressors and wide trees; 16 GiB are read and compressed in less than that. */
#define TOOL_MEMORY_BYTES (4 * GIB)
enum { TOOL_TIME_MS = 60 * 60 * 1000 };

void fs_work_cleanup(struct fs_work *w)
{
	mem_close_cleanup(&w->fd);
}

/* Workers make the other directories below .work, and remove them. */
static int give(const struct build_context *c, int fd, struct err *e)
{
	if (c->idmap.uid_first != geteuid() &&
	    fchown(fd, c->idmap.uid_first, c->idmap.gid_first) < 0)
		return err_sys(e, "cannot give a directory to the sandbox");
	return 0;
}

int fs_work_open(struct build_context *c, struct fs_work *w, struct err *e)
{
	AUTO_CLOSE int all = -1;
	roots_work_name(c, w->name);
	if (path_make_dir(c->roots_fd, ".work", 0700, &all, e) < 0 || give(c, all, e) < 0 ||
	    path_make_dir(c->roots_fd, w->name, 0755, &w->fd, e) < 0)
		return -1;
	return give(c, w->fd, e);
}

/* Hostile files were read to make what is in there. */
int fs_work_remove(struct build_context *c, const struct fs_work *w, struct err *e)
{
	return build_remove_hostile(c, c->roots_fd, w->name, e);
}

struct sandbox_tool fs_tool(const struct build_context *c, const char *program,
			    const char *package)
{
	return (struct sandbox_tool){.idmap = &c->idmap,
				     .policy = &c->policy,
				     .program = program,
				     .package = package,
				     .in_fd = -1,
				     .out_fd = -1,
				     .memory_bytes = TOOL_MEMORY_BYTES,
				     .file_bytes = LIMIT_UNPACK_BYTES,
				     .time_limit_ms = TOOL_TIME_MS};
}
