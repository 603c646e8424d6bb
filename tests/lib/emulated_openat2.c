/*
 * For vectors_cross.sh, linked by --wrap=syscall: qemu's user emulation in Debian 12 has no
 * openat2(). The trees of the vectors are our own, so that a plain openat() does; the product
 * keeps to openat2(), which is tested on the machine itself.
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <sys/syscall.h>

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (number != SYS_openat2)
		return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	const struct open_how *how = (const struct open_how *)a[2];
	return openat((int)a[0], (const char *)a[1], (int)how->flags, (mode_t)how->mode);
}
