/*
 * Memory in files that have no name. A process that fills a memfd and does not map it uses
 * memory that shows in neither its own size nor any file system's; it does show among its open
 * files. Segments of System V are not found here.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/meter_internal.h"
#include "util/mem.h"
#include "util/vec.h"

enum {
	FILES_MAX = 65536
}; /* more than 4096 processes need for anything but an attempt at this */

struct memfd {
	ino_t ino;
	uint64_t bytes;
};
struct memfd_vec VEC_OF(struct memfd);

/* The kernel keeps them all on one file system that is mounted nowhere. */
static bool find_device(dev_t *ret)
{
	struct stat st;
	AUTO_CLOSE int fd = memfd_create("", MFD_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	*ret = st.st_dev;
	return true;
}

static DIR *open_dir(int dir_fd, const char *path)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		mem_close_cleanup(&fd);
	return dir;
}

static void add_files(int proc_fd, const char *pid, dev_t device, struct memfd_vec *files)
{
	char path[300];
	snprintf(path, sizeof(path), "%s/fd", pid);
	DIR *dir = open_dir(proc_fd, path);
	if (!dir)
		return;
	for (const struct dirent *entry; files->len < FILES_MAX && (entry = readdir(dir));) {
		struct stat st;
		/* Looks at the open file itself and opens nothing. */
		if (fstatat(dirfd(dir), entry->d_name, &st, 0) < 0 || st.st_dev != device)
			continue;
		struct memfd file = {st.st_ino, (uint64_t)st.st_blocks * 512};
		vec_push(files, file);
	}
	closedir(dir);
}

static int compare(const void *a, const void *b)
{
	const struct memfd *x = a, *y = b;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

uint64_t memfd_bytes(int proc_fd)
{
	dev_t device;
	uint64_t sum = 0;
	struct memfd_vec files = {0};
	DIR *dir = find_device(&device) ? open_dir(proc_fd, ".") : NULL;
	if (!dir)
		return 0;
	for (const struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9')
			add_files(proc_fd, entry->d_name, device, &files);
	closedir(dir);
	/* One that several processes hold counts once. */
	if (files.len > 0)
		qsort(files.items, files.len, sizeof(*files.items), compare);
	for (size_t i = 0; i < files.len; i++)
		if (i == 0 || files.items[i].ino != files.items[i - 1].ino)
			sum += files.items[i].bytes;
	vec_free(&files);
	return sum;
}
