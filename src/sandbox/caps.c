/*
 * The step's capabilities. It is root of its user namespace with a container root's rights over
 * its own files, and with none over the kernel: no mounts, no network administration, no
 * tracing.
 */
#include <errno.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include "sandbox/step_internal.h"

int caps_restrict(uint64_t mask, struct err *e)
{
	/* The bounding set first: shrinking it needs CAP_SETPCAP. */
	for (unsigned cap = 0; cap < 64; cap++) {
		if (mask & (UINT64_C(1) << cap))
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
			return err_sys(e, "cannot drop capability %u", cap);
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_sys(e, "cannot clear the ambient capabilities");
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = (uint32_t)mask, .permitted = (uint32_t)mask},
		{.effective = (uint32_t)(mask >> 32), .permitted = (uint32_t)(mask >> 32)},
	};
	if (capset(&header, data) < 0)
		return err_sys(e, "cannot set the capabilities");
	return 0;
}
