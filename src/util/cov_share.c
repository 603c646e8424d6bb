/*
 * In coverage builds only (MODE=cov of the Makefile): before main, gcov's counters move into
 * shared memory. So what a forked child executes is counted where its parent will write it
 * down, although the child has no way to: it may have another root, no right to open files, and
 * be killed. What a child execs counts for itself.
 */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "util/err.h"
#include "util/mem.h"

/* Whole pages with nothing but counters on them; from tests/lib/cov.ld. */
extern char util_cov_begin[], util_cov_end[];

/* Named on the linker's command line, so that it is taken out of the library. */
void util_cov_share(void);

__attribute__((constructor)) void util_cov_share(void)
{
	size_t len = (uintptr_t)util_cov_end - (uintptr_t)util_cov_begin;
	AUTO_FREE char *counted = mem_alloc(len);

	memcpy(counted, util_cov_begin, len);
	BUG_IF(mmap(util_cov_begin, len, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED);
	memcpy(util_cov_begin, counted, len);
}
