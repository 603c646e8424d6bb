/* See attach_internal.h. */
#include "sandbox/attach_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/mem.h"

enum { END_OF_FILE = 4 }; /* the character that a terminal takes for it */

void attach_cleanup(struct attach *a)
{
	if (a->raw)
		(void)tcsetattr(a->from_fd, TCSADRAIN, &a->saved);
	a->raw = false;
	mem_close_cleanup(&a->to_fd);
	mem_close_cleanup(&a->step_fd);
	a->to_fd = a->step_fd = -1;
}

static void copy_size(const struct attach *a)
{
	struct winsize ours, theirs;
	if (ioctl(a->from_fd, TIOCGWINSZ, &ours) < 0 ||
	    ioctl(a->to_fd, TIOCGWINSZ, &theirs) < 0 ||
	    memcmp(&ours, &theirs, sizeof(ours)) == 0)
		return;
	(void)ioctl(a->to_fd, TIOCSWINSZ, &ours);
}

static int open_terminal(struct attach *a, int output[2], struct err *e)
{
	static const char device[] = "/dev/ptmx";
	int unlock = 0;
	a->to_fd = openat(AT_FDCWD, device, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (a->to_fd < 0)
		return err_sys(e, "cannot open '%s'", device);
	if (ioctl(a->to_fd, TIOCSPTLCK, &unlock) < 0)
		return err_sys(e, "cannot unlock a pseudo terminal");
	a->step_fd = ioctl(a->to_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (a->step_fd < 0)
		return err_sys(e, "cannot open a pseudo terminal");
	copy_size(a);
	output[0] = fcntl(a->to_fd, F_DUPFD_CLOEXEC, 0);
	output[1] = fcntl(a->step_fd, F_DUPFD_CLOEXEC, 0);
	if (output[0] < 0 || output[1] < 0)
		return err_sys(e, "cannot copy a file descriptor");
	return 0;
}

static int open_pipes(struct attach *a, int output[2], struct err *e)
{
	int input[2];
	if (pipe2(input, O_CLOEXEC) < 0)
		return err_sys(e, "cannot create a pipe");
	a->step_fd = input[0];
	a->to_fd = input[1];
	if (pipe2(output, O_CLOEXEC) < 0)
		return err_sys(e, "cannot create a pipe");
	if (fcntl(a->to_fd, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, "cannot prepare a pipe");
	return 0;
}

int attach_open(struct attach *a, int from_fd, int output[2], struct err *e)
{
	a->from_fd = from_fd;
	a->terminal = isatty(from_fd) && isatty(STDOUT_FILENO);
	return a->terminal ? open_terminal(a, output, e) : open_pipes(a, output, e);
}

int attach_begin(struct attach *a, struct err *e)
{
	mem_close_cleanup(&a->step_fd);
	a->step_fd = -1;
	if (!a->terminal)
		return 0;
	if (tcgetattr(a->from_fd, &a->saved) < 0)
		return err_sys(e, "cannot read the settings of the terminal");
	struct termios raw = a->saved;
	cfmakeraw(&raw);
	if (tcsetattr(a->from_fd, TCSADRAIN, &raw) < 0)
		return err_sys(e, "cannot change the settings of the terminal");
	a->raw = true;
	return 0;
}

int attach_wait_input(const struct attach *a)
{
	return a->len == 0 && a->to_fd >= 0 ? a->from_fd : -1;
}

int attach_wait_room(const struct attach *a)
{
	return a->len > 0 ? a->to_fd : -1;
}

/* A pipe ends by being closed; a terminal has a character for it. */
static void end_input(struct attach *a)
{
	if (a->terminal) {
		a->pending[0] = END_OF_FILE;
		a->from = 0;
		a->len = 1;
		return;
	}
	a->from_fd = -1;
	mem_close_cleanup(&a->to_fd);
	a->to_fd = -1;
}

static void take_input(struct attach *a)
{
	ssize_t n = read(a->from_fd, a->pending, sizeof(a->pending));
	if (n > 0) {
		a->from = 0;
		a->len = (size_t)n;
	} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
		end_input(a);
	}
}

static void give_input(struct attach *a)
{
	ssize_t n = write(a->to_fd, a->pending + a->from, a->len);
	if (n > 0) {
		a->from += (size_t)n;
		a->len -= (size_t)n;
	} else if (n < 0 && errno != EINTR && errno != EAGAIN) {
		/* Nobody reads it any more. */
		a->len = 0;
		mem_close_cleanup(&a->to_fd);
		a->to_fd = -1;
	}
}

void attach_carry(struct attach *a, bool readable)
{
	if (a->terminal && a->to_fd >= 0)
		copy_size(a);
	if (readable && attach_wait_input(a) >= 0)
		take_input(a);
	if (a->len > 0 && a->to_fd >= 0)
		give_input(a);
}

int attach_control(struct err *e)
{
	if (isatty(STDIN_FILENO) && ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
		return err_sys(e, "cannot take the pseudo terminal");
	return 0;
}
