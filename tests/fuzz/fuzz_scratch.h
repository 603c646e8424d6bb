/*
 * A root to unpack into and a canary beside it, made and removed for each input. Links in the
 * root point at the canary, so that an escape has somewhere to go and is seen.
 */
#ifndef TESTS_FUZZ_SCRATCH_H
#define TESTS_FUZZ_SCRATCH_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/dir_names.h"
#include "image/unpack.h"
#include "util/mem.h"
#include "util/path.h"

#define FUZZ_SHM "/dev/shm" /* memory, where there is any: an input must cost little */

static const struct unpack_limits fuzz_limits = {1024 * 1024, 500};

struct fuzz_scratch {
	char path[64];
	const char *name; /* in `path` */
	int parent_fd, top_fd, root_fd;
};

static inline void fuzz_scratch_open(struct fuzz_scratch *s)
{
	struct err e = ERR_INIT;
	const char *parent = access(FUZZ_SHM, W_OK) == 0 ? FUZZ_SHM : P_tmpdir;
	int n = snprintf(s->path, sizeof(s->path), "%s/stacker-fuzz-XXXXXX", parent);
	BUG_IF(n < 0 || mkdtemp(s->path) == NULL);
	s->name = s->path + strlen(parent) + 1;
	BUG_IF(path_open_dir(AT_FDCWD, parent, &s->parent_fd, &e) < 0);
	BUG_IF(path_open_dir(AT_FDCWD, s->path, &s->top_fd, &e) < 0);
	BUG_IF(path_make_dir(s->top_fd, "root", 0755, &s->root_fd, &e) < 0);
	BUG_IF(mkdirat(s->top_fd, "canary", 0555) < 0);
}

/* What a root file system might have there. */
static inline void fuzz_scratch_populate(struct fuzz_scratch *s)
{
	AUTO_FREE char *canary = mem_printf("%s/canary", s->path);
	BUG_IF(mkdirat(s->root_fd, "usr", 0755) < 0);
	BUG_IF(symlinkat("usr", s->root_fd, "lib") < 0);
	BUG_IF(symlinkat(canary, s->root_fd, "out") < 0);
	BUG_IF(symlinkat("../canary", s->root_fd, "up") < 0);
	AUTO_CLOSE int fd = openat(s->root_fd, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	BUG_IF(fd < 0);
}

static inline void fuzz_scratch_close(struct fuzz_scratch *s)
{
	struct err e = ERR_INIT;
	struct stat st;
	AUTO(strvec) top = {0};
	AUTO(strvec) canary = {0};
	AUTO_CLOSE int canary_fd = -1;
	BUG_IF(path_open_beneath(s->top_fd, "canary", O_RDONLY | O_DIRECTORY, 0, &canary_fd,
				 &e) < 0);
	BUG_IF(dir_names(s->top_fd, "top", &top, &e) < 0 || top.len != 2);
	BUG_IF(dir_names(canary_fd, "canary", &canary, &e) < 0 || canary.len != 0);
	BUG_IF(fstat(canary_fd, &st) < 0 || (st.st_mode & 07777) != 0555);
	close(s->root_fd);
	close(s->top_fd);
	BUG_IF(path_remove_tree(s->parent_fd, s->name, &e) < 0);
	close(s->parent_fd);
}

/* The input as a blob. Checksums of what looks like tar headers are made right, since no fuzzer
 * would ever guess them. */
static inline int fuzz_blob(const uint8_t *data, size_t size)
{
	AUTO_FREE uint8_t *bytes = mem_alloc(size + 1);
	memcpy(bytes, data, size);
	for (size_t at = 0; at + 512 <= size; at += 512) {
		uint8_t *block = bytes + at;
		unsigned sum = 0;
		if (memcmp(block + 257, "ustar", 5) != 0)
			continue;
		memset(block + 148, ' ', 8);
		for (size_t i = 0; i < 512; i++)
			sum += block[i];
		for (size_t i = 6; i-- > 0; sum >>= 3)
			block[148 + i] = (uint8_t)('0' + (sum & 7));
		block[154] = '\0';
	}
	struct err e = ERR_INIT;
	int fd = memfd_create("input", MFD_CLOEXEC);
	BUG_IF(fd < 0 || path_write_all(fd, bytes, size, "input", &e) < 0);
	return fd;
}

#endif
