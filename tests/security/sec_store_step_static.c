/*
 * What a step may try with files of the layers beneath it and with the kernel's page cache
 * (ST08, ST09). Static, for an image that holds nothing else. usage: sec_store_step_static
 * FILE... Prints a line for each attempt; none may change the file's layer or the blob it came
 * from.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SAY(name, call)                                                                        \
	do {                                                                                   \
		errno = 0;                                                                     \
		long r_ = (long)(call);                                                        \
		printf("%s %s\n", name, r_ < 0 ? strerrorname_np(errno) : "ok");               \
	} while (0)

/* A mapping that was made before the file is copied up still shows the lower file. */
static void through_mapping(const char *path)
{
	int fd = open(path, O_RDWR);
	char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	SAY("mmap-shared", shared == MAP_FAILED ? -1 : 0);
	if (shared != MAP_FAILED) {
		memset(shared, 'M', 64);
		SAY("msync", msync(shared, 4096, MS_SYNC));
	}
	close(fd);
}

static void through_read_only(const char *path)
{
	int fd = open(path, O_RDONLY);
	char *mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	SAY("mprotect-ro", mapped == MAP_FAILED ? -1 : mprotect(mapped, 4096, PROT_WRITE));
	char self[64];
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	int again = open(self, O_RDWR);
	SAY("reopen", again);
	if (again >= 0)
		SAY("write-reopened", pwrite(again, "R", 1, 1));
	SAY("chmod-fd", fchmod(fd, 0666));
	SAY("setxattr-fd", fsetxattr(fd, "user.x", "y", 1, 0));
	SAY("punch", fallocate(again, 3, 0, 4096));
	int clone = open("/clone", O_RDWR | O_CREAT, 0644);
	SAY("reflink", ioctl(clone, FICLONE, fd));
	if (clone >= 0)
		SAY("write-clone", pwrite(clone, "C", 1, 0));
	/* Pages of the file, spliced into a pipe and written to there. */
	int pipe_fds[2];
	char patch[] = "P";
	struct iovec iov = {patch, 1};
	off_t at = 0;
	SAY("pipe", pipe(pipe_fds));
	SAY("splice", splice(fd, &at, pipe_fds[1], NULL, 64, 0));
	SAY("write-pipe", write(pipe_fds[1], patch, 1));
	SAY("vmsplice", vmsplice(pipe_fds[1], &iov, 1, SPLICE_F_GIFT));
	SAY("tee", tee(pipe_fds[0], pipe_fds[1], 64, 0));
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		through_mapping(argv[i]);
		through_read_only(argv[i]);
		int fd = open(argv[i], O_WRONLY);
		SAY("pwrite", pwrite(fd, "W", 1, 0));
		SAY("ftruncate", ftruncate(fd, 3));
		close(fd);
		fd = open(argv[i], O_WRONLY | O_TRUNC);
		SAY("o-trunc", fd);
		SAY("link", link(argv[i], "/hard"));
		SAY("write-link", truncate("/hard", 1));
		SAY("rename", rename(argv[i], "/renamed"));
		SAY("unlink", unlink("/renamed"));
	}
	SAY("af-alg", socket(38, SOCK_SEQPACKET, 0));
	SAY("af-rxrpc", socket(33, SOCK_DGRAM, 0));
	SAY("xfrm", socket(AF_NETLINK, SOCK_RAW, 6));
	SAY("af-vsock", socket(40, SOCK_STREAM, 0));
	return 0;
}
