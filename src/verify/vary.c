/* The variations of reprotest's list that can reach a build of ours from outside its sandbox.
 */
#include "verify/vary.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct vary vary_none = {.umask = 022, .locale = "C.UTF-8", .timezone = "UTC"};
const struct vary vary_all = {
	.hostname = "another-host",
	.umask = 077,
	.locale = "et_EE.UTF-8",	  /* collates z before t, where the locale exists */
	.timezone = "Pacific/Kiritimati", /* UTC+14: another day for most of the day */
	.one_cpu = true,
};

static int vary_cpu(struct err *e)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return err_sys(e, "cannot read the CPU set");
	int last = -1;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			last = cpu;
	CPU_ZERO(&set);
	CPU_SET(last, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return err_sys(e, "cannot set the CPU set");
	return 0;
}

static int vary_hostname(const char *name, int (*ask_map)(void *ctx, struct err *e), void *ctx,
			 struct err *e)
{
	if (unshare(CLONE_NEWUTS) < 0) {
		if (errno != EPERM)
			return err_sys(e, "cannot make a UTS namespace");
		if (unshare(CLONE_NEWUSER) < 0)
			return err_sys(e, "cannot make a user namespace");
		if (ask_map(ctx, e) < 0)
			return -1;
		if (unshare(CLONE_NEWUTS) < 0)
			return err_sys(e, "cannot make a UTS namespace");
	}
	if (sethostname(name, strlen(name)) < 0)
		return err_sys(e, "cannot set the host name");
	return 0;
}

int vary_apply(const struct vary *v, int (*ask_map)(void *ctx, struct err *e), void *ctx,
	       struct err *e)
{
	umask(v->umask);
	if (setenv("LC_ALL", v->locale, 1) < 0 || setenv("TZ", v->timezone, 1) < 0)
		return err_sys(e, "cannot set the environment");
	if (v->one_cpu && vary_cpu(e) < 0)
		return -1;
	return v->hostname ? vary_hostname(v->hostname, ask_map, ctx, e) : 0;
}
