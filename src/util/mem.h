/*
 * Memory and scope cleanup. Allocation failure aborts here and nowhere else; that is acceptable
 * because every size that comes from input is checked against util/limits.h first.
 *
 * AUTO_FREE, AUTO_CLOSE and AUTO(name) release at the end of the scope and must be initialised
 * at their declaration; what outlives the scope leaves it through TAKE_PTR or TAKE_FD.
 */
#ifndef UTIL_MEM_H
#define UTIL_MEM_H

#include <stddef.h>

void *mem_alloc(size_t len_bytes) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* Checked count * size; NULL `ptr` allocates. */
void *mem_realloc_array(void *ptr, size_t count, size_t size) __attribute__((returns_nonnull));
char *mem_strdup(const char *text) __attribute__((malloc, returns_nonnull));
char *mem_strndup(const char *text, size_t len) __attribute__((malloc, returns_nonnull));
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

void mem_free_cleanup(void *ptr_to_ptr);
/* Closes the fd and keeps errno; -1 is ignored. */
void mem_close_cleanup(int *fd);

#define AUTO_FREE __attribute__((cleanup(mem_free_cleanup)))
#define AUTO_CLOSE __attribute__((cleanup(mem_close_cleanup)))
/* `AUTO(buf) b = BUF_INIT(max)` calls buf_cleanup(&b); cleanups accept a zeroed object. */
#define AUTO(name) __attribute__((cleanup(name##_cleanup))) struct name

#define TAKE_PTR(ptr)                                                                          \
	__extension__({                                                                        \
		__typeof__(ptr) taken_ = (ptr);                                                \
		(ptr) = NULL;                                                                  \
		taken_;                                                                        \
	})
#define TAKE_FD(fd)                                                                            \
	__extension__({                                                                        \
		int taken_ = (fd);                                                             \
		(fd) = -1;                                                                     \
		taken_;                                                                        \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
