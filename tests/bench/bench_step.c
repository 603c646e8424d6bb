/*
 * How long the sandbox of a step that does nothing takes, from the call to the moment that
 * nothing of it is left, beside Debian's bubblewrap with the same namespaces on the same root:
 * one of each in turn, so that both meet the same noise. Times are wall time; bubblewrap's
 * includes starting its program. Of ours, an ordinary user gets 65536 ids where bubblewrap gives
 * one: newuidmap and newgidmap are started for the first sandbox of a run, which is a member of
 * its own and in no median.
 *
 * usage: bench_step ROUNDS     in an empty directory; prints one JSON object
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "build/policy.h"
#include "sandbox/run.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/path.h"

enum { ROUNDS_MAX = 1000 };

struct bench {
	struct sandbox_policy policy;
	struct sandbox_idmap ids;
	int roots_fd;
	uint64_t ours_us[ROUNDS_MAX], theirs_us[ROUNDS_MAX];
};

static uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int make_dir(const struct bench *b, const char *name, struct err *e)
{
	if (mkdirat(b->roots_fd, name, 0755) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make '%s'", name);
	if (geteuid() == 0 &&
	    fchownat(b->roots_fd, name, b->ids.uid_first, b->ids.gid_first, 0) < 0)
		return err_sys(e, "cannot give away '%s'", name);
	return 0;
}

static int run_ours(struct bench *b, size_t round, struct err *e)
{
	static const char *const lowers[] = {"base"}, *const env[] = {"PATH=/bin", NULL};
	char upper[32], work[32];
	struct sandbox_result result;
	snprintf(upper, sizeof(upper), "upper-%zu", round);
	snprintf(work, sizeof(work), "work-%zu", round);
	if (make_dir(b, upper, e) < 0 || make_dir(b, work, e) < 0)
		return -1;
	const struct sandbox_spec spec = {.idmap = &b->ids,
					  .policy = &b->policy,
					  .roots_fd = b->roots_fd,
					  .lowers = lowers,
					  .lowers_len = 1,
					  .upper = upper,
					  .work = work,
					  .script = "#!/bin/true\n",
					  .env = env,
					  .label = "bench"};
	uint64_t start = now_us();
	if (sandbox_run(&spec, &result, e) < 0)
		return -1;
	b->ours_us[round] = now_us() - start;
	if (result.exit_code != 0)
		return err_set(e, ERR_SYSTEM, "bench/step", "the step exited with %d",
			       result.exit_code);
	return 0;
}

static int run_theirs(struct bench *b, size_t round, struct err *e)
{
	static const char *const argv[] = {"bwrap",	"--unshare-all",
					   "--uid",	"0",
					   "--gid",	"0",
					   "--bind",	"roots/base",
					   "/",		"--proc",
					   "/proc",	"--dev",
					   "/dev",	"--tmpfs",
					   "/tmp",	"--tmpfs",
					   "/run",	"--die-with-parent",
					   "/bin/true", NULL};
	char *const *args;
	int status = 0;
	pid_t pid;
	memcpy(&args, &(const char *const *){argv}, sizeof(args));
	uint64_t start = now_us();
	errno = posix_spawnp(&pid, "bwrap", NULL, NULL, args, environ);
	if (errno != 0)
		return err_sys(e, "cannot start bubblewrap");
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return err_set(e, ERR_SYSTEM, "bench/bwrap", "bubblewrap ended with %d",
			       status);
	b->theirs_us[round] = now_us() - start;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

static double median_ms(uint64_t *times_us, size_t len)
{
	qsort(times_us, len, sizeof(*times_us), compare);
	return (double)times_us[len / 2] / 1000;
}

static int run(struct bench *b, size_t rounds, struct err *e)
{
	struct digest ignored;
	if (policy_load(&b->policy, &ignored, e) < 0 || sandbox_idmap_find(&b->ids, e) < 0 ||
	    path_make_dir(AT_FDCWD, "roots", 0755, &b->roots_fd, e) < 0)
		return -1;
	/* The first of each warms caches and comes last. */
	for (size_t i = 0; i < rounds + 1; i++) {
		size_t round = i == 0 ? rounds : i - 1;
		if (run_ours(b, round, e) < 0 || run_theirs(b, round, e) < 0)
			return -1;
	}
	double ours = median_ms(b->ours_us, rounds), theirs = median_ms(b->theirs_us, rounds);
	printf("{\"name\": \"sandbox of /bin/true beside bubblewrap\", \"runs\": %zu, "
	       "\"sandbox_ms\": %.2f, \"bubblewrap_ms\": %.2f, \"ratio\": %.2f, "
	       "\"sandbox_min_ms\": %.2f, \"bubblewrap_min_ms\": %.2f, "
	       "\"first_sandbox_ms\": %.2f}\n",
	       rounds, ours, theirs, ours / theirs, (double)b->ours_us[0] / 1000,
	       (double)b->theirs_us[0] / 1000, (double)b->ours_us[rounds] / 1000);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t rounds = 0;
	struct err e = ERR_INIT;
	struct bench *b = mem_zalloc(1, sizeof(*b));
	if (argc != 2 || !num_parse_u64(argv[1], strlen(argv[1]), ROUNDS_MAX - 1, &rounds) ||
	    rounds == 0) {
		fprintf(stderr, "usage: bench_step ROUNDS\n");
		return 2;
	}
	int r = run(b, (size_t)rounds, &e);
	if (r < 0)
		fprintf(stderr, "bench_step: error: %s (%s)\n", e.message, e.hint);
	sandbox_idmap_cleanup(&b->ids);
	free(b);
	return r < 0;
}
