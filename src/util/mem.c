/*
 * Allocation that cannot fail and the cleanup handlers behind AUTO_FREE and AUTO_CLOSE. This is
 * the only file that aborts for want of memory.
 */
#include "util/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/err.h"

/* Never 0: an allocation of nothing may give NULL, which would look like exhaustion. */
static size_t checked_len(size_t count, size_t size)
{
	size_t len;

	BUG_IF(__builtin_mul_overflow(count, size, &len));
	return len ? len : 1;
}

void *mem_alloc(size_t len_bytes)
{
	void *ptr = malloc(checked_len(len_bytes, 1));

	BUG_IF(!ptr);
	return ptr;
}

void *mem_zalloc(size_t count, size_t size)
{
	void *ptr = calloc(1, checked_len(count, size));

	BUG_IF(!ptr);
	return ptr;
}

void *mem_realloc_array(void *ptr, size_t count, size_t size)
{
	void *grown = realloc(ptr, checked_len(count, size));

	BUG_IF(!grown);
	return grown;
}

char *mem_strdup(const char *text)
{
	return mem_strndup(text, strlen(text));
}

char *mem_strndup(const char *text, size_t len)
{
	size_t used = strnlen(text, len);
	char *copy = mem_alloc(used + 1);

	memcpy(copy, text, used);
	copy[used] = '\0';
	return copy;
}

char *mem_printf(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	int len = vasprintf(&text, fmt, ap);
	va_end(ap);
	BUG_IF(len < 0);
	return text;
}

void mem_free_cleanup(void *ptr_to_ptr)
{
	void *ptr;

	/* By memcpy, since the pointer's real type is not void *. */
	memcpy(&ptr, ptr_to_ptr, sizeof(ptr));
	free(ptr);
	ptr = NULL;
	memcpy(ptr_to_ptr, &ptr, sizeof(ptr));
}

void mem_close_cleanup(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}
