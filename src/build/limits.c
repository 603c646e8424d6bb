/* Where the recipe's limits and the policy's meet. */
#include "build/limits.h"

#include <stddef.h>

#include "util/mem.h"

int limits_decide(const struct recipe_limits *asked, const struct sandbox_policy *policy,
		  struct sandbox_limits *ret, struct err *e)
{
	struct sandbox_limits limits = policy->defaults;
	const struct sandbox_limits *most = &policy->most;
	const struct {
		enum sandbox_limit limit;
		const struct recipe_limit *asked;
		uint64_t most;
		uint64_t *value;
	} all[] = {
		{SANDBOX_LIMIT_MEMORY, &asked->memory_bytes, most->memory_bytes,
		 &limits.memory_bytes},
		{SANDBOX_LIMIT_PROCESSES, &asked->processes, most->processes,
		 &limits.processes},
		{SANDBOX_LIMIT_DISK, &asked->disk_bytes, most->disk_bytes, &limits.disk_bytes},
		{SANDBOX_LIMIT_FILES, &asked->files, most->files, &limits.files},
		{SANDBOX_LIMIT_TIME, &asked->time_ms, most->wall_ms, &limits.wall_ms},
		{SANDBOX_LIMIT_LOG, &asked->log_bytes, most->log_bytes, &limits.log_bytes},
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		char text[SANDBOX_LIMIT_TEXT_MAX];
		if (all[i].asked->value == 0)
			continue;
		if (all[i].most > 0 && all[i].asked->value > all[i].most) {
			sandbox_limit_format(all[i].limit, most, text);
			err_at(e, &all[i].asked->pos, "recipe/limit-over-policy",
			       "limit '%s' is over the maximum of the policy, %s",
			       sandbox_limit_name(all[i].limit), text);
			return err_hint(e, "policy/limits.yaml has the maximum and its reason");
		}
		*all[i].value = all[i].asked->value;
	}
	*ret = limits;
	return 0;
}
