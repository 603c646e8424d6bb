/*
 * The step's resource limits. Every limit that a tool can see is set, so that the machine's own
 * do not show; one that is lower on the machine already stays lower.
 */
#include <sys/personality.h>
#include <sys/resource.h>

#include "sandbox/step_internal.h"
#include "util/mem.h"

enum {
	NOFILE_SOFT = 1024, /* what select() can hold; programs that know better raise it */
	/* One byte, not none: the kernel then skips a "|handler" in core_pattern too, which
	 * would run on the host. */
	CORE_BYTES = 1,
	SIGNALS_PENDING = 4096,
	MESSAGE_QUEUE_BYTES = 819200, /* the kernel's default */
};

static int lower(int resource, rlim_t soft, rlim_t hard, struct err *e)
{
	struct rlimit r;
	if (getrlimit((__rlimit_resource_t)resource, &r) < 0)
		return err_sys(e, "cannot read resource limit %d", resource);
	if (hard < r.rlim_max)
		r.rlim_max = hard;
	r.rlim_cur = soft < r.rlim_max ? soft : r.rlim_max;
	if (setrlimit((__rlimit_resource_t)resource, &r) < 0)
		return err_sys(e, "cannot set resource limit %d", resource);
	return 0;
}

static rlim_t or_infinity(uint64_t limit)
{
	return limit == 0 ? RLIM_INFINITY : (rlim_t)limit;
}

int limits_apply(const struct sandbox_policy *policy, struct err *e)
{
	rlim_t nofile = or_infinity(policy->limits.nofile);
	const struct {
		int resource;
		rlim_t soft, hard;
	} all[] = {
		{RLIMIT_CORE, CORE_BYTES, CORE_BYTES},
		{RLIMIT_NPROC, or_infinity(policy->limits.nproc),
		 or_infinity(policy->limits.nproc)},
		{RLIMIT_NOFILE, nofile < NOFILE_SOFT ? nofile : NOFILE_SOFT, nofile},
		{RLIMIT_FSIZE, or_infinity(policy->limits.fsize_bytes),
		 or_infinity(policy->limits.fsize_bytes)},
		{RLIMIT_MEMLOCK, policy->limits.memlock_bytes, policy->limits.memlock_bytes},
		{RLIMIT_STACK, or_infinity(policy->limits.stack_bytes), RLIM_INFINITY},
		{RLIMIT_AS, or_infinity(policy->limits.as_bytes),
		 or_infinity(policy->limits.as_bytes)},
		{RLIMIT_CPU, RLIM_INFINITY, RLIM_INFINITY},
		{RLIMIT_DATA, RLIM_INFINITY, RLIM_INFINITY},
		{RLIMIT_RSS, RLIM_INFINITY, RLIM_INFINITY},
		{RLIMIT_LOCKS, RLIM_INFINITY, RLIM_INFINITY},
		{RLIMIT_SIGPENDING, SIGNALS_PENDING, SIGNALS_PENDING},
		{RLIMIT_MSGQUEUE, MESSAGE_QUEUE_BYTES, MESSAGE_QUEUE_BYTES},
		{RLIMIT_NICE, 0, 0},
		{RLIMIT_RTPRIO, 0, 0},
		{RLIMIT_RTTIME, RLIM_INFINITY, RLIM_INFINITY},
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (lower(all[i].resource, all[i].soft, all[i].hard, e) < 0)
			return -1;
	if (personality(PER_LINUX) < 0)
		return err_sys(e, "cannot reset the personality");
	return 0;
}
