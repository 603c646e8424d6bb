/*
 * Feeds files, or every file of a directory, to a fuzz target without the fuzzing engine, so
 * that each input that once taught something is tried again in every test run, by any compiler.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

enum { MAX_SEED_BYTES = 16 << 20 };

static unsigned inputs;

/* An exact allocation, so that the sanitizer sees a read one byte past the end. */
static int replay_file(int fd, const char *name, size_t len)
{
	uint8_t *bytes = malloc(len ? len : 1);
	size_t got = 0;

	if (!bytes) {
		fprintf(stderr, "%s: no memory\n", name);
		return -1;
	}
	while (got < len) {
		ssize_t n = read(fd, bytes + got, len - got);

		if (n <= 0) {
			fprintf(stderr, "%s: %s\n", name,
				n ? strerror(errno) : "became shorter");
			free(bytes);
			return -1;
		}
		got += (size_t)n;
	}
	LLVMFuzzerTestOneInput(bytes, len);
	free(bytes);
	inputs++;
	return 0;
}

static int replay_at(int dir_fd, const char *name);

/* Owns `fd`. */
static int replay_dir(int fd, const char *name)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (!dir) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		close(fd);
		return -1;
	}
	while (rc == 0 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			rc = replay_at(fd, entry->d_name);
	closedir(dir);
	return rc;
}

static int replay_at(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int rc = -1;

	if (fd < 0 || fstat(fd, &st)) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (S_ISDIR(st.st_mode))
		return replay_dir(fd, name);
	if (st.st_size > MAX_SEED_BYTES)
		fprintf(stderr, "%s: too big for a seed\n", name);
	else
		rc = replay_file(fd, name, (size_t)st.st_size);
	close(fd);
	return rc;
}

int main(int argc, char **argv)
{
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		if (replay_at(AT_FDCWD, argv[i]))
			return 1;
	printf("# %u inputs\n", inputs);
	return inputs == 0;
}
